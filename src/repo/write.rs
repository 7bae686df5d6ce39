//! Storing chunks: chunks to blocks, blocks to packs, packs to storage, barrier. What makes a snapshot of them is
//! `repo/commit`.
//!
//! A run's chunks that are not stored yet are known by their ids until their pack is; then the index knows them. See
//! `format-spec/ordering.md`.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

use crossbeam_channel::{Sender, bounded};

use crate::crypto::seal::Run;
use crate::format::Kind;
use crate::format::log::PackUse;
use crate::format::packs::{BlockKind, Codec};
use crate::id::{ChunkId, PackId};
use crate::index;
use crate::repo::Repository;
use crate::repo::catalog::Catalog;
use crate::repo::error::Error;
use crate::repo::pack::{BlockInfo, FinishedPack, OpenPack};
use crate::repo::pipeline::{Job, PackCell, Shared, Usable, lock};
use crate::repo::seal::{Packer, Squeeze, seal_record};
use crate::repo::turns::Turns;

/// A block of data is sealed once it is this long.
pub const DATA_BLOCK_BYTES: usize = 4 << 20;
/// A block of data that does not compress need not be long.
pub const RAW_BLOCK_BYTES: usize = 1 << 20;
/// A block of pages: small, so that reading one page is cheap.
pub const TREE_BLOCK_BYTES: usize = 512 << 10;

/// Whether a writer stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It does.
    Store,
    /// It does, and gives blocks their places in the order in which they come, however many threads seal: the same
    /// chunks once more make packs of the same lengths.
    StoreInOrder,
    /// It makes the packs that [`Mode::StoreInOrder`] would store, and lets go of them. It remembers no chunk longer
    /// than its pack: whoever puts one twice has it counted twice.
    Weigh,
    /// It only counts what it would store.
    Count,
}

/// Chunks that a counting writer remembers; beyond that it may count one twice.
const COUNTED_MAX: usize = 1 << 20;

/// What became of a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    /// It was there already.
    Known,
    /// It was added.
    New,
}

/// Stores chunks. Dropping it without [`Writer::drain`] leaves whole packs behind at most, and no thread: whoever tries
/// again is not disturbed by what went wrong before.
pub struct Writer {
    shared: Arc<Shared>,
    mode: Mode,
    builders: [Builder; 3],
    // In this order: the keeper goes on until the last sealer has ended.
    sealers: Workers<Job>,
    keeper: Workers<FinishedPack>,
    new_raw_bytes: u64,
    jobs: u64,
}

/// Threads that end when nothing more comes down their queue. To drop them is to wait for that.
struct Workers<T> {
    queue: Option<Sender<T>>,
    threads: Vec<JoinHandle<()>>,
}

impl<T> Workers<T> {
    fn send(&self, job: T) -> bool {
        self.queue.as_ref().is_some_and(|queue| queue.send(job).is_ok())
    }

    /// Waits until all that was sent is done.
    fn finish(mut self) -> Result<(), Error> {
        if self.join() == 0 { Ok(()) } else { Err(Error::Worker) }
    }

    /// How many threads died.
    fn join(&mut self) -> usize {
        drop(self.queue.take());
        self.threads.drain(..).filter_map(|thread| thread.join().err()).count()
    }
}

impl<T> Drop for Workers<T> {
    fn drop(&mut self) {
        self.join();
    }
}

#[derive(Default)]
struct Builder {
    raw: Vec<u8>,
    chunks: Vec<(ChunkId, u32)>,
}

impl Writer {
    /// Begins a run that may rely on the packs that the catalog found sound.
    pub fn new(repo: &Repository, catalog: &Catalog, threads: usize, mode: Mode) -> Result<Self, Error> {
        let mut usable = Usable::default();
        catalog.sound(&repo.state(), &repo.index()).for_each(|pack| usable.accept(pack));
        let shared = Arc::new(Shared {
            turns: if matches!(mode, Mode::StoreInOrder | Mode::Weigh) {
                Turns::in_order()
            } else {
                Turns::as_it_comes()
            },
            storage: (mode != Mode::Weigh).then(|| repo.storage.clone()),
            keys: repo.keys.clone(),
            repository: repo.config.repository,
            run: Run::new(&repo.keys, repo.config.repository)?,
            level: repo.level,
            index: repo.index.clone(),
            current: Mutex::default(),
            pending: Mutex::default(),
            usable: Mutex::new(usable),
            written: Mutex::default(),
            finished_bytes: AtomicU64::new(0),
            failure: Default::default(),
        });
        let (jobs, queue) = bounded::<Job>(1);
        let (shelf, packs) = bounded::<FinishedPack>(1);
        let sealer = || {
            let (shared, queue, shelf) = (shared.clone(), queue.clone(), shelf.clone());
            std::thread::spawn(move || shared.seal_all(&queue, &shelf))
        };
        let sealers = Workers { queue: Some(jobs), threads: (0..threads.max(1)).map(|_| sealer()).collect() };
        let storing = shared.clone();
        let keeper = std::thread::spawn(move || storing.store_all(&packs));
        let keeper = Workers { queue: Some(shelf), threads: vec![keeper] };
        Ok(Self { shared, mode, builders: Default::default(), sealers, keeper, new_raw_bytes: 0, jobs: 0 })
    }

    /// Stores a chunk of file content, unless it is stored already.
    pub fn data(&mut self, id: ChunkId, bytes: &[u8], squeeze: Squeeze) -> Result<Stored, Error> {
        let (builder, limit) = match squeeze {
            Squeeze::Yes => (0, DATA_BLOCK_BYTES),
            Squeeze::No => (1, RAW_BLOCK_BYTES),
        };
        if self.knows(Kind::Data, &id)? {
            return Ok(Stored::Known);
        }
        self.put_new(id, bytes, builder, limit)?;
        Ok(Stored::New)
    }

    /// Stores a page that is known to be sound, unless it is stored already, and returns its name.
    pub fn page(&mut self, bytes: &[u8]) -> Result<ChunkId, Error> {
        self.checked_page(bytes, &|_| true)
    }

    /// Stores a page, unless it is stored already, and returns its name. One that does not prove sound is refused.
    pub fn checked_page(&mut self, bytes: &[u8], sound: &dyn Fn(&[u8]) -> bool) -> Result<ChunkId, Error> {
        let id = self.shared.keys.tree_id(bytes);
        if !self.knows(Kind::Tree, &id)? {
            if !sound(bytes) {
                return Err(Error::SelfCheck { what: "page" });
            }
            self.put_new(id, bytes, 2, TREE_BLOCK_BYTES)?;
        }
        Ok(id)
    }

    /// Whether a chunk is stored, or will be by this run.
    pub fn knows(&self, kind: Kind, id: &ChunkId) -> Result<bool, Error> {
        if lock(&self.shared.pending).contains(id) {
            return Ok(true);
        }
        let usable = &mut *lock(&self.shared.usable);
        let found = match lock(&self.shared.index).locate(kind, id, &|pack| usable.accepts(pack)) {
            // What a damaged index does not know is stored again: that costs space and nothing else.
            Err(index::Error::Damaged { .. } | index::Error::Reset) => None,
            found => found?,
        };
        if let Some(location) = &found {
            usable.used.insert(location.pack);
        }
        Ok(found.is_some())
    }

    fn put_new(&mut self, id: ChunkId, bytes: &[u8], builder: usize, limit: usize) -> Result<(), Error> {
        self.new_raw_bytes += bytes.len() as u64;
        let mut pending = lock(&self.shared.pending);
        pending.insert(id);
        if self.mode == Mode::Count {
            if pending.len() > COUNTED_MAX {
                pending.clear();
            }
            return Ok(());
        }
        drop(pending);
        let full = !self.builders[builder].raw.is_empty() && self.builders[builder].raw.len() + bytes.len() > limit;
        if full {
            self.dispatch(builder)?;
        }
        let building = &mut self.builders[builder];
        if building.raw.is_empty() {
            building.raw.reserve(limit);
        }
        building.raw.extend_from_slice(bytes);
        building.chunks.push((id, bytes.len() as u32));
        Ok(())
    }

    fn dispatch(&mut self, builder: usize) -> Result<(), Error> {
        let Builder { raw, chunks } = std::mem::take(&mut self.builders[builder]);
        if chunks.is_empty() {
            return Ok(());
        }
        let kind = if builder == 2 { Kind::Tree } else { Kind::Data };
        let squeeze = if builder == 1 { Squeeze::No } else { Squeeze::Yes };
        self.send(kind, BlockKind::Chunks, squeeze, raw, chunks)
    }

    /// Stores a snapshot's record once more, as a block of a tree pack: for repacking.
    pub fn record(&mut self, raw: Vec<u8>) -> Result<(), Error> {
        self.send(Kind::Tree, BlockKind::Record, Squeeze::Yes, raw, Vec::new())
    }

    fn send(
        &mut self,
        kind: Kind,
        block: BlockKind,
        squeeze: Squeeze,
        raw: Vec<u8>,
        chunks: Vec<(ChunkId, u32)>,
    ) -> Result<(), Error> {
        let job = Job { number: self.jobs, kind, block, squeeze, raw, chunks };
        self.jobs += 1;
        if self.sealers.send(job) { self.shared.check() } else { Err(self.shared.take_failure()) }
    }

    /// Waits until everything put so far is sealed. What is left is the record.
    pub fn drain(mut self) -> Result<Drained, Error> {
        for builder in 0..self.builders.len() {
            self.dispatch(builder)?;
        }
        self.sealers.finish()?;
        self.shared.check()?;
        Ok(Drained { shared: self.shared, keeper: self.keeper, new_raw_bytes: self.new_raw_bytes })
    }
}

/// A writer whose blocks are all sealed.
pub struct Drained {
    shared: Arc<Shared>,
    keeper: Workers<FinishedPack>,
    /// Bytes of the chunks that were new.
    pub new_raw_bytes: u64,
}

/// What a run has stored. Durable, but not committed.
#[derive(Debug)]
pub struct Written {
    /// Its own packs.
    pub packs: Vec<PackUse>,
    /// Packs of others, from which it took chunks as stored.
    pub used: HashSet<PackId>,
    /// The record, sealed for the log.
    pub record: Vec<u8>,
}

impl Drained {
    /// Bytes that the run has stored or is about to, but for the record.
    pub fn stored_bytes(&self) -> u64 {
        let waiting: u64 =
            lock(&self.shared.current).values().filter_map(|cell| lock(cell).as_ref().map(OpenPack::bytes)).sum();
        self.shared.finished_bytes.load(Ordering::Relaxed) + waiting
    }

    /// Stores the record as the last block of the tree pack and ends the run: everything is durable afterwards. That pack
    /// is the last one: where the others cannot be stored, no record is left that says they were.
    pub fn finish(self, record: Option<&[u8]>) -> Result<Written, Error> {
        let Self { shared, keeper, .. } = self;
        let shelf = keeper.queue.clone().ok_or(Error::Worker)?;
        let mut packer = Packer::new(shared.level)?;
        let (mut sealed_record, mut last) = (Vec::new(), None);
        if let Some(record) = record {
            let info = BlockInfo {
                kind: BlockKind::Record,
                codec: Codec::Raw,
                raw_bytes: record.len() as u32,
                sealed_bytes: 0,
                chunks: Vec::new(),
            };
            last = shared.seal_block(&mut packer, Kind::Tree, info, record, Squeeze::Yes, None)?;
            sealed_record = seal_record(&shared.run, record)?;
        }
        let mut open: Vec<(Kind, PackCell)> = lock(&shared.current).drain().collect();
        open.sort_by_key(|(kind, _)| *kind == Kind::Tree);
        let open = open.into_iter().filter_map(|(_, cell)| lock(&cell).take());
        for pack in open.chain(last).filter(|pack| !pack.is_empty()) {
            shared.finish_pack(pack, &shelf)?;
        }
        drop(shelf);
        keeper.finish()?;
        shared.check()?;
        if let Some(storage) = &shared.storage {
            storage.barrier()?;
            // The index is a cache: that it cannot be written is no failure of the run.
            let _ = lock(&shared.index).flush();
        }
        let packs = std::mem::take(&mut *lock(&shared.written));
        let own: HashSet<PackId> = packs.iter().map(|pack| pack.id).collect();
        let index = lock(&shared.index);
        let numbers = std::mem::take(&mut lock(&shared.usable).used);
        let used = numbers.iter().filter_map(|&n| index.pack(n)).map(|row| row.id).filter(|id| !own.contains(id));
        Ok(Written { used: used.collect(), packs, record: sealed_record })
    }
}
