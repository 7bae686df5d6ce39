//! Opening for reading, and listing folders, without being led astray.
//!
//! Promise: a symlink in the last component is never followed, nothing blocks on a pipe or wakes a device, and access
//! times stay as they are where the kernel allows it.
//! Left out on purpose: paths of more than one component, which are for `beneath`.

use std::io;
use std::mem::MaybeUninit;
use std::ops::ControlFlow;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Advice, Mode, OFlags, RawDir, fadvise, open, openat};
use rustix::io::Errno;

/// Bytes asked of the kernel per call when a folder is listed.
const DIRENT_BUFFER_BYTES: usize = 64 << 10;

/// Whether an error of opening says that something else has taken the place of a file: a symlink, a socket, a device.
pub fn is_replaced(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::LOOP | Errno::NXIO | Errno::NODEV))
}

/// Opens a file for reading. The caller must look at its kind before reading.
pub fn file_at(folder: impl AsFd, name: &[u8]) -> io::Result<OwnedFd> {
    quietly(folder, name, OFlags::RDONLY | OFlags::NONBLOCK)
}

/// Opens a folder for listing.
pub fn folder_at(folder: impl AsFd, name: &[u8]) -> io::Result<OwnedFd> {
    quietly(folder, name, OFlags::RDONLY | OFlags::DIRECTORY)
}

/// Opens a folder to pass through; permission to search it is enough.
pub fn passage_at(folder: impl AsFd, name: &[u8]) -> io::Result<OwnedFd> {
    Ok(openat(folder, name, OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?)
}

/// Opens the folder at a path that the user gave, symlinks and all, to pass through.
pub fn start_at(path: &Path) -> io::Result<OwnedFd> {
    Ok(open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)
}

/// Gets hold of anything without opening it, even a symlink or a device.
pub fn handle_at(folder: impl AsFd, name: &[u8]) -> io::Result<OwnedFd> {
    Ok(openat(folder, name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?)
}

fn quietly(folder: impl AsFd, name: &[u8], flags: OFlags) -> io::Result<OwnedFd> {
    let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    // Only the owner and root may leave the access time alone.
    match openat(&folder, name, flags | OFlags::NOATIME, Mode::empty()) {
        Err(Errno::PERM) => Ok(openat(&folder, name, flags, Mode::empty())?),
        other => Ok(other?),
    }
}

/// Tells the kernel that a file will be read from front to back. Only a hint.
pub fn expect_sequential(file: impl AsFd) {
    let _only_a_hint = fadvise(file, 0, None, Advice::Sequential);
}

/// Calls `each` with every name in a folder freshly opened, in the kernel's order, without `.` and `..`.
pub fn for_each_name(folder: impl AsFd, each: &mut dyn FnMut(&[u8]) -> ControlFlow<()>) -> io::Result<()> {
    let mut buffer = [MaybeUninit::uninit(); DIRENT_BUFFER_BYTES];
    let mut names = RawDir::new(folder.as_fd(), &mut buffer);
    while let Some(dirent) = names.next() {
        let dirent = match dirent {
            Ok(dirent) => dirent,
            Err(Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        };
        let name = dirent.file_name().to_bytes();
        if name != b"." && name != b".." && each(name).is_break() {
            break;
        }
    }
    Ok(())
}

/// Reads at a place of a file as much as the buffer takes, less only at the end of the file.
pub fn read_at(file: impl AsFd, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match rustix::io::pread(&file, &mut buffer[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(bytes) => filled += bytes,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(filled)
}
