//! A repository for tests: made in memory, with a clock that the test moves, and the verbs in one line each.
//!
//! Promise: `restored` reads a snapshot without the code of `ops::restore`, chunk by chunk, each by its name.
//! Left out on purpose: passwords. Everything is unlocked with a key file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use larder::chunking::Sizes;
use larder::crypto::keys::RootKey;
use larder::crypto::secret::Secret;
use larder::crypto::slot::Stretch;
use larder::format::listing::Node;
use larder::format::objects::WeekStart;
use larder::format::{Kind, Time};
use larder::id::SnapshotId;
use larder::ops::backup::{self, Mode};
use larder::progress::Silent;
use larder::repo::Repository;
use larder::repo::error::Error;
use larder::repo::listing::{Chunks, Entries};
use larder::repo::open::{self, NewRepository};
use larder::repo::slots::Credential;
use larder::repo::state::Snapshot;
use larder::source::Source;
use larder::storage::Storage;
use larder::storage::memory::Memory;

use crate::support::tree::{Tree, What};

/// Chunks so small that little data has many.
pub const SIZES: Sizes = Sizes { min: 256, average: 1024, max: 4096 };
/// 2024-01-01 12:00 UTC, a Monday.
pub const START: i64 = 1_704_110_400;
pub const HOUR: i64 = 60 * 60;
pub const DAY: i64 = 24 * HOUR;

/// A clock that only tests move. Clones show the same time.
#[derive(Debug, Clone)]
pub struct Clock {
    seconds: Arc<AtomicI64>,
    memory: Memory,
}

impl Clock {
    fn new(memory: &Memory) -> Self {
        let clock = Self { seconds: Arc::new(AtomicI64::new(START)), memory: memory.clone() };
        clock.advance(0);
        clock
    }

    pub fn now(&self) -> Time {
        Time { seconds: self.seconds.load(Ordering::SeqCst), nanos: 0 }
    }

    /// Moves the time of repository and storage alike.
    pub fn advance(&self, seconds: i64) {
        let now = self.seconds.fetch_add(seconds, Ordering::SeqCst) + seconds;
        self.memory.set_time(UNIX_EPOCH + Duration::from_secs(now as u64));
    }

    /// The same time, with the storage's told to another memory.
    pub fn of(&self, memory: &Memory) -> Self {
        let clock = Self { seconds: Arc::new(AtomicI64::new(self.now().seconds)), memory: memory.clone() };
        clock.advance(0);
        clock
    }
}

/// Where the client keeps its cache.
#[derive(Debug, Clone)]
pub enum Cache {
    /// Nowhere: every opening begins with an empty index.
    None,
    /// Below this folder.
    In(PathBuf),
}

impl Cache {
    fn folder(&self) -> Option<&Path> {
        match self {
            Cache::None => None,
            Cache::In(folder) => Some(folder),
        }
    }
}

/// A repository in memory.
pub struct TestRepo {
    pub memory: Memory,
    pub clock: Clock,
    pub root: RootKey,
}

fn credential() -> Credential {
    Credential::KeyFile(Secret::new([7; 32]))
}

/// Makes a repository in any storage.
pub fn create(storage: &dyn Storage, now: Time) -> Result<RootKey, Error> {
    let credential = credential();
    let new = NewRepository {
        time_zone: "UTC".into(),
        week_start: WeekStart::Monday,
        sizes: SIZES,
        credential: &credential,
        stretch: Stretch::None,
        now,
    };
    Ok(open::create(storage, &new)?.1)
}

/// Opens the repository that `create` made.
pub fn open_in(storage: Arc<dyn Storage>, cache: &Cache) -> Result<Repository, Error> {
    open_by(storage, &credential(), cache)
}

/// Opens it with another key.
pub fn open_by(storage: Arc<dyn Storage>, credential: &Credential, cache: &Cache) -> Result<Repository, Error> {
    Ok(open::open(storage, credential, cache.folder())?.0)
}

impl TestRepo {
    /// Empty, in a memory of its own.
    pub fn new() -> Self {
        let memory = Memory::new();
        let clock = Clock::new(&memory);
        let root = create(&memory, clock.now()).unwrap();
        Self { memory, clock, root }
    }

    /// Opens it as it lies in memory, without a cache.
    pub fn open(&self) -> Repository {
        self.open_with(&Cache::None)
    }

    pub fn open_with(&self, cache: &Cache) -> Repository {
        open_in(Arc::new(self.memory.clone()), cache).unwrap()
    }

    /// Backs up and says which snapshot it became.
    pub fn backup(&self, repo: &Repository, name: &str, tree: &Tree) -> SnapshotId {
        backup(repo, name, tree, &self.clock).unwrap().snapshot.unwrap()
    }
}

/// What all backups of these tests have in common. The name becomes the description.
pub fn options(name: &str) -> backup::Options {
    backup::Options {
        source: "tree".into(),
        host: "host".into(),
        user: "user".into(),
        description: name.into(),
        tags: Vec::new(),
        paths: vec![b"/tree".to_vec()],
        mode: Mode::Store,
        threads: 1,
    }
}

/// Backs up a source as the next snapshot of the series `tree`.
pub fn backup(
    repo: &Repository,
    name: &str,
    source: &dyn Source,
    clock: &Clock,
) -> Result<backup::Report, backup::Error> {
    backup::run(repo, source, &options(name), &|| clock.now(), &Silent)
}

/// Reads a whole snapshot back.
pub fn restored(repo: &Repository, snapshot: &Snapshot) -> Result<Tree, Error> {
    let faults = repo.catch_up()?;
    assert_eq!(faults, [], "packs that the log names cannot be read");
    let record = repo.record(snapshot)?;
    let mut tree = Tree::new();
    for entry in Entries::new(repo, &record.root) {
        let entry = entry?;
        let path = String::from_utf8(entry.path.clone()).unwrap();
        match &entry.node {
            Node::File { content, bytes, .. } => {
                let mut found = Vec::new();
                for chunk in Chunks::new(repo, content) {
                    found.extend(repo.chunk(Kind::Data, &chunk?)?);
                }
                assert_eq!(found.len() as u64, *bytes, "{path} is of another length than its entry says");
                tree = tree.file(&path, found, entry.mtime.seconds);
            }
            Node::Symlink { target } => {
                let target = String::from_utf8(target.clone()).unwrap();
                tree = tree.symlink(&path, &target, entry.mtime.seconds);
            }
            Node::Directory => {}
            other => panic!("{path} came back as {other:?}"),
        }
    }
    Ok(tree)
}

/// What each snapshot must restore to, by its description.
#[derive(Debug, Clone, Default)]
pub struct Known(BTreeMap<String, Tree>);

impl Known {
    pub fn put(&mut self, name: &str, tree: &Tree) {
        self.0.insert(name.to_owned(), tree.clone());
    }

    pub fn get(&self, name: &str) -> &Tree {
        self.0.get(name).unwrap_or_else(|| panic!("nobody backed up {name:?}"))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Restores every live snapshot, compares, and returns their descriptions in the order of the log.
    pub fn check(&self, repo: &Repository) -> Vec<String> {
        let state = repo.state();
        assert!(state.problems.is_empty(), "the log has problems: {:?}", state.problems);
        state.live().map(|snapshot| self.check_one(repo, snapshot)).collect()
    }

    fn check_one(&self, repo: &Repository, snapshot: &Snapshot) -> String {
        let name = repo.record(snapshot).unwrap().description;
        match restored(repo, snapshot) {
            Ok(tree) => assert_same(&name, &tree, self.get(&name)),
            Err(error) => panic!("snapshot {name:?} does not restore: {error}"),
        }
        name
    }
}

/// That two trees are the same, and if not, where.
pub fn assert_same(name: &str, found: &Tree, expected: &Tree) {
    let paths = |tree: &Tree| tree.leaves().keys().cloned().collect::<Vec<_>>();
    assert_eq!(paths(found), paths(expected), "snapshot {name:?} restores to other paths");
    for (path, leaf) in found.leaves() {
        let same = *leaf == expected.leaves()[path];
        let bytes = |leaf: &What| match leaf {
            What::File(bytes) => bytes.len(),
            What::Symlink(target) => target.len(),
        };
        let lens = (bytes(&leaf.what), bytes(&expected.leaves()[path].what));
        assert!(same, "snapshot {name:?} restores {path} with other bytes or times (lengths {lens:?})");
    }
}
