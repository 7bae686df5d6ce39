//! A log in memory, as the tests of retention write it.

use std::str::FromStr;

use End::{Complete, Incomplete};

use super::*;
use crate::format::log::{Action, Body, SnapshotAction, TagAction, TagChange};
use crate::id::{SeriesId, WriterId};

pub const SERIES: SeriesId = SeriesId::new([1; 32]);
pub const OTHER: SeriesId = SeriesId::new([2; 32]);

/// Two days, and after a weekend two more.
pub const DAYS: [&str; 4] =
    ["2026-01-01 03:00+01", "2026-01-02 03:00+01", "2026-01-05 03:00+01", "2026-01-06 03:00+01"];

pub fn berlin() -> Calendar {
    Calendar::new("Europe/Berlin", WeekStart::Monday).unwrap()
}

/// `2026-03-29 02:30 UTC`, or of an offset: `2026-03-29 02:30+01`.
pub fn at(text: &str) -> Time {
    let text = text.replace(" UTC", "Z");
    Time { seconds: Timestamp::from_str(&text).unwrap().as_second(), nanos: 0 }
}

/// Whether everything could be read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum End {
    Complete,
    Incomplete,
}

/// A log in memory. Snapshots are named by their number, counted from 1.
pub struct Log {
    pub calendar: Calendar,
    pub state: State,
}

impl Log {
    pub fn new(calendar: Calendar) -> Self {
        Self { calendar, state: State::default() }
    }

    pub fn append(&mut self, action: Action) {
        let (previous, token, extension) = ([0; 32], [0; 16], Vec::new());
        let body = Body { previous, token, writer: WriterId::new([0; 16]), time: Time::default(), action, extension };
        self.state.apply(self.state.head + 1, [0; 32], &body);
    }

    pub fn id(number: usize) -> SnapshotId {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&(number as u64).to_be_bytes());
        SnapshotId::new(bytes)
    }

    pub fn back_up_as(&mut self, series: SeriesId, started: Time, end: End, given: &[&str]) -> String {
        let given: Vec<String> = given.iter().map(|&tag| tag.to_owned()).collect();
        let (snapshot, complete) = (Self::id(self.state.snapshots().len() + 1), end == Complete);
        let draft = Draft { snapshot, series, started, complete, parent: None };
        let tags = tags_for_new(&self.state, &self.calendar, &draft, &given);
        let (packs, rescue, record) = (Vec::new(), Vec::new(), Vec::new());
        let joined = tags.join(" ");
        self.append(Action::Snapshot(SnapshotAction {
            snapshot,
            series,
            started,
            complete,
            tags,
            packs,
            rescue,
            record,
        }));
        joined
    }

    pub fn back_up(&mut self, started: Time) -> String {
        self.back_up_as(SERIES, started, Complete, &[])
    }

    pub fn taken(&self) -> Vec<Taken> {
        self.state.live().filter(|snapshot| snapshot.series == SERIES).map(Taken::from).collect()
    }

    pub fn judge(&self, policy: &Policy) -> Vec<Verdict> {
        judge(&self.taken(), policy, &self.calendar)
    }

    pub fn apply(&mut self, verdicts: &[Verdict]) {
        let changes = verdicts.iter().map(|verdict| TagChange {
            snapshot: verdict.snapshot,
            add: verdict.gains.clone(),
            remove: verdict.drops.iter().map(|dropped| dropped.tag.clone()).collect(),
        });
        self.append(Action::Untag(TagAction { changes: changes.collect(), rescue: Vec::new() }));
    }

    pub fn forget(&mut self, numbers: &[usize]) -> Result<(), AlwaysStays> {
        let named = numbers.iter().map(|&number| Self::id(number)).collect();
        let verdicts = judge_named(&self.taken(), &named, &self.calendar)?;
        self.apply(&verdicts);
        Ok(())
    }

    /// The tags of a snapshot, from fine to coarse.
    pub fn tags(&self, number: usize) -> String {
        in_order(&self.state.snapshots()[number - 1].tags).collect::<Vec<_>>().join(" ")
    }

    pub fn all_tags(&self) -> Vec<String> {
        (1..=self.state.snapshots().len()).map(|number| self.tags(number)).collect()
    }

    pub fn holders(&self, tier: Tier) -> Vec<usize> {
        (1..=self.state.snapshots().len())
            .filter(|number| self.state.snapshots()[number - 1].tags.contains(tier.name()))
            .collect()
    }
}

/// One snapshot as a test writes it: its start, then `incomplete` or tags given by hand.
pub fn taken_in_order(calendar: Calendar, lines: &[&str]) -> Log {
    let mut log = Log::new(calendar);
    for line in lines {
        let (time, rest) = line.split_once(" | ").unwrap_or((line, ""));
        let (incomplete, given): (Vec<&str>, Vec<&str>) = rest.split_whitespace().partition(|&w| w == "incomplete");
        let end = if incomplete.is_empty() { Complete } else { Incomplete };
        log.back_up_as(SERIES, at(time), end, &given);
    }
    log
}

/// What each snapshot of these gets as it is taken.
#[track_caller]
pub fn check_tags(calendar: Calendar, lines: &[(&str, &str)]) {
    let log = taken_in_order(calendar, &lines.iter().map(|(line, _)| *line).collect::<Vec<_>>());
    let expected: Vec<_> = lines.iter().map(|(_, tags)| (*tags).to_owned()).collect();
    assert_eq!(log.all_tags(), expected);
}

/// What a policy leaves of these.
#[track_caller]
pub fn check_policy(policy: &Policy, lines: &[(&str, &str)]) {
    let mut log = taken_in_order(berlin(), &lines.iter().map(|(line, _)| *line).collect::<Vec<_>>());
    let verdicts = log.judge(policy);
    log.apply(&verdicts);
    let expected: Vec<_> = lines.iter().map(|(_, tags)| (*tags).to_owned()).collect();
    assert_eq!(log.all_tags(), expected);
    assert!(!log.judge(policy).iter().any(Verdict::changes), "judging again changes more");
}
