//! What differs between two snapshots, or between two folders in them.
//!
//! Promise: differences are handed out as they are found, so memory does not grow with their number; pages that are equal
//! on both sides are not read.
//! Left out on purpose: which bytes of a file differ, and how differences are shown.

use std::cmp::Ordering;
use std::mem::discriminant;
use std::ops::ControlFlow;

use crate::format::listing::{Entry, compare_paths};
use crate::format::pages::{Page, PageRef};
use crate::format::record::ListingRoot;
use crate::repo::Repository;
use crate::repo::error::Error as RepoError;
use crate::repo::listing::{is_within, read_listing_page};

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
    /// The entry in the first listing. Its path is as seen from the subtree compared.
    pub before: Option<&'a Entry>,
    /// The entry in the second listing, likewise.
    pub after: Option<&'a Entry>,
}

impl Difference<'_> {
    /// The path in question.
    pub fn path(&self) -> &[u8] {
        self.before.or(self.after).map_or(&[], |entry| &entry.path)
    }
}

/// A folder of a listing with everything in it, or a single entry.
#[derive(Debug, Clone, Copy)]
pub struct Subtree<'a> {
    /// The listing.
    pub root: &'a ListingRoot,
    /// Where in it; empty for all of it.
    pub path: &'a [u8],
}

/// Shows what differs between two subtrees, in the order of listings. One that is not there is empty. A damaged page
/// ends it: what is on it cannot be compared.
pub fn diff(
    repo: &Repository,
    before: Subtree<'_>,
    after: Subtree<'_>,
    visit: &mut dyn FnMut(Difference<'_>) -> ControlFlow<()>,
) -> Result<(), RepoError> {
    // Packs of others that cannot be read show when a page is missing.
    repo.catch_up()?;
    let (mut left, mut right) = (Cursor::new(repo, before), Cursor::new(repo, after));
    while let Some(turn) = turn(&left, &right) {
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
fn turn(left: &Cursor<'_>, right: &Cursor<'_>) -> Option<Turn> {
    // The same page says other things of other folders.
    let same_place = left.place == right.place;
    let (left, right) = (left.next.as_ref(), right.next.as_ref());
    let side = match (left, right) {
        (None, None) => return None,
        (Some(_), None) => Side::Left,
        (None, Some(_)) => Side::Right,
        (Some(Next::Page(page, level)), Some(Next::Page(other, other_level))) => {
            let order = other_level.cmp(level).then_with(|| compare_paths(&page.first, &other.first));
            let same = same_place && page.page == other.page && level == other_level;
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

/// What comes next in a subtree: a page of a level that is not opened yet, or an entry; with paths as seen from there.
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

/// How far a subtree was read. Its pages are opened only when asked for.
struct Cursor<'r> {
    repo: &'r Repository,
    place: &'r [u8],
    next: Option<Next>,
    leaf: std::vec::IntoIter<Entry>,
    stack: Vec<(u8, std::vec::IntoIter<PageRef>)>,
}

impl<'r> Cursor<'r> {
    fn new(repo: &'r Repository, Subtree { root, path }: Subtree<'r>) -> Self {
        let page = PageRef { first: Vec::new(), page: root.page, entries: root.entries };
        let next = Some(Next::Page(page, root.level));
        Self { repo, place: path, next, leaf: Vec::new().into_iter(), stack: Vec::new() }
    }

    /// Goes to what is on the page that is next.
    fn open(&mut self) -> Result<(), RepoError> {
        let Some(Next::Page(page, level)) = &self.next else { return Ok(()) };
        match read_listing_page(self.repo, &page.page, *level)? {
            Page::Leaf(mut entries) => {
                entries.retain(|entry| is_within(&entry.path, self.place));
                entries.iter_mut().for_each(|entry| seen_from(self.place, &mut entry.path));
                self.leaf = entries.into_iter();
            }
            Page::Index { level, mut items } => {
                let begun = items.partition_point(|item| compare_paths(&item.first, self.place) != Ordering::Greater);
                items.drain(..begun.saturating_sub(1));
                let ahead = |item: &PageRef| compare_paths(&item.first, self.place) != Ordering::Greater;
                items.retain(|item| ahead(item) || is_within(&item.first, self.place));
                items.iter_mut().for_each(|item| seen_from(self.place, &mut item.first));
                self.stack.push((level.saturating_sub(1), items.into_iter()));
            }
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

/// Turns a path into what is left of it below a folder. What comes before the folder counts as the folder itself.
fn seen_from(folder: &[u8], path: &mut Vec<u8>) {
    if folder.is_empty() {
        return;
    }
    let below = if is_within(path, folder) { (folder.len() + 1).min(path.len()) } else { path.len() };
    path.drain(..below);
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
#[path = "diff_tests.rs"]
mod tests;
