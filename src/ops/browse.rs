//! Looking into snapshots: the entries of a folder, entries by name, and what differs between two snapshots.
//!
//! Promise: entries are handed out as they are read, so memory does not grow with their number; pages that cannot
//! matter (below folders not asked for, searched before, or equal on both sides) are not read.
//! Left out on purpose: contents of files (`ops/cat`, `ops/restore`), and how entries are shown.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::ffi::OsStr;
use std::mem::discriminant;
use std::ops::ControlFlow::{self, Continue};
use std::os::unix::ffi::OsStrExt as _;

use globset::{GlobBuilder, GlobMatcher};

use crate::format::content::ChunkRef;
use crate::format::listing::{Entry, Node, Page, PageRef, compare_paths};
use crate::format::record::ListingRoot;
use crate::id::{ChunkId, SnapshotId};
use crate::repo::Repository;
use crate::repo::error::Error as RepoError;
use crate::repo::listing::{Entries, find as find_entry, is_within, read_listing_page};

/// So many entries below a folder are read over before the next page is looked up.
const READ_OVER_MAX: u32 = 256;
/// Pages remembered to hold nothing that is searched for.
const BARREN_PAGES_MAX: usize = 1 << 20;

/// Why something could not be looked at.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The repository.
    #[error(transparent)]
    Repo(#[from] RepoError),
    /// The path is not in the snapshot.
    #[error("{} is not in the snapshot", String::from_utf8_lossy(.path))]
    NoSuchPath {
        /// The path.
        path: Vec<u8>,
    },
    /// A pattern means nothing.
    #[error("bad pattern {pattern:?}: {reason}")]
    Pattern {
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// How far down to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// What is in the folder.
    Children,
    /// And everything below.
    All,
}

/// Shows what is in a folder, or the one entry if the path is no folder's. Returns the parts that could not be read.
pub fn ls(
    repo: &Repository,
    root: &ListingRoot,
    path: &[u8],
    depth: Depth,
    visit: &mut dyn FnMut(&Entry) -> ControlFlow<()>,
) -> Result<Vec<RepoError>, Error> {
    know_packs(repo)?;
    if !path.is_empty() {
        match find_entry(repo, root, path)? {
            None => return Err(Error::NoSuchPath { path: path.to_vec() }),
            Some(entry) if !matches!(entry.node, Node::Directory) => {
                let _nothing_follows = visit(&entry);
                return Ok(Vec::new());
            }
            Some(_) => {}
        }
    }
    let mut damaged = Vec::new();
    let mut entries = Entries::starting_at(repo, root, path);
    let mut read_over = 0;
    let mut child: Option<Vec<u8>> = None;
    while let Some(next) = entries.next() {
        let entry = match next {
            Ok(entry) => entry,
            Err(error) => {
                damaged.push(error);
                continue;
            }
        };
        if !is_within(&entry.path, path) {
            break;
        }
        if entry.path == path {
            continue;
        }
        let below = child.as_ref().is_some_and(|child| depth == Depth::Children && is_within(&entry.path, child));
        if !below {
            if visit(&entry).is_break() {
                break;
            }
            read_over = 0;
            child = Some(entry.path);
        } else if read_over < READ_OVER_MAX {
            read_over += 1;
        } else if let Some(child) = &child {
            entries = Entries::starting_at(repo, root, &behind(child));
            read_over = 0;
        }
    }
    Ok(damaged)
}

/// Makes the index know the packs of others. Those that cannot be read show when a page is missing.
fn know_packs(repo: &Repository) -> Result<(), RepoError> {
    repo.catch_up().map(drop)
}

/// A path that comes after everything below a folder and before everything else.
fn behind(folder: &[u8]) -> Vec<u8> {
    // A slash is ordered as 0, and no name holds a NUL.
    [folder, &[1]].concat()
}

/// What is searched for.
#[derive(Debug)]
pub struct Pattern {
    what: What,
    whole_path: bool,
}

#[derive(Debug)]
enum What {
    Glob(Box<GlobMatcher>),
    Text(Vec<u8>),
}

impl Pattern {
    /// With `*`, `?`, `[` or `{` it is a glob that the whole name matches, otherwise a part of the name. With a slash
    /// in it, the path counts instead of the name.
    pub fn new(pattern: &str) -> Result<Self, Error> {
        let bad = |reason: String| Error::Pattern { pattern: pattern.to_owned(), reason };
        if pattern.is_empty() {
            return Err(bad("it is empty".to_owned()));
        }
        let whole_path = pattern.contains('/');
        if !pattern.contains(['*', '?', '[', '{']) {
            let text = pattern.as_bytes();
            return Ok(Self { what: What::Text(text.to_vec()), whole_path });
        }
        let glob = GlobBuilder::new(pattern.strip_prefix('/').unwrap_or(pattern)).literal_separator(true).build();
        let glob = glob.map_err(|error| bad(error.kind().to_string()))?;
        Ok(Self { what: What::Glob(Box::new(glob.compile_matcher())), whole_path })
    }

    /// Whether an entry of this path is meant.
    pub fn matches(&self, path: &[u8]) -> bool {
        let name = path.rsplit(|&byte| byte == b'/').next().unwrap_or(path);
        match &self.what {
            What::Glob(glob) => glob.is_match(OsStr::from_bytes(if self.whole_path { path } else { name })),
            What::Text(text) if self.whole_path => {
                // So that a leading slash means the root.
                let rooted = [b"/", path].concat();
                rooted.windows(text.len()).any(|part| part == text)
            }
            What::Text(text) => name.windows(text.len()).any(|part| part == text),
        }
    }
}

/// What a search came to.
#[derive(Debug, Default)]
pub struct Searched {
    /// Snapshots looked through.
    pub snapshots: u64,
    /// Entries found, in all snapshots together.
    pub found: u64,
    /// What could not be read, and of which snapshot.
    pub damaged: Vec<(SnapshotId, RepoError)>,
}

/// Shows all entries that match in these snapshots, in the order given. A page without a match is read once however
/// many snapshots share it.
pub fn find(
    repo: &Repository,
    snapshots: &[(SnapshotId, ListingRoot)],
    pattern: &Pattern,
    visit: &mut dyn FnMut(&SnapshotId, &Entry) -> ControlFlow<()>,
) -> Result<Searched, RepoError> {
    know_packs(repo)?;
    let mut searched = Searched::default();
    let mut search = Search { repo, pattern, barren: HashSet::new() };
    for (snapshot, root) in snapshots {
        searched.snapshots += 1;
        let mut damaged = Vec::new();
        let mut found = 0;
        let mut each = |entry: &Entry| {
            found += 1;
            visit(snapshot, entry)
        };
        let flow = search.page(&root.page, root.level, &mut each, &mut damaged);
        searched.found += found;
        searched.damaged.extend(damaged.into_iter().map(|error| (*snapshot, error)));
        if flow.is_break() {
            break;
        }
    }
    Ok(searched)
}

struct Search<'a> {
    repo: &'a Repository,
    pattern: &'a Pattern,
    barren: HashSet<ChunkId>,
}

impl Search<'_> {
    /// Searches a page and those below it; whether it held a match. The levels limit the recursion.
    fn page(
        &mut self,
        page: &ChunkRef,
        level: u8,
        visit: &mut dyn FnMut(&Entry) -> ControlFlow<()>,
        damaged: &mut Vec<RepoError>,
    ) -> ControlFlow<(), bool> {
        if self.barren.contains(&page.id) {
            return Continue(false);
        }
        let mut fertile = false;
        match read_listing_page(self.repo, page, level) {
            Ok(Page::Leaf(entries)) => {
                for entry in entries.iter().filter(|entry| self.pattern.matches(&entry.path)) {
                    fertile = true;
                    visit(entry)?;
                }
            }
            Ok(Page::Index { items, .. }) => {
                for item in &items {
                    fertile |= self.page(&item.page, level.saturating_sub(1), visit, damaged)?;
                }
            }
            Err(error) => {
                // Each snapshot that it touches is to be named.
                damaged.push(error);
                fertile = true;
            }
        }
        if !fertile && self.barren.len() < BARREN_PAGES_MAX {
            self.barren.insert(page.id);
        }
        Continue(fertile)
    }
}

/// How two entries of one path differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It is in the second listing only.
    Added,
    /// It is in the first listing only.
    Removed,
    /// It is something else: a folder instead of a file, say.
    Type,
    /// Its content is another one, or what it points to.
    Content,
    /// Only mode, owner, time or attributes differ.
    Metadata,
}

/// What differs.
#[derive(Debug, Clone, Copy)]
pub struct Difference<'a> {
    /// How.
    pub change: Change,
    /// The entry in the first listing.
    pub before: Option<&'a Entry>,
    /// The entry in the second listing.
    pub after: Option<&'a Entry>,
}

impl Difference<'_> {
    /// The path in question.
    pub fn path(&self) -> &[u8] {
        self.before.or(self.after).map_or(&[], |entry| &entry.path)
    }
}

/// Shows what differs between two listings, in their order. A damaged page ends it: what is on it cannot be compared.
pub fn diff(
    repo: &Repository,
    before: &ListingRoot,
    after: &ListingRoot,
    visit: &mut dyn FnMut(Difference<'_>) -> ControlFlow<()>,
) -> Result<(), RepoError> {
    know_packs(repo)?;
    let (mut left, mut right) = (Cursor::new(repo, before), Cursor::new(repo, after));
    while let Some(turn) = turn(left.next.as_ref(), right.next.as_ref()) {
        match turn {
            Turn::PassOver => {
                left.advance();
                right.advance();
            }
            Turn::Open(side) => {
                if side != Side::Right {
                    left.open()?;
                }
                if side != Side::Left {
                    right.open()?;
                }
            }
            Turn::Show(side) => {
                let before = if side == Side::Right { None } else { left.take_entry() };
                let after = if side == Side::Left { None } else { right.take_entry() };
                let change = compare(before.as_ref(), after.as_ref());
                let difference = |change| Difference { change, before: before.as_ref(), after: after.as_ref() };
                if change.is_some_and(|change| visit(difference(change)).is_break()) {
                    return Ok(());
                }
            }
        }
    }
    Ok(())
}

/// One of two listings, or both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Left,
    Right,
    Both,
}

impl From<Ordering> for Side {
    fn from(order: Ordering) -> Self {
        match order {
            Ordering::Less => Side::Left,
            Ordering::Greater => Side::Right,
            Ordering::Equal => Side::Both,
        }
    }
}

/// What to do next.
enum Turn {
    /// Both pages are the same.
    PassOver,
    Open(Side),
    Show(Side),
}

/// Decides what to do next: `None` at the end. A page is opened only when an entry that may be on it is due. Of two
/// pages the higher is opened first, then the one that begins earlier: so that equal pages behind an insertion come to
/// stand beside each other again.
fn turn(left: Option<&Next>, right: Option<&Next>) -> Option<Turn> {
    let side = match (left, right) {
        (None, None) => return None,
        (Some(_), None) => Side::Left,
        (None, Some(_)) => Side::Right,
        (Some(Next::Page(page, level)), Some(Next::Page(other, other_level))) => {
            let order = other_level.cmp(level).then_with(|| compare_paths(&page.first, &other.first));
            let same = page.page == other.page && level == other_level;
            return Some(if same { Turn::PassOver } else { Turn::Open(order.into()) });
        }
        (Some(left), Some(right)) => compare_paths(left.path(), right.path()).into(),
    };
    let is_page = |next: Option<&Next>| matches!(next, Some(Next::Page(..)));
    Some(match side {
        Side::Left | Side::Both if is_page(left) => Turn::Open(Side::Left),
        Side::Right | Side::Both if is_page(right) => Turn::Open(Side::Right),
        side => Turn::Show(side),
    })
}

/// What comes next in a listing: a page of a level that is not opened yet, or an entry.
enum Next {
    Page(PageRef, u8),
    Entry(Box<Entry>),
}

impl Next {
    fn path(&self) -> &[u8] {
        match self {
            Next::Page(page, _) => &page.first,
            Next::Entry(entry) => &entry.path,
        }
    }
}

/// A place in a listing, whose pages are opened only when asked for.
struct Cursor<'r> {
    repo: &'r Repository,
    next: Option<Next>,
    leaf: std::vec::IntoIter<Entry>,
    stack: Vec<(u8, std::vec::IntoIter<PageRef>)>,
}

impl<'r> Cursor<'r> {
    fn new(repo: &'r Repository, root: &ListingRoot) -> Self {
        let page = PageRef { first: Vec::new(), page: root.page, entries: root.entries };
        let next = Some(Next::Page(page, root.level));
        Self { repo, next, leaf: Vec::new().into_iter(), stack: Vec::new() }
    }

    /// Goes to what is on the page that is next.
    fn open(&mut self) -> Result<(), RepoError> {
        let Some(Next::Page(page, level)) = &self.next else { return Ok(()) };
        match read_listing_page(self.repo, &page.page, *level)? {
            Page::Leaf(entries) => self.leaf = entries.into_iter(),
            Page::Index { level, items } => self.stack.push((level.saturating_sub(1), items.into_iter())),
        }
        self.advance();
        Ok(())
    }

    /// Takes the entry that is next.
    fn take_entry(&mut self) -> Option<Entry> {
        let next = self.next.take();
        self.advance();
        match next {
            Some(Next::Entry(entry)) => Some(*entry),
            _ => None,
        }
    }

    /// Goes on behind what is next.
    fn advance(&mut self) {
        self.next = self.leaf.next().map(|entry| Next::Entry(Box::new(entry)));
        while self.next.is_none()
            && let Some((level, items)) = self.stack.last_mut()
        {
            let level = *level;
            match items.next() {
                Some(page) => self.next = Some(Next::Page(page, level)),
                None => drop(self.stack.pop()),
            }
        }
    }
}

/// How two entries of one path differ. Inode numbers, change times and the like are the source's business.
fn compare(before: Option<&Entry>, after: Option<&Entry>) -> Option<Change> {
    let (before, after) = match (before, after) {
        (Some(before), Some(after)) => (before, after),
        (Some(_), None) => return Some(Change::Removed),
        (None, Some(_)) => return Some(Change::Added),
        (None, None) => return None,
    };
    if discriminant(&before.node) != discriminant(&after.node) {
        return Some(Change::Type);
    }
    if before.node != after.node {
        return Some(Change::Content);
    }
    let same = before.mode == after.mode
        && before.owner == after.owner
        && before.mtime == after.mtime
        && before.xattrs == after.xattrs;
    (!same).then_some(Change::Metadata)
}

#[cfg(test)]
#[path = "browse_tests.rs"]
mod tests;
