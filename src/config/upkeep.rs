//! `[prune]` and `[check]`: what is done for the repository, each when its own schedule says so.

use std::time::Duration;

use crate::config::Timetable;
use crate::config::reading::Section;
use crate::duration::Length;

/// How long what is condemned can be had back, unless something else is said.
const GRACE: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// Into how many parts a check divides the repository, unless something else is said.
const PARTS: u64 = 30;

/// What is done for the repository; nothing if nothing is said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Upkeep {
    /// When space is freed, and how.
    pub prune: Option<Prune>,
    /// When stored data are proven, and how much at a time.
    pub check: Option<Check>,
}

/// When space is freed, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prune {
    /// When.
    pub timetable: Timetable,
    /// How long what is condemned can be had back.
    pub grace: Duration,
    /// The share of the repository that may be unused, in percent; the usual one if nothing is said.
    pub max_unused_percent: Option<u64>,
}

/// When stored data are proven, and how much at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// When.
    pub timetable: Timetable,
    /// Each check proves one of so many parts, one after the other.
    pub parts: u64,
}

impl Upkeep {
    /// Reads both tables. A table without `cron` is a mistake; the time zone is that of the schedule.
    pub fn read(prune: Section<'_, '_>, check: Section<'_, '_>, general: Option<&Timetable>) -> Self {
        let upkeep = Self { prune: read_prune(&prune, general), check: read_check(&check, general) };
        prune.finish();
        check.finish();
        upkeep
    }
}

/// When this is due.
fn timetable(section: &Section<'_, '_>, general: Option<&Timetable>) -> Option<Timetable> {
    if section.exists() { Timetable::upkeep(section, general) } else { None }
}

fn read_prune(section: &Section<'_, '_>, general: Option<&Timetable>) -> Option<Prune> {
    let grace = section.parsed::<Length>("grace").map_or(GRACE, Length::duration);
    let max_unused_percent = section.number("max_unused", 0);
    if max_unused_percent.is_some_and(|percent| percent > 100) {
        section.mistake("max_unused", "is a share in percent: 0 to 100");
    }
    Some(Prune { timetable: timetable(section, general)?, grace, max_unused_percent })
}

fn read_check(section: &Section<'_, '_>, general: Option<&Timetable>) -> Option<Check> {
    let parts = section.number("parts", 1).unwrap_or(PARTS);
    Some(Check { timetable: timetable(section, general)?, parts })
}
