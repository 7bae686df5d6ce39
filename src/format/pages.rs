//! Pages of a listing: sorted entries, and above them sorted pages. See "Pages" in `format-spec/listing.md`.

use std::cmp::Ordering;

use crate::format::Reject;
use crate::format::content::{self, ChunkRef};
use crate::format::entry::{put_entry, take_entry};
use crate::format::listing::{Entry, Owner, compare_paths, put_path, take_path};
use crate::format::wire::{Reader, Writer};

/// Most entries on a page.
pub const PAGE_ENTRIES_MAX: u64 = 65_536;

const LEAF: u8 = 1;
const INDEX: u8 = 2;

/// A page of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Page {
    /// Entries.
    Leaf(Vec<Entry>),
    /// Pages one level down.
    Index {
        /// The level of this page, 1 or more.
        level: u8,
        /// The pages below, in order.
        items: Vec<PageRef>,
    },
}

/// A page as seen from the level above.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageRef {
    /// Path of its first entry.
    pub first: Vec<u8>,
    /// The page, a tree chunk.
    pub page: ChunkRef,
    /// Entries under it.
    pub entries: u64,
}

/// Encodes entries one at a time, so that a page can be cut where its length or its last path says.
#[derive(Debug, Default)]
pub struct LeafWriter {
    body: Writer,
    entries: u64,
    first: Vec<u8>,
    last: Option<(Vec<u8>, Owner)>,
}

impl LeafWriter {
    /// An empty page.
    pub fn new() -> Self {
        Self::default()
    }

    /// Encoded length so far.
    pub fn len(&self) -> usize {
        self.body.len()
    }

    /// Whether the page has no entry yet.
    pub fn is_empty(&self) -> bool {
        self.entries == 0
    }

    /// Appends an entry. Its path must come after the last one's.
    pub fn push(&mut self, entry: &Entry) {
        let (before, owner) = match &self.last {
            Some((path, owner)) => (path.as_slice(), Some(owner)),
            None => (&[][..], None),
        };
        put_entry(&mut self.body, entry, before, owner);
        if self.entries == 0 {
            self.first.clone_from(&entry.path);
        }
        self.entries += 1;
        match &mut self.last {
            Some((path, owner)) => {
                path.clone_from(&entry.path);
                owner.clone_from(&entry.owner);
            }
            None => self.last = Some((entry.path.clone(), entry.owner.clone())),
        }
    }

    /// The tree chunk, its first path and the number of entries.
    pub fn finish(self) -> (Vec<u8>, Vec<u8>, u64) {
        let mut w = Writer::new();
        w.u8(LEAF);
        w.varint(self.entries);
        w.raw(&self.body.finish());
        (w.finish(), self.first, self.entries)
    }
}

/// Encodes the items of an index page one at a time, so that the page can be cut where its length says.
#[derive(Debug)]
pub struct IndexWriter {
    level: u8,
    body: Writer,
    items: Vec<PageRef>,
}

impl IndexWriter {
    /// An empty page of this level, 1 or more.
    pub fn new(level: u8) -> Self {
        Self { level, body: Writer::new(), items: Vec::new() }
    }

    /// Encoded length so far.
    pub fn len(&self) -> usize {
        self.body.len()
    }

    /// Whether the page has no item yet.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The items so far.
    pub fn items(&self) -> &[PageRef] {
        &self.items
    }

    /// Appends a page. Its first path must come after the last one's.
    pub fn push(&mut self, item: PageRef) {
        let before = self.items.last().map_or(&[][..], |last| last.first.as_slice());
        put_path(&mut self.body, &item.first, before);
        content::put_chunk(&mut self.body, &item.page);
        self.body.varint(item.entries);
        self.items.push(item);
    }

    /// The tree chunk, and what was encoded.
    pub fn finish(self) -> (Vec<u8>, Page) {
        let mut w = Writer::new();
        w.u8(INDEX);
        w.u8(self.level);
        w.varint(self.items.len() as u64);
        w.raw(&self.body.finish());
        (w.finish(), Page::Index { level: self.level, items: self.items })
    }
}

impl Page {
    /// The tree chunk.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Page::Leaf(entries) => {
                let mut leaf = LeafWriter::new();
                entries.iter().for_each(|entry| leaf.push(entry));
                leaf.finish().0
            }
            Page::Index { level, items } => {
                let mut index = IndexWriter::new(*level);
                items.iter().cloned().for_each(|item| index.push(item));
                index.finish().0
            }
        }
    }

    /// Reads a tree chunk. Entries and pages must be in order.
    pub fn decode(bytes: &[u8]) -> Result<Self, Reject> {
        let mut r = Reader::new(bytes);
        let page = match r.u8()? {
            LEAF => Page::Leaf(take_entries(&mut r)?),
            INDEX => {
                let level = r.u8()?;
                if level == 0 || level >= content::LEVELS_MAX {
                    return Err(Reject::Unknown { field: "page level", value: level.into() });
                }
                Page::Index { level, items: take_items(&mut r)? }
            }
            _ => return Err(Reject::Magic("listing page")),
        };
        r.end()?;
        Ok(page)
    }
}

fn take_entries(r: &mut Reader<'_>) -> Result<Vec<Entry>, Reject> {
    let count = r.count("entries on a page", PAGE_ENTRIES_MAX)?;
    let mut entries: Vec<Entry> = Vec::new();
    for _ in 0..count {
        let entry = take_entry(r, entries.last())?;
        if entries.last().is_some_and(|last| compare_paths(&last.path, &entry.path) != Ordering::Less) {
            return Err(Reject::Broken("entries out of order"));
        }
        entries.push(entry);
    }
    Ok(entries)
}

fn take_items(r: &mut Reader<'_>) -> Result<Vec<PageRef>, Reject> {
    let count = r.count("items on a page", content::PAGE_ITEMS_MAX)?;
    if count == 0 {
        return Err(Reject::Broken("page without items"));
    }
    let mut items: Vec<PageRef> = Vec::new();
    for _ in 0..count {
        let before = items.last().map_or(&[][..], |last| last.first.as_slice());
        let first = take_path(r, before)?;
        if items.last().is_some_and(|last| compare_paths(&last.first, &first) != Ordering::Less) {
            return Err(Reject::Broken("pages out of order"));
        }
        let page = content::take_chunk(r, content::PAGE_BYTES_MAX)?;
        items.push(PageRef { first, page, entries: r.varint()? });
    }
    Ok(items)
}

#[cfg(test)]
#[path = "pages_tests.rs"]
mod tests;
