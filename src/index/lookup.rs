//! Where is this chunk?
//!
//! Promise: every answer was found in a directory that its own seal vouches for. The filter and the rows only say
//! which directories to look into. Left out on purpose: reading the chunk.

use std::sync::Arc;

use crate::format::Kind;
use crate::format::packs::Directory;
use crate::id::ChunkId;
use crate::index::directories::Opened;
use crate::index::filter::Filter;
use crate::index::packs::{PackNumber, State};
use crate::index::{Error, Index, store};

/// Chunks looked up in one read transaction. While it lasts, the write-ahead log of other processes only grows.
const IDS_AT_ONCE_MAX: usize = 1024;

/// Where a chunk lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Location {
    /// The pack.
    pub pack: PackNumber,
    /// The block in the pack.
    pub block: u32,
    /// Where in the opened block it begins.
    pub offset: u32,
    /// Its length.
    pub bytes: u32,
    /// Its place among the chunks of the pack's directory.
    pub entry: u32,
}

impl Index {
    /// A copy of a chunk in a pack that `usable` accepts. `None` means: not known here.
    pub fn locate(
        &mut self,
        kind: Kind,
        id: &ChunkId,
        usable: &dyn Fn(PackNumber) -> bool,
    ) -> Result<Option<Location>, Error> {
        let packs = &self.packs;
        let fits = |opened: &Opened| opened.kind == kind && packs.get(opened.number).is_some() && usable(opened.number);
        if let Some((opened, entry)) = self.directories.find_recent(id, &fits) {
            return Ok(Some(location(&opened, entry)));
        }
        if !self.filter()?.may_contain(store::prefix(id)) {
            return Ok(None);
        }
        let mut damaged = None;
        for number in self.candidates(kind, id)? {
            if !usable(number) {
                continue;
            }
            match self.find_in(number, id) {
                Ok(Some(location)) => return Ok(Some(location)),
                Ok(None) => {}
                // Another copy may do.
                Err(error @ Error::Damaged { .. }) => damaged = Some(error),
                Err(error) => return Err(error),
            }
        }
        damaged.map_or(Ok(None), Err)
    }

    /// Every pack's copy of a chunk (the first, should a pack hold it twice).
    pub fn copies(&mut self, kind: Kind, id: &ChunkId) -> Result<Vec<Location>, Error> {
        if !self.filter()?.may_contain(store::prefix(id)) {
            return Ok(Vec::new());
        }
        let mut copies = Vec::new();
        for number in self.candidates(kind, id)? {
            copies.extend(self.find_in(number, id)?);
        }
        Ok(copies)
    }

    /// The same of many chunks, in their order. One after the other they would have the file locked and unlocked for
    /// each.
    pub fn copies_of_all(&mut self, kind: Kind, ids: &[ChunkId]) -> Result<Vec<Vec<Location>>, Error> {
        let mut all = Vec::with_capacity(ids.len());
        for some in ids.chunks(IDS_AT_ONCE_MAX) {
            self.store.begin_reading();
            let found: Result<Vec<_>, Error> = some.iter().map(|id| self.copies(kind, id)).collect();
            // Perhaps another one by now: one that fails is replaced.
            self.store.end_reading();
            all.extend(found?);
        }
        Ok(all)
    }

    /// The directory of a pack; an empty one for a number that is not known.
    pub fn directory(&mut self, number: PackNumber) -> Result<Arc<Directory>, Error> {
        Ok(self.opened(number)?.map_or_else(Arc::default, |opened| Arc::clone(&opened.directory)))
    }

    /// The header of a pack, as it was added. `None` for a number that is not known.
    pub fn header(&mut self, number: PackNumber) -> Result<Option<Vec<u8>>, Error> {
        let Some(state) = self.packs.get(number).map(|slot| slot.state) else { return Ok(None) };
        let header = match state {
            State::Stored(row) => self.read(|store| store.header(row))?,
            _ => self.pending.header(number).map(<[u8]>::to_vec),
        };
        let Some(slot) = self.packs.get(number) else { return Ok(None) };
        match header.filter(|header| store::header_hash(header) == slot.header_hash) {
            Some(header) => Ok(Some(header)),
            None => Err(Error::Damaged { pack: slot.row.id }),
        }
    }

    /// The packs of a kind that may hold a chunk, each once.
    fn candidates(&mut self, kind: Kind, id: &ChunkId) -> Result<Vec<PackNumber>, Error> {
        let prefix = store::prefix(id);
        let mut numbers = self.pending.candidates(prefix);
        let rows = self.read(|store| store.candidates(prefix))?;
        numbers.extend(rows.into_iter().filter_map(|row| self.packs.of_row(row)));
        numbers.retain(|&number| self.packs.get(number).is_some_and(|slot| slot.row.kind == kind));
        numbers.sort_unstable();
        numbers.dedup();
        Ok(numbers)
    }

    fn find_in(&mut self, number: PackNumber, id: &ChunkId) -> Result<Option<Location>, Error> {
        let Some(opened) = self.opened(number)? else { return Ok(None) };
        let Some(entry) = opened.find(id) else { return Ok(None) };
        self.directories.hit(&opened);
        Ok(Some(location(&opened, entry)))
    }

    /// The directory of a pack, opened now if it is not kept. `None`: no such pack.
    fn opened(&mut self, number: PackNumber) -> Result<Option<Arc<Opened>>, Error> {
        if self.packs.get(number).is_none() {
            return Ok(None);
        }
        if let Some(opened) = self.directories.get(number) {
            return Ok(Some(opened));
        }
        let header = self.header(number)?;
        let Some(slot) = self.packs.get(number) else { return Ok(None) };
        let directory = header
            .and_then(|header| self.opener.open(&header).ok())
            .filter(|directory| directory.chunks.len() == slot.row.chunks as usize);
        let Some(directory) = directory else { return Err(Error::Damaged { pack: slot.row.id }) };
        let kind = slot.row.kind;
        Ok(Some(self.directories.insert(number, kind, Arc::new(directory))))
    }

    fn filter(&mut self) -> Result<&Filter, Error> {
        if self.filter.is_none() {
            self.load_filter()?;
        }
        // Just loaded: an empty filter would be a bug, and it would only cost a second copy.
        Ok(self.filter.get_or_insert_with(|| Filter::with_room(0)))
    }
}

fn location(opened: &Opened, entry: u32) -> Location {
    let chunk = &opened.directory.chunks[entry as usize];
    Location { pack: opened.number, block: chunk.block, offset: chunk.offset, bytes: chunk.bytes, entry }
}
