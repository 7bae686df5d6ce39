//! Turns: who comes to a place in a pack, in the order of the blocks and not of the threads.
//!
//! Promise: nobody waits for one that will not come: a turn that is dropped before it was taken lets everybody go, in any
//! order. Left out on purpose: what is done in a turn (`repo/pipeline`).

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Whose turn it is.
pub struct Turns {
    next: Mutex<u64>,
    moved: Condvar,
}

/// The turn of one block.
pub struct Turn<'t> {
    turns: &'t Turns,
    number: u64,
}

impl Turns {
    /// One after the other, from 0.
    pub fn in_order() -> Self {
        Self { next: Mutex::new(0), moved: Condvar::new() }
    }

    /// As it comes: nobody waits.
    pub fn as_it_comes() -> Self {
        Self { next: Mutex::new(u64::MAX), moved: Condvar::new() }
    }

    /// The turn of this number. It may be dropped any time.
    pub fn of(&self, number: u64) -> Turn<'_> {
        Turn { turns: self, number }
    }

    fn next(&self) -> MutexGuard<'_, u64> {
        self.next.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn move_on(&self, to: u64) {
        let mut next = self.next();
        *next = to.max(*next);
        self.moved.notify_all();
    }
}

impl Turn<'_> {
    /// Does something once all turns before have been taken.
    pub fn take<T>(self, action: impl FnOnce() -> T) -> T {
        let waits = |next: &mut u64| *next < self.number;
        drop(self.turns.moved.wait_while(self.turns.next(), waits).unwrap_or_else(PoisonError::into_inner));
        let result = action();
        self.turns.move_on(self.number + 1);
        result
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let next = *self.turns.next();
        if next <= self.number {
            self.turns.move_on(u64::MAX);
        }
    }
}

#[cfg(test)]
#[path = "turns_tests.rs"]
mod tests;
