//! What live snapshots use: a bit for every chunk, and what that makes of each pack.
//!
//! Promise: of a chunk with several copies one counts as used, in the pack that is used most. Only packs count that
//! the log says are live and that the storage lists and are not shorter than their body. Left out on purpose: what to do about the
//! rest (`ops/prune`).

use std::cmp::Reverse;
use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use crate::format::Kind;
use crate::format::packs::{BlockKind, Directory};
use crate::format::record::Record;
use crate::id::{ChunkId, PackId, SnapshotId};
use crate::index::{Location, PackNumber};
use crate::ops::bits::Prefixes;
use crate::ops::walk::marks::Counting;
use crate::ops::walk::{Fault, Walker};
use crate::repo::Repository;
use crate::repo::catalog::{Catalog, Listed, ask};
use crate::repo::error::Error as RepoError;
use crate::repo::seal::Unpacker;
use crate::repo::state::{Fate, Snapshot, State};

/// Why it cannot be said what is used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The repository.
    #[error(transparent)]
    Repo(#[from] RepoError),
    /// Something of a live snapshot is not there.
    #[error("snapshot {} cannot be read in full", .snapshot.short())]
    Damaged {
        /// The snapshot.
        snapshot: SnapshotId,
        /// What is wrong.
        #[source]
        reason: RepoError,
    },
}

/// How much of a pack is used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Used {
    /// Chunks.
    pub chunks: u64,
    /// Bytes of these chunks, as they came.
    pub raw_bytes: u64,
    /// About the bytes that they take in the pack: a block's share. Records count as well.
    pub stored_bytes: u64,
    /// Bytes in blocks of the pack that nothing uses.
    pub unused_bytes: u64,
}

/// What is used.
pub struct Usage<'r> {
    repo: &'r Repository,
    walker: Walker<'r>,
    visited: HashSet<SnapshotId>,
    /// Record blocks of live snapshots, by pack; each record counts once.
    records: HashMap<PackNumber, Vec<u32>>,
    /// All records found, by pack and block, and whose they are.
    found: HashMap<PackNumber, Vec<(u32, SnapshotId)>>,
    /// Packs in which a check found damage.
    distrusted: BTreeSet<PackId>,
}

/// The packs whose chunks count for live snapshots.
pub fn counting(repo: &Repository, state: &State, listed: &HashMap<PackId, Listed>) -> Counting {
    let index = repo.index();
    let sound = |id: &PackId, bytes: u64| {
        let named = state.pack(id).is_some_and(|pack| pack.fate == Fate::Live && pack.bytes == bytes);
        named && listed.get(id).is_some_and(|info| info.holds(bytes))
    };
    index.packs().filter(|row| sound(&row.id, row.bytes)).map(|row| row.number).collect()
}

/// Marks what the live snapshots use, of which `which` says yes. Should something seem to be missing, the index is made
/// anew before that is believed.
pub fn measure<'r>(
    repo: &'r Repository,
    state: &State,
    catalog: &Catalog,
    which: &dyn Fn(&Snapshot) -> bool,
) -> Result<Usage<'r>, Error> {
    match measure_once(repo, state, catalog, which) {
        Err(Error::Damaged { .. }) => {
            repo.index().clear().map_err(RepoError::from)?;
            let catalog = Catalog::survey(repo)?;
            measure_once(repo, state, &catalog, which)
        }
        result => result,
    }
}

fn measure_once<'r>(
    repo: &'r Repository,
    state: &State,
    catalog: &Catalog,
    which: &dyn Fn(&Snapshot) -> bool,
) -> Result<Usage<'r>, Error> {
    let counting = counting(repo, state, &catalog.listed);
    let doubles = find_doubles(repo, &counting)?;
    let mut usage = Usage {
        repo,
        walker: Walker::new(repo, counting, Some(doubles)),
        visited: HashSet::new(),
        records: HashMap::new(),
        found: HashMap::new(),
        distrusted: catalog.distrusted.clone(),
    };
    usage.visit(state, which)?;
    Ok(usage)
}

/// Chunks that lie in several packs that count, as a set that errs on the side of too many.
fn find_doubles(repo: &Repository, counting: &Counting) -> Result<Prefixes, RepoError> {
    let rows: Vec<(PackNumber, u32)> = {
        let index = repo.index();
        index.packs().filter(|row| counting.has(row.number)).map(|row| (row.number, row.chunks)).collect()
    };
    let total = rows.iter().map(|row| u64::from(row.1)).sum();
    let (mut seen, mut doubles) = (Prefixes::with_room(total), Prefixes::with_room(total / 4));
    for (pack, _) in rows {
        for chunk in &directory(repo, pack)?.chunks {
            if !seen.insert(&chunk.id) {
                doubles.insert(&chunk.id);
            }
        }
    }
    Ok(doubles)
}

/// What is in a pack.
pub fn directory(repo: &Repository, pack: PackNumber) -> Result<Arc<Directory>, RepoError> {
    ask(repo, &mut |index| index.directory(pack))
}

impl<'r> Usage<'r> {
    /// Visits those live snapshots that were not visited yet.
    pub fn visit(&mut self, state: &State, which: &dyn Fn(&Snapshot) -> bool) -> Result<(), Error> {
        for snapshot in state.live().filter(|snapshot| which(snapshot)) {
            if self.visited.contains(&snapshot.id) {
                continue;
            }
            let damaged = |reason| Error::Damaged { snapshot: snapshot.id, reason };
            let Record { root, .. } = self.repo.record(snapshot).map_err(damaged)?;
            self.walker.visit(&root);
            if let Some(fault) = self.walker.take_faults().into_iter().next() {
                return Err(damaged(Fault::into_error(fault)));
            }
            self.visited.insert(snapshot.id);
        }
        self.find_records()?;
        Ok(self.settle_doubles()?)
    }

    /// Takes in what happened since: packs that count now, and snapshots that are live now. `false`: a pack that was
    /// counted on does not count any more, so that all must be marked again.
    pub fn catch_up(&mut self, state: &State, catalog: &Catalog) -> Result<bool, Error> {
        let now = counting(self.repo, state, &catalog.listed);
        // A pack that is gone altogether is in the index no more, and was counted on all the same.
        if !self.walker.counting().is_within(&now) {
            return Ok(false);
        }
        let rows: Vec<PackNumber> = self.repo.index().packs().map(|row| row.number).collect();
        for pack in rows.into_iter().filter(|&pack| now.has(pack) && !self.counts(pack)).collect::<Vec<_>>() {
            let directory = directory(self.repo, pack)?;
            self.walker.double_also(directory.chunks.iter().map(|chunk| &chunk.id));
            self.walker.count_also([pack]);
        }
        self.visit(state, &|_| true)?;
        Ok(true)
    }

    /// Whether a chunk is used.
    pub fn uses(&self, pack: PackNumber, entry: u32) -> bool {
        self.walker.marks.has(pack, entry)
    }

    /// Whether there may be several copies of a chunk in packs that count.
    pub fn may_be_double(&self, chunk: &ChunkId) -> bool {
        self.walker.doubles().is_some_and(|doubles| doubles.may_have(chunk))
    }

    /// Of a chunk with several copies, lets this one count as used, and these no more.
    pub fn count_instead(&mut self, copy: &Location, others: &[Location]) {
        self.walker.marks.insert(&self.repo.index(), copy);
        others.iter().for_each(|other| self.walker.marks.remove(other.pack, other.entry));
    }

    /// Whether a pack counts.
    pub fn counts(&self, pack: PackNumber) -> bool {
        self.walker.counting().has(pack)
    }

    /// The record blocks of a pack that belong to live snapshots.
    pub fn records(&self, pack: PackNumber) -> &[u32] {
        self.records.get(&pack).map_or(&[], Vec::as_slice)
    }

    /// Whether a check found damage in a pack: then a copy elsewhere is the one to keep.
    fn is_distrusted(&self, pack: PackNumber) -> bool {
        self.repo.index().pack(pack).is_some_and(|row| self.distrusted.contains(&row.id))
    }

    /// How much of a pack is used.
    pub fn of(&self, pack: PackNumber) -> Result<Used, RepoError> {
        let directory = directory(self.repo, pack)?;
        let mut used = Used::default();
        for (at, block) in directory.blocks.iter().enumerate() {
            let sealed = u64::from(block.sealed_bytes);
            if self.records(pack).contains(&(at as u32)) {
                used.stored_bytes += sealed;
                continue;
            }
            let (mut chunks, mut raw) = (0, 0u64);
            for (entry, chunk) in (block.first_chunk..).zip(directory.chunks_of(block)) {
                if self.uses(pack, entry) {
                    chunks += 1;
                    raw += u64::from(chunk.bytes);
                }
            }
            let share = sealed * raw / u64::from(block.raw_bytes).max(1);
            used.chunks += chunks;
            used.raw_bytes += raw;
            used.stored_bytes += share;
            used.unused_bytes += sealed - share;
        }
        Ok(used)
    }

    /// Finds the records of live snapshots. One that does not open is passed over: the log has it as well.
    fn find_records(&mut self) -> Result<(), RepoError> {
        let mut unpacker = Unpacker::new()?;
        let mut recorded = HashSet::new();
        self.records.clear();
        for (pack, _) in self.rows().into_iter().filter(|row| row.1 == Kind::Tree) {
            let found = match self.found.entry(pack) {
                Entry::Occupied(occupied) => occupied.into_mut(),
                Entry::Vacant(vacant) => vacant.insert(record_blocks(self.repo, pack, &mut unpacker)?),
            };
            for (block, id) in found {
                if self.visited.contains(id) && recorded.insert(*id) {
                    self.records.entry(pack).or_default().push(*block);
                }
            }
        }
        Ok(())
    }

    /// The packs that count, in the order of their names: numbers are those of one index, and another client or another
    /// day must come to the same.
    fn rows(&self) -> Vec<(PackNumber, Kind)> {
        let index = self.repo.index();
        let counting = index.packs().filter(|row| self.counts(row.number));
        let mut rows: Vec<_> = counting.map(|row| (row.id, row.number, row.kind)).collect();
        rows.sort_by_key(|row| row.0);
        rows.into_iter().map(|(_, number, kind)| (number, kind)).collect()
    }

    /// Leaves one copy of each chunk marked: that in the pack of which most is used, or in the first of several.
    fn settle_doubles(&mut self) -> Result<(), RepoError> {
        let mut ranks = HashMap::new();
        for (pack, kind) in self.rows() {
            for (pack, entry) in self.spare_copies(pack, kind, &mut ranks)? {
                self.walker.marks.remove(pack, entry);
            }
        }
        Ok(())
    }

    fn spare_copies(
        &self,
        pack: PackNumber,
        kind: Kind,
        ranks: &mut HashMap<PackNumber, Rank>,
    ) -> Result<Vec<(PackNumber, u32)>, RepoError> {
        let mut spare = Vec::new();
        let Some(doubles) = self.walker.doubles() else { return Ok(spare) };
        let directory = directory(self.repo, pack)?;
        for (entry, chunk) in (0..).zip(&directory.chunks) {
            if !self.uses(pack, entry) || !doubles.may_have(&chunk.id) {
                continue;
            }
            let mut copies = ask(self.repo, &mut |index| index.copies(kind, &chunk.id))?;
            copies.retain(|at| self.uses(at.pack, at.entry));
            if copies.len() < 2 {
                continue;
            }
            for at in &copies {
                if let Entry::Vacant(vacant) = ranks.entry(at.pack) {
                    let share = if self.is_distrusted(at.pack) { 0 } else { used_share(&self.of(at.pack)?) };
                    vacant.insert((share, Reverse(self.repo.index().pack(at.pack).map(|row| row.id))));
                }
            }
            let best = copies.iter().max_by_key(|at| ranks[&at.pack]).map(|at| at.pack);
            spare.extend(copies.iter().filter(|at| Some(at.pack) != best).map(|at| (at.pack, at.entry)));
        }
        Ok(spare)
    }
}

/// Orders packs by the share of them that is used, and then by name.
type Rank = (u64, Reverse<Option<PackId>>);

fn used_share(used: &Used) -> u64 {
    used.stored_bytes.saturating_mul(1 << 20) / (used.stored_bytes + used.unused_bytes).max(1)
}

/// The records in a tree pack that open: block, and the snapshot's name.
pub fn record_blocks(
    repo: &Repository,
    pack: PackNumber,
    unpacker: &mut Unpacker,
) -> Result<Vec<(u32, SnapshotId)>, RepoError> {
    let directory = directory(repo, pack)?;
    let blocks = (0..).zip(&directory.blocks).filter(|(_, block)| block.kind == BlockKind::Record);
    let blocks: Vec<u32> = blocks.map(|(at, _)| at).collect();
    if blocks.is_empty() {
        return Ok(Vec::new());
    }
    let reader = repo.pack_reader(pack)?;
    let mut records = Vec::new();
    for block in blocks {
        match repo.open_block(&reader, block, unpacker) {
            Ok(bytes) => records.push((block, repo.keys().snapshot_id(&bytes))),
            Err(error) if error.is_damage() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(records)
}

#[cfg(test)]
#[path = "usage_tests.rs"]
mod tests;
