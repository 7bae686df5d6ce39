//! A window: as many files and chunks as are restored at a time.
//!
//! Promise: bounded. A file that does not fit is continued in the next window.

use std::sync::atomic::AtomicU32;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::format::listing::{Entry, Node};
use crate::id::ChunkId;
use crate::index::{Location, PackNumber};
use crate::ops::restore::layout::Layout;
use crate::posix::capture::Identity;

/// What a placement or a file costs besides the bytes of its paths is counted by number. An extent costs this.
const EXTENT_BYTES: usize = 24;

/// What may be held at a time.
#[derive(Debug)]
pub struct Limits {
    /// Placements of a window; 64 bytes each.
    pub placements_max: usize,
    /// Files of a window; about 400 bytes each.
    pub files_max: usize,
    /// Bytes of the paths, attributes and extents of a window.
    pub text_bytes_max: usize,
    /// Unfinished files that are held open.
    pub open_files_max: usize,
    /// Bytes of what is left to do after the files.
    pub later_bytes_max: usize,
    /// Bytes of the table of hard links that stay in memory.
    pub links_bytes_max: usize,
}

impl Limits {
    /// What a restore uses.
    pub const STANDARD: Self = Self {
        placements_max: 1 << 19,
        files_max: 1 << 16,
        text_bytes_max: 16 << 20,
        open_files_max: 200,
        later_bytes_max: 4 << 20,
        links_bytes_max: 8 << 20,
    };
}

/// A chunk that goes into a file.
#[derive(Debug, Clone, Copy)]
pub struct Placement {
    /// Which chunk.
    pub id: ChunkId,
    /// Where it goes in the content of the file.
    pub content_at: u64,
    /// The pack it is read from.
    pub pack: PackNumber,
    /// The block in the pack.
    pub block: u32,
    /// Where in the opened block it begins.
    pub offset: u32,
    /// Its length.
    pub bytes: u32,
    /// The file, by its place in the window.
    pub file: u32,
}

impl Placement {
    /// Fills in where the chunk is.
    pub fn locate(&mut self, found: Location) {
        self.pack = found.pack;
        self.block = found.block;
        self.offset = found.offset;
    }
}

/// A file of a window.
#[derive(Debug)]
pub struct FileSlot {
    /// Its entry, without the content.
    pub entry: Entry,
    /// Its place among the entries.
    pub ordinal: u64,
    /// Where its bytes lie.
    pub layout: Layout,
    /// Its length.
    pub bytes: u64,
    /// How many placements it has in this window.
    pub placements: u32,
    /// How many of them are still to be written.
    pub left: AtomicU32,
    /// Whether it ends in this window.
    pub ends: Ends,
    work: Mutex<Work>,
}

/// Whether a file ends in a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ends {
    /// It does.
    Here,
    /// The next window goes on with it.
    Later,
}

/// What was done of a file so far.
#[derive(Debug, Default)]
pub struct Work {
    /// The unfinished file.
    pub temp: Option<Temp>,
    /// What could not be had.
    pub lost: Lost,
    /// How far it is.
    pub state: FileState,
}

/// How far a file is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum FileState {
    /// Not finished yet.
    #[default]
    Open,
    /// Restored as stored; and which file it is now, if it has several names.
    Done(Option<Identity>),
    /// Kept as it was found.
    Kept,
    /// Restored in parts, or not at all.
    Failed,
}

/// An unfinished file.
#[derive(Debug, Clone)]
pub struct Temp {
    /// Its name.
    pub name: Vec<u8>,
    /// Which file it is.
    pub identity: Identity,
}

/// What could not be had of a file.
#[derive(Debug, Default)]
pub struct Lost {
    /// Stretches of the file, at most [`LOST_RANGES_MAX`].
    pub ranges: Vec<(u64, u64)>,
    /// Bytes altogether.
    pub bytes: u64,
    /// Why the first of them is missing.
    pub reason: Option<String>,
}

/// Lost stretches of one file that are reported one by one.
pub const LOST_RANGES_MAX: usize = 100;

impl Lost {
    /// Notes a stretch of the file.
    pub fn add(&mut self, at: u64, bytes: u64, reason: &str) {
        self.bytes += bytes;
        self.reason.get_or_insert_with(|| reason.to_owned());
        let touching = self.ranges.iter_mut().find(|range| range.1 == at || range.0 == at + bytes);
        if let Some(range) = touching {
            *range = (range.0.min(at), range.1.max(at + bytes));
        } else if self.ranges.len() < LOST_RANGES_MAX {
            self.ranges.push((at, at + bytes));
        }
    }

    /// In words: how much, where, why.
    pub fn message(&mut self) -> String {
        self.ranges.sort_unstable();
        self.ranges.dedup_by(|later, earlier| {
            let touches = earlier.1 == later.0;
            earlier.1 = if touches { later.1 } else { earlier.1 };
            touches
        });
        let ranges: Vec<String> = self.ranges.iter().map(|(from, to)| format!("{from}-{}", to - 1)).collect();
        let known: u64 = self.ranges.iter().map(|(from, to)| to - from).sum();
        let more = if known < self.bytes { " and others" } else { "" };
        let reason = self.reason.as_deref().unwrap_or_default();
        format!("{} bytes are lost, at {}{more}: {reason}", self.bytes, ranges.join(", "))
    }
}

impl FileSlot {
    /// A file of which nothing is written yet. `content` is taken out of the entry by the caller.
    pub fn new(entry: Entry, ordinal: u64, bytes: u64) -> Self {
        let layout = Layout::of(&entry.node);
        let (placements, left, ends, work) = (0, AtomicU32::new(0), Ends::Here, Mutex::default());
        Self { entry, ordinal, layout, bytes, placements, left, ends, work }
    }

    /// What was done of it so far.
    pub fn work(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a stretch of its content could not be had.
    pub fn lose(&self, content_at: u64, bytes: usize, reason: &str) {
        let mut work = self.work();
        self.layout.pieces(content_at, bytes, &mut |at, part| work.lost.add(at, part.len() as u64, reason));
    }
}

/// A name to be given to a file that is restored already, or in the same window.
#[derive(Debug)]
pub struct Link {
    /// The entry.
    pub entry: Entry,
    /// Its place among the entries.
    pub ordinal: u64,
}

/// Files and chunks restored together.
#[derive(Debug, Default)]
pub struct Window {
    /// The files.
    pub files: Vec<FileSlot>,
    /// Their chunks, by pack, block and offset.
    pub placements: Vec<Placement>,
    /// Further names of files.
    pub links: Vec<Link>,
    /// Bytes of paths and the like.
    pub text_bytes: usize,
}

impl Window {
    /// Whether nothing more should be added.
    pub fn is_full(&self, limits: &Limits) -> bool {
        self.placements.len() >= limits.placements_max
            || self.files.len() + self.links.len() >= limits.files_max
            || self.text_bytes >= limits.text_bytes_max
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty() && self.links.is_empty()
    }
}

/// What an entry costs besides its place in a window.
pub fn weight(entry: &Entry) -> usize {
    let xattrs: usize = entry.xattrs.iter().map(|(name, value)| name.len() + value.len()).sum();
    let extents = match &entry.node {
        Node::File { extents: Some(extents), .. } => extents.len() * EXTENT_BYTES * 2,
        _ => 0,
    };
    entry.path.len() + xattrs + extents + entry.stamp.len()
}
