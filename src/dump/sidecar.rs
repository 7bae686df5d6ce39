//! The list of a dump's entries as a file beside it, so that nobody reads the dump to find them. See `docs/entries.md`.
//!
//! Promise: a list that is not whole, or not of a dump of this length, is refused; ranges lie within the dump.
//! Left out on purpose: proof that the ranges are right. Whoever writes the list could write another dump as well.

use std::io::{BufRead, Read as _};
use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::dump::{Dialect, Entries, Entry};

/// What is behind the name of a dump in the name of its list.
pub const SUFFIX: &[u8] = b".entries";
/// The longest list that is read.
pub const BYTES_MAX: u64 = 256 << 20;
/// The version of the list.
const VERSION: u32 = 1;
/// The longest line.
const LINE_BYTES_MAX: u64 = 32 << 20;
/// Most entries, so that memory stays bounded whoever wrote it.
const ENTRIES_MAX: usize = 1 << 20;

/// Why a list is not used.
#[derive(Debug, thiserror::Error)]
pub enum Flaw {
    /// It cannot be read.
    #[error("cannot be read: {0}")]
    Read(#[from] std::io::Error),
    /// It is no list of entries.
    #[error("is no list of entries: {0}")]
    Form(#[from] serde_json::Error),
    /// It contradicts itself or the dump.
    #[error("{0}")]
    Wrong(&'static str),
}

/// The first line.
#[derive(Serialize, Deserialize)]
struct Head {
    larder_entries: u32,
    dump: String,
    bytes: u64,
    entries: usize,
}

/// Any other line.
#[derive(Serialize, Deserialize)]
struct Line {
    name: String,
    kind: String,
    ranges: Vec<[u64; 2]>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    left_out: Vec<String>,
}

/// The list, as lines of JSON.
pub fn encode(entries: &Entries) -> Result<Vec<u8>, serde_json::Error> {
    let mut list = Vec::new();
    let head = Head {
        larder_entries: VERSION,
        dump: entries.dialect.word().to_owned(),
        bytes: entries.bytes,
        entries: entries.entries.len(),
    };
    serde_json::to_writer(&mut list, &head)?;
    list.push(b'\n');
    for Entry { name, kind, ranges, left_out } in &entries.entries {
        let ranges = ranges.iter().map(|range| [range.start, range.end]).collect();
        let line = Line { name: name.clone(), kind: kind.clone(), ranges, left_out: left_out.clone() };
        serde_json::to_writer(&mut list, &line)?;
        list.push(b'\n');
    }
    Ok(list)
}

/// Reads the list of a dump of this length.
pub fn decode(mut list: impl BufRead, bytes: u64) -> Result<Entries, Flaw> {
    let head: Head = serde_json::from_slice(&line(&mut list)?)?;
    if head.larder_entries != VERSION {
        return Err(Flaw::Wrong("is of another version"));
    }
    if head.bytes != bytes {
        return Err(Flaw::Wrong("is of a file of another length"));
    }
    let dialects = [Dialect::Postgres, Dialect::Mariadb];
    let dialect = dialects.into_iter().find(|dialect| dialect.word() == head.dump);
    let dialect = dialect.ok_or(Flaw::Wrong("is of a dump of another kind"))?;
    if head.entries > ENTRIES_MAX {
        return Err(Flaw::Wrong("has too many entries"));
    }
    let mut entries = Vec::new();
    while entries.len() < head.entries {
        entries.push(entry(serde_json::from_slice(&line(&mut list)?)?, bytes)?);
    }
    if !line(&mut list)?.is_empty() {
        return Err(Flaw::Wrong("has more entries than it says"));
    }
    Ok(Entries { dialect, bytes, entries })
}

fn line(list: &mut impl BufRead) -> Result<Vec<u8>, Flaw> {
    let mut line = Vec::new();
    list.take(LINE_BYTES_MAX).read_until(b'\n', &mut line)?;
    Ok(line)
}

fn entry(line: Line, bytes: u64) -> Result<Entry, Flaw> {
    let Line { name, kind, ranges, left_out } = line;
    let ranges: Vec<Range<u64>> = ranges.into_iter().map(|[start, end]| start..end).collect();
    let inside = ranges.iter().all(|range| range.start < range.end && range.end <= bytes);
    if !inside || ranges.windows(2).any(|pair| pair[0].end >= pair[1].start) {
        return Err(Flaw::Wrong("has ranges that are not in order or not in the dump"));
    }
    Ok(Entry { name, kind, ranges, left_out })
}

#[cfg(test)]
#[path = "sidecar_tests.rs"]
mod tests;
