//! The packs an index knows, in memory.
//!
//! Promise: a pack keeps its number as long as the index is open, even when it is removed and added again.
//! Left out on purpose: headers and chunks. They stay in SQLite.

use std::collections::HashMap;

use crate::format::Kind;
use crate::id::PackId;
use crate::index::store::{HeaderHash, StoredPack};

/// A pack by a short number. Means nothing outside the open [`Index`](crate::index::Index) that gave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PackNumber(pub u32);

/// What is known of a pack without opening its directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackRow {
    /// Its number in this open index.
    pub number: PackNumber,
    /// Its name.
    pub id: PackId,
    /// What it holds.
    pub kind: Kind,
    /// Length of its body. The object may be longer.
    pub bytes: u64,
    /// How many chunks it holds.
    pub chunks: u32,
}

/// Where a pack's row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Removed, or swept away with a damaged database.
    Absent,
    /// Added, and not yet in the database.
    Pending,
    /// In the database, under this row number.
    Stored(i64),
}

/// A pack as this module keeps it.
#[derive(Debug)]
pub struct Slot {
    /// What others see.
    pub row: PackRow,
    /// Where its row is.
    pub state: State,
    /// What its header must hash to.
    pub header_hash: HeaderHash,
}

/// All packs that were known since the index was opened.
#[derive(Debug, Default)]
pub struct Packs {
    slots: Vec<Slot>,
    by_id: HashMap<PackId, u32>,
    by_row: HashMap<i64, u32>,
    live_chunks: u64,
}

impl Packs {
    /// Packs that are not absent.
    pub fn iter(&self) -> impl Iterator<Item = &PackRow> {
        self.slots.iter().filter(|slot| slot.state != State::Absent).map(|slot| &slot.row)
    }

    /// A pack that is not absent.
    pub fn get(&self, number: PackNumber) -> Option<&Slot> {
        self.slots.get(number.0 as usize).filter(|slot| slot.state != State::Absent)
    }

    /// The number of a pack that is not absent.
    pub fn number(&self, id: &PackId) -> Option<PackNumber> {
        let number = PackNumber(*self.by_id.get(id)?);
        self.get(number).map(|_| number)
    }

    /// The pack of a database row.
    pub fn of_row(&self, row: i64) -> Option<PackNumber> {
        self.by_row.get(&row).copied().map(PackNumber)
    }

    /// How many chunks the packs hold that are not absent.
    pub fn live_chunks(&self) -> u64 {
        self.live_chunks
    }

    /// Adds a pack, or changes what is known of it. `None`: there are no more numbers.
    pub fn put(&mut self, pack: &StoredPack, state: State) -> Option<PackNumber> {
        let number = match self.by_id.get(&pack.id) {
            Some(&number) => PackNumber(number),
            None => PackNumber(u32::try_from(self.slots.len()).ok()?),
        };
        self.set_state(number, State::Absent);
        let row = PackRow { number, id: pack.id, kind: pack.kind, bytes: pack.bytes, chunks: pack.chunks };
        let slot = Slot { row, state: State::Absent, header_hash: pack.header_hash };
        match self.slots.get_mut(number.0 as usize) {
            Some(old) => *old = slot,
            None => {
                self.by_id.insert(pack.id, number.0);
                self.slots.push(slot);
            }
        }
        self.set_state(number, state);
        Some(number)
    }

    /// Says where a pack's row is now.
    pub fn set_state(&mut self, number: PackNumber, state: State) {
        let Some(slot) = self.slots.get_mut(number.0 as usize) else { return };
        match slot.state {
            State::Absent => {}
            State::Pending => self.live_chunks -= u64::from(slot.row.chunks),
            State::Stored(row) => {
                self.live_chunks -= u64::from(slot.row.chunks);
                self.by_row.remove(&row);
            }
        }
        slot.state = state;
        match state {
            State::Absent => {}
            State::Pending => self.live_chunks += u64::from(slot.row.chunks),
            State::Stored(row) => {
                self.live_chunks += u64::from(slot.row.chunks);
                self.by_row.insert(row, number.0);
            }
        }
    }

    /// Takes the database's word for which packs are stored. Pending ones that are not among them stay pending.
    pub fn reload(&mut self, stored: &[StoredPack]) {
        let gone: Vec<PackNumber> = self
            .slots
            .iter()
            .filter(|slot| matches!(slot.state, State::Stored(_)))
            .map(|slot| slot.row.number)
            .collect();
        for number in gone {
            self.set_state(number, State::Absent);
        }
        for pack in stored {
            // A second row of one pack would have its chunks counted twice.
            let known = self.by_id.get(&pack.id).map(|&n| self.slots[n as usize].state);
            if !matches!(known, Some(State::Stored(_))) {
                self.put(pack, State::Stored(pack.row));
            }
        }
    }
}
