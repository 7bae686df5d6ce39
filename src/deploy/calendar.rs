//! Calendar expressions as systemd and cron write them.
//!
//! Promise: what is written names the moments of the expression it was made of, and no other; `systemd-analyze calendar`
//! and cron's own parser are held to that in the tests.

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};

use crate::schedule::{Expression, Fields, WhichDays, Zone};

const WEEKDAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
/// For how many years clock changes are looked ahead; nobody knows longer what a government decides.
const YEARS_AHEAD: i64 = 10;

/// Values of `OnCalendar=` that together name the moments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnCalendar {
    /// Those that come again and again.
    pub always: Vec<String>,
    /// systemd passes over local times that a clock change skips: the moments after the gap, one by one, for some years.
    pub skipped: Vec<String>,
}

/// What systemd has to be told.
pub fn on_calendar(cron: &Expression, zone: &Zone, now: Timestamp) -> OnCalendar {
    let fields = cron.fields();
    let clock = format!("{}:{}:00 {}", list(&fields.hours, 24, ".."), list(&fields.minutes, 60, ".."), zone.name());
    let months = list(&fields.months, 12, "..");
    let (weekdays, days) = (weekdays(&fields.weekdays), list(&fields.days, 31, ".."));
    let always = match fields.which_days {
        WhichDays::Both => vec![format!("{weekdays}*-{months}-{days} {clock}")],
        WhichDays::Either => vec![format!("*-{months}-{days} {clock}"), format!("{weekdays}*-{months}-* {clock}")],
    };
    let until = now.to_zoned(TimeZone::UTC).saturating_add(YEARS_AHEAD.years()).timestamp();
    let skipped = cron.skipped(zone, now, until).into_iter();
    let skipped = skipped.map(|moment| moment.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()).collect();
    OnCalendar { always, skipped }
}

/// With a space behind it; nothing if any day will do.
fn weekdays(from_sunday: &[u8]) -> String {
    if from_sunday.len() == 7 {
        return String::new();
    }
    let mut from_monday: Vec<u8> = from_sunday.iter().map(|day| (day + 6) % 7).collect();
    from_monday.sort_unstable();
    let names: Vec<&str> = from_monday.iter().map(|day| WEEKDAYS[usize::from(*day)]).collect();
    names.join(",") + " "
}

/// Numbers as a list of ranges; `*` if all of so many are there.
fn list(numbers: &[u8], all: usize, to: &str) -> String {
    if numbers.len() == all { "*".to_owned() } else { ranges(numbers, to) }
}

fn ranges(numbers: &[u8], to: &str) -> String {
    let runs = numbers.chunk_by(|a, b| a + 1 == *b);
    let parts = runs.map(|run| match run {
        [first, _, .., last] => format!("{first}{to}{last}"),
        few => few.iter().map(u8::to_string).collect::<Vec<_>>().join(","),
    });
    parts.collect::<Vec<_>>().join(",")
}

/// The five fields as any cron reads them: numbers and ranges only. `None` if they cannot say it.
pub fn crontab(cron: &Expression) -> Option<String> {
    let fields = cron.fields();
    let (days, weekdays) = days(&fields)?;
    let (minutes, hours) = (list(&fields.minutes, 60, "-"), list(&fields.hours, 24, "-"));
    Some(format!("{minutes} {hours} {days} {} {weekdays}", list(&fields.months, 12, "-")))
}

/// A star at the beginning of either is how cron knows that a day must be one of both.
fn days(fields: &Fields) -> Option<(String, String)> {
    match fields.which_days {
        WhichDays::Either => Some((ranges(&fields.days, "-"), ranges(&fields.weekdays, "-"))),
        WhichDays::Both if fields.days.len() == 31 || fields.weekdays.len() == 7 => {
            Some((list(&fields.days, 31, "-"), list(&fields.weekdays, 7, "-")))
        }
        WhichDays::Both => {
            let days = (2..=31).find(|step| (1..=31).step_by(*step).eq(fields.days.iter().copied()));
            let weekdays = (2..=7).find(|step| (0..=6).step_by(*step).eq(fields.weekdays.iter().copied()));
            match (days, weekdays) {
                (_, Some(step)) => Some((ranges(&fields.days, "-"), format!("*/{step}"))),
                (Some(step), None) => Some((format!("*/{step}"), ranges(&fields.weekdays, "-"))),
                (None, None) => None,
            }
        }
    }
}

#[cfg(test)]
#[path = "calendar_tests.rs"]
mod tests;
