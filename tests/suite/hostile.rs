//! Listings that larder would never write, made by somebody who has the keys.
//!
//! Promise: whatever they say, nothing appears outside the target, nothing panics, nothing takes for ever, and what
//! cannot be restored is reported. Left out on purpose: hostile bytes without keys (`damage`, `flips`, the codecs).

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use larder::format::Time;
use larder::format::listing::Entry;
use larder::format::pages::Page;
use larder::format::record::{Counts, ListingRoot, Record};
use larder::id::SnapshotId;
use larder::ops::check::{Depth, Part};
use larder::ops::{cat, check, prune, restore};
use larder::progress::Silent;
use larder::repo::Repository;
use larder::repo::catalog::Catalog;
use larder::repo::commit::{Draft, commit};
use larder::repo::write::{Mode, Writer};
use larder::storage::memory::Memory;

use crate::support::damage_repo::{NOW, Tree, back_up, chain, make, open_memory, read_back, scratch, tree};

mod contents;
mod names;
mod pages;
mod types;

/// A repository that somebody with the keys writes to.
struct Kit {
    repo: Repository,
}

impl Kit {
    fn new() -> Self {
        let memory = Memory::new();
        make(&memory);
        Self { repo: open_memory(&memory, None).unwrap() }
    }

    /// Commits a snapshot whose listing is what `write` stores.
    fn plant(&self, write: impl FnOnce(&mut Writer) -> ListingRoot) -> Planted<'_> {
        let repo = &self.repo;
        let catalog = Catalog::survey(repo).unwrap();
        let mut writer = Writer::new(repo, &catalog, 1, Mode::Store).unwrap();
        let root = write(&mut writer);
        let record = Record {
            source: "docs".into(),
            host: "host".into(),
            user: String::new(),
            paths: Vec::new(),
            description: String::new(),
            started: NOW,
            ended: NOW,
            complete: true,
            parent: None,
            root,
            counts: Counts::default(),
            unique: [1; 16],
            program: String::new(),
            extension: Vec::new(),
        };
        let bytes = record.encode();
        let snapshot = repo.keys().snapshot_id(&bytes);
        let written = writer.drain().unwrap().finish(Some(&bytes)).unwrap();
        let series = repo.keys().series_id("docs", "host");
        let draft = Draft { snapshot, series, started: NOW, complete: true, parent: None };
        commit(repo, &written, &draft, NOW, &|_| vec!["last".into()]).unwrap();
        Planted { kit: self, snapshot, root }
    }

    /// A snapshot of one page with these entries.
    fn plant_entries(&self, entries: &[Entry]) -> Planted<'_> {
        self.plant(|writer| leaf(writer, entries))
    }
}

/// Stores a page as the whole listing, whatever is on it.
fn leaf(writer: &mut Writer, entries: &[Entry]) -> ListingRoot {
    let bytes = Page::Leaf(entries.to_vec()).encode();
    let page = page(writer, &bytes);
    ListingRoot { page, level: 0, entries: entries.len() as u64 }
}

/// Stores a page.
fn page(writer: &mut Writer, bytes: &[u8]) -> larder::format::content::ChunkRef {
    larder::format::content::ChunkRef { id: writer.page(bytes).unwrap(), bytes: bytes.len() as u32 }
}

/// A hostile snapshot in its repository.
struct Planted<'k> {
    kit: &'k Kit,
    snapshot: SnapshotId,
    root: ListingRoot,
}

/// What a restore did.
struct Restored {
    /// What lies in the target: paths, lossily.
    there: Vec<String>,
    said: Vec<String>,
}

impl Planted<'_> {
    /// Restores it (twice: the second time over the first), then runs every other verb. Nothing may touch what lies
    /// beside the target.
    fn restore(&self) -> Restored {
        let guard = scratch();
        let target = guard.path().join("target");
        fs::create_dir(guard.path().join("outside")).unwrap();
        fs::write(guard.path().join("outside/canary"), b"alive").unwrap();
        let before = beside(guard.path());
        let mut said = Vec::new();
        for existing in [restore::Existing::Refuse, restore::Existing::Replace] {
            let messages = self.restore_to(&target, existing);
            assert_eq!(beside(guard.path()), before, "something appeared outside the target");
            if existing == restore::Existing::Refuse {
                said = messages;
            }
        }
        let mut there = Vec::new();
        walk(&target, &target, &mut there);
        self.survive();
        Restored { there, said }
    }

    fn restore_to(&self, target: &Path, existing: restore::Existing) -> Vec<String> {
        let options = restore::Options {
            existing,
            extra: restore::Extra::Leave,
            owners: restore::Owners::AsStored,
            verify: restore::Verify::Everything,
            mode: restore::Mode::Write,
            include: Vec::new(),
            exclude: Vec::new(),
            threads: 2,
        };
        match restore::run(&self.kit.repo, &self.root, b"", target, &options, &Silent) {
            Ok(report) => {
                let said = report.problems.iter().chain(&report.warnings);
                said.map(|m| format!("{}: {}", String::from_utf8_lossy(&m.path), m.message)).collect()
            }
            Err(error) => vec![chain(&error)],
        }
    }

    /// The other verbs come across it, too.
    fn survive(&self) {
        let repo = &self.kit.repo;
        let (found, _) = read_back(repo, &self.root);
        for path in found.keys() {
            let _ = cat::cat(repo, &self.root, &path.0, &mut std::io::sink(), 1);
        }
        let report = check::run(repo, Depth::Data(Part::All), 1, &Silent).unwrap();
        let _ = report.problems.len();
        let now = Time { seconds: NOW.seconds + 1_000_000, ..NOW };
        let options = prune::Options { grace: Duration::ZERO, max_unused_percent: 0.0, threads: 1 };
        let _ = prune::run(repo, &options, &|| now, &Silent);
        // A backup that compares with it stores what it should.
        let harmless: Tree = tree([("a".to_owned(), crate::support::damage_repo::Leaf::Folder)]);
        let stored = back_up(repo, "docs", &harmless, 10).unwrap().snapshot.unwrap();
        let state = repo.state();
        let record = repo.record(state.snapshot(&stored).unwrap()).unwrap();
        assert_eq!(read_back(repo, &record.root), (harmless, Vec::new()));
        assert!(state.snapshot(&self.snapshot).is_some());
    }

    /// What check says about it.
    fn check(&self) -> Vec<String> {
        let report = check::run(&self.kit.repo, Depth::Structure, 1, &Silent).unwrap();
        report.problems.iter().map(|problem| format!("{}: {}", problem.object, problem.what)).collect()
    }
}

/// Everything that lies beside the target, with its content.
fn beside(guard: &Path) -> Vec<(String, Vec<u8>)> {
    let mut names = Vec::new();
    walk(guard, guard, &mut names);
    names.retain(|name| !name.starts_with("target"));
    names.into_iter().map(|name| (name.clone(), fs::read(guard.join(name)).unwrap_or_default())).collect()
}

fn walk(root: &Path, folder: &Path, names: &mut Vec<String>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.unwrap().path();
        names.push(String::from_utf8_lossy(path.strip_prefix(root).unwrap().as_os_str().as_bytes()).into_owned());
        if path.symlink_metadata().unwrap().is_dir() {
            walk(root, &path, names);
        }
    }
    names.sort();
}

/// Asserts that decoding refuses, with these words, and that every verb lives with it.
fn refused(entries: &[Entry], words: &str) {
    let error = Page::decode(&Page::Leaf(entries.to_vec()).encode()).expect_err(words).to_string();
    assert!(error.contains(words), "{error}");
    let kit = Kit::new();
    let planted = kit.plant_entries(entries);
    let problems = planted.check();
    assert!(problems.iter().any(|problem| problem.contains(words)), "{words}: {problems:?}");
    let restored = planted.restore();
    assert!(restored.said.iter().any(|said| said.contains(words)), "{words}: {:?}", restored.said);
    assert_eq!(restored.there, [""; 0], "{words}");
}
