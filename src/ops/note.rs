//! Facts about snapshots, as the log keeps them, and what they say of how far a snapshot can be relied on.
//!
//! Promise: a fact holds nothing alive, and nothing is appended for a snapshot that is not there.
//! Left out on purpose: finding out whether it is one.

use std::collections::HashSet;

use crate::format::Time;
use crate::format::log::{Action, NOTE_BYTES_MAX};
use crate::id::SnapshotId;
use crate::ops::retention::{DRILL, FAILED, Tier, VERIFY, flaw};
use crate::ops::tag;
use crate::repo::Repository;
use crate::repo::error::Error;
use crate::repo::state::{Snapshot, State};

/// How much of the reason is kept, in bytes.
const REASON_BYTES_MAX: usize = 1000;
/// So many snapshots fit into one note.
const IDS_MAX: usize = (NOTE_BYTES_MAX as usize - VERIFY.1.len()) / 65;

/// How far a snapshot can be relied on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Standing {
    /// It is stored.
    Stored,
    /// What was stored was read back and is well formed.
    Verified,
    /// It was restored, and what must hold of it held.
    Proven,
    /// That was tried last without success.
    DrillFailed,
    /// What was stored was read back, and is not what its source should have given.
    VerifyFailed,
}

impl Standing {
    /// In a word or two.
    pub const fn words(self) -> &'static str {
        match self {
            Standing::Stored => "stored",
            Standing::Verified => "verified",
            Standing::Proven => "proven",
            Standing::DrillFailed => "drill failed",
            Standing::VerifyFailed => "verify failed",
        }
    }
}

/// Notes that these snapshots of one run were read back and are well formed. Behind the word stand the ids of those after
/// the first: so one entry of the log is enough for a run.
pub fn verified(repo: &Repository, ids: &[SnapshotId], now: Time) -> Result<(), Error> {
    for ids in ids.chunks(IDS_MAX) {
        let Some((first, others)) = ids.split_first() else { continue };
        let value = others.iter().fold(VERIFY.1.to_owned(), |value, id| format!("{value} {id}"));
        append(repo, *first, VERIFY.0, value, now)?;
    }
    Ok(())
}

/// Notes that a snapshot is not what its source should have given, and takes the tiers from it that nobody has given it
/// by hand: another one of the day is to have them.
pub fn refuted(repo: &Repository, id: SnapshotId, reason: &str, given: &[String], now: Time) -> Result<(), tag::Error> {
    append(repo, id, VERIFY.0, format!("{FAILED}{}", shortened(reason)), now)?;
    let tags = repo.state().snapshot(&id).map(|snapshot| snapshot.tags.clone()).unwrap_or_default();
    let earned = |name: &String| !given.contains(name) && Tier::of_tag(name).is_some_and(|tier| tier != Tier::Last);
    let earned: Vec<String> = tags.into_iter().filter(earned).collect();
    if !earned.is_empty() {
        tag::run(repo, id, &[], &earned, now)?;
    }
    Ok(())
}

/// Notes how a drill of a snapshot ended: `Err` has the reason.
pub fn drilled(repo: &Repository, id: SnapshotId, ended: Result<(), &str>, now: Time) -> Result<(), Error> {
    let value = ended.map_or_else(|reason| format!("{FAILED}{}", shortened(reason)), |()| DRILL.1.to_owned());
    append(repo, id, DRILL.0, value, now)
}

fn append(repo: &Repository, snapshot: SnapshotId, name: &str, value: String, now: Time) -> Result<(), Error> {
    repo.append::<Error>(now, &mut |state| {
        state.snapshot(&snapshot).ok_or(Error::NoSnapshot(snapshot))?;
        Ok(Some(Action::Note { snapshot, name: name.to_owned(), value: value.clone() }))
    })?;
    Ok(())
}

fn shortened(reason: &str) -> &str {
    let mut end = reason.len().min(REASON_BYTES_MAX);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    &reason[..end]
}

/// Whether a note is about other snapshots, too.
fn of_verifying((name, value): &(String, String)) -> bool {
    name == VERIFY.0 && value.split(' ').next() == Some(VERIFY.1)
}

/// How far snapshots can be relied on, as the whole log says.
pub struct Standings(HashSet<SnapshotId>);

impl Standings {
    /// Looks through the notes.
    pub fn of(state: &State) -> Self {
        let mut verified = HashSet::new();
        for snapshot in state.snapshots() {
            for note in snapshot.notes.iter().filter(|note| of_verifying(note)) {
                let others = note.1.split(' ').skip(1).filter_map(|digits| {
                    let bytes: [u8; 32] = hex::decode(digits).ok()?.try_into().ok()?;
                    Some(SnapshotId::new(bytes))
                });
                verified.extend(others.chain([snapshot.id]));
            }
        }
        Self(verified)
    }

    /// How far this one can.
    pub fn get(&self, snapshot: &Snapshot) -> Standing {
        let drill = snapshot.notes.iter().rfind(|(name, _)| name == DRILL.0);
        match drill {
            Some((_, value)) if value == DRILL.1 => Standing::Proven,
            Some((_, value)) if value.starts_with(FAILED) => Standing::DrillFailed,
            _ if flaw(snapshot).is_some() => Standing::VerifyFailed,
            _ if self.0.contains(&snapshot.id) => Standing::Verified,
            _ => Standing::Stored,
        }
    }
}

#[cfg(test)]
#[path = "note_tests.rs"]
mod tests;
