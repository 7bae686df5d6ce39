//! Where is this chunk? At a million rows, and with LARDER_BENCH_LARGE=1 at ten million.

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use criterion::{Criterion, criterion_group, criterion_main};
use larder::format::Kind;
use larder::id::{ChunkId, RepositoryId};
use larder::index::Index;
use larder::index::synthetic::{PlainOpener, chunk, fill};

const REPOSITORY: RepositoryId = RepositoryId::new([7; 16]);
const CHUNKS_PER_PACK: u64 = 2_000;
/// Ids are made before the clock runs.
const IDS: u64 = 1 << 16;

fn open(dir: &Path) -> Index {
    Index::open(Some(dir), REPOSITORY, Arc::new(PlainOpener)).expect("opens")
}

fn ids(numbers: impl Iterator<Item = u64>) -> Vec<ChunkId> {
    numbers.map(chunk).collect()
}

fn resident_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    (status.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0) * 4096) >> 20
}

fn flush_and_open(c: &mut Criterion) {
    let mut group = c.benchmark_group("index/small");
    group.sample_size(10);
    group.bench_function("fill and flush 120,000 rows", |b| {
        b.iter_with_large_drop(|| {
            let dir = tempfile::tempdir().expect("folder");
            let mut index = open(dir.path());
            fill(&mut index, REPOSITORY, 60, CHUNKS_PER_PACK).expect("fills");
            (index, dir)
        });
    });
    let dir = tempfile::tempdir().expect("folder");
    fill(&mut open(dir.path()), REPOSITORY, 60, CHUNKS_PER_PACK).expect("fills");
    group.bench_function("open", |b| b.iter(|| open(dir.path()).packs().count()));
    group.bench_function("open, first miss", |b| {
        let id = chunk(u64::MAX);
        b.iter(|| open(dir.path()).locate(Kind::Data, &id, &|_| true).expect("locates"));
    });
    group.finish();
}

fn lookups(c: &mut Criterion, name: &str, rows: u64) {
    let dir = tempfile::tempdir().expect("folder");
    let started = Instant::now();
    fill(&mut open(dir.path()), REPOSITORY, rows / CHUNKS_PER_PACK, CHUNKS_PER_PACK).expect("fills");
    eprintln!("{name}: filled in {:?}", started.elapsed());
    let started = Instant::now();
    let mut index = open(dir.path());
    let opened = started.elapsed();
    index.locate(Kind::Data, &chunk(u64::MAX), &|_| true).expect("locates");
    eprintln!("{name}: opened in {opened:?}, with the filter {:?}; {:?}", started.elapsed(), index.stats());

    let mut group = c.benchmark_group(format!("index/{name}"));
    let mut run = |what: &str, ids: &[ChunkId]| {
        let mut at = 0;
        group.bench_function(what, |b| {
            b.iter(|| {
                at = (at + 1) % ids.len();
                index.locate(Kind::Data, black_box(&ids[at]), &|_| true).expect("locates")
            });
        });
    };
    run("miss", &ids(rows..rows + IDS));
    run("hit, in order", &ids(0..IDS.min(rows)));
    let stride = rows / IDS + 1;
    run("hit, random", &ids((0..IDS).map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15) % IDS * stride % rows)));
    group.finish();
    eprintln!("{name}: {} MiB resident, the bench's own ids included", resident_mib());
}

fn sizes(c: &mut Criterion) {
    lookups(c, "1M", 1_000_000);
    if std::env::var_os("LARDER_BENCH_LARGE").is_some() {
        lookups(c, "10M", 10_000_000);
    }
}

criterion_group!(benches, flush_and_open, sizes);
criterion_main!(benches);
