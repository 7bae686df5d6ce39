//! Making files, links and devices in an open folder.
//!
//! Promise: a file appears under its name whole and with its metadata, or not at all; nothing is written through a name
//! that was there before. All names are single components of a folder held open.
//! Left out on purpose: what is written into the files, and syncing them.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, RenameFlags, linkat, makedev, mknodat, openat, renameat, renameat_with, symlinkat,
    unlinkat,
};
use rustix::io::Errno;

use crate::format::listing::{Entry, Node};
use crate::posix::apply::{ApplyOptions, Existing, Warning, set_file, set_handle};
use crate::posix::beneath::Root;
use crate::posix::capture::{Identity, Kind, Status, status_at, status_of};
use crate::posix::open::handle_at;

/// How temporary names begin.
pub const TEMP_PREFIX: &str = ".larder-";
/// How many names are tried before giving up; a collision takes an enemy or a copied token.
const NAMES_TRIED_MAX: usize = 64;

/// Gives out temporary names.
#[derive(Debug)]
pub struct TempNames {
    token: u64,
    next: AtomicU64,
}

impl TempNames {
    /// Names that hold a token, which should be random and different for every run.
    pub fn new(token: u64) -> Self {
        Self { token, next: AtomicU64::new(0) }
    }

    fn next(&self) -> Vec<u8> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        format!("{TEMP_PREFIX}{:016x}-{number:x}", self.token).into_bytes()
    }

    /// Makes something under a name that was free.
    fn make<T>(&self, mut make: impl FnMut(&[u8]) -> Result<T, Errno>) -> io::Result<(T, Vec<u8>)> {
        for _ in 0..NAMES_TRIED_MAX {
            let name = self.next();
            match make(&name) {
                Ok(made) => return Ok((made, name)),
                Err(Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }
}

/// Makes an empty file, for its owner only, under a temporary name.
pub fn create_file_temp(folder: impl AsFd, names: &TempNames) -> io::Result<(OwnedFd, Vec<u8>)> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    names.make(|name| openat(&folder, name, flags, Mode::RUSR | Mode::WUSR))
}

/// Opens a temporary file again to write more of it. `identity` is that of the file created.
pub fn reopen_file_temp(folder: impl AsFd, temp: &[u8], identity: Identity) -> io::Result<OwnedFd> {
    let file = openat(folder, temp, OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
    let status = status_of(&file)?;
    if status.kind != Kind::File || status.identity != identity {
        return Err(io::Error::other("a temporary file was replaced by somebody else"));
    }
    Ok(file)
}

/// Sets the metadata of a temporary file and gives it its name. On an error the temporary file is gone.
pub fn finish_file(
    folder: impl AsFd,
    temp: &[u8],
    name: &[u8],
    file: impl AsFd,
    entry: &Entry,
    options: &ApplyOptions,
) -> io::Result<Vec<Warning>> {
    let warnings = set_file(file, entry, options);
    give_name(&folder, temp, name, options.existing)?;
    Ok(warnings)
}

/// Removes a temporary file that will not be finished.
pub fn discard_temp(folder: impl AsFd, temp: &[u8]) -> io::Result<()> {
    Ok(unlinkat(folder, temp, AtFlags::empty())?)
}

fn give_name(folder: impl AsFd, temp: &[u8], name: &[u8], existing: Existing) -> io::Result<()> {
    let renamed = match existing {
        Existing::Replace => renameat(&folder, temp, &folder, name),
        Existing::Keep => match renameat_with(&folder, temp, &folder, name, RenameFlags::NOREPLACE) {
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => linkat(&folder, temp, &folder, name, AtFlags::empty())
                .and_then(|()| unlinkat(&folder, temp, AtFlags::empty())),
            other => other,
        },
    };
    renamed.map_err(|error| {
        let _best_effort = unlinkat(&folder, temp, AtFlags::empty());
        error.into()
    })
}

/// What came of making a symlink, pipe or device.
#[derive(Debug)]
pub struct MadeNode {
    /// Which file it is now; `None` if it was left out.
    pub identity: Option<Identity>,
    /// What could not be set, or why it was left out.
    pub warnings: Vec<Warning>,
}

/// Makes a symlink, pipe or device. A socket is not made: a warning.
pub fn make_node(
    folder: impl AsFd,
    name: &[u8],
    entry: &Entry,
    options: &ApplyOptions,
    names: &TempNames,
) -> io::Result<MadeNode> {
    if let Some(warning) = left_out(entry, options)? {
        return Ok(MadeNode { identity: None, warnings: vec![warning] });
    }
    let ((), temp) = names.make(|temp| make(&folder, temp, &entry.node))?;
    let made = match held(&folder, &temp, &entry.node) {
        Ok((handle, identity)) => MadeNode { identity: Some(identity), warnings: set_handle(&handle, entry, options) },
        Err(error) => {
            let _best_effort = discard_temp(&folder, &temp);
            return Err(error);
        }
    };
    give_name(&folder, &temp, name, options.existing)?;
    Ok(made)
}

/// What is to be said of a symlink, pipe or device that is not made; an error if it should be and cannot.
pub fn left_out(entry: &Entry, options: &ApplyOptions) -> io::Result<Option<Warning>> {
    match entry.node {
        Node::Socket => {
            let message = "sockets are made by the programs that use them".to_owned();
            Ok(Some(Warning { path: entry.path.clone(), what: "restore it", message }))
        }
        Node::CharDevice { .. } | Node::BlockDevice { .. } if !options.is_root() => {
            Err(io::Error::new(io::ErrorKind::PermissionDenied, "devices need root rights"))
        }
        Node::File { .. } | Node::Directory => Err(io::ErrorKind::InvalidInput.into()),
        _ => Ok(None),
    }
}

fn make(folder: impl AsFd, name: &[u8], node: &Node) -> Result<(), Errno> {
    let mode = Mode::RUSR | Mode::WUSR;
    match node {
        Node::Symlink { target } => symlinkat(&target[..], folder, name),
        Node::Fifo => mknodat(folder, name, FileType::Fifo, mode, 0),
        Node::CharDevice { major, minor } => {
            mknodat(folder, name, FileType::CharacterDevice, mode, makedev(*major, *minor))
        }
        Node::BlockDevice { major, minor } => {
            mknodat(folder, name, FileType::BlockDevice, mode, makedev(*major, *minor))
        }
        Node::File { .. } | Node::Directory | Node::Socket => Err(Errno::INVAL),
    }
}

/// Holds what was just made, and makes sure that it is what was made.
fn held(folder: impl AsFd, name: &[u8], node: &Node) -> io::Result<(OwnedFd, Identity)> {
    let handle = handle_at(folder, name)?;
    let status = status_of(&handle)?;
    if is_of_kind(&status, node) {
        Ok((handle, status.identity))
    } else {
        Err(io::Error::other("replaced by somebody else while it was restored"))
    }
}

fn is_of_kind(status: &Status, node: &Node) -> bool {
    match *node {
        Node::Symlink { .. } => status.kind == Kind::Symlink,
        Node::Fifo => status.kind == Kind::Fifo,
        Node::CharDevice { major, minor } => status.kind == Kind::CharDevice && status.special == (major, minor),
        Node::BlockDevice { major, minor } => status.kind == Kind::BlockDevice && status.special == (major, minor),
        Node::File { .. } | Node::Directory | Node::Socket => false,
    }
}

/// Gives what was restored in this run (no folder), known by its identity, another name.
pub fn hard_link(
    root: &Root,
    from: &[u8],
    to: &[u8],
    identity: Identity,
    options: &ApplyOptions,
    names: &TempNames,
) -> io::Result<()> {
    let ((from_folder, from_name), (to_folder, to_name)) = (root.parent_of(from)?, root.parent_of(to)?);
    // No AT_SYMLINK_FOLLOW: a name swapped for a symlink gives a link to the symlink, which is found out below.
    let ((), temp) = names.make(|temp| linkat(&*from_folder, from_name, &*to_folder, temp, AtFlags::empty()))?;
    if status_at(&*to_folder, &temp).map(|status| status.identity).ok() != Some(identity) {
        let _best_effort = discard_temp(&*to_folder, &temp);
        return Err(io::Error::other("the file to link to was replaced by somebody else"));
    }
    give_name(&*to_folder, &temp, to_name, options.existing)?;
    // Renaming a link over another link of the same file does nothing and leaves both.
    match discard_temp(&*to_folder, &temp) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
#[path = "place_tests.rs"]
mod tests;
