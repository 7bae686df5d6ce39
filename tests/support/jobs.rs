//! Jobs to be interrupted: what each finds, does, and must leave.
//!
//! Promise: `Job::judge` says what may be there after any interruption: never less than what the job leaves alone, never
//! more than what it makes. Left out on purpose: how a job is interrupted.

use std::sync::Arc;
use std::time::Duration;

use larder::crypto::keys::RootKey;
use larder::crypto::secret::Secret;
use larder::crypto::slot::Stretch;
use larder::format::log::{Action, TagAction, TagChange};
use larder::id::{SlotId, SnapshotId};
use larder::ops::check::{self, Depth, Part};
use larder::ops::forget::{self, What};
use larder::ops::retention::Policy;
use larder::ops::{prune, tag};
use larder::progress::Silent;
use larder::repo::Repository;
use larder::repo::error::Error;
use larder::repo::slots::{self, Credential};
use larder::repo::state::Snapshot;
use larder::storage::Storage;
use larder::storage::memory::Memory;

use crate::support::past::{Ground, MONDAY, Names, OTHER, TUESDAY, WEDNESDAY, past, past_with};
use crate::support::repo::{Cache, Clock, DAY, backup, open_by, open_in};

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
        // A stop between the two copies of a slot leaves one. It opens the repository all the same, and `check` names it.
        let half_slot = |what: &String| self.name.starts_with("key") && what.starts_with("keys/");
        let damage: Vec<String> = damage(&repo).into_iter().filter(|what| !half_slot(what)).collect();
        assert_eq!(damage, [""; 0]);
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
        if *outcome == Outcome::Done && self.name.starts_with("key") {
            let opens = open_by(Arc::new(memory.clone()), &second_key(), cache).is_ok();
            assert_eq!(opens, self.name == "key add", "whether the second key opens it");
        }
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
    assert_eq!(damage(repo), [""; 0]);
}

/// What `check` says, with all data read.
pub fn damage(repo: &Repository) -> Vec<String> {
    let report = check::run(repo, Depth::Data(Part::All), 1, &Silent).unwrap();
    report.problems.iter().map(|problem| format!("{}: {}", problem.object, problem.what)).collect()
}

/// Takes all tags from the first live snapshot of this name.
pub fn drop_tags(repo: &Repository, name: &str, clock: &Clock) -> Result<(), String> {
    let appended = repo.append::<Error>(clock.now(), &mut |state| {
        let named = |s: &&Snapshot| repo.record(s).is_ok_and(|record| record.description == name);
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
        $macro! { first_backup second_backup unchanged_backup untag forget_by_id forget_by_policy tag_a_live_one tag_a_forgotten_one key_add key_remove prune_at_once prune_with_grace sweep repack }
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

/// The snapshot of this name, live or not.
pub fn find(repo: &Repository, name: &str) -> SnapshotId {
    let state = repo.state();
    let mut named = state.snapshots().iter().filter(|s| repo.record(s).is_ok_and(|record| record.description == name));
    named.next().unwrap_or_else(|| panic!("no snapshot {name:?}")).id
}

/// Sets a tag, and thereby brings back what was forgotten.
pub fn add_tag(repo: &Repository, name: &str, word: &str, clock: &Clock) -> Result<tag::Report, tag::Error> {
    tag::run(repo, find(repo, name), &[word.to_owned()], &[], clock.now())
}

pub fn forget_by_id() -> Job {
    Job {
        name: "forget by id",
        prepare: || past(&[MONDAY, TUESDAY, WEDNESDAY]),
        run: |_, repo, clock| {
            let state = repo.state();
            let mut ids = vec![find(repo, MONDAY), find(repo, TUESDAY)];
            ids.retain(|id| state.snapshot(id).is_some_and(Snapshot::is_live));
            forget::apply(repo, &What::Ids(ids), clock.now()).map(drop).map_err(|error| error.to_string())
        },
        before: &[MONDAY, TUESDAY, WEDNESDAY],
        after: &[WEDNESDAY],
    }
}

pub fn forget_by_policy() -> Job {
    Job {
        name: "forget by policy",
        prepare: || past(&[MONDAY, TUESDAY, WEDNESDAY]),
        run: |_, repo, clock| {
            let policy = Policy { last: 1, daily: 1, ..Policy::NOTHING };
            let what = What::Policy { policy, source: None };
            forget::apply(repo, &what, clock.now()).map(drop).map_err(|error| error.to_string())
        },
        before: &[MONDAY, TUESDAY, WEDNESDAY],
        // Monday was the first of its day.
        after: &[MONDAY, WEDNESDAY],
    }
}

pub fn tag_a_live_one() -> Job {
    Job {
        name: "tag a live one",
        prepare: || past(&[MONDAY, TUESDAY]),
        run: |_, repo, clock| add_tag(repo, MONDAY, "mine", clock).map(drop).map_err(|error| error.to_string()),
        before: &[MONDAY, TUESDAY],
        after: &[MONDAY, TUESDAY],
    }
}

/// What it needs is condemned and must be rescued.
pub fn tag_a_forgotten_one() -> Job {
    Job {
        name: "tag a forgotten one",
        prepare: || {
            past_with(&[OTHER, MONDAY], |test, repo| {
                drop_tags(repo, OTHER, &test.clock).unwrap();
                let report = prune(repo, prune::Options::GRACE, 100.0, &test.clock).unwrap();
                assert!(report.condemned.packs > 1, "{report:?}");
            })
        },
        run: |_, repo, clock| add_tag(repo, OTHER, "mine", clock).map(drop).map_err(|error| error.to_string()),
        before: &[MONDAY],
        after: &[OTHER, MONDAY],
    }
}

/// The other slot stays.
pub fn key_remove() -> Job {
    Job {
        name: "key remove",
        prepare: || {
            past_with(&[MONDAY], |test, repo| {
                add_key(repo, &test.root, &test.clock).unwrap();
            })
        },
        run: |_, repo, clock| {
            let found = slots::read_slots(repo.storage().as_ref(), repo.config().repository);
            let found = found.map_err(|error| error.to_string())?;
            let second = found.slots.iter().find(|slot| slot.label == "second");
            let Some(second) = second else { return Ok(()) };
            slots::remove(repo, second.slot, clock.now()).map_err(|error| error.to_string())
        },
        before: &[MONDAY],
        after: &[MONDAY],
    }
}

fn second_key() -> Credential {
    Credential::KeyFile(Secret::new([8; 32]))
}

fn add_key(repo: &Repository, root: &RootKey, clock: &Clock) -> Result<SlotId, Error> {
    slots::add(repo, root, &second_key(), Stretch::None, "second", clock.now())
}

pub fn key_add() -> Job {
    Job {
        name: "key add",
        prepare: || past(&[MONDAY]),
        run: |ground, repo, clock| add_key(repo, &ground.root, clock).map(drop).map_err(|error| error.to_string()),
        before: &[MONDAY],
        after: &[MONDAY],
    }
}

/// Prunes, and repacks what more than so many percent of are unused.
pub fn prune(
    repo: &Repository,
    grace: Duration,
    max_unused_percent: f64,
    clock: &Clock,
) -> Result<prune::Report, String> {
    let options = prune::Options { grace, max_unused_percent, threads: 1 };
    let now = || clock.now();
    prune::run(repo, &options, &now, &Silent)
        .map_err(|error| format!("{error}: {:?}", std::error::Error::source(&error)))
}

/// What that prune would report.
pub fn rehearse(repo: &Repository, grace: Duration, max_unused_percent: f64, clock: &Clock) -> prune::Report {
    let options = prune::Options { grace, max_unused_percent, threads: 2 };
    prune::rehearse::run(repo, &options, clock.now(), &Silent).unwrap()
}

/// Two snapshots were forgotten, one of which shares something with one that stays.
fn partly_forgotten() -> Ground {
    past_with(&[OTHER, MONDAY, TUESDAY, WEDNESDAY], |test, repo| {
        drop_tags(repo, OTHER, &test.clock).unwrap();
        drop_tags(repo, MONDAY, &test.clock).unwrap();
    })
}

pub fn prune_at_once() -> Job {
    Job {
        name: "prune at once",
        prepare: partly_forgotten,
        run: |_, repo, clock| {
            let report = prune(repo, Duration::ZERO, 100.0, clock)?;
            assert_eq!(report.repacked.packs, 0);
            Ok(())
        },
        before: &[TUESDAY, WEDNESDAY],
        after: &[TUESDAY, WEDNESDAY],
    }
}

pub fn prune_with_grace() -> Job {
    Job {
        name: "prune with grace",
        prepare: partly_forgotten,
        run: |_, repo, clock| {
            let report = prune(repo, prune::Options::GRACE, 0.0, clock)?;
            // Only a repacking that found no space takes back at once what it had written.
            assert!(report.swept.packs == 0 || report.repack_failed.is_some(), "{report:?}");
            Ok(())
        },
        before: &[TUESDAY, WEDNESDAY],
        after: &[TUESDAY, WEDNESDAY],
    }
}

/// What an earlier prune condemned has had its time.
pub fn sweep() -> Job {
    Job {
        name: "sweep",
        prepare: || {
            past_with(&[OTHER, MONDAY, TUESDAY, WEDNESDAY], |test, repo| {
                drop_tags(repo, OTHER, &test.clock).unwrap();
                drop_tags(repo, MONDAY, &test.clock).unwrap();
                let report = prune(repo, prune::Options::GRACE, 100.0, &test.clock).unwrap();
                assert!(report.condemned.packs > 1, "{report:?}");
                test.clock.advance(8 * DAY);
            })
        },
        run: |_, repo, clock| prune(repo, prune::Options::GRACE, 100.0, clock).map(drop),
        before: &[TUESDAY, WEDNESDAY],
        after: &[TUESDAY, WEDNESDAY],
    }
}

pub fn repack() -> Job {
    Job {
        name: "repack",
        prepare: partly_forgotten,
        run: |_, repo, clock| prune(repo, Duration::ZERO, 0.0, clock).map(drop),
        before: &[TUESDAY, WEDNESDAY],
        after: &[TUESDAY, WEDNESDAY],
    }
}
