//! Walking what snapshots consist of: every page once, every chunk looked up.
//!
//! Promise: whatever can be reached is visited, however much of it is damaged, and everything that cannot be had is
//! noted. Memory grows with the number of pages that are not shared, not with files. Left out on purpose: opening data
//! blocks, and saying which files a fault touches (`ops/check`).

pub mod marks;

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use crate::format::content::{self, ChunkRef, Content, ContentRoot};
use crate::format::listing::{Entry, Node, compare_paths};
use crate::format::pages::{self, PageRef};
use crate::format::record::ListingRoot;
use crate::format::{Kind, Reject};
use crate::id::ChunkId;
use crate::index::{self, Index, PackNumber};
use crate::ops::bits::Prefixes;
use crate::ops::walk::marks::{Counting, Marks};
use crate::repo::Repository;
use crate::repo::catalog::ask;
use crate::repo::error::Error;
use crate::repo::listing::{read_content_page, read_listing_page};

/// Pages whose totals are remembered. Beyond that a shared page is visited more than once.
const PAGES_REMEMBERED_MAX: usize = 1 << 20;
/// Faults that are kept; all are counted.
pub const FAULTS_MAX: usize = 100_000;

/// What cannot be had.
#[derive(Debug)]
pub enum Fault {
    /// A page cannot be read, or is not what it should be.
    Page {
        /// The page.
        page: ChunkId,
        /// Why.
        error: Error,
    },
    /// A chunk is in no pack that counts.
    Chunk {
        /// What it holds.
        kind: Kind,
        /// The chunk.
        chunk: ChunkRef,
    },
}

impl Fault {
    /// As an error.
    pub fn into_error(self) -> Error {
        match self {
            Fault::Page { error, .. } => error,
            Fault::Chunk { kind, chunk } => Error::MissingChunk { kind, id: chunk.id },
        }
    }
}

/// What is in a listing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Entries of all kinds.
    pub entries: u64,
    /// Regular files.
    pub files: u64,
    /// Folders.
    pub directories: u64,
    /// Everything else.
    pub others: u64,
    /// Bytes of all files, holes included.
    pub bytes: u64,
}

impl Totals {
    fn add(&mut self, other: &Totals) {
        self.entries = self.entries.saturating_add(other.entries);
        self.files = self.files.saturating_add(other.files);
        self.directories = self.directories.saturating_add(other.directories);
        self.others = self.others.saturating_add(other.others);
        self.bytes = self.bytes.saturating_add(other.bytes);
    }

    fn count(&mut self, entry: &Entry) {
        self.entries += 1;
        match &entry.node {
            Node::File { bytes, .. } => {
                self.files += 1;
                self.bytes = self.bytes.saturating_add(*bytes);
            }
            Node::Directory => self.directories += 1,
            _ => self.others += 1,
        }
    }
}

/// A page of a listing that was visited, with all below it. `None` in a memo: something of it cannot be had.
#[derive(Debug)]
struct Visited {
    level: u8,
    totals: Totals,
    first: Vec<u8>,
    last: Vec<u8>,
}

/// Visits snapshots.
pub struct Walker<'r> {
    repo: &'r Repository,
    /// What was reached.
    pub marks: Marks,
    counting: Counting,
    /// Chunks of which there may be several copies: then all are marked.
    doubles: Option<Prefixes>,
    listings: HashMap<ChunkId, Option<Rc<Visited>>>,
    contents: HashMap<ChunkId, Option<(u8, u64, u64)>>,
    missing: HashSet<ChunkId>,
    faults: Vec<Fault>,
    /// How many faults there are, those included that were not kept.
    pub faults_total: u64,
    /// Pages read.
    pub pages: u64,
    /// Chunks marked, pages included, copies counted.
    pub chunks: u64,
}

impl<'r> Walker<'r> {
    /// Chunks count as stored where `counting` says so.
    pub fn new(repo: &'r Repository, counting: Counting, doubles: Option<Prefixes>) -> Self {
        Self {
            repo,
            marks: Marks::default(),
            counting,
            doubles,
            listings: HashMap::new(),
            contents: HashMap::new(),
            missing: HashSet::new(),
            faults: Vec::new(),
            faults_total: 0,
            pages: 0,
            chunks: 0,
        }
    }

    /// The packs that count.
    pub fn counting(&self) -> &Counting {
        &self.counting
    }

    /// From now on these packs count, too.
    pub fn count_also(&mut self, packs: impl IntoIterator<Item = PackNumber>) {
        packs.into_iter().for_each(|pack| self.counting.insert(pack));
    }

    /// From now on these chunks may have several copies.
    pub fn double_also<'c>(&mut self, chunks: impl IntoIterator<Item = &'c ChunkId>) {
        if let Some(doubles) = &mut self.doubles {
            for chunk in chunks {
                doubles.insert(chunk);
            }
        }
    }

    /// Which chunks may have several copies.
    pub fn doubles(&self) -> Option<&Prefixes> {
        self.doubles.as_ref()
    }

    /// Visits a listing and all that it names. `None`: some page cannot be had.
    pub fn visit(&mut self, root: &ListingRoot) -> Option<Totals> {
        let visited = self.listing(&root.page, root.level)?;
        if visited.totals.entries != root.entries {
            self.broken_page(root.page.id, "listing of another length than its record says");
            return None;
        }
        Some(visited.totals)
    }

    /// What could not be had so far, each thing once.
    pub fn take_faults(&mut self) -> Vec<Fault> {
        std::mem::take(&mut self.faults)
    }

    fn fault(&mut self, fault: Fault) {
        self.faults_total += 1;
        if self.faults.len() < FAULTS_MAX {
            self.faults.push(fault);
        }
    }

    /// Notes a page that cannot be read, unless it is noted as missing already.
    fn unreadable(&mut self, page: ChunkId, error: Error) {
        if !(matches!(error, Error::MissingChunk { .. }) && self.missing.contains(&page)) {
            self.fault(Fault::Page { page, error });
        }
    }

    fn broken_page(&mut self, page: ChunkId, what: &'static str) {
        let error = Error::reject(format!("page {page}"), Reject::Broken(what));
        self.fault(Fault::Page { page, error });
    }

    fn listing(&mut self, page: &ChunkRef, level: u8) -> Option<Rc<Visited>> {
        match self.listings.get(&page.id) {
            Some(Some(visited)) if visited.level != level => {
                self.broken_page(page.id, "page of another level");
                return None;
            }
            Some(visited) => return visited.clone(),
            None => {}
        }
        self.mark(Kind::Tree, &[*page]);
        let visited = match read_listing_page(self.repo, page, level) {
            Ok(pages::Page::Leaf(entries)) => self.leaf(&entries),
            Ok(pages::Page::Index { items, .. }) => self.index_page(page, level, &items),
            Err(error) => {
                self.unreadable(page.id, error);
                None
            }
        };
        self.pages += 1;
        let visited = visited.map(Rc::new);
        if self.listings.len() < PAGES_REMEMBERED_MAX {
            self.listings.insert(page.id, visited.clone());
        }
        visited
    }

    fn leaf(&mut self, entries: &[Entry]) -> Option<Visited> {
        let mut totals = Totals::default();
        let mut chunks: Vec<ChunkRef> = Vec::new();
        let mut whole = true;
        for entry in entries {
            totals.count(entry);
            match &entry.node {
                Node::File { content: Content::Inline(inline), .. } => chunks.extend_from_slice(inline),
                Node::File { content: Content::Paged(root), .. } => whole &= self.content(root),
                _ => {}
            }
        }
        self.mark(Kind::Data, &chunks);
        let path = |entry: Option<&Entry>| entry.map(|entry| entry.path.clone()).unwrap_or_default();
        whole.then(|| Visited { level: 0, totals, first: path(entries.first()), last: path(entries.last()) })
    }

    fn index_page(&mut self, page: &ChunkRef, level: u8, items: &[PageRef]) -> Option<Visited> {
        let mut totals = Totals::default();
        let mut whole = true;
        let mut last: Option<Vec<u8>> = None;
        for item in items {
            let Some(below) = self.listing(&item.page, level - 1) else {
                whole = false;
                last = None;
                continue;
            };
            let ordered = last.as_ref().is_none_or(|last| compare_paths(last, &below.first).is_lt());
            if below.first != item.first || below.totals.entries != item.entries || !ordered {
                self.broken_page(page.id, "names a page that is not as it says");
                whole = false;
            }
            totals.add(&below.totals);
            last = Some(below.last.clone());
        }
        let first = items.first().map(|item| item.first.clone()).unwrap_or_default();
        whole.then(|| Visited { level, totals, first, last: last.unwrap_or_default() })
    }

    /// Visits a page of a content list and all below it. `false`: something of it cannot be had.
    fn content(&mut self, root: &ContentRoot) -> bool {
        let expected = (root.level, root.bytes, root.chunks);
        if let Some(found) = self.contents.get(&root.page.id) {
            return *found == Some(expected);
        }
        let found = self.content_page(root);
        if self.contents.len() < PAGES_REMEMBERED_MAX {
            self.contents.insert(root.page.id, found);
        }
        found.is_some()
    }

    fn content_page(&mut self, root: &ContentRoot) -> Option<(u8, u64, u64)> {
        self.mark(Kind::Tree, &[root.page]);
        let (found, whole) = match read_content_page(self.repo, &root.page, root.level) {
            Ok(content::Page::Leaf(chunks)) => {
                self.mark(Kind::Data, &chunks);
                let bytes = chunks.iter().map(|chunk| u64::from(chunk.bytes)).sum();
                ((0, bytes, chunks.len() as u64), true)
            }
            Ok(content::Page::Index { items, .. }) => {
                let mut whole = true;
                for item in &items {
                    whole &= self.content(item);
                }
                let sum =
                    |of: fn(&ContentRoot) -> u64| items.iter().fold(0u64, |sum, item| sum.saturating_add(of(item)));
                ((root.level, sum(|item| item.bytes), sum(|item| item.chunks)), whole)
            }
            Err(error) => {
                self.unreadable(root.page.id, error);
                return None;
            }
        };
        self.pages += 1;
        if found != (root.level, root.bytes, root.chunks) {
            self.broken_page(root.page.id, "page of another length");
            return None;
        }
        whole.then_some(found)
    }

    /// Looks up the chunks of one page, under one lock, and marks them.
    fn mark(&mut self, kind: Kind, chunks: &[ChunkRef]) {
        let (counting, doubles, marks) = (&self.counting, self.doubles.as_ref(), &mut self.marks);
        let mut missing = Vec::new();
        let mut marked = 0;
        let asked = ask(self.repo, &mut |index| {
            missing.clear();
            for chunk in chunks {
                match mark_chunk(index, kind, chunk, counting, doubles, marks)? {
                    Some(new) => marked += new,
                    None => missing.push(*chunk),
                }
            }
            Ok(())
        });
        self.chunks += marked;
        if let Err(error) = asked {
            let page = chunks.first().map_or(ChunkId::new([0; 32]), |chunk| chunk.id);
            return self.fault(Fault::Page { page, error });
        }
        for chunk in missing {
            if self.missing.len() < FAULTS_MAX && self.missing.insert(chunk.id) {
                self.fault(Fault::Chunk { kind, chunk });
            }
        }
    }
}

/// Marks a chunk where it counts: everywhere, should there be several copies. `None`: nowhere.
fn mark_chunk(
    index: &mut Index,
    kind: Kind,
    chunk: &ChunkRef,
    counting: &Counting,
    doubles: Option<&Prefixes>,
    marks: &mut Marks,
) -> Result<Option<u64>, index::Error> {
    if !doubles.is_some_and(|doubles| doubles.may_have(&chunk.id)) {
        let found = index.locate(kind, &chunk.id, &|pack| counting.has(pack))?;
        if let Some(at) = found.filter(|at| at.bytes == chunk.bytes) {
            return Ok(Some(marks.insert(index, &at).into()));
        }
    }
    let copies = index.copies(kind, &chunk.id)?;
    let mut marked = None;
    for at in copies.iter().filter(|at| counting.has(at.pack) && at.bytes == chunk.bytes) {
        *marked.get_or_insert(0) += u64::from(marks.insert(index, at));
    }
    Ok(marked)
}

#[cfg(test)]
#[path = "walk_tests.rs"]
mod tests;
