//! Reading: locate a chunk, open its block, verify its id. Always all three.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use crate::crypto::seal::PackKey;
use crate::format::content::ChunkRef;
use crate::format::packs::{BlockEntry, BlockKind, Directory, Preamble};
use crate::format::record::{Claims, Envelope, Record};
use crate::format::{Kind, Reject, objects};
use crate::id::{ChunkId, PackId, SnapshotId};
use crate::index::{self, Location, PackNumber, PackRow};
use crate::repo::catalog::{Catalog, ask};
use crate::repo::error::Error;
use crate::repo::seal::{Unpacker, record_place};
use crate::repo::state::{Fate, Snapshot};
use crate::repo::{Repository, object};

/// Opened blocks that are kept, in bytes.
const CACHE_BYTES_MAX: usize = 24 << 20;
/// Pack keys that are kept.
const KEYS_MAX: usize = 4096;

/// A pack as readers need it.
pub struct PackReader {
    /// Its name.
    pub id: PackId,
    /// What it holds.
    pub kind: Kind,
    /// What is in it.
    pub directory: Arc<Directory>,
    key: Arc<PackKey>,
    blocks_at: u64,
}

impl PackReader {
    /// One of its blocks.
    pub fn block(&self, block: u32) -> Result<&BlockEntry, Error> {
        let entry = self.directory.blocks.get(block as usize);
        entry.ok_or_else(|| Error::reject(objects::pack_name(&self.id), Reject::Broken("no such block")))
    }
}

/// Recently opened blocks of pages, and the keys of packs.
#[derive(Default)]
pub struct BlockCache {
    blocks: Mutex<Blocks>,
    keys: Mutex<HashMap<PackNumber, (Arc<PackKey>, u64)>>,
}

#[derive(Default)]
struct Blocks {
    by_place: HashMap<(PackNumber, u32), Arc<Vec<u8>>>,
    order: VecDeque<(PackNumber, u32)>,
    bytes: usize,
}

impl Blocks {
    fn put(&mut self, place: (PackNumber, u32), block: Arc<Vec<u8>>) {
        self.bytes += block.len();
        if self.by_place.insert(place, block).is_none() {
            self.order.push_back(place);
        }
        while self.bytes > CACHE_BYTES_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            if let Some(block) = self.by_place.remove(&oldest) {
                self.bytes -= block.len();
            }
        }
    }
}

/// Checks a chunk in its opened block and returns its bytes.
pub fn verified<'a>(
    repo: &Repository,
    kind: Kind,
    block: &'a [u8],
    offset: u32,
    bytes: u32,
    id: &ChunkId,
) -> Result<&'a [u8], Error> {
    let end = offset as usize + bytes as usize;
    let chunk = block.get(offset as usize..end).ok_or(Error::MissingChunk { kind, id: *id })?;
    let found = match kind {
        Kind::Data => repo.keys.data_id(chunk),
        Kind::Tree => repo.keys.tree_id(chunk),
    };
    if found == *id {
        Ok(chunk)
    } else {
        let reason = "its bytes do not match its name".into();
        Err(Error::Damaged { object: format!("{kind} chunk {id}"), reason })
    }
}

impl Repository {
    /// What the index knows of a pack, which may have been emptied since the pack got its number.
    fn pack_row(&self, pack: PackNumber) -> Result<PackRow, Error> {
        let known = self.index().pack(pack).cloned();
        if let Some(row) = known {
            return Ok(row);
        }
        Catalog::survey(self)?;
        let known = self.index().pack(pack).cloned();
        known.ok_or(Error::Worker)
    }

    /// Opens a pack for reading.
    pub fn pack_reader(&self, pack: PackNumber) -> Result<PackReader, Error> {
        let row = self.pack_row(pack)?;
        // Between two looks another thread may find the index damaged, and empty it.
        let directory = ask(self, &mut |index| match index.pack(pack) {
            Some(_) => index.directory(pack),
            None => Err(index::Error::Reset),
        })?;
        let mut keys = self.blocks.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let (key, blocks_at) = match keys.get(&pack) {
            Some((key, at)) => (key.clone(), *at),
            None => {
                let name = objects::pack_name(&row.id);
                let header = ask(self, &mut |index| index.header(pack)?.ok_or(index::Error::Reset))?;
                let preamble = Preamble::decode(&header).map_err(|reject| Error::reject(name.clone(), reject))?;
                let key = self
                    .opener
                    .pack_key(preamble.run_public, preamble.salt, &preamble.commitment)
                    .map_err(|error| Error::forged(name, error))?;
                let at = preamble.body_bytes - directory.blocks_bytes();
                if keys.len() >= KEYS_MAX {
                    keys.clear();
                }
                let key = Arc::new(key);
                keys.insert(pack, (key.clone(), at));
                (key, at)
            }
        };
        Ok(PackReader { id: row.id, kind: row.kind, directory, key, blocks_at })
    }

    /// Reads and opens one block. Its chunks are not verified yet: see [`verified`].
    pub fn open_block(&self, pack: &PackReader, block: u32, unpacker: &mut Unpacker) -> Result<Vec<u8>, Error> {
        let sealed = self.sealed_block(pack, block, unpacker)?;
        self.open_sealed(pack, block, sealed, unpacker)
    }

    /// Reads one block as it is stored, into one of the unpacker's buffers.
    pub fn sealed_block(&self, pack: &PackReader, block: u32, unpacker: &mut Unpacker) -> Result<Vec<u8>, Error> {
        let entry = pack.block(block)?;
        let at = pack.blocks_at + entry.offset;
        let mut sealed = unpacker.buffer();
        let range = at..at + u64::from(entry.sealed_bytes);
        self.storage.get_into(&object(objects::pack_name(&pack.id))?, range, &mut sealed)?;
        Ok(sealed)
    }

    /// Opens one block that was read before.
    pub fn open_sealed(
        &self,
        pack: &PackReader,
        block: u32,
        sealed: Vec<u8>,
        unpacker: &mut Unpacker,
    ) -> Result<Vec<u8>, Error> {
        let object = || format!("block {block} of {}", objects::pack_name(&pack.id));
        unpacker
            .open(&pack.key, pack.kind, block, pack.block(block)?, sealed)
            .map_err(|reject| Error::reject(object(), reject))
    }

    /// Where a chunk is: in any pack that is not swept.
    pub fn locate(&self, kind: Kind, id: &ChunkId) -> Result<Location, Error> {
        if let Some(found) = self.locate_once(kind, id)? {
            return Ok(found);
        }
        // The index is a cache, and may have forgotten. Before a chunk counts as missing, it is made anew, once.
        if !self.resurveyed.swap(true, Ordering::Relaxed) {
            self.index().clear()?;
            Catalog::survey(self)?;
            if let Some(found) = self.locate_once(kind, id)? {
                return Ok(found);
            }
        }
        Err(Error::MissingChunk { kind, id: *id })
    }

    fn locate_once(&self, kind: Kind, id: &ChunkId) -> Result<Option<Location>, Error> {
        let state = self.state();
        ask(self, &mut |index| match index.locate(kind, id, &|_| true)? {
            Some(found) if !is_swept(&state, index, found.pack) => Ok(Some(found)),
            _ => Ok(index.copies(kind, id)?.into_iter().find(|copy| !is_swept(&state, index, copy.pack))),
        })
    }

    /// Reads a page, through the cache. Tries every copy before it gives up.
    pub fn page(&self, page: &ChunkRef) -> Result<Vec<u8>, Error> {
        self.chunk(Kind::Tree, page)
    }

    /// Reads one chunk, through the cache. Tries every copy before it gives up.
    pub fn chunk(&self, kind: Kind, chunk: &ChunkRef) -> Result<Vec<u8>, Error> {
        let location = self.locate(kind, &chunk.id)?;
        match self.chunk_at(kind, chunk, location) {
            Err(error) if error.is_damage() => {
                let copies = ask(self, &mut |index| index.copies(kind, &chunk.id))?;
                let others = copies.into_iter().filter(|copy| copy.pack != location.pack);
                others.map(|copy| self.chunk_at(kind, chunk, copy)).find_map(Result::ok).ok_or(error)
            }
            result => result,
        }
    }

    /// Reads one chunk from one place, through the cache.
    pub fn chunk_at(&self, kind: Kind, chunk: &ChunkRef, at: Location) -> Result<Vec<u8>, Error> {
        let block = self.cached_block(at.pack, at.block)?;
        if at.bytes != chunk.bytes {
            return Err(Error::MissingChunk { kind, id: chunk.id });
        }
        Ok(verified(self, kind, &block, at.offset, at.bytes, &chunk.id)?.to_vec())
    }

    fn cached_block(&self, pack: PackNumber, block: u32) -> Result<Arc<Vec<u8>>, Error> {
        let cache = || self.blocks.blocks.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = cache().by_place.get(&(pack, block)) {
            return Ok(found.clone());
        }
        let reader = self.pack_reader(pack)?;
        let opened = Arc::new(self.open_block(&reader, block, &mut Unpacker::new()?)?);
        cache().put((pack, block), opened.clone());
        Ok(opened)
    }

    /// Opens a snapshot's record as it stands in the log.
    pub fn record(&self, snapshot: &Snapshot) -> Result<Record, Error> {
        let name = || format!("record of snapshot {}", snapshot.id.short());
        let envelope = Envelope::decode(&snapshot.record).map_err(|reject| Error::reject(name(), reject))?;
        let key = self
            .opener
            .pack_key(envelope.run_public, envelope.salt, &envelope.commitment)
            .map_err(|error| Error::forged(name(), error))?;
        let mut bytes = envelope.sealed;
        key.open(0, &envelope.nonce, record_place(envelope.raw_bytes), &mut bytes)
            .map_err(|error| Error::forged(name(), error))?;
        self.decode_record(&snapshot.id, &bytes)
    }

    /// In what a snapshot's log entry differs from its record: damage of the entry. The entry counts for the snapshot's
    /// place in its series and for retention, the record for what is shown and restored.
    pub fn contradiction(&self, snapshot: &Snapshot, record: &Record) -> Option<String> {
        let series = self.keys.series_id(&record.source, &record.host);
        let claims = Claims { series: snapshot.series, started: snapshot.started, complete: snapshot.complete };
        let what = record.differs(series, &claims)?;
        Some(format!("gives snapshot {} another {what} than its record does", snapshot.id.short()))
    }

    /// Reads the records that lie in a tree pack, for salvage.
    pub fn records_in(&self, pack: PackNumber) -> Result<Vec<(SnapshotId, Record, Vec<u8>)>, Error> {
        let reader = self.pack_reader(pack)?;
        let mut unpacker = Unpacker::new()?;
        let mut records = Vec::new();
        for (at, block) in reader.directory.blocks.iter().enumerate() {
            if block.kind == BlockKind::Record && reader.kind == Kind::Tree {
                let bytes = self.open_block(&reader, at as u32, &mut unpacker)?;
                let id = self.keys.snapshot_id(&bytes);
                records.push((id, self.decode_record(&id, &bytes)?, bytes));
            }
        }
        Ok(records)
    }

    fn decode_record(&self, id: &SnapshotId, bytes: &[u8]) -> Result<Record, Error> {
        let name = || format!("record of snapshot {}", id.short());
        if self.keys.snapshot_id(bytes) != *id {
            return Err(Error::reject(name(), Reject::Broken("does not match its name")));
        }
        Record::decode(bytes).map_err(|reject| Error::reject(name(), reject))
    }
}

fn is_swept(state: &crate::repo::state::State, index: &crate::index::Index, pack: PackNumber) -> bool {
    index.pack(pack).is_none_or(|row| state.fate(&row.id) == Some(Fate::Swept))
}
