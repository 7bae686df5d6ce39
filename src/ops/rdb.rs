//! Whether what is written is a whole dump of a Redis server.
//!
//! Promise: constant memory. Left out on purpose: what is in it; its checksum vouches for that.

use std::io::{self, Write};

use crc::{CRC_64_REDIS, Crc, Digest, Table};

/// How a dump begins; four digits follow.
const MAGIC: &[u8] = b"REDIS";
/// The last byte before the checksum.
const END: u8 = 0xFF;
const SUM_BYTES: usize = 8;

static SUM: Crc<u64, Table<16>> = Crc::<u64, Table<16>>::new(&CRC_64_REDIS);

/// Takes a dump as it comes.
pub struct Rdb {
    head: Vec<u8>,
    /// The last byte that is no checksum whatever follows, and what may be the checksum.
    last: u8,
    held: Vec<u8>,
    sum: Digest<'static, u64, Table<16>>,
}

impl Rdb {
    /// Nothing has been written yet.
    pub fn new() -> Self {
        Self { head: Vec::new(), last: 0, held: Vec::new(), sum: SUM.digest() }
    }

    /// What is wrong with what was written.
    pub fn flaw(self) -> Option<&'static str> {
        let sum = <[u8; SUM_BYTES]>::try_from(self.held.as_slice()).map(u64::from_le_bytes);
        if self.head != MAGIC {
            return Some("is no dump of Redis");
        }
        match sum {
            _ if self.last != END => Some("is no whole dump of Redis: the mark that ends one is missing"),
            // Zero stands for a server that was told to make none.
            Ok(sum) if sum == 0 || sum == self.sum.finalize() => None,
            _ => Some("is no whole dump of Redis: its checksum is another"),
        }
    }
}

impl Write for Rdb {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let missing = MAGIC.len() - self.head.len();
        self.head.extend_from_slice(&bytes[..missing.min(bytes.len())]);
        self.held.extend_from_slice(bytes);
        let sure = self.held.len().saturating_sub(SUM_BYTES);
        if let Some(last) = self.held[..sure].last() {
            self.last = *last;
        }
        self.sum.update(&self.held[..sure]);
        self.held.drain(..sure);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
#[path = "rdb_tests.rs"]
mod tests;
