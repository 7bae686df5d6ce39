//! The second look before a sweep: that every live snapshot keeps all it needs.
//!
//! Promise: shares no marking code with `ops/walk` and `ops/usage`, and asks the index another way, so that one mistake
//! does not delete anything. Left out on purpose: saying what could go instead.

use std::collections::{HashMap, HashSet};

use crate::format::Kind;
use crate::format::content::{self, ChunkRef, Content, ContentRoot};
use crate::format::listing::Node;
use crate::format::pages;
use crate::format::record::ListingRoot;
use crate::id::{ChunkId, PackId};
use crate::index::Location;
use crate::ops::prune::Error;
use crate::repo::Repository;
use crate::repo::catalog::{Catalog, Listed, ask};
use crate::repo::error::Error as RepoError;
use crate::repo::listing::{read_content_page, read_listing_page};
use crate::repo::state::{Fate, State};

/// Pages remembered as looked at. Beyond that a shared page is looked at more than once.
const PAGES_REMEMBERED_MAX: usize = 1 << 20;

/// Refuses unless every chunk of every live snapshot lies in a pack that stays and is listed and not shorter than its body. An
/// index that denies it is made anew and asked once more.
pub fn prove(repo: &Repository, state: &State, listed: &HashMap<PackId, Listed>) -> Result<(), Error> {
    match look(repo, state, listed) {
        Err(Error::WouldLose { .. }) => {
            repo.index().clear().map_err(RepoError::from)?;
            Catalog::survey(repo)?;
            look(repo, state, listed)
        }
        result => result,
    }
}

fn look(repo: &Repository, state: &State, listed: &HashMap<PackId, Listed>) -> Result<(), Error> {
    let mut proof = Proof { repo, state, listed, seen: HashSet::new() };
    for snapshot in state.snapshots().iter().filter(|snapshot| !snapshot.tags.is_empty()) {
        let lost = |reason| Error::WouldLose { snapshot: snapshot.id, reason };
        let record = repo.record(snapshot).map_err(lost)?;
        proof.listing(&record.root).map_err(lost)?;
    }
    Ok(())
}

struct Proof<'r> {
    repo: &'r Repository,
    state: &'r State,
    listed: &'r HashMap<PackId, Listed>,
    seen: HashSet<ChunkId>,
}

impl Proof<'_> {
    fn listing(&mut self, root: &ListingRoot) -> Result<(), RepoError> {
        let mut ahead = vec![(root.page, root.level)];
        while let Some((page, level)) = ahead.pop() {
            if !self.first_look(&page)? {
                continue;
            }
            match read_listing_page(self.repo, &page, level)? {
                pages::Page::Index { items, .. } => ahead.extend(items.iter().map(|item| (item.page, level - 1))),
                pages::Page::Leaf(entries) => {
                    let mut chunks = Vec::new();
                    for entry in entries {
                        match entry.node {
                            Node::File { content: Content::Inline(inline), .. } => chunks.extend(inline),
                            Node::File { content: Content::Paged(root), .. } => self.content(root)?,
                            _ => {}
                        }
                    }
                    self.all_stay(Kind::Data, &chunks)?;
                }
            }
        }
        Ok(())
    }

    fn content(&mut self, root: ContentRoot) -> Result<(), RepoError> {
        let mut ahead = vec![root];
        while let Some(item) = ahead.pop() {
            if !self.first_look(&item.page)? {
                continue;
            }
            match read_content_page(self.repo, &item.page, item.level)? {
                content::Page::Index { items, .. } => ahead.extend(items),
                content::Page::Leaf(chunks) => self.all_stay(Kind::Data, &chunks)?,
            }
        }
        Ok(())
    }

    fn first_look(&mut self, page: &ChunkRef) -> Result<bool, RepoError> {
        if self.seen.contains(&page.id) {
            return Ok(false);
        }
        self.all_stay(Kind::Tree, &[*page])?;
        if self.seen.len() < PAGES_REMEMBERED_MAX {
            self.seen.insert(page.id);
        }
        Ok(true)
    }

    fn all_stay(&self, kind: Kind, chunks: &[ChunkRef]) -> Result<(), RepoError> {
        let ids: Vec<ChunkId> = chunks.iter().map(|chunk| chunk.id).collect();
        let lost = ask(self.repo, &mut |index| {
            let copies = index.copies_of_all(kind, &ids)?;
            let stays = |copy: &Location, bytes: u32| {
                let row = index.pack(copy.pack).filter(|_| copy.bytes == bytes);
                row.is_some_and(|row| self.stays(&row.id, row.bytes))
            };
            let mut all = chunks.iter().zip(&copies);
            let lost = all.find(|(chunk, copies)| !copies.iter().any(|copy| stays(copy, chunk.bytes)));
            Ok(lost.map(|(chunk, _)| chunk.id))
        })?;
        lost.map_or(Ok(()), |id| Err(RepoError::MissingChunk { kind, id }))
    }

    fn stays(&self, pack: &PackId, bytes: u64) -> bool {
        let live = self.state.pack(pack).is_some_and(|pack| pack.fate == Fate::Live && pack.bytes == bytes);
        live && self.listed.get(pack).is_some_and(|info| info.holds(bytes))
    }
}

#[cfg(test)]
#[path = "proof_tests.rs"]
mod tests;
