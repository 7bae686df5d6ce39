//! Copies that stay, opened before other copies go.
//!
//! Promise: a pack goes on account of copies elsewhere only if these were opened and their names computed in this run;
//! each block is opened once. A copy that does not open counts as none. Left out on purpose: which copy is to stay
//! (`ops/usage`), and copies of which only the log's word is asked.

use std::collections::HashMap;

use crate::format::Kind;
use crate::format::packs::ChunkEntry;
use crate::index::{Location, PackNumber};
use crate::ops::prune::plan::{Facts, Standing};
use crate::ops::usage::{Usage, directory};
use crate::repo::Repository;
use crate::repo::catalog::ask;
use crate::repo::error::Error as RepoError;
use crate::repo::read::verified;
use crate::repo::seal::Unpacker;

/// What was found in a block.
#[derive(Debug)]
enum Verdict {
    /// It opens, and all but these chunks are what their names say.
    Opens { bad: Vec<u32> },
    /// It does not open.
    Damaged,
}

/// The blocks that were opened so far.
#[derive(Debug, Default)]
pub struct Copies {
    verdicts: HashMap<(PackNumber, u32), Verdict>,
    /// What is wrong with copies that were to stay.
    pub notes: Vec<String>,
}

impl Copies {
    /// Opens what is to stay in place of what is in these packs. `true`: some of it is damaged, other copies count in
    /// its stead, and what is to go must be decided again.
    pub fn prove(&mut self, repo: &Repository, usage: &mut Usage<'_>, leaving: &[Facts]) -> Result<bool, RepoError> {
        let mut unpacker = Unpacker::new()?;
        let mut changed = false;
        for pack in leaving.iter().filter(|pack| pack.standing == Standing::Live) {
            let Some(number) = repo.index().pack_number(&pack.id) else { continue };
            let directory = directory(repo, number)?;
            for (entry, chunk) in (0..).zip(&directory.chunks) {
                if usage.may_be_double(&chunk.id) && !usage.uses(number, entry) {
                    changed |= self.prove_chunk(repo, usage, pack.kind, chunk, &mut unpacker)?;
                }
            }
        }
        Ok(changed)
    }

    /// Sees to it that a chunk, if anything uses it, counts where it can be opened.
    fn prove_chunk(
        &mut self,
        repo: &Repository,
        usage: &mut Usage<'_>,
        kind: Kind,
        chunk: &ChunkEntry,
        unpacker: &mut Unpacker,
    ) -> Result<bool, RepoError> {
        let mut copies = ask(repo, &mut |index| index.copies(kind, &chunk.id))?;
        copies.retain(|at| at.bytes == chunk.bytes && usage.counts(at.pack));
        // Numbers are those of one index: by them the next run might find another sound one first.
        copies.sort_by_cached_key(|at| repo.index().pack(at.pack).map(|row| row.id));
        let (stays, others): (Vec<Location>, Vec<Location>) =
            copies.into_iter().partition(|at| usage.uses(at.pack, at.entry));
        if stays.is_empty() {
            return Ok(false);
        }
        for at in &stays {
            if self.is_sound(repo, at, unpacker)? {
                return Ok(false);
            }
        }
        for at in &others {
            if self.is_sound(repo, at, unpacker)? {
                usage.count_instead(at, &stays);
                return Ok(true);
            }
        }
        // Nothing is gained by letting any of them go: one may be mended by hand some day.
        others.iter().for_each(|at| usage.count_instead(at, &[]));
        Ok(!others.is_empty())
    }

    fn is_sound(&mut self, repo: &Repository, at: &Location, unpacker: &mut Unpacker) -> Result<bool, RepoError> {
        let place = (at.pack, at.block);
        if !self.verdicts.contains_key(&place) {
            let verdict = match open(repo, at, unpacker) {
                Ok(bad) => Verdict::Opens { bad },
                Err(error) if error.is_damage() => {
                    self.notes.push(format!("a copy does not count, so that another stays: {error}"));
                    Verdict::Damaged
                }
                Err(error) => return Err(error),
            };
            self.verdicts.insert(place, verdict);
        }
        Ok(matches!(self.verdicts.get(&place), Some(Verdict::Opens { bad }) if !bad.contains(&at.entry)))
    }
}

/// Opens a block and returns those of its chunks that are not what their names say.
fn open(repo: &Repository, at: &Location, unpacker: &mut Unpacker) -> Result<Vec<u32>, RepoError> {
    let reader = repo.pack_reader(at.pack)?;
    let bytes = repo.open_block(&reader, at.block, unpacker)?;
    let block = reader.block(at.block)?;
    let mut bad = Vec::new();
    for (entry, chunk) in (block.first_chunk..).zip(reader.directory.chunks_of(block)) {
        match verified(repo, reader.kind, &bytes, chunk.offset, chunk.bytes, &chunk.id) {
            Ok(_) => {}
            Err(error) if error.is_damage() => bad.push(entry),
            Err(error) => return Err(error),
        }
    }
    Ok(bad)
}

#[cfg(test)]
#[path = "copies_tests.rs"]
mod tests;
