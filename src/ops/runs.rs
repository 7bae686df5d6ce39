//! The runs that have stored packs that no entry of the log names.
//!
//! Packs of one run carry the same public key in their preambles. Promise: what is said rests on the storage's listing
//! and the packs' own headers, as the index keeps them. Left out on purpose: deciding what becomes of such packs
//! (`ops/prune`).

use std::collections::HashMap;
use std::time::SystemTime;

use crate::format::packs::Preamble;
use crate::id::PackId;
use crate::repo::Repository;
use crate::repo::catalog::{Listed, ask};
use crate::repo::error::Error as RepoError;
use crate::repo::state::{Fate, State};

/// A run's public key.
type RunKey = [u8; 32];

/// The runs that have stored packs that no entry names.
#[derive(Debug, Default)]
pub struct Runs {
    of: HashMap<PackId, RunKey>,
    newest: HashMap<RunKey, SystemTime>,
}

impl Runs {
    /// Finds them among the packs listed, which the index must know.
    pub fn survey(repo: &Repository, state: &State, listed: &HashMap<PackId, Listed>) -> Result<Self, RepoError> {
        let mut runs = Self::default();
        let unnamed = listed.iter().filter(|(id, _)| state.fate(id).is_none());
        let Some(oldest) = unnamed.map(|(_, info)| info.stored_at).min() else { return Ok(runs) };
        for (id, info) in listed {
            // A named pack says something of a run only if it was stored after one that no entry names: another run
            // may have found it, used it and named it.
            let fate = state.fate(id);
            if fate == Some(Fate::Swept) || info.stored_at < oldest {
                continue;
            }
            let Some(run) = run_of(repo, id)? else { continue };
            let newest = runs.newest.entry(run).or_insert(info.stored_at);
            *newest = info.stored_at.max(*newest);
            if fate.is_none() {
                runs.of.insert(*id, run);
            }
        }
        Ok(runs)
    }

    /// When the run of a pack that no entry names stored its newest pack. `None`: its header cannot be read.
    pub fn last_stored(&self, pack: &PackId) -> Option<SystemTime> {
        self.newest.get(self.of.get(pack)?).copied()
    }
}

/// The run that a pack is of, if the index knows the pack.
fn run_of(repo: &Repository, id: &PackId) -> Result<Option<RunKey>, RepoError> {
    let header = ask(repo, &mut |index| match index.pack_number(id) {
        Some(number) => index.header(number),
        None => Ok(None),
    })?;
    Ok(header.and_then(|header| Preamble::decode(&header).ok()).map(|preamble| preamble.run_public))
}

#[cfg(test)]
#[path = "runs_tests.rs"]
mod tests;
