//! The machine stops at every storage call of every job, in turn. Nothing that was there before is lost, nothing that
//! was reported as done is missing, nothing counts as damaged, and the job can be done again.
//!
//! After each stop every different state is tried that a disk may show: all unsynced changes kept, none, only the last,
//! or some by a coin. By default one coin is thrown; with `LARDER_TEST_ALL=1` thirty-two.

use std::sync::Arc;
use std::time::Duration;

use larder::repo::catalog::Catalog;
use larder::repo::state::Fate;
use larder::storage::memory::Memory;

use crate::support::CallKind;
use crate::support::crashing::{Crashing, Stop, Unsynced};
use crate::support::jobs::{Job, Outcome, drop_tags, prune};
use crate::support::meanwhile::Meanwhile;
use crate::support::past::{Ground, MONDAY, OTHER, copy_of, past_with};
use crate::support::repo::{Cache, Clock, DAY, create, open_in};
use crate::support::{exhaustive, told};

macro_rules! survive_a_stop_at_every_call {
    ($($job:ident)*) => {
        $(#[test]
        fn $job() {
            super::stop_at_every_call(&crate::support::jobs::$job());
        })*
    };
}

mod survives_a_stop_at_every_call {
    crate::support::jobs::every_job! { survive_a_stop_at_every_call }
}

fn stop_at_every_call(job: &Job) {
    let ground = (job.prepare)();
    let calls = count_calls(job, &ground);
    let states: u64 = (0..=calls).map(|at| stop_at(job, &ground, at)).sum();
    assert!(states > calls, "{calls} calls left {states} states");
    println!("{}: {calls} calls, {states} states", job.name);
}

fn count_calls(job: &Job, ground: &Ground) -> u64 {
    let crashing = Arc::new(Crashing::new(ground.memory(), Stop::Never));
    let cache = ground.cache();
    let clock = ground.clock.of(&ground.memory());
    let outcome = job.attempt(ground, crashing.clone(), &Cache::In(cache.path().to_owned()), &clock);
    assert_eq!(outcome, Outcome::Done, "{}", job.name);
    crashing.calls()
}

/// Returns how many different states a stop there can leave.
fn stop_at(job: &Job, ground: &Ground, at: u64) -> u64 {
    let memory = ground.memory();
    let clock = ground.clock.of(&memory);
    let crashing = Arc::new(Crashing::new(memory, Stop::AfterCalls(at)));
    let cache = ground.cache();
    let outcome = job.attempt(ground, crashing.clone(), &Cache::In(cache.path().to_owned()), &clock);
    let survivors = survivors(&crashing, at);
    for (unsynced, memory) in &survivors {
        told(&format!("{}, stopped after call {at}, {unsynced:?}, {outcome:?}", job.name), || {
            recover(job, ground, memory, &cache, &clock, &outcome);
        });
    }
    survivors.len() as u64
}

/// What the disk may show, each different state once.
fn survivors(crashing: &Crashing, at: u64) -> Vec<(Unsynced, Memory)> {
    let coins = if exhaustive() { 32 } else { 1 };
    let scattered = (0..coins).map(|coin| Unsynced::Scattered(at * 100 + coin));
    let mut different: Vec<(Unsynced, Memory)> = Vec::new();
    for unsynced in [Unsynced::Kept, Unsynced::Lost, Unsynced::OnlyLast].into_iter().chain(scattered) {
        let memory = crashing.survivors(unsynced);
        if different.iter().all(|(_, other)| other.snapshot() != memory.snapshot()) {
            different.push((unsynced, memory));
        }
    }
    different
}

fn recover(job: &Job, ground: &Ground, memory: &Memory, cache: &tempfile::TempDir, clock: &Clock, outcome: &Outcome) {
    // The crashed client's own cache, as it was; and none.
    let old = copy_of(cache);
    let old = Cache::In(old.path().to_owned());
    job.judge(ground, memory, &Cache::None, outcome);
    job.judge(ground, memory, &old, outcome);
    let clock = clock.of(memory);
    clock.advance(60);
    let again = job.attempt(ground, Arc::new(memory.clone()), &old, &clock);
    assert_eq!(again, Outcome::Done, "the job cannot be done again");
    job.judge(ground, memory, &Cache::None, &again);
}

/// What a killed backup leaves goes in the end: after a day, or after thirty if the snapshot could be salvaged.
#[test]
fn what_a_killed_backup_leaves_goes_in_the_end() {
    let job = crate::support::jobs::second_backup();
    let ground = (job.prepare)();
    let mut longest = 0;
    for at in 0..=count_calls(&job, &ground) {
        let memory = ground.memory();
        let clock = ground.clock.of(&memory);
        let crashing = Arc::new(Crashing::new(memory, Stop::AfterCalls(at)));
        job.attempt(&ground, crashing.clone(), &Cache::None, &clock);
        for (unsynced, memory) in survivors(&crashing, at) {
            let clock = clock.of(&memory);
            let pruned = |days: i64| {
                clock.advance(days * DAY + 60);
                let repo = open_in(Arc::new(memory.clone()), &Cache::None).unwrap();
                let report = prune(&repo, Duration::ZERO, 100.0, &clock).unwrap();
                let state = repo.refresh().unwrap();
                let unnamed = Catalog::list(&repo).unwrap().keys().filter(|id| state.fate(id).is_none()).count();
                assert_eq!(
                    unnamed > 0,
                    report.notes.iter().any(|note| note.contains("--salvage")),
                    "{at} {unsynced:?}"
                );
                unnamed
            };
            longest = longest.max(pruned(1));
            assert_eq!(pruned(29), 0, "{at}, {unsynced:?}");
        }
    }
    assert!(longest > 0, "no run was stopped between its record and its entry");
}

/// What `init` leaves is a repository, or can be made one by another `init` after the folder was emptied; never
/// something that looks like one and does not open.
#[test]
fn a_repository_made_half_is_none_or_opens() {
    let now = larder::format::Time { seconds: 1, nanos: 0 };
    let whole = Crashing::new(Memory::new(), Stop::Never);
    create(&whole, now).unwrap();
    for at in 0..=whole.calls() {
        let crashing = Crashing::new(Memory::new(), Stop::AfterCalls(at));
        let made = create(&crashing, now).is_ok();
        for (unsynced, memory) in survivors(&crashing, at) {
            match open_in(Arc::new(memory), &Cache::None) {
                Ok(repo) => assert_eq!(repo.state().head, 0),
                Err(larder::repo::error::Error::NotARepository) => assert!(!made, "{at} {unsynced:?}: made, and gone"),
                Err(error) => panic!("{at} {unsynced:?}: {error}"),
            }
        }
    }
}

/// Two prunes on one machine. The first is held up between its sweep entry and the barrier that follows; the second sees
/// the sweep and deletes. Wherever the machine stops then: no pack is gone that the log does not call swept.
#[test]
fn no_pack_is_deleted_by_a_sweep_that_may_be_lost() {
    let ground = past_with(&[OTHER, MONDAY], |test, repo| {
        drop_tags(repo, OTHER, &test.clock).unwrap();
        prune(repo, Duration::from_secs(7 * 24 * 3600), 100.0, &test.clock).unwrap();
    });
    let mut deletes_survived = 0;
    for at in 0..80 {
        let memory = ground.memory();
        let clock = ground.clock.of(&memory);
        let crashing = Arc::new(Crashing::new(memory, Stop::AfterCalls(at)));
        let meanwhile = Arc::new(Meanwhile::new(crashing.clone()));
        let (second, now) = (crashing.clone(), clock.clone());
        meanwhile.before(CallKind::PutNew, "log/", || {});
        meanwhile.before(CallKind::Barrier, "", move || {
            let repo = open_in(second, &Cache::None);
            let _stopped = repo.map(|repo| prune(&repo, Duration::ZERO, 100.0, &now));
        });
        let first = open_in(meanwhile.clone(), &Cache::None);
        let _stopped = first.map(|repo| prune(&repo, Duration::ZERO, 100.0, &clock));
        for (unsynced, memory) in survivors(&crashing, at) {
            let repo = open_in(Arc::new(memory.clone()), &Cache::None).unwrap();
            let listed = Catalog::list(&repo).unwrap();
            for (pack, known) in repo.state().packs() {
                let there = listed.contains_key(pack);
                assert!(there || known.fate == Fate::Swept, "{at}, {unsynced:?}: {pack} is gone and {:?}", known.fate);
                deletes_survived += u32::from(!there);
            }
        }
    }
    assert!(deletes_survived > 0, "nothing was ever deleted");
}
