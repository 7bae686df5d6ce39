//! What exists, as the log says: a fold over its entries.
//!
//! Pure: entries in, state out. Left out on purpose: reading and sealing entries (`repo::log`).

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::format::log::{Action, Body, PackUse, SnapshotAction, TagAction};
use crate::format::{Kind, Time};
use crate::id::{PackId, SeriesId, SnapshotId};

/// All that the log says.
#[derive(Debug, Clone, Default)]
pub struct State {
    /// Number of the newest entry; 0 when there is none.
    pub head: u64,
    /// Hash of the newest entry as stored.
    pub head_hash: [u8; 32],
    /// Snapshots in the order of the log, forgotten ones too.
    snapshots: Vec<Snapshot>,
    by_id: HashMap<SnapshotId, usize>,
    /// Packs that entries name.
    packs: HashMap<PackId, Pack>,
    /// Entries that are missing or damaged. Nothing may be condemned or swept while there are any.
    pub problems: Vec<Problem>,
}

/// A snapshot as the log knows it.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// Its name.
    pub id: SnapshotId,
    /// Number of the entry that made it.
    pub seq: u64,
    /// Its series.
    pub series: SeriesId,
    /// When it was begun.
    pub started: Time,
    /// Whether everything could be read.
    pub complete: bool,
    /// Its tags now. A snapshot without any is forgotten.
    pub tags: BTreeSet<String>,
    /// The sealed record.
    pub record: Vec<u8>,
    /// The entry that took its last tag, and when.
    pub forgotten: Option<(u64, Time)>,
    /// Facts about it, newest last.
    pub notes: Vec<(String, String)>,
    /// When each fact was noted last, by its name.
    pub noted: BTreeMap<String, Time>,
}

impl Snapshot {
    /// Whether a tag holds it.
    pub fn is_live(&self) -> bool {
        !self.tags.is_empty()
    }
}

/// A pack as the log knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pack {
    /// Length of its body.
    pub bytes: u64,
    /// What it holds.
    pub kind: Kind,
    /// What became of it.
    pub fate: Fate,
}

/// What became of a pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It counts.
    Live,
    /// It does not count any more, but can be rescued.
    Condemned {
        /// The entry that condemned it.
        seq: u64,
        /// When.
        at: Time,
    },
    /// It is gone for ever, whether its object is deleted already or not.
    Swept,
}

/// A log entry that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Its number.
    pub seq: u64,
    /// What is wrong.
    pub reason: String,
}

impl State {
    /// Applies the next entry.
    pub fn apply(&mut self, seq: u64, hash: [u8; 32], body: &Body) {
        self.head = seq;
        self.head_hash = hash;
        match &body.action {
            Action::Snapshot(snapshot) => self.apply_snapshot(seq, body.time, snapshot),
            Action::Tag(tags) | Action::Untag(tags) => self.apply_tags(seq, body.time, tags),
            Action::Note { snapshot, name, value } => {
                if let Some(&at) = self.by_id.get(snapshot) {
                    self.snapshots[at].notes.push((name.clone(), value.clone()));
                    self.snapshots[at].noted.insert(name.clone(), body.time);
                }
            }
            Action::Condemn { packs } => self.condemn(seq, body.time, packs),
            Action::Sweep { packs } => self.sweep(packs),
            Action::Repack { packs, condemned } => {
                self.name_packs(packs);
                self.condemn(seq, body.time, condemned);
            }
            Action::Key { .. } => {}
        }
    }

    /// Notes that an entry cannot be read; `hash` is of its bytes as found, zeros when it is missing.
    pub fn apply_damaged(&mut self, seq: u64, hash: [u8; 32], reason: String) {
        self.head = seq;
        self.head_hash = hash;
        self.note_problem(seq, reason);
    }

    /// Notes that something is wrong with an entry.
    pub fn note_problem(&mut self, seq: u64, reason: String) {
        self.problems.push(Problem { seq, reason });
    }

    fn apply_snapshot(&mut self, seq: u64, time: Time, action: &SnapshotAction) {
        self.name_packs(&action.packs);
        self.rescue(&action.rescue);
        if self.by_id.contains_key(&action.snapshot) {
            self.problems.push(Problem { seq, reason: format!("names snapshot {} again", action.snapshot.short()) });
            return;
        }
        self.by_id.insert(action.snapshot, self.snapshots.len());
        let tags: BTreeSet<_> = action.tags.iter().cloned().collect();
        let forgotten = tags.is_empty().then_some((seq, time));
        self.snapshots.push(Snapshot {
            id: action.snapshot,
            seq,
            series: action.series,
            started: action.started,
            complete: action.complete,
            tags,
            record: action.record.clone(),
            forgotten,
            notes: Vec::new(),
            noted: BTreeMap::new(),
        });
    }

    fn apply_tags(&mut self, seq: u64, time: Time, action: &TagAction) {
        self.rescue(&action.rescue);
        for change in &action.changes {
            let Some(&at) = self.by_id.get(&change.snapshot) else { continue };
            let snapshot = &mut self.snapshots[at];
            let was_live = snapshot.is_live();
            snapshot.tags.retain(|tag| !change.remove.contains(tag));
            snapshot.tags.extend(change.add.iter().cloned());
            match (was_live, snapshot.is_live()) {
                (true, false) => snapshot.forgotten = Some((seq, time)),
                (_, true) => snapshot.forgotten = None,
                (false, false) => {}
            }
        }
    }

    fn name_packs(&mut self, packs: &[PackUse]) {
        for pack in packs {
            // A name is never used twice, so an entry that names a known pack changes nothing.
            let named = Pack { bytes: pack.bytes, kind: pack.kind, fate: Fate::Live };
            let known = self.packs.entry(pack.id).or_insert(named);
            if known.bytes == 0 {
                // Condemned before any entry named it: now its length is known.
                *known = Pack { fate: known.fate, ..named };
            }
        }
    }

    fn condemn(&mut self, seq: u64, at: Time, packs: &[PackId]) {
        for id in packs {
            // A pack that no entry named (left by a killed run) can be condemned too.
            let unnamed = Pack { bytes: 0, kind: Kind::Data, fate: Fate::Live };
            let pack = self.packs.entry(*id).or_insert(unnamed);
            if pack.fate == Fate::Live {
                pack.fate = Fate::Condemned { seq, at };
            }
        }
    }

    fn rescue(&mut self, packs: &[PackId]) {
        for id in packs {
            if let Some(pack) = self.packs.get_mut(id)
                && matches!(pack.fate, Fate::Condemned { .. })
            {
                pack.fate = Fate::Live;
            }
        }
    }

    fn sweep(&mut self, packs: &[PackId]) {
        for id in packs {
            if let Some(pack) = self.packs.get_mut(id)
                && matches!(pack.fate, Fate::Condemned { .. })
            {
                pack.fate = Fate::Swept;
            }
        }
    }

    /// All snapshots in the order of the log, forgotten ones too.
    pub fn snapshots(&self) -> &[Snapshot] {
        &self.snapshots
    }

    /// The newest live snapshot of a series.
    pub fn newest_of(&self, series: SeriesId) -> Option<&Snapshot> {
        self.live().rev().find(|snapshot| snapshot.series == series)
    }

    /// The snapshots that a tag holds, in the order of the log.
    pub fn live(&self) -> impl DoubleEndedIterator<Item = &Snapshot> {
        self.snapshots.iter().filter(|snapshot| snapshot.is_live())
    }

    /// One snapshot.
    pub fn snapshot(&self, id: &SnapshotId) -> Option<&Snapshot> {
        self.by_id.get(id).map(|&at| &self.snapshots[at])
    }

    /// What became of a pack; `None` when no entry names it.
    pub fn fate(&self, pack: &PackId) -> Option<Fate> {
        self.packs.get(pack).map(|pack| pack.fate)
    }

    /// One pack.
    pub fn pack(&self, pack: &PackId) -> Option<&Pack> {
        self.packs.get(pack)
    }

    /// All packs that entries name.
    pub fn packs(&self) -> impl Iterator<Item = (&PackId, &Pack)> {
        self.packs.iter()
    }
}

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
