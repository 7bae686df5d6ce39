//! Checking: whether everything is there, and is what it should be.
//!
//! Promise: every problem is named by its object and by the snapshots and paths it touches; no damage makes the check
//! panic or stop early; each block is opened once, and memory does not grow with the repository. A wrong index is no
//! damage: it is repaired and noted. Left out on purpose: repairing anything in the repository.

pub mod findings;
pub mod packs;
pub mod structure;
pub mod touched;

use crate::format::objects;
use crate::id::SnapshotId;
use crate::ops::check::findings::Findings;
use crate::progress::{Event, Observer};
use crate::repo::Repository;
use crate::repo::error::Error as RepoError;

/// How deep to look.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Depth {
    /// Config, key slots, log, directories of packs, listings.
    Structure,
    /// That, and the blocks of these live packs.
    Data(Part),
}

/// Some of the live packs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Part {
    /// Every one.
    All,
    /// About this share, chosen as if at random.
    Percent {
        /// The share.
        percent: f64,
        /// Another seed, another choice.
        seed: u64,
    },
    /// The `n`th of so many parts, from 1; every pack is in exactly one part.
    Slice {
        /// Which part.
        n: u64,
        /// How many there are.
        of: u64,
    },
}

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The object, or the part of one.
    pub object: String,
    /// What is wrong with it.
    pub what: String,
    /// Live snapshots that it touches: all of them, unless so much is damaged that there is no room for their names.
    pub snapshots: Vec<SnapshotId>,
    /// How many live snapshots it touches.
    pub snapshots_total: u64,
    /// Paths that it touches, in whichever snapshot, in order. For a page: the first path on it.
    pub paths: Vec<Vec<u8>>,
    /// How many times a path was touched that there was no room to name.
    pub unnamed: u64,
}

/// What was found.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// What is wrong, at most [`findings::PROBLEMS_MAX`] of them.
    pub problems: Vec<Problem>,
    /// How many problems there are.
    pub problems_total: u64,
    /// What is odd, but no damage.
    pub notes: Vec<String>,
    /// Live snapshots.
    pub snapshots: u64,
    /// Packs looked into.
    pub packs: u64,
    /// Pages read.
    pub pages: u64,
    /// Chunks looked up, each counted once.
    pub chunks: u64,
    /// Blocks opened.
    pub blocks_read: u64,
    /// Their bytes as stored.
    pub bytes_read: u64,
}

impl Report {
    /// What becomes of damaged packs, in words for people; `None` if none is damaged.
    ///
    /// The next backup that knows of this check stores again what its source still has. What no snapshot needs, as after
    /// such a backup, is damaged until it is collected; what a lost entry of the log needs nobody knows.
    pub fn outlook(&self) -> Option<&'static str> {
        self.problems.iter().find(|problem| problem.object.contains(objects::PACKS))?;
        // Of whichever problem: what was in a pack whose directory does not open is missing elsewhere.
        Some(match self.problems.iter().any(|problem| problem.snapshots_total > 0) {
            true => "the next backup from this machine stores again what its source still has of it",
            false if self.problems.iter().any(|problem| problem.object.contains(objects::LOG)) => return None,
            false => "no snapshot needs what is damaged of packs; larder prune --max-unused 0 lets it go",
        })
    }
}

/// How often a check looks again because the repository changed while it looked.
const ATTEMPTS_MAX: u32 = 5;

/// Checks. What looks like damage while others write and prune is looked at again: a pack that was swept meanwhile is
/// not missing.
pub fn run(repo: &Repository, depth: Depth, threads: usize, observer: &dyn Observer) -> Result<Report, RepoError> {
    for _ in 1..ATTEMPTS_MAX {
        let before = repo.refresh()?.head;
        let result = run_once(repo, depth, threads, observer);
        let clean = result.as_ref().is_ok_and(|report| report.problems_total == 0);
        if clean || repo.refresh()?.head == before {
            return result;
        }
        observer.event(Event::Note("the repository changed while it was checked; checking again"));
    }
    run_once(repo, depth, threads, observer)
}

fn run_once(repo: &Repository, depth: Depth, threads: usize, observer: &dyn Observer) -> Result<Report, RepoError> {
    repo.refresh()?;
    let mut report = Report::default();
    let mut findings = Findings::default();
    observer.event(Event::Phase { name: "checking config, keys and log", total: None });
    structure::config_and_slots(repo, &mut findings)?;
    let state = structure::log(repo, &mut findings, &mut report.notes)?;
    let candidates = structure::packs(repo, &state, &mut findings, &mut report.notes)?;
    let counting = packs::look(repo, &candidates, depth, threads, observer, &mut findings, &mut report)?;
    structure::lost_snapshots(repo, &state, &mut report.notes);
    observer.event(Event::Phase { name: "checking snapshots", total: None });
    structure::snapshots(repo, &state, &counting, &mut findings, &mut report)?;
    report.problems_total = findings.total();
    report.problems = touched::attribute(repo, &state, &counting, findings);
    repo.index().flush_last()?;
    Ok(report)
}

#[cfg(test)]
#[path = "check_tests.rs"]
mod tests;
