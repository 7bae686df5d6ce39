//! Lists of chunks: what a file or a stream consists of. See "Content" in `format-spec/listing.md`.

use crate::format::Reject;
use crate::format::wire::{Reader, Writer};
use crate::id::ChunkId;

/// Most chunks that an entry carries itself; a longer list is paged.
pub const INLINE_CHUNKS_MAX: usize = 48;
/// Most items on one page of a content list.
pub const PAGE_ITEMS_MAX: u64 = 1024;
/// Fewest items on a page that is not the last.
pub const PAGE_ITEMS_MIN: usize = 32;
/// Most levels of pages, leaves included.
pub const LEVELS_MAX: u8 = 12;
/// Longest chunk.
pub const CHUNK_BYTES_MAX: u64 = 8 << 20;
/// Longest tree chunk: a page of a listing or of a content list.
pub const PAGE_BYTES_MAX: u64 = 4 << 20;

const LEAF: u8 = 3;
const INDEX: u8 = 4;

/// A chunk and its length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ChunkRef {
    /// Its name.
    pub id: ChunkId,
    /// Its length.
    pub bytes: u32,
}

/// Where a file's bytes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// These chunks, one after the other.
    Inline(Vec<ChunkRef>),
    /// The chunks listed under this page.
    Paged(ContentRoot),
}

impl Content {
    /// Nothing at all.
    pub const EMPTY: Self = Content::Inline(Vec::new());
}

/// The root page of a long content list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContentRoot {
    /// The page, a tree chunk.
    pub page: ChunkRef,
    /// Its level: 0 for a leaf.
    pub level: u8,
    /// Bytes of content under it.
    pub bytes: u64,
    /// Chunks under it.
    pub chunks: u64,
}

/// A page of a content list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Page {
    /// Chunks.
    Leaf(Vec<ChunkRef>),
    /// Pages one level down.
    Index {
        /// The level of this page, 1 or more.
        level: u8,
        /// The pages below; each `level` is one less.
        items: Vec<ContentRoot>,
    },
}

/// Whether a page ends behind an item of this name: pages are cut where content decides, so that an insertion
/// changes one page and not all that follow.
pub fn ends_page(id: &ChunkId, items: usize) -> bool {
    let boundary = id.as_bytes()[0] & 0x7f == 0;
    items >= PAGE_ITEMS_MAX as usize || (items >= PAGE_ITEMS_MIN && boundary)
}

/// Writes one chunk reference.
pub fn put_chunk(w: &mut Writer, chunk: &ChunkRef) {
    w.raw(chunk.id.as_bytes());
    w.varint(chunk.bytes.into());
}

/// Reads one chunk reference.
pub fn take_chunk(r: &mut Reader<'_>, limit: u64) -> Result<ChunkRef, Reject> {
    let id = ChunkId::new(r.array()?);
    let bytes = r.bounded("chunk length", limit)? as u32;
    if bytes == 0 { Err(Reject::Broken("chunk of length 0")) } else { Ok(ChunkRef { id, bytes }) }
}

/// Writes a reference to a page below.
pub fn put_root(w: &mut Writer, root: &ContentRoot) {
    put_chunk(w, &root.page);
    w.varint(root.bytes);
    w.varint(root.chunks);
}

/// Reads a reference to a page of this level.
pub fn take_root(r: &mut Reader<'_>, level: u8) -> Result<ContentRoot, Reject> {
    let page = take_chunk(r, PAGE_BYTES_MAX)?;
    let root = ContentRoot { page, level, bytes: r.varint()?, chunks: r.varint()? };
    // Pages of no chunks could name each other on every level, and would never be read to their end.
    if root.chunks == 0 { Err(Reject::Broken("page of no chunks")) } else { Ok(root) }
}

impl Page {
    fn is_empty(&self) -> bool {
        match self {
            Page::Leaf(chunks) => chunks.is_empty(),
            Page::Index { items, .. } => items.is_empty(),
        }
    }

    /// The tree chunk.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::new();
        match self {
            Page::Leaf(chunks) => {
                w.u8(LEAF);
                w.varint(chunks.len() as u64);
                chunks.iter().for_each(|chunk| put_chunk(&mut w, chunk));
            }
            Page::Index { level, items } => {
                w.u8(INDEX);
                w.u8(*level);
                w.varint(items.len() as u64);
                items.iter().for_each(|item| put_root(&mut w, item));
            }
        }
        w.finish()
    }

    /// Reads a tree chunk.
    pub fn decode(bytes: &[u8]) -> Result<Self, Reject> {
        let mut r = Reader::new(bytes);
        let page = match r.u8()? {
            LEAF => {
                let count = r.count("items on a page", PAGE_ITEMS_MAX)?;
                let items = (0..count).map(|_| take_chunk(&mut r, CHUNK_BYTES_MAX)).collect::<Result<_, _>>()?;
                Page::Leaf(items)
            }
            INDEX => {
                let level = r.u8()?;
                if level == 0 || level >= LEVELS_MAX {
                    return Err(Reject::Unknown { field: "page level", value: level.into() });
                }
                let count = r.count("items on a page", PAGE_ITEMS_MAX)?;
                let items = (0..count).map(|_| take_root(&mut r, level - 1)).collect::<Result<_, _>>()?;
                Page::Index { level, items }
            }
            _ => return Err(Reject::Magic("content page")),
        };
        if page.is_empty() {
            return Err(Reject::Broken("page without items"));
        }
        r.end()?;
        Ok(page)
    }
}

#[cfg(test)]
#[path = "content_tests.rs"]
mod tests;
