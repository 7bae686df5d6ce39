//! What would a prune do? 20,000 packs and a million chunks, of which a live snapshot needs three quarters.
//!
//! The packs are as short as can be and their blocks are made up: a plan reads directories and listings, no contents.

#[path = "support/listing.rs"]
mod listing;
mod support;

use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use larder::crypto::seal::Run;
use larder::format::content::{ChunkRef, Content};
use larder::format::listing::Entry;
use larder::format::log::{Action, PackUse};
use larder::format::packs::{BlockKind, Codec, TAG_BYTES};
use larder::format::{Kind, objects};
use larder::id::{ChunkId, PackId};
use larder::index::synthetic::{chunk, pack};
use larder::ops::prune::plan::{Facts, Limits, Standing, decide};
use larder::ops::prune::{Options, plan};
use larder::repo::Repository;
use larder::repo::commit::{Draft, commit};
use larder::repo::error::Error;
use larder::repo::pack::{BlockInfo, OpenPack, SealedBlock};
use larder::storage::ObjectName;

use listing::{file, store};
use support::NOW;

const PACKS: u64 = 20_000;
const CHUNKS_PER_PACK: u64 = 50;
const CHUNK_BYTES: u32 = 64;
/// Of every pack that is needed at all, so many chunks are.
const NEEDED_PER_PACK: u64 = 40;

/// A pack of made-up chunks, stored; the log does not name it yet.
fn store_pack(repo: &Repository, run: &Run, number: u64) -> PackUse {
    let first = number * CHUNKS_PER_PACK;
    let chunks: Vec<(ChunkId, u32)> = (first..first + CHUNKS_PER_PACK).map(|n| (chunk(n), CHUNK_BYTES)).collect();
    let raw_bytes = CHUNK_BYTES * CHUNKS_PER_PACK as u32;
    let sealed_bytes = raw_bytes + TAG_BYTES as u32;
    let info = BlockInfo { kind: BlockKind::Chunks, codec: Codec::Raw, raw_bytes, sealed_bytes, chunks };
    let mut open = OpenPack::new(Kind::Data, run).expect("pack");
    let ordinal = open.reserve(info).expect("place").ordinal();
    open.deliver(ordinal, SealedBlock { bytes: vec![0; sealed_bytes as usize], nonce: [0; 24] });
    let finished = open.finish(repo.keys(), run, repo.config().repository).expect("finishes");
    let name = ObjectName::new(objects::pack_name(&finished.id)).expect("name");
    repo.storage().put_new(&name, &finished.parts()).expect("stores");
    PackUse { id: finished.id, bytes: finished.bytes(), kind: Kind::Data }
}

/// A file for each pack but every sixteenth.
fn entries() -> impl Iterator<Item = Entry> {
    (0..PACKS).filter(|pack: &u64| !pack.is_multiple_of(16)).map(|pack| {
        let first = pack * CHUNKS_PER_PACK;
        let chunks = (first..first + NEEDED_PER_PACK).map(|n| ChunkRef { id: chunk(n), bytes: CHUNK_BYTES });
        let bytes = NEEDED_PER_PACK * u64::from(CHUNK_BYTES);
        file(format!("{pack:08}"), bytes, Content::Inline(chunks.collect()))
    })
}

fn fill(repo: &Repository) {
    let run = Run::new(repo.keys(), repo.config().repository).expect("run");
    let packs = (0..PACKS).map(|number| store_pack(repo, &run, number)).collect();
    let action = Action::Repack { packs, condemned: Vec::new() };
    repo.append::<Error>(NOW, &mut |_| Ok(Some(action.clone()))).expect("names the packs");
    let (record, written) = store(repo, entries());
    let snapshot = repo.keys().snapshot_id(&record.encode());
    let series = repo.keys().series_id(&record.source, &record.host);
    let draft = Draft { snapshot, series, started: NOW, complete: true, parent: None };
    commit(repo, &written, &draft, NOW, &|_| vec!["last".into()]).expect("commits");
}

fn planning(c: &mut Criterion) {
    let (storage, repo) = support::fresh();
    let started = Instant::now();
    fill(&repo);
    eprintln!("filled in {:?}", started.elapsed());
    let caches = tempfile::tempdir().expect("folder");
    let repo = support::repository(&storage, Some(caches.path()));
    let started = Instant::now();
    repo.catch_up().expect("indexes");
    repo.index().flush().expect("flushes");
    eprintln!("indexed in {:?}", started.elapsed());
    let options = Options { grace: Options::GRACE, max_unused_percent: Options::MAX_UNUSED_PERCENT, threads: 1 };
    let mut group = c.benchmark_group("prune plan");
    group.sample_size(10).throughput(Throughput::Elements(PACKS * CHUNKS_PER_PACK));
    group.bench_function("20,000 packs, 1,000,000 chunks", |b| {
        b.iter(|| {
            let plan = plan(&repo, &options, NOW).expect("plans");
            assert_eq!(plan.condemn.len() as u64, PACKS / 16);
            plan.repack.len()
        });
    });
    group.finish();
}

/// The decision alone, from facts.
fn deciding(c: &mut Criterion) {
    let facts = |number: u64| {
        let (id, unused_bytes): (PackId, u64) = (pack(number), (number % 16) << 20);
        let needed = !number.is_multiple_of(16);
        Facts { id, kind: Kind::Data, bytes: 16 << 20, chunks: 1000, standing: Standing::Live, needed, unused_bytes }
    };
    let facts: Vec<Facts> = (0..PACKS).map(facts).collect();
    let limits = Limits { grace: Duration::from_secs(604_800), max_unused_percent: 10.0 };
    c.bench_function("prune plan/decide on 20,000 packs", |b| {
        b.iter(|| decide(facts.iter().copied(), &limits, NOW).repack.len());
    });
}

criterion_group!(benches, planning, deciding);
criterion_main!(benches);
