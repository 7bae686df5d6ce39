//! A file on its way into a folder: written and synced under a temporary name, then given its own in one step.
//!
//! Promise: dropped at any point before it is published, it leaves nothing behind, and publishing never replaces.
//! Left out on purpose: syncing the folder (the storage does that once per barrier), and files of killed runs
//! (the storage sweeps them).

use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::Write;
use std::os::fd::BorrowedFd;

use rustix::fs::{AtFlags, Mode, OFlags, RenameFlags, fstat, fsync, linkat, openat, renameat_with, unlinkat};
use rustix::io::Errno;

/// How temporary names begin. No object name does: none begins with a dot.
pub(super) const PREFIX: &str = ".tmp-";

/// How often a new name is tried when one is taken.
const NAMES_TRIED_MAX: u32 = 8;

/// A file under a temporary name.
#[derive(Debug)]
pub(super) struct Temporary<'a> {
    folder: BorrowedFd<'a>,
    name: String,
    file: File,
    bytes: u64,
    there: Presence,
}

/// Whether the temporary name still stands in the folder.
#[derive(Debug, PartialEq, Eq)]
enum Presence {
    Named,
    Gone,
}

impl<'a> Temporary<'a> {
    /// Begins a file in this folder.
    pub(super) fn create(folder: BorrowedFd<'a>) -> Result<Self, Errno> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        for _ in 0..NAMES_TRIED_MAX {
            // The name only has to differ from others, not to be secret: O_EXCL decides.
            let name = format!("{PREFIX}{:016x}", RandomState::new().hash_one(std::process::id()));
            match openat(folder, &name, flags, Mode::RUSR | Mode::WUSR) {
                Ok(fd) => return Ok(Self { folder, name, file: fd.into(), bytes: 0, there: Presence::Named }),
                Err(Errno::EXIST) => {}
                Err(errno) => return Err(errno),
            }
        }
        Err(Errno::AGAIN)
    }

    /// Appends bytes.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), Errno> {
        self.file.write_all(bytes).map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    /// Syncs the file and gives it its name. `EXIST` when the name is taken.
    pub(super) fn publish(mut self, name: &str) -> Result<(), Errno> {
        if u64::try_from(fstat(&self.file)?.st_size) != Ok(self.bytes) {
            return Err(Errno::IO);
        }
        // Once only: after a failed fsync the kernel may take the pages for clean, and a second one would succeed.
        fsync(&self.file)?;
        match self.rename(name) {
            // What a kernel or file system says that cannot rename without replacing.
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => self.link(name),
            result => result,
        }
    }

    fn rename(&mut self, name: &str) -> Result<(), Errno> {
        renameat_with(self.folder, &self.name, self.folder, name, RenameFlags::NOREPLACE)?;
        self.there = Presence::Gone;
        Ok(())
    }

    /// The name is given as a second link; dropping removes the first.
    fn link(&mut self, name: &str) -> Result<(), Errno> {
        match linkat(self.folder, &self.name, self.folder, name, AtFlags::empty()) {
            // NFS repeats a request whose reply was lost, and then finds the link it made itself.
            Err(Errno::EXIST) if fstat(&self.file)?.st_nlink == 2 => Ok(()),
            result => result,
        }
    }
}

impl Drop for Temporary<'_> {
    fn drop(&mut self) {
        if self.there == Presence::Named {
            // What cannot be removed now is swept later; the failure that led here is the one to tell.
            let _ = unlinkat(self.folder, &self.name, AtFlags::empty());
        }
    }
}

#[cfg(test)]
#[path = "temporary_tests.rs"]
mod tests;
