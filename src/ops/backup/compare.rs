//! Comparing with the parent snapshot: a merge join of two sorted listings.
//!
//! Memory stays constant: the parent's listing is read in the order in which the walk goes.

use std::cmp::Ordering;
use std::iter::Peekable;

use crate::format::Time;
use crate::format::listing::{Entry, Node, compare_paths};
use crate::format::record::Record;
use crate::repo::Repository;
use crate::repo::error::Error;
use crate::repo::listing::Entries;

/// A change in the same tick as the parent's look at a file leaves no trace, so what was touched this shortly before
/// the parent began, or later, is read again.
const TICK_SECONDS: i64 = 2;

/// The parent's listing, read along with the walk.
pub struct Parent<'r> {
    entries: Peekable<Entries<'r>>,
    /// Entries touched at or after this are read again.
    since: Time,
}

impl<'r> Parent<'r> {
    /// Begins at its first entry.
    pub fn new(repo: &'r Repository, record: &Record) -> Self {
        let since = Time { seconds: record.started.seconds.saturating_sub(TICK_SECONDS), ..record.started };
        Self { entries: Entries::new(repo, &record.root).peekable(), since }
    }

    /// Completes an entry from the parent's if nothing about it changed, so that nobody needs to open it.
    pub fn take_over(&mut self, entry: &mut Entry) -> Result<bool, Error> {
        loop {
            match self.entries.peek() {
                None => return Ok(false),
                // An unreadable page costs reading some files again, and is reported by `check`; nothing else.
                Some(Err(error)) if error.is_damage() => drop(self.entries.next()),
                Some(Err(_)) => {
                    return match self.entries.next() {
                        Some(Err(error)) => Err(error),
                        _ => Ok(false),
                    };
                }
                Some(Ok(old)) => match compare_paths(&old.path, &entry.path) {
                    Ordering::Less => drop(self.entries.next()),
                    Ordering::Greater => return Ok(false),
                    Ordering::Equal => break,
                },
            }
        }
        let Some(Ok(old)) = self.entries.next() else { return Ok(false) };
        if !is_unchanged(&old, entry, self.since) {
            return Ok(false);
        }
        entry.node = old.node;
        entry.xattrs = old.xattrs;
        entry.stamp = old.stamp;
        Ok(true)
    }
}

/// Whether an entry is what it was: same kind, length, times and inode, and not touched when the parent looked.
pub fn is_unchanged(old: &Entry, new: &Entry, since: Time) -> bool {
    !old.unstable
        && same_node(&old.node, &new.node)
        && old.mtime == new.mtime
        && old.ctime == new.ctime
        && old.inode == new.inode
        && old.mode == new.mode
        && old.owner.uid == new.owner.uid
        && old.owner.gid == new.owner.gid
        && (new.stamp.is_empty() || old.stamp == new.stamp)
        && new.mtime < since
        && new.ctime < since
}

fn same_node(old: &Node, new: &Node) -> bool {
    match (old, new) {
        (Node::File { bytes: old, .. }, Node::File { bytes: new, .. }) => old == new,
        (Node::File { .. }, _) | (_, Node::File { .. }) => false,
        (old, new) => old == new,
    }
}

#[cfg(test)]
#[path = "compare_tests.rs"]
mod tests;
