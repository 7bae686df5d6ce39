//! Verdicts: what becomes of each tag of a snapshot, and by which rule, in words that can be shown.
//!
//! Left out on purpose: how a verdict is reached (`ops::retention`).

use std::fmt;

use crate::format::Time;
use crate::id::SnapshotId;
use crate::ops::retention::{TIERS, Taken, Tier};

/// Why a tag stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rule {
    /// It is no tier: somebody named it.
    Own,
    /// The snapshot is one of so many newest holders of the tier.
    Newest(u32),
    /// The snapshot is recent enough to keep all its tags.
    Within,
    /// The snapshot keeps all its tags for this one.
    Beside(String),
    /// The snapshot is the newest complete one of its series.
    NewestComplete,
    /// The snapshot is the newest of its series of which a restore was tried with success.
    NewestProven,
    /// Other snapshots were named.
    NotNamed,
}

/// Why a tag goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// So many newer holders of the tier are enough.
    Beyond(u32),
    /// There are more than so many snapshots.
    TooMany(u32),
    /// Its snapshot was named.
    Named,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Rule::Own => f.write_str("named by hand"),
            Rule::Newest(count) => write!(f, "among the newest {count}"),
            Rule::Within => f.write_str("recent enough"),
            Rule::Beside(tag) => write!(f, "beside {tag}"),
            Rule::NewestComplete => f.write_str("newest complete"),
            Rule::NewestProven => f.write_str("newest proven"),
            Rule::NotNamed => f.write_str("not named"),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Beyond(0) => f.write_str("not kept by this policy"),
            Reason::Beyond(count) => write!(f, "beyond the newest {count}"),
            Reason::TooMany(count) => write!(f, "beyond the most of {count}"),
            Reason::Named => f.write_str("forgotten by id"),
        }
    }
}

/// A tag that stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The tag.
    pub tag: String,
    /// Why.
    pub rule: Rule,
}

/// A tag that goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dropped {
    /// The tag.
    pub tag: String,
    /// Why.
    pub reason: Reason,
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.tag, self.rule)
    }
}

impl fmt::Display for Dropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.tag, self.reason)
    }
}

/// What becomes of a snapshot's tags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The snapshot.
    pub snapshot: SnapshotId,
    /// When it was begun.
    pub started: Time,
    /// Whether everything could be read.
    pub complete: bool,
    /// Tags that stay.
    pub keeps: Vec<Kept>,
    /// Tags that go.
    pub drops: Vec<Dropped>,
    /// Tiers whose place it takes over.
    pub gains: Vec<String>,
}

impl Verdict {
    /// Nothing said yet.
    pub fn of(taken: &Taken) -> Self {
        let Taken { id, started, complete, .. } = taken;
        let (keeps, drops, gains) = (Vec::new(), Vec::new(), Vec::new());
        Self { snapshot: *id, started: *started, complete: *complete, keeps, drops, gains }
    }

    /// Whether a tag holds the snapshot afterwards.
    pub fn stays(&self) -> bool {
        !self.keeps.is_empty() || !self.gains.is_empty()
    }

    /// Whether anything is different afterwards.
    pub fn changes(&self) -> bool {
        !self.drops.is_empty() || !self.gains.is_empty()
    }

    /// Keeps `last`, or, where there is none and nothing else stays, the finest tier there is, by this rule.
    pub fn hold(&mut self, rule: Rule) {
        let place = |tier: Tier| self.drops.iter().position(|dropped| dropped.tag == tier.name());
        let held = if self.stays() { place(Tier::Last) } else { TIERS.into_iter().find_map(place) };
        if let Some(at) = held {
            let tag = self.drops.remove(at).tag;
            self.keeps.push(Kept { tag, rule });
        }
    }
}
