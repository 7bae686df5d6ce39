//! What is in the target already, and whether it is as it should be.
//!
//! Promise: nothing here changes content. A file counts as equal by length and time of change, else by its bytes.

use std::io;
use std::os::fd::OwnedFd;

use crate::crypto::keys::Keys;
use crate::format::content::ChunkRef;
use crate::format::listing::{Entry, Node};
use crate::ops::restore::delete;
use crate::ops::restore::layout::Layout;
use crate::ops::restore::report::Action;
use crate::ops::restore::{Context, Existing, Extra, Mode, Verify};
use crate::posix::apply::set_file;
use crate::posix::capture::{Identity, Kind, Status, status_at, status_of};
use crate::posix::open::{file_at, read_at};
use crate::posix::sparse::next_data;
use crate::posix::xattrs::of_open;
use crate::repo::Repository;
use crate::repo::listing::Chunks;

/// What was found under a file's name.
pub enum Found {
    /// Nothing.
    Nothing,
    /// Something that is to be kept whatever it is.
    Kept,
    /// This file, which is as it should be.
    Same(Identity),
    /// Something to be replaced.
    InTheWay,
    /// A file that differs in part, perhaps.
    Differs(OwnedFd),
}

/// What is at a path below the target.
pub fn status(context: &Context<'_>, path: &[u8]) -> Option<Status> {
    let root = context.root().ok()?;
    if path.is_empty() {
        return status_of(root.folder(path).ok()?).ok();
    }
    let (folder, name) = root.parent_of(path).ok()?;
    status_at(&*folder, name).ok()
}

/// Looks at what is under a file's name. A folder in its way is an error, unless it may be deleted.
pub fn look(context: &Context<'_>, entry: &Entry) -> io::Result<Found> {
    let how = context.options.existing;
    if how == Existing::Refuse {
        return Ok(Found::Nothing);
    }
    let path = context.below(&entry.path);
    let Some(status) = status(context, path) else { return Ok(Found::Nothing) };
    if how == Existing::Keep {
        return Ok(Found::Kept);
    }
    match status.kind {
        Kind::Directory => {
            clear_way(context, entry)?;
            Ok(Found::InTheWay)
        }
        Kind::File if how == Existing::Changed => changed(context, entry, path, &status),
        _ => Ok(Found::InTheWay),
    }
}

/// Takes a folder away that is where something else should be, if it may go.
pub fn clear_way(context: &Context<'_>, entry: &Entry) -> io::Result<()> {
    if context.options.extra != Extra::Delete {
        return Err(io::Error::other("a folder is in the way"));
    }
    if delete::tree(context, &entry.path)? {
        Ok(())
    } else {
        Err(io::Error::other("a folder is in the way, and not empty"))
    }
}

fn changed(context: &Context<'_>, entry: &Entry, path: &[u8], status: &Status) -> io::Result<Found> {
    let Node::File { bytes, .. } = entry.node else { return Ok(Found::InTheWay) };
    let looks_equal = status.bytes == bytes && status.mtime == entry.mtime;
    // Who wants everything read back does not want length and time to be believed.
    let believed = looks_equal && context.options.verify != Verify::Everything;
    if believed && metadata_fits(context, entry, status) && entry.xattrs.is_empty() {
        return Ok(Found::Same(status.identity));
    }
    let (folder, name) = context.root()?.parent_of(path)?;
    let Ok(file) = file_at(&*folder, name) else { return Ok(Found::InTheWay) };
    let opened = status_of(&file)?;
    if opened.kind != Kind::File || opened.identity != status.identity {
        return Ok(Found::InTheWay);
    }
    if !believed && !is_equal(context.repo, entry, &file, &opened) {
        return Ok(Found::Differs(file));
    }
    if looks_equal && metadata_fits(context, entry, status) && has_attributes(&file, entry) {
        return Ok(Found::Same(status.identity));
    }
    match context.options.mode {
        Mode::DryRun => context.tally.planned(Action::Metadata, &entry.path),
        Mode::Write => context.tally.warnings(&set_file(&file, entry, &context.apply)),
    }
    Ok(Found::Same(status.identity))
}

fn metadata_fits(context: &Context<'_>, entry: &Entry, status: &Status) -> bool {
    let owner = context.apply.wanted_owner(entry).is_none_or(|owner| owner == (status.uid, status.gid));
    owner && status.mode == entry.mode
}

/// Whether an open file has the attributes of an entry, whatever else it has. If they cannot be read they are set again.
fn has_attributes(file: &OwnedFd, entry: &Entry) -> bool {
    entry.xattrs.is_empty() || of_open(file).is_ok_and(|found| entry.xattrs.iter().all(|wanted| found.contains(wanted)))
}

/// Whether an open file has the content of an entry, holes aside. A content list that cannot be read is not equal.
pub fn is_equal(repo: &Repository, entry: &Entry, file: &OwnedFd, status: &Status) -> bool {
    let Node::File { bytes, content, .. } = &entry.node else { return false };
    if status.bytes != *bytes {
        return false;
    }
    let layout = Layout::of(&entry.node);
    let (mut content_at, mut buffer) = (0, Vec::new());
    Chunks::new(repo, content).all(|chunk| {
        let Ok(chunk) = chunk else { return false };
        let same = holds(repo.keys(), file, &layout, content_at, &chunk, &mut buffer);
        content_at += u64::from(chunk.bytes);
        same
    }) && holes_are_empty(&layout, file, *bytes)
}

/// Whether what lies between the extents of a sparse file is all zeros there.
fn holes_are_empty(layout: &Layout, file: &OwnedFd, bytes: u64) -> bool {
    let mut buffer = Vec::new();
    layout.holes(bytes).all(|(from, to)| {
        let mut at = next_data(file, from, to);
        while at < to {
            buffer.resize((to - at).min(HOLE_BUFFER_BYTES) as usize, 0);
            match read_at(file, &mut buffer, at) {
                Ok(read) if read == buffer.len() && buffer.iter().all(|&byte| byte == 0) => {
                    at = next_data(file, at + read as u64, to);
                }
                _ => return false,
            }
        }
        true
    })
}

/// Bytes of a hole read at a time.
const HOLE_BUFFER_BYTES: u64 = 1 << 20;

/// Whether a file holds a chunk where it should be. The bytes are then in `buffer`.
pub fn holds(
    keys: &Keys,
    file: &OwnedFd,
    layout: &Layout,
    content_at: u64,
    chunk: &ChunkRef,
    buffer: &mut Vec<u8>,
) -> bool {
    buffer.resize(chunk.bytes as usize, 0);
    let mut whole = true;
    layout.pieces(content_at, buffer.len(), &mut |at, part| {
        let length = part.len();
        whole = whole && matches!(read_at(file, &mut buffer[part], at), Ok(read) if read == length);
    });
    whole && keys.data_id(buffer) == chunk.id
}

#[cfg(test)]
#[path = "existing_tests.rs"]
mod tests;
