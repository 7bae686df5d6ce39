//! When something is due: a calendar expression of five fields, in a time zone.
//!
//! Promise: pure; the same expression, zone and time always give the same answer. A local time that a clock change skips
//! counts as the moment after the gap, and one that happens twice counts the first time, so that "02:30 every day" runs
//! once on every day of the year.
//! Left out on purpose: the clock, and what is to be run.

use std::ops::RangeInclusive;
use std::str::FromStr;

use jiff::civil::{Date, DateTime, Time as Clock};
use jiff::tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase};
use jiff::{Span, Timestamp, ToSpan as _};

/// How many days ahead a next time is looked for: 29 February of a leap year, on a given weekday, can be 40 years off.
const DAYS_AHEAD_MAX: i32 = 366 * 41;

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// Minutes, hours, days of the month, months and days of the week, as cron writes them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expression {
    minutes: Set,
    hours: Set,
    days: Set,
    months: Set,
    weekdays: Set,
    /// Whether a day must only be one of `days` or one of `weekdays`: so when both are restricted.
    either_day: bool,
}

/// Numbers from 0 to 63.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Set(u64);

/// What an expression allows, for those who write it down another way. Numbers rise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fields {
    /// Minutes of the hour.
    pub minutes: Vec<u8>,
    /// Hours of the day.
    pub hours: Vec<u8>,
    /// Days of the month.
    pub days: Vec<u8>,
    /// Months, January being 1.
    pub months: Vec<u8>,
    /// Days of the week, Sunday being 0.
    pub weekdays: Vec<u8>,
    /// How the two kinds of days go together.
    pub which_days: WhichDays,
}

/// How days of the month and days of the week go together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhichDays {
    /// A day must be one of both.
    Both,
    /// One of either will do.
    Either,
}

impl Set {
    fn numbers(self, range: RangeInclusive<u8>) -> Vec<u8> {
        range.filter(|number| self.0 >> number & 1 == 1).collect()
    }

    fn has(self, number: i8) -> bool {
        u32::try_from(number).is_ok_and(|number| number < 64 && self.0 >> number & 1 == 1)
    }
}

/// What one field may hold.
struct Field {
    name: &'static str,
    range: RangeInclusive<u32>,
    names: &'static [&'static str],
}

const FIELDS: [Field; 5] = [
    Field { name: "minute", range: 0..=59, names: &[] },
    Field { name: "hour", range: 0..=23, names: &[] },
    Field { name: "day of the month", range: 1..=31, names: &[] },
    Field { name: "month", range: 1..=12, names: &MONTHS },
    // Sunday is 0 and 7.
    Field { name: "day of the week", range: 0..=7, names: &WEEKDAYS },
];

impl FromStr for Expression {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let shorthand = match text.trim() {
            "@hourly" => "0 * * * *",
            "@daily" | "@midnight" => "0 0 * * *",
            "@weekly" => "0 0 * * 0",
            "@monthly" => "0 0 1 * *",
            "@yearly" | "@annually" => "0 0 1 1 *",
            other => other,
        };
        let words: Vec<&str> = shorthand.split_whitespace().collect();
        let words: [&str; 5] = words
            .as_slice()
            .try_into()
            .map_err(|_| format!("{text:?} has {} fields, not five: minute, hour, day, month, weekday", words.len()))?;
        let mut sets = [Set(0); 5];
        for ((set, field), word) in sets.iter_mut().zip(&FIELDS).zip(words) {
            *set = field.parse(word)?;
        }
        let [minutes, hours, days, months, mut weekdays] = sets;
        weekdays.0 |= weekdays.0 >> 7 & 1;
        let either_day = !words[2].starts_with('*') && !words[4].starts_with('*');
        let expression = Self { minutes, hours, days, months, weekdays, either_day };
        if expression.days_exist() { Ok(expression) } else { Err(format!("{text:?} never happens: no such date")) }
    }
}

impl Field {
    fn parse(&self, word: &str) -> Result<Set, String> {
        let mut set = 0;
        for part in word.split(',') {
            set |= self.part(part).ok_or_else(|| {
                let (first, last) = (self.range.start(), self.range.end());
                format!("{part:?} is no {}: {first} to {last}, *, a-b, or one of these with /step", self.name)
            })?;
        }
        Ok(Set(set))
    }

    /// `*`, `n`, `a-b`, and each with `/step`.
    fn part(&self, part: &str) -> Option<u64> {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, digits(step).filter(|step| *step > 0)?),
            None => (part, 1),
        };
        let (first, last) = if range == "*" {
            (*self.range.start(), *self.range.end())
        } else if let Some((first, last)) = range.split_once('-') {
            (self.number(first)?, self.number(last)?)
        } else {
            let first = self.number(range)?;
            // `5/10` means from 5 on, as cron has it.
            (first, if part.contains('/') { *self.range.end() } else { first })
        };
        (first <= last).then(|| (first..=last).step_by(step as usize).fold(0, |set, number| set | 1 << number))
    }

    fn number(&self, text: &str) -> Option<u32> {
        let lower = text.to_ascii_lowercase();
        let named = self.names.iter().position(|name| *name == lower).map(|at| at as u32 + self.range.start());
        named.or_else(|| digits(text)).filter(|number| self.range.contains(number))
    }
}

fn digits(text: &str) -> Option<u32> {
    let plain = !text.is_empty() && text.len() < 4 && text.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}

impl Expression {
    /// What it allows.
    pub fn fields(&self) -> Fields {
        Fields {
            minutes: self.minutes.numbers(0..=59),
            hours: self.hours.numbers(0..=23),
            days: self.days.numbers(1..=31),
            months: self.months.numbers(1..=12),
            weekdays: self.weekdays.numbers(0..=6),
            which_days: if self.either_day { WhichDays::Either } else { WhichDays::Both },
        }
    }

    /// The moments from one time to another that stand for local times which a clock change skips.
    pub fn skipped(&self, zone: &Zone, from: Timestamp, until: Timestamp) -> Vec<Timestamp> {
        let mut skipped = Vec::new();
        for change in zone.0.following(from).take_while(|change| change.timestamp() < until) {
            let Ok(before) = change.timestamp().checked_sub(1.second()) else { continue };
            let gap = change.offset().seconds() - zone.0.to_offset(before).seconds();
            let mut last = before;
            while let Some(moment) = self
                .next(last, zone)
                .filter(|moment| gap > 0 && moment.as_second() < change.timestamp().as_second() + i64::from(gap))
            {
                let local = zone.0.to_datetime(moment);
                if !self.matches_day(local.date())
                    || self.clock_from(local.hour(), local.minute()) != Some(local.time())
                {
                    skipped.push(moment);
                }
                last = moment;
            }
        }
        skipped
    }

    /// Whether there is any date with such a day and month.
    fn days_exist(&self) -> bool {
        let longest = |month: i8| match month {
            2 => 29,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        let in_month = |month: i8| (1..=longest(month)).any(|day| self.days.has(day));
        self.either_day || (1..=12).any(|month| self.months.has(month) && in_month(month))
    }

    fn matches_day(&self, date: Date) -> bool {
        let by_month = self.days.has(date.day());
        let by_week = self.weekdays.has(date.weekday().to_sunday_zero_offset());
        let day = if self.either_day { by_month || by_week } else { by_month && by_week };
        day && self.months.has(date.month())
    }

    /// The first time of day from a minute on that matches.
    fn clock_from(&self, hour: i8, minute: i8) -> Option<Clock> {
        let minute_from = |first: i8| (first..60).find(|minute| self.minutes.has(*minute));
        (hour..24).filter(|at| self.hours.has(*at)).find_map(|at| {
            let minute = minute_from(if at == hour { minute } else { 0 })?;
            Some(Clock::constant(at, minute, 0, 0))
        })
    }

    /// The first local time at or after this one that matches.
    fn next_local(&self, from: DateTime) -> Option<DateTime> {
        let mut from = from;
        for _ in 0..DAYS_AHEAD_MAX {
            if self.matches_day(from.date())
                && let Some(clock) = self.clock_from(from.hour(), from.minute())
            {
                return Some(from.date().to_datetime(clock));
            }
            from = from.date().tomorrow().ok()?.to_datetime(Clock::midnight());
        }
        None
    }

    /// The first time after this one at which it is due. `None` where the calendar ends.
    pub fn next(&self, after: Timestamp, zone: &Zone) -> Option<Timestamp> {
        let minute = Span::new().minutes(1);
        // An hour or more earlier by the clock on the wall: in the hour that happens twice, the wall says less than before.
        let local = zone.0.to_datetime(after).checked_sub(3.hours()).ok()?;
        let mut from = local.date().to_datetime(Clock::constant(local.hour(), local.minute(), 0, 0));
        // Local times that do not exist come after the gap: later, perhaps, than the next one that does.
        let mut after_gap = None;
        loop {
            let Some(local) = self.next_local(from) else { return after_gap };
            let ambiguous = zone.0.to_ambiguous_timestamp(local);
            let in_gap = matches!(ambiguous.offset(), AmbiguousOffset::Gap { .. });
            let time = ambiguous.compatible().ok()?;
            if time > after && !in_gap {
                return Some(after_gap.map_or(time, |after_gap: Timestamp| after_gap.min(time)));
            }
            if time > after && after_gap.is_none() {
                after_gap = Some(time);
            }
            from = local.checked_add(minute).ok()?;
        }
    }
}

/// A time zone, by its IANA name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone(TimeZone);

impl FromStr for Zone {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = TimeZone::get(name).or_else(|_| TimeZoneDatabase::bundled().get(name));
        found.map(Self).map_err(|_| format!("{name:?} is no time zone: an IANA name such as Europe/Berlin or UTC"))
    }
}

impl Zone {
    /// Universal time.
    pub const UTC: Self = Self(TimeZone::UTC);

    /// Whether its clock always says the same as that of another.
    pub fn is_like(&self, other: &Self) -> bool {
        // UTC has many names.
        let fixed = |zone: &TimeZone| {
            let changes = zone.following(Timestamp::UNIX_EPOCH).next().is_some();
            (!changes).then(|| zone.to_offset(Timestamp::UNIX_EPOCH))
        };
        self == other || fixed(&self.0).is_some_and(|offset| fixed(&other.0) == Some(offset))
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }
}

#[cfg(test)]
#[path = "schedule_tests.rs"]
mod tests;
