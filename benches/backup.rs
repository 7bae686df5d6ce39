//! Whole backups of a generated tree: the first, an unchanged rerun (its comparing alone is in `merge_join`), and reading it all back.

mod support;

use std::path::Path;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use larder::ops::backup::{self, Mode, Options};
use larder::ops::restore;
use larder::progress::Silent;
use larder::repo::Repository;
use larder::source::directory::DirectorySource;

use support::{NOW, fresh, repository};

const FILES: usize = 4000;

/// Small files of text, a few large ones of noise: 4,000 files, about 50 MB.
fn corpus(folder: &Path) -> u64 {
    let mut word = 1u64;
    let mut bytes = 0;
    for n in 0..FILES {
        let below = folder.join(format!("{:02}", n % 64));
        std::fs::create_dir_all(&below).expect("folder");
        let mut content = Vec::new();
        let len = if n % 200 == 0 { 1 << 20 } else { 500 + n % 16_000 };
        while content.len() < len {
            word = word.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            if n % 200 == 0 {
                content.extend_from_slice(&word.to_le_bytes());
            } else {
                content.extend_from_slice(format!("line {} of {n}\n", word >> 48).as_bytes());
            }
        }
        bytes += content.len() as u64;
        std::fs::write(below.join(format!("{n}.txt")), content).expect("file");
    }
    bytes
}

fn back_up(repo: &Repository, folder: &Path) -> backup::Report {
    let source = DirectorySource::new(vec![folder.to_path_buf()], Default::default()).expect("source");
    let options = Options {
        source: "bench".into(),
        host: "bench".into(),
        user: "bench".into(),
        description: String::new(),
        tags: Vec::new(),
        paths: Vec::new(),
        mode: Mode::Store,
        threads: 2,
    };
    backup::run(repo, &source, &options, &|| NOW, &Silent).expect("backup")
}

fn backups(c: &mut Criterion) {
    let folder = tempfile::tempdir().expect("folder");
    let bytes = corpus(folder.path());
    let mut group = c.benchmark_group("backup");
    group.sample_size(10).throughput(Throughput::Bytes(bytes));
    group.bench_function("first", |b| {
        b.iter_batched(fresh, |(_, repo)| back_up(&repo, folder.path()), BatchSize::PerIteration);
    });
    let (storage, repo) = fresh();
    let report = back_up(&repo, folder.path());
    group.bench_function("unchanged", |b| b.iter(|| back_up(&repo, folder.path()).unchanged_files));
    let repo = repository(&storage, None);
    let state = repo.state();
    let snapshot = report.snapshot.and_then(|id| state.snapshot(&id).cloned()).expect("snapshot");
    let root = repo.record(&snapshot).expect("record").root;
    let options = restore::Options {
        existing: restore::Existing::Refuse,
        extra: restore::Extra::Leave,
        owners: restore::Owners::AsStored,
        verify: restore::Verify::No,
        mode: restore::Mode::Write,
        include: Vec::new(),
        exclude: Vec::new(),
        threads: 2,
    };
    group.bench_function("restore", |b| {
        b.iter_batched(
            || tempfile::tempdir().expect("folder"),
            |target| {
                restore::run(&repo, &root, b"", target.path(), &options, &Silent).expect("restore");
                target
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

criterion_group!(benches, backups);
criterion_main!(benches);
