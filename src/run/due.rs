//! Whether something is due.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::config::{Missed, OnStart, Timetable};
use crate::format::Time;
use crate::run::World;

/// How late something may be that is not made up for when it was missed.
pub const LATE_MAX: Duration = Duration::from_secs(60 * 60);
/// Moments whose jitter is looked at: those of a week of minutes.
const MOMENTS_MAX: usize = 7 * 24 * 60;
/// By how much a clock may be behind what it said before and still count as the same clock, set right.
pub const STEP_SECONDS_MAX: i64 = 5 * 60;

/// Whose clock is asked.
#[derive(Debug, Clone, Copy)]
pub struct Clock<'c> {
    /// What it says.
    pub now: Time,
    /// When the machine, or what never rests on it, was started, if that is known.
    pub booted: Option<Time>,
    /// The machine's name.
    pub host: &'c str,
}

impl<'c> Clock<'c> {
    /// That of a run.
    pub fn of(world: &'c World<'_>) -> Self {
        Self { now: (world.now)(), booted: world.booted, host: &world.host }
    }

    /// Whether a time is one that this clock cannot have said: it was set back since.
    pub fn denies(&self, time: Time) -> bool {
        time.seconds > self.now.seconds.saturating_add(STEP_SECONDS_MAX)
    }
}

/// Whether something that was done last at this time, if ever, is due. What was never done is due at once.
///
/// `name` gives it a jitter of its own, which stays the same for the same moment.
pub fn is_due(timetable: &Timetable, last: Option<Time>, name: &str, world: &World<'_>) -> bool {
    let clock = Clock::of(world);
    next(timetable, last, name, &clock).is_some_and(|moment| moment <= clock.now.timestamp())
}

/// The moment at which something is due that was done last at this time, if ever; one that has passed if it is due.
pub fn next(timetable: &Timetable, last: Option<Time>, name: &str, clock: &Clock<'_>) -> Option<Timestamp> {
    if !timetable.enabled {
        return None;
    }
    let now = clock.now.timestamp();
    // One that was done in what is the future now: the clock was set back, and cannot tell. Waiting might take years.
    let Some(last) = last.filter(|last| !clock.denies(*last)) else { return Some(now) };
    let started_since = clock.booted.is_some_and(|booted| booted > last && booted <= clock.now);
    if timetable.on_start == OnStart::Run && started_since {
        return Some(now);
    }
    let last = last.timestamp();
    match timetable.missed {
        Missed::Run => following(timetable, last, name, clock.host),
        Missed::Skip => {
            let window = SignedDuration::try_from(LATE_MAX + timetable.jitter).unwrap_or(SignedDuration::MAX);
            let earliest = now.checked_sub(window).unwrap_or(Timestamp::MIN);
            following(timetable, earliest.max(last), name, clock.host)
        }
    }
}

/// The first moment of the timetable after a time, with its jitter.
pub fn following(timetable: &Timetable, after: Timestamp, name: &str, host: &str) -> Option<Timestamp> {
    let moment = timetable.cron.next(after, &timetable.zone)?;
    moment.checked_add(jitter(timetable, moment, &[name, host])).ok()
}

/// The first moment after a time at which it is due by its timetable. `None` where that does not count, or the calendar
/// ends.
pub fn coming(timetable: &Timetable, after: Time, name: &str, host: &str) -> Option<Time> {
    if !timetable.enabled {
        return None;
    }
    // One whose moment has passed can still be waiting for its jitter.
    let jitter_max = SignedDuration::try_from(timetable.jitter).unwrap_or(SignedDuration::MAX);
    let mut from = after.timestamp().checked_sub(jitter_max).unwrap_or(Timestamp::MIN);
    for _ in 0..MOMENTS_MAX {
        let moment = timetable.cron.next(from, &timetable.zone)?;
        let later = moment.checked_add(jitter(timetable, moment, &[name, host])).ok()?;
        if later > after.timestamp() {
            return Some(Time { seconds: later.as_second(), nanos: 0 });
        }
        from = moment;
    }
    None
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
