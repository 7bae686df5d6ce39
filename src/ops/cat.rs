//! One file, from its first byte to its last, or a part of it.
//!
//! Promise: constant memory; blocks are opened ahead on worker threads, each as rarely as the cache allows; every
//! chunk is verified before it is written; holes come out as zeros, and missing bytes never do: they are an error, after
//! everything before them was written. Of a part, no chunk is looked for that it does not touch.
//! Left out on purpose: anything that is not a file.

pub mod stored;
mod stream;

use std::collections::HashMap;
use std::io::{self, Write};
use std::ops::Range;

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};

use crate::format::Kind;
use crate::format::content::ChunkRef;
use crate::format::record::ListingRoot;
use crate::index::PackNumber;
use crate::ops::cat::stored::Stored;
use crate::ops::cat::stream::Stream;
use crate::ops::restore::locate::{Locator, NOWHERE, rescue};
use crate::ops::restore::window::Placement;
use crate::repo::Repository;
use crate::repo::error::Error as RepoError;
use crate::repo::listing::Chunks;
use crate::repo::read::verified;
use crate::repo::seal::Unpacker;

/// Chunks planned at a time; 64 bytes each.
const PLACEMENTS_MAX: usize = 1 << 16;
/// Opened blocks that are kept because they are needed again.
const CACHED_BLOCKS_MAX: usize = 12;

/// Why a file did not come out whole.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The repository.
    #[error(transparent)]
    Repo(#[from] RepoError),
    /// The path is not in the snapshot.
    #[error("{path} is not in the snapshot")]
    NoSuchPath {
        /// The path.
        path: String,
    },
    /// The path is not that of a file.
    #[error("{path} is not a file")]
    NotAFile {
        /// The path.
        path: String,
    },
    /// A part of the file is lost. What comes before it was written.
    #[error("the file is damaged from byte {at} on")]
    Lost {
        /// Bytes written.
        at: u64,
        /// What is wrong.
        #[source]
        source: RepoError,
    },
    /// The output does not take any more.
    #[error("cannot write")]
    Write(#[source] io::Error),
}

impl Error {
    /// Whether the repository does not give what it should. A storage that does not answer is no damage.
    pub fn is_damage(&self) -> bool {
        match self {
            Error::Repo(source) | Error::Lost { source, .. } => source.is_damage(),
            Error::NoSuchPath { .. } | Error::NotAFile { .. } => true,
            Error::Write(_) => false,
        }
    }
}

/// A block: pack and place in it.
type Block = (PackNumber, u32);
/// A block as a worker opened it.
type Opened = (usize, Result<Vec<u8>, RepoError>);

/// Writes the content of one file. Returns its length.
pub fn cat(
    repo: &Repository,
    root: &ListingRoot,
    path: &[u8],
    out: &mut dyn Write,
    threads: usize,
) -> Result<u64, Error> {
    let stored = Stored::open(repo, root, path)?;
    cat_range(&stored, 0..stored.bytes(), out, threads)?;
    Ok(stored.bytes())
}

/// Writes a part of a file, as far as the file has it.
pub fn cat_range(stored: &Stored<'_>, range: Range<u64>, out: &mut dyn Write, threads: usize) -> Result<(), Error> {
    let to = range.end.min(stored.bytes());
    let range = range.start.min(to)..to;
    let (from, end) = (stored.content_at(range.start), stored.content_at(range.end));
    let mut stream = Stream::new(out, stored.extents(), range);
    let mut chunks = stored.chunks(from);
    let mut locator = Locator::new(stored.repo());
    while chunks.passed() < end {
        let (begin, placements, then) = plan(&mut chunks, end, &mut locator)?;
        stream.go_to(begin);
        write_window(stored.repo(), &placements, &mut stream, threads)?;
        match then {
            Some(source) => return Err(Error::Lost { at: stream.at(), source }),
            None if placements.is_empty() => break,
            None => {}
        }
    }
    stream.finish()
}

/// Chunks of a window: where the first begins in the content, where they are, and why there are no more.
type Planned = (u64, Vec<Placement>, Option<RepoError>);

/// The next chunks of the file and where they are, up to the first that is nowhere.
fn plan(chunks: &mut Chunks<'_>, end: u64, locator: &mut Locator<'_>) -> Result<Planned, RepoError> {
    let (mut placements, mut lost, mut begin) = (Vec::new(), None, None);
    while placements.len() < PLACEMENTS_MAX && chunks.passed() < end {
        match chunks.next() {
            None => break,
            Some(Ok(ChunkRef { id, bytes })) => {
                begin.get_or_insert(chunks.passed() - u64::from(bytes));
                let content_at = placements.len() as u64;
                placements.push(Placement { id, content_at, pack: NOWHERE, block: 0, offset: 0, bytes, file: 0 });
            }
            Some(Err(error)) => {
                lost = Some(error);
                break;
            }
        }
    }
    let mut first_missing = None;
    locator.locate(&mut placements, &mut |placement, _| {
        first_missing.get_or_insert((placement.content_at, placement.id));
    })?;
    if let Some((ordinal, id)) = first_missing {
        placements.truncate(ordinal as usize);
        lost = Some(RepoError::MissingChunk { kind: Kind::Data, id });
    }
    Ok((begin.unwrap_or_else(|| chunks.passed()), placements, lost))
}

/// What to open when, and what to let go of: worked out ahead, since all uses are known.
#[derive(Debug, Default, PartialEq, Eq)]
struct Schedule {
    /// The blocks to open, in order.
    opens: Vec<Block>,
    /// For each run of chunks of one block: how many chunks, and what happens before.
    runs: Vec<Run>,
}

/// Chunks of one block that follow each other in the file.
#[derive(Debug, PartialEq, Eq)]
struct Run {
    block: Block,
    chunks: usize,
    /// Whether the block must be opened for it.
    open: Open,
    /// What makes room for it.
    evict: Option<Block>,
    /// Whether the block is needed again.
    after: After,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum After {
    /// It is.
    Keep,
    /// It is not.
    Drop,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Open {
    /// It is the next of the blocks to open.
    Next,
    /// It is still there.
    Cached,
}

fn schedule(placements: &[Placement], cached_max: usize) -> Schedule {
    let block = |placement: &Placement| (placement.pack, placement.block);
    let uses: Vec<&[Placement]> = placements.chunk_by(|a, b| block(a) == block(b)).collect();
    // Going backwards: for each use the next use of the same block.
    let mut next_use = vec![usize::MAX; uses.len()];
    let mut seen: HashMap<Block, usize> = HashMap::new();
    for (at, of_block) in uses.iter().enumerate().rev() {
        next_use[at] = seen.insert(block(&of_block[0]), at).unwrap_or(usize::MAX);
    }
    let mut schedule = Schedule::default();
    let mut cached: HashMap<Block, usize> = HashMap::new();
    for (at, of_block) in uses.iter().enumerate() {
        let block = block(&of_block[0]);
        let open = if cached.contains_key(&block) { Open::Cached } else { Open::Next };
        let mut evict = None;
        if open == Open::Next {
            schedule.opens.push(block);
            if cached.len() >= cached_max.max(1) {
                evict = cached.iter().max_by_key(|(_, next)| **next).map(|(block, _)| *block);
            }
        }
        cached.retain(|block, _| Some(*block) != evict);
        let after = if next_use[at] == usize::MAX { After::Drop } else { After::Keep };
        match after {
            After::Drop => cached.remove(&block),
            After::Keep => cached.insert(block, next_use[at]),
        };
        schedule.runs.push(Run { block, chunks: of_block.len(), open, evict, after });
    }
    schedule
}

/// Writes chunks in order, while workers open the blocks that come next.
fn write_window(
    repo: &Repository,
    placements: &[Placement],
    stream: &mut Stream<'_>,
    threads: usize,
) -> Result<(), Error> {
    let schedule = schedule(placements, CACHED_BLOCKS_MAX);
    let threads = threads.clamp(1, schedule.opens.len().max(1));
    let (orders, queue) = unbounded();
    // One more than there are threads: all are busy while one block waits to be written.
    let (results, opened) = bounded(threads + 1);
    let (spent, spare) = unbounded();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            let bench = Bench { queue: queue.clone(), results: results.clone(), spare: spare.clone() };
            scope.spawn(move || bench.open_blocks(repo));
        }
        drop((queue, results, spare));
        let blocks = Ahead {
            orders,
            opened,
            spent,
            opens: &schedule.opens,
            ordered: 0,
            taken: 0,
            limit: threads + 1,
            early: HashMap::new(),
        };
        write_runs(repo, placements, &schedule, stream, blocks)
    })
}

/// Where a worker takes its orders and puts what it opened.
struct Bench {
    queue: Receiver<(usize, Block)>,
    results: Sender<Opened>,
    /// Buffers of blocks that are not needed any more.
    spare: Receiver<Vec<u8>>,
}

impl Bench {
    fn open_blocks(self, repo: &Repository) {
        let Ok(mut unpacker) = Unpacker::new() else { return };
        for (at, (pack, block)) in self.queue {
            if let Ok(buffer) = self.spare.try_recv() {
                unpacker.recycle(buffer);
            }
            let opened = repo.pack_reader(pack).and_then(|pack| repo.open_block(&pack, block, &mut unpacker));
            if self.results.send((at, opened)).is_err() {
                return;
            }
        }
    }
}

/// The blocks that are being opened.
struct Ahead<'s> {
    orders: Sender<(usize, Block)>,
    opened: Receiver<Opened>,
    spent: Sender<Vec<u8>>,
    opens: &'s [Block],
    ordered: usize,
    taken: usize,
    limit: usize,
    /// Opened before their turn.
    early: HashMap<usize, Result<Vec<u8>, RepoError>>,
}

impl Ahead<'_> {
    fn order(&mut self) {
        while self.ordered < self.opens.len() && self.ordered < self.taken + self.limit {
            // A worker that is gone is noticed when its block does not come.
            let _ = self.orders.send((self.ordered, self.opens[self.ordered]));
            self.ordered += 1;
        }
    }

    fn next(&mut self) -> Result<Vec<u8>, RepoError> {
        let turn = self.taken;
        self.taken += 1;
        loop {
            if let Some(block) = self.early.remove(&turn) {
                return block;
            }
            let (at, block) = self.opened.recv().map_err(|_| RepoError::Worker)?;
            self.early.insert(at, block);
        }
    }

    /// Hands a block's buffer back to the workers.
    fn recycle(&self, block: Option<Result<Vec<u8>, RepoError>>) {
        if let Some(Ok(buffer)) = block {
            // When the workers are gone, nobody needs it.
            let _ = self.spent.send(buffer);
        }
    }
}

fn write_runs(
    repo: &Repository,
    placements: &[Placement],
    schedule: &Schedule,
    stream: &mut Stream<'_>,
    mut ahead: Ahead<'_>,
) -> Result<(), Error> {
    let mut cached: HashMap<Block, Result<Vec<u8>, RepoError>> = HashMap::new();
    let mut at = 0;
    for run in &schedule.runs {
        ahead.order();
        if let Some(evict) = &run.evict {
            ahead.recycle(cached.remove(evict));
        }
        if run.open == Open::Next {
            let block = match ahead.next() {
                Err(RepoError::Worker) => return Err(RepoError::Worker.into()),
                block => block,
            };
            ahead.order();
            cached.insert(run.block, block);
        }
        let block = cached.get(&run.block).ok_or(RepoError::Worker)?;
        for placement in &placements[at..at + run.chunks] {
            write_chunk(repo, placement, block, stream)?;
        }
        at += run.chunks;
        if run.after == After::Drop {
            ahead.recycle(cached.remove(&run.block));
        }
    }
    Ok(())
}

fn write_chunk(
    repo: &Repository,
    placement: &Placement,
    block: &Result<Vec<u8>, RepoError>,
    stream: &mut Stream<'_>,
) -> Result<(), Error> {
    let Placement { id, pack, offset, bytes, .. } = *placement;
    let chunk = match block {
        Ok(block) => verified(repo, Kind::Data, block, offset, bytes, &id),
        // Then nobody knows what is in the block.
        Err(RepoError::Storage(error)) if !error.is_damage() => Err(error.clone().into()),
        Err(error) => {
            Err(RepoError::Damaged { object: format!("{} chunk {id}", Kind::Data), reason: error.to_string() })
        }
    };
    match chunk {
        Ok(chunk) => stream.put(chunk),
        Err(error) => match rescue(repo, id, bytes, pack, error) {
            Ok(chunk) => stream.put(&chunk),
            Err(RepoError::Storage(source)) if !source.is_damage() => Err(RepoError::Storage(source).into()),
            Err(source) => Err(Error::Lost { at: stream.at(), source }),
        },
    }
}

#[cfg(test)]
#[path = "cat_tests.rs"]
mod tests;
