//! The threads behind a writer: some seal blocks and put them into packs, one stores the packs.
//!
//! Promise: at no moment is a chunk known neither as pending nor to the index. After a failure the threads go on taking
//! work and drop it, so that nobody waits for them, and no run ends well. Left out on purpose: what is a new chunk (`repo/write`).

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crossbeam_channel::{Receiver, Sender};

use crate::crypto::keys::Keys;
use crate::crypto::seal::{Reserved, Run};
use crate::format::log::PackUse;
use crate::format::packs::{BlockKind, Codec, TAG_BYTES};
use crate::format::{Kind, objects};
use crate::id::{ChunkId, RepositoryId};
use crate::index::{Index, PackNumber};
use crate::repo::error::Error;
use crate::repo::object;
use crate::repo::pack::{BlockInfo, FinishedPack, OpenPack};
use crate::repo::seal::{Level, Packer, Squeeze, place};
use crate::repo::turns::{Turn, Turns};
use crate::storage::Storage;

/// A block to be packed and sealed.
pub struct Job {
    /// Which of the run's it is, from 0.
    pub number: u64,
    /// What the pack holds.
    pub kind: Kind,
    /// What the block holds.
    pub block: BlockKind,
    /// Whether it is worth compressing.
    pub squeeze: Squeeze,
    /// Its bytes.
    pub raw: Vec<u8>,
    /// Its chunks, in order.
    pub chunks: Vec<(ChunkId, u32)>,
}

/// A pack under construction; none once it is finished.
pub type PackCell = Arc<Mutex<Option<OpenPack>>>;

/// What the threads of a writer share.
pub struct Shared {
    /// The order in which blocks get their places.
    pub turns: Turns,
    /// Where packs go. `None`: nowhere, they are only counted.
    pub storage: Option<Arc<dyn Storage>>,
    /// The keys of the repository.
    pub keys: Arc<Keys>,
    /// The repository.
    pub repository: RepositoryId,
    /// The key of this run.
    pub run: Run,
    /// How hard blocks are compressed.
    pub level: Level,
    /// What is stored.
    pub index: Arc<Mutex<Index>>,
    /// The pack of each kind that takes blocks.
    pub current: Mutex<HashMap<Kind, PackCell>>,
    /// Chunks on their way into a pack.
    pub pending: Mutex<HashSet<ChunkId>>,
    /// Which packs count.
    pub usable: Mutex<Usable>,
    /// Packs stored by this run.
    pub written: Mutex<Vec<PackUse>>,
    /// Their length together, and that of those that are finished and wait for the storing thread.
    pub finished_bytes: AtomicU64,
    /// What went wrong.
    pub failure: Failure,
}

/// The first thing that went wrong. That something did stays known when somebody has taken it.
#[derive(Default)]
pub struct Failure(Mutex<Option<Option<Error>>>);

impl Failure {
    fn note(&self, error: Error) {
        lock(&self.0).get_or_insert(Some(error));
    }

    fn is_met(&self) -> bool {
        lock(&self.0).is_some()
    }

    fn check(&self) -> Result<(), Error> {
        match &mut *lock(&self.0) {
            None => Ok(()),
            Some(error) => Err(error.take().unwrap_or(Error::Worker)),
        }
    }

    fn take(&self) -> Error {
        self.check().err().unwrap_or(Error::Worker)
    }
}

/// The packs whose chunks count as stored, and those that this run came to rely on.
#[derive(Default)]
pub struct Usable {
    /// By number: whether a pack counts.
    pub accepted: Vec<bool>,
    /// Those that chunks were found in.
    pub used: HashSet<PackNumber>,
}

impl Usable {
    /// Counts a pack from now on.
    pub fn accept(&mut self, pack: PackNumber) {
        let at = pack.0 as usize;
        if self.accepted.len() <= at {
            self.accepted.resize(at + 1, false);
        }
        self.accepted[at] = true;
    }

    /// Whether a pack counts.
    pub fn accepts(&self, pack: PackNumber) -> bool {
        self.accepted.get(pack.0 as usize).copied().unwrap_or(false)
    }
}

/// Locks, whoever panicked while holding the lock: what is in it is checked by what comes after.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// Fails with what went wrong in a thread.
    pub fn check(&self) -> Result<(), Error> {
        self.failure.check()
    }

    /// What went wrong in a thread, when it is known that something did.
    pub fn take_failure(&self) -> Error {
        self.failure.take()
    }

    fn fail(&self, error: Error) {
        self.failure.note(error);
    }

    /// A sealing thread. After a failure it goes on taking jobs and drops them, so that nobody waits for it.
    pub fn seal_all(&self, queue: &Receiver<Job>, shelf: &Sender<FinishedPack>) {
        let mut packer = match Packer::new(self.level) {
            Ok(packer) => packer,
            Err(error) => return self.fail(error),
        };
        for job in queue {
            let turn = self.turns.of(job.number);
            if self.failure.is_met() {
                continue;
            }
            if let Err(error) = self.seal_job(&mut packer, job, turn, shelf) {
                self.fail(error);
            }
        }
    }

    fn seal_job(
        &self,
        packer: &mut Packer,
        job: Job,
        turn: Turn<'_>,
        shelf: &Sender<FinishedPack>,
    ) -> Result<(), Error> {
        let info = BlockInfo {
            kind: job.block,
            codec: Codec::Raw,
            raw_bytes: job.raw.len() as u32,
            sealed_bytes: 0,
            chunks: job.chunks,
        };
        if let Some(full) = self.seal_block(packer, job.kind, info, &job.raw, job.squeeze, Some(turn))? {
            self.finish_pack(full, shelf)?;
        }
        Ok(())
    }

    /// Packs and seals one block; returns the pack when this completed it.
    pub fn seal_block(
        &self,
        packer: &mut Packer,
        kind: Kind,
        mut info: BlockInfo,
        raw: &[u8],
        squeeze: Squeeze,
        turn: Option<Turn<'_>>,
    ) -> Result<Option<OpenPack>, Error> {
        let packed = packer.pack(raw, squeeze)?;
        info.codec = packed.codec;
        info.sealed_bytes = (packed.bytes.len() + TAG_BYTES) as u32;
        let place = place(kind, info.kind, info.codec, info.raw_bytes);
        let content = info.fingerprint(raw);
        let (cell, reserved) = match turn {
            Some(turn) => turn.take(|| self.reserve(kind, info))?,
            None => self.reserve(kind, info)?,
        };
        let ordinal = reserved.ordinal();
        let sealed = packer.seal(reserved, place, &content, packed, raw)?;
        let mut pack = lock(&cell);
        let complete = pack.as_mut().is_some_and(|pack| {
            pack.deliver(ordinal, sealed);
            pack.is_full() && !pack.is_waiting()
        });
        Ok(if complete { pack.take() } else { None })
    }

    fn reserve(&self, kind: Kind, info: BlockInfo) -> Result<(PackCell, Reserved), Error> {
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

    /// Finishes a pack and hands it to the storing thread.
    pub fn finish_pack(&self, pack: OpenPack, shelf: &Sender<FinishedPack>) -> Result<(), Error> {
        let pack = pack.finish(&self.keys, &self.run, self.repository)?;
        self.finished_bytes.fetch_add(pack.bytes(), Ordering::Relaxed);
        shelf.send(pack).map_err(|_| self.take_failure())
    }

    /// The storing thread.
    pub fn store_all(&self, packs: &Receiver<FinishedPack>) {
        for pack in packs {
            if self.failure.is_met() {
                continue;
            }
            if let Err(error) = self.store(&pack) {
                self.fail(error);
            }
        }
    }

    fn store(&self, pack: &FinishedPack) -> Result<(), Error> {
        if let Some(storage) = &self.storage {
            storage.put_new(&object(objects::pack_name(&pack.id))?, &pack.parts())?;
        }
        lock(&self.written).push(PackUse { id: pack.id, bytes: pack.bytes(), kind: pack.kind });
        // The index first: at no moment may a chunk be known to neither.
        if self.storage.is_some() {
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

#[cfg(test)]
#[path = "pipeline_tests.rs"]
mod tests;
