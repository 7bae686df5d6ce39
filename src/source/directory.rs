//! Folders and files of a POSIX file system as a source.
//!
//! Promise: what `walk` and `file` promise, for any number of paths; can be walked again and again.
//! Left out on purpose: snapshots of the file system, and following symlinks.

use std::io;
use std::ops::ControlFlow::{self, Continue};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::posix::capture::{Kind, status_at};
use crate::posix::open::start_at;
use crate::source::exclude::Exclude;
use crate::source::folder::{Folder, Pool};
use crate::source::names::NAMES_IN_MEMORY_MAX;
use crate::source::stream::check_name;
use crate::source::targets::{Layout, Targets, find};
use crate::source::walk::Walk;
use crate::source::{Error, Found, Source};

/// What to leave out, and where to put what does not fit into memory.
#[derive(Debug, Clone)]
pub struct Options {
    /// Patterns of what stays out. See `exclude`.
    pub exclude: Vec<String>,
    /// What to do with folders that are marked as caches.
    pub caches: Caches,
    /// Whether to go into other file systems.
    pub file_systems: FileSystems,
    /// Device and inode numbers of folders not to go into, such as the repository.
    pub skip: Vec<(u64, u64)>,
    /// Where a temporary file goes if a folder has too many names for memory.
    pub spill_folder: PathBuf,
    /// How many names of a folder are kept in memory.
    pub names_in_memory_max: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            exclude: Vec::new(),
            caches: Caches::Include,
            file_systems: FileSystems::All,
            skip: Vec::new(),
            spill_folder: PathBuf::from("/var/tmp"),
            names_in_memory_max: NAMES_IN_MEMORY_MAX,
        }
    }
}

/// What to do with folders that hold a valid `CACHEDIR.TAG`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caches {
    /// Nothing special.
    Include,
    /// Keep the folder and the tag, leave out the rest.
    Exclude,
}

/// Which file systems to go into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileSystems {
    /// All that are mounted below.
    All,
    /// Only the one that a named path lies on; of others, the folder they are mounted on.
    One,
}

/// Folders and files.
#[derive(Debug)]
pub struct DirectorySource {
    roots: Roots,
    options: Options,
    exclude: Exclude,
}

/// Where things are, and under which paths they are stored.
#[derive(Debug)]
enum Roots {
    /// As `targets` says.
    Paths(Vec<PathBuf>),
    /// Folders that are stored under names of their own, in listing order.
    Named(Vec<(String, PathBuf)>),
}

impl DirectorySource {
    /// What lies at these paths. Nothing is looked at before the walk; only the patterns are checked.
    pub fn new(paths: Vec<PathBuf>, options: Options) -> Result<Self, Error> {
        Self::of(Roots::Paths(paths), options)
    }

    /// Folders, each with the name under which it lies in the snapshot's root, wherever it is.
    pub fn named(mut folders: Vec<(String, PathBuf)>, options: Options) -> Result<Self, Error> {
        folders.sort_unstable();
        folders.dedup_by(|later, earlier| later.0 == earlier.0);
        folders.iter().try_for_each(|(name, _)| check_name(name.as_bytes()))?;
        Self::of(Roots::Named(folders), options)
    }

    fn of(roots: Roots, options: Options) -> Result<Self, Error> {
        let exclude = Exclude::new(&options.exclude)?;
        Ok(Self { roots, options, exclude })
    }
}

impl Source for DirectorySource {
    fn walk(&self, visit: &mut dyn FnMut(Found) -> ControlFlow<()>) -> Result<(), Error> {
        let paths = match &self.roots {
            Roots::Paths(paths) => paths,
            Roots::Named(folders) => return named(&mut Walk::new(&self.options, &self.exclude, visit), folders),
        };
        let (targets, problems) = find(paths)?;
        let start = |source| Error::Start { path: targets.base.clone(), source };
        let fd = start_at(&targets.base).map_err(start)?;
        let base = Folder::base(fd, Arc::new(Pool::default())).map_err(start)?;
        let mut walk = Walk::new(&self.options, &self.exclude, visit);
        for problem in problems {
            if walk.problem(problem).is_break() {
                return Ok(());
            }
        }
        let _stopped_early_or_not = match &targets {
            Targets { layout: Layout::Single(name), .. } => one(&mut walk, &base, name).map_err(start)?,
            Targets { layout: Layout::Several(paths), .. } => several(&mut walk, &base, paths),
        };
        Ok(())
    }

    fn replayable(&self) -> bool {
        true
    }
}

/// Walks folder by folder. All of them must be there.
fn named(walk: &mut Walk<'_>, folders: &[(String, PathBuf)]) -> Result<(), Error> {
    let found = folders.iter().map(|(name, path)| Ok((name, base_of(path)?)));
    for (name, (base, last)) in found.collect::<Result<Vec<_>, Error>>()? {
        if walk.tree(&base, &last, name.as_bytes()).is_break() {
            break;
        }
    }
    Ok(())
}

/// The folder that a path lies in, and its name there.
fn base_of(path: &Path) -> Result<(Arc<Folder>, Vec<u8>), Error> {
    let (targets, _) = find(&[path.to_owned()])?;
    let name = match targets.layout {
        Layout::Single(name) => name,
        Layout::Several(_) => b".".to_vec(),
    };
    let base = start_at(&targets.base).and_then(|fd| Folder::base(fd, Arc::new(Pool::default())));
    base.map(|base| (base, name)).map_err(|source| Error::Start { path: targets.base, source })
}

fn one(walk: &mut Walk<'_>, base: &Arc<Folder>, name: &[u8]) -> io::Result<ControlFlow<()>> {
    let folder = status_at(&*base.fd()?, name)?.kind == Kind::Directory;
    Ok(walk.tree(base, name, if folder { b"" } else { name }))
}

/// The folders on the way to a target, with their paths; `None` where there turned out to be no folder.
type Way = Vec<(Vec<u8>, Option<Arc<Folder>>)>;

/// Walks to each path, showing every folder on the way once.
fn several(walk: &mut Walk<'_>, base: &Arc<Folder>, paths: &[Vec<u8>]) -> ControlFlow<()> {
    let mut way = Way::new();
    for path in paths {
        if path.is_empty() {
            return walk.tree(base, b".", b"");
        }
        way.retain(|(passed, _)| path.starts_with(passed) && path.get(passed.len()) == Some(&b'/'));
        if let Some(parent) = approach(walk, base, path, &mut way)? {
            walk.tree(&parent, last_component(path), path)?;
        }
    }
    Continue(())
}

/// The folder that a path lies in. `None` if it is not to be had, which has been reported then.
fn approach(
    walk: &mut Walk<'_>,
    base: &Arc<Folder>,
    path: &[u8],
    way: &mut Way,
) -> ControlFlow<(), Option<Arc<Folder>>> {
    let mut parent = way.last().map_or(Some(base.clone()), |(_, folder)| folder.clone());
    let passed = way.last().map_or(0, |(passed, _)| passed.len() + 1);
    for slash in (passed..path.len()).filter(|&at| path[at] == b'/') {
        let Some(folder) = parent else { break };
        parent = walk.passage(&folder, last_component(&path[..slash]), &path[..slash])?;
        way.push((path[..slash].to_vec(), parent.clone()));
    }
    Continue(parent)
}

fn last_component(path: &[u8]) -> &[u8] {
    path.rsplit(|&byte| byte == b'/').next().unwrap_or(path)
}

#[cfg(test)]
#[path = "directory_tests.rs"]
mod tests;
