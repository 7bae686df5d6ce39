//! What was added and removed since the last flush.
//!
//! Promise: bounded memory (see [`Pending::is_full_with`]), and every row can be found before it is in the database.
//! Left out on purpose: directories. The header is kept, and what is dropped from memory is opened again.

use std::collections::BTreeMap;

use crate::format::packs::Directory;
use crate::index::packs::PackNumber;
use crate::index::store::prefix;

/// Most chunk rows kept before they are written; no pack has more.
const ROWS_MAX: usize = 262_144;
/// Most bytes of headers and log entries kept before they are written.
const BYTES_MAX: usize = 16 << 20;
/// An empty place in the table.
const NOTHING: u32 = u32::MAX;

/// What the next flush writes.
#[derive(Debug, Default)]
pub struct Pending {
    prefixes: Vec<u64>,
    numbers: Vec<PackNumber>,
    /// Row numbers, found by the prefix; the next place is tried when one is taken.
    table: Vec<u32>,
    headers: BTreeMap<PackNumber, Vec<u8>>,
    doomed: Vec<i64>,
    log: BTreeMap<u64, Vec<u8>>,
    log_kept_below: Option<u64>,
    bytes: usize,
}

impl Pending {
    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.headers.is_empty() && self.doomed.is_empty() && self.log.is_empty() && self.log_kept_below.is_none()
    }

    /// Whether it would hold more than it may with so many rows and bytes more.
    pub fn is_full_with(&self, rows: usize, bytes: usize) -> bool {
        !self.is_empty() && (self.prefixes.len() + rows > ROWS_MAX || self.bytes + bytes > BYTES_MAX)
    }

    /// Adds a pack.
    pub fn add(&mut self, number: PackNumber, header: &[u8], directory: &Directory) {
        self.bytes += header.len();
        self.headers.insert(number, header.to_vec());
        let rows = self.prefixes.len() + directory.chunks.len();
        if self.table.len() < rows * 3 / 2 + 1 {
            self.grow_table(rows * 2);
        }
        for chunk in &directory.chunks {
            self.numbers.push(number);
            self.prefixes.push(prefix(&chunk.id));
            self.enter(self.prefixes.len() - 1);
        }
    }

    /// Takes a pack out again that was added.
    pub fn forget(&mut self, number: PackNumber) {
        if let Some(header) = self.headers.remove(&number) {
            self.bytes -= header.len();
        }
    }

    /// Remembers to delete a pack that is in the database.
    pub fn doom(&mut self, row: i64) {
        self.doomed.push(row);
    }

    /// The database is a new one, with nothing to delete.
    pub fn spare_all(&mut self) {
        self.doomed.clear();
    }

    /// The packs added that may hold a chunk.
    pub fn candidates(&self, prefix: u64) -> Vec<PackNumber> {
        let mut found = Vec::new();
        let Some(mask) = self.table.len().checked_sub(1) else { return found };
        let mut at = prefix as usize & mask;
        while self.table[at] != NOTHING {
            let row = self.table[at] as usize;
            if self.prefixes[row] == prefix && self.headers.contains_key(&self.numbers[row]) {
                found.push(self.numbers[row]);
            }
            at = (at + 1) & mask;
        }
        found
    }

    /// The header of a pack added.
    pub fn header(&self, number: PackNumber) -> Option<&[u8]> {
        self.headers.get(&number).map(Vec::as_slice)
    }

    /// The packs added, with their headers.
    pub fn headers(&self) -> impl Iterator<Item = (PackNumber, &[u8])> {
        self.headers.iter().map(|(&number, header)| (number, header.as_slice()))
    }

    /// The rows added, those of packs taken out again included.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = (u64, PackNumber)> {
        self.prefixes.iter().copied().zip(self.numbers.iter().copied())
    }

    /// The rows of packs to be deleted.
    pub fn doomed(&self) -> &[i64] {
        &self.doomed
    }

    /// The log entries added, and from where on the older ones go before that.
    pub fn log(&self) -> (Option<u64>, impl Iterator<Item = (u64, &[u8])>) {
        (self.log_kept_below, self.log.iter().map(|(&seq, entry)| (seq, entry.as_slice())))
    }

    /// Adds a log entry.
    pub fn put_log_entry(&mut self, seq: u64, entry: &[u8]) {
        self.bytes += entry.len();
        if let Some(old) = self.log.insert(seq, entry.to_vec()) {
            self.bytes -= old.len();
        }
    }

    /// Forgets the log entries from `first` on, stored ones too.
    pub fn truncate_log(&mut self, first: u64) {
        let gone = self.log.split_off(&first);
        self.bytes -= gone.values().map(Vec::len).sum::<usize>();
        self.log_kept_below = Some(self.log_kept_below.map_or(first, |other| other.min(first)));
    }

    /// What the log is with the stored entries in it.
    pub fn merge_log(&self, stored: Vec<(u64, Vec<u8>)>) -> Vec<(u64, Vec<u8>)> {
        let kept = |seq: &u64| self.log_kept_below.is_none_or(|first| *seq < first);
        let mut log: BTreeMap<u64, Vec<u8>> = stored.into_iter().filter(|(seq, _)| kept(seq)).collect();
        log.extend(self.log.iter().map(|(&seq, entry)| (seq, entry.clone())));
        log.into_iter().collect()
    }

    /// All of it is written.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    fn grow_table(&mut self, rows: usize) {
        let places = (rows * 3 / 2 + 1).next_power_of_two();
        self.table = vec![NOTHING; places];
        (0..self.prefixes.len()).for_each(|row| self.enter(row));
    }

    fn enter(&mut self, row: usize) {
        let mask = self.table.len() - 1;
        let mut at = self.prefixes[row] as usize & mask;
        while self.table[at] != NOTHING {
            at = (at + 1) & mask;
        }
        self.table[at] = row as u32;
    }
}
