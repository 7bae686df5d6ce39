//! Jobs to be interrupted: what each finds, does, and must leave.
//!
//! Promise: `Job::judge` says what may be there after any interruption: never less than what the job leaves alone, never
//! more than what it makes. Left out on purpose: how a job is interrupted.

use std::path::Path;
use std::sync::Arc;

use larder::crypto::keys::RootKey;
use larder::crypto::secret::Secret;
use larder::crypto::slot::Stretch;
use larder::format::log::{Action, TagAction, TagChange};
use larder::repo::Repository;
use larder::repo::catalog::Catalog;
use larder::repo::error::Error;
use larder::repo::slots::{self, Credential};
use larder::storage::Storage;
use larder::storage::memory::{Image, Memory};

use crate::support::repo::{Cache, Clock, HOUR, Known, TestRepo, backup, open_in};
use crate::support::tree::{Tree, noise, text};

/// Names of snapshots.
pub type Names = &'static [&'static str];

/// What somebody does to a repository.
pub struct Job {
    pub name: &'static str,
    /// What is there before.
    pub prepare: fn() -> Ground,
    pub run: fn(&Ground, &Repository, &Clock) -> Result<(), String>,
    /// The snapshots live before, and after it succeeded.
    pub before: Names,
    pub after: Names,
}

/// A repository with a past, from which a job begins as often as a test wants.
pub struct Ground {
    pub image: Image,
    pub known: Known,
    pub root: RootKey,
    pub clock: Clock,
    cache: tempfile::TempDir,
}

impl Ground {
    /// The repository as the job finds it, in a memory of its own.
    pub fn memory(&self) -> Memory {
        Memory::from_image(self.image.clone())
    }

    /// The client's cache as the job finds it, in a folder of its own.
    pub fn cache(&self) -> tempfile::TempDir {
        copy_of(&self.cache)
    }
}

/// A folder with all that is in another.
pub fn copy_of(folder: &tempfile::TempDir) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    copy_folder(folder.path(), copy.path());
    copy
}

fn copy_folder(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            std::fs::create_dir(&target).unwrap();
            copy_folder(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

impl Job {
    /// Opens the repository and does the job. An error is what a person would be told.
    pub fn attempt(&self, ground: &Ground, storage: Arc<dyn Storage>, cache: &Cache, clock: &Clock) -> Outcome {
        let repo = match open_in(storage, cache) {
            Ok(repo) => repo,
            Err(error) => return Outcome::Failed(format!("open: {error}")),
        };
        match (self.run)(ground, &repo, clock) {
            Ok(()) => Outcome::Done,
            Err(error) => Outcome::Failed(error),
        }
    }

    /// Opens the repository as an interruption left it, and says what is wrong: nothing may be damaged, every live
    /// snapshot must restore, and the right ones must be live.
    pub fn judge(&self, ground: &Ground, memory: &Memory, cache: &Cache, outcome: &Outcome) {
        let repo = open_in(Arc::new(memory.clone()), cache).unwrap_or_else(|error| panic!("does not open: {error}"));
        no_damage(&repo);
        let live = ground.known.check(&repo);
        let expected = |names: Names, name: &str| names.contains(&name);
        for name in self.before.iter().chain(self.after) {
            let stays = expected(self.before, name) && expected(self.after, name);
            let must = if *outcome == Outcome::Done { expected(self.after, name) } else { stays };
            let may = if *outcome == Outcome::Done { must } else { true };
            let there = live.iter().any(|live| live == name);
            assert!(there || !must, "snapshot {name:?} is gone; live are {live:?}");
            assert!(may || !there, "snapshot {name:?} is still live; live are {live:?}");
        }
        let odd = |oddity: &&String| !(self.name.starts_with("key") && oddity.contains("keys/"));
        let odd: Vec<_> = repo.oddities.iter().filter(odd).collect();
        assert!(odd.is_empty(), "oddities: {odd:?}");
        let strange = |live: &&String| !expected(self.before, live) && !expected(self.after, live);
        assert_eq!(live.iter().find(strange), None, "nobody makes this snapshot");
    }
}

/// How a job ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Done,
    Failed(String),
}

/// That nothing in the repository is damaged or missing.
pub fn no_damage(repo: &Repository) {
    let faults = Catalog::survey(repo).unwrap().faults;
    assert!(faults.is_empty(), "faults: {faults:?}");
}

pub const MONDAY: &str = "monday";
pub const TUESDAY: &str = "tuesday";
pub const WEDNESDAY: &str = "wednesday";

pub fn monday() -> Tree {
    Tree::new()
        .file("docs/plan", text(1, 12_000), 100)
        .file("docs/old", text(2, 8_000), 100)
        .file("noise", noise(3, 6_000), 100)
        .symlink("latest", "docs/plan", 100)
}

/// Shares `docs/plan` with monday.
pub fn tuesday() -> Tree {
    monday().without("docs/old").file("noise", noise(4, 5_000), 200).file("docs/new", text(5, 9_000), 200)
}

/// Shares something with both; `docs/old` comes back.
pub fn wednesday() -> Tree {
    tuesday().file("docs/old", text(2, 8_000), 300).file("more", text(6, 3_000), 300)
}

/// A repository in which these were backed up, one hour after the other.
pub fn past(names: Names) -> Ground {
    past_with(names, |_, _| {})
}

/// The same, and something was done to it afterwards.
pub fn past_with(names: Names, then: impl FnOnce(&TestRepo, &Repository)) -> Ground {
    let test = TestRepo::new();
    let cache = tempfile::tempdir().unwrap();
    let mut known = Known::default();
    for (name, tree) in [(MONDAY, monday()), (TUESDAY, tuesday()), (WEDNESDAY, wednesday())] {
        known.put(name, &tree);
    }
    let repo = test.open_with(&Cache::In(cache.path().to_owned()));
    for name in names {
        test.clock.advance(HOUR);
        test.backup(&repo, name, known.get(name));
    }
    then(&test, &repo);
    drop(repo);
    test.clock.advance(HOUR);
    Ground { image: test.memory.snapshot(), known, root: test.root, clock: test.clock, cache }
}

/// Takes all tags from the first live snapshot of this name.
pub fn drop_tags(repo: &Repository, name: &str, clock: &Clock) -> Result<(), String> {
    let appended = repo.append::<Error>(clock.now(), &mut |state| {
        let named = |s: &&larder::repo::state::Snapshot| repo.record(s).is_ok_and(|record| record.description == name);
        let Some(snapshot) = state.live().find(named) else { return Ok(None) };
        let remove = snapshot.tags.iter().cloned().collect();
        let change = TagChange { snapshot: snapshot.id, add: Vec::new(), remove };
        Ok(Some(Action::Untag(TagAction { changes: vec![change], rescue: Vec::new() })))
    });
    appended.map(drop).map_err(|error| error.to_string())
}

fn back_up(ground: &Ground, name: &str, repo: &Repository, clock: &Clock) -> Result<(), String> {
    backup(repo, name, ground.known.get(name), clock).map(drop).map_err(|error| error.to_string())
}

/// Calls a macro with the names of all jobs.
macro_rules! every_job {
    ($macro:ident) => {
        $macro! { first_backup second_backup unchanged_backup untag key_add }
    };
}
pub(crate) use every_job;

pub fn first_backup() -> Job {
    Job {
        name: "first backup",
        prepare: || past(&[]),
        run: |ground, repo, clock| back_up(ground, MONDAY, repo, clock),
        before: &[],
        after: &[MONDAY],
    }
}

pub fn second_backup() -> Job {
    Job {
        name: "second backup",
        prepare: || past(&[MONDAY]),
        run: |ground, repo, clock| back_up(ground, TUESDAY, repo, clock),
        before: &[MONDAY],
        after: &[MONDAY, TUESDAY],
    }
}

pub fn unchanged_backup() -> Job {
    Job {
        name: "unchanged backup",
        prepare: || past(&[MONDAY, TUESDAY]),
        run: |ground, repo, clock| back_up(ground, TUESDAY, repo, clock),
        before: &[MONDAY, TUESDAY],
        after: &[MONDAY, TUESDAY],
    }
}

pub fn untag() -> Job {
    Job {
        name: "untag",
        prepare: || past(&[MONDAY, TUESDAY]),
        run: |_, repo, clock| drop_tags(repo, MONDAY, clock),
        before: &[MONDAY, TUESDAY],
        after: &[TUESDAY],
    }
}

pub fn key_add() -> Job {
    Job {
        name: "key add",
        prepare: || past(&[MONDAY]),
        run: |ground, repo, clock| {
            let credential = Credential::KeyFile(Secret::new([8; 32]));
            let added = slots::add(repo, &ground.root, &credential, Stretch::None, "second", clock.now());
            added.map(drop).map_err(|error| error.to_string())
        },
        before: &[MONDAY],
        after: &[MONDAY],
    }
}
