//! Which packs a forgotten snapshot stands on: they are rescued when it comes back, and until they go it can.
//!
//! Promise: every page and every chunk is found in a pack that is stored and not swept; packs that count already are
//! taken before condemned ones. Memory grows with the number of packs, not of chunks.
//! Left out on purpose: the bytes of the chunks, which `check` reads.

use std::collections::BTreeSet;

use crate::format::Kind;
use crate::format::content::{self, ChunkRef, Content, ContentRoot};
use crate::format::listing::Node;
use crate::format::pages;
use crate::format::record::ListingRoot;
use crate::id::{ChunkId, PackId};
use crate::index::{Location, PackNumber};
use crate::repo::Repository;
use crate::repo::catalog::{Catalog, ask};
use crate::repo::error::Error;
use crate::repo::listing::{read_content_page, read_listing_page};
use crate::repo::state::{Fate, State};

/// How much a pack is worth to a snapshot that comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stand {
    /// It is lost, swept, or no entry names it.
    Gone,
    /// It counts, or is rescued already.
    Counts,
    /// It can be rescued.
    Condemned,
}

/// What each pack is worth, looked up once for any number of snapshots.
#[derive(Debug)]
pub struct Stands(Vec<Stand>);

impl Stands {
    /// As log and storage have it now.
    pub fn survey(repo: &Repository) -> Result<Self, Error> {
        let catalog = Catalog::survey(repo)?;
        let state = repo.state();
        let mut stands = Vec::new();
        for row in repo.index().packs() {
            let at = row.number.0 as usize;
            if stands.len() <= at {
                stands.resize(at + 1, Stand::Gone);
            }
            stands[at] = stand(&catalog, &state, &row.id);
        }
        Ok(Self(stands))
    }

    /// The packs that hold a listing and all its content. An error that [`is_loss`]: something is gone for ever.
    pub fn packs_of(&self, repo: &Repository, root: &ListingRoot) -> Result<BTreeSet<PackId>, Error> {
        let mut walk = Walk { repo, stands: self.0.clone(), needed: BTreeSet::new() };
        walk.listing(&root.page, root.level)?;
        let index = repo.index();
        Ok(walk.needed.iter().filter_map(|&number| index.pack(number)).map(|row| row.id).collect())
    }
}

/// Whether an error says that a part of a snapshot is gone.
pub fn is_loss(error: &Error) -> bool {
    error.is_damage() || matches!(error, Error::PackSwept { .. })
}

fn stand(catalog: &Catalog, state: &State, id: &PackId) -> Stand {
    let (Some(listed), Some(pack)) = (catalog.listed.get(id), state.pack(id)) else { return Stand::Gone };
    match pack.fate {
        // A pack that was condemned before any entry named it has no length to hold it to.
        _ if pack.bytes == 0 || !listed.holds(pack.bytes) => Stand::Gone,
        Fate::Live => Stand::Counts,
        Fate::Condemned { .. } => Stand::Condemned,
        Fate::Swept => Stand::Gone,
    }
}

struct Walk<'r> {
    repo: &'r Repository,
    stands: Vec<Stand>,
    needed: BTreeSet<PackNumber>,
}

impl Walk<'_> {
    /// A page and what is below it. Levels are checked as pages are read, so the depth is bounded.
    fn listing(&mut self, page: &ChunkRef, level: u8) -> Result<(), Error> {
        self.need(Kind::Tree, page)?;
        match read_listing_page(self.repo, page, level)? {
            pages::Page::Index { items, .. } => items.iter().try_for_each(|item| self.listing(&item.page, level - 1)),
            pages::Page::Leaf(entries) => entries.iter().try_for_each(|entry| match &entry.node {
                Node::File { content: Content::Inline(chunks), .. } => self.data(chunks),
                Node::File { content: Content::Paged(root), .. } => self.content(root),
                _ => Ok(()),
            }),
        }
    }

    fn content(&mut self, root: &ContentRoot) -> Result<(), Error> {
        self.need(Kind::Tree, &root.page)?;
        match read_content_page(self.repo, &root.page, root.level)? {
            content::Page::Index { items, .. } => items.iter().try_for_each(|item| self.content(item)),
            content::Page::Leaf(chunks) => self.data(&chunks),
        }
    }

    fn data(&mut self, chunks: &[ChunkRef]) -> Result<(), Error> {
        chunks.iter().try_for_each(|chunk| self.need(Kind::Data, chunk))
    }

    fn need(&mut self, kind: Kind, chunk: &ChunkRef) -> Result<(), Error> {
        let found = match self.find(kind, &chunk.id, Stand::Counts)? {
            None => self.find(kind, &chunk.id, Stand::Condemned)?,
            found => found,
        };
        match found {
            Some(found) if found.bytes == chunk.bytes => {
                self.stands[found.pack.0 as usize] = Stand::Counts;
                self.needed.insert(found.pack);
                Ok(())
            }
            _ => Err(Error::MissingChunk { kind, id: chunk.id }),
        }
    }

    fn find(&self, kind: Kind, id: &ChunkId, wanted: Stand) -> Result<Option<Location>, Error> {
        let fits = |pack: PackNumber| self.stands.get(pack.0 as usize) == Some(&wanted);
        ask(self.repo, &mut |index| index.locate(kind, id, &fits))
    }
}
