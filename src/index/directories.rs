//! Directories that were opened lately, each with a table from chunk to entry.
//!
//! Promise: bounded memory, whatever the packs look like. The last few that had a hit are asked first, because a hit
//! in one pack predicts the next hits. Left out on purpose: opening them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use crate::format::Kind;
use crate::format::packs::Directory;
use crate::id::ChunkId;
use crate::index::packs::PackNumber;
use crate::index::store::prefix;

/// Most chunks in all directories kept; about 52 bytes each.
const CHUNKS_KEPT_MAX: usize = 300_000;
/// What a directory counts for besides its chunks, so that tiny packs are bounded as well.
const CHUNKS_PER_DIRECTORY: usize = 64;
/// How many directories are asked before anything else.
const RECENT_MAX: usize = 3;
/// An empty place in a table.
const NOTHING: u32 = u32::MAX;

/// A directory and the table into it.
#[derive(Debug)]
pub struct Opened {
    /// The pack it belongs to.
    pub number: PackNumber,
    /// What the pack holds.
    pub kind: Kind,
    /// The directory.
    pub directory: Arc<Directory>,
    /// Made with the second question: a random hit asks only once.
    table: OnceLock<Box<[u32]>>,
    was_asked: AtomicBool,
}

impl Opened {
    fn new(number: PackNumber, kind: Kind, directory: Arc<Directory>) -> Self {
        Self { number, kind, directory, table: OnceLock::new(), was_asked: AtomicBool::new(false) }
    }

    /// The first entry of a chunk.
    pub fn find(&self, id: &ChunkId) -> Option<u32> {
        let table = match self.table.get() {
            Some(table) => table,
            None if self.was_asked.swap(true, Ordering::Relaxed) => self.table.get_or_init(|| table(&self.directory)),
            None => return self.directory.chunks.iter().position(|chunk| chunk.id == *id).map(|entry| entry as u32),
        };
        let mask = table.len() - 1;
        let mut at = prefix(id) as usize & mask;
        while table[at] != NOTHING {
            let entry = table[at];
            if self.directory.chunks[entry as usize].id == *id {
                return Some(entry);
            }
            at = (at + 1) & mask;
        }
        None
    }

    fn weight(&self) -> usize {
        self.directory.chunks.len() + CHUNKS_PER_DIRECTORY
    }
}

/// Entry numbers, found by the prefix; the next place is tried when one is taken.
fn table(directory: &Directory) -> Box<[u32]> {
    let places = (directory.chunks.len() * 3 / 2 + 1).next_power_of_two();
    let mut table = vec![NOTHING; places].into_boxed_slice();
    for (entry, chunk) in directory.chunks.iter().enumerate() {
        let mut at = prefix(&chunk.id) as usize & (places - 1);
        while table[at] != NOTHING {
            at = (at + 1) & (places - 1);
        }
        table[at] = entry as u32;
    }
    table
}

#[derive(Debug)]
struct Kept {
    opened: Arc<Opened>,
    used_at: u64,
}

/// The directories kept.
#[derive(Debug, Default)]
pub struct Directories {
    kept: HashMap<PackNumber, Kept>,
    recent: Vec<Arc<Opened>>,
    weight: usize,
    clock: u64,
}

impl Directories {
    /// Looks for a chunk where the last hits were.
    pub fn find_recent(&mut self, id: &ChunkId, usable: &dyn Fn(&Opened) -> bool) -> Option<(Arc<Opened>, u32)> {
        for at in 0..self.recent.len() {
            let Some(entry) = self.recent[at].find(id) else { continue };
            if usable(&self.recent[at]) {
                self.recent[..=at].rotate_right(1);
                return Some((Arc::clone(&self.recent[0]), entry));
            }
        }
        None
    }

    /// A pack's directory, if it is kept.
    pub fn get(&mut self, number: PackNumber) -> Option<Arc<Opened>> {
        self.clock += 1;
        let kept = self.kept.get_mut(&number)?;
        kept.used_at = self.clock;
        Some(Arc::clone(&kept.opened))
    }

    /// Asks this directory first from now on.
    pub fn hit(&mut self, opened: &Arc<Opened>) {
        self.recent.retain(|other| other.number != opened.number);
        self.recent.truncate(RECENT_MAX - 1);
        self.recent.insert(0, Arc::clone(opened));
    }

    /// Keeps a directory, and lets go of those used least lately.
    pub fn insert(&mut self, number: PackNumber, kind: Kind, directory: Arc<Directory>) -> Arc<Opened> {
        self.forget(number);
        let opened = Arc::new(Opened::new(number, kind, directory));
        while !self.kept.is_empty() && self.weight + opened.weight() > CHUNKS_KEPT_MAX {
            let oldest = self.kept.values().min_by_key(|kept| kept.used_at).map(|kept| kept.opened.number);
            oldest.into_iter().for_each(|number| self.release(number));
        }
        self.clock += 1;
        self.weight += opened.weight();
        self.kept.insert(number, Kept { opened: Arc::clone(&opened), used_at: self.clock });
        opened
    }

    /// Forgets a pack that is gone.
    pub fn forget(&mut self, number: PackNumber) {
        self.release(number);
        self.recent.retain(|opened| opened.number != number);
    }

    fn release(&mut self, number: PackNumber) {
        if let Some(kept) = self.kept.remove(&number) {
            self.weight -= kept.opened.weight();
        }
    }
}
