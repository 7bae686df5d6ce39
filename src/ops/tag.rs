//! Tagging: setting and taking tags, and bringing a forgotten snapshot back.
//!
//! Promise: a snapshot that comes back is whole: every chunk it needs is found in a pack that is not swept, and the
//! same log entry rescues those that are condemned.

use std::collections::{BTreeSet, HashSet};

use crate::format::content::{ChunkRef, Content, Page as ContentPage};
use crate::format::listing::{Node, Page};
use crate::format::log::{Action, TAGS_MAX, TagAction, TagChange, tag_allowed};
use crate::format::{Kind, Time};
use crate::id::{ChunkId, PackId, SnapshotId};
use crate::repo::Repository;
use crate::repo::catalog::{Catalog, ask};
use crate::repo::error::Error as RepoError;
use crate::repo::listing::{read_content_page, read_listing_page};
use crate::repo::state::{Fate, Snapshot, State};
use crate::repo::write::relied_on;

/// Why tags were not changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The repository.
    #[error(transparent)]
    Repo(#[from] RepoError),
    /// Not a tag.
    #[error("{tag:?} cannot be a tag: letters, digits and signs without spaces or commas, at most 128 bytes")]
    BadTag {
        /// What was given.
        tag: String,
    },
    /// Too many of them.
    #[error("a snapshot has at most {TAGS_MAX} tags")]
    TooMany,
    /// The newest complete snapshot of a series must keep a tag.
    #[error("snapshot {} is the newest complete one of its series and must keep a tag", .snapshot.short())]
    AlwaysStays {
        /// The snapshot.
        snapshot: SnapshotId,
    },
    /// What a forgotten snapshot needs is gone.
    #[error("snapshot {} cannot come back: {reason}", .snapshot.short())]
    Gone {
        /// The snapshot.
        snapshot: SnapshotId,
        /// What is gone.
        reason: String,
    },
}

/// What came of it.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// The tags afterwards.
    pub tags: BTreeSet<String>,
    /// Whether the snapshot was forgotten before.
    pub brought_back: bool,
    /// Packs that were condemned and are not any more.
    pub rescued: usize,
}

/// Adds and removes tags of a snapshot.
pub fn run(
    repo: &Repository,
    snapshot: SnapshotId,
    add: &[String],
    remove: &[String],
    now: Time,
) -> Result<Report, Error> {
    if let Some(tag) = add.iter().find(|tag| !tag_allowed(tag)) {
        return Err(Error::BadTag { tag: tag.clone() });
    }
    let mut report = Report::default();
    // What it needs may have moved to other packs whenever the log has grown.
    let mut packs: Option<(u64, HashSet<PackId>)> = None;
    let state = repo.append::<Error>(now, &mut |state| {
        let before = state.snapshot(&snapshot).ok_or(RepoError::NoSnapshot(snapshot))?;
        let change = change_of(before, add, remove);
        let mut after = before.tags.clone();
        after.retain(|tag| !change.remove.contains(tag));
        after.extend(change.add.iter().cloned());
        if after.len() as u64 > TAGS_MAX {
            return Err(Error::TooMany);
        }
        if after.is_empty() && is_newest_complete(state, before) {
            return Err(Error::AlwaysStays { snapshot });
        }
        if change.add.is_empty() && change.remove.is_empty() {
            return Ok(None);
        }
        report.brought_back = !before.is_live() && !after.is_empty();
        let mut rescue = Vec::new();
        if report.brought_back {
            if packs.as_ref().is_none_or(|(head, _)| *head != state.head) {
                packs = Some((state.head, packs_of(repo, before)?));
            }
            let needed = packs.iter().flat_map(|(_, packs)| packs);
            rescue = match relied_on(repo, state, needed) {
                Ok((_, rescue)) => rescue,
                Err(error) if is_loss(&error) => return Err(Error::Gone { snapshot, reason: error.to_string() }),
                Err(error) => return Err(error.into()),
            };
        }
        report.rescued = rescue.len();
        Ok(Some(Action::Tag(TagAction { changes: vec![change], rescue })))
    })?;
    report.tags = state.snapshot(&snapshot).map(|snapshot| snapshot.tags.clone()).unwrap_or_default();
    Ok(report)
}

fn is_loss(error: &RepoError) -> bool {
    error.is_damage() || matches!(error, RepoError::PackSwept { .. })
}

/// Only what is different: a tag that is there is not added, one that is not there is not removed.
fn change_of(snapshot: &Snapshot, add: &[String], remove: &[String]) -> TagChange {
    let unique = |tags: &[String], wanted: &dyn Fn(&String) -> bool| {
        let tags: BTreeSet<&String> = tags.iter().filter(|tag| wanted(tag)).collect();
        tags.into_iter().cloned().collect()
    };
    TagChange {
        snapshot: snapshot.id,
        add: unique(add, &|tag| !snapshot.tags.contains(tag)),
        remove: unique(remove, &|tag| snapshot.tags.contains(tag) && !add.contains(tag)),
    }
}

fn is_newest_complete(state: &State, snapshot: &Snapshot) -> bool {
    let mut complete = state.live().rev().filter(|other| other.series == snapshot.series && other.complete);
    complete.next().is_some_and(|newest| newest.id == snapshot.id)
}

/// The packs that hold what a forgotten snapshot needs: every page and every chunk, each found once. A copy in a live
/// pack is taken before one that must be rescued.
fn packs_of(repo: &Repository, snapshot: &Snapshot) -> Result<HashSet<PackId>, Error> {
    let gone = |reason: String| Error::Gone { snapshot: snapshot.id, reason };
    let catalog = Catalog::survey(repo)?;
    let record = repo.record(snapshot)?;
    let mut search =
        Search { repo, catalog, state: repo.state().as_ref().clone(), seen: HashSet::new(), packs: HashSet::new() };
    match search.listing_page(&record.root.page, record.root.level) {
        Ok(()) => Ok(search.packs),
        Err(error) if is_loss(&error) => Err(gone(error.to_string())),
        Err(error) => Err(error.into()),
    }
}

struct Search<'r> {
    repo: &'r Repository,
    catalog: Catalog,
    state: State,
    /// Chunks found already, by the half of their ids that is enough to tell them apart.
    seen: HashSet<u128>,
    packs: HashSet<PackId>,
}

impl Search<'_> {
    /// Finds one chunk; `false` when it was found before.
    fn find(&mut self, kind: Kind, id: &ChunkId) -> Result<bool, RepoError> {
        let half = u128::from_le_bytes(*id.as_bytes().first_chunk().unwrap_or(&[0; 16]));
        if !self.seen.insert(half) {
            return Ok(false);
        }
        let copies = ask(self.repo, &mut |index| {
            let copies = index.copies(kind, id)?;
            Ok(copies
                .iter()
                .filter_map(|copy| index.pack(copy.pack).map(|row| (row.id, row.bytes)))
                .collect::<Vec<_>>())
        })?;
        let listed = |(id, bytes): &&(PackId, u64)| self.catalog.listed.get(id).is_some_and(|l| l.bytes == *bytes);
        // A tag entry names no packs, so what no entry has named with its length cannot be relied on.
        let fate = |(id, bytes): &(PackId, u64)| {
            let pack = self.state.pack(id).filter(|pack| pack.bytes == *bytes && pack.fate != Fate::Swept)?;
            Some((*id, pack.fate))
        };
        let sound: Vec<(PackId, Fate)> = copies.iter().filter(listed).filter_map(fate).collect();
        let live = sound.iter().find(|(_, fate)| *fate == Fate::Live);
        let pack = live.or(sound.first()).ok_or(RepoError::MissingChunk { kind, id: *id })?;
        self.packs.insert(pack.0);
        Ok(true)
    }

    fn listing_page(&mut self, page: &ChunkRef, level: u8) -> Result<(), RepoError> {
        if !self.find(Kind::Tree, &page.id)? {
            return Ok(());
        }
        match read_listing_page(self.repo, page, level)? {
            Page::Index { level, items } => items.iter().try_for_each(|item| self.listing_page(&item.page, level - 1)),
            Page::Leaf(entries) => {
                for entry in entries {
                    if let Node::File { content, .. } = entry.node {
                        self.content(&content)?;
                    }
                }
                Ok(())
            }
        }
    }

    fn content(&mut self, content: &Content) -> Result<(), RepoError> {
        match content {
            Content::Inline(chunks) => self.chunks(chunks),
            Content::Paged(root) => self.content_page(&root.page, root.level),
        }
    }

    fn content_page(&mut self, page: &ChunkRef, level: u8) -> Result<(), RepoError> {
        if !self.find(Kind::Tree, &page.id)? {
            return Ok(());
        }
        match read_content_page(self.repo, page, level)? {
            ContentPage::Leaf(chunks) => self.chunks(&chunks),
            ContentPage::Index { items, .. } => {
                items.iter().try_for_each(|item| self.content_page(&item.page, item.level))
            }
        }
    }

    fn chunks(&mut self, chunks: &[ChunkRef]) -> Result<(), RepoError> {
        chunks.iter().try_for_each(|chunk| self.find(Kind::Data, &chunk.id).map(drop))
    }
}
