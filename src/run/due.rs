//! Whether something is due.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::config::{Missed, OnStart, Timetable};
use crate::format::Time;
use crate::run::World;

/// How late something may be that is not made up for when it was missed.
const LATE_MAX: Duration = Duration::from_secs(60 * 60);

/// Whether something that was done last at this time, if ever, is due. What was never done is due at once.
///
/// `name` gives it a jitter of its own, which stays the same for the same moment.
pub fn is_due(timetable: &Timetable, last: Option<Time>, name: &str, world: &World<'_>) -> bool {
    if !timetable.enabled {
        return false;
    }
    let now = (world.now)();
    // One that was done in what is the future now: the clock was set back, and cannot tell. Waiting might take years.
    let Some(last) = last.filter(|last| *last <= now) else { return true };
    let started_since = world.booted.is_some_and(|booted| booted > last);
    if timetable.on_start == OnStart::Run && started_since {
        return true;
    }
    let moment = |after: Timestamp| {
        let moment = timetable.cron.next(after, &timetable.zone)?;
        moment.checked_add(jitter(timetable, moment, &[name, &world.host])).ok()
    };
    let now = now.timestamp();
    match timetable.missed {
        Missed::Run => moment(last.timestamp()).is_some_and(|moment| moment <= now),
        Missed::Skip => {
            let window = SignedDuration::try_from(LATE_MAX + timetable.jitter).unwrap_or(SignedDuration::MAX);
            let earliest = now.checked_sub(window).unwrap_or(Timestamp::MIN);
            moment(earliest.max(last.timestamp())).is_some_and(|moment| moment <= now)
        }
    }
}

fn jitter(timetable: &Timetable, moment: Timestamp, whose: &[&str]) -> SignedDuration {
    let seconds = timetable.jitter.as_secs();
    if seconds == 0 {
        return SignedDuration::ZERO;
    }
    let mut hasher = DefaultHasher::new();
    (moment.as_second(), whose).hash(&mut hasher);
    SignedDuration::from_secs(i64::try_from(hasher.finish() % seconds).unwrap_or(0))
}

#[cfg(test)]
#[path = "due_tests.rs"]
mod tests;
