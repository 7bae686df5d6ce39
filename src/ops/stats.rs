//! How large everything is.
//!
//! Promise: what is counted is what `ops/prune` goes by. Left out on purpose: reading any data.

use crate::format::Kind;
use crate::format::record::Record;
use crate::id::SnapshotId;
use crate::ops::usage::{Error, Usage, Used, measure};
use crate::repo::Repository;
use crate::repo::catalog::Catalog;
use crate::repo::error::Error as RepoError;
use crate::repo::state::{Fate, Snapshot};

/// Sizes of a repository.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sizes {
    /// Live snapshots.
    pub snapshots: u64,
    /// Snapshots that no tag holds any more.
    pub forgotten: u64,
    /// Entries of all live snapshots.
    pub entries: u64,
    /// Regular files among them.
    pub files: u64,
    /// Bytes of all files of all live snapshots, holes included.
    pub raw_bytes: u64,
    /// Bytes of the data chunks that live snapshots use, each once, before compression.
    pub deduplicated_bytes: u64,
    /// The same of pages: what listings take.
    pub tree_bytes: u64,
    /// Chunks that live snapshots use, pages included.
    pub chunks: u64,
    /// About the bytes that what is used takes in packs.
    pub used_bytes: u64,
    /// About the bytes in live packs that nothing uses.
    pub unused_bytes: u64,
    /// Packs in the storage, whatever became of them.
    pub packs: u64,
    /// Their length.
    pub stored_bytes: u64,
    /// Of that, in condemned packs.
    pub condemned_bytes: u64,
    /// Of that, in packs that belong to no snapshot yet.
    pub unnamed_bytes: u64,
    /// Length of the index on this client; 0 where it is kept nowhere.
    pub index_bytes: u64,
}

/// Sizes of one snapshot.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SnapshotSizes {
    /// Entries.
    pub entries: u64,
    /// Regular files.
    pub files: u64,
    /// Bytes of all files, holes included.
    pub raw_bytes: u64,
    /// Bytes of chunks that no other live snapshot uses, pages included, before compression.
    pub unique_raw_bytes: u64,
    /// About the bytes that these take in packs: what forgetting the snapshot would free in the end.
    pub unique_stored_bytes: u64,
    /// How many such chunks there are.
    pub unique_chunks: u64,
}

/// Measures a repository.
pub fn repository(repo: &Repository) -> Result<Sizes, Error> {
    let state = repo.refresh()?;
    let catalog = Catalog::survey(repo)?;
    let usage = measure(repo, &state, &catalog, &|_| true)?;
    let mut sizes = Sizes::default();
    for snapshot in state.snapshots() {
        if !snapshot.is_live() {
            sizes.forgotten += 1;
            continue;
        }
        let record = repo.record(snapshot)?;
        sizes.snapshots += 1;
        sizes.entries += record.root.entries;
        sizes.files += record.counts.files;
        sizes.raw_bytes = sizes.raw_bytes.saturating_add(record.counts.bytes);
    }
    let (data, tree) = used(repo, &usage)?;
    sizes.deduplicated_bytes = data.raw_bytes;
    sizes.tree_bytes = tree.raw_bytes;
    sizes.chunks = data.chunks + tree.chunks;
    sizes.used_bytes = data.stored_bytes + tree.stored_bytes;
    sizes.unused_bytes = data.unused_bytes + tree.unused_bytes;
    for (id, info) in &catalog.listed {
        sizes.packs += 1;
        sizes.stored_bytes += info.bytes;
        match state.fate(id) {
            Some(Fate::Condemned { .. }) => sizes.condemned_bytes += info.bytes,
            None => sizes.unnamed_bytes += info.bytes,
            Some(Fate::Live | Fate::Swept) => {}
        }
    }
    let mut index = repo.index();
    index.flush_last().map_err(RepoError::from)?;
    sizes.index_bytes = index.stats().file_bytes;
    Ok(sizes)
}

/// Measures one snapshot against all other live ones.
pub fn snapshot(repo: &Repository, id: SnapshotId, record: &Record) -> Result<SnapshotSizes, Error> {
    let state = repo.refresh()?;
    let catalog = Catalog::survey(repo)?;
    let other = |snapshot: &Snapshot| snapshot.id != id;
    let mut usage = measure(repo, &state, &catalog, &other)?;
    let before = used(repo, &usage)?;
    usage.visit(&state, &|snapshot| !other(snapshot))?;
    let after = used(repo, &usage)?;
    let more = |of: fn(&Used) -> u64| (of(&after.0) + of(&after.1)).saturating_sub(of(&before.0) + of(&before.1));
    Ok(SnapshotSizes {
        entries: record.root.entries,
        files: record.counts.files,
        raw_bytes: record.counts.bytes,
        unique_raw_bytes: more(|used| used.raw_bytes),
        unique_stored_bytes: more(|used| used.stored_bytes),
        unique_chunks: more(|used| used.chunks),
    })
}

/// What is used of all data packs and of all tree packs.
fn used(repo: &Repository, usage: &Usage<'_>) -> Result<(Used, Used), RepoError> {
    let rows: Vec<_> = repo.index().packs().map(|row| (row.number, row.kind)).collect();
    let (mut data, mut tree) = (Used::default(), Used::default());
    for (pack, kind) in rows {
        if !usage.counts(pack) {
            continue;
        }
        let sum = if kind == Kind::Data { &mut data } else { &mut tree };
        let used = usage.of(pack)?;
        sum.chunks += used.chunks;
        sum.raw_bytes += used.raw_bytes;
        sum.stored_bytes += used.stored_bytes;
        sum.unused_bytes += used.unused_bytes;
    }
    Ok((data, tree))
}

#[cfg(test)]
#[path = "stats_tests.rs"]
mod tests;
