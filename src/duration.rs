//! Durations as people write them: `30s`, `10min`, `12h`, `7d`, `1w`, `3m`, `1y`, `0s`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::Span;

/// So many of a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Length {
    number: u32,
    unit: Unit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Second,
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Year,
}

/// Most of any unit: about three thousand years of months.
const NUMBER_MAX: u32 = 40_000;

const DAY: u64 = 24 * 60 * 60;

impl FromStr for Length {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("{text:?} is no duration: a number and s, min, h, d, w, m (months) or y, such as 7d");
        let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
        let number: u32 = digits.parse().map_err(|_| bad())?;
        let unit = match &text[digits.len()..] {
            "s" => Unit::Second,
            "min" => Unit::Minute,
            "h" => Unit::Hour,
            "d" => Unit::Day,
            "w" => Unit::Week,
            "m" => Unit::Month,
            "y" => Unit::Year,
            _ => return Err(bad()),
        };
        if number > NUMBER_MAX && unit != Unit::Second {
            return Err(format!("{text} is longer than anything lasts"));
        }
        Ok(Self { number, unit })
    }
}

impl fmt::Display for Length {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = match self.unit {
            Unit::Second => "second",
            Unit::Minute => "minute",
            Unit::Hour => "hour",
            Unit::Day => "day",
            Unit::Week => "week",
            Unit::Month => "month",
            Unit::Year => "year",
        };
        let ending = if self.number == 1 { "" } else { "s" };
        write!(f, "{} {unit}{ending}", self.number)
    }
}

impl Length {
    /// By the calendar: a month is a month.
    pub fn span(self) -> Span {
        let number = i64::from(self.number);
        match self.unit {
            Unit::Second => Span::new().seconds(number),
            Unit::Minute => Span::new().minutes(number),
            Unit::Hour => Span::new().hours(number),
            Unit::Day => Span::new().days(number),
            Unit::Week => Span::new().weeks(number),
            // Within the limits of `jiff`: 19,998 years.
            Unit::Month => Span::new().months(number),
            Unit::Year => Span::new().years(number.min(9999)),
        }
    }

    /// By the clock: a month has 30 days, a year 365.
    pub fn duration(self) -> Duration {
        let seconds = match self.unit {
            Unit::Second => 1,
            Unit::Minute => 60,
            Unit::Hour => 60 * 60,
            Unit::Day => DAY,
            Unit::Week => 7 * DAY,
            Unit::Month => 30 * DAY,
            Unit::Year => 365 * DAY,
        };
        Duration::from_secs(u64::from(self.number) * seconds)
    }
}

#[cfg(test)]
#[path = "duration_tests.rs"]
mod tests;
