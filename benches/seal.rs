//! One block: compressed and sealed with its self-check, and opened again.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use larder::crypto::keys::{Keys, RootKey};
use larder::crypto::seal::{Fingerprint, Opener, Run};
use larder::crypto::secret::Secret;
use larder::format::Kind;
use larder::format::packs::{BlockEntry, BlockKind};
use larder::id::RepositoryId;
use larder::repo::seal::{Level, Packer, Squeeze, Unpacker, place};

const REPOSITORY: RepositoryId = RepositoryId::new([7; 16]);
const BYTES: usize = 4 << 20;

fn text() -> Vec<u8> {
    let words = ["pack", "block", "chunk", "index", "snapshot", "listing", "prune", "restore", "\n", "0x"];
    let mut word = 1u64;
    let mut out = Vec::with_capacity(BYTES + 16);
    while out.len() < BYTES {
        word = word.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        out.extend_from_slice(words[(word >> 33) as usize % words.len()].as_bytes());
        out.extend_from_slice(format!(" {} ", (word >> 40) % 1000).as_bytes());
    }
    out.truncate(BYTES);
    out
}

fn seal(c: &mut Criterion) {
    let keys = Arc::new(Keys::new(&RootKey::new(Secret::new([7; 32]))));
    let run = Run::new(&keys, REPOSITORY).expect("randomness");
    let raw = text();
    let content = Fingerprint::of_bytes(&raw);
    let mut group = c.benchmark_group("block");
    group.throughput(Throughput::Bytes(BYTES as u64));
    for (name, squeeze) in [("compressed", Squeeze::Yes), ("raw", Squeeze::No)] {
        let mut packer = Packer::new(Level::DEFAULT).expect("packer");
        let mut sealer = run.sealer().expect("randomness");
        group.bench_function(format!("seal, {name}"), |b| {
            b.iter(|| {
                let packed = packer.pack(black_box(&raw), squeeze).expect("packs");
                let place = place(Kind::Data, BlockKind::Chunks, packed.codec, BYTES as u32);
                packer.seal(sealer.reserve().expect("nonce"), place, &content, packed, &raw).expect("seals")
            });
        });

        let mut sealer = run.sealer().expect("randomness");
        let opener = Opener::new(keys.clone(), REPOSITORY);
        let key = opener.pack_key(run.public(), sealer.salt(), &sealer.commitment()).expect("key");
        let packed = packer.pack(&raw, squeeze).expect("packs");
        let codec = packed.codec;
        let place = place(Kind::Data, BlockKind::Chunks, codec, BYTES as u32);
        let sealed = packer.seal(sealer.reserve().expect("nonce"), place, &content, packed, &raw).expect("seals");
        let entry = BlockEntry {
            kind: BlockKind::Chunks,
            codec,
            raw_bytes: BYTES as u32,
            sealed_bytes: sealed.bytes.len() as u32,
            nonce: sealed.nonce,
            offset: 0,
            first_chunk: 0,
            chunk_count: 0,
        };
        let mut unpacker = Unpacker::new().expect("unpacker");
        group.bench_function(format!("open, {name}"), |b| {
            b.iter(|| unpacker.open(&key, Kind::Data, 0, &entry, black_box(sealed.bytes.clone())).expect("opens"));
        });
    }
    group.finish();
}

criterion_group!(benches, seal);
criterion_main!(benches);
