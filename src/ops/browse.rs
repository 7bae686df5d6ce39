//! Looking into snapshots: the entries of a folder, and entries by name.
//!
//! Promise: entries are handed out as they are read, so memory does not grow with their number; pages that cannot
//! matter (below folders not asked for, or searched before) are not read.
//! Left out on purpose: contents of files (`ops/cat`, `ops/restore`), what differs (`ops/diff`), how entries are shown.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::ops::ControlFlow::{self, Continue};
use std::os::unix::ffi::OsStrExt as _;

use globset::{GlobBuilder, GlobMatcher};

use crate::format::content::ChunkRef;
use crate::format::listing::{Entry, Node};
use crate::format::pages::Page;
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

#[cfg(test)]
#[path = "browse_tests.rs"]
pub mod tests;
