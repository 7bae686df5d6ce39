//! What comes after the files: symlinks, pipes and devices, what is to be deleted, and the metadata of folders.
//!
//! Promise: constant memory, by a second pass over the listing unless the first could keep what is left to do. A
//! folder gets its mode and times when everything in it is there, the deepest first. Nothing is deleted if any part of
//! the restore was damaged.

use std::io;

use crate::format::listing::{Entry, Node};
use crate::ops::restore::delete::Extras;
use crate::ops::restore::existing;
use crate::ops::restore::later::Later;
use crate::ops::restore::links::{self, First, Links};
use crate::ops::restore::marks::{Mark, Marks};
use crate::ops::restore::report::Action;
use crate::ops::restore::select::{Chosen, Step, Steps};
use crate::ops::restore::{Context, Error, Existing, Extra, Mode, is_fatal};
use crate::posix::apply::set_directory;
use crate::posix::capture::{Kind, Status, node_at};
use crate::posix::place::{left_out, make_node};

/// Makes and sets what could not be before the files were there.
pub fn run(context: &Context<'_>, marks: &Marks, later: Later) -> Result<(), Error> {
    let mut extras: Vec<Extras> = Vec::new();
    let deletes = context.options.extra == Extra::Delete;
    let sound = context.tally.report().damaged == 0;
    if deletes && !sound {
        context.tally.warning(b"", "nothing was deleted, since the restore met damage");
    }
    let deletes = deletes && sound;
    let mut links = Links::new(context.limits.links_bytes_max);
    let mut steps = match later.steps() {
        // What is not to be deleted includes the files, which were not kept.
        Some(kept) if !deletes => Steps::kept(kept, &context.filter),
        _ => Steps::new(context.repo, &context.listing, &context.filter),
    };
    while let Some(step) = steps.next() {
        match step {
            Step::Entry(chosen) => {
                if deletes {
                    spare(context, &mut extras, &chosen.entry.path);
                }
                match chosen.entry.node {
                    Node::Directory if !chosen.implied && marks.get(chosen.ordinal) == Mark::Blocked => {
                        steps.pass_over(&chosen.entry.path);
                    }
                    Node::Directory if deletes => extras.extend(watch(context, &chosen)),
                    Node::Directory | Node::File { .. } => {}
                    _ => node(context, &mut links, &chosen.entry)?,
                }
            }
            Step::Leave(chosen) => {
                if extras.last().is_some_and(|last| last.path() == chosen.entry.path)
                    && let Some(mut last) = extras.pop()
                {
                    delete(context, &mut last, None);
                }
                leave(context, marks, &chosen);
            }
            // Said in the first pass.
            Step::Astray(_) | Step::Damaged(_) => {}
        }
    }
    Ok(())
}

fn watch(context: &Context<'_>, folder: &Chosen) -> Option<Extras> {
    match Extras::new(context, folder) {
        Ok(extras) => Some(extras),
        // A dry run may be without the folder.
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => {
            context.tally.problem(&folder.entry.path, &format!("cannot look for what to delete: {error}"));
            None
        }
    }
}

/// Deletes what comes before an entry in its folder.
fn spare(context: &Context<'_>, extras: &mut [Extras], path: &[u8]) {
    let (folder, name) = match path.iter().rposition(|&byte| byte == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (&path[..0], path),
    };
    if let Some(last) = extras.last_mut().filter(|last| last.path() == folder && !name.is_empty()) {
        delete(context, last, Some(name));
    }
}

fn delete(context: &Context<'_>, extras: &mut Extras, stays: Option<&[u8]>) {
    if let Err(error) = extras.delete_before(context, stays) {
        context.tally.problem(extras.path(), &format!("cannot look for what to delete: {error}"));
    }
}

fn leave(context: &Context<'_>, marks: &Marks, chosen: &Chosen) {
    if context.options.mode == Mode::DryRun || chosen.implied || marks.get(chosen.ordinal) != Mark::Done {
        return;
    }
    let set = context.root().and_then(|root| root.folder_to_set(context.below(&chosen.entry.path)));
    match set {
        Ok(folder) => {
            context.tally.warnings(&set_directory(&folder, &chosen.entry, &context.apply));
            context.tally.report().directories += 1;
        }
        Err(error) => context.tally.problem(&chosen.entry.path, &format!("cannot open the folder again: {error}")),
    }
}

/// Makes a symlink, a pipe or a device, or a link to one.
fn node(context: &Context<'_>, links: &mut Links, entry: &Entry) -> Result<(), Error> {
    let path = context.below(&entry.path);
    let status = match context.options.existing {
        Existing::Refuse => None,
        _ => existing::status(context, path),
    };
    if status.is_some() && context.options.existing == Existing::Keep {
        context.tally.report().unchanged += 1;
        return Ok(());
    }
    let first = if entry.links > 1 { links.first(entry)? } else { None };
    let made = match (first, status) {
        (Some(first), status) => another_name(context, &first, entry, status.as_ref()).map(|()| None),
        (None, Some(status))
            if context.options.existing == Existing::Changed && is_same(context, path, entry, &status) =>
        {
            context.tally.report().unchanged += 1;
            Ok(Some(First::There(status.identity, entry.path.clone())))
        }
        (None, status) => try_node(context, path, entry, status.as_ref()),
    };
    match made {
        Ok(Some(first)) if entry.links > 1 => Ok(links.put(entry, &first)?),
        Ok(_) => Ok(()),
        Err(source) if is_fatal(&source) => Err(Error::Target { path: context.target.to_owned(), source }),
        Err(error) => {
            context.tally.problem(&entry.path, &format!("cannot make it: {error}"));
            Ok(())
        }
    }
}

fn another_name(context: &Context<'_>, first: &First, entry: &Entry, status: Option<&Status>) -> io::Result<()> {
    if status.is_some_and(|status| status.kind == Kind::Directory) {
        existing::clear_way(context, entry)?;
    }
    links::link(context, first, entry).map(drop)
}

/// Makes it. What is not made here is not remembered: each of its names is tried, and speaks for itself.
fn try_node(context: &Context<'_>, path: &[u8], entry: &Entry, status: Option<&Status>) -> io::Result<Option<First>> {
    if status.is_some_and(|status| status.kind == Kind::Directory) {
        existing::clear_way(context, entry)?;
    }
    if context.options.mode == Mode::DryRun {
        if let Some(warning) = left_out(entry, &context.apply)? {
            context.tally.warnings(&[warning]);
            return Ok(None);
        }
        let action = if status.is_some() { Action::Replace } else { Action::Create };
        context.tally.planned(action, &entry.path);
        context.tally.report().others += 1;
        return Ok(Some(First::Promised));
    }
    let (folder, name) = context.root()?.parent_of(path)?;
    let made = make_node(&*folder, name, entry, &context.apply, &context.names)?;
    context.tally.report().others += u64::from(made.identity.is_some());
    context.tally.warnings(&made.warnings);
    Ok(made.identity.map(|identity| First::There(identity, entry.path.clone())))
}

fn is_same(context: &Context<'_>, path: &[u8], entry: &Entry, status: &Status) -> bool {
    let found = context.root().and_then(|root| root.parent_of(path)).and_then(|(f, name)| node_at(&*f, name, status));
    let owner = context.apply.wanted_owner(entry).is_none_or(|owner| owner == (status.uid, status.gid));
    let mode = status.mode == entry.mode || matches!(entry.node, Node::Symlink { .. });
    owner && mode && status.mtime == entry.mtime && found.is_ok_and(|node| node == entry.node)
}
