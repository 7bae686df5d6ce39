//! Sets of very many things, a few bits each.

use crate::id::ChunkId;

/// Bits that the set of prefixes has for each member.
const BITS_PER_PREFIX: u64 = 16;
/// Bits set for each prefix.
const PROBES: u32 = 3;

/// A set of small numbers, one bit each. Grows as needed.
#[derive(Debug, Default, Clone)]
pub struct BitSet {
    words: Vec<u64>,
}

impl BitSet {
    /// With room for the numbers below `bits`.
    pub fn with_room(bits: u64) -> Self {
        Self { words: vec![0; bits.div_ceil(64) as usize] }
    }

    /// Whether a number is in it.
    pub fn has(&self, number: u64) -> bool {
        self.words.get((number / 64) as usize).is_some_and(|word| word >> (number % 64) & 1 == 1)
    }

    /// Puts a number in. `true`: it was not in it before.
    pub fn insert(&mut self, number: u64) -> bool {
        let at = (number / 64) as usize;
        if self.words.len() <= at {
            self.words.resize(at + 1, 0);
        }
        let bit = 1 << (number % 64);
        let new = self.words[at] & bit == 0;
        self.words[at] |= bit;
        new
    }

    /// Takes a number out.
    pub fn remove(&mut self, number: u64) {
        if let Some(word) = self.words.get_mut((number / 64) as usize) {
            *word &= !(1 << (number % 64));
        }
    }

    /// Whether all that is in it is in the other set, too.
    pub fn is_within(&self, other: &Self) -> bool {
        let others = other.words.iter().chain(std::iter::repeat(&0));
        self.words.iter().zip(others).all(|(word, other)| word & !other == 0)
    }
}

/// A set of chunk names that may say "yes" wrongly now and then, and never "no" wrongly.
#[derive(Debug)]
pub struct Prefixes {
    bits: BitSet,
    range: u64,
}

impl Prefixes {
    /// With room for so many names.
    pub fn with_room(names: u64) -> Self {
        let range = names.saturating_mul(BITS_PER_PREFIX).max(64);
        Self { bits: BitSet::with_room(range), range }
    }

    /// Whether a name may be in it.
    pub fn may_have(&self, id: &ChunkId) -> bool {
        (0..PROBES).all(|probe| self.bits.has(self.place(id, probe)))
    }

    /// Puts a name in. `false`: it may have been in it before.
    pub fn insert(&mut self, id: &ChunkId) -> bool {
        let mut new = false;
        for probe in 0..PROBES {
            let place = self.place(id, probe);
            new |= self.bits.insert(place);
        }
        new
    }

    /// Names are keyed hashes, so any eight of their bytes will do.
    fn place(&self, id: &ChunkId, probe: u32) -> u64 {
        let (words, _) = id.as_bytes().as_chunks::<8>();
        let word = u64::from_le_bytes(words[probe as usize]);
        ((u128::from(word) * u128::from(self.range)) >> 64) as u64
    }
}

#[cfg(test)]
#[path = "bits_tests.rs"]
mod tests;
