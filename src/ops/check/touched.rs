//! The second walk, only where there are problems: which snapshots and paths they touch.

use std::collections::{HashMap, HashSet};

use crate::format::Kind;
use crate::format::content::{self, ChunkRef, Content, ContentRoot};
use crate::format::listing::{Entry, Node};
use crate::format::pages;
use crate::id::{ChunkId, SnapshotId};
use crate::index::Location;
use crate::ops::check::Problem;
use crate::ops::check::findings::Findings;
use crate::ops::walk::marks::Counting;
use crate::repo::Repository;
use crate::repo::catalog::ask;
use crate::repo::listing::{first_path, read_content_page, read_listing_page};
use crate::repo::state::State;

/// Pages remembered as not touched.
const PAGES_REMEMBERED_MAX: usize = 1 << 20;

/// Adds to each problem what it touches.
pub fn attribute(repo: &Repository, state: &State, counting: &Counting, findings: Findings) -> Vec<Problem> {
    if !findings.may_touch() {
        return findings.into_problems();
    }
    let (clean, visited, last) = (HashSet::new(), HashSet::new(), HashMap::new());
    let mut walk = Walk { repo, counting, findings, clean, visited, snapshot: SnapshotId::new([0; 32]), last };
    for snapshot in state.live() {
        let Ok(record) = repo.record(snapshot) else { continue };
        walk.snapshot = snapshot.id;
        walk.listing(&record.root.page, record.root.level, None);
    }
    walk.findings.into_problems()
}

struct Walk<'r> {
    repo: &'r Repository,
    counting: &'r Counting,
    findings: Findings,
    /// Pages that no problem touches, nor anything below them.
    clean: HashSet<ChunkId>,
    /// Pages of the content list of one file.
    visited: HashSet<ChunkId>,
    snapshot: SnapshotId,
    /// What each problem touched last, so that everything counts once.
    last: HashMap<usize, (SnapshotId, Vec<u8>)>,
}

impl Walk<'_> {
    /// Whether a page or anything below it is touched. `first` is the first path on it, as the page above says; `None`
    /// comes back where that is a lie: a page named again and again, level by level, would be visited for ever.
    fn listing(&mut self, page: &ChunkRef, level: u8, first: Option<&[u8]>) -> Option<bool> {
        if self.clean.contains(&page.id) {
            return Some(false);
        }
        let mut touched = self.chunk(Kind::Tree, &page.id, first.unwrap_or_default());
        match read_listing_page(self.repo, page, level) {
            Ok(page) if first.is_some_and(|first| first_path(&page) != Some(first)) => return None,
            Ok(pages::Page::Leaf(entries)) => {
                for entry in &entries {
                    touched |= self.entry(entry);
                }
            }
            Ok(pages::Page::Index { items, .. }) => {
                for item in &items {
                    let Some(below) = self.listing(&item.page, level - 1, Some(&item.first)) else {
                        touched = true;
                        break;
                    };
                    touched |= below;
                }
            }
            Err(_) => touched = true,
        }
        if !touched {
            self.remember(page);
        }
        Some(touched)
    }

    fn entry(&mut self, entry: &Entry) -> bool {
        match &entry.node {
            Node::File { content: Content::Inline(chunks), .. } => self.chunks(chunks, &entry.path),
            Node::File { content: Content::Paged(root), .. } => {
                self.visited.clear();
                self.content(root, &entry.path)
            }
            _ => false,
        }
    }

    fn content(&mut self, root: &ContentRoot, path: &[u8]) -> bool {
        // For one path, a page says the same wherever it is named.
        if self.clean.contains(&root.page.id) || !self.visited.insert(root.page.id) {
            return false;
        }
        let mut touched = self.chunk(Kind::Tree, &root.page.id, path);
        match read_content_page(self.repo, &root.page, root.level) {
            Ok(content::Page::Leaf(chunks)) => touched |= self.chunks(&chunks, path),
            Ok(content::Page::Index { items, .. }) => {
                for item in &items {
                    touched |= self.content(item, path);
                }
            }
            Err(_) => touched = true,
        }
        if !touched {
            self.remember(&root.page);
        }
        touched
    }

    fn remember(&mut self, page: &ChunkRef) {
        if self.clean.len() < PAGES_REMEMBERED_MAX {
            self.clean.insert(page.id);
        }
    }

    fn chunks(&mut self, chunks: &[ChunkRef], path: &[u8]) -> bool {
        let mut touched = false;
        for chunk in chunks {
            touched |= self.chunk(Kind::Data, &chunk.id, path);
        }
        touched
    }

    fn chunk(&mut self, kind: Kind, id: &ChunkId, path: &[u8]) -> bool {
        let lies = self.problem_where_it_lies(kind, id);
        if let Some(problem) = lies {
            self.touch(problem, path);
        }
        let own = self.findings.of_chunk(id).filter(|own| lies != Some(*own) && !self.is_elsewhere(kind, id));
        if let Some(problem) = own {
            self.touch(problem, path);
        }
        lies.or(own).is_some()
    }

    /// Whether a chunk of a lost pack has another copy. A page that cannot be read has none that helps.
    fn is_elsewhere(&self, kind: Kind, id: &ChunkId) -> bool {
        kind == Kind::Data && self.copies(kind, id).iter().any(|copy| self.counting.has(copy.pack))
    }

    /// The problem of the blocks that hold a chunk, unless one of them has none.
    fn problem_where_it_lies(&self, kind: Kind, id: &ChunkId) -> Option<usize> {
        if !self.findings.in_packs() {
            return None;
        }
        let copies = self.copies(kind, id);
        let problem = |copy: &Location| self.findings.of_block(copy.pack, copy.block);
        if copies.iter().any(|copy| self.counting.has(copy.pack) && problem(copy).is_none()) {
            return None;
        }
        copies.iter().find_map(problem)
    }

    fn copies(&self, kind: Kind, id: &ChunkId) -> Vec<Location> {
        ask(self.repo, &mut |index| index.copies(kind, id)).unwrap_or_default()
    }

    fn touch(&mut self, at: usize, path: &[u8]) {
        let last = self.last.get(&at);
        if last.is_some_and(|last| last.0 == self.snapshot && last.1 == path) {
            return;
        }
        if last.is_none_or(|last| last.0 != self.snapshot) {
            self.findings.touches_snapshot(at, self.snapshot);
        }
        self.findings.touches_path(at, path);
        self.last.insert(at, (self.snapshot, path.to_vec()));
    }
}
