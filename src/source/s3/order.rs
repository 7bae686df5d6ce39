//! Objects in the order of listings, whatever order a server has, in bounded memory.
//!
//! Promise: each path once, by `compare_paths`, however many there are; above a threshold they go through a temporary
//! file that nobody else can see and that is gone with the process.
//! Left out on purpose: what the paths stand for.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::format::Time;
use crate::format::listing::compare_paths;

/// Bytes of objects that are kept in memory.
pub const MEMORY_BYTES_MAX: usize = 16 << 20;
/// What an object takes beside its path and tag.
const ROW_BYTES: usize = size_of::<Row>() + 32;
/// Stretches of the temporary file that are merged. Together with the above, enough for hundreds of millions of objects.
const RUNS_MAX: usize = 4096;
/// Bytes read of a stretch at a time.
const RUN_BUFFER_BYTES: usize = 16 << 10;

/// An object, as it is compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Its path, as if it were not also a folder's.
    pub path: Vec<u8>,
    /// Its length.
    pub bytes: u64,
    /// When it was last put.
    pub modified: Time,
    /// The tag of its content.
    pub etag: Vec<u8>,
    /// Whether its path in the listing bears the mark of an object beside a folder.
    pub marked: bool,
}

impl Ord for Row {
    fn cmp(&self, other: &Self) -> Ordering {
        compare_paths(&self.path, &other.path)
    }
}

impl PartialOrd for Row {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Objects on their way to [`Sorted`].
pub struct Sorter {
    folder: PathBuf,
    memory_bytes_max: usize,
    rows: Vec<Row>,
    row_bytes: usize,
    spilled: Option<(BufWriter<File>, Vec<u64>)>,
    written: u64,
}

impl Sorter {
    /// None yet. What does not fit into memory goes into a temporary file in this folder.
    pub fn new(folder: &Path, memory_bytes_max: usize) -> Self {
        Self { folder: folder.to_owned(), memory_bytes_max, rows: Vec::new(), row_bytes: 0, spilled: None, written: 0 }
    }

    /// Takes one.
    pub fn push(&mut self, row: Row) -> io::Result<()> {
        self.row_bytes += ROW_BYTES + row.path.len() + row.etag.len();
        self.rows.push(row);
        if self.row_bytes > self.memory_bytes_max { self.spill() } else { Ok(()) }
    }

    fn spill(&mut self) -> io::Result<()> {
        let rows = std::mem::take(&mut self.rows);
        self.row_bytes = 0;
        if self.spilled.is_none() {
            let file = tempfile::tempfile_in(&self.folder)?;
            self.spilled = Some((BufWriter::with_capacity(RUN_BUFFER_BYTES, file), vec![0]));
        }
        let Some((file, ends)) = &mut self.spilled else { return Ok(()) };
        if ends.len() > RUNS_MAX {
            return Err(io::Error::other("there are too many objects"));
        }
        for row in sorted(rows) {
            self.written += put(file, &row)?;
        }
        ends.push(self.written);
        Ok(())
    }

    /// All of them, in order.
    pub fn finish(mut self) -> io::Result<Sorted> {
        if self.spilled.is_none() {
            return Ok(Sorted::Memory(sorted(self.rows).into_iter()));
        }
        self.spill()?;
        let Some((file, ends)) = self.spilled else { return Ok(Sorted::Memory(Vec::new().into_iter())) };
        let file = Arc::new(file.into_inner().map_err(io::IntoInnerError::into_error)?);
        let run = |pair: &[u64]| {
            let stretch = Stretch { file: file.clone(), at: pair[0], end: pair[1] };
            BufReader::with_capacity(RUN_BUFFER_BYTES, stretch)
        };
        let mut merge = Merge { runs: ends.windows(2).map(run).collect(), heads: BinaryHeap::new(), last: None };
        for index in 0..merge.runs.len() {
            merge.refill(index)?;
        }
        Ok(Sorted::Spilled(merge))
    }
}

fn sorted(mut rows: Vec<Row>) -> Vec<Row> {
    rows.sort();
    rows.dedup_by(|a, b| a.path == b.path);
    rows
}

/// Objects in order.
pub enum Sorted {
    /// Few enough for memory.
    Memory(std::vec::IntoIter<Row>),
    /// In a temporary file.
    Spilled(Merge),
}

impl Iterator for Sorted {
    type Item = io::Result<Row>;

    fn next(&mut self) -> Option<io::Result<Row>> {
        match self {
            Sorted::Memory(rows) => rows.next().map(Ok),
            Sorted::Spilled(merge) => merge.next().transpose(),
        }
    }
}

/// Sorted stretches of a file, merged while they are read.
pub struct Merge {
    runs: Vec<BufReader<Stretch>>,
    heads: BinaryHeap<Reverse<(Row, usize)>>,
    last: Option<Vec<u8>>,
}

impl Merge {
    fn refill(&mut self, index: usize) -> io::Result<()> {
        if let Some(row) = take(&mut self.runs[index])? {
            self.heads.push(Reverse((row, index)));
        }
        Ok(())
    }

    fn next(&mut self) -> io::Result<Option<Row>> {
        while let Some(Reverse((row, index))) = self.heads.pop() {
            self.refill(index)?;
            if self.last.as_ref() != Some(&row.path) {
                self.last = Some(row.path.clone());
                return Ok(Some(row));
            }
        }
        Ok(None)
    }
}

/// A part of a file, read without moving the file's own place.
pub struct Stretch {
    file: Arc<File>,
    at: u64,
    end: u64,
}

impl Read for Stretch {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
        let wanted = buffer.len().min(left);
        let bytes = self.file.read_at(&mut buffer[..wanted], self.at)?;
        self.at += bytes as u64;
        Ok(bytes)
    }
}

/// Writes one, and says how many bytes it took.
fn put(file: &mut impl Write, row: &Row) -> io::Result<u64> {
    let mut head = Vec::with_capacity(HEAD_BYTES);
    head.extend((row.path.len() as u32).to_le_bytes());
    head.extend((row.etag.len() as u32).to_le_bytes());
    head.extend(row.bytes.to_le_bytes());
    head.extend(row.modified.seconds.to_le_bytes());
    head.extend(row.modified.nanos.to_le_bytes());
    head.push(u8::from(row.marked));
    for part in [&head, &row.path, &row.etag] {
        file.write_all(part)?;
    }
    Ok((HEAD_BYTES + row.path.len() + row.etag.len()) as u64)
}

const HEAD_BYTES: usize = 4 + 4 + 8 + 8 + 4 + 1;

/// Reads one; `None` at the end.
fn take(run: &mut BufReader<Stretch>) -> io::Result<Option<Row>> {
    use std::io::BufRead as _;
    if run.fill_buf()?.is_empty() {
        return Ok(None);
    }
    fn array<const N: usize>(run: &mut BufReader<Stretch>) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        run.read_exact(&mut bytes)?;
        Ok(bytes)
    }
    let path_bytes = u32::from_le_bytes(array(run)?) as usize;
    let etag_bytes = u32::from_le_bytes(array(run)?) as usize;
    let bytes = u64::from_le_bytes(array(run)?);
    let modified = Time { seconds: i64::from_le_bytes(array(run)?), nanos: u32::from_le_bytes(array(run)?) };
    let marked = array::<1>(run)? == [1];
    let (mut path, mut etag) = (vec![0; path_bytes], vec![0; etag_bytes]);
    run.read_exact(&mut path)?;
    run.read_exact(&mut etag)?;
    Ok(Some(Row { path, bytes, modified, etag, marked }))
}

#[cfg(test)]
#[path = "order_tests.rs"]
mod tests;
