//! Whether a source's newest complete snapshot is as new as it is meant to be, and will be.
//!
//! Pure: facts in, verdict out.

use std::time::Duration;

use serde::Serialize;

use crate::format::Time;
use crate::run::due::{LATE_MAX, STEP_SECONDS_MAX};

/// The share of the age allowed after which a source without a schedule is at risk.
const AT_RISK_SHARE: f64 = 0.8;

/// How an objective stands, the worst last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Objective {
    /// There is none.
    None,
    /// The newest complete snapshot is new enough, and the next one will come in time.
    Met,
    /// It is new enough, and may not be for long.
    AtRisk,
    /// It is too old, or there is none.
    Missed,
}

impl Objective {
    /// In a word or two, for people.
    pub const fn word(self) -> &'static str {
        match self {
            Objective::None => "-",
            Objective::Met => "met",
            Objective::AtRisk => "at risk",
            Objective::Missed => "missed",
        }
    }
}

/// What an objective is judged by.
#[derive(Debug, Clone, Copy)]
pub struct Facts {
    /// Now.
    pub now: Time,
    /// How old the newest complete snapshot may be.
    pub max_age: Option<Duration>,
    /// When it was begun.
    pub last: Option<Time>,
    /// The first moment after it at which a schedule wants another; `None` without a schedule.
    pub expected: Option<Time>,
    /// How long a run takes, in seconds.
    pub takes_seconds: f64,
    /// Whether the last run of the source failed.
    pub failed: bool,
}

/// Judges, and says why it is not well.
pub fn judge(facts: &Facts) -> (Objective, Option<String>) {
    let Some(max_age) = facts.max_age else { return (Objective::None, None) };
    let Some(last) = facts.last else {
        return (Objective::Missed, Some("there is no complete snapshot".to_owned()));
    };
    let (age, max_age) = (facts.now.seconds_since(last), max_age.as_secs_f64());
    if age > max_age {
        return (Objective::Missed, Some("the newest complete snapshot is too old".to_owned()));
    }
    match risk(facts, age, max_age) {
        Some(reason) => (Objective::AtRisk, Some(reason)),
        None => (Objective::Met, None),
    }
}

fn risk(facts: &Facts, age: f64, max_age: f64) -> Option<String> {
    if -age > STEP_SECONDS_MAX as f64 {
        return Some("the newest snapshot is of the future: the clock was set back".to_owned());
    }
    if facts.failed {
        return Some("the last run failed".to_owned());
    }
    let Some(expected) = facts.expected else {
        let late = age > AT_RISK_SHARE * max_age;
        return late.then(|| "most of max_age has passed, and no schedule says when the next run is".to_owned());
    };
    let late_seconds = facts.now.seconds_since(expected);
    if late_seconds > LATE_MAX.as_secs_f64() {
        return Some(format!("what was due at {} left no complete snapshot", expected.rfc3339()));
    }
    // Seconds from now on: until the next run would have ended, and until the newest snapshot is too old.
    let ends = facts.takes_seconds - late_seconds.min(0.0);
    (ends > max_age - age).then(|| "the next run comes too late".to_owned())
}

#[cfg(test)]
#[path = "objective_tests.rs"]
mod tests;
