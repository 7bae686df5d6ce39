//! The only write order: chunks to blocks, blocks to packs, packs to storage, barrier, gate, log entry; and the only
//! delete order: log entry, then objects.
//!
//! A run's chunks that are not stored yet are known by their ids until their pack is; then the index knows them. See
//! `format-spec/ordering.md`.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::crypto::keys::Keys;
use crate::crypto::seal::{Fingerprint, Run};
use crate::format::log::{Action, PackUse, SnapshotAction};
use crate::format::packs::{BlockKind, TAG_BYTES};
use crate::format::record::Envelope;
use crate::format::{Kind, Time, objects};
use crate::id::{ChunkId, PackId, RepositoryId, SeriesId, SnapshotId};
use crate::index::{self, Index, PackNumber};
use crate::repo::catalog::Catalog;
use crate::repo::error::Error;
use crate::repo::pack::{BlockInfo, FinishedPack, OpenPack};
use crate::repo::seal::{Packer, Squeeze, place};
use crate::repo::state::{Fate, State};
use crate::repo::{Repository, object};
use crate::storage::{ErrorKind, Storage};

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

struct Job {
    kind: Kind,
    block: BlockKind,
    squeeze: Squeeze,
    raw: Vec<u8>,
    chunks: Vec<(ChunkId, u32)>,
}

type PackCell = Arc<Mutex<Option<OpenPack>>>;

/// What the threads of a writer share.
struct Shared {
    storage: Arc<dyn Storage>,
    keys: Arc<Keys>,
    repository: RepositoryId,
    run: Run,
    index: Arc<Mutex<Index>>,
    current: Mutex<HashMap<Kind, PackCell>>,
    pending: Mutex<HashSet<ChunkId>>,
    usable: Mutex<Usable>,
    written: Mutex<Vec<PackUse>>,
    stored_bytes: AtomicU64,
    failure: Mutex<Option<Error>>,
}

/// The packs whose chunks count as stored, and those that this run came to rely on.
#[derive(Default)]
struct Usable {
    accepted: Vec<bool>,
    used: HashSet<PackNumber>,
}

impl Usable {
    fn accept(&mut self, pack: PackNumber) {
        let at = pack.0 as usize;
        if self.accepted.len() <= at {
            self.accepted.resize(at + 1, false);
        }
        self.accepted[at] = true;
    }

    fn accepts(&self, pack: PackNumber) -> bool {
        self.accepted.get(pack.0 as usize).copied().unwrap_or(false)
    }
}

/// Stores chunks. Dropping it without [`Writer::drain`] leaves whole packs behind at most.
pub struct Writer {
    shared: Arc<Shared>,
    mode: Mode,
    builders: [Builder; 3],
    jobs: Option<Sender<Job>>,
    shelf: Option<Sender<FinishedPack>>,
    threads: Vec<JoinHandle<()>>,
    new_raw_bytes: u64,
}

#[derive(Default)]
struct Builder {
    raw: Vec<u8>,
    chunks: Vec<(ChunkId, u32)>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Writer {
    /// Begins a run that may rely on the packs that the catalog found sound.
    pub fn new(repo: &Repository, catalog: &Catalog, threads: usize, mode: Mode) -> Result<Self, Error> {
        let mut usable = Usable::default();
        catalog.sound(&repo.state(), &repo.index()).for_each(|pack| usable.accept(pack));
        let shared = Arc::new(Shared {
            storage: repo.storage.clone(),
            keys: repo.keys.clone(),
            repository: repo.config.repository,
            run: Run::new(&repo.keys, repo.config.repository)?,
            index: repo.index.clone(),
            current: Mutex::default(),
            pending: Mutex::default(),
            usable: Mutex::new(usable),
            written: Mutex::default(),
            stored_bytes: AtomicU64::new(0),
            failure: Mutex::default(),
        });
        let threads_wanted = threads.max(1);
        let (jobs, queue) = bounded::<Job>(1);
        let (shelf, packs) = bounded::<FinishedPack>(1);
        let mut threads = Vec::new();
        for _ in 0..threads_wanted {
            let (shared, queue, shelf) = (shared.clone(), queue.clone(), shelf.clone());
            threads.push(std::thread::spawn(move || shared.seal_all(&queue, &shelf)));
        }
        let keeper = shared.clone();
        threads.push(std::thread::spawn(move || keeper.store_all(&packs)));
        let builders = Default::default();
        Ok(Self { shared, mode, builders, jobs: Some(jobs), shelf: Some(shelf), threads, new_raw_bytes: 0 })
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
        self.send(Job { kind, block: BlockKind::Chunks, squeeze, raw, chunks })
    }

    /// Stores a snapshot's record once more, as a block of a tree pack: for repacking.
    pub fn record(&mut self, raw: Vec<u8>) -> Result<(), Error> {
        let squeeze = Squeeze::Yes;
        self.send(Job { kind: Kind::Tree, block: BlockKind::Record, squeeze, raw, chunks: Vec::new() })
    }

    fn send(&mut self, job: Job) -> Result<(), Error> {
        let sent = self.jobs.as_ref().is_some_and(|jobs| jobs.send(job).is_ok());
        if sent { self.shared.check() } else { Err(self.shared.take_failure()) }
    }

    /// Waits until everything put so far is sealed. What is left is the record.
    pub fn drain(mut self) -> Result<Drained, Error> {
        for builder in 0..self.builders.len() {
            self.dispatch(builder)?;
        }
        drop(self.jobs.take());
        let keeper = self.threads.pop();
        let died = self.threads.drain(..).filter_map(|thread| thread.join().err()).count();
        if died > 0 {
            return Err(Error::Worker);
        }
        self.shared.check()?;
        let shelf = self.shelf.take().ok_or(Error::Worker)?;
        let new_raw_bytes = self.new_raw_bytes;
        Ok(Drained { shared: self.shared.clone(), shelf, keeper, new_raw_bytes })
    }
}

impl Shared {
    fn check(&self) -> Result<(), Error> {
        match lock(&self.failure).take() {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    fn take_failure(&self) -> Error {
        lock(&self.failure).take().unwrap_or(Error::Worker)
    }

    fn fail(&self, error: Error) {
        lock(&self.failure).get_or_insert(error);
    }

    /// A sealing thread. After a failure it goes on taking jobs and drops them, so that nobody waits for it.
    fn seal_all(&self, queue: &Receiver<Job>, shelf: &Sender<FinishedPack>) {
        let mut packer = match Packer::new() {
            Ok(packer) => packer,
            Err(error) => return self.fail(error),
        };
        for job in queue {
            if lock(&self.failure).is_some() {
                continue;
            }
            if let Err(error) = self.seal_job(&mut packer, job, shelf) {
                self.fail(error);
            }
        }
    }

    fn seal_job(&self, packer: &mut Packer, job: Job, shelf: &Sender<FinishedPack>) -> Result<(), Error> {
        let info = BlockInfo {
            kind: job.block,
            codec: crate::format::packs::Codec::Raw,
            raw_bytes: job.raw.len() as u32,
            sealed_bytes: 0,
            chunks: job.chunks,
        };
        if let Some(full) = self.seal_block(packer, job.kind, info, &job.raw, job.squeeze)? {
            self.finish_pack(full, shelf)?;
        }
        Ok(())
    }

    /// Packs and seals one block; returns the pack when this completed it.
    fn seal_block(
        &self,
        packer: &mut Packer,
        kind: Kind,
        mut info: BlockInfo,
        raw: &[u8],
        squeeze: Squeeze,
    ) -> Result<Option<OpenPack>, Error> {
        let packed = packer.pack(raw, squeeze)?;
        info.codec = packed.codec;
        info.sealed_bytes = (packed.bytes.len() + TAG_BYTES) as u32;
        let place = place(kind, info.kind, info.codec, info.raw_bytes);
        let content = info.fingerprint(raw);
        let (cell, reserved) = self.reserve(kind, info)?;
        let ordinal = reserved.ordinal();
        let sealed = packer.seal(reserved, place, &content, packed, raw)?;
        let mut pack = lock(&cell);
        let complete = pack.as_mut().is_some_and(|pack| {
            pack.deliver(ordinal, sealed);
            pack.is_full() && !pack.is_waiting()
        });
        Ok(if complete { pack.take() } else { None })
    }

    fn reserve(&self, kind: Kind, info: BlockInfo) -> Result<(PackCell, crate::crypto::seal::Reserved), Error> {
        let mut current = lock(&self.current);
        let cell = match current.get(&kind) {
            Some(cell) => cell.clone(),
            None => {
                let cell = Arc::new(Mutex::new(Some(OpenPack::new(kind, &self.run)?)));
                current.insert(kind, cell.clone());
                cell
            }
        };
        let mut pack = lock(&cell);
        let open = pack.as_mut().ok_or(Error::Worker)?;
        let reserved = open.reserve(info)?;
        if open.is_full() {
            current.remove(&kind);
        }
        drop(pack);
        Ok((cell, reserved))
    }

    fn finish_pack(&self, pack: OpenPack, shelf: &Sender<FinishedPack>) -> Result<(), Error> {
        let pack = pack.finish(&self.keys, &self.run, self.repository)?;
        shelf.send(pack).map_err(|_| self.take_failure())
    }

    /// The storing thread.
    fn store_all(&self, packs: &Receiver<FinishedPack>) {
        for pack in packs {
            if lock(&self.failure).is_some() {
                continue;
            }
            if let Err(error) = self.store(&pack) {
                self.fail(error);
            }
        }
    }

    fn store(&self, pack: &FinishedPack) -> Result<(), Error> {
        self.storage.put_new(&object(objects::pack_name(&pack.id))?, &pack.parts())?;
        self.stored_bytes.fetch_add(pack.bytes(), Ordering::Relaxed);
        lock(&self.written).push(PackUse { id: pack.id, bytes: pack.bytes(), kind: pack.kind });
        // The index first: at no moment may a chunk be known to neither.
        {
            let mut usable = lock(&self.usable);
            let number = lock(&self.index).add_pack(pack.id, pack.bytes(), &pack.header, pack.directory.clone())?;
            usable.accept(number);
        }
        let mut pending = lock(&self.pending);
        for chunk in &pack.directory.chunks {
            pending.remove(&chunk.id);
        }
        Ok(())
    }
}

/// A writer whose blocks are all sealed.
pub struct Drained {
    shared: Arc<Shared>,
    shelf: Sender<FinishedPack>,
    keeper: Option<JoinHandle<()>>,
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
        self.shared.stored_bytes.load(Ordering::Relaxed) + waiting
    }

    /// Stores the record as the last block of the tree pack and ends the run: everything is durable afterwards.
    pub fn finish(self, record: Option<&[u8]>) -> Result<Written, Error> {
        let shared = self.shared;
        let mut packer = Packer::new()?;
        let mut sealed_record = Vec::new();
        if let Some(record) = record {
            let info = BlockInfo {
                kind: BlockKind::Record,
                codec: crate::format::packs::Codec::Raw,
                raw_bytes: record.len() as u32,
                sealed_bytes: 0,
                chunks: Vec::new(),
            };
            if let Some(full) = shared.seal_block(&mut packer, Kind::Tree, info, record, Squeeze::Yes)? {
                shared.finish_pack(full, &self.shelf)?;
            }
            sealed_record = seal_record(&shared.run, record)?;
        }
        let open: Vec<PackCell> = lock(&shared.current).drain().map(|(_, cell)| cell).collect();
        for cell in open {
            if let Some(pack) = lock(&cell).take().filter(|pack| !pack.is_empty()) {
                shared.finish_pack(pack, &self.shelf)?;
            }
        }
        drop(self.shelf);
        if self.keeper.is_some_and(|keeper| keeper.join().is_err()) {
            return Err(Error::Worker);
        }
        shared.check()?;
        shared.storage.barrier()?;
        // The index is a cache: that it cannot be written is no failure of the run.
        let _ = lock(&shared.index).flush();
        let packs = std::mem::take(&mut *lock(&shared.written));
        let own: HashSet<PackId> = packs.iter().map(|pack| pack.id).collect();
        let index = lock(&shared.index);
        let numbers = std::mem::take(&mut lock(&shared.usable).used);
        let used = numbers.iter().filter_map(|&n| index.pack(n)).map(|row| row.id).filter(|id| !own.contains(id));
        Ok(Written { used: used.collect(), packs, record: sealed_record })
    }
}

/// Seals a record for the log anew, for a snapshot whose entry is lost.
pub fn seal_for_log(repo: &Repository, record: &[u8]) -> Result<Vec<u8>, Error> {
    seal_record(&Run::new(&repo.keys, repo.config.repository)?, record)
}

/// Seals a record for the log, as if it were the only block of a pack.
fn seal_record(run: &Run, record: &[u8]) -> Result<Vec<u8>, Error> {
    let mut sealer = run.sealer()?;
    let (salt, commitment) = (sealer.salt(), sealer.commitment());
    let raw_bytes = record.len() as u32;
    let mut sealed = record.to_vec();
    let content = Fingerprint::of_bytes(record);
    let nonce = sealer.reserve()?.seal(record_place(raw_bytes), &content, &mut sealed)?.nonce();
    Ok(Envelope { run_public: run.public(), salt, commitment, nonce, raw_bytes, sealed }.encode())
}

/// What is bound into the seal of a record in the log. Pack kind 0 is no pack's, so none can stand in for the other.
pub(in crate::repo) fn record_place(raw_bytes: u32) -> crate::crypto::seal::Place {
    crate::crypto::seal::Place { pack_kind: 0, block_kind: BlockKind::Record.code(), codec: 0, raw_bytes }
}

/// A snapshot about to be committed.
#[derive(Debug)]
pub struct Draft {
    /// Its name.
    pub snapshot: SnapshotId,
    /// Its series.
    pub series: SeriesId,
    /// When it was begun.
    pub started: Time,
    /// Whether everything could be read.
    pub complete: bool,
    /// The snapshot whose content it reuses without having looked at its chunks. It must be live at the commit.
    pub parent: Option<SnapshotId>,
}

/// Commits a snapshot: checks that every pack it relies on is there, and appends the log entry. `tags` is asked for
/// its tags again whenever another writer was faster.
pub fn commit(
    repo: &Repository,
    written: &Written,
    draft: &Draft,
    now: Time,
    tags: &dyn Fn(&State) -> Vec<String>,
) -> Result<Arc<State>, Error> {
    gate(repo, written, draft)?;
    repo.append(now, &mut |state| {
        if let Some(parent) = draft.parent
            && !state.snapshot(&parent).is_some_and(|parent| parent.is_live())
        {
            return Err(Error::NoSnapshot(parent));
        }
        let (mut packs, known): (Vec<PackUse>, Vec<PackUse>) =
            written.packs.iter().partition(|pack| state.fate(&pack.id).is_none());
        // A run that took longer than a prune spares its packs may find them condemned.
        let known = known.iter().map(|pack| &pack.id);
        let (unnamed, rescue) = relied_on(repo, state, written.used.iter().chain(known))?;
        packs.extend(unnamed);
        Ok::<_, Error>(Some(Action::Snapshot(SnapshotAction {
            snapshot: draft.snapshot,
            series: draft.series,
            started: draft.started,
            complete: draft.complete,
            tags: tags(state),
            packs,
            rescue,
            record: written.record.clone(),
        })))
    })
}

/// Of the packs that an entry relies on, those that no entry names yet, and those that it must rescue.
pub fn relied_on<'a>(
    repo: &Repository,
    state: &State,
    packs: impl Iterator<Item = &'a PackId>,
) -> Result<(Vec<PackUse>, Vec<PackId>), Error> {
    let index = repo.index();
    let (mut unnamed, mut rescue) = (Vec::new(), Vec::new());
    for &id in packs {
        match state.fate(&id) {
            Some(Fate::Live) => {}
            Some(Fate::Condemned { .. }) if state.pack(&id).is_some_and(|pack| pack.bytes > 0) => rescue.push(id),
            Some(Fate::Swept) => return Err(Error::PackSwept { pack: id }),
            // Named for the first time, or condemned before any entry said how long it is.
            fate => {
                rescue.extend(fate.map(|_| id));
                let row = index.pack_number(&id).and_then(|number| index.pack(number));
                let row = row.ok_or(Error::PackLost { pack: id, problem: "missing".into() })?;
                unnamed.push(PackUse { id, bytes: row.bytes, kind: row.kind });
            }
        }
    }
    unnamed.sort_by_key(|pack| pack.id);
    rescue.sort();
    Ok((unnamed, rescue))
}

/// The gate before a commit: every pack that the snapshot relies on is listed, and not shorter than its body. With a parent
/// that means every live pack.
fn gate(repo: &Repository, written: &Written, draft: &Draft) -> Result<(), Error> {
    let listed = Catalog::list(repo)?;
    let state = repo.state();
    let mut needed: HashMap<PackId, u64> = written.packs.iter().map(|pack| (pack.id, pack.bytes)).collect();
    let index = repo.index();
    let rows = written.used.iter().filter_map(|id| index.pack(index.pack_number(id)?));
    needed.extend(rows.map(|row| (row.id, row.bytes)));
    if draft.parent.is_some() {
        let live = state.packs().filter(|(_, pack)| pack.fate == Fate::Live);
        needed.extend(live.map(|(id, pack)| (*id, pack.bytes)));
    }
    drop(index);
    let amiss = |&(pack, bytes): &(&PackId, &u64)| listed.get(pack).is_none_or(|info| !info.holds(*bytes));
    let Some((pack, bytes)) = needed.iter().find(amiss) else { return Ok(()) };
    // What was swept since this run looked at the log is no damage: who can, reads again.
    let state = repo.refresh()?;
    if let Some((pack, _)) = needed.iter().filter(amiss).find(|(pack, _)| state.fate(pack) == Some(Fate::Swept)) {
        return Err(Error::PackSwept { pack: *pack });
    }
    let problem = match listed.get(pack) {
        Some(info) => format!("{} bytes long instead of {bytes}", info.bytes),
        None => "missing".into(),
    };
    Err(Error::PackLost { pack: *pack, problem })
}

/// Deletes the objects of packs that the log has swept. Asking for any other pack is refused.
pub fn delete_swept(repo: &Repository, packs: &[PackId]) -> Result<u64, Error> {
    let state = repo.state();
    let mut deleted = 0;
    // The sweep may be the entry of somebody who was killed before its barrier. It must not be lost while the deletes
    // are not.
    repo.storage.barrier()?;
    for pack in packs {
        if state.fate(pack) != Some(Fate::Swept) {
            return Err(Error::SelfCheck { what: "list of swept packs" });
        }
        match repo.storage.delete(&object(objects::pack_name(pack))?) {
            Ok(()) => deleted += 1,
            Err(error) if error.kind == ErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
    }
    repo.index().remove_packs(packs)?;
    repo.storage.barrier()?;
    Ok(deleted)
}
