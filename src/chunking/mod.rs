//! Cutting bytes into chunks where their content says so.
//!
//! Promise: the same bytes are cut in the same places whatever the read sizes, and an insertion moves cuts only near
//! it. Pure. Left out on purpose: names of chunks, files.

use fastcdc::v2020::{self, Normalization};

/// How large chunks are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// No chunk but the last is smaller.
    pub min: u32,
    /// Most are about this size.
    pub average: u32,
    /// None is larger.
    pub max: u32,
}

impl Sizes {
    /// What a new repository gets.
    pub const DEFAULT: Self = Sizes { min: 4 << 10, average: 16 << 10, max: 64 << 10 };

    /// Whether the chunker can work with them.
    pub fn allowed(&self) -> bool {
        let even = |n: u32| n.is_multiple_of(2);
        self.min >= 64
            && self.min <= self.average
            && self.average <= self.max
            && self.max <= 8 << 20
            && self.average.is_power_of_two()
            && (256..=4 << 20).contains(&self.average)
            && even(self.min)
            && even(self.max)
    }
}

/// Finds cut points with a Gear table of one's own.
pub struct Chunker {
    sizes: Sizes,
    mask_small: u64,
    mask_large: u64,
    gear: Box<[u64; 256]>,
    gear_shifted: Box<[u64; 256]>,
}

impl Chunker {
    /// `sizes` must be allowed.
    pub fn new(sizes: Sizes, gear: [u64; 256]) -> Self {
        let (mask_small, mask_large) = v2020::select_masks(sizes.average as usize, Normalization::Level1);
        let gear_shifted = Box::new(gear.map(|word| word << 1));
        Self { sizes, mask_small, mask_large, gear: Box::new(gear), gear_shifted }
    }

    /// The sizes it cuts.
    pub fn sizes(&self) -> Sizes {
        self.sizes
    }

    /// Length of the first chunk of `bytes`. When more bytes may follow, `bytes` must hold at least `max` of them.
    pub fn cut(&self, bytes: &[u8]) -> usize {
        v2020::cut_gear(
            bytes,
            self.sizes.min as usize,
            self.sizes.average as usize,
            self.sizes.max as usize,
            self.mask_small,
            self.mask_large,
            self.mask_small << 1,
            self.mask_large << 1,
            self.gear.as_slice(),
            self.gear_shifted.as_slice(),
        )
        .1
    }
}

impl std::fmt::Debug for Chunker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The table is secret.
        f.debug_struct("Chunker").field("sizes", &self.sizes).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "chunking_tests.rs"]
mod tests;
