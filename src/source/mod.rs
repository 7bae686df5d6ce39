//! What a backup comes from: a tree of files, or one stream.
//!
//! Promise: entries come in listing order, strictly increasing; nothing is opened before somebody asks for its bytes;
//! what cannot be had is a [`Problem`] with its path, never silence and never the end of the run.
//! Left out on purpose: repositories. A source never sees one.

pub mod client;
pub mod command;
pub mod directory;
pub mod exclude;
mod file;
mod folder;
pub mod joined;
pub mod mariadb;
pub mod names;
pub mod opened;
pub mod postgres;
pub mod redis;
#[cfg(feature = "services")]
pub mod s3;
mod sidecar;
pub mod sqlite;
pub mod stream;
mod targets;
mod walk;

use std::io;
use std::ops::ControlFlow;
use std::path::PathBuf;

use crate::format::listing::Entry;
use crate::sqlite::online;

/// Where a backup comes from.
pub trait Source: Sync {
    /// Calls `visit` for everything found, in listing order (`compare_paths`). Stops early when it says `Break`.
    fn walk(&self, visit: &mut dyn FnMut(Found) -> ControlFlow<()>) -> Result<(), Error>;

    /// Whether what it yields can be read again after a failed commit.
    fn replayable(&self) -> bool;
}

/// Something a walk came across.
// Made once per entry and taken apart at once: a box would only cost an allocation.
#[allow(clippy::large_enum_variant)]
pub enum Found {
    /// Something to be stored.
    Entry(Candidate),
    /// Something that could not be had.
    Problem(Problem),
}

/// Something to be stored: what `stat` says, and a way to its bytes.
///
/// Of the entry, content, extended attributes and extents are still missing; if it equals what the parent snapshot
/// holds, nobody needs to open it. The path, type and link target are final.
pub struct Candidate {
    /// What is known without opening it.
    pub entry: Entry,
    /// The way to the rest.
    pub reader: Box<dyn Reader>,
}

/// A way to the bytes and attributes of a candidate.
pub trait Reader: Send {
    /// Opens it and completes the entry: extended attributes, extents, and times and length as of now.
    ///
    /// May run on any thread. What is no file gives empty content.
    fn open(self: Box<Self>, entry: &mut Entry) -> Result<Box<dyn Content>, Problem>;
}

/// The bytes of an opened candidate.
pub trait Content: Send {
    /// Fills the buffer as far as it can; 0 means the end. For a sparse file only the data of the extents.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize>;

    /// To be called once after the last byte. `bytes_read` is how many bytes were taken.
    ///
    /// Sets the entry's length (and extents) to what was read, so that length and content always agree.
    fn finish(self: Box<Self>, entry: &mut Entry, bytes_read: u64) -> Verdict;
}

/// What to think of content that was read to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It did not change.
    Steady,
    /// It did not change, and whoever gave it had something to say: a warning.
    Remarked(String),
    /// It changed while it was read: stored as read, marked unstable, a warning.
    Changed,
    /// It must not be stored, and no snapshot be made: a command failed, say.
    Failed(String),
}

/// Something that could not be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The path in the listing.
    pub path: Vec<u8>,
    /// How bad it is.
    pub severity: Severity,
    /// What went wrong.
    pub message: String,
}

/// How bad a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// It was there and is gone: a warning; the snapshot without it is complete.
    Vanished,
    /// It is there and could not be read: counted; the snapshot is incomplete.
    Unreadable,
}

impl Problem {
    /// The problem that an error of the operating system means. `doing` is a verb: "open", "list".
    pub fn new(path: &[u8], doing: &str, error: &io::Error) -> Self {
        let gone = error.kind() == io::ErrorKind::NotFound;
        let severity = if gone { Severity::Vanished } else { Severity::Unreadable };
        Self { path: path.to_vec(), severity, message: format!("cannot {doing}: {error}") }
    }

    /// A problem that is none of the operating system's.
    pub fn unreadable(path: &[u8], message: impl Into<String>) -> Self {
        Self { path: path.to_vec(), severity: Severity::Unreadable, message: message.into() }
    }
}

/// What ends a walk. Nothing that concerns a single entry does.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// None of the given paths can be found, or none was given.
    #[error("cannot find {path}")]
    Start {
        /// The first of the given paths.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A pattern means nothing.
    #[error("bad pattern {pattern:?}: {reason}")]
    Pattern {
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A name that no listing may hold.
    #[error("{name:?} cannot be the name of an entry: {reason}")]
    Name {
        /// The name.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A service did not tell what it has.
    #[error("cannot learn what {what} has: {message}")]
    Service {
        /// The service.
        what: String,
        /// What it said.
        message: String,
    },
    /// A database could not be copied.
    #[error("cannot copy the database {}", .path.display())]
    Database {
        /// Where it is.
        path: PathBuf,
        /// Why not.
        #[source]
        source: online::Error,
    },
    /// A stream can be walked once only.
    #[error("the stream has been read already")]
    Spent,
}

/// Content without bytes: of folders, links and the like.
#[derive(Debug)]
pub struct NoContent;

impl Content for NoContent {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Ok(0)
    }

    fn finish(self: Box<Self>, _: &mut Entry, _: u64) -> Verdict {
        Verdict::Steady
    }
}
