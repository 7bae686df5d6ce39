//! Walking down folders in listing order.
//!
//! Promise: depth first, names sorted bytewise, each folder directly before what is in it; memory for the names on the
//! way down only; one system call per entry relative to its folder, plus one for a symlink.
//! Left out on purpose: opening files, and remembering anything about entries already shown.

use std::io;
use std::ops::ControlFlow::{self, Break, Continue};
use std::os::fd::OwnedFd;
use std::sync::Arc;

use crate::format::listing::{DEPTH_MAX, PATH_BYTES_MAX};
use crate::posix::capture::{Kind, Status, entry, node_at, status_at, status_of};
use crate::posix::open::{file_at, read_at};
use crate::posix::owners::OwnerNames;
use crate::source::directory::{Caches, FileSystems, Options};
use crate::source::exclude::{Exclude, Form};
use crate::source::file::{FileReader, FolderReader, SpecialReader};
use crate::source::folder::{Access, Folder};
use crate::source::names::{Listed, Names, Spill, list};
use crate::source::{Candidate, Found, Problem, Reader};

/// The file that marks a folder as a cache, and how it begins. See <https://bford.info/cachedir/>.
const CACHE_TAG: &[u8] = b"CACHEDIR.TAG";
const CACHE_SIGNATURE: &[u8; 43] = b"Signature: 8a477f597d28d172789f06886806bc55";

/// What a path is to the user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Named, or on the way to what was named: never excluded.
    Named,
    /// Found in a folder.
    Met,
}

/// A walk under way.
pub struct Walk<'a> {
    options: &'a Options,
    exclude: &'a Exclude,
    owners: Arc<OwnerNames>,
    visit: &'a mut dyn FnMut(Found) -> ControlFlow<()>,
    /// The path of the current entry in the listing.
    path: Vec<u8>,
    /// The file system that the current target lies on.
    device: u64,
}

/// A folder whose names are being gone through.
struct Frame {
    folder: Arc<Folder>,
    names: Names,
    path_bytes: usize,
}

impl<'a> Walk<'a> {
    /// A walk that shows what it finds to `visit`.
    pub fn new(options: &'a Options, exclude: &'a Exclude, visit: &'a mut dyn FnMut(Found) -> ControlFlow<()>) -> Self {
        Self { options, exclude, owners: Arc::new(OwnerNames::new()), visit, path: Vec::new(), device: 0 }
    }

    /// Shows what lies under `name` in `base`, and everything below it. It is stored under `path`.
    pub fn tree(&mut self, base: &Arc<Folder>, name: &[u8], path: &[u8]) -> ControlFlow<()> {
        self.path = path.to_vec();
        let Some((folder, status)) = self.show(base, name, Origin::Named, Access::List)? else { return Continue(()) };
        self.device = status.identity.device;
        let mut stack: Vec<Frame> = self.enter(folder, &status)?.into_iter().collect();
        let depth = path.split(|&byte| byte == b'/').filter(|component| !component.is_empty()).count();
        while let Some(top) = stack.last_mut() {
            self.path.truncate(top.path_bytes);
            let start = if top.path_bytes == 0 { 0 } else { top.path_bytes + 1 };
            if start > 0 {
                self.path.push(b'/');
            }
            match top.names.next(&mut self.path) {
                Ok(Some(())) => {
                    let name = self.path[start..].to_vec();
                    let parent = top.folder.clone();
                    let frame = self.below(&parent, &name, depth + stack.len())?;
                    stack.extend(frame);
                }
                Ok(None) => drop(stack.pop()),
                Err(error) => {
                    self.path.truncate(top.path_bytes);
                    self.problem(Problem::new(&self.path, "list", &error))?;
                    stack.pop();
                }
            }
        }
        Continue(())
    }

    fn below(&mut self, parent: &Arc<Folder>, name: &[u8], depth: usize) -> ControlFlow<(), Option<Frame>> {
        if self.path.len() as u64 > PATH_BYTES_MAX || depth > DEPTH_MAX {
            self.problem(Problem::unreadable(&self.path, "path too long or too deep"))?;
            return Continue(None);
        }
        match self.show(parent, name, Origin::Met, Access::List)? {
            Some((folder, status)) => self.enter(folder, &status),
            None => Continue(None),
        }
    }

    /// Shows the folder on the way to a target. `None` if it is none, or not to be had.
    pub fn passage(&mut self, parent: &Arc<Folder>, name: &[u8], path: &[u8]) -> ControlFlow<(), Option<Arc<Folder>>> {
        self.path = path.to_vec();
        let shown = self.show(parent, name, Origin::Named, Access::Pass)?;
        Continue(shown.map(|(folder, _)| folder))
    }

    /// Shows one entry. Gives it back if it is a folder.
    fn show(
        &mut self,
        parent: &Arc<Folder>,
        name: &[u8],
        origin: Origin,
        access: Access,
    ) -> ControlFlow<(), Option<(Arc<Folder>, Status)>> {
        let seen = parent.fd().and_then(|fd| Ok((status_at(&*fd, name)?, fd)));
        let (status, fd) = match seen {
            Ok(seen) => seen,
            Err(error) => return self.lost(Problem::new(&self.path, "look at it", &error)),
        };
        let form = if status.kind == Kind::Directory { Form::Folder } else { Form::Other };
        if origin == Origin::Met && self.exclude.matches(&self.path, form) {
            return Continue(None);
        }
        let node = match node_at(&*fd, name, &status) {
            Ok(node) => node,
            Err(error) => return self.lost(Problem::new(&self.path, "read it", &error)),
        };
        let entry = entry(self.path.clone(), node, &status, &self.owners);
        let folder = (form == Form::Folder).then(|| Folder::child(parent, name, status.identity, access));
        let reader: Box<dyn Reader> = match (&folder, status.kind) {
            (Some(folder), _) => Box::new(FolderReader { folder: folder.clone() }),
            (None, Kind::File) => Box::new(FileReader { folder: parent.clone(), owners: self.owners.clone() }),
            (None, _) => Box::new(SpecialReader { folder: parent.clone() }),
        };
        (self.visit)(Found::Entry(Candidate { entry, reader }))?;
        Continue(folder.map(|folder| (folder, status)))
    }

    /// Lists a folder, unless it is one to stay out of.
    fn enter(&mut self, folder: Arc<Folder>, status: &Status) -> ControlFlow<(), Option<Frame>> {
        let foreign = self.options.file_systems == FileSystems::One && status.identity.device != self.device;
        let skipped = self.options.skip.contains(&(status.identity.device, status.identity.inode));
        if foreign || skipped {
            return Continue(None);
        }
        let fd = match folder.fd() {
            Ok(fd) => fd,
            Err(error) => return self.lost(Problem::new(&self.path, "list", &error)),
        };
        let Listed { mut names, error, too_long } = list(&*fd, &self.spill());
        for name in too_long {
            let path = [&self.path, &b"/"[..], &name].concat();
            self.problem(Problem::unreadable(&path, "name longer than 255 bytes"))?;
        }
        if let Some(error) = error {
            self.problem(Problem::new(&self.path, "list", &error))?;
        }
        let asked = self.options.caches == Caches::Exclude && names.may_contain(CACHE_TAG);
        if asked && is_cache(&fd) {
            names = Names::only(CACHE_TAG);
        }
        Continue(Some(Frame { folder, names, path_bytes: self.path.len() }))
    }

    fn spill(&self) -> Spill<'a> {
        let options = self.options;
        Spill { folder: &options.spill_folder, names_in_memory_max: options.names_in_memory_max }
    }

    fn lost<T>(&mut self, problem: Problem) -> ControlFlow<(), Option<T>> {
        match self.problem(problem) {
            Continue(()) => Continue(None),
            Break(()) => Break(()),
        }
    }

    /// Reports something that could not be had.
    pub fn problem(&mut self, problem: Problem) -> ControlFlow<()> {
        (self.visit)(Found::Problem(problem))
    }
}

fn is_cache(folder: &OwnedFd) -> bool {
    let mut head = [0; CACHE_SIGNATURE.len()];
    let mut read = || -> io::Result<usize> {
        let file = file_at(folder, CACHE_TAG)?;
        if status_of(&file)?.kind != Kind::File {
            return Ok(0);
        }
        read_at(&file, &mut head, 0)
    };
    matches!(read(), Ok(bytes) if bytes == CACHE_SIGNATURE.len()) && head == *CACHE_SIGNATURE
}
