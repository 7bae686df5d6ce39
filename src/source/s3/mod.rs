//! The objects of a bucket as files, at their keys.
//!
//! Promise: the tag of an object's content is its change stamp, so that one whose tag, length and time are as they were
//! is not read again; what cannot be had is a problem with its path, but a server that is gone ends the backup; a
//! download that breaks off goes on where it did, of the same content, or the object is not stored.
//! Left out on purpose: older versions, rights, tags and storage classes of objects.

pub mod key;
pub mod order;

use std::collections::BinaryHeap;
use std::io::{self, Read};
use std::iter::Peekable;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::{cmp::Reverse, time::Duration};

use crate::format::content::Content as Bytes;
use crate::format::listing::{
    Entry, Node, Owner, XATTR_NAME_BYTES_MAX, XATTR_VALUE_BYTES_MAX, XATTRS_MAX, Xattrs, check_path,
};
use crate::s3::error::{Error as Refusal, Scope};
use crate::s3::{self, Client, Head, Headers, Object, Rest, TRIES_MAX, again};
use crate::source::exclude::{Exclude, Form};
use crate::source::s3::key::{beside_folder, key_of, path_of};
use crate::source::s3::order::{MEMORY_BYTES_MAX, Row, Sorted, Sorter};
use crate::source::stream::set_length;
use crate::source::{Candidate, Content, Error, Found, NoContent, Problem, Reader, Severity, Source, Verdict};

/// Where rows go that do not fit into memory.
pub const SPILL_FOLDER: &str = "/var/tmp";
/// Begins the names of the attributes that hold an object's headers.
const ATTRIBUTE: &str = "user.s3.";
/// Who may read what is restored as files and folders.
const FILE_MODE: u32 = 0o600;
const FOLDER_MODE: u32 = 0o700;
/// How long to wait before a download goes on.
const PAUSE: Duration = Duration::from_secs(1);
/// A download that came so much further may break off as often again.
const PROGRESS_BYTES: u64 = 16 << 20;

/// A bucket, or a part of it.
pub struct S3Source {
    client: Arc<Client>,
    prefix: String,
    exclude: Exclude,
    owner: Owner,
    spill_folder: PathBuf,
}

impl S3Source {
    /// The objects whose keys begin with `prefix`, but for those whose paths a pattern names. As files they belong to
    /// `owner`.
    pub fn new(client: Arc<Client>, prefix: &str, exclude: &[String], owner: Owner) -> Result<Self, Error> {
        let exclude = Exclude::new(exclude)?;
        Ok(Self { client, prefix: prefix.to_owned(), exclude, owner, spill_folder: PathBuf::from(SPILL_FOLDER) })
    }

    /// What there is, in order. Objects that no snapshot can hold are `odd`.
    pub fn rows(&self, odd: &mut dyn FnMut(Problem) -> ControlFlow<()>) -> Result<Sorted, Error> {
        let mut sorter = Sorter::new(&self.spill_folder, MEMORY_BYTES_MAX);
        let mut failed = None;
        let listed = self.client.list(&self.prefix, &mut |object| {
            let path = path_of(&object.key);
            if self.leaves_out(&path) {
                return ControlFlow::Continue(());
            }
            if let Err(problem) = fits(&object, &path) {
                return odd(problem);
            }
            let Object { bytes, modified, etag, .. } = object;
            match sorter.push(Row { path, bytes, modified, etag: etag.into_bytes(), marked: false }) {
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => {
                    failed = Some(error);
                    ControlFlow::Break(())
                }
            }
        });
        listed.map_err(|error| self.unlisted(format!("{error}; {}", error.hint())))?;
        match failed {
            Some(error) => Err(self.unsorted(&error)),
            None => sorter.finish().map_err(|error| self.unsorted(&error)),
        }
    }

    /// Whether a pattern names it or a folder it lies in.
    fn leaves_out(&self, path: &[u8]) -> bool {
        let folders = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| &path[..at]);
        self.exclude.matches(path, Form::Other)
            || folders.into_iter().any(|folder| self.exclude.matches(folder, Form::Folder))
    }

    fn unlisted(&self, message: String) -> Error {
        Error::Service { what: format!("the bucket {}", self.client.bucket()), message }
    }

    fn unsorted(&self, error: &io::Error) -> Error {
        self.unlisted(format!("cannot sort its objects in {}: {error}", self.spill_folder.display()))
    }

    fn candidate(&self, row: Row) -> Candidate {
        let node = Node::File { bytes: row.bytes, content: Bytes::EMPTY, extents: None };
        let entry = Entry {
            owner: self.owner.clone(),
            mtime: row.modified,
            ctime: row.modified,
            stamp: row.etag,
            ..Entry::new(row.path, node, FILE_MODE)
        };
        Candidate { entry, reader: Box::new(ObjectReader { client: self.client.clone() }) }
    }

    /// A folder, which is as old as the first object in it: a bucket has none of its own.
    fn folder(&self, path: &[u8], first: &Row) -> Candidate {
        let entry = Entry {
            owner: self.owner.clone(),
            mtime: first.modified,
            ctime: first.modified,
            ..Entry::new(path, Node::Directory, FOLDER_MODE)
        };
        Candidate { entry, reader: Box::new(FolderReader) }
    }
}

impl Source for S3Source {
    fn walk(&self, visit: &mut dyn FnMut(Found) -> ControlFlow<()>) -> Result<(), Error> {
        let rows = self.rows(&mut |problem| visit(Found::Problem(problem)))?;
        let mut last = Vec::new();
        for row in Marked::new(rows) {
            let row = row.map_err(|error| self.unsorted(&error))?;
            for folder in new_folders(&last, &row.path) {
                if visit(Found::Entry(self.folder(folder, &row))).is_break() {
                    return Ok(());
                }
            }
            last.clone_from(&row.path);
            if visit(Found::Entry(self.candidate(row))).is_break() {
                return Ok(());
            }
        }
        Ok(())
    }

    fn replayable(&self) -> bool {
        true
    }
}

/// Whether a snapshot can hold an object.
fn fits(object: &Object, path: &[u8]) -> Result<(), Problem> {
    s3::check(&object.key).map_err(|error| Problem::unreadable(path, error.to_string()))?;
    check_path(path).map_err(|reject| Problem::unreadable(path, format!("its key is no path: {reject}")))
}

/// The folders on the way to a path that are not on the way to the one before.
fn new_folders<'p>(before: &[u8], path: &'p [u8]) -> impl Iterator<Item = &'p [u8]> {
    let same = before.iter().zip(path).take_while(|(x, y)| x == y).count();
    path.iter().enumerate().filter(move |&(at, byte)| *byte == b'/' && at >= same).map(|(at, _)| &path[..at])
}

/// Rows in order, those of objects beside folders of the same name with a mark.
struct Marked {
    rows: Peekable<Sorted>,
    /// Marked, and to come later. At most as many as a path has bytes: each one's path begins the next one's.
    held: BinaryHeap<Reverse<Row>>,
}

impl Marked {
    fn new(rows: Sorted) -> Self {
        Self { rows: rows.peekable(), held: BinaryHeap::new() }
    }
}

impl Iterator for Marked {
    type Item = io::Result<Row>;

    fn next(&mut self) -> Option<io::Result<Row>> {
        loop {
            if let Some(Reverse(held)) = self.held.peek()
                && !matches!(self.rows.peek(), Some(Ok(next)) if next < held)
            {
                return self.held.pop().map(|Reverse(row)| Ok(row));
            }
            let mut row = match self.rows.next()? {
                Ok(row) => row,
                Err(error) => return Some(Err(error)),
            };
            match self.rows.peek() {
                Some(Ok(next))
                    if next.path.strip_prefix(&row.path[..]).is_some_and(|rest| rest.first() == Some(&b'/')) =>
                {
                    row.path = beside_folder(&row.path);
                    row.marked = true;
                    self.held.push(Reverse(row));
                }
                _ => return Some(Ok(row)),
            }
        }
    }
}

struct FolderReader;

impl Reader for FolderReader {
    fn open(self: Box<Self>, _: &mut Entry) -> Result<Box<dyn Content>, Problem> {
        Ok(Box::new(NoContent))
    }
}

struct ObjectReader {
    client: Arc<Client>,
}

impl Reader for ObjectReader {
    fn open(self: Box<Self>, entry: &mut Entry) -> Result<Box<dyn Content>, Problem> {
        let key = key_of(&entry.path).ok_or_else(|| Problem::unreadable(&entry.path, "its path is that of no key"))?;
        let (head, body) = match again(|| self.client.get(&key, None)) {
            Ok(found) => found,
            Err(error) => {
                let severity = match error.scope() {
                    Scope::All => return Ok(Box::new(Lost(told(&error)))),
                    Scope::Gone => Severity::Vanished,
                    Scope::One => Severity::Unreadable,
                };
                return Err(Problem { path: entry.path.clone(), severity, message: told(&error) });
            }
        };
        entry.xattrs = attributes(&head.headers).map_err(|message| Problem::unreadable(&entry.path, message))?;
        let listed = matches!(entry.node, Node::File { bytes, .. } if bytes == head.bytes);
        if !listed || entry.stamp != head.etag.as_bytes() {
            // Replaced since the bucket was listed. The time of a listing may be finer, so that is kept otherwise.
            (entry.mtime, entry.ctime) = (head.modified, head.modified);
            entry.stamp = head.etag.clone().into_bytes();
            set_length(entry, head.bytes);
        }
        let (client, bytes, etag) = (self.client, head.bytes, head.etag);
        Ok(Box::new(Download { client, key, bytes, etag, at: 0, body: Some(body), breaks: 0, goal: 0, lost: None }))
    }
}

/// An error and what to do about it.
fn told(error: &Refusal) -> String {
    format!("{error}; {}", error.hint())
}

/// Headers of an object as attributes of its entry.
fn attributes(headers: &Headers) -> Result<Xattrs, String> {
    if headers.len() as u64 > XATTRS_MAX {
        return Err(format!("it has {} headers", headers.len()));
    }
    let mut attributes = Xattrs::new();
    for (name, value) in headers {
        let attribute = [ATTRIBUTE, name].concat().into_bytes();
        if attribute.len() as u64 > XATTR_NAME_BYTES_MAX || value.len() as u64 > XATTR_VALUE_BYTES_MAX {
            return Err(format!("its header {name} is too long for an attribute"));
        }
        attributes.push((attribute, value.clone()));
    }
    Ok(attributes)
}

/// The headers of an object, from the attributes of its entry.
pub fn headers(attributes: &Xattrs) -> Headers {
    let header = |(name, value): &(Vec<u8>, Vec<u8>)| {
        let name = std::str::from_utf8(name).ok()?.strip_prefix(ATTRIBUTE)?;
        s3::is_kept(name).then(|| (name.to_owned(), value.clone()))
    };
    attributes.iter().filter_map(header).collect()
}

/// No content: the server is gone, which the verdict says.
struct Lost(String);

impl Content for Lost {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Ok(0)
    }

    fn finish(self: Box<Self>, _: &mut Entry, _: u64) -> Verdict {
        Verdict::Failed(self.0)
    }
}

/// An object on its way down.
struct Download {
    client: Arc<Client>,
    key: String,
    bytes: u64,
    etag: String,
    at: u64,
    body: Option<Box<dyn Read + Send>>,
    /// How often it broke off before `goal`.
    breaks: u32,
    goal: u64,
    /// Why nothing can be had any more.
    lost: Option<String>,
}

impl Download {
    /// Notes that it broke off, which it may a few times.
    fn broke(&mut self, reason: &dyn std::fmt::Display, gone: Option<&Refusal>) -> io::Result<()> {
        self.body = None;
        if self.at >= self.goal {
            self.goal = self.at + PROGRESS_BYTES;
            self.breaks = 0;
        }
        self.breaks += 1;
        if self.breaks < TRIES_MAX && !self.etag.is_empty() {
            thread::sleep(PAUSE * self.breaks);
            return Ok(());
        }
        let message = format!("the download broke off after {} of {} bytes: {reason}", self.at, self.bytes);
        if gone.is_some_and(|error| error.scope() == Scope::All) {
            self.lost = Some(format!("{}: {message}", self.key));
        }
        Err(io::Error::other(message))
    }

    /// Goes on where it broke off.
    fn go_on(&mut self) -> io::Result<()> {
        match self.client.get(&self.key, Some(Rest { from: self.at, etag: &self.etag })) {
            Ok((Head { bytes, .. }, body)) if bytes == self.bytes - self.at => self.body = Some(body),
            Ok((Head { bytes, .. }, _)) => {
                let reason = format!("{bytes} bytes are left, and not {}", self.bytes - self.at);
                return Err(io::Error::other(reason));
            }
            Err(error) if error.may_pass() => self.broke(&told(&error), Some(&error))?,
            Err(error) => {
                let kind = match error.scope() {
                    Scope::Gone => io::ErrorKind::NotFound,
                    Scope::One | Scope::All => io::ErrorKind::Other,
                };
                if error.scope() == Scope::All {
                    self.lost = Some(told(&error));
                }
                return Err(io::Error::new(kind, told(&error)));
            }
        }
        Ok(())
    }
}

impl Content for Download {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() && self.at < self.bytes {
            let Some(body) = &mut self.body else {
                self.go_on()?;
                continue;
            };
            let left = usize::try_from(self.bytes - self.at).unwrap_or(usize::MAX);
            let wanted = left.min(buffer.len() - filled);
            match body.read(&mut buffer[filled..filled + wanted]) {
                Ok(0) => self.broke(&"it ended early", None)?,
                Ok(bytes) => {
                    filled += bytes;
                    self.at += bytes as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => self.broke(&error, None)?,
            }
        }
        Ok(filled)
    }

    fn finish(self: Box<Self>, entry: &mut Entry, bytes_read: u64) -> Verdict {
        set_length(entry, bytes_read);
        match self.lost {
            Some(message) => Verdict::Failed(message),
            None => Verdict::Steady,
        }
    }
}

/// A sorter of what is compared with a bucket.
pub fn sorter() -> Sorter {
    Sorter::new(Path::new(SPILL_FOLDER), MEMORY_BYTES_MAX)
}

#[cfg(test)]
#[path = "s3_tests.rs"]
mod tests;
