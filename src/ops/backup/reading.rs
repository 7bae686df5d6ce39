//! Reading: open, cut, name. Several files at a time, each in pieces.

use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender};
use rayon::iter::{IntoParallelRefMutIterator, ParallelIterator};

use crate::chunking::Chunker;
use crate::crypto::keys::Keys;
use crate::format::listing::{Entry, Node};
use crate::id::ChunkId;
use crate::ops::backup::random::looks_random;
use crate::repo::Repository;
use crate::repo::seal::Squeeze;
use crate::source::{Content, Problem, Reader, Verdict};

/// What may be in flight. Together these bound the memory of reading.
pub struct Limits;

impl Limits {
    /// Length of a piece of a file.
    pub const PIECE_BYTES: usize = 1 << 20;
    /// Length of the first look at a file that says it is empty.
    pub const FIRST_LOOK_BYTES: usize = 4 << 10;
    /// Pieces of one file waiting for the assembler.
    pub const PIECES: usize = 3;
    /// Files waiting for a reader.
    pub const JOBS: usize = 64;
    /// Batches of slots waiting for the assembler.
    pub const BATCHES: usize = 4;
    /// Slots in a batch.
    pub const BATCH_SLOTS: usize = 128;
    /// Expected bytes of the files in a batch.
    pub const BATCH_BYTES: u64 = 4 << 20;
    /// Pieces at least this long are named on all cores.
    pub const PARALLEL_BYTES: usize = 512 << 10;
}

/// A file to be read.
pub struct Job {
    /// What is known of it.
    pub entry: Entry,
    /// The way to its bytes.
    pub reader: Box<dyn Reader>,
    /// Where the pieces go.
    pub pieces: Sender<Piece>,
}

/// A chunk within a piece.
#[derive(Debug, Clone, Copy)]
pub struct Cut {
    /// Its length.
    pub bytes: u32,
    /// Its name.
    pub id: ChunkId,
    /// Whether it is worth compressing.
    pub squeeze: Squeeze,
}

/// A part of a file, in order.
pub struct Piece {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Its chunks, one after the other.
    pub cuts: Vec<Cut>,
    /// Set in the last piece.
    pub end: Option<End>,
}

impl Piece {
    fn empty(end: End) -> Self {
        Self { bytes: Vec::new(), cuts: Vec::new(), end: Some(end) }
    }
}

/// How reading a file ended.
pub enum End {
    /// To be stored.
    Done(Box<Entry>, Verdict),
    /// Not to be had.
    Problem(Problem),
}

/// The repository's chunker.
pub fn chunker(repo: &Repository) -> Chunker {
    Chunker::new(repo.config().sizes, repo.keys().gear())
}

/// How many bytes reading an entry is likely to give.
pub fn expected_bytes(entry: &Entry) -> u64 {
    match &entry.node {
        Node::File { bytes, .. } => *bytes,
        _ => 0,
    }
}

/// A reading thread.
pub fn read_jobs(keys: &Arc<Keys>, chunker: &Chunker, queue: &Receiver<Job>) {
    for Job { mut entry, reader, pieces } in queue {
        let end = match reader.open(&mut entry) {
            Ok(content) => read(keys, chunker, entry, content, &pieces),
            Err(problem) => Some(Piece::empty(End::Problem(problem))),
        };
        // Nobody listens any more only when the backup has failed: then there is nothing to say.
        if let Some(end) = end {
            let _ = pieces.send(end);
        }
    }
}

/// Reads one file, sends all pieces but the last, and returns that. `None` when nobody listens any more.
fn read(
    keys: &Keys,
    chunker: &Chunker,
    mut entry: Entry,
    mut content: Box<dyn Content>,
    pieces: &Sender<Piece>,
) -> Option<Piece> {
    let expected = expected_bytes(&entry);
    let mut taken = 0u64;
    let mut rest: Vec<u8> = Vec::new();
    loop {
        let room = piece_room(expected, taken, rest.len());
        let mut bytes = rest;
        let start = bytes.len();
        bytes.resize(start + room, 0);
        let filled = match content.read(&mut bytes[start..]) {
            Ok(filled) => filled,
            Err(error) => return Some(Piece::empty(broken(entry, content, taken, &error))),
        };
        taken += filled as u64;
        bytes.truncate(start + filled);
        let last = filled < room;
        // Unless these are the last bytes, a chunk may go on in the next piece.
        let keep = if last { 1 } else { chunker.sizes().max as usize };
        let (mut cuts, used) = cut(chunker, &bytes, keep);
        rest = bytes[used..].to_vec();
        bytes.truncate(used);
        name(keys, &bytes, &mut cuts);
        if last {
            let verdict = content.finish(&mut entry, taken);
            return Some(Piece { bytes, cuts, end: Some(End::Done(Box::new(entry), verdict)) });
        }
        pieces.send(Piece { bytes, cuts, end: None }).ok()?;
    }
}

/// How a file ends that cannot be read on. Half a stream is worth nothing and fails the backup; half a file is a problem.
fn broken(mut entry: Entry, content: Box<dyn Content>, taken: u64, error: &std::io::Error) -> End {
    let problem = Problem::new(&entry.path, "read", error);
    match content.finish(&mut entry, taken) {
        failed @ Verdict::Failed(_) => End::Done(Box::new(entry), failed),
        Verdict::Steady | Verdict::Changed => End::Problem(problem),
    }
}

/// How much to read next: all of a small file and a byte more, to see its end. The first look at what may be empty,
/// or a stream of unknown length, is short, because room must be cleared.
fn piece_room(expected: u64, taken: u64, rest: usize) -> usize {
    let room = Limits::PIECE_BYTES - rest.min(Limits::PIECE_BYTES / 2);
    let wanted = match (taken, expected) {
        (0, 0) => Limits::FIRST_LOOK_BYTES,
        (0, _) => usize::try_from(expected).unwrap_or(room).saturating_add(1),
        _ => room,
    };
    room.min(wanted)
}

/// Cuts off whole chunks as long as at least `keep` bytes are left.
fn cut(chunker: &Chunker, bytes: &[u8], keep: usize) -> (Vec<Cut>, usize) {
    let mut cuts = Vec::with_capacity(bytes.len() / chunker.sizes().average as usize + 1);
    let mut at = 0;
    while bytes.len() - at >= keep {
        let len = chunker.cut(&bytes[at..]);
        cuts.push(Cut { bytes: len as u32, id: ChunkId::new([0; 32]), squeeze: Squeeze::Yes });
        at += len;
    }
    (cuts, at)
}

fn name(keys: &Keys, bytes: &[u8], cuts: &mut [Cut]) {
    let mut rest = bytes;
    let mut pairs: Vec<(&[u8], &mut Cut)> = Vec::with_capacity(cuts.len());
    for cut in cuts {
        let (chunk, after) = rest.split_at(cut.bytes as usize);
        pairs.push((chunk, cut));
        rest = after;
    }
    let name_one = |(chunk, cut): &mut (&[u8], &mut Cut)| {
        cut.id = keys.data_id(chunk);
        cut.squeeze = if looks_random(chunk) { Squeeze::No } else { Squeeze::Yes };
    };
    if bytes.len() >= Limits::PARALLEL_BYTES {
        pairs.par_iter_mut().for_each(name_one);
    } else {
        pairs.iter_mut().for_each(name_one);
    }
}

#[cfg(test)]
#[path = "reading_tests.rs"]
mod tests;
