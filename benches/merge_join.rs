//! An unchanged rerun without its walk: 100,000 entries against the parent's listing.

#[path = "support/listing.rs"]
mod listing;
mod support;

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use larder::format::content::{ChunkRef, Content};
use larder::format::listing::Entry;
use larder::index::synthetic::chunk;
use larder::ops::backup::compare::Parent;

use listing::{file, store};

const FILES: u64 = 100_000;

fn entries() -> impl Iterator<Item = Entry> {
    (0..FILES).map(|n| {
        let content = Content::Inline(vec![ChunkRef { id: chunk(n), bytes: 1000 }]);
        file(format!("{:04}/{n:08}.txt", n / 100), 1000, content)
    })
}

fn merge_join(c: &mut Criterion) {
    let (_, repo) = support::fresh();
    let (record, _) = store(&repo, entries());
    let mut group = c.benchmark_group("merge join");
    group.sample_size(10).throughput(Throughput::Elements(FILES));
    let mut run = |what: &str, changed_every: usize| {
        let mut seen: Vec<Entry> = entries().collect();
        seen.iter_mut().step_by(changed_every).for_each(|entry| entry.mtime.nanos += 1);
        group.bench_function(what, |b| {
            let setup = || (Parent::new(&repo, &record), seen.clone());
            b.iter_batched(
                setup,
                |(mut parent, mut seen)| {
                    let taken =
                        seen.iter_mut().filter_map(|entry| parent.take_over(entry).expect("reads").then_some(()));
                    black_box(taken.count())
                },
                BatchSize::PerIteration,
            );
        });
    };
    run("all but one unchanged", FILES as usize);
    run("every tenth changed", 10);
    group.finish();
}

criterion_group!(benches, merge_join);
criterion_main!(benches);
