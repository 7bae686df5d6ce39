//! The entries of a stored dump.
//!
//! Promise: a list beside the dump is used if it is whole and of a dump of this length; otherwise the dump is read.

use std::io::{self, BufReader, Read as _, Seek as _, SeekFrom, Write};
use std::ops::Range;

use crate::dump::{Entries, Entry, Scanner, joined, sidecar};
use crate::format::record::ListingRoot;
use crate::ops::cat::stored::{Reader, Stored};
use crate::ops::cat::{self, cat_range};
use crate::ops::entries::{Error, reading};
use crate::repo::Repository;

/// Ranges at least this long are read ahead, on several threads.
const AHEAD_BYTES_MIN: u64 = 8 << 20;
/// Bytes copied at a time.
const COPY_BYTES: usize = 64 << 10;

/// The entries of a dump.
#[derive(Debug)]
pub struct Listed {
    /// What it holds.
    pub entries: Entries,
    /// Where that is known from.
    pub known: Known,
}

/// Where entries are known from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Known {
    /// From the list beside the dump.
    List,
    /// From the dump, since there is no list.
    Dump,
    /// From the dump, since the list cannot be used.
    DumpInstead {
        /// Why not.
        reason: String,
    },
}

/// Finds the entries of the dump of this path.
pub fn list(
    repo: &Repository,
    root: &ListingRoot,
    path: &[u8],
    stored: &Stored<'_>,
    threads: usize,
) -> Result<Listed, Error> {
    let known = match beside(repo, root, path, stored.bytes()) {
        Ok(Some(entries)) => return Ok(Listed { entries, known: Known::List }),
        Ok(None) => Known::Dump,
        Err(reason) => Known::DumpInstead { reason },
    };
    let mut feed = Feed(Scanner::new());
    cat_range(stored, 0..stored.bytes(), &mut feed, threads)?;
    Ok(Listed { entries: feed.0.finish()?, known })
}

/// The list beside a dump, if there is one. An error says why it cannot be used.
fn beside(repo: &Repository, root: &ListingRoot, path: &[u8], bytes: u64) -> Result<Option<Entries>, String> {
    let path = [path, sidecar::SUFFIX].concat();
    let list = match Stored::open(repo, root, &path) {
        Ok(list) => list,
        Err(cat::Error::NoSuchPath { .. } | cat::Error::NotAFile { .. }) => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    if list.bytes() > sidecar::BYTES_MAX {
        return Err("is too long".to_owned());
    }
    sidecar::decode(BufReader::new(list.reader()), bytes).map(Some).map_err(|flaw| flaw.to_string())
}

/// A scanner that is written to.
struct Feed(Scanner);

impl Write for Feed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.feed(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes the parts of a dump that these entries consist of; what they share, once.
pub fn write(stored: &Stored<'_>, entries: &[&Entry], out: &mut dyn Write, threads: usize) -> Result<u64, Error> {
    let ranges = joined(entries.iter().flat_map(|entry| entry.ranges.iter().cloned()).collect());
    let mut reader = stored.reader();
    for range in &ranges {
        if range.end - range.start < AHEAD_BYTES_MIN {
            copy(&mut reader, range, out)?;
        } else {
            cat_range(stored, range.clone(), out, threads)?;
        }
    }
    Ok(ranges.iter().map(|range| range.end - range.start).sum())
}

/// Copies a short range. Many of them lie in one block, which stays opened.
fn copy(reader: &mut Reader<'_, '_>, range: &Range<u64>, out: &mut dyn Write) -> Result<(), Error> {
    let failed = |error: io::Error| reading(error, range.start);
    reader.seek(SeekFrom::Start(range.start)).map_err(failed)?;
    let mut buffer = vec![0; COPY_BYTES];
    let mut left = range.end - range.start;
    while left > 0 {
        let most = usize::try_from(left).map_or(COPY_BYTES, |left| left.min(COPY_BYTES));
        match reader.read(&mut buffer[..most]).map_err(failed)? {
            // Ranges lie within the dump.
            0 => return Ok(()),
            read => {
                out.write_all(&buffer[..read]).map_err(Error::Write)?;
                left -= read as u64;
            }
        }
    }
    Ok(())
}
