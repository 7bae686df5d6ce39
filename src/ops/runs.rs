//! The runs that have stored packs that no entry of the log names.
//!
//! Packs of one run carry the same public key in their preambles. A run that has stored the record of its snapshot, and
//! of which no entry tells, was killed right before its entry, or its entry is lost: the log ended later once. Promise:
//! what is said rests on the storage's listing and the packs themselves. Left out on purpose: deciding what becomes of
//! such packs (`ops/prune`), and bringing the snapshots back (`ops/salvage`).

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::{Duration, SystemTime};

use crate::format::Kind;
use crate::format::packs::Preamble;
use crate::id::{PackId, SnapshotId};
use crate::index::PackNumber;
use crate::ops::usage::record_blocks;
use crate::repo::Repository;
use crate::repo::catalog::{Listed, ask};
use crate::repo::error::Error as RepoError;
use crate::repo::seal::Unpacker;
use crate::repo::state::{Fate, State};

/// The last packs of a run are stored in any order, within less than this.
const LAST_PACKS: Duration = Duration::from_secs(60 * 60);
/// Snapshots that a message names.
const NAMED_MAX: usize = 5;

/// A run's public key.
type RunKey = [u8; 32];

/// The runs that have stored packs that no entry names.
#[derive(Debug, Default)]
pub struct Runs {
    of: HashMap<PackId, RunKey>,
    newest: HashMap<RunKey, SystemTime>,
    lost: BTreeSet<SnapshotId>,
    lost_at: Option<SystemTime>,
}

impl Runs {
    /// Finds them among the packs listed, which the index must know.
    pub fn survey(repo: &Repository, state: &State, listed: &HashMap<PackId, Listed>) -> Result<Self, RepoError> {
        let mut runs = Self::default();
        let unnamed = listed.iter().filter(|(id, _)| state.fate(id).is_none());
        let Some(oldest) = unnamed.map(|(_, info)| info.stored_at).min() else { return Ok(runs) };
        let first = oldest.checked_sub(LAST_PACKS).unwrap_or(SystemTime::UNIX_EPOCH);
        let mut trees = Vec::new();
        for (id, info) in listed {
            // A named pack says something of a run only if it was stored after one that no entry names: another run
            // may have found it, used it and named it.
            let fate = state.fate(id);
            if fate == Some(Fate::Swept) || info.stored_at < first {
                continue;
            }
            let Some(Header { number, kind, run }) = header_of(repo, id)? else { continue };
            let newest = runs.newest.entry(run).or_insert(info.stored_at);
            *newest = info.stored_at.max(*newest);
            if fate.is_none() {
                runs.of.insert(*id, run);
            }
            if kind == Kind::Tree {
                trees.push((number, run));
            }
        }
        runs.find_lost(repo, state, trees)?;
        Ok(runs)
    }

    /// Looks for records of snapshots that no entry names, in the tree packs of these runs.
    fn find_lost(
        &mut self,
        repo: &Repository,
        state: &State,
        trees: Vec<(PackNumber, RunKey)>,
    ) -> Result<(), RepoError> {
        let unnamed: HashSet<RunKey> = self.of.values().copied().collect();
        let mut unpacker = Unpacker::new()?;
        for (pack, run) in trees.into_iter().filter(|(_, run)| unnamed.contains(run)) {
            let records = record_blocks(repo, pack, &mut unpacker)?;
            let lost: Vec<SnapshotId> = records.into_iter().map(|record| record.1).collect();
            let lost = lost.into_iter().filter(|id| state.snapshot(id).is_none());
            let known = self.lost.len();
            self.lost.extend(lost);
            if self.lost.len() > known {
                self.lost_at = self.lost_at.max(self.newest.get(&run).copied());
            }
        }
        Ok(())
    }

    /// Snapshots of which there is a record, and no entry: the end of the log may be lost.
    pub fn lost(&self) -> &BTreeSet<SnapshotId> {
        &self.lost
    }

    /// When the last of the runs that took them stored its newest pack.
    pub fn lost_at(&self) -> Option<SystemTime> {
        self.lost_at
    }

    /// When the run of a pack that no entry names stored its newest pack. `None`: its header cannot be read.
    pub fn last_stored(&self, pack: &PackId) -> Option<SystemTime> {
        self.newest.get(self.of.get(pack)?).copied()
    }
}

/// Says what to do about snapshots that look lost. `None`: there are none.
pub fn tell_lost(lost: &BTreeSet<SnapshotId>) -> Option<String> {
    if lost.is_empty() {
        return None;
    }
    let mut names: Vec<String> = lost.iter().take(NAMED_MAX).map(SnapshotId::short).collect();
    if lost.len() > NAMED_MAX {
        names.push(format!("{} more", lost.len() - NAMED_MAX));
    }
    Some(format!(
        "packs hold the records of snapshots that the log does not know: {}. Newer log entries were lost, or a run was \
         killed (or is ending now) right before its entry. larder rebuild-index --salvage brings the snapshots back; \
         otherwise prune deletes their packs once they are 30 days old",
        names.join(", ")
    ))
}

/// What a pack's header says.
struct Header {
    number: PackNumber,
    kind: Kind,
    run: RunKey,
}

/// `None`: the index does not know the pack.
fn header_of(repo: &Repository, id: &PackId) -> Result<Option<Header>, RepoError> {
    let found = ask(repo, &mut |index| match index.pack_number(id) {
        Some(number) => Ok(index.header(number)?.map(|header| (number, header))),
        None => Ok(None),
    })?;
    Ok(found.and_then(|(number, header)| {
        let Preamble { kind, run_public, .. } = Preamble::decode(&header).ok()?;
        Some(Header { number, kind, run: run_public })
    }))
}

#[cfg(test)]
#[path = "runs_tests.rs"]
mod tests;
