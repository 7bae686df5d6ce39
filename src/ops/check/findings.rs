//! What a check has found so far, and where it lies.

use std::collections::{BTreeSet, HashMap};

use crate::format::packs::Directory;
use crate::id::{ChunkId, SnapshotId};
use crate::index::PackNumber;
use crate::ops::check::Problem;

/// Problems that are kept; all are counted.
pub const PROBLEMS_MAX: usize = 100_000;
/// Room for the names of what all problems touch, in bytes: memory must not grow with the repository.
const ROOM: usize = 32 << 20;
/// What a name takes beside its bytes, roughly.
const NAME_OVERHEAD: usize = 48;
/// Chunks whose problem is remembered.
const CHUNKS_MAX: usize = 1 << 20;

/// Where a problem lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In nothing that a snapshot consists of.
    Beside,
    /// In a snapshot as such.
    Snapshot(SnapshotId),
    /// In a whole pack.
    Pack(PackNumber),
    /// In a block.
    Block(PackNumber, u32),
    /// In a chunk or a page, wherever it lies.
    Chunk(ChunkId),
}

/// Problems, and what tells that a snapshot is touched by one.
#[derive(Debug)]
pub struct Findings {
    problems: Vec<Problem>,
    total: u64,
    /// The paths that each problem touches.
    paths: HashMap<usize, BTreeSet<Vec<u8>>>,
    room: usize,
    packs: HashMap<PackNumber, usize>,
    blocks: HashMap<(PackNumber, u32), usize>,
    chunks: HashMap<ChunkId, usize>,
}

impl Default for Findings {
    fn default() -> Self {
        Self::with_room(ROOM)
    }
}

impl Findings {
    /// Nothing found so far, with room for so many bytes of names.
    pub fn with_room(room: usize) -> Self {
        let (packs, blocks, chunks) = (HashMap::new(), HashMap::new(), HashMap::new());
        Self { problems: Vec::new(), total: 0, paths: HashMap::new(), room, packs, blocks, chunks }
    }

    /// Adds a problem.
    pub fn add(&mut self, object: impl Into<String>, what: impl Into<String>, place: Place) {
        self.total += 1;
        let at = self.problems.len();
        if at >= PROBLEMS_MAX {
            return;
        }
        let mut problem = Problem {
            object: object.into(),
            what: what.into(),
            snapshots: Vec::new(),
            snapshots_total: 0,
            paths: Vec::new(),
            unnamed: 0,
        };
        match place {
            Place::Beside => {}
            Place::Snapshot(snapshot) => {
                problem.snapshots.push(snapshot);
                problem.snapshots_total = 1;
            }
            Place::Pack(pack) => {
                self.packs.entry(pack).or_insert(at);
            }
            Place::Block(pack, block) => {
                self.blocks.entry((pack, block)).or_insert(at);
            }
            Place::Chunk(chunk) => {
                self.chunks.entry(chunk).or_insert(at);
            }
        }
        self.problems.push(problem);
    }

    /// Remembers what lay in the pack of the problem added last.
    pub fn lost(&mut self, directory: &Directory) {
        let Some(at) = self.problems.len().checked_sub(1) else { return };
        let room = CHUNKS_MAX.saturating_sub(self.chunks.len());
        for chunk in directory.chunks.iter().take(room) {
            self.chunks.entry(chunk.id).or_insert(at);
        }
    }

    /// How many problems were added.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Whether some problem may touch paths.
    pub fn may_touch(&self) -> bool {
        self.in_packs() || !self.chunks.is_empty()
    }

    /// Whether some problem lies in a pack or block.
    pub fn in_packs(&self) -> bool {
        !self.packs.is_empty() || !self.blocks.is_empty()
    }

    /// The problem of a chunk, wherever it lies.
    pub fn of_chunk(&self, chunk: &ChunkId) -> Option<usize> {
        self.chunks.get(chunk).copied()
    }

    /// The problem of a block or its pack.
    pub fn of_block(&self, pack: PackNumber, block: u32) -> Option<usize> {
        self.packs.get(&pack).or_else(|| self.blocks.get(&(pack, block))).copied()
    }

    /// Notes that a problem touches a snapshot.
    pub fn touches_snapshot(&mut self, at: usize, snapshot: SnapshotId) {
        let takes = size_of::<SnapshotId>();
        let problem = &mut self.problems[at];
        problem.snapshots_total += 1;
        if takes <= self.room {
            self.room -= takes;
            problem.snapshots.push(snapshot);
        }
    }

    /// Notes that a problem touches a path, in whichever snapshot.
    pub fn touches_path(&mut self, at: usize, path: &[u8]) {
        let paths = self.paths.entry(at).or_default();
        if paths.contains(path) {
            return;
        }
        let takes = path.len() + NAME_OVERHEAD;
        if takes <= self.room {
            self.room -= takes;
            paths.insert(path.to_vec());
        } else {
            self.problems[at].unnamed += 1;
        }
    }

    /// All problems kept.
    pub fn into_problems(mut self) -> Vec<Problem> {
        for (at, paths) in self.paths.drain() {
            self.problems[at].paths = paths.into_iter().collect();
        }
        self.problems
    }
}

#[cfg(test)]
#[path = "findings_tests.rs"]
mod tests;
