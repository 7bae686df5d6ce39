//! Planning: from the listing to windows of files and chunks. Folders are made as they are met.
//!
//! Promise: what a window holds is bounded, and so is what is remembered between windows, but for the marks.
//! Left out on purpose: writing files (`write`), and what comes after them: links, devices, metadata of folders
//! (`finish`).

use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, unlinkat};

use crate::format::content::{ChunkRef, Content};
use crate::format::listing::{Entry, Node};
use crate::ops::restore::existing::{self, Found};
use crate::ops::restore::file;
use crate::ops::restore::later::Later;
use crate::ops::restore::links::{self, First, Links};
use crate::ops::restore::locate::{Locator, NOWHERE};
use crate::ops::restore::marks::{Mark, Marks};
use crate::ops::restore::report::Action;
use crate::ops::restore::select::{Chosen, Step, Steps};
use crate::ops::restore::window::{Ends, FileSlot, FileState, Link, Placement, Window, weight};
use crate::ops::restore::{Context, Error, Existing, Mode, is_fatal};
use crate::posix::beneath::Made;
use crate::posix::capture::{Kind, status_at};
use crate::repo::listing::Chunks;

/// A plan under way.
pub struct Planner<'c> {
    context: &'c Context<'c>,
    steps: Steps<'c>,
    locator: Locator<'c>,
    links: Links,
    marks: Marks,
    later: Later,
    current: Option<Current<'c>>,
    carried: Option<FileSlot>,
}

/// The file whose chunks are being gone through: the last one of the window.
struct Current<'c> {
    chunks: Chunks<'c>,
    content_at: u64,
    /// What lies under its name in the target, to take equal chunks from.
    existing: Option<OwnedFd>,
    buffer: Vec<u8>,
}

impl<'c> Planner<'c> {
    /// Nothing planned yet.
    pub fn new(context: &'c Context<'c>) -> Result<Self, Error> {
        Ok(Self {
            context,
            steps: Steps::new(context.repo, &context.listing, &context.filter),
            locator: Locator::new(context.repo),
            links: Links::new(context.limits.links_bytes_max),
            marks: Marks::default(),
            later: Later::new(context.limits.later_bytes_max),
            current: None,
            carried: None,
        })
    }

    /// What became of each entry when all windows are done, and what is left to do.
    pub fn finish(self) -> (Marks, Later) {
        (self.marks, self.later)
    }

    /// The next files to restore. `None`: that was all.
    pub fn next_window(&mut self) -> Result<Option<Window>, Error> {
        let mut window = Window::default();
        window.files.extend(self.carried.take());
        let filled = self.fill(&mut window);
        if filled.is_err() {
            window.files.iter().for_each(|slot| file::abandon(self.context, slot));
        }
        filled?;
        Ok(if window.is_empty() { None } else { Some(window) })
    }

    fn fill(&mut self, window: &mut Window) -> Result<(), Error> {
        loop {
            self.add_chunks(window)?;
            if self.current.is_some() || window.is_full(self.context.limits) {
                break;
            }
            match self.steps.next() {
                Some(step) => self.step(step, window)?,
                None => break,
            }
        }
        if self.current.is_some()
            && let Some(last) = window.files.last_mut()
        {
            last.ends = Ends::Later;
        }
        self.locate(window)
    }

    fn locate(&mut self, window: &mut Window) -> Result<(), Error> {
        let files = &window.files;
        self.locator.locate(&mut window.placements, &mut |placement, error| {
            files[placement.file as usize].lose(placement.content_at, placement.bytes as usize, &error.to_string());
        })?;
        window.placements.sort_unstable_by_key(|p| (p.pack, p.block, p.offset, p.file, p.content_at));
        for placement in &window.placements {
            let slot = &mut window.files[placement.file as usize];
            slot.placements += 1;
            *slot.left.get_mut() += 1;
        }
        Ok(())
    }

    fn step(&mut self, step: Step, window: &mut Window) -> Result<(), Error> {
        let tally = &self.context.tally;
        match step {
            Step::Entry(chosen) => match chosen.entry.node {
                Node::File { .. } => return self.file(chosen, window),
                Node::Directory => {
                    self.folder(&chosen)?;
                    self.later.keep(Step::Entry(chosen));
                }
                _ => self.later.keep(Step::Entry(chosen)),
            },
            Step::Leave(_) => self.later.keep(step),
            Step::Astray(path) => tally.problem(&path, "what it lies in is no folder in the snapshot"),
            Step::Damaged(error) if error.is_damage() => {
                tally.damage(b"", &format!("part of the listing is lost: {error}"))
            }
            Step::Damaged(error) => return Err(error.into()),
        }
        Ok(())
    }

    fn folder(&mut self, chosen: &Chosen) -> Result<(), Error> {
        let path = self.context.below(&chosen.entry.path);
        if self.context.options.mode == Mode::DryRun {
            return self.folder_planned(chosen, path);
        }
        match self.make_folder(path) {
            Ok(made) => {
                if chosen.implied {
                    let message = "the listing lacks this folder; it is made for its owner only";
                    self.context.tally.warning(&chosen.entry.path, message);
                }
                let ours = made == Made::New || self.context.options.existing != Existing::Keep;
                if ours && !chosen.implied {
                    self.marks.set(chosen.ordinal, Mark::Done);
                }
            }
            Err(source) if is_fatal(&source) => {
                return Err(Error::Target { path: self.context.target.to_owned(), source });
            }
            Err(error) => {
                let message = format!("cannot make the folder ({error}); what is in it is left out");
                self.context.tally.problem(&chosen.entry.path, &message);
                self.block(chosen);
            }
        }
        Ok(())
    }

    fn block(&mut self, chosen: &Chosen) {
        self.marks.set(chosen.ordinal, Mark::Blocked);
        self.steps.pass_over(&chosen.entry.path);
    }

    fn make_folder(&self, path: &[u8]) -> io::Result<Made> {
        let root = self.context.root()?;
        if path.is_empty() {
            return Ok(self.context.made);
        }
        let error = match root.make_dir(path) {
            Ok(made) => return Ok(made),
            Err(error) => error,
        };
        let replace = matches!(self.context.options.existing, Existing::Replace | Existing::Changed);
        let (parent, name) = root.parent_of(path)?;
        let in_the_way = status_at(&*parent, name).is_ok_and(|status| status.kind != Kind::Directory);
        if !replace || !in_the_way {
            return Err(error);
        }
        unlinkat(&*parent, name, AtFlags::empty())?;
        root.make_dir(path)
    }

    fn folder_planned(&mut self, chosen: &Chosen, path: &[u8]) -> Result<(), Error> {
        let status = existing::status(self.context, path);
        let tally = &self.context.tally;
        match (status.map(|status| status.kind), self.context.options.existing) {
            (Some(Kind::Directory), _) => {}
            (None, _) => {
                tally.planned(Action::Create, &chosen.entry.path);
                tally.report().directories += 1;
            }
            (Some(_), Existing::Replace | Existing::Changed) => {
                tally.planned(Action::Replace, &chosen.entry.path);
                tally.report().directories += 1;
            }
            (Some(_), _) => {
                tally.problem(&chosen.entry.path, "something else is in the way of the folder");
                self.block(chosen);
            }
        }
        Ok(())
    }

    fn file(&mut self, chosen: Chosen, window: &mut Window) -> Result<(), Error> {
        let Chosen { mut entry, ordinal, .. } = chosen;
        let found = match existing::look(self.context, &entry) {
            Ok(found) => found,
            Err(error) => return self.refuse(&entry, error),
        };
        if matches!(found, Found::Kept) {
            self.context.tally.report().unchanged += 1;
            return Ok(());
        }
        if entry.links > 1 {
            if self.links.first(&entry)?.is_some() {
                window.text_bytes += entry.path.len();
                window.links.push(Link { entry, ordinal });
                return Ok(());
            }
            self.links.put(&entry, &First::Promised)?;
        }
        let existing = match found {
            Found::Same(identity) => {
                self.context.tally.report().unchanged += 1;
                self.marks.set(ordinal, Mark::Done);
                if entry.links > 1 {
                    self.links.put(&entry, &First::There(identity, entry.path.clone()))?;
                }
                return Ok(());
            }
            Found::Differs(file) => Some(file),
            Found::Nothing | Found::InTheWay | Found::Kept => None,
        };
        if self.context.options.mode == Mode::DryRun {
            self.file_planned(&entry);
            return Ok(());
        }
        let Node::File { bytes, content, .. } = &mut entry.node else { return Ok(()) };
        let (bytes, content) = (*bytes, std::mem::replace(content, Content::EMPTY));
        let chunks = Chunks::new(self.context.repo, &content);
        window.text_bytes += weight(&entry);
        let slot = FileSlot::new(entry, ordinal, bytes);
        window.files.push(slot);
        self.current = Some(Current { chunks, content_at: 0, existing, buffer: Vec::new() });
        Ok(())
    }

    fn file_planned(&self, entry: &Entry) {
        let there = existing::status(self.context, self.context.below(&entry.path));
        let action = there.map_or(Action::Create, |_| Action::Replace);
        self.context.tally.planned(action, &entry.path);
        let mut report = self.context.tally.report();
        report.files += 1;
        if let Node::File { bytes, .. } = &entry.node {
            report.bytes += bytes;
        }
    }

    fn refuse(&self, entry: &Entry, error: io::Error) -> Result<(), Error> {
        if is_fatal(&error) {
            return Err(Error::Target { path: self.context.target.to_owned(), source: error });
        }
        self.context.tally.problem(&entry.path, &error.to_string());
        Ok(())
    }

    /// Goes on with the current file until it ends or the window is full.
    fn add_chunks(&mut self, window: &mut Window) -> Result<(), Error> {
        let Some(mut current) = self.current.take() else { return Ok(()) };
        let Some(file) = window.files.len().checked_sub(1) else { return Ok(()) };
        let slot = &window.files[file];
        while window.placements.len() < self.context.limits.placements_max {
            let lost_before = current.chunks.lost_bytes();
            match current.chunks.next() {
                None => return Ok(()),
                Some(Ok(chunk)) => {
                    if !self.take_existing(&mut current, slot, &chunk)? {
                        window.placements.push(placement(&chunk, current.content_at, file));
                    }
                    current.content_at += u64::from(chunk.bytes);
                }
                Some(Err(error)) if error.is_damage() => {
                    let lost = current.chunks.lost_bytes() - lost_before;
                    slot.lose(current.content_at, lost as usize, &error.to_string());
                    current.content_at += lost;
                }
                Some(Err(error)) => return Err(error.into()),
            }
        }
        self.current = Some(current);
        Ok(())
    }

    /// Copies a chunk from what is in the target, if it is there.
    fn take_existing(&self, current: &mut Current<'_>, slot: &FileSlot, chunk: &ChunkRef) -> Result<bool, Error> {
        let Some(existing) = &current.existing else { return Ok(false) };
        let keys = self.context.repo.keys();
        if !existing::holds(keys, existing, &slot.layout, current.content_at, chunk, &mut current.buffer) {
            return Ok(false);
        }
        let mut work = slot.work();
        if work.state != FileState::Open {
            return Ok(true);
        }
        let written = file::add(self.context, slot, &mut work, current.content_at, &current.buffer);
        drop(work);
        written.or_else(|error| file::fail(self.context, slot, error)).map(|()| true)
    }

    /// Takes up what became of a window, and makes the links that waited for it.
    pub fn done(&mut self, window: Window) -> Result<(), Error> {
        let Window { mut files, links, .. } = window;
        let later = files.pop_if(|slot| slot.ends == Ends::Later);
        for slot in &files {
            let state = slot.work().state;
            let first = match state {
                FileState::Done(identity) => {
                    self.marks.set(slot.ordinal, Mark::Done);
                    identity.map_or(First::Failed, |identity| First::There(identity, slot.entry.path.clone()))
                }
                FileState::Open | FileState::Kept | FileState::Failed => First::Failed,
            };
            if slot.entry.links > 1 {
                self.links.put(&slot.entry, &first)?;
            }
        }
        links.iter().try_for_each(|link| self.link(link))?;
        if let Some(mut slot) = later {
            if slot.work().state == FileState::Failed {
                file::abandon(self.context, &slot);
                self.current = None;
                if slot.entry.links > 1 {
                    self.links.put(&slot.entry, &First::Failed)?;
                }
                return Ok(());
            }
            slot.ends = Ends::Here;
            slot.placements = 0;
            self.carried = Some(slot);
        }
        Ok(())
    }

    fn link(&mut self, link: &Link) -> Result<(), Error> {
        let (context, entry) = (self.context, &link.entry);
        let first = self.links.first(entry)?.unwrap_or(First::Failed);
        match links::link(context, &first, entry) {
            Ok(true) => self.marks.set(link.ordinal, Mark::Done),
            Ok(false) => {}
            Err(error) => self.refuse(entry, error)?,
        }
        Ok(())
    }
}

fn placement(chunk: &ChunkRef, content_at: u64, file: usize) -> Placement {
    let ChunkRef { id, bytes } = *chunk;
    Placement { id, content_at, pack: NOWHERE, block: 0, offset: 0, bytes, file: file as u32 }
}
