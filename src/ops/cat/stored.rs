//! A stored file that is read like one on disk: from any place on.
//!
//! Promise: only the chunks that hold what is read are located and opened; going elsewhere opens nothing. One chunk is
//! held, and what the repository keeps of opened blocks.
//! Left out on purpose: reading ahead, which `cat_range` does.

use std::io::{self, Read, Seek, SeekFrom};

use crate::format::Kind;
use crate::format::content::{ChunkRef, Content};
use crate::format::listing::{Extent, Node};
use crate::format::record::ListingRoot;
use crate::ops::cat::Error;
use crate::ops::restore::locate::{NOWHERE, rescue};
use crate::repo::Repository;
use crate::repo::error::Error as RepoError;
use crate::repo::listing::{Chunks, find};

/// A file in a snapshot.
pub struct Stored<'r> {
    repo: &'r Repository,
    bytes: u64,
    content: Content,
    extents: Vec<Extent>,
    /// For each extent, how much content comes before it.
    before: Vec<u64>,
}

/// What is at a place of a file, and for how long.
enum Place {
    /// Content, from this byte of it on.
    Data { content: u64, bytes: u64 },
    /// A hole.
    Hole { bytes: u64 },
}

impl<'r> Stored<'r> {
    /// The file of this path.
    pub fn open(repo: &'r Repository, root: &ListingRoot, path: &[u8]) -> Result<Self, Error> {
        let text = || String::from_utf8_lossy(path).into_owned();
        // Packs that cannot be read show when something of them is missing.
        repo.catch_up()?;
        let entry = find(repo, root, path)?.ok_or_else(|| Error::NoSuchPath { path: text() })?;
        let Node::File { bytes, content, extents } = entry.node else { return Err(Error::NotAFile { path: text() }) };
        let extents = extents.unwrap_or_else(|| vec![Extent { offset: 0, bytes }]);
        let before = extents.iter().scan(0, |sum, extent| Some(std::mem::replace(sum, *sum + extent.bytes)));
        Ok(Self { repo, bytes, content, before: before.collect(), extents })
    }

    /// Its length, holes included.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Where it is stored.
    pub fn repo(&self) -> &'r Repository {
        self.repo
    }

    /// Where its content lies; all of it where there are no holes.
    pub fn extents(&self) -> &[Extent] {
        &self.extents
    }

    /// Its chunks, from the one that holds this byte of its content on.
    pub fn chunks(&self, from: u64) -> Chunks<'r> {
        Chunks::starting_at(self.repo, &self.content, from)
    }

    /// How much content comes before a place in the file.
    pub fn content_at(&self, at: u64) -> u64 {
        let next = self.extents.partition_point(|extent| extent.offset < at);
        let Some(last) = next.checked_sub(1) else { return 0 };
        self.before[last] + (at - self.extents[last].offset).min(self.extents[last].bytes)
    }

    /// Reads it from its beginning.
    pub fn reader(&self) -> Reader<'_, 'r> {
        Reader {
            stored: self,
            chunks: self.chunks(0),
            at: 0,
            chunk: Vec::new(),
            chunk_at: 0,
            left: u64::MAX,
            limit: u64::MAX,
        }
    }

    /// What is at a place before its end.
    fn place(&self, at: u64) -> Place {
        let next = self.extents.partition_point(|extent| extent.offset <= at);
        if let Some(last) = next.checked_sub(1) {
            let (extent, within) = (self.extents[last], at - self.extents[last].offset);
            if within < extent.bytes {
                return Place::Data { content: self.before[last] + within, bytes: extent.bytes - within };
            }
        }
        let end = self.extents.get(next).map_or(self.bytes, |extent| extent.offset);
        Place::Hole { bytes: end - at }
    }

    fn chunk(&self, chunk: &ChunkRef) -> Result<Vec<u8>, RepoError> {
        let read = self.repo.chunk(Kind::Data, chunk);
        read.or_else(|error| rescue(self.repo, chunk.id, chunk.bytes, NOWHERE, error))
    }
}

/// Reads a stored file from any place on.
pub struct Reader<'s, 'r> {
    stored: &'s Stored<'r>,
    chunks: Chunks<'r>,
    at: u64,
    /// The chunk read last.
    chunk: Vec<u8>,
    /// Where it begins in the content.
    chunk_at: u64,
    /// How much may still be read before it goes elsewhere.
    left: u64,
    limit: u64,
}

impl Reader<'_, '_> {
    /// Refuses to read more than this without going elsewhere: for those who read only headers, of a length that the
    /// headers say themselves.
    pub fn at_most(mut self, limit: u64) -> Self {
        (self.left, self.limit) = (limit, limit);
        self
    }

    /// Makes the chunk that holds this byte of the content the one at hand.
    fn load(&mut self, content: u64) -> Result<(), Error> {
        if (self.chunk_at..self.chunk_at + self.chunk.len() as u64).contains(&content) {
            return Ok(());
        }
        if self.chunks.passed() != content {
            self.chunks = self.stored.chunks(content);
        }
        let lost =
            |source: RepoError| if source.is_damage() { Error::Lost { at: self.at, source } } else { source.into() };
        let chunk = self.chunks.next().ok_or(Error::Repo(RepoError::Worker))?.map_err(lost)?;
        self.chunk = self.stored.chunk(&chunk).map_err(lost)?;
        self.chunk_at = self.chunks.passed() - u64::from(chunk.bytes);
        Ok(())
    }
}

impl Read for Reader<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at >= self.stored.bytes || buffer.is_empty() {
            return Ok(0);
        }
        if self.left == 0 {
            return Err(io::Error::other(format!("something longer than {} bytes where that cannot be", self.limit)));
        }
        let fits =
            |bytes: u64| usize::try_from(bytes.min(self.left)).map_or(buffer.len(), |fits| fits.min(buffer.len()));
        let read = match self.stored.place(self.at) {
            Place::Hole { bytes } => {
                let read = fits(bytes);
                buffer[..read].fill(0);
                read
            }
            Place::Data { content, bytes } => {
                let fits = fits(bytes);
                self.load(content).map_err(io::Error::other)?;
                let chunk = &self.chunk[(content - self.chunk_at) as usize..];
                let read = fits.min(chunk.len());
                buffer[..read].copy_from_slice(&chunk[..read]);
                read
            }
        };
        self.at += read as u64;
        self.left -= read as u64;
        Ok(read)
    }
}

impl Seek for Reader<'_, '_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let to = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
            SeekFrom::End(by) => self.stored.bytes.checked_add_signed(by),
        };
        self.at = to.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "a place before the beginning"))?;
        self.left = self.limit;
        Ok(self.at)
    }
}

/// The error that a reader gave to somebody who passes on errors of the operating system only.
pub fn unwrapped(error: io::Error) -> Result<Error, io::Error> {
    error.downcast::<Error>()
}

#[cfg(test)]
#[path = "stored_tests.rs"]
mod tests;
