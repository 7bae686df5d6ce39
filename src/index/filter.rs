//! A Bloom filter over chunk prefixes: says "surely new" without SQLite.
//!
//! Promise: after [`Filter::insert`], [`Filter::may_contain`] never says no. One touch of memory per question: all
//! bits of a prefix lie in one cache line. What was saved and does not carry its checksums is not loaded.
//! Left out on purpose: growing. A full filter is made anew from the chunk rows, which is cheap because it is rare.

use rusqlite::{Connection, params};

use crate::index::store::{get_meta, scan_prefixes, set_meta, tag};
use crate::sqlite;

/// Bits set for a prefix; 7 times 9 bits are taken from one 64-bit hash.
const PROBES: u32 = 7;
/// Bits per row when the filter is full: about one false "maybe" in 400.
const BITS_PER_ROW: u64 = 14;
/// One cache line.
const BLOCK_BYTES: usize = 64;
/// What is written and checked as one.
const SLICE_BYTES: usize = 64 << 10;
const SLICE_BLOCKS: usize = SLICE_BYTES / BLOCK_BYTES;
/// Most slices that are believed: 1 GiB.
const SLICES_MAX: usize = 16 << 10;
const META_KEY: &str = "filter";

#[derive(Clone, Copy)]
#[repr(align(64))]
struct Block([u64; 8]);

/// The filter.
pub struct Filter {
    blocks: Vec<Block>,
    dirty: Vec<bool>,
    rows: u64,
}

impl Filter {
    /// An empty filter with room for so many rows, and some more.
    pub fn with_room(rows: u64) -> Self {
        let wanted = (rows + rows / 3) * BITS_PER_ROW / 8;
        let slices = (wanted as usize).div_ceil(SLICE_BYTES).clamp(1, SLICES_MAX);
        Self { blocks: vec![Block([0; 8]); slices * SLICE_BLOCKS], dirty: vec![true; slices], rows: 0 }
    }

    /// How many rows were put in.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Whether it holds more than it should.
    pub fn is_full(&self) -> bool {
        self.dirty.len() < SLICES_MAX && self.rows * BITS_PER_ROW / 8 > (self.dirty.len() * SLICE_BYTES) as u64
    }

    /// Puts in a prefix.
    pub fn insert(&mut self, prefix: u64) {
        let at = self.block_of(prefix);
        let block = &mut self.blocks[at].0;
        let mut bits = mix(prefix);
        for _ in 0..PROBES {
            block[(bits >> 6 & 7) as usize] |= 1 << (bits & 63);
            bits >>= 9;
        }
        self.dirty[at / SLICE_BLOCKS] = true;
        self.rows += 1;
    }

    /// `false`: never put in.
    pub fn may_contain(&self, prefix: u64) -> bool {
        let block = &self.blocks[self.block_of(prefix)].0;
        let mut bits = mix(prefix);
        let mut all = 1;
        for _ in 0..PROBES {
            all &= block[(bits >> 6 & 7) as usize] >> (bits & 63);
            bits >>= 9;
        }
        all & 1 == 1
    }

    fn block_of(&self, prefix: u64) -> usize {
        ((u128::from(prefix) * self.blocks.len() as u128) >> 64) as usize
    }

    /// Reads what was saved. `None`: nothing was, or not all of it is as it was.
    pub fn load(connection: &Connection) -> Result<Option<Self>, sqlite::Error> {
        let Some((slices, rows)) = get_meta(connection, META_KEY)?.and_then(|bytes| decode_meta(&bytes)) else {
            return Ok(None);
        };
        let mut filter = Self { blocks: Vec::with_capacity(slices * SLICE_BLOCKS), dirty: vec![false; slices], rows };
        let mut statement = connection.prepare_cached("SELECT slice, tag, bits FROM filter ORDER BY slice")?;
        let mut found = statement.query([])?;
        while let Some(row) = found.next()? {
            let slice = filter.blocks.len() / SLICE_BLOCKS;
            let (Ok(tag), Ok(bits)) = (row.get_ref(1)?.as_blob(), row.get_ref(2)?.as_blob()) else { return Ok(None) };
            if row.get::<_, i64>(0)? != slice as i64 || bits.len() != SLICE_BYTES || slice >= slices {
                return Ok(None);
            }
            if tag != slice_tag(slices, slice, bits) {
                return Ok(None);
            }
            let (blocks, _) = bits.as_chunks::<BLOCK_BYTES>();
            filter.blocks.extend(blocks.iter().map(block_from_bytes));
        }
        Ok((filter.blocks.len() == slices * SLICE_BLOCKS).then_some(filter))
    }

    /// Makes one from the chunk rows, with room for `more`.
    pub fn rebuild(connection: &Connection, more: u64) -> Result<Self, sqlite::Error> {
        let rows: i64 = connection.query_row("SELECT count(*) FROM chunk", [], |row| row.get(0))?;
        let mut filter = Self::with_room(rows as u64 + more);
        scan_prefixes(connection, &mut |prefix| filter.insert(prefix))?;
        Ok(filter)
    }

    /// Writes the slices that changed. They count as changed until [`Filter::saved`].
    pub fn save(&self, connection: &Connection) -> Result<(), sqlite::Error> {
        let slices = self.dirty.len();
        let mut statement = connection.prepare_cached("INSERT OR REPLACE INTO filter VALUES (?1, ?2, ?3)")?;
        let mut bits = Vec::with_capacity(SLICE_BYTES);
        for slice in (0..slices).filter(|&slice| self.dirty[slice]) {
            bits.clear();
            let blocks = &self.blocks[slice * SLICE_BLOCKS..][..SLICE_BLOCKS];
            blocks.iter().for_each(|block| bits.extend_from_slice(block.0.map(u64::to_le_bytes).as_flattened()));
            statement.execute(params![slice as i64, slice_tag(slices, slice, &bits), bits])?;
        }
        connection.prepare_cached("DELETE FROM filter WHERE slice >= ?1")?.execute([slices as i64])?;
        set_meta(connection, META_KEY, &encode_meta(slices, self.rows))
    }

    /// The transaction with [`Filter::save`] in it is through.
    pub fn saved(&mut self) {
        self.dirty.fill(false);
    }
}

/// Spreads a prefix over 64 bits (the finalizer of SplitMix64).
fn mix(prefix: u64) -> u64 {
    let mut x = prefix;
    x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ x >> 31
}

fn block_from_bytes(bytes: &[u8; BLOCK_BYTES]) -> Block {
    let (words, _) = bytes.as_chunks::<8>();
    let mut block = [0; 8];
    for (to, from) in block.iter_mut().zip(words) {
        *to = u64::from_le_bytes(*from);
    }
    Block(block)
}

fn slice_tag(slices: usize, slice: usize, bits: &[u8]) -> [u8; 16] {
    tag("larder index filter", &[&(slices as u64).to_le_bytes(), &(slice as u64).to_le_bytes(), bits])
}

fn encode_meta(slices: usize, rows: u64) -> Vec<u8> {
    let numbers = [(slices as u64).to_le_bytes(), rows.to_le_bytes()].concat();
    let tag = tag("larder index filter size", &[&numbers]);
    [&numbers[..], &tag[..]].concat()
}

fn decode_meta(bytes: &[u8]) -> Option<(usize, u64)> {
    let (&slices, rest) = bytes.split_first_chunk::<8>()?;
    let (&rows, _) = rest.split_first_chunk::<8>()?;
    let (slices, rows) = (u64::from_le_bytes(slices) as usize, u64::from_le_bytes(rows));
    (bytes == encode_meta(slices, rows) && (1..=SLICES_MAX).contains(&slices)).then_some((slices, rows))
}

#[cfg(test)]
#[path = "filter_tests.rs"]
mod tests;
