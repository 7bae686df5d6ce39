//! Putting metadata back on what is open.
//!
//! Promise: owner, then attributes, then mode, then times, since each step may undo a later one; on the descriptor
//! only. What cannot be set is a [`Warning`]; no more privilege is given than the stored owner had.
//! Left out on purpose: access times, and taking away attributes or ACLs that a target folder hands down.

use std::fmt::Display;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use rustix::fs::{
    AtFlags, Gid, Mode, Timespec, Timestamps, UTIME_OMIT, Uid, XattrFlags, chmod, chownat, fchmod, fchown, fsetxattr,
    futimens, setxattr, utimensat,
};

use crate::format::Time;
use crate::format::listing::{Entry, Node};
use crate::posix::capture::{Status, status_of};
use crate::posix::owners::OwnerIds;

/// The bits that give a program the rights of its owner.
const SET_ID: u32 = 0o6000;
/// An id that means "leave as it is" to the kernel.
const NO_ID: u32 = u32::MAX;

/// Who should own what is restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owners {
    /// The stored names where this system knows them, else the stored numbers. Without root rights like `Ignore`.
    AsStored,
    /// The stored numbers. Without root rights like `Ignore`.
    Numeric,
    /// Whoever restores.
    Ignore,
}

/// What to do with what is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// Fail with `AlreadyExists`.
    Keep,
    /// Put the restored file in its place. Folders are never replaced.
    Replace,
}

/// How to put things back. One for a whole restore: it remembers ids by name.
#[derive(Debug)]
pub struct ApplyOptions {
    /// Who should own things.
    pub owners: Owners,
    /// What to do with what is there.
    pub existing: Existing,
    ids: OwnerIds,
    rights: Rights,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rights {
    Root,
    User,
}

impl ApplyOptions {
    /// With the rights this process has now.
    pub fn new(owners: Owners, existing: Existing) -> Self {
        let rights = if rustix::process::geteuid().is_root() { Rights::Root } else { Rights::User };
        Self { owners, existing, ids: OwnerIds::new(), rights }
    }

    /// Whether devices can be made, and attributes set that give privileges.
    pub fn is_root(&self) -> bool {
        self.rights == Rights::Root
    }

    /// The ids that an entry should get; `None` if it is not ours to say.
    pub fn wanted_owner(&self, entry: &Entry) -> Option<(u32, u32)> {
        match (self.rights, self.owners) {
            (Rights::User, _) | (_, Owners::Ignore) => None,
            (Rights::Root, Owners::AsStored) => Some(self.ids.ids(&entry.owner)),
            (Rights::Root, Owners::Numeric) => Some((entry.owner.uid, entry.owner.gid)),
        }
    }
}

/// A step that failed. What it was about is there, but not quite as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// Which entry.
    pub path: Vec<u8>,
    /// What failed: "set the owner".
    pub what: &'static str,
    /// Why.
    pub message: String,
}

/// Sets everything on an open folder. The last thing to be done to it.
pub fn set_directory(folder: impl AsFd, entry: &Entry, options: &ApplyOptions) -> Vec<Warning> {
    set(&Target::Open(folder.as_fd()), entry, options)
}

/// Sets everything on an open file.
pub fn set_file(file: impl AsFd, entry: &Entry, options: &ApplyOptions) -> Vec<Warning> {
    set(&Target::Open(file.as_fd()), entry, options)
}

/// Sets everything on a symlink, pipe or device held by an `O_PATH` descriptor.
pub fn set_handle(handle: impl AsFd, entry: &Entry, options: &ApplyOptions) -> Vec<Warning> {
    set(&Target::Handle(handle.as_fd()), entry, options)
}

fn set(target: &Target<'_>, entry: &Entry, options: &ApplyOptions) -> Vec<Warning> {
    let mut warnings = Warnings { path: &entry.path, found: Vec::new() };
    let status = match status_of(target.fd()) {
        Ok(status) => status,
        Err(error) => {
            warnings.add("look at it", error);
            return warnings.found;
        }
    };
    let owner = set_owner(target, entry, &status, options, &mut warnings);
    set_xattrs(target, entry, options, &mut warnings);
    if !matches!(entry.node, Node::Symlink { .. }) {
        set_mode(target, entry, &status, owner, &mut warnings);
    }
    set_times(target, entry.mtime, &mut warnings);
    warnings.found
}

/// What became of the owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OwnerNow {
    /// The stored one.
    Stored,
    /// Somebody else, as asked for or because it failed.
    Other,
}

fn set_owner(
    target: &Target<'_>,
    entry: &Entry,
    status: &Status,
    options: &ApplyOptions,
    warnings: &mut Warnings<'_>,
) -> OwnerNow {
    let Some((uid, gid)) = options.wanted_owner(entry) else { return OwnerNow::Other };
    if uid == NO_ID || gid == NO_ID {
        warnings.add("set the owner", "no such id");
        return OwnerNow::Other;
    }
    if (uid, gid) == (status.uid, status.gid) {
        return OwnerNow::Stored;
    }
    match target.chown(Uid::from_raw(uid), Gid::from_raw(gid)) {
        Ok(()) => OwnerNow::Stored,
        Err(error) => {
            warnings.add("set the owner", error);
            OwnerNow::Other
        }
    }
}

fn set_xattrs(target: &Target<'_>, entry: &Entry, options: &ApplyOptions, warnings: &mut Warnings<'_>) {
    for (name, value) in &entry.xattrs {
        let privileged = name.starts_with(b"trusted.") || name == b"security.capability";
        if privileged && !options.is_root() {
            warnings.add("set an attribute", format!("{} needs root rights", name.escape_ascii()));
            continue;
        }
        match target.set_xattr(name, value) {
            Ok(()) => {}
            // A label belongs to the policy of one system; another one has its own.
            Err(_) if name == b"security.selinux" => {}
            Err(error) => warnings.add("set an attribute", format!("{}: {error}", name.escape_ascii())),
        }
    }
}

fn set_mode(target: &Target<'_>, entry: &Entry, status: &Status, owner: OwnerNow, warnings: &mut Warnings<'_>) {
    let mut wanted = entry.mode & 0o7777;
    let is_folder = matches!(entry.node, Node::Directory);
    // A program must not get the rights of whoever happens to restore it. On a folder these bits give none.
    if owner == OwnerNow::Other && !is_folder && wanted & SET_ID != 0 {
        wanted &= !SET_ID;
        warnings.add("set the mode", "setuid and setgid left off: the owner is another");
    }
    let has_acl = entry.xattrs.iter().any(|(name, _)| name.starts_with(b"system.posix_acl_"));
    // Changing the owner may have taken these bits away since the look.
    let may_differ = has_acl || status.mode & SET_ID != 0;
    if (may_differ || wanted != status.mode)
        && let Err(error) = target.chmod(Mode::from_raw_mode(wanted))
    {
        warnings.add("set the mode", error);
    }
}

fn set_times(target: &Target<'_>, mtime: Time, warnings: &mut Warnings<'_>) {
    if mtime.nanos > 999_999_999 {
        warnings.add("set the time", "no such time");
        return;
    }
    let times = Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        last_modification: Timespec { tv_sec: mtime.seconds, tv_nsec: mtime.nanos.into() },
    };
    if let Err(error) = target.set_times(&times) {
        warnings.add("set the time", error);
        return;
    }
    // The kernel bends a time that the file system cannot hold, without a word.
    let unusual = !(0..=i64::from(i32::MAX)).contains(&mtime.seconds);
    if unusual && status_of(target.fd()).is_ok_and(|status| status.mtime.seconds != mtime.seconds) {
        warnings.add("set the time", "the file system cannot hold it");
    }
}

struct Warnings<'a> {
    path: &'a [u8],
    found: Vec<Warning>,
}

impl Warnings<'_> {
    fn add(&mut self, what: &'static str, why: impl Display) {
        self.found.push(Warning { path: self.path.to_vec(), what, message: why.to_string() });
    }
}

/// What metadata is set on.
enum Target<'a> {
    /// A file or folder that is open.
    Open(BorrowedFd<'a>),
    /// Anything else, held by an `O_PATH` descriptor, which most calls refuse: they go by its link in /proc.
    Handle(BorrowedFd<'a>),
}

impl Target<'_> {
    fn fd(&self) -> BorrowedFd<'_> {
        match self {
            Target::Open(fd) | Target::Handle(fd) => *fd,
        }
    }

    fn link(&self) -> String {
        format!("/proc/self/fd/{}", self.fd().as_raw_fd())
    }

    fn chown(&self, uid: Uid, gid: Gid) -> rustix::io::Result<()> {
        match self {
            Target::Open(fd) => fchown(fd, Some(uid), Some(gid)),
            Target::Handle(fd) => chownat(fd, "", Some(uid), Some(gid), AtFlags::EMPTY_PATH),
        }
    }

    fn set_xattr(&self, name: &[u8], value: &[u8]) -> rustix::io::Result<()> {
        match self {
            Target::Open(fd) => fsetxattr(fd, name, value, XattrFlags::empty()),
            Target::Handle(_) => setxattr(self.link(), name, value, XattrFlags::empty()),
        }
    }

    fn chmod(&self, mode: Mode) -> rustix::io::Result<()> {
        match self {
            Target::Open(fd) => fchmod(fd, mode),
            Target::Handle(_) => chmod(self.link(), mode),
        }
    }

    fn set_times(&self, times: &Timestamps) -> rustix::io::Result<()> {
        match self {
            Target::Open(fd) => futimens(fd, times),
            Target::Handle(fd) => utimensat(fd, "", times, AtFlags::EMPTY_PATH),
        }
    }
}

#[cfg(test)]
#[path = "apply_tests.rs"]
mod tests;
