//! Assembling: pieces in order become chunks, content lists and the listing.

use crossbeam_channel::Receiver;

use crate::format::content::{ChunkRef, Content};
use crate::format::listing::{Entry, Node};
use crate::format::record::ListingRoot;
use crate::ops::backup::buffers::Buffers;
use crate::ops::backup::reading::{End, Piece};
use crate::ops::backup::{Error, PROBLEMS_MAX, Report, Slot, is_fatal};
use crate::progress::{Event, Observer, Units};
use crate::repo::Repository;
use crate::repo::error::Error as RepoError;
use crate::repo::pages::{ContentWriter, ListingWriter};
use crate::repo::write::{Drained, Writer};
use crate::source::{Problem, Severity, Verdict};

/// Takes what is read, in the order of the listing.
pub struct Assembler<'r> {
    repo: &'r Repository,
    writer: Writer,
    listing: ListingWriter,
    report: Report,
    buffers: &'r Buffers,
    observer: &'r dyn Observer,
}

impl<'r> Assembler<'r> {
    /// With an empty listing.
    pub fn new(repo: &'r Repository, writer: Writer, buffers: &'r Buffers, observer: &'r dyn Observer) -> Self {
        let report = Report { complete: true, ..Report::default() };
        Self { repo, writer, listing: ListingWriter::new(), report, buffers, observer }
    }

    /// Takes the next entry.
    pub fn take(&mut self, slot: Slot) -> Result<(), Error> {
        match slot {
            Slot::Unchanged(entry) => {
                let file = matches!(entry.node, Node::File { .. });
                self.report.unchanged_files += u64::from(file);
                self.entry(&entry)
            }
            Slot::Reading(pieces) => self.read(&pieces),
            Slot::Problem(problem) => {
                self.problem(problem);
                Ok(())
            }
        }
    }

    fn read(&mut self, pieces: &Receiver<Piece>) -> Result<(), Error> {
        let mut content = ContentWriter::new();
        loop {
            let Piece { bytes, start, cuts, end } = pieces.recv().map_err(|_| RepoError::Worker)?;
            let mut rest = &bytes[start..];
            for cut in cuts {
                let (chunk, after) = rest.split_at(cut.bytes as usize);
                self.writer.data(cut.id, chunk, cut.squeeze)?;
                content.push(&mut self.writer, ChunkRef { id: cut.id, bytes: cut.bytes })?;
                rest = after;
            }
            let read = (bytes.len() - start - rest.len()) as u64;
            self.buffers.give(bytes);
            match end {
                None => self.observer.event(Event::Advanced(Units { files: 0, bytes: read })),
                Some(End::Problem(problem)) => {
                    self.problem(problem);
                    return Ok(());
                }
                Some(End::Done(entry, verdict)) => return self.done(*entry, verdict, content, read),
            }
        }
    }

    fn done(&mut self, mut entry: Entry, verdict: Verdict, content: ContentWriter, bytes: u64) -> Result<(), Error> {
        match verdict {
            Verdict::Failed(message) => return Err(Error::Failed(message)),
            Verdict::Steady => {}
            Verdict::Remarked(message) => {
                self.note(Problem { path: entry.path.clone(), severity: Severity::Vanished, message });
            }
            Verdict::Changed => {
                entry.unstable = true;
                self.report.counts.unstable += 1;
                let message = "changed while it was read; stored as read".to_owned();
                self.note(Problem { path: entry.path.clone(), severity: Severity::Vanished, message });
            }
        }
        let stored = content.finish(&mut self.writer)?;
        if let Node::File { content, .. } = &mut entry.node {
            *content = stored;
            check_length(&entry)?;
        }
        self.observer.event(Event::Advanced(Units { files: 0, bytes }));
        self.entry(&entry)
    }

    fn entry(&mut self, entry: &Entry) -> Result<(), Error> {
        let counts = &mut self.report.counts;
        match &entry.node {
            Node::File { bytes, .. } => {
                counts.files += 1;
                counts.bytes += bytes;
                self.observer.event(Event::Advanced(Units { files: 1, bytes: 0 }));
            }
            Node::Directory => counts.directories += 1,
            _ => counts.others += 1,
        }
        Ok(self.listing.push(self.repo, &mut self.writer, entry)?)
    }

    fn problem(&mut self, problem: Problem) {
        if is_fatal(&problem) {
            self.report.complete = false;
            self.report.counts.unreadable += 1;
        } else {
            self.report.counts.unstable += 1;
        }
        self.note(problem);
    }

    fn note(&mut self, problem: Problem) {
        let path = String::from_utf8_lossy(&problem.path).into_owned();
        self.observer.event(Event::Problem { path: &path, message: &problem.message });
        self.report.problems_total += 1;
        if self.report.problems.len() < PROBLEMS_MAX {
            self.report.problems.push(problem);
        }
    }

    /// Ends the listing and waits until everything is sealed.
    pub fn finish(mut self) -> Result<(Drained, ListingRoot, Report), Error> {
        let root = self.listing.finish(&mut self.writer)?;
        Ok((self.writer.drain()?, root, self.report))
    }
}

/// The decoder refuses a file whose length is not that of its chunks, so a bug must not write one.
fn check_length(entry: &Entry) -> Result<(), Error> {
    let Node::File { bytes, content, extents } = &entry.node else { return Ok(()) };
    let data: u64 = match content {
        Content::Inline(chunks) => chunks.iter().map(|chunk| u64::from(chunk.bytes)).sum(),
        Content::Paged(root) => root.bytes,
    };
    let mapped = match extents {
        Some(extents) => extents.iter().map(|extent| extent.bytes).sum(),
        None => *bytes,
    };
    if data == mapped { Ok(()) } else { Err(RepoError::SelfCheck { what: "length of a file" }.into()) }
}
