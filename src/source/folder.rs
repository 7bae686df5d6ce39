//! Folders that can be opened again: few descriptors for a tree of any depth.
//!
//! Promise: at most [`OPEN_FOLDERS_MAX`] folders are kept open per walk (users may hold a few more for the length of a
//! call); a folder opened again is the same one, by device and inode number, or it counts as gone.
//! Left out on purpose: listing, and paths of more than one component.

use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::posix::capture::{Identity, status_of};
use crate::posix::open::{folder_at, passage_at};

/// Folders that a walk keeps open.
pub const OPEN_FOLDERS_MAX: usize = 128;

/// The folders that are open, oldest first.
#[derive(Debug, Default)]
pub struct Pool {
    open: Mutex<VecDeque<Weak<Folder>>>,
}

impl Pool {
    fn admit(&self, folder: &Arc<Folder>) {
        let evicted = {
            let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
            open.push_back(Arc::downgrade(folder));
            if open.len() > OPEN_FOLDERS_MAX { open.pop_front() } else { None }
        };
        // Outside of the lock: the last reference to a folder may go here.
        if let Some(folder) = evicted.and_then(|folder| folder.upgrade()) {
            folder.close();
        }
    }
}

/// What a folder is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// To list it and to read its attributes.
    List,
    /// To pass through, which needs no permission to list.
    Pass,
}

/// A folder, open or ready to be opened.
#[derive(Debug)]
pub struct Folder {
    /// The way there; `None` for the base, which is always open.
    parent: Option<Arc<Folder>>,
    name: Box<[u8]>,
    identity: Identity,
    access: Access,
    fd: Mutex<Option<Arc<OwnedFd>>>,
    pool: Arc<Pool>,
}

impl Folder {
    /// The folder a walk begins at. Stays open.
    pub fn base(fd: OwnedFd, pool: Arc<Pool>) -> io::Result<Arc<Self>> {
        let identity = status_of(&fd)?.identity;
        let fd = Mutex::new(Some(Arc::new(fd)));
        Ok(Arc::new(Self { parent: None, name: Box::default(), identity, access: Access::Pass, fd, pool }))
    }

    /// A folder below another one. Nothing is opened yet.
    pub fn child(parent: &Arc<Self>, name: &[u8], identity: Identity, access: Access) -> Arc<Self> {
        let (pool, fd) = (parent.pool.clone(), Mutex::new(None));
        Arc::new(Self { parent: Some(parent.clone()), name: name.into(), identity, access, fd, pool })
    }

    /// The open folder. A folder that is not the one it was is `NotFound`.
    pub fn fd(self: &Arc<Self>) -> io::Result<Arc<OwnedFd>> {
        let mut closed = Vec::new();
        let mut at = self;
        let mut fd = loop {
            if let Some(fd) = at.open_already() {
                break fd;
            }
            closed.push(at);
            at = at.parent.as_ref().ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        };
        for folder in closed.into_iter().rev() {
            fd = folder.open_in(&fd)?;
        }
        Ok(fd)
    }

    /// The folder it lies in; `None` for the base.
    pub fn parent(&self) -> Option<&Arc<Self>> {
        self.parent.as_ref()
    }

    /// Its name in that folder.
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// What it is opened for.
    pub fn access(&self) -> Access {
        self.access
    }

    fn open_already(&self) -> Option<Arc<OwnedFd>> {
        self.fd.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn open_in(self: &Arc<Self>, parent: &OwnedFd) -> io::Result<Arc<OwnedFd>> {
        let opened = {
            let mut slot = self.fd.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(fd) = slot.as_ref() {
                return Ok(fd.clone());
            }
            let fd = match self.access {
                Access::List => folder_at(parent, &self.name)?,
                Access::Pass => passage_at(parent, &self.name)?,
            };
            if status_of(&fd)?.identity != self.identity {
                return Err(io::ErrorKind::NotFound.into());
            }
            slot.insert(Arc::new(fd)).clone()
        };
        self.pool.admit(self);
        Ok(opened)
    }

    fn close(&self) {
        if self.parent.is_some() {
            self.fd.lock().unwrap_or_else(PoisonError::into_inner).take();
        }
    }
}

// Without this, letting go of the last folder of a deep chain would recurse once per level.
impl Drop for Folder {
    fn drop(&mut self) {
        let mut next = self.parent.take();
        while let Some(mut folder) = next.and_then(Arc::into_inner) {
            next = folder.parent.take();
        }
    }
}

#[cfg(test)]
#[path = "folder_tests.rs"]
mod tests;
