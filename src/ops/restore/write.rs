//! Writing a window: each block is opened once, and its chunks go wherever they are needed.
//!
//! Promise: every chunk is verified before it is written; at most one opened block a thread. A chunk that cannot be
//! had is looked for in other packs, and else its files are restored in part.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::format::Kind;
use crate::ops::restore::file::{self, OpenFiles, write_stretches};
use crate::ops::restore::locate::rescue;
use crate::ops::restore::window::{Ends, FileSlot, FileState, Placement, Window};
use crate::ops::restore::{Context, Error};
use crate::repo::error::Error as RepoError;
use crate::repo::read::verified;
use crate::repo::seal::Unpacker;

/// Files without chunks that a thread takes at a time.
const IDLE_FILES: usize = 64;

/// Writes all files of a window, and finishes those that end in it.
pub fn run(context: &Context<'_>, window: &mut Window) -> Result<(), Error> {
    let jobs = jobs(window);
    let shared = Shared {
        context,
        window,
        jobs: &jobs,
        next: AtomicUsize::new(0),
        files: OpenFiles::new(context.limits.open_files_max),
        failure: Mutex::default(),
    };
    let threads = context.options.threads.clamp(1, jobs.len().max(1));
    std::thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(|| shared.work());
        }
        shared.work();
    });
    let failure = shared.failure.into_inner().unwrap_or_else(PoisonError::into_inner);
    if let Some(error) = failure {
        window.files.iter().for_each(|slot| file::abandon(context, slot));
        return Err(error);
    }
    Ok(())
}

/// What a thread takes at a time.
enum Job {
    /// The placements of one block.
    Block(Range<usize>),
    /// Files that need no chunks, any longer.
    Idle(Vec<u32>),
}

fn jobs(window: &Window) -> Vec<Job> {
    let mut jobs = Vec::new();
    let mut at = 0;
    for block in window.placements.chunk_by(|a, b| (a.pack, a.block) == (b.pack, b.block)) {
        jobs.push(Job::Block(at..at + block.len()));
        at += block.len();
    }
    let idle = |slot: &FileSlot| slot.placements == 0 && slot.ends == Ends::Here;
    let idle: Vec<u32> = (0u32..).zip(&window.files).filter(|(_, slot)| idle(slot)).map(|(at, _)| at).collect();
    jobs.extend(idle.chunks(IDLE_FILES).map(|files| Job::Idle(files.to_vec())));
    jobs
}

struct Shared<'w, 'r> {
    context: &'w Context<'r>,
    window: &'w Window,
    jobs: &'w [Job],
    next: AtomicUsize,
    files: OpenFiles,
    failure: Mutex<Option<Error>>,
}

/// Where the bytes of a chunk are.
enum Bytes {
    /// In the opened block.
    Block(Range<usize>),
    /// In a chunk fetched from another pack.
    Rescued(usize),
    /// Nowhere.
    Lost,
}

/// A chunk on its way into a file.
struct Piece {
    file: u32,
    content_at: u64,
    bytes: Bytes,
}

/// An opened block and what was fetched in place of its damaged chunks.
struct Opened {
    block: Result<Vec<u8>, RepoError>,
    rescued: Vec<Vec<u8>>,
}

impl Opened {
    fn bytes(&self, piece: &Piece) -> &[u8] {
        match (&piece.bytes, &self.block) {
            (Bytes::Block(range), Ok(block)) => &block[range.clone()],
            (Bytes::Rescued(at), _) => &self.rescued[*at],
            _ => &[],
        }
    }
}

impl Shared<'_, '_> {
    fn work(&self) {
        let mut unpacker = match Unpacker::new() {
            Ok(unpacker) => unpacker,
            Err(error) => return self.fail(error.into()),
        };
        while let Some(job) = self.jobs.get(self.next.fetch_add(1, Ordering::Relaxed)) {
            let done = match job {
                Job::Block(range) => self.block(&self.window.placements[range.clone()], &mut unpacker),
                Job::Idle(files) => files.iter().try_for_each(|&at| self.idle(&self.window.files[at as usize])),
            };
            if let Err(error) = done {
                return self.fail(error);
            }
        }
    }

    /// Ends the work of all threads.
    fn fail(&self, error: Error) {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        self.next.store(self.jobs.len(), Ordering::Relaxed);
    }

    fn idle(&self, slot: &FileSlot) -> Result<(), Error> {
        let (state, begun) = {
            let work = slot.work();
            (work.state, work.temp.is_some())
        };
        self.context.tally.advanced(1, 0);
        match (state, begun) {
            (FileState::Open, true) => file::finish_shared(self.context, slot, &self.files),
            (FileState::Open, false) => match file::create(self.context, slot) {
                Ok(unfinished) => unfinished.finish(self.context, slot),
                Err(error) => file::fail(self.context, slot, error),
            },
            _ => {
                file::abandon(self.context, slot);
                Ok(())
            }
        }
    }

    fn block(&self, placements: &[Placement], unpacker: &mut Unpacker) -> Result<(), Error> {
        let Some(first) = placements.first() else { return Ok(()) };
        let block = self.context.repo.pack_reader(first.pack);
        let block = block.and_then(|pack| self.context.repo.open_block(&pack, first.block, unpacker));
        let mut opened = Opened { block, rescued: Vec::new() };
        let mut pieces = Vec::with_capacity(placements.len());
        for same in placements.chunk_by(|a, b| (a.offset, a.bytes, a.id) == (b.offset, b.bytes, b.id)) {
            self.chunk(same, &mut opened, &mut pieces)?;
        }
        pieces.sort_by_key(|piece| (piece.file, piece.content_at));
        let (mut files, mut bytes) = (0, 0);
        for of_one_file in pieces.chunk_by(|a, b| a.file == b.file) {
            let slot = &self.window.files[of_one_file[0].file as usize];
            bytes += of_one_file.iter().map(|piece| opened.bytes(piece).len() as u64).sum::<u64>();
            files += self.file(slot, of_one_file, &opened)?;
        }
        self.context.tally.advanced(files, bytes);
        if let Ok(block) = opened.block {
            unpacker.recycle(block);
        }
        Ok(())
    }

    /// Verifies one chunk, for all the places where it goes.
    fn chunk(&self, same: &[Placement], opened: &mut Opened, pieces: &mut Vec<Piece>) -> Result<(), Error> {
        let repo = self.context.repo;
        let Placement { id, pack, offset, bytes, .. } = same[0];
        let here = match &opened.block {
            Ok(block) => verified(repo, Kind::Data, block, offset, bytes, &id).map(drop),
            Err(error) => Err(RepoError::Damaged { object: format!("data chunk {id}"), reason: error.to_string() }),
        };
        let had = match here {
            Ok(()) => Ok(offset as usize..(offset + bytes) as usize),
            Err(error) => Err(rescue(repo, id, bytes, pack, error)),
        };
        let rescued = matches!(had, Err(Ok(_)));
        let had = match had {
            Ok(range) => Some(range),
            Err(Ok(chunk)) => {
                opened.rescued.push(chunk);
                None
            }
            Err(Err(error)) => {
                let reason = error.to_string();
                same.iter().for_each(|p| self.slot(p).lose(p.content_at, p.bytes as usize, &reason));
                None
            }
        };
        pieces.extend(same.iter().map(|placement| {
            let bytes = match &had {
                Some(range) => Bytes::Block(range.clone()),
                None if rescued => Bytes::Rescued(opened.rescued.len() - 1),
                None => Bytes::Lost,
            };
            Piece { file: placement.file, content_at: placement.content_at, bytes }
        }));
        Ok(())
    }

    fn slot(&self, placement: &Placement) -> &FileSlot {
        &self.window.files[placement.file as usize]
    }

    /// Writes what goes into one file; says how many files were finished.
    fn file(&self, slot: &FileSlot, pieces: &[Piece], opened: &Opened) -> Result<u64, Error> {
        let count = pieces.len() as u32;
        let (state, begun) = {
            let work = slot.work();
            (work.state, work.temp.is_some())
        };
        let mut stretches = Vec::with_capacity(pieces.len());
        for piece in pieces {
            let bytes = opened.bytes(piece);
            slot.layout.pieces(piece.content_at, bytes.len(), &mut |at, part| stretches.push((at, &bytes[part])));
        }
        if count == slot.placements && slot.ends == Ends::Here && !begun && state == FileState::Open {
            self.whole_file(slot, &stretches)?;
            return Ok(1);
        }
        if state == FileState::Open {
            let written = self.files.open(self.context, slot).and_then(|fd| write_stretches(&*fd, &stretches));
            written.or_else(|error| file::fail(self.context, slot, error))?;
        }
        if slot.left.fetch_sub(count, Ordering::AcqRel) != count || slot.ends != Ends::Here {
            return Ok(0);
        }
        if slot.work().state == FileState::Open {
            file::finish_shared(self.context, slot, &self.files)?;
        } else {
            self.files.close(slot);
            file::abandon(self.context, slot);
        }
        Ok(1)
    }

    fn whole_file(&self, slot: &FileSlot, stretches: &[(u64, &[u8])]) -> Result<(), Error> {
        match file::create(self.context, slot) {
            Ok(unfinished) => match write_stretches(&unfinished.fd, stretches) {
                Ok(()) => unfinished.finish(self.context, slot),
                Err(error) => {
                    unfinished.discard();
                    file::fail(self.context, slot, error)
                }
            },
            Err(error) => file::fail(self.context, slot, error),
        }
    }
}
