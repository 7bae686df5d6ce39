//! From the kernel's view of a file to an entry of a listing.
//!
//! Promise: one system call per entry (two for a symlink), relative to a descriptor.
//! Left out on purpose: extended attributes and extents, which need the file to be opened.

use std::io;
use std::os::fd::AsFd;

use rustix::fs::{AtFlags, FileType, Stat, fstat, major, minor, readlinkat, statat};

use crate::format::Time;
use crate::format::content::Content;
use crate::format::listing::{Entry, Node, TARGET_BYTES_MAX};
use crate::posix::owners::OwnerNames;

/// The kind of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A folder.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
    /// A character device.
    CharDevice,
    /// A block device.
    BlockDevice,
    /// Something this program does not know.
    Unknown,
}

/// What tells one file from another on a running system: device and inode number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Identity {
    /// The device it lies on.
    pub device: u64,
    /// Its inode number there.
    pub inode: u64,
}

/// What `stat` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status {
    /// What it is.
    pub kind: Kind,
    /// Which one it is.
    pub identity: Identity,
    /// Permission bits, 0 to 07777.
    pub mode: u32,
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// Number of names.
    pub links: u64,
    /// Length.
    pub bytes: u64,
    /// Space taken, in units of 512 bytes.
    pub blocks: u64,
    /// When the content last changed.
    pub mtime: Time,
    /// When the inode last changed.
    pub ctime: Time,
    /// For a device, which one.
    pub special: (u32, u32),
}

impl Status {
    /// Whether a regular file may have holes.
    pub fn may_have_holes(&self) -> bool {
        self.kind == Kind::File && self.blocks.saturating_mul(512) < self.bytes
    }

    /// Whether nothing happened to the file between the two looks.
    pub fn same_state(&self, later: &Self) -> bool {
        (self.identity, self.bytes, self.mtime, self.ctime) == (later.identity, later.bytes, later.mtime, later.ctime)
    }
}

/// The status of a name in a folder; a symlink is not followed.
pub fn status_at(folder: impl AsFd, name: &[u8]) -> io::Result<Status> {
    Ok(status(&statat(folder, name, AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT)?))
}

/// The status of something open.
pub fn status_of(file: impl AsFd) -> io::Result<Status> {
    Ok(status(&fstat(file)?))
}

// The widths of these fields differ between architectures.
#[allow(clippy::unnecessary_cast, clippy::useless_conversion)]
fn status(stat: &Stat) -> Status {
    let kind = match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Kind::File,
        FileType::Directory => Kind::Directory,
        FileType::Symlink => Kind::Symlink,
        FileType::Fifo => Kind::Fifo,
        FileType::Socket => Kind::Socket,
        FileType::CharacterDevice => Kind::CharDevice,
        FileType::BlockDevice => Kind::BlockDevice,
        FileType::Unknown => Kind::Unknown,
    };
    Status {
        kind,
        identity: Identity { device: stat.st_dev as u64, inode: stat.st_ino as u64 },
        mode: stat.st_mode & 0o7777,
        uid: stat.st_uid,
        gid: stat.st_gid,
        links: stat.st_nlink as u64,
        bytes: u64::try_from(stat.st_size).unwrap_or(0),
        blocks: u64::try_from(stat.st_blocks).unwrap_or(0),
        mtime: time(stat.st_mtime as i64, stat.st_mtime_nsec as u64),
        ctime: time(stat.st_ctime as i64, stat.st_ctime_nsec as u64),
        special: (major(stat.st_rdev), minor(stat.st_rdev)),
    }
}

fn time(seconds: i64, nanos: u64) -> Time {
    Time { seconds, nanos: nanos.min(999_999_999) as u32 }
}

/// What the entry for a status is; for a symlink its target is read. An unknown kind is an error.
pub fn node_at(folder: impl AsFd, name: &[u8], status: &Status) -> io::Result<Node> {
    let (major, minor) = status.special;
    Ok(match status.kind {
        Kind::File => Node::File { bytes: status.bytes, content: Content::EMPTY, extents: None },
        Kind::Directory => Node::Directory,
        Kind::Symlink => Node::Symlink { target: target(folder, name)? },
        Kind::Fifo => Node::Fifo,
        Kind::Socket => Node::Socket,
        Kind::CharDevice => Node::CharDevice { major, minor },
        Kind::BlockDevice => Node::BlockDevice { major, minor },
        Kind::Unknown => return Err(io::Error::other("unknown kind of file")),
    })
}

fn target(folder: impl AsFd, name: &[u8]) -> io::Result<Vec<u8>> {
    let target = readlinkat(folder, name, Vec::new())?.into_bytes();
    if target.is_empty() || target.len() as u64 > TARGET_BYTES_MAX {
        return Err(io::Error::other("link target empty or too long"));
    }
    Ok(target)
}

/// An entry without content, extended attributes and extents.
pub fn entry(path: Vec<u8>, node: Node, status: &Status, owners: &OwnerNames) -> Entry {
    Entry {
        owner: owners.owner(status.uid, status.gid),
        mtime: status.mtime,
        ctime: status.ctime,
        inode: status.identity.inode,
        device: status.identity.device,
        links: status.links,
        ..Entry::new(path, node, status.mode)
    }
}

/// Brings an entry up to date with a newer status of the same kind.
pub fn refresh(entry: &mut Entry, status: &Status, owners: &OwnerNames) {
    entry.mode = status.mode;
    if (entry.owner.uid, entry.owner.gid) != (status.uid, status.gid) {
        entry.owner = owners.owner(status.uid, status.gid);
    }
    entry.mtime = status.mtime;
    entry.ctime = status.ctime;
    entry.inode = status.identity.inode;
    entry.device = status.identity.device;
    entry.links = status.links;
    if let Node::File { bytes, .. } = &mut entry.node {
        *bytes = status.bytes;
    }
}

#[cfg(test)]
#[path = "capture_tests.rs"]
mod tests;
