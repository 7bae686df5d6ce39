//! Readers of what lies in a folder.
//!
//! Promise: the file that is read is the kind of file that was seen; at most as many bytes as its length was when it
//! was opened; whether it changed meanwhile is said at the end. Pipes, sockets and devices are never opened.
//! Left out on purpose: retries. A file that changes is stored as read.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use crate::format::listing::{Entry, Extent, Node};
use crate::posix::capture::{Kind, Status, refresh, status_of};
use crate::posix::open::{expect_sequential, file_at, folder_at, handle_at, is_replaced, read_at};
use crate::posix::owners::OwnerNames;
use crate::posix::{sparse, xattrs};
use crate::source::folder::{Access, Folder};
use crate::source::{Content, NoContent, Problem, Reader, Verdict};

/// Files at least this long are announced to the kernel as read in sequence.
const SEQUENTIAL_BYTES_MIN: u64 = 1 << 20;

/// The reader of a file. Its name is the last component of its entry's path.
pub struct FileReader {
    /// The folder it lies in.
    pub folder: Arc<Folder>,
    /// Names for an owner that changed meanwhile.
    pub owners: Arc<OwnerNames>,
}

impl Reader for FileReader {
    fn open(self: Box<Self>, entry: &mut Entry) -> Result<Box<dyn Content>, Problem> {
        let name = last_component(&entry.path);
        let fd = self.folder.fd().and_then(|folder| file_at(&*folder, name)).map_err(|e| open_problem(entry, &e))?;
        let status = status_of(&fd).map_err(|e| Problem::new(&entry.path, "read", &e))?;
        if status.kind != Kind::File {
            return Err(replaced(entry));
        }
        refresh(entry, &status, &self.owners);
        entry.xattrs = xattrs::of_open(&fd).map_err(|e| Problem::new(&entry.path, "read extended attributes", &e))?;
        let found = if status.may_have_holes() {
            sparse::extents(&fd, status.bytes).map_err(|e| Problem::new(&entry.path, "find the holes", &e))?
        } else {
            None
        };
        if let Node::File { extents, .. } = &mut entry.node {
            extents.clone_from(&found);
        }
        if status.bytes >= SEQUENTIAL_BYTES_MIN {
            expect_sequential(&fd);
        }
        let whole = Extent { offset: 0, bytes: status.bytes };
        let stretches = found.unwrap_or_else(|| vec![whole]);
        Ok(Box::new(FileContent { fd, status, stretches, current: 0, taken: 0 }))
    }
}

/// A file being read.
struct FileContent {
    fd: OwnedFd,
    /// As of when it was opened.
    status: Status,
    /// What to read: the extents, or the whole.
    stretches: Vec<Extent>,
    current: usize,
    /// Bytes taken from the current stretch.
    taken: u64,
}

impl Content for FileContent {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            let Some(stretch) = self.stretches.get(self.current) else { break };
            let left = stretch.bytes - self.taken;
            if left == 0 {
                self.current += 1;
                self.taken = 0;
                continue;
            }
            let wanted = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len() - filled);
            let bytes = read_at(&self.fd, &mut buffer[filled..filled + wanted], stretch.offset + self.taken)?;
            self.taken += bytes as u64;
            filled += bytes;
            if bytes < wanted {
                // Cut off while it was read. Should it grow again, what comes then is another file's content.
                self.current = self.stretches.len();
            }
        }
        Ok(filled)
    }

    fn finish(self: Box<Self>, entry: &mut Entry, bytes_read: u64) -> Verdict {
        let now = status_of(&self.fd);
        let expected = self.stretches.iter().map(|stretch| stretch.bytes).sum::<u64>();
        if bytes_read != expected {
            cut_off(entry, bytes_read, now.as_ref().map_or(0, |now| now.bytes));
        }
        match now {
            Ok(now) if bytes_read == expected && self.status.same_state(&now) => Verdict::Steady,
            _ => Verdict::Changed,
        }
    }
}

/// Makes the entry say what was read of a file that turned out shorter.
fn cut_off(entry: &mut Entry, bytes_read: u64, bytes_now: u64) {
    let Node::File { bytes, extents, .. } = &mut entry.node else { return };
    let Some(extents) = extents else {
        *bytes = bytes_read;
        return;
    };
    let mut left = bytes_read;
    for extent in extents.iter_mut() {
        extent.bytes = extent.bytes.min(left);
        left -= extent.bytes;
    }
    extents.retain(|extent| extent.bytes > 0);
    let end = extents.last().map_or(0, |extent| extent.offset + extent.bytes);
    *bytes = bytes_now.clamp(end, (*bytes).max(end));
}

/// The reader of a folder: attributes only.
pub struct FolderReader {
    /// The folder itself.
    pub folder: Arc<Folder>,
}

impl Reader for FolderReader {
    fn open(self: Box<Self>, entry: &mut Entry) -> Result<Box<dyn Content>, Problem> {
        entry.xattrs = self.xattrs().map_err(|e| Problem::new(&entry.path, "read extended attributes", &e))?;
        Ok(Box::new(NoContent))
    }
}

impl FolderReader {
    fn xattrs(&self) -> io::Result<xattrs::Xattrs> {
        match self.folder.fd() {
            Ok(fd) if self.folder.access() == Access::List => xattrs::of_open(&*fd),
            Ok(fd) => match folder_at(&*fd, b".") {
                Ok(listable) => xattrs::of_open(&listable),
                Err(_) => xattrs::of_handle(&*fd),
            },
            // A folder that may not be listed keeps its own entry.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                let parent = self.folder.parent().ok_or(error)?.fd()?;
                xattrs::of_handle(handle_at(&*parent, self.folder.name())?)
            }
            Err(error) => Err(error),
        }
    }
}

/// The reader of a symlink, pipe, socket or device: attributes only.
pub struct SpecialReader {
    /// The folder it lies in.
    pub folder: Arc<Folder>,
}

impl Reader for SpecialReader {
    fn open(self: Box<Self>, entry: &mut Entry) -> Result<Box<dyn Content>, Problem> {
        let name = last_component(&entry.path);
        let handle = self.folder.fd().and_then(|folder| handle_at(&*folder, name));
        let handle = handle.map_err(|e| open_problem(entry, &e))?;
        let status = status_of(&handle).map_err(|e| Problem::new(&entry.path, "read", &e))?;
        // The target was read when the walk came by, so that it has to be the same one still.
        if (status.identity.device, status.identity.inode) != (entry.device, entry.inode) {
            return Err(replaced(entry));
        }
        entry.xattrs = xattrs::of_handle(&handle).map_err(|e| Problem::new(&entry.path, "read attributes", &e))?;
        Ok(Box::new(NoContent))
    }
}

fn last_component(path: &[u8]) -> &[u8] {
    path.rsplit(|&byte| byte == b'/').next().unwrap_or(path)
}

fn replaced(entry: &Entry) -> Problem {
    Problem::unreadable(&entry.path, "replaced by something else while the backup ran")
}

fn open_problem(entry: &Entry, error: &io::Error) -> Problem {
    if is_replaced(error) { replaced(entry) } else { Problem::new(&entry.path, "open", error) }
}

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
