//! The index: which packs there are, which chunk lies where, and the log as last seen. A cache in SQLite.
//!
//! Promise: the file may be deleted, corrupted, or replaced by an older one or by another repository's at any time.
//! What [`Index::locate`] returns was found in a directory that the pack's own seal vouches for, so a flipped bit
//! gives at most a miss, an [`Error::Damaged`] or an [`Error::Reset`]. A miss is therefore no proof of absence: who
//! needs one (restore, prune) clears the index, fills it again, and asks again.
//!
//! Left out on purpose: keys, storage, and what to fetch when something is missing. That is `repo`'s business.

mod directories;
mod filter;
mod flush;
mod lookup;
mod packs;
mod pending;
mod store;
pub mod synthetic;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::format::Reject;
use crate::format::packs::{Directory, Preamble};
use crate::id::{PackId, RepositoryId};
use crate::index::directories::Directories;
use crate::index::filter::Filter;
use crate::index::packs::{Packs, State};
use crate::index::pending::Pending;
use crate::index::store::{Store, StoredPack};
use crate::sqlite;

pub use crate::index::lookup::Location;
pub use crate::index::packs::{PackNumber, PackRow};

/// Opens the sealed directory of a pack. Given by the layer above, which has the keys.
pub trait DirectoryOpener: Send + Sync {
    /// Opens `header`, the front of a pack: preamble and sealed directory. Must refuse one that was changed, and one
    /// whose directory was sealed behind another preamble.
    fn open(&self, header: &[u8]) -> Result<Directory, Reject>;
}

/// The index cannot do what it should.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What the index holds of a pack does not open. Fetch its header again and give it to
    /// [`Index::replace_header`].
    #[error("the index holds a damaged directory of pack {pack}")]
    Damaged {
        /// The pack.
        pack: PackId,
    },
    /// What was given as a pack's header is none.
    #[error("the header of pack {pack} is wrong")]
    Header {
        /// The pack.
        pack: PackId,
        /// What is wrong with it.
        #[source]
        source: Reject,
    },
    /// The database was damaged and has been emptied: add the packs and log entries again, then ask again. Packs
    /// keep their numbers, and those not yet flushed are still known. At the end of a run it can be passed over.
    #[error("the index was damaged and has been emptied")]
    Reset,
    /// Not even a temporary database can be used.
    #[error("the index cannot be used")]
    Unusable(#[from] sqlite::Error),
}

/// How large an index is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Packs known.
    pub packs: u64,
    /// Chunks in them, copies counted.
    pub rows: u64,
    /// Length of the database; 0 for a temporary one.
    pub file_bytes: u64,
}

/// An open index. One thread at a time: share it behind a lock.
pub struct Index {
    dir: Option<PathBuf>,
    repository: RepositoryId,
    opener: Arc<dyn DirectoryOpener>,
    store: Store,
    packs: Packs,
    pending: Pending,
    /// Loaded when first needed: listing a snapshot never needs it.
    filter: Option<Filter>,
    directories: Directories,
    degraded: bool,
    times_emptied: u32,
}

impl Index {
    /// Opens or makes `<dir>/index.sqlite`. A file that is of no use is deleted, or renamed to `index.sqlite.aside`
    /// if it is not ours; where no file can be used at all, or without a `dir`, the index is a temporary one.
    pub fn open(
        dir: Option<&Path>,
        repository: RepositoryId,
        opener: Arc<dyn DirectoryOpener>,
    ) -> Result<Index, Error> {
        let opened = dir.and_then(|dir| open_file(dir, &repository));
        let degraded = dir.is_some() && opened.is_none();
        let (store, stored) = match opened {
            Some(opened) => opened,
            None => (Store::temporary(&repository)?, Vec::new()),
        };
        let mut packs = Packs::default();
        packs.reload(&stored);
        Ok(Index {
            dir: dir.map(Path::to_path_buf),
            repository,
            opener,
            store,
            packs,
            pending: Pending::default(),
            filter: None,
            directories: Directories::default(),
            degraded,
            times_emptied: 0,
        })
    }

    /// How often the database proved damaged and was emptied. Who fills the index from more than one call looks
    /// whether this changed on the way: what came before is gone then.
    pub fn times_emptied(&self) -> u32 {
        self.times_emptied
    }

    /// Whether the file could not be used, so that what is learnt now is forgotten at the end.
    pub fn degraded(&self) -> bool {
        self.degraded
    }

    /// The packs known, in the order in which they became known.
    pub fn packs(&self) -> impl Iterator<Item = &PackRow> {
        self.packs.iter()
    }

    /// The number of a pack.
    pub fn pack_number(&self, id: &PackId) -> Option<PackNumber> {
        self.packs.number(id)
    }

    /// What is known of a pack.
    pub fn pack(&self, number: PackNumber) -> Option<&PackRow> {
        self.packs.get(number).map(|slot| &slot.row)
    }

    /// Adds a pack: the length of its body, its header as stored (preamble and sealed directory), and the
    /// directory in it. Kept in memory until [`Index::flush`] or until the batch is full. A pack already known is
    /// left as it is.
    pub fn add_pack(
        &mut self,
        id: PackId,
        body_bytes: u64,
        header: &[u8],
        directory: Arc<Directory>,
    ) -> Result<PackNumber, Error> {
        match self.packs.number(&id) {
            Some(number) => Ok(number),
            None => self.put_pack(id, body_bytes, header, directory),
        }
    }

    /// Replaces what is held of a pack, after an [`Error::Damaged`].
    pub fn replace_header(
        &mut self,
        number: PackNumber,
        header: &[u8],
        directory: Arc<Directory>,
    ) -> Result<(), Error> {
        let Some(row) = self.pack(number).cloned() else { return Ok(()) };
        self.remove_packs(&[row.id])?;
        self.put_pack(row.id, row.bytes, header, directory)?;
        Ok(())
    }

    fn put_pack(
        &mut self,
        id: PackId,
        body_bytes: u64,
        header: &[u8],
        directory: Arc<Directory>,
    ) -> Result<PackNumber, Error> {
        let wrong = |source| Error::Header { pack: id, source };
        let preamble = Preamble::decode(header).map_err(wrong)?;
        if preamble.repository != self.repository {
            return Err(wrong(Reject::Foreign));
        }
        if self.pending.is_full_with(directory.chunks.len(), header.len()) {
            self.flush_last()?;
        }
        let chunks = directory.chunks.len() as u32;
        let header_hash = store::header_hash(header);
        let pack = StoredPack { row: 0, id, kind: preamble.kind, bytes: body_bytes, chunks, header_hash };
        let number = self.packs.put(&pack, State::Pending).ok_or(wrong(Reject::Broken("too many packs")))?;
        self.pending.add(number, header, &directory);
        if let Some(filter) = &mut self.filter {
            directory.chunks.iter().for_each(|chunk| filter.insert(store::prefix(&chunk.id)));
        }
        self.directories.insert(number, preamble.kind, directory);
        Ok(number)
    }

    /// Forgets packs. The database hears of it with the next [`Index::flush`].
    pub fn remove_packs(&mut self, ids: &[PackId]) -> Result<(), Error> {
        for id in ids {
            let Some(number) = self.packs.number(id) else { continue };
            match self.packs.get(number).map(|slot| slot.state) {
                Some(State::Stored(row)) => self.pending.doom(row),
                _ => self.pending.forget(number),
            }
            self.packs.set_state(number, State::Absent);
            self.directories.forget(number);
        }
        Ok(())
    }

    /// The log entries kept, as they were put, by number.
    pub fn log_entries(&mut self) -> Result<Vec<(u64, Vec<u8>)>, Error> {
        let stored = self.read(Store::log_entries)?;
        Ok(self.pending.merge_log(stored))
    }

    /// Keeps a log entry. In memory until [`Index::flush`].
    pub fn put_log_entry(&mut self, seq: u64, entry: &[u8]) -> Result<(), Error> {
        self.pending.put_log_entry(seq, entry);
        if self.pending.is_full_with(0, 0) {
            self.flush_last()?;
        }
        Ok(())
    }

    /// Forgets the log entries from `first` on.
    pub fn truncate_log(&mut self, first: u64) -> Result<(), Error> {
        self.pending.truncate_log(first);
        Ok(())
    }

    /// How large the index is.
    pub fn stats(&self) -> Stats {
        let file_bytes = self.store.path().and_then(|path| path.metadata().ok()).map_or(0, |m| m.len());
        Stats { packs: self.packs.iter().count() as u64, rows: self.packs.live_chunks(), file_bytes }
    }
}

/// Opens the file, makes it anew if it is of no use, and reads its packs. `None` when that cannot be done.
fn open_file(dir: &Path, repository: &RepositoryId) -> Option<(Store, Vec<StoredPack>)> {
    let attempt = || -> Result<_, sqlite::Error> {
        let mut store = Store::open(dir, repository)?;
        let packs = store.packs()?;
        Ok((store, packs))
    };
    std::fs::create_dir_all(dir).ok()?;
    // SQLite would wait for ever at a pipe in the file's place.
    if !store::is_file_or_missing(dir) {
        store::set_aside(dir).ok()?;
    }
    match attempt() {
        Ok(opened) => Some(opened),
        // Somebody else's turn: the file may be perfectly good.
        Err(error) if matches!(error.fault(), sqlite::Fault::Busy | sqlite::Fault::Full) => None,
        Err(_) => {
            store::set_aside(dir).ok()?;
            attempt().ok()
        }
    }
}

#[cfg(test)]
#[path = "mod_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "damage_tests.rs"]
mod damage_tests;
