//! What a walk reached, and what may count as reached: a bit for each chunk, and one for each pack.
//!
//! Promise: a mark costs one bit, however many snapshots reach the chunk.

use crate::index::{Index, Location, PackNumber};
use crate::ops::bits::BitSet;

/// A pack that has no place among the bits yet.
const NO_BASE: u64 = u64::MAX;

/// One bit for every chunk of every pack.
#[derive(Debug, Default)]
pub struct Marks {
    bases: Vec<u64>,
    next: u64,
    bits: BitSet,
}

impl Marks {
    /// Whether a pack's chunk is marked.
    pub fn has(&self, pack: PackNumber, entry: u32) -> bool {
        let base = self.bases.get(pack.0 as usize).copied().unwrap_or(NO_BASE);
        base != NO_BASE && self.bits.has(base + u64::from(entry))
    }

    /// Whether anything of a pack was ever marked.
    pub fn reaches(&self, pack: PackNumber) -> bool {
        self.bases.get(pack.0 as usize).is_some_and(|base| *base != NO_BASE)
    }

    /// Takes a mark away.
    pub fn remove(&mut self, pack: PackNumber, entry: u32) {
        if self.has(pack, entry) {
            self.bits.remove(self.bases[pack.0 as usize] + u64::from(entry));
        }
    }

    /// Marks a chunk; `true` when it was not marked before.
    pub fn insert(&mut self, index: &Index, at: &Location) -> bool {
        let pack = at.pack.0 as usize;
        if self.bases.len() <= pack {
            self.bases.resize(pack + 1, NO_BASE);
        }
        if self.bases[pack] == NO_BASE {
            self.bases[pack] = self.next;
            self.next += index.pack(at.pack).map_or(0, |row| u64::from(row.chunks));
        }
        self.bits.insert(self.bases[pack] + u64::from(at.entry))
    }
}

/// Packs by number, of which some count.
#[derive(Debug, Default, Clone)]
pub struct Counting(BitSet);

impl Counting {
    /// Whether a pack counts.
    pub fn has(&self, pack: PackNumber) -> bool {
        self.0.has(pack.0.into())
    }

    /// From now on this pack counts.
    pub fn insert(&mut self, pack: PackNumber) {
        self.0.insert(pack.0.into());
    }

    /// Whether all these packs are among others.
    pub fn is_within(&self, others: &Self) -> bool {
        self.0.is_within(&others.0)
    }
}

impl FromIterator<PackNumber> for Counting {
    fn from_iter<T: IntoIterator<Item = PackNumber>>(packs: T) -> Self {
        let mut counting = Self::default();
        packs.into_iter().for_each(|pack| counting.insert(pack));
        counting
    }
}
