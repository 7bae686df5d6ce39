//! Buffers for pieces of files, used again: to clear new memory for each piece of a long file takes a twelfth of the time.
//!
//! Promise: bounded memory. Left out on purpose: clearing. What a buffer held before is still in it, so that only what
//! was read into it since may be looked at.

use std::ops::RangeInclusive;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Buffers of about one length.
#[derive(Debug)]
pub struct Buffers {
    /// The lengths that are worth it.
    lengths: RangeInclusive<usize>,
    waiting_max: usize,
    waiting: Mutex<Vec<Vec<u8>>>,
}

impl Buffers {
    /// Buffers of these lengths are used again; so many wait for that at most.
    pub fn new(lengths: RangeInclusive<usize>, waiting_max: usize) -> Self {
        Self { lengths, waiting_max, waiting: Mutex::default() }
    }

    /// A buffer of any length, with anything in it.
    pub fn take(&self, bytes: usize) -> Vec<u8> {
        if !self.lengths.contains(&bytes) {
            return vec![0; bytes];
        }
        let waiting = self.waiting().pop();
        let mut buffer = waiting.unwrap_or_else(|| Vec::with_capacity(*self.lengths.end()));
        buffer.resize(bytes, 0);
        buffer
    }

    /// Gives a buffer back.
    pub fn give(&self, buffer: Vec<u8>) {
        let mut waiting = self.waiting();
        if buffer.capacity() == *self.lengths.end() && waiting.len() < self.waiting_max {
            waiting.push(buffer);
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<Vec<u8>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[path = "buffers_tests.rs"]
mod tests;
