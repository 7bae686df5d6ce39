//! Deleting what is in the target and not in the snapshot.
//!
//! Promise: only below the target, never through a symlink, and nothing that a pattern leaves out of the restore.

use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, unlinkat};

use crate::format::listing::DEPTH_MAX;
use crate::ops::restore::report::Action;
use crate::ops::restore::select::{Chosen, Scope};
use crate::ops::restore::{Context, Mode};
use crate::posix::capture::{Kind, status_at};
use crate::source::directory;
use crate::source::exclude::Form;
use crate::source::names::{Listed, NAMES_IN_MEMORY_MAX, Names, Spill, list};

/// The names in a folder of the target that no entry has taken yet.
pub struct Extras {
    folder: Chosen,
    names: Names,
    /// The next name.
    name: Option<Vec<u8>>,
}

/// The names of an open folder, in order; none if it cannot be read, so that nothing goes that was not seen.
fn names_of(context: &Context<'_>, path: &[u8]) -> io::Result<Names> {
    let folder = context.root()?.folder_to_set(context.below(path))?;
    let options = directory::Options::default();
    let spill = Spill { folder: &options.spill_folder, names_in_memory_max: NAMES_IN_MEMORY_MAX };
    let Listed { names, error, .. } = list(&folder, &spill);
    error.map_or(Ok(names), Err)
}

impl Extras {
    /// What is in a folder of the target before any entry is seen.
    pub fn new(context: &Context<'_>, folder: &Chosen) -> io::Result<Self> {
        let mut extras = Self { folder: folder.clone(), names: names_of(context, &folder.entry.path)?, name: None };
        extras.advance()?;
        Ok(extras)
    }

    fn advance(&mut self) -> io::Result<()> {
        let mut name = Vec::new();
        self.name = self.names.next(&mut name)?.map(|()| name);
        Ok(())
    }

    /// The folder.
    pub fn path(&self) -> &[u8] {
        &self.folder.entry.path
    }

    /// Deletes what comes before a name that is in the snapshot, or with `None` all that is left.
    pub fn delete_before(&mut self, context: &Context<'_>, stays: Option<&[u8]>) -> io::Result<()> {
        while let Some(name) = self.name.take() {
            match stays.map(|stays| name.as_slice().cmp(stays)) {
                Some(std::cmp::Ordering::Greater) => {
                    self.name = Some(name);
                    return Ok(());
                }
                Some(std::cmp::Ordering::Equal) => return self.advance(),
                _ => {}
            }
            let path = join(self.path(), &name);
            if let Err(error) = extra(context, &path, self.folder.scope) {
                context.tally.problem(&path, &format!("cannot delete it: {error}"));
            }
            self.advance()?;
        }
        Ok(())
    }
}

fn join(folder: &[u8], name: &[u8]) -> Vec<u8> {
    if folder.is_empty() { name.to_vec() } else { [folder, b"/", name].concat() }
}

/// Deletes something that is not in the snapshot, if it is our business.
fn extra(context: &Context<'_>, path: &[u8], folder: Scope) -> io::Result<()> {
    let (parent, name) = context.root()?.parent_of(context.below(path))?;
    let form = if status_at(&*parent, name)?.kind == Kind::Directory { Form::Folder } else { Form::Other };
    match (context.filter.covers(path, form, folder), form) {
        (false, _) => Ok(()),
        (true, Form::Folder) => tree(context, path).map(drop),
        (true, Form::Other) => one(context, path, &parent, name),
    }
}

fn one(context: &Context<'_>, path: &[u8], parent: &OwnedFd, name: &[u8]) -> io::Result<()> {
    match context.options.mode {
        Mode::DryRun => context.tally.planned(Action::Delete, path),
        Mode::Write => unlinkat(parent, name, AtFlags::empty())?,
    }
    context.tally.report().deleted += 1;
    Ok(())
}

/// Deletes a folder of the target and what is in it, but for what patterns leave out. Says whether all of it went.
pub fn tree(context: &Context<'_>, path: &[u8]) -> io::Result<bool> {
    struct Level {
        path: Vec<u8>,
        names: Names,
        empty: bool,
    }
    let mut levels = vec![Level { path: path.to_vec(), names: names_of(context, path)?, empty: true }];
    let mut gone = true;
    while let Some(level) = levels.last_mut() {
        let mut name = Vec::new();
        if level.names.next(&mut name)?.is_none() {
            gone = level.empty;
            let Some(Level { path, empty, .. }) = levels.pop() else { break };
            if empty {
                remove_folder(context, &path)?;
            } else if let Some(above) = levels.last_mut() {
                above.empty = false;
            }
            continue;
        }
        let path = join(&level.path, &name);
        let (parent, name) = context.root()?.parent_of(context.below(&path))?;
        let form = if status_at(&*parent, name)?.kind == Kind::Directory { Form::Folder } else { Form::Other };
        if !context.filter.covers(&path, form, Scope::Everything) {
            level.empty = false;
        } else if form == Form::Other {
            one(context, &path, &parent, name)?;
        } else if levels.len() >= DEPTH_MAX {
            return Err(io::Error::other("too deep"));
        } else {
            let names = names_of(context, &path)?;
            levels.push(Level { path, names, empty: true });
        }
    }
    Ok(gone)
}

fn remove_folder(context: &Context<'_>, path: &[u8]) -> io::Result<()> {
    match context.options.mode {
        Mode::DryRun => context.tally.planned(Action::Delete, path),
        Mode::Write => {
            let root = context.root()?;
            let (parent, name) = root.parent_of(context.below(path))?;
            unlinkat(&*parent, name, AtFlags::REMOVEDIR)?;
            root.forget(context.below(path));
        }
    }
    context.tally.report().deleted += 1;
    Ok(())
}

#[cfg(test)]
#[path = "delete_tests.rs"]
mod tests;
