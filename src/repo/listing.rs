//! Listings and content lists, read in order, page by page.
//!
//! Promise: memory does not grow with the number of entries: a reader holds one page a level. Left out on purpose:
//! writing them (`repo/pages`).

use std::cmp::Ordering;

use crate::format::content::{self, ChunkRef, Content, ContentRoot};
use crate::format::listing::{Entry, compare_paths};
use crate::format::pages::{self, PageRef};
use crate::format::record::ListingRoot;
use crate::format::{Kind, Reject};
use crate::repo::Repository;
use crate::repo::error::Error;

/// Gives pages by their names.
pub trait PageReader: Sync {
    /// Reads a page; its bytes have its name.
    fn read_page(&self, page: &ChunkRef) -> Result<Vec<u8>, Error>;
}

impl PageReader for Repository {
    fn read_page(&self, page: &ChunkRef) -> Result<Vec<u8>, Error> {
        self.page(page)
    }
}

/// Reads a page of a listing and checks that it is of the level it should be.
pub fn read_listing_page(reader: &dyn PageReader, page: &ChunkRef, level: u8) -> Result<pages::Page, Error> {
    let bytes = reader.read_page(page)?;
    let name = || format!("page {}", page.id);
    let decoded = pages::Page::decode(&bytes).map_err(|reject| Error::reject(name(), reject))?;
    match (&decoded, level) {
        (pages::Page::Leaf(_), 0) => Ok(decoded),
        (pages::Page::Index { level: found, .. }, _) if *found == level => Ok(decoded),
        _ => Err(Error::reject(name(), Reject::Broken("page of another level"))),
    }
}

/// Reads a page of a content list and checks that it is of the level it should be.
pub fn read_content_page(reader: &dyn PageReader, page: &ChunkRef, level: u8) -> Result<content::Page, Error> {
    let bytes = reader.read_page(page)?;
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
    reader: &'r dyn PageReader,
    stack: Vec<(u8, std::vec::IntoIter<PageRef>)>,
    leaf: std::vec::IntoIter<Entry>,
    from: Option<Vec<u8>>,
    root: Option<ListingRoot>,
    last: Option<Vec<u8>>,
}

impl<'r> Entries<'r> {
    /// All entries.
    pub fn new(reader: &'r dyn PageReader, root: &ListingRoot) -> Self {
        let (stack, leaf) = (Vec::new(), Vec::new().into_iter());
        Self { reader, stack, leaf, from: None, root: Some(*root), last: None }
    }

    /// The entries from this path on. Pages before it are not read.
    pub fn starting_at(reader: &'r dyn PageReader, root: &ListingRoot, path: &[u8]) -> Self {
        Self { from: Some(path.to_vec()), ..Self::new(reader, root) }
    }

    fn descend(&mut self, page: &ChunkRef, level: u8, first: Option<&[u8]>) -> Result<(), Error> {
        let decoded = read_listing_page(self.reader, page, level)?;
        // A page that is named again and again, level by level, would otherwise be read for ever. Whoever names one
        // so is not believed about the rest either.
        if first.is_some_and(|first| first_path(&decoded) != Some(first)) {
            self.stack.pop();
            let reason = Reject::Broken("does not begin where the page above says");
            return Err(Error::reject(format!("page {}", page.id), reason));
        }
        match decoded {
            pages::Page::Leaf(mut entries) => {
                if let Some(from) = &self.from {
                    let before = entries.partition_point(|e| compare_paths(&e.path, from) == Ordering::Less);
                    entries.drain(..before);
                }
                self.leaf = entries.into_iter();
            }
            pages::Page::Index { level, mut items } => {
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
pub fn first_path(page: &pages::Page) -> Option<&[u8]> {
    match page {
        pages::Page::Leaf(entries) => entries.first().map(|entry| entry.path.as_slice()),
        pages::Page::Index { items, .. } => items.first().map(|item| item.first.as_slice()),
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
pub fn find(reader: &dyn PageReader, root: &ListingRoot, path: &[u8]) -> Result<Option<Entry>, Error> {
    let first = Entries::starting_at(reader, root, path).next().transpose()?;
    Ok(first.filter(|entry| entry.path == path))
}

/// Whether a path is the folder or lies below it. Everything lies below the empty path.
pub fn is_within(path: &[u8], folder: &[u8]) -> bool {
    folder.is_empty() || path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
}

/// The entry of a path and everything below it.
pub fn under<'r>(
    reader: &'r dyn PageReader,
    root: &ListingRoot,
    path: &[u8],
) -> impl Iterator<Item = Result<Entry, Error>> + use<'r> {
    let folder = path.to_vec();
    Entries::starting_at(reader, root, path)
        .take_while(move |entry| entry.as_ref().map_or(true, |entry| is_within(&entry.path, &folder)))
}

/// Reads a file's chunks in order.
pub struct Chunks<'r> {
    reader: &'r dyn PageReader,
    stack: Vec<std::vec::IntoIter<ContentRoot>>,
    leaf: std::vec::IntoIter<ChunkRef>,
    from: u64,
    passed: u64,
    lost_bytes: u64,
}

impl<'r> Chunks<'r> {
    /// All chunks of a content.
    pub fn new(reader: &'r dyn PageReader, content: &Content) -> Self {
        Self::starting_at(reader, content, 0)
    }

    /// The chunks from the one that holds this byte of the content on. Pages before it are not read.
    pub fn starting_at(reader: &'r dyn PageReader, content: &Content, from: u64) -> Self {
        let (stack, leaf) = match content {
            Content::Inline(chunks) => (Vec::new(), chunks.clone()),
            Content::Paged(root) => (vec![vec![*root].into_iter()], Vec::new()),
        };
        Self { reader, stack, leaf: leaf.into_iter(), from, passed: 0, lost_bytes: 0 }
    }

    /// How many bytes of the content come before the next chunk, those of lost pages included.
    pub fn passed(&self) -> u64 {
        self.passed
    }

    /// Whether so many bytes all lie before the part that is asked for; if so, they are passed.
    fn pass_over(&mut self, bytes: u64) -> bool {
        let end = self.passed.saturating_add(bytes);
        // Once at the beginning, nothing is passed that claims to have no bytes.
        if self.passed >= self.from || end > self.from {
            return false;
        }
        self.passed = end;
        true
    }

    /// How many bytes of content lie under the pages that could not be read so far.
    pub fn lost_bytes(&self) -> u64 {
        self.lost_bytes
    }

    fn descend(&mut self, item: &ContentRoot) -> Result<(), Error> {
        let name = || format!("page {}", item.page.id);
        match read_content_page(self.reader, &item.page, item.level)? {
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
                if self.pass_over(chunk.bytes.into()) {
                    continue;
                }
                self.passed = self.passed.saturating_add(chunk.bytes.into());
                return Some(Ok(chunk));
            }
            match self.stack.last_mut()?.next() {
                Some(item) if self.pass_over(item.bytes) => {}
                Some(item) => {
                    if let Err(error) = self.descend(&item) {
                        self.lost_bytes += item.bytes;
                        self.passed = self.passed.saturating_add(item.bytes);
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
