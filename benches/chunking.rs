//! Cutting and naming. On one core of the machine of `docs/benchmarks.md` cutting must not fall under 1 GB/s.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use larder::chunking::{Chunker, Sizes};
use larder::crypto::keys::{Keys, RootKey};
use larder::crypto::secret::Secret;
use larder::ops::backup::random::looks_random;

const BYTES: usize = 16 << 20;

/// Bytes that no chunker finds a pattern in: cuts fall where they fall in real data.
fn noise() -> Vec<u8> {
    let mut word = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(BYTES);
    while bytes.len() < BYTES {
        word ^= word << 13;
        word ^= word >> 7;
        word ^= word << 17;
        bytes.extend_from_slice(&word.to_le_bytes());
    }
    bytes
}

fn chunks<'a>(chunker: &Chunker, bytes: &'a [u8]) -> Vec<&'a [u8]> {
    let mut rest = bytes;
    let mut chunks = Vec::new();
    while !rest.is_empty() {
        let (chunk, after) = rest.split_at(chunker.cut(rest));
        chunks.push(chunk);
        rest = after;
    }
    chunks
}

fn chunking(c: &mut Criterion) {
    let keys = Keys::new(&RootKey::new(Secret::new([7; 32])));
    let chunker = Chunker::new(Sizes::DEFAULT, keys.gear());
    let bytes = noise();
    let mut group = c.benchmark_group("chunking");
    group.throughput(Throughput::Bytes(BYTES as u64));
    group.bench_function("cut", |b| b.iter(|| chunks(&chunker, black_box(&bytes)).len()));
    let cut = chunks(&chunker, &bytes);
    group.bench_function("name", |b| {
        b.iter(|| cut.iter().fold(0, |sum, chunk| sum ^ keys.data_id(chunk).as_bytes()[0]))
    });
    group.bench_function("judge", |b| b.iter(|| cut.iter().filter(|chunk| looks_random(chunk)).count()));
    group.finish();
}

criterion_group!(benches, chunking);
criterion_main!(benches);
