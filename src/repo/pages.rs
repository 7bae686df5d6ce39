//! Listings and content lists, written page by page.
//!
//! Promise: memory does not grow with the number of entries: a writer holds one page a level. Every page is decoded
//! again before it is stored. Left out on purpose: reading them (`repo/listing`).

use std::cmp::Ordering;

use crate::format::content::{self, ChunkRef, Content, ContentRoot};
use crate::format::listing::{Entry, compare_paths};
use crate::format::pages::{IndexWriter, LeafWriter, Page, PageRef};
use crate::format::record::ListingRoot;
use crate::id::ChunkId;
use crate::repo::Repository;
use crate::repo::error::Error;
use crate::repo::write::Writer;

/// A leaf page is cut from here on, where a path says so.
const LEAF_BYTES_MIN: usize = 4 << 10;
/// A leaf page is cut here at the latest.
const LEAF_BYTES_MAX: usize = 48 << 10;
/// One path in so many ends a page.
const LEAF_END_ONE_IN: u64 = 32;

/// An index page is cut here at the latest, so that long paths do not make it longer than a page may be.
const INDEX_BYTES_MAX: usize = 1 << 20;

/// Takes pages and gives their names.
pub trait Pages {
    /// Stores a page unless it is stored already, and then only if it proves sound: what readers would refuse must not
    /// get into a snapshot.
    fn store(&mut self, bytes: &[u8], sound: &dyn Fn(&[u8]) -> bool) -> Result<ChunkId, Error>;
}

impl Pages for Writer {
    fn store(&mut self, bytes: &[u8], sound: &dyn Fn(&[u8]) -> bool) -> Result<ChunkId, Error> {
        self.checked_page(bytes, sound)
    }
}

fn page_ref(pages: &mut dyn Pages, bytes: &[u8], sound: &dyn Fn(&[u8]) -> bool) -> Result<ChunkRef, Error> {
    if bytes.len() as u64 > content::PAGE_BYTES_MAX {
        return Err(Error::SelfCheck { what: "page of a possible length" });
    }
    Ok(ChunkRef { id: pages.store(bytes, sound)?, bytes: bytes.len() as u32 })
}

/// Whether a leaf is read as it was written: so many entries, from the first to the last.
fn leaf_is(bytes: &[u8], entries: u64, first: &[u8], last: Option<&Vec<u8>>) -> bool {
    let Ok(Page::Leaf(found)) = Page::decode(bytes) else { return false };
    found.len() as u64 == entries
        && found.first().is_none_or(|entry| entry.path == first)
        && found.last().map(|entry| &entry.path) == last.filter(|_| entries > 0)
}

/// Writes a listing.
#[derive(Debug, Default)]
pub struct ListingWriter {
    leaf: LeafWriter,
    levels: Vec<IndexWriter>,
    last: Option<Vec<u8>>,
}

impl ListingWriter {
    /// An empty listing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends an entry. Entries must come in order.
    pub fn push(&mut self, repo: &Repository, pages: &mut dyn Pages, entry: &Entry) -> Result<(), Error> {
        if self.last.as_ref().is_some_and(|last| compare_paths(last, &entry.path) != Ordering::Less) {
            return Err(Error::SelfCheck { what: "listing in order" });
        }
        self.last.get_or_insert_default().clone_from(&entry.path);
        self.leaf.push(entry);
        let len = self.leaf.len();
        let ends = len >= LEAF_BYTES_MIN && repo.keys.ends_page(&entry.path, LEAF_END_ONE_IN);
        if ends || len >= LEAF_BYTES_MAX { self.end_leaf(pages) } else { Ok(()) }
    }

    fn end_leaf(&mut self, pages: &mut dyn Pages) -> Result<(), Error> {
        let (bytes, first, entries) = std::mem::take(&mut self.leaf).finish();
        let last = self.last.as_ref();
        let page = page_ref(pages, &bytes, &|bytes| leaf_is(bytes, entries, &first, last))?;
        self.add(pages, 0, PageRef { first, page, entries })
    }

    /// Adds a page of this level to the index page above it.
    fn add(&mut self, pages: &mut dyn Pages, level: usize, item: PageRef) -> Result<(), Error> {
        if self.levels.len() <= level {
            if level + 1 >= usize::from(content::LEVELS_MAX) {
                return Err(Error::SelfCheck { what: "number of levels" });
            }
            self.levels.push(IndexWriter::new(level as u8 + 1));
        }
        let index = &mut self.levels[level];
        let ends = content::ends_page(&item.page.id, index.items().len() + 1);
        index.push(item);
        if ends || index.len() >= INDEX_BYTES_MAX { self.end_level(pages, level) } else { Ok(()) }
    }

    fn end_level(&mut self, pages: &mut dyn Pages, level: usize) -> Result<(), Error> {
        let index = std::mem::replace(&mut self.levels[level], IndexWriter::new(level as u8 + 1));
        let Some(first) = index.items().first().map(|item| item.first.clone()) else { return Ok(()) };
        let entries = index.items().iter().map(|item| item.entries).sum();
        let (bytes, written) = index.finish();
        let page = page_ref(pages, &bytes, &|bytes| Page::decode(bytes).as_ref() == Ok(&written))?;
        self.add(pages, level + 1, PageRef { first, page, entries })
    }

    /// Ends the listing.
    pub fn finish(mut self, pages: &mut dyn Pages) -> Result<ListingRoot, Error> {
        if !self.leaf.is_empty() || self.levels.is_empty() {
            self.end_leaf(pages)?;
        }
        let mut level = 0;
        loop {
            let top = level + 1 >= self.levels.len();
            match self.levels[level].items() {
                [only] if top => {
                    return Ok(ListingRoot { page: only.page, level: level as u8, entries: only.entries });
                }
                [] => level += 1,
                _ => {
                    self.end_level(pages, level)?;
                    level += 1;
                }
            }
        }
    }
}

/// Writes the content list of one file. Short lists stay inline, and cost no page.
#[derive(Debug, Default)]
pub struct ContentWriter {
    inline: Vec<ChunkRef>,
    levels: Vec<Vec<ContentRoot>>,
}

impl ContentWriter {
    /// An empty list.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a chunk.
    pub fn push(&mut self, pages: &mut dyn Pages, chunk: ChunkRef) -> Result<(), Error> {
        self.inline.push(chunk);
        // A list is paged from its start or not at all, so that equal beginnings give equal pages.
        if self.levels.is_empty() && self.inline.len() <= content::INLINE_CHUNKS_MAX {
            return Ok(());
        }
        if self.levels.is_empty() {
            self.levels.push(Vec::new());
            let start = std::mem::take(&mut self.inline);
            return start.into_iter().try_for_each(|chunk| self.push_paged(pages, chunk));
        }
        self.inline.pop().map_or(Ok(()), |chunk| self.push_paged(pages, chunk))
    }

    fn push_paged(&mut self, pages: &mut dyn Pages, chunk: ChunkRef) -> Result<(), Error> {
        self.inline.push(chunk);
        if content::ends_page(&chunk.id, self.inline.len()) { self.end_leaf(pages) } else { Ok(()) }
    }

    fn end_leaf(&mut self, pages: &mut dyn Pages) -> Result<(), Error> {
        let chunks = std::mem::take(&mut self.inline);
        let bytes = chunks.iter().map(|chunk| u64::from(chunk.bytes)).sum();
        let count = chunks.len() as u64;
        let page = content_page(pages, &content::Page::Leaf(chunks))?;
        self.add(pages, ContentRoot { page, level: 0, bytes, chunks: count })
    }

    fn add(&mut self, pages: &mut dyn Pages, item: ContentRoot) -> Result<(), Error> {
        let level = usize::from(item.level);
        if self.levels.len() <= level {
            self.levels.push(Vec::new());
        }
        let items = &mut self.levels[level];
        items.push(item);
        if content::ends_page(&item.page.id, items.len()) { self.end_level(pages, level) } else { Ok(()) }
    }

    fn end_level(&mut self, pages: &mut dyn Pages, level: usize) -> Result<(), Error> {
        let items = std::mem::take(&mut self.levels[level]);
        let bytes = items.iter().map(|item| item.bytes).sum();
        let chunks = items.iter().map(|item| item.chunks).sum();
        let above = level as u8 + 1;
        let page = content_page(pages, &content::Page::Index { level: above, items })?;
        self.add(pages, ContentRoot { page, level: above, bytes, chunks })
    }

    /// Ends the list.
    pub fn finish(mut self, pages: &mut dyn Pages) -> Result<Content, Error> {
        if self.levels.is_empty() {
            return Ok(Content::Inline(self.inline));
        }
        if !self.inline.is_empty() {
            self.end_leaf(pages)?;
        }
        let mut level = 0;
        loop {
            let top = level + 1 >= self.levels.len();
            match self.levels[level].as_slice() {
                [only] if top => return Ok(Content::Paged(*only)),
                [] => level += 1,
                _ => {
                    self.end_level(pages, level)?;
                    level += 1;
                }
            }
        }
    }
}

fn content_page(pages: &mut dyn Pages, page: &content::Page) -> Result<ChunkRef, Error> {
    page_ref(pages, &page.encode(), &|bytes| content::Page::decode(bytes).as_ref() == Ok(page))
}

#[cfg(test)]
#[path = "pages_tests.rs"]
mod tests;
