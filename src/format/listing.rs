//! Listings: paths, their order, and what an entry is. See `format-spec/listing.md`.
//!
//! Left out on purpose: entries as bytes (`format/entry`) and pages (`format/pages`).

use std::cmp::Ordering;
use std::sync::Arc;

use crate::format::content::Content;
use crate::format::wire::{Reader, Writer};
use crate::format::{Reject, Time};

/// Longest path in bytes.
pub const PATH_BYTES_MAX: u64 = 64 << 10;
/// Longest name of one component.
pub const NAME_BYTES_MAX: usize = 255;
/// Most components in a path.
pub const DEPTH_MAX: usize = 4096;
/// Longest user or group name.
pub const OWNER_BYTES_MAX: u64 = 256;
/// Most extended attributes of an entry.
pub const XATTRS_MAX: u64 = 1024;
/// Longest name of an extended attribute.
pub const XATTR_NAME_BYTES_MAX: u64 = 255;
/// Longest value of an extended attribute.
pub const XATTR_VALUE_BYTES_MAX: u64 = 64 << 10;
/// Longest symlink target.
pub const TARGET_BYTES_MAX: u64 = 4096;
/// Longest change stamp.
pub const STAMP_BYTES_MAX: u64 = 1024;
/// Most extents of a sparse file.
pub const EXTENTS_MAX: u64 = 65_536;
/// Longest ignorable extension of an entry.
pub const EXTENSION_BYTES_MAX: u64 = 1024;

/// Extended attributes: names and values, sorted by name.
pub type Xattrs = Vec<(Vec<u8>, Vec<u8>)>;

/// Who owns an entry.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Owner {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// User name where it was known, else empty.
    pub user: Arc<[u8]>,
    /// Group name where it was known, else empty.
    pub group: Arc<[u8]>,
}

/// A stretch of a sparse file that holds data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// Where it begins in the file.
    pub offset: u64,
    /// Its length, at least 1.
    pub bytes: u64,
}

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// A regular file, or a stream.
    File {
        /// Its length, holes included.
        bytes: u64,
        /// Its data; for a sparse file the data of its extents, one after the other.
        content: Content,
        /// Where the data lies, if the file has holes; in order, not touching.
        extents: Option<Vec<Extent>>,
    },
    /// A folder.
    Directory,
    /// A symbolic link.
    Symlink {
        /// What it says.
        target: Vec<u8>,
    },
    /// A named pipe.
    Fifo,
    /// A socket: listed, not restored.
    Socket,
    /// A character device.
    CharDevice {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
    /// A block device.
    BlockDevice {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
}

/// One entry of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Path below the snapshot's root, components joined by `/`; empty for the root folder itself.
    pub path: Vec<u8>,
    /// What it is.
    pub node: Node,
    /// Permission bits, 0 to 07777.
    pub mode: u32,
    /// Who owns it.
    pub owner: Owner,
    /// When its content last changed.
    pub mtime: Time,
    /// When its inode last changed.
    pub ctime: Time,
    /// Its inode number at the source.
    pub inode: u64,
    /// The device it lay on at the source.
    pub device: u64,
    /// How many names its inode had.
    pub links: u64,
    /// Extended attributes, ACLs among them, by name.
    pub xattrs: Xattrs,
    /// A change stamp that the source defines.
    pub stamp: Vec<u8>,
    /// It changed while it was read: never reused by the next run.
    pub unstable: bool,
}

impl Entry {
    /// An entry of which no more is known.
    pub fn new(path: impl Into<Vec<u8>>, node: Node, mode: u32) -> Self {
        Self {
            path: path.into(),
            node,
            mode,
            owner: Owner::default(),
            mtime: Time::default(),
            ctime: Time::default(),
            inode: 0,
            device: 0,
            links: 1,
            xattrs: Vec::new(),
            stamp: Vec::new(),
            unstable: false,
        }
    }
}

/// Orders paths component by component: a folder comes directly before what is in it.
pub fn compare_paths(a: &[u8], b: &[u8]) -> Ordering {
    // No name contains NUL or `/`, so the separator, ordered below every byte of a name, does it.
    let key = |byte: &u8| if *byte == b'/' { 0 } else { *byte };
    let same = a.iter().zip(b).take_while(|(x, y)| x == y).count();
    a[same..].iter().map(key).next().cmp(&b[same..].iter().map(key).next())
}

/// Whether a path is one that a listing may hold.
pub fn check_path(path: &[u8]) -> Result<(), Reject> {
    if path.is_empty() {
        return Ok(());
    }
    if path.len() as u64 > PATH_BYTES_MAX {
        return Err(Reject::TooLarge { field: "path length", value: path.len() as u64, limit: PATH_BYTES_MAX });
    }
    let mut depth = 0;
    for name in path.split(|&b| b == b'/') {
        depth += 1;
        match name {
            b"" => return Err(Reject::Broken("path with an empty component")),
            b"." | b".." => return Err(Reject::Broken("path with . or ..")),
            _ if name.len() > NAME_BYTES_MAX => return Err(Reject::Broken("name longer than 255 bytes")),
            _ if name.contains(&0) => return Err(Reject::Broken("name with a NUL byte")),
            _ => {}
        }
    }
    if depth > DEPTH_MAX {
        return Err(Reject::TooLarge { field: "path depth", value: depth as u64, limit: DEPTH_MAX as u64 });
    }
    Ok(())
}

/// Writes a path, as far as it differs from the one before.
pub fn put_path(w: &mut Writer, path: &[u8], before: &[u8]) {
    let shared = path.iter().zip(before).take_while(|(x, y)| x == y).count();
    w.varint(shared as u64);
    w.bytes(&path[shared..]);
}

/// Reads a path that begins like the one before.
pub fn take_path(r: &mut Reader<'_>, before: &[u8]) -> Result<Vec<u8>, Reject> {
    let shared = r.bounded("shared path length", before.len() as u64)? as usize;
    let suffix = r.bytes("path length", PATH_BYTES_MAX)?;
    let mut path = Vec::with_capacity(shared + suffix.len());
    path.extend_from_slice(&before[..shared]);
    path.extend_from_slice(suffix);
    check_path(&path)?;
    Ok(path)
}

#[cfg(test)]
#[path = "listing_tests.rs"]
mod tests;
