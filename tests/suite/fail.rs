//! Every storage call of every job fails, in turn: with an error of the medium or for want of space, before or after it
//! took effect, once or from then on. A job may succeed only if what it made can be restored by somebody who has
//! nothing but the storage and the key; if it fails, everything older can be; and a run without faults succeeds.
//!
//! By default three of the eight kinds of fault are tried at each call, in turn; with `LARDER_TEST_ALL=1` all.

use std::sync::Arc;

use larder::storage::ErrorKind;

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

/// The faults to try at a call.
fn faults(at: u64) -> Vec<Fault> {
    let mut all = Vec::new();
    for kind in [ErrorKind::Other, ErrorKind::NoSpace] {
        for moment in [Moment::Before, Moment::After] {
            for lasts in [Lasts::Once, Lasts::FromThenOn] {
                all.push(Fault { at, of: Of::Every, kind, lasts, moment });
            }
        }
    }
    if !exhaustive() {
        // Strides of three visit all eight over eight calls.
        let turn = (at * 3) as usize % all.len();
        all.rotate_left(turn);
        all.truncate(3);
    }
    all
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
