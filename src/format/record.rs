//! Snapshot records: what a snapshot is, beside its listing. See "Record" in `format-spec/log.md`.

use crate::format::content::{self, ChunkRef};
use crate::format::wire::{Reader, Writer};
use crate::format::{Reject, Time};
use crate::id::{SeriesId, SnapshotId};

/// Longest source or host name, and longest description.
pub const TEXT_BYTES_MAX: u64 = 4096;
/// Most paths named.
pub const PATHS_MAX: u64 = 4096;
/// Longest path named.
pub const PATH_BYTES_MAX: u64 = 64 << 10;
/// Longest ignorable extension.
pub const EXTENSION_BYTES_MAX: u64 = 4096;
/// Length of the plain head of a sealed record.
pub const ENVELOPE_BYTES: usize = 120;
/// Purpose string of the key that seals a record in the log.
pub const ENVELOPE_PURPOSE: &str = "larder v1 record";

const VERSION: u8 = 1;

/// The root page of a listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListingRoot {
    /// The page, a tree chunk.
    pub page: ChunkRef,
    /// Its level: 0 for a leaf.
    pub level: u8,
    /// Entries under it.
    pub entries: u64,
}

/// What was counted while a snapshot was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Regular files (or streams).
    pub files: u64,
    /// Folders.
    pub directories: u64,
    /// Everything else.
    pub others: u64,
    /// Bytes of all files, holes included.
    pub bytes: u64,
    /// Bytes of chunks that were not stored before, as they came.
    pub new_raw_bytes: u64,
    /// Bytes that the run added to the repository.
    pub new_stored_bytes: u64,
    /// Entries that could not be read.
    pub unreadable: u64,
    /// Files that changed or vanished while they were read.
    pub unstable: u64,
}

/// A snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The name of its series.
    pub source: String,
    /// The machine it was taken on.
    pub host: String,
    /// Who took it.
    pub user: String,
    /// The paths given.
    pub paths: Vec<Vec<u8>>,
    /// A remark.
    pub description: String,
    /// When it was begun.
    pub started: Time,
    /// When it was done.
    pub ended: Time,
    /// Whether everything could be read.
    pub complete: bool,
    /// The snapshot it was compared with.
    pub parent: Option<SnapshotId>,
    /// Its listing.
    pub root: ListingRoot,
    /// What was counted.
    pub counts: Counts,
    /// Makes the record, and so the snapshot's name, its own.
    pub unique: [u8; 16],
    /// The program that made it.
    pub program: String,
    /// Ignored by readers: writers put random bytes here.
    pub extension: Vec<u8>,
}

/// What the log entry of a snapshot says too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claims {
    /// Its series.
    pub series: SeriesId,
    /// When it was begun.
    pub started: Time,
    /// Whether everything could be read.
    pub complete: bool,
}

impl Record {
    /// The first thing in which a snapshot's log entry differs from this record, whose own series is `series`.
    pub fn differs(&self, series: SeriesId, entry: &Claims) -> Option<&'static str> {
        match () {
            () if entry.series != series => Some("series"),
            () if entry.started != self.started => Some("time of beginning"),
            () if entry.complete != self.complete => Some("completeness"),
            () => None,
        }
    }

    /// The bytes whose keyed hash is the snapshot's name.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::new();
        w.u8(VERSION);
        w.bytes(self.source.as_bytes());
        w.bytes(self.host.as_bytes());
        w.bytes(self.user.as_bytes());
        w.varint(self.paths.len() as u64);
        self.paths.iter().for_each(|path| w.bytes(path));
        w.bytes(self.description.as_bytes());
        w.time(self.started);
        w.time(self.ended);
        w.u8(self.complete.into());
        w.u8(self.parent.is_some().into());
        if let Some(parent) = &self.parent {
            w.raw(parent.as_bytes());
        }
        content::put_chunk(&mut w, &self.root.page);
        w.u8(self.root.level);
        w.varint(self.root.entries);
        self.counts.each().iter().for_each(|&n| w.varint(n));
        w.raw(&self.unique);
        w.bytes(self.program.as_bytes());
        w.bytes(&self.extension);
        w.finish()
    }

    /// Reads a record.
    pub fn decode(bytes: &[u8]) -> Result<Self, Reject> {
        let mut r = Reader::new(bytes);
        let version = r.u8()?;
        if version != VERSION {
            return Err(Reject::Version(version));
        }
        let source = r.text("source name length", TEXT_BYTES_MAX)?;
        let host = r.text("host name length", TEXT_BYTES_MAX)?;
        let user = r.text("user name length", TEXT_BYTES_MAX)?;
        let count = r.count("number of paths", PATHS_MAX)?;
        let paths =
            (0..count).map(|_| Ok(r.bytes("path length", PATH_BYTES_MAX)?.to_vec())).collect::<Result<_, Reject>>()?;
        let record = Self {
            source,
            host,
            user,
            paths,
            description: r.text("description length", TEXT_BYTES_MAX)?,
            started: r.time()?,
            ended: r.time()?,
            complete: r.flag("completeness")?,
            parent: if r.flag("parent")? { Some(SnapshotId::new(r.array()?)) } else { None },
            root: take_root(&mut r)?,
            counts: Counts::take(&mut r)?,
            unique: r.array()?,
            program: r.text("program length", TEXT_BYTES_MAX)?,
            extension: r.bytes("extension length", EXTENSION_BYTES_MAX)?.to_vec(),
        };
        r.end()?;
        Ok(record)
    }
}

fn take_root(r: &mut Reader<'_>) -> Result<ListingRoot, Reject> {
    let page = content::take_chunk(r, content::PAGE_BYTES_MAX)?;
    let level = r.u8()?;
    if level >= content::LEVELS_MAX {
        return Err(Reject::Unknown { field: "page level", value: level.into() });
    }
    Ok(ListingRoot { page, level, entries: r.varint()? })
}

impl Counts {
    fn each(&self) -> [u64; 8] {
        let c = self;
        [c.files, c.directories, c.others, c.bytes, c.new_raw_bytes, c.new_stored_bytes, c.unreadable, c.unstable]
    }

    fn take(r: &mut Reader<'_>) -> Result<Self, Reject> {
        Ok(Self {
            files: r.varint()?,
            directories: r.varint()?,
            others: r.varint()?,
            bytes: r.varint()?,
            new_raw_bytes: r.varint()?,
            new_stored_bytes: r.varint()?,
            unreadable: r.varint()?,
            unstable: r.varint()?,
        })
    }
}

/// The plain head of a sealed record as it stands in the log: enough to find its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// The run's public key.
    pub run_public: [u8; 32],
    /// Makes the key its own.
    pub salt: [u8; 24],
    /// Commits to the key.
    pub commitment: [u8; 32],
    /// The nonce it is sealed with.
    pub nonce: [u8; 24],
    /// Length of the record.
    pub raw_bytes: u32,
    /// The sealed record.
    pub sealed: Vec<u8>,
}

impl Envelope {
    /// As it stands in the log.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::new();
        w.raw(&self.run_public);
        w.raw(&self.salt);
        w.raw(&self.commitment);
        w.raw(&self.nonce);
        w.u32(self.raw_bytes);
        w.u32(0);
        w.raw(&self.sealed);
        w.finish()
    }

    /// Reads what stands in the log.
    pub fn decode(bytes: &[u8]) -> Result<Self, Reject> {
        let mut r = Reader::new(bytes);
        let envelope = Self {
            run_public: r.array()?,
            salt: r.array()?,
            commitment: r.array()?,
            nonce: r.array()?,
            raw_bytes: r.u32()?,
            sealed: {
                if r.u32()? != 0 {
                    return Err(Reject::Broken("reserved bytes are not zero"));
                }
                r.rest().to_vec()
            },
        };
        Ok(envelope)
    }
}

#[cfg(test)]
#[path = "record_tests.rs"]
mod tests;
