//! Every storage call of every job fails, in turn: with an error of the medium or for want of space, before or after it
//! took effect, once or from then on. A job may succeed only if what it made can be restored by somebody who has
//! nothing but the storage and the key; if it fails, everything older can be; and a run without faults succeeds.
//!
//! By default three of the eight kinds of fault are tried at each call, both errors among them; with `LARDER_TEST_ALL=1`
//! all.

use std::sync::Arc;

use larder::ops::retention::flaw;
use larder::run::daemon::Place as _;
use larder::run::drill::{self, Verdict};
use larder::run::report::{SourceReport, Status};
use larder::run::{self, Request};
use larder::storage::ErrorKind;
use tempfile::TempDir;

use crate::support::CallKind;
use crate::support::days::{Days, Store, key};
use crate::support::failing::{Failing, Fault, Lasts, Moment, Of};
use crate::support::jobs::{Job, Outcome};
use crate::support::past::Ground;
use crate::support::repo::Cache;
use crate::support::{exhaustive, told};

macro_rules! tell_the_truth {
    ($($job:ident)*) => {
        $(#[test]
        fn $job() {
            super::fail_every_call(&crate::support::jobs::$job());
        })*
    };
}

mod tells_the_truth_when_a_call_fails {
    crate::support::jobs::every_job! { tell_the_truth }
}

fn fail_every_call(job: &Job) {
    let ground = (job.prepare)();
    let (mut done, mut failed) = (0, 0);
    for at in 0..count_calls(job, &ground) {
        for fault in faults(at) {
            match fail_at(job, &ground, fault) {
                Outcome::Done => done += 1,
                Outcome::Failed(_) => failed += 1,
            }
        }
    }
    assert!(failed > 0, "no fault was noticed");
    println!("{}: {done} faults were overcome, {failed} reported", job.name);
}

fn count_calls(job: &Job, ground: &Ground) -> u64 {
    let memory = ground.memory();
    let clock = ground.clock.of(&memory);
    let failing = Arc::new(Failing::never(Arc::new(memory)));
    let cache = ground.cache();
    let outcome = job.attempt(ground, failing.clone(), &Cache::In(cache.path().to_owned()), &clock);
    assert_eq!(outcome, Outcome::Done, "{}", job.name);
    failing.calls()
}

/// The faults to try at a call: each kind once, and one of them from then on; before or after the call, in turn.
fn faults(at: u64) -> Vec<Fault> {
    let fault = |kind, lasts, moment| Fault { at, of: Of::Every, kind, lasts, moment };
    let kinds = [ErrorKind::Other, ErrorKind::NoSpace];
    let moments = [Moment::Before, Moment::After];
    if exhaustive() {
        let lasts = [Lasts::Once, Lasts::FromThenOn];
        let of = |kind| lasts.into_iter().flat_map(move |lasts| moments.map(|moment| fault(kind, lasts, moment)));
        return kinds.into_iter().flat_map(of).collect();
    }
    let [turn, next] = [at as usize % 2, (at as usize + 1) % 2];
    vec![
        fault(ErrorKind::Other, Lasts::Once, moments[turn]),
        fault(ErrorKind::NoSpace, Lasts::Once, moments[next]),
        fault(kinds[at as usize / 2 % 2], Lasts::FromThenOn, moments[turn]),
    ]
}

fn fail_at(job: &Job, ground: &Ground, fault: Fault) -> Outcome {
    let memory = ground.memory();
    let clock = ground.clock.of(&memory);
    let cache = ground.cache();
    let own = Cache::In(cache.path().to_owned());
    let failing = Arc::new(Failing::new(Arc::new(memory.clone()), fault));
    let outcome = job.attempt(ground, failing, &own, &clock);
    told(&format!("{}, {fault:?}, {outcome:?}", job.name), || {
        job.judge(ground, &memory, &Cache::None, &outcome);
        clock.advance(60);
        let again = job.attempt(ground, Arc::new(memory.clone()), &own, &clock);
        assert_eq!(again, Outcome::Done, "the job cannot be done again");
        job.judge(ground, &memory, &Cache::None, &again);
    });
    outcome
}

#[test]
fn every_call_meets_both_errors_once() {
    for at in 0..8 {
        for kind in [ErrorKind::Other, ErrorKind::NoSpace] {
            assert!(faults(at).iter().any(|fault| fault.kind == kind && fault.lasts == Lasts::Once), "{at} {kind:?}");
        }
    }
}

/// A repository in memory, and the same one, of which a read fails; a source, and drills in a folder.
fn of_which_a_read_fails(folder: &TempDir, at: u64, lasts: Lasts) -> (Days, Days, Arc<Failing>) {
    let start = "2026-03-10T12:00:00Z";
    let plain = Days::new(folder.path(), start, "UTC");
    let Store::Memory(memory) = &plain.store else { panic!("it is in memory") };
    let fault = Fault { at, of: Of::Kind(CallKind::Get), kind: ErrorKind::Other, lasts, moment: Moment::Before };
    let failing = Arc::new(Failing::new(Arc::new(memory.clone()), fault));
    let days = Days::with(Store::Any(failing.clone()), key(), folder.path(), start);
    let text = format!(
        "[repository]\npath = \"/r\"\n[drill]\ndirectory = \"{}\"\ncron = \"0 0 1 1 *\"\nenabled = false\n\
         [source.flows]\nkind = \"command\"\ncommand = [\"echo\", \"[1]\"]\nfile = \"flows.json\"\n",
        folder.path().display()
    );
    [&plain, &days].iter().for_each(|days| drop(days.text.replace(text.clone())));
    (plain, days, failing)
}

/// Runs the source, if the repository can be opened.
fn run(days: &Days) -> Option<SourceReport> {
    let (config, mut report) = (days.config().unwrap(), None);
    let turned = days.turn(&config, &mut |repo, world| {
        let sources: Vec<_> = config.sources.iter().collect();
        report = repo.ok().map(|repo| run::run(repo, &config, &sources, &Request::default(), world).unwrap());
    });
    turned.unwrap();
    report.and_then(|report| report.sources.into_iter().next())
}

/// What could not be read back for a moment may be as good as ever: it keeps its place.
#[test]
fn a_read_that_fails_is_no_flaw_of_a_snapshot() {
    let mut not_verified = 0;
    for at in 0.. {
        let folder = TempDir::new().unwrap();
        let (plain, days, failing) = of_which_a_read_fails(&folder, at, Lasts::Once);
        let source = run(&days);
        if failing.calls() <= at {
            break;
        }
        let state = plain.open().unwrap().state();
        let flawed = state.snapshots().iter().find_map(flaw);
        assert_eq!(flawed, None, "the read of number {at}");
        if source.is_some_and(|source| source.status == Status::Failed && source.verified == Some(false)) {
            not_verified += 1;
            assert_eq!(plain.snapshots("flows").len(), 1);
            assert!(plain.snapshots("flows")[0].contains("daily"), "{:?}", plain.snapshots("flows"));
        }
    }
    assert!(not_verified > 0, "no read of the verification failed");
}

/// Nor is it damage that a drill meets.
#[test]
fn a_drill_whose_repository_does_not_answer_is_no_verdict() {
    let mut untried = 0;
    for at in 0.. {
        let folder = TempDir::new().unwrap();
        let (plain, days, failing) = of_which_a_read_fails(&folder, at, Lasts::FromThenOn);
        assert_eq!(run(&plain).unwrap().status, Status::Done);
        let (config, mut drilled) = (days.config().unwrap(), None);
        let turned = days.turn(&config, &mut |repo, world| {
            let sources: Vec<_> = config.sources.iter().collect();
            drilled = repo.ok().and_then(|repo| drill::run(repo, &config, &sources, world).pop());
        });
        turned.unwrap();
        if failing.calls() <= at {
            break;
        }
        if let Some(drilled) = drilled {
            assert!(drilled.verdict == Verdict::Untried && !drilled.damaged, "the read of number {at}: {drilled:?}");
            untried += 1;
        }
    }
    assert!(untried > 0, "no read of the drill failed");
}
