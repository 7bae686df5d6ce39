//! A folder that nothing leaves: descents below the target of a restore.
//!
//! Promise: no symlink is followed below the root, in any component and at any time, even while another process swaps
//! folders for symlinks; no path leads out by `..` or by being absolute.
//! Left out on purpose: a folder that somebody moves out of the root while it is open. What is written into it then
//! goes where it was moved, as with any open folder; only those who may write outside anyway can do that.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::fs::{Mode, OFlags, ResolveFlags, mkdirat, open, openat, openat2};
use rustix::io::Errno;

use crate::format::listing::check_path;

/// Folders that are kept open, so that files of one folder need a single descent.
const RECENT_MAX: usize = 64;
/// Longest path given to the kernel at once, well below its limit of 4096.
const STRETCH_BYTES_MAX: usize = 2048;
/// How often a descent is tried again when the kernel says that something was renamed meanwhile.
const RETRIES_MAX: usize = 64;
/// How a folder is opened when it is only passed through or created in.
const PASSAGE: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
/// How a folder is opened when its attributes are set.
const READABLE: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// The open target folder. May be used by several threads.
#[derive(Debug)]
pub struct Root {
    fd: Arc<OwnedFd>,
    /// Folders used last, the latest first.
    recent: Mutex<VecDeque<(Vec<u8>, Arc<OwnedFd>)>>,
    openat2_missing: AtomicBool,
}

/// Whether a folder had to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Made {
    /// It was made, with mode 0700.
    New,
    /// There was one.
    Existing,
}

impl Root {
    /// Opens the target. A symlink the user gave is followed, here and only here.
    pub fn open(target: &Path) -> io::Result<Self> {
        let fd = Arc::new(open(target, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?);
        Ok(Self { fd, recent: Mutex::default(), openat2_missing: AtomicBool::new(false) })
    }

    /// A folder below the root, to create things in. The empty path is the root itself.
    pub fn folder(&self, path: &[u8]) -> io::Result<Arc<OwnedFd>> {
        if path.is_empty() {
            return Ok(self.fd.clone());
        }
        if let Some(fd) = self.remembered(path) {
            return Ok(fd);
        }
        let fd = Arc::new(self.descend(path, PASSAGE)?);
        let mut recent = self.recent();
        recent.truncate(RECENT_MAX - 1);
        recent.push_front((path.to_vec(), fd.clone()));
        Ok(fd)
    }

    /// The folder that a path lies in, and its name there.
    pub fn parent_of<'p>(&self, path: &'p [u8]) -> io::Result<(Arc<OwnedFd>, &'p [u8])> {
        check_path(path).map_err(|reject| io::Error::new(io::ErrorKind::InvalidInput, reject))?;
        match path.iter().rposition(|&byte| byte == b'/') {
            Some(slash) => Ok((self.folder(&path[..slash])?, &path[slash + 1..])),
            None if path.is_empty() => Err(io::ErrorKind::InvalidInput.into()),
            None => Ok((self.fd.clone(), path)),
        }
    }

    /// A folder opened so that its attributes can be read and set. The empty path is the root itself.
    pub fn folder_to_set(&self, path: &[u8]) -> io::Result<OwnedFd> {
        if path.is_empty() {
            return Ok(openat(&*self.fd, ".", READABLE, Mode::empty())?);
        }
        self.descend(path, READABLE)
    }

    /// Makes a folder for its owner only. One that is there already is left as it is; anything else is an error.
    pub fn make_dir(&self, path: &[u8]) -> io::Result<Made> {
        let (parent, name) = self.parent_of(path)?;
        match mkdirat(&*parent, name, Mode::RWXU) {
            Ok(()) => Ok(Made::New),
            Err(Errno::EXIST) => self.folder(path).map(|_| Made::Existing),
            Err(error) => Err(error.into()),
        }
    }

    /// To be called when a folder was removed or replaced: it and what lies below it are opened afresh.
    pub fn forget(&self, path: &[u8]) {
        let below = |known: &[u8]| {
            known.strip_prefix(path).is_some_and(|rest| path.is_empty() || rest.is_empty() || rest[0] == b'/')
        };
        self.recent().retain(|(known, _)| !below(known));
    }

    fn recent(&self) -> MutexGuard<'_, VecDeque<(Vec<u8>, Arc<OwnedFd>)>> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remembered(&self, path: &[u8]) -> Option<Arc<OwnedFd>> {
        let mut recent = self.recent();
        let at = recent.iter().position(|(known, _)| known == path)?;
        if at > 0
            && let Some(found) = recent.remove(at)
        {
            recent.push_front(found);
        }
        recent.front().map(|(_, fd)| fd.clone())
    }

    fn descend(&self, path: &[u8], flags: OFlags) -> io::Result<OwnedFd> {
        check_path(path).map_err(|reject| io::Error::new(io::ErrorKind::InvalidInput, reject))?;
        let (start, mut left) = self.nearest(path);
        let mut reached: Option<OwnedFd> = None;
        while left.len() > STRETCH_BYTES_MAX {
            let slash = left[..STRETCH_BYTES_MAX].iter().rposition(|&byte| byte == b'/');
            let Some(slash) = slash else { return Err(io::ErrorKind::InvalidInput.into()) };
            let next = self.stretch(reached.as_ref().unwrap_or(&start), &left[..slash], PASSAGE)?;
            reached = Some(next);
            left = &left[slash + 1..];
        }
        self.stretch(reached.as_ref().unwrap_or(&start), left, flags)
    }

    /// Where to begin a descent: the folder's parent if that is open, else the root.
    fn nearest<'p>(&self, path: &'p [u8]) -> (Arc<OwnedFd>, &'p [u8]) {
        let parent = path.iter().rposition(|&byte| byte == b'/');
        match parent.and_then(|slash| Some((self.remembered(&path[..slash])?, &path[slash + 1..]))) {
            Some(found) => found,
            None => (self.fd.clone(), path),
        }
    }

    fn stretch(&self, from: &OwnedFd, path: &[u8], flags: OFlags) -> io::Result<OwnedFd> {
        if self.openat2_missing.load(Ordering::Relaxed) {
            return by_component(from, path, flags);
        }
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        for _ in 0..RETRIES_MAX {
            match openat2(from, path, flags, Mode::empty(), resolve) {
                Ok(fd) => return Ok(fd),
                Err(Errno::AGAIN | Errno::INTR) => {}
                // Older kernels, and sandboxes that do not know the call.
                Err(Errno::NOSYS | Errno::PERM) => {
                    self.openat2_missing.store(true, Ordering::Relaxed);
                    return by_component(from, path, flags);
                }
                Err(error) => return Err(error.into()),
            }
        }
        by_component(from, path, flags)
    }
}

/// The same without the kernel's help: one component at a time, none of which may be a symlink.
fn by_component(from: &OwnedFd, path: &[u8], flags: OFlags) -> io::Result<OwnedFd> {
    let (way, last) = match path.iter().rposition(|&byte| byte == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (&path[..0], path),
    };
    let mut reached: Option<OwnedFd> = None;
    for name in way.split(|&byte| byte == b'/').filter(|name| !name.is_empty()) {
        let next = openat(reached.as_ref().unwrap_or(from), name, PASSAGE, Mode::empty())?;
        reached = Some(next);
    }
    Ok(openat(reached.as_ref().unwrap_or(from).as_fd(), last, flags, Mode::empty())?)
}

#[cfg(test)]
#[path = "beneath_tests.rs"]
mod tests;
