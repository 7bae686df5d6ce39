//! Listings and content lists, written page by page and read in order.
//!
//! Promise: memory does not grow with the number of entries: a writer holds one page a level, a reader too.

use std::cmp::Ordering;

use crate::format::content::{self, ChunkRef, Content, ContentRoot};
use crate::format::listing::{self, Entry, LeafWriter, PageRef, compare_paths};
use crate::format::record::ListingRoot;
use crate::format::{Kind, Reject};
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

/// Takes pages and gives their names.
pub trait Pages {
    /// Stores a page.
    fn store(&mut self, bytes: &[u8]) -> Result<ChunkId, Error>;
}

impl Pages for Writer {
    fn store(&mut self, bytes: &[u8]) -> Result<ChunkId, Error> {
        self.page(bytes)
    }
}

fn page_ref(pages: &mut dyn Pages, bytes: &[u8]) -> Result<ChunkRef, Error> {
    Ok(ChunkRef { id: pages.store(bytes)?, bytes: bytes.len() as u32 })
}

/// Writes a listing.
#[derive(Debug, Default)]
pub struct ListingWriter {
    leaf: LeafWriter,
    levels: Vec<Vec<PageRef>>,
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
        let page = page_ref(pages, &bytes)?;
        self.add(pages, 0, PageRef { first, page, entries })
    }

    fn add(&mut self, pages: &mut dyn Pages, level: usize, item: PageRef) -> Result<(), Error> {
        if self.levels.len() <= level {
            self.levels.push(Vec::new());
        }
        let items = &mut self.levels[level];
        let ends = content::ends_page(&item.page.id, items.len() + 1);
        items.push(item);
        if ends { self.end_level(pages, level) } else { Ok(()) }
    }

    fn end_level(&mut self, pages: &mut dyn Pages, level: usize) -> Result<(), Error> {
        let items = std::mem::take(&mut self.levels[level]);
        let Some(first) = items.first().map(|item| item.first.clone()) else { return Ok(()) };
        let entries = items.iter().map(|item| item.entries).sum();
        let page = listing::Page::Index { level: level as u8 + 1, items };
        let page = page_ref(pages, &page.encode())?;
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
            match self.levels[level].as_slice() {
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
        let page = page_ref(pages, &content::Page::Leaf(chunks).encode())?;
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
        let page = page_ref(pages, &content::Page::Index { level: above, items }.encode())?;
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

/// Reads a page of a listing and checks that it is of the level it should be.
pub fn read_listing_page(repo: &Repository, page: &ChunkRef, level: u8) -> Result<listing::Page, Error> {
    let bytes = repo.page(page)?;
    let name = || format!("page {}", page.id);
    let decoded = listing::Page::decode(&bytes).map_err(|reject| Error::reject(name(), reject))?;
    match (&decoded, level) {
        (listing::Page::Leaf(_), 0) => Ok(decoded),
        (listing::Page::Index { level: found, .. }, _) if *found == level => Ok(decoded),
        _ => Err(Error::reject(name(), Reject::Broken("page of another level"))),
    }
}

/// Reads a page of a content list and checks that it is of the level it should be.
pub fn read_content_page(repo: &Repository, page: &ChunkRef, level: u8) -> Result<content::Page, Error> {
    let bytes = repo.page(page)?;
    let name = || format!("page {}", page.id);
    let decoded = content::Page::decode(&bytes).map_err(|reject| Error::reject(name(), reject))?;
    match (&decoded, level) {
        (content::Page::Leaf(_), 0) => Ok(decoded),
        (content::Page::Index { level: found, .. }, _) if *found == level => Ok(decoded),
        _ => Err(Error::reject(name(), Reject::Broken("page of another level"))),
    }
}

/// Reads a listing in order. A page that cannot be read gives one error, and reading goes on behind it.
pub struct Entries<'r> {
    repo: &'r Repository,
    stack: Vec<(u8, std::vec::IntoIter<PageRef>)>,
    leaf: std::vec::IntoIter<Entry>,
    from: Option<Vec<u8>>,
    root: Option<ListingRoot>,
    last: Option<Vec<u8>>,
}

impl<'r> Entries<'r> {
    /// All entries.
    pub fn new(repo: &'r Repository, root: &ListingRoot) -> Self {
        let (stack, leaf) = (Vec::new(), Vec::new().into_iter());
        Self { repo, stack, leaf, from: None, root: Some(*root), last: None }
    }

    /// The entries from this path on. Pages before it are not read.
    pub fn starting_at(repo: &'r Repository, root: &ListingRoot, path: &[u8]) -> Self {
        Self { from: Some(path.to_vec()), ..Self::new(repo, root) }
    }

    fn descend(&mut self, page: &ChunkRef, level: u8, first: Option<&[u8]>) -> Result<(), Error> {
        let decoded = read_listing_page(self.repo, page, level)?;
        // A page that is named again and again, level by level, would otherwise be read for ever. Whoever names one
        // so is not believed about the rest either.
        if first.is_some_and(|first| first_path(&decoded) != Some(first)) {
            self.stack.pop();
            let reason = Reject::Broken("does not begin where the page above says");
            return Err(Error::reject(format!("page {}", page.id), reason));
        }
        match decoded {
            listing::Page::Leaf(mut entries) => {
                if let Some(from) = &self.from {
                    let before = entries.partition_point(|e| compare_paths(&e.path, from) == Ordering::Less);
                    entries.drain(..before);
                }
                self.leaf = entries.into_iter();
            }
            listing::Page::Index { level, mut items } => {
                if let Some(from) = &self.from {
                    let after = items.partition_point(|i| compare_paths(&i.first, from) != Ordering::Greater);
                    items.drain(..after.saturating_sub(1));
                }
                self.stack.push((level - 1, items.into_iter()));
            }
        }
        Ok(())
    }
}

/// The first path on a page, or below it.
pub fn first_path(page: &listing::Page) -> Option<&[u8]> {
    match page {
        listing::Page::Leaf(entries) => entries.first().map(|entry| entry.path.as_slice()),
        listing::Page::Index { items, .. } => items.first().map(|item| item.first.as_slice()),
    }
}

impl Iterator for Entries<'_> {
    type Item = Result<Entry, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(root) = self.root.take()
            && let Err(error) = self.descend(&root.page, root.level, None)
        {
            return Some(Err(error));
        }
        loop {
            if let Some(entry) = self.leaf.next() {
                // Pages may have been put together by an enemy: order holds across them, too.
                if self.last.as_ref().is_some_and(|last| compare_paths(last, &entry.path) != Ordering::Less) {
                    let name = format!("listing at {}", String::from_utf8_lossy(&entry.path));
                    return Some(Err(Error::reject(name, Reject::Broken("entries out of order"))));
                }
                self.last.get_or_insert_default().clone_from(&entry.path);
                return Some(Ok(entry));
            }
            let (level, items) = self.stack.last_mut()?;
            let level = *level;
            match items.next() {
                Some(item) => {
                    if let Err(error) = self.descend(&item.page, level, Some(&item.first)) {
                        return Some(Err(error));
                    }
                }
                None => drop(self.stack.pop()),
            }
        }
    }
}

/// The entry of exactly this path.
pub fn find(repo: &Repository, root: &ListingRoot, path: &[u8]) -> Result<Option<Entry>, Error> {
    let first = Entries::starting_at(repo, root, path).next().transpose()?;
    Ok(first.filter(|entry| entry.path == path))
}

/// Whether a path is the folder or lies below it. Everything lies below the empty path.
pub fn is_within(path: &[u8], folder: &[u8]) -> bool {
    folder.is_empty() || path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
}

/// The entry of a path and everything below it.
pub fn under<'r>(
    repo: &'r Repository,
    root: &ListingRoot,
    path: &[u8],
) -> impl Iterator<Item = Result<Entry, Error>> + use<'r> {
    let folder = path.to_vec();
    Entries::starting_at(repo, root, path)
        .take_while(move |entry| entry.as_ref().map_or(true, |entry| is_within(&entry.path, &folder)))
}

/// Reads a file's chunks in order.
pub struct Chunks<'r> {
    repo: &'r Repository,
    stack: Vec<std::vec::IntoIter<ContentRoot>>,
    leaf: std::vec::IntoIter<ChunkRef>,
    lost_bytes: u64,
}

impl<'r> Chunks<'r> {
    /// All chunks of a content.
    pub fn new(repo: &'r Repository, content: &Content) -> Self {
        match content {
            Content::Inline(chunks) => Self::at(repo, Vec::new(), chunks.clone()),
            Content::Paged(root) => Self::at(repo, vec![vec![*root].into_iter()], Vec::new()),
        }
    }

    fn at(repo: &'r Repository, stack: Vec<std::vec::IntoIter<ContentRoot>>, leaf: Vec<ChunkRef>) -> Self {
        Self { repo, stack, leaf: leaf.into_iter(), lost_bytes: 0 }
    }

    /// How many bytes of content lie under the pages that could not be read so far.
    pub fn lost_bytes(&self) -> u64 {
        self.lost_bytes
    }

    fn descend(&mut self, item: &ContentRoot) -> Result<(), Error> {
        let name = || format!("page {}", item.page.id);
        match read_content_page(self.repo, &item.page, item.level)? {
            content::Page::Leaf(chunks) => {
                let bytes: u64 = chunks.iter().map(|chunk| u64::from(chunk.bytes)).sum();
                if bytes != item.bytes || chunks.len() as u64 != item.chunks {
                    return Err(Error::reject(name(), Reject::Broken("page of another length")));
                }
                self.leaf = chunks.into_iter();
            }
            content::Page::Index { items, .. } => {
                let sum = |f: fn(&ContentRoot) -> u64| items.iter().try_fold(0u64, |sum, i| sum.checked_add(f(i)));
                if sum(|i| i.bytes) != Some(item.bytes) || sum(|i| i.chunks) != Some(item.chunks) {
                    return Err(Error::reject(name(), Reject::Broken("page of another length")));
                }
                self.stack.push(items.into_iter());
            }
        }
        Ok(())
    }
}

impl Iterator for Chunks<'_> {
    type Item = Result<ChunkRef, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(chunk) = self.leaf.next() {
                return Some(Ok(chunk));
            }
            match self.stack.last_mut()?.next() {
                Some(item) => {
                    if let Err(error) = self.descend(&item) {
                        self.lost_bytes += item.bytes;
                        return Some(Err(error));
                    }
                }
                None => drop(self.stack.pop()),
            }
        }
    }
}

/// The tree chunk kind, for those who visit pages.
pub const PAGE_KIND: Kind = Kind::Tree;
