//! Trees of files in memory: what is backed up, and what must come back.
//!
//! Promise: as a source it yields what any walk of such a tree would: the root folder, then everything in order.
//! Left out on purpose: owners, extended attributes, and whatever else needs a file system.

use std::collections::BTreeMap;
use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;

use larder::format::Time;
use larder::format::content::Content as Bytes;
use larder::format::listing::{Entry, Node, compare_paths};
use larder::source::{Candidate, Content, Error, Found, NoContent, Problem, Reader, Source, Verdict};

/// Files and links by path; the folders between them go without saying.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tree {
    leaves: BTreeMap<String, Leaf>,
}

/// A file or a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaf {
    pub what: What,
    /// In seconds.
    pub mtime: i64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    File(Arc<[u8]>),
    Symlink(String),
}

impl Tree {
    pub fn new() -> Self {
        Self::default()
    }

    /// With a file more, or another one in its place.
    pub fn file(mut self, path: &str, bytes: impl AsRef<[u8]>, mtime: i64) -> Self {
        let what = What::File(bytes.as_ref().into());
        self.leaves.insert(path.to_owned(), Leaf { what, mtime });
        self
    }

    pub fn symlink(mut self, path: &str, target: &str, mtime: i64) -> Self {
        let what = What::Symlink(target.to_owned());
        self.leaves.insert(path.to_owned(), Leaf { what, mtime });
        self
    }

    pub fn without(mut self, path: &str) -> Self {
        self.leaves.remove(path);
        self
    }

    pub fn leaves(&self) -> &BTreeMap<String, Leaf> {
        &self.leaves
    }

    fn folders(&self) -> impl Iterator<Item = String> + '_ {
        let above = |path: &String| path.match_indices('/').map(|(at, _)| path[..at].to_owned()).collect::<Vec<_>>();
        std::iter::once(String::new()).chain(self.leaves.keys().flat_map(above))
    }

    /// All entries in the order of a listing, folders among them.
    fn candidates(&self) -> Vec<Candidate> {
        let leaves = self.leaves.iter().map(|(path, leaf)| (path.clone(), leaf_candidate(path, leaf)));
        let folders = self.folders().map(|path| (path.clone(), folder_candidate(&path)));
        let mut all: Vec<(String, Candidate)> = folders.chain(leaves).collect();
        all.sort_by(|a, b| compare_paths(a.0.as_bytes(), b.0.as_bytes()));
        all.dedup_by(|a, b| a.0 == b.0);
        all.into_iter().map(|(_, candidate)| candidate).collect()
    }
}

/// Bytes that look like text and differ for every seed; equal seeds give equal beginnings.
pub fn text(seed: u64, len: usize) -> Vec<u8> {
    let mut random = Random::new(seed);
    (0..len).map(|_| b"etaoin shrdlu\n0123"[random.below(18)]).collect()
}

/// Bytes that do not compress.
pub fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut random = Random::new(seed);
    (0..len).map(|_| random.next() as u8).collect()
}

/// SplitMix64: the same numbers for the same seed, for ever.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0xd134_2543_de82_ef95))
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`.
    pub fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    /// One of these.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}

impl Source for Tree {
    fn walk(&self, visit: &mut dyn FnMut(Found) -> ControlFlow<()>) -> Result<(), Error> {
        let mut candidates = self.candidates().into_iter();
        let _all_seen = candidates.try_for_each(|candidate| visit(Found::Entry(candidate)));
        Ok(())
    }

    fn replayable(&self) -> bool {
        true
    }
}

fn leaf_candidate(path: &str, leaf: &Leaf) -> Candidate {
    let (node, mode, bytes) = match &leaf.what {
        What::File(bytes) => {
            let node = Node::File { bytes: bytes.len() as u64, content: Bytes::EMPTY, extents: None };
            (node, 0o644, Some(bytes.clone()))
        }
        What::Symlink(target) => (Node::Symlink { target: target.clone().into_bytes() }, 0o777, None),
    };
    Candidate { entry: entry(path, node, mode, leaf.mtime), reader: Box::new(Held { bytes, at: 0 }) }
}

fn folder_candidate(path: &str) -> Candidate {
    Candidate { entry: entry(path, Node::Directory, 0o755, 1), reader: Box::new(Held { bytes: None, at: 0 }) }
}

fn entry(path: &str, node: Node, mode: u32, mtime: i64) -> Entry {
    let time = Time { seconds: mtime, nanos: 0 };
    Entry { mtime: time, ctime: time, inode: 7, device: 1, ..Entry::new(path.as_bytes().to_vec(), node, mode) }
}

struct Held {
    bytes: Option<Arc<[u8]>>,
    at: usize,
}

impl Reader for Held {
    fn open(self: Box<Self>, _: &mut Entry) -> Result<Box<dyn Content>, Problem> {
        if self.bytes.is_some() { Ok(self) } else { Ok(Box::new(NoContent)) }
    }
}

impl Content for Held {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let rest = &self.bytes.as_deref().unwrap_or_default()[self.at..];
        let len = rest.len().min(buffer.len());
        buffer[..len].copy_from_slice(&rest[..len]);
        self.at += len;
        Ok(len)
    }

    fn finish(self: Box<Self>, _: &mut Entry, _: u64) -> Verdict {
        Verdict::Steady
    }
}
