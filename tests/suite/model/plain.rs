//! What a repository should be, in the plainest terms: names of snapshots and their tags.
//!
//! Retention and calendar are written again here, on purpose: a mistake would have to be made twice. Times are UTC,
//! weeks begin on Monday, and every snapshot is complete.

use std::collections::{BTreeMap, BTreeSet};

pub const TIERS: [&str; 5] = ["last", "daily", "weekly", "monthly", "yearly"];

/// A snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    pub name: String,
    pub series: usize,
    /// In seconds.
    pub started: i64,
    /// None: it is forgotten.
    pub tags: BTreeSet<String>,
    /// A sweep since it was forgotten may have taken what it needs.
    pub maybe_gone: bool,
}

/// All snapshots, in the order of the log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plain {
    pub all: Vec<Taken>,
}

/// The year, month, week or day of a time, as a number.
fn period(tier: &str, started: i64) -> i64 {
    let day = started.div_euclid(86_400);
    let (year, month) = year_and_month(day);
    match tier {
        "daily" => day,
        // 1970-01-01 was a Thursday.
        "weekly" => (day + 3).div_euclid(7),
        "monthly" => year * 12 + month,
        "yearly" => year,
        _ => unreachable!("{tier} has no period"),
    }
}

fn year_and_month(mut day: i64) -> (i64, i64) {
    let mut year = 1970;
    let leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    while day >= 365 + i64::from(leap(year)) {
        day -= 365 + i64::from(leap(year));
        year += 1;
    }
    let mut month = 0;
    for days in [31, 28 + i64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if day < days {
            break;
        }
        day -= days;
        month += 1;
    }
    (year, month)
}

impl Plain {
    /// Names and tags of what is live, in the order of the log.
    pub fn live(&self) -> Vec<(String, BTreeSet<String>)> {
        let live = self.all.iter().filter(|taken| !taken.tags.is_empty());
        live.map(|taken| (taken.name.clone(), taken.tags.clone())).collect()
    }

    fn live_of(&self, series: usize) -> impl DoubleEndedIterator<Item = usize> + '_ {
        let of = move |&at: &usize| self.all[at].series == series && !self.all[at].tags.is_empty();
        (0..self.all.len()).filter(of)
    }

    fn holds(&self, series: usize, tier: &str, place: i64) -> bool {
        let mut live = self.live_of(series).map(|at| &self.all[at]);
        live.any(|taken| taken.tags.contains(tier) && period(tier, taken.started) == place)
    }

    pub fn back_up(&mut self, name: &str, series: usize, started: i64, own: &[String]) {
        let earned = |tier: &&str| *tier == "last" || !self.holds(series, tier, period(tier, started));
        let mut tags: BTreeSet<String> = TIERS.iter().copied().filter(earned).map(str::to_owned).collect();
        tags.extend(own.iter().cloned());
        self.all.push(Taken { name: name.to_owned(), series, started, tags, maybe_gone: false });
    }

    /// The newest of a series always stays.
    pub fn may_forget(&self, at: usize) -> bool {
        self.live_of(self.all[at].series).next_back() != Some(at)
    }

    pub fn forget(&mut self, at: usize) {
        let Taken { series, started, tags, .. } = self.all[at].clone();
        self.all[at].tags.clear();
        self.all[at].maybe_gone = false;
        for tier in TIERS.iter().filter(|tier| **tier != "last" && tags.contains(**tier)) {
            let place = period(tier, started);
            let later = |&heir: &usize| heir > at && period(tier, self.all[heir].started) == place;
            let heir = self.live_of(series).find(later);
            if let Some(heir) = heir.filter(|_| !self.holds(series, tier, place)) {
                self.all[heir].tags.insert((*tier).to_owned());
            }
        }
    }

    /// Each tier keeps so many of its newest holders.
    pub fn forget_by_policy(&mut self, counts: &BTreeMap<&str, usize>) {
        for series in [0, 1] {
            let newest = self.live_of(series).next_back();
            let before: BTreeMap<usize, BTreeSet<String>> =
                self.live_of(series).map(|at| (at, self.all[at].tags.clone())).collect();
            for tier in TIERS {
                let holders: Vec<usize> = before.keys().copied().filter(|at| before[at].contains(tier)).collect();
                let kept = counts.get(tier).copied().unwrap_or(0);
                for &at in holders.iter().rev().skip(kept) {
                    self.all[at].tags.remove(tier);
                    self.all[at].maybe_gone = false;
                }
            }
            let Some(newest) = newest else { continue };
            let finest = TIERS.iter().find(|tier| before[&newest].contains(**tier));
            let last = before[&newest].contains("last").then_some(&"last");
            let held = if self.all[newest].tags.is_empty() { finest } else { last };
            self.all[newest].tags.extend(held.map(|tier| (*tier).to_owned()));
        }
    }

    /// Something was swept.
    pub fn sweep(&mut self) {
        self.all.iter_mut().filter(|taken| taken.tags.is_empty()).for_each(|taken| taken.maybe_gone = true);
    }
}
