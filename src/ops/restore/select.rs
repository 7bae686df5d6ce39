//! Which entries of a listing are meant: those below a path that the patterns leave.
//!
//! Promise: entries come in listing order, each folder before what is in it and once more when all of that has come;
//! an entry whose folder is none is never handed out. Memory for the folders on the way down only.
//! Left out on purpose: the target. See `source::exclude` for what patterns mean; an include pattern brings in
//! everything below a folder that it matches, and the folders on the way to what it matches.

use std::collections::VecDeque;

use crate::format::listing::{Entry, Node};
use crate::format::record::ListingRoot;
use crate::repo::Repository;
use crate::repo::error::Error as RepoError;
use crate::repo::listing::{is_within, under};
use crate::source;
use crate::source::exclude::{Exclude, Form};

/// The patterns of a restore.
#[derive(Debug)]
pub struct Filter {
    include: Option<Exclude>,
    exclude: Exclude,
    /// What was asked for by name, which no pattern leaves out.
    root: Vec<u8>,
    root_scope: Scope,
}

impl Filter {
    /// Understands patterns for a restore of `root`.
    pub fn new(root: &[u8], include: &[String], exclude: &[String]) -> Result<Self, source::Error> {
        let include = if include.is_empty() { None } else { Some(Exclude::new(include)?) };
        let mut filter =
            Self { include, exclude: Exclude::new(exclude)?, root: root.to_vec(), root_scope: Scope::Matches };
        let ends = root.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
        if ends.chain([root.len()]).any(|end| end > 0 && filter.includes(&root[..end], Form::Folder)) {
            filter.root_scope = Scope::Everything;
        }
        Ok(filter)
    }

    fn includes(&self, path: &[u8], form: Form) -> bool {
        self.include.as_ref().is_none_or(|include| include.matches(path, form))
    }

    fn excludes(&self, path: &[u8], form: Form) -> bool {
        path != self.root && self.exclude.matches(path, form)
    }

    /// Whether something in the target that is not in the snapshot is the restore's business.
    pub fn covers(&self, path: &[u8], form: Form, folder: Scope) -> bool {
        !self.excludes(path, form) && (folder == Scope::Everything || self.includes(path, form))
    }
}

/// How much of a folder is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Everything below it that is not excluded.
    Everything,
    /// What include patterns match; the folder is only on the way to it.
    Matches,
}

/// An entry that is meant.
#[derive(Debug, Clone)]
pub struct Chosen {
    /// The entry.
    pub entry: Entry,
    /// Its place among the entries under the path.
    pub ordinal: u64,
    /// How much below it is meant.
    pub scope: Scope,
    /// A folder that the listing lacks, or has lost to damage: nothing but its path is known.
    pub implied: bool,
}

/// What comes next.
#[derive(Debug)]
pub enum Step {
    /// An entry.
    Entry(Chosen),
    /// All of what is in this folder has come.
    Leave(Chosen),
    /// An entry below something that is no folder.
    Astray(Vec<u8>),
    /// A part of the listing cannot be read.
    Damaged(RepoError),
}

struct Frame {
    chosen: Chosen,
    shown: bool,
}

/// The steps of a restore.
pub struct Steps<'r> {
    entries: Box<dyn Iterator<Item = Result<Entry, RepoError>> + 'r>,
    filter: &'r Filter,
    frames: Vec<Frame>,
    ready: VecDeque<Step>,
    /// Nothing below this path is wanted.
    passed_over: Option<Vec<u8>>,
    next_ordinal: u64,
    /// The last entry that is no folder. What lies below it follows directly.
    no_folder: Option<Vec<u8>>,
}

impl<'r> Steps<'r> {
    /// The steps under the filter's root.
    pub fn new(repo: &'r Repository, listing: &ListingRoot, filter: &'r Filter) -> Self {
        Self::over(Box::new(under(repo, listing, &filter.root)), filter)
    }

    /// Steps that were taken before.
    pub fn kept(steps: Vec<Step>, filter: &'r Filter) -> Self {
        Self { ready: steps.into(), ..Self::over(Box::new(std::iter::empty()), filter) }
    }

    fn over(entries: Box<dyn Iterator<Item = Result<Entry, RepoError>> + 'r>, filter: &'r Filter) -> Self {
        Self {
            entries,
            filter,
            frames: Vec::new(),
            ready: VecDeque::new(),
            passed_over: None,
            next_ordinal: 0,
            no_folder: None,
        }
    }

    /// Passes over what is in the folder shown last.
    pub fn pass_over(&mut self, folder: &[u8]) {
        self.frames.pop_if(|frame| frame.chosen.entry.path == folder);
        self.passed_over = Some(folder.to_vec());
    }

    fn take(&mut self, entry: Entry) {
        let ordinal = self.next_ordinal;
        self.next_ordinal += 1;
        if self.passed_over.as_ref().is_some_and(|folder| is_within(&entry.path, folder)) {
            return;
        }
        self.leave(&entry.path);
        if self.no_folder.as_ref().is_some_and(|above| is_within(&entry.path, above)) {
            return self.ready.push_back(Step::Astray(entry.path));
        }
        if !self.has_folder(&entry.path) {
            self.imply_folders(&entry.path);
        }
        let is_folder = matches!(entry.node, Node::Directory);
        self.no_folder = (!is_folder).then(|| entry.path.clone());
        let form = if is_folder { Form::Folder } else { Form::Other };
        if self.filter.excludes(&entry.path, form) {
            if is_folder {
                self.passed_over = Some(entry.path);
            }
            return;
        }
        let included = self.scope() == Scope::Everything || self.filter.includes(&entry.path, form);
        let scope = if included { Scope::Everything } else { Scope::Matches };
        let chosen = Chosen { entry, ordinal, scope, implied: false };
        if is_folder {
            self.frames.push(Frame { chosen, shown: false });
            if included {
                self.show_folders();
            }
        } else if included {
            self.show_folders();
            self.ready.push_back(Step::Entry(chosen));
        }
    }

    /// How much is meant of the folder that the listing is in.
    fn scope(&self) -> Scope {
        self.frames.last().map_or(self.filter.root_scope, |frame| frame.chosen.scope)
    }

    /// Leaves the folders that a path does not lie in.
    fn leave(&mut self, path: &[u8]) {
        while let Some(frame) = self.frames.pop_if(|frame| !is_within(path, &frame.chosen.entry.path)) {
            if frame.shown {
                self.ready.push_back(Step::Leave(frame.chosen));
            }
        }
    }

    fn has_folder(&self, path: &[u8]) -> bool {
        let folder = folder_of(path);
        match self.frames.last() {
            Some(frame) => folder == Some(&frame.chosen.entry.path),
            None => path == self.filter.root || (self.filter.root.is_empty() && folder == Some(b"")),
        }
    }

    fn imply_folders(&mut self, path: &[u8]) {
        let known = self.frames.last().map_or(self.filter.root.len(), |frame| frame.chosen.entry.path.len() + 1);
        let scope = self.scope();
        let ends = path.iter().enumerate().filter(|(at, byte)| **byte == b'/' && *at >= known).map(|(at, _)| at);
        for end in ends.filter(|&end| end > 0) {
            let entry = implied_folder(&path[..end]);
            let chosen = Chosen { entry, ordinal: self.next_ordinal, scope, implied: true };
            self.frames.push(Frame { chosen, shown: false });
        }
    }

    fn show_folders(&mut self) {
        for frame in self.frames.iter_mut().filter(|frame| !frame.shown) {
            frame.shown = true;
            self.ready.push_back(Step::Entry(frame.chosen.clone()));
        }
    }
}

impl Iterator for Steps<'_> {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        loop {
            if let Some(step) = self.ready.pop_front() {
                return Some(step);
            }
            match self.entries.next() {
                Some(Ok(entry)) => self.take(entry),
                Some(Err(error)) => return Some(Step::Damaged(error)),
                None => {
                    let frame = self.frames.pop()?;
                    if frame.shown {
                        return Some(Step::Leave(frame.chosen));
                    }
                }
            }
        }
    }
}

/// The folder that a path lies in; `None` for the empty path.
fn folder_of(path: &[u8]) -> Option<&[u8]> {
    match path.iter().rposition(|&byte| byte == b'/') {
        Some(slash) => Some(&path[..slash]),
        None if path.is_empty() => None,
        None => Some(b""),
    }
}

fn implied_folder(path: &[u8]) -> Entry {
    Entry::new(path.to_vec(), Node::Directory, 0o700)
}

#[cfg(test)]
#[path = "select_tests.rs"]
mod tests;
