//! Reading: open, cut, name. Several files at a time, each in pieces.
//!
//! Promise: a file is cut alike however it is read, and memory does not grow with its length. A long file is read, cut
//! and named at the same time; a short one costs no thread. Left out on purpose: what is stored already (`assemble`).

use std::thread::Scope;

use crossbeam_channel::{Receiver, SendError, Sender, bounded};

use crate::chunking::Chunker;
use crate::crypto::keys::Keys;
use crate::format::listing::{Entry, Node};
use crate::id::ChunkId;
use crate::ops::backup::buffers::Buffers;
use crate::ops::backup::random::looks_random;
use crate::repo::Repository;
use crate::repo::seal::Squeeze;
use crate::source::{Content, Problem, Reader, Verdict};

/// What may be in flight. Together these bound the memory of reading.
pub struct Limits;

impl Limits {
    /// Length of a piece of a file.
    pub const PIECE_BYTES: usize = 512 << 10;
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
    /// A file at least this long is read, cut and named at the same time, in a thread each.
    pub const LONG_BYTES: u64 = 16 << 20;
    /// Portions of a long file waiting to be cut, and pieces waiting to be named.
    pub const AHEAD: usize = 1;
    /// Bytes of the buffers that wait to be used again.
    pub const BUFFERS_BYTES: usize = 8 << 20;
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
    /// Its bytes, from `start` on and as far as its chunks go.
    pub bytes: Vec<u8>,
    /// Where it begins.
    pub start: usize,
    /// Its chunks, one after the other.
    pub cuts: Vec<Cut>,
    /// Set in the last piece.
    pub end: Option<End>,
}

impl Piece {
    fn empty(end: End) -> Self {
        Self { bytes: Vec::new(), start: 0, cuts: Vec::new(), end: Some(end) }
    }
}

/// How reading a file ended.
pub enum End {
    /// To be stored.
    Done(Box<Entry>, Verdict),
    /// Not to be had.
    Problem(Problem),
}

/// How many bytes reading an entry is likely to give.
pub fn expected_bytes(entry: &Entry) -> u64 {
    match &entry.node {
        Node::File { bytes, .. } => *bytes,
        _ => 0,
    }
}

/// What all reading threads share.
pub struct Reading<'r> {
    /// The keys that name chunks.
    pub keys: &'r Keys,
    /// Where to cut.
    pub chunker: Chunker,
    /// Buffers for pieces.
    pub buffers: Buffers,
}

impl<'r> Reading<'r> {
    /// As the repository wants it.
    pub fn new(repo: &'r Repository) -> Self {
        let chunker = Chunker::new(repo.config().sizes, repo.keys().gear());
        Self { keys: repo.keys(), buffers: buffers(&chunker), chunker }
    }
}

fn buffers(chunker: &Chunker) -> Buffers {
    let longest = Limits::PIECE_BYTES + chunker.sizes().max as usize;
    Buffers::new(Limits::PIECE_BYTES..=longest, Limits::BUFFERS_BYTES / longest)
}

/// A reading thread.
pub fn read_jobs(reading: &Reading<'_>, queue: &Receiver<Job>) {
    for Job { mut entry, reader, pieces } in queue {
        // Nobody listens any more only when the backup has failed: then there is nothing to say.
        let _ = match reader.open(&mut entry) {
            Ok(content) => send_pieces(reading, entry, content, &pieces),
            Err(problem) => pieces.send(Piece::empty(End::Problem(problem))),
        };
    }
}

/// Reads a file, cuts it, names its chunks and sends it in pieces.
fn send_pieces(
    reading: &Reading<'_>,
    entry: Entry,
    content: Box<dyn Content>,
    pieces: &Sender<Piece>,
) -> Result<(), SendError<Piece>> {
    let mut portions = Portions::new(reading, entry, content);
    let mut cutter = Cutter { chunker: &reading.chunker, rest: Vec::new() };
    let named = |piece| named(reading.keys, piece);
    while !portions.is_long() {
        let Some(portion) = portions.next() else { return Ok(()) };
        pieces.send(named(cutter.cut(portion)))?;
    }
    std::thread::scope(|scope| {
        let cut = ahead(scope, portions).map(|portion| cutter.cut(portion));
        ahead(scope, cut).map(named).try_for_each(|piece| pieces.send(piece))
    })
}

/// What an iterator gives, which runs ahead in a thread of its own.
fn ahead<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    mut items: impl Iterator<Item = T> + Send + 'scope,
) -> impl Iterator<Item = T> + Send {
    let (give, given) = bounded(Limits::AHEAD);
    scope.spawn(move || items.try_for_each(|item| give.send(item)));
    given.into_iter()
}

/// What was read at once.
struct Portion {
    /// From `start` on it was read. Before that is room for what is left of the portion before.
    bytes: Vec<u8>,
    start: usize,
    /// Set in the last portion.
    end: Option<End>,
}

/// Reads a file portion by portion.
struct Portions<'r> {
    reading: &'r Reading<'r>,
    /// Taken with the last portion.
    file: Option<(Entry, Box<dyn Content>)>,
    expected: u64,
    taken: u64,
}

impl<'r> Portions<'r> {
    fn new(reading: &'r Reading<'r>, entry: Entry, content: Box<dyn Content>) -> Self {
        let expected = expected_bytes(&entry);
        Self { reading, file: Some((entry, content)), expected, taken: 0 }
    }

    fn is_long(&self) -> bool {
        self.file.is_some() && self.expected.max(self.taken) >= Limits::LONG_BYTES
    }
}

impl Iterator for Portions<'_> {
    type Item = Portion;

    fn next(&mut self) -> Option<Portion> {
        let (mut entry, mut content) = self.file.take()?;
        let start = if self.taken == 0 { 0 } else { self.reading.chunker.sizes().max as usize };
        let room = room_for(self.expected, self.taken);
        let mut bytes = self.reading.buffers.take(start + room);
        let filled = match content.read(&mut bytes[start..]) {
            Ok(filled) => filled,
            Err(error) => {
                bytes.truncate(start);
                return Some(Portion { bytes, start, end: Some(broken(entry, content, self.taken, &error)) });
            }
        };
        self.taken += filled as u64;
        bytes.truncate(start + filled);
        if filled == room {
            self.file = Some((entry, content));
            return Some(Portion { bytes, start, end: None });
        }
        let verdict = content.finish(&mut entry, self.taken);
        Some(Portion { bytes, start, end: Some(End::Done(Box::new(entry), verdict)) })
    }
}

/// Cuts portions into chunks.
struct Cutter<'r> {
    chunker: &'r Chunker,
    /// What is left of the portion before: a chunk may go on in the next one.
    rest: Vec<u8>,
}

impl Cutter<'_> {
    fn cut(&mut self, portion: Portion) -> Piece {
        let Portion { mut bytes, start, end } = portion;
        let start = start - self.rest.len();
        bytes[start..][..self.rest.len()].copy_from_slice(&self.rest);
        // Unless these are the last bytes, a chunk may go on in the next portion.
        let keep = if end.is_some() { 1 } else { self.chunker.sizes().max as usize };
        let (cuts, used) = cut(self.chunker, &bytes[start..], keep);
        self.rest.clear();
        self.rest.extend_from_slice(&bytes[start + used..]);
        Piece { bytes, start, cuts, end }
    }
}

/// How a file ends that cannot be read on. Half a stream is worth nothing and fails the backup; half a file is a problem.
fn broken(mut entry: Entry, content: Box<dyn Content>, taken: u64, error: &std::io::Error) -> End {
    let problem = Problem::new(&entry.path, "read", error);
    match content.finish(&mut entry, taken) {
        failed @ Verdict::Failed(_) => End::Done(Box::new(entry), failed),
        Verdict::Steady | Verdict::Remarked(_) | Verdict::Changed => End::Problem(problem),
    }
}

/// How much to read next: all of a small file and a byte more, to see its end. The first look at what may be empty,
/// or a stream of unknown length, is short, because room must be cleared.
fn room_for(expected: u64, taken: u64) -> usize {
    let room = Limits::PIECE_BYTES;
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

fn named(keys: &Keys, mut piece: Piece) -> Piece {
    let mut rest = &piece.bytes[piece.start..];
    for cut in &mut piece.cuts {
        let (chunk, after) = rest.split_at(cut.bytes as usize);
        cut.id = keys.data_id(chunk);
        cut.squeeze = if looks_random(chunk) { Squeeze::No } else { Squeeze::Yes };
        rest = after;
    }
    piece
}

#[cfg(test)]
#[path = "reading_tests.rs"]
mod tests;
