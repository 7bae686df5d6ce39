//! The entries of a stored dump.
//!
//! Promise: a list beside the dump is used if it is whole and of a dump of this length; otherwise the dump is read.

use std::io::{self, BufReader, Write};

use crate::dump::{Entries, Scanner, joined, sidecar};
use crate::format::record::ListingRoot;
use crate::ops::cat::stored::Stored;
use crate::ops::cat::{self, cat_range};
use crate::ops::entries::Error;
use crate::repo::Repository;

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
pub fn write(
    stored: &Stored<'_>,
    entries: &[&crate::dump::Entry],
    out: &mut dyn Write,
    threads: usize,
) -> Result<u64, Error> {
    let ranges = joined(entries.iter().flat_map(|entry| entry.ranges.iter().cloned()).collect());
    let mut bytes = 0;
    for range in ranges {
        bytes += range.end - range.start;
        cat_range(stored, range, out, threads)?;
    }
    Ok(bytes)
}
