//! Where chunks are, asked for many at a time.
//!
//! Promise: a chunk counts as missing only after the index was filled afresh, since a damaged index forgets.

use std::collections::HashSet;

use crate::format::Kind;
use crate::format::content::ChunkRef;
use crate::id::ChunkId;
use crate::index::PackNumber;
use crate::ops::restore::window::Placement;
use crate::repo::Repository;
use crate::repo::catalog::{Catalog, ask};
use crate::repo::error::Error as RepoError;
use crate::repo::state::Fate;

/// Chunks asked for while the index is held.
const BATCH: usize = 4096;
/// Stands for a place that is not known.
pub const NOWHERE: PackNumber = PackNumber(u32::MAX);

/// Finds chunks.
pub struct Locator<'r> {
    repo: &'r Repository,
    swept: HashSet<PackNumber>,
    index: Fill,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fill {
    AsFound,
    Afresh,
}

impl<'r> Locator<'r> {
    /// With the packs that count now.
    pub fn new(repo: &'r Repository) -> Self {
        let state = repo.state();
        let swept =
            repo.index().packs().filter(|row| state.fate(&row.id) == Some(Fate::Swept)).map(|row| row.number).collect();
        Self { repo, swept, index: Fill::AsFound }
    }

    /// Fills in where the chunks are. Takes out those that are nowhere, and shows them to `missing`.
    pub fn locate(
        &mut self,
        placements: &mut Vec<Placement>,
        missing: &mut dyn FnMut(&Placement, &RepoError),
    ) -> Result<(), RepoError> {
        placements.chunks_mut(BATCH).try_for_each(|batch| self.batch(batch))?;
        if self.index == Fill::AsFound && placements.iter().any(|placement| placement.pack == NOWHERE) {
            self.index = Fill::Afresh;
            refill(self.repo)?;
            let batches = placements.chunks_mut(BATCH);
            batches.filter(|batch| batch.iter().any(|p| p.pack == NOWHERE)).try_for_each(|batch| self.batch(batch))?;
        }
        placements.retain(|placement| {
            let found = placement.pack != NOWHERE;
            if !found {
                missing(placement, &RepoError::MissingChunk { kind: Kind::Data, id: placement.id });
            }
            found
        });
        Ok(())
    }

    fn batch(&self, batch: &mut [Placement]) -> Result<(), RepoError> {
        let mut next = 0;
        while next < batch.len() {
            let asked = ask(self.repo, &mut |index| {
                while let Some(placement) = batch.get_mut(next) {
                    let usable = |pack| !self.swept.contains(&pack);
                    let found = index.locate(Kind::Data, &placement.id, &usable)?;
                    found.filter(|at| at.bytes == placement.bytes).into_iter().for_each(|at| placement.locate(at));
                    next += 1;
                }
                Ok(())
            });
            match asked {
                Ok(()) => {}
                // The pack that this chunk should be in is damaged itself: the others may be elsewhere.
                Err(error) if error.is_damage() => next += 1,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Empties the index and fills it from the packs that are there.
fn refill(repo: &Repository) -> Result<(), RepoError> {
    repo.index().clear()?;
    Catalog::survey(repo).map(drop)
}

/// Fetches a chunk from any other pack than the one it could not be had from. Else the error it was that time.
pub fn rescue(
    repo: &Repository,
    id: ChunkId,
    bytes: u32,
    not: PackNumber,
    error: RepoError,
) -> Result<Vec<u8>, RepoError> {
    let chunk = ChunkRef { id, bytes };
    let head = repo.state().head;
    let found = elsewhere(repo, &chunk, not).or_else(|| {
        // Others may have moved it into a new pack meanwhile, and swept the old one.
        let moved = repo.refresh().is_ok_and(|state| state.head != head) && Catalog::catch_up(repo).is_ok();
        moved.then(|| elsewhere(repo, &chunk, not)).flatten()
    });
    found.ok_or(error)
}

/// A chunk from any pack that counts, but for one.
fn elsewhere(repo: &Repository, chunk: &ChunkRef, not: PackNumber) -> Option<Vec<u8>> {
    let state = repo.state();
    let copies = ask(repo, &mut |index| index.copies(Kind::Data, &chunk.id)).ok()?;
    copies.into_iter().filter(|copy| copy.pack != not).find_map(|copy| {
        let swept = repo.index().pack(copy.pack).is_none_or(|row| state.fate(&row.id) == Some(Fate::Swept));
        if swept { None } else { repo.chunk_at(Kind::Data, chunk, copy).ok() }
    })
}
