//! The names in a folder, sorted, in bounded memory.
//!
//! Promise: bytewise order, each name once, however many there are; above a threshold they go through a temporary file
//! that nobody else can see and that is gone with the process.
//! Left out on purpose: what the names stand for.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::ops::ControlFlow;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::format::listing::NAME_BYTES_MAX;
use crate::posix::open::for_each_name;

/// Names of one folder that are kept in memory.
pub const NAMES_IN_MEMORY_MAX: usize = 500_000;
/// As many of the longest names as offsets of 32 bits can address.
const NAMES_IN_BUFFER_MAX: usize = 10_000_000;
/// Names of one folder altogether. A broken file system may list for ever.
const NAMES_MAX: u64 = 200_000_000;
/// Bytes read of a run at a time.
const RUN_BUFFER_BYTES: usize = 16 << 10;

/// Where and when names spill.
#[derive(Debug, Clone, Copy)]
pub struct Spill<'a> {
    /// The folder of the temporary file.
    pub folder: &'a Path,
    /// How many names stay in memory.
    pub names_in_memory_max: usize,
}

/// The names of a folder, in order.
pub enum Names {
    /// Few enough for memory.
    Memory(Sorted),
    /// In a temporary file, in sorted runs.
    Spilled(Merge),
}

/// What came of reading a folder: the names that could be read, and what went wrong, if anything.
pub struct Listed {
    /// All names read.
    pub names: Names,
    /// Why there are not more.
    pub error: Option<io::Error>,
    /// Names that are too long for a listing.
    pub too_long: Vec<Vec<u8>>,
}

/// Reads the names of a folder freshly opened.
pub fn list(folder: impl AsFd, spill: &Spill<'_>) -> Listed {
    let mut gathered = Gathered::default();
    let outcome = for_each_name(folder, &mut |name| gathered.take(name, spill));
    let (too_long, failed) = (std::mem::take(&mut gathered.too_long), gathered.failed.take());
    let (names, failed_late) = gathered.finish(spill);
    Listed { names, error: outcome.err().or(failed).or(failed_late), too_long }
}

impl Names {
    /// Just these names, sorted already.
    pub fn only(name: &[u8]) -> Self {
        let mut sorted = Sorted::default();
        sorted.push(name);
        Names::Memory(sorted)
    }

    /// Whether a name is among them; a spilled list says yes.
    pub fn may_contain(&self, name: &[u8]) -> bool {
        match self {
            Names::Memory(sorted) => sorted.spans.binary_search_by(|&span| sorted.at(span).cmp(name)).is_ok(),
            Names::Spilled(_) => true,
        }
    }

    /// The next name, appended to `path`. `None` at the end.
    pub fn next(&mut self, path: &mut Vec<u8>) -> io::Result<Option<()>> {
        match self {
            Names::Memory(sorted) => Ok(sorted.next().map(|name| path.extend_from_slice(name))),
            Names::Spilled(merge) => Ok(merge.next()?.map(|name| path.extend_from_slice(&name))),
        }
    }
}

/// Names side by side in one buffer.
#[derive(Default)]
pub struct Sorted {
    bytes: Vec<u8>,
    spans: Vec<(u32, u16)>,
    next: usize,
}

impl Sorted {
    fn push(&mut self, name: &[u8]) {
        self.spans.push((self.bytes.len() as u32, name.len() as u16));
        self.bytes.extend_from_slice(name);
    }

    fn at(&self, (start, bytes): (u32, u16)) -> &[u8] {
        &self.bytes[start as usize..][..usize::from(bytes)]
    }

    fn sort(&mut self) {
        let bytes = &self.bytes;
        let name = |&(start, length): &(u32, u16)| &bytes[start as usize..][..usize::from(length)];
        self.spans.sort_unstable_by(|a, b| name(a).cmp(name(b)));
        self.spans.dedup_by(|a, b| name(a) == name(b));
    }

    fn next(&mut self) -> Option<&[u8]> {
        let span = *self.spans.get(self.next)?;
        self.next += 1;
        Some(self.at(span))
    }
}

/// Names on their way to [`Names`].
#[derive(Default)]
struct Gathered {
    sorted: Sorted,
    runs: Option<(BufWriter<File>, Vec<u64>)>,
    written: u64,
    count: u64,
    too_long: Vec<Vec<u8>>,
    failed: Option<io::Error>,
}

impl Gathered {
    fn take(&mut self, name: &[u8], spill: &Spill<'_>) -> ControlFlow<()> {
        self.count += 1;
        if self.count > NAMES_MAX {
            self.failed = Some(io::Error::other("too many names in one folder"));
            return ControlFlow::Break(());
        }
        if name.len() > NAME_BYTES_MAX {
            // Some file systems give names longer than NAME_MAX. A sample of them is enough for a report.
            if self.too_long.len() < 100 {
                self.too_long.push(name.to_vec());
            }
            return ControlFlow::Continue(());
        }
        if self.sorted.spans.len() >= spill.names_in_memory_max.clamp(1, NAMES_IN_BUFFER_MAX)
            && let Err(error) = self.write_run(spill)
        {
            self.failed = Some(error);
            return ControlFlow::Break(());
        }
        self.sorted.push(name);
        ControlFlow::Continue(())
    }

    fn write_run(&mut self, spill: &Spill<'_>) -> io::Result<()> {
        self.sorted.sort();
        if self.runs.is_none() {
            let file = tempfile::tempfile_in(spill.folder)?;
            self.runs = Some((BufWriter::with_capacity(RUN_BUFFER_BYTES, file), vec![0]));
        }
        let Some((file, ends)) = &mut self.runs else { return Ok(()) };
        let run = std::mem::take(&mut self.sorted);
        for &span in &run.spans {
            file.write_all(&[span.1 as u8])?;
            file.write_all(run.at(span))?;
            self.written += 1 + u64::from(span.1);
        }
        ends.push(self.written);
        Ok(())
    }

    /// The names, as far as they could be kept.
    fn finish(mut self, spill: &Spill<'_>) -> (Names, Option<io::Error>) {
        if self.runs.is_some() && self.failed.is_none() {
            self.failed = self.write_run(spill).err();
        }
        self.sorted.sort();
        let Some((file, ends)) = self.runs else { return (Names::Memory(self.sorted), self.failed) };
        match file.into_inner().map_err(io::IntoInnerError::into_error).and_then(|file| Merge::new(file, &ends)) {
            Ok(merge) => (Names::Spilled(merge), self.failed),
            Err(error) => (Names::Memory(self.sorted), Some(error)),
        }
    }
}

/// Sorted runs in a file, merged while they are read.
pub struct Merge {
    file: File,
    runs: Vec<Run>,
    heads: BinaryHeap<Reverse<(Vec<u8>, usize)>>,
    last: Option<Vec<u8>>,
}

impl Merge {
    fn new(file: File, ends: &[u64]) -> io::Result<Self> {
        let run = |pair: &[u64]| Run { at: pair[0], end: pair[1], buffer: Vec::new(), used: 0 };
        let mut merge = Self { file, runs: ends.windows(2).map(run).collect(), heads: BinaryHeap::new(), last: None };
        for index in 0..merge.runs.len() {
            merge.refill(index)?;
        }
        Ok(merge)
    }

    fn refill(&mut self, index: usize) -> io::Result<()> {
        if let Some(name) = self.runs[index].next(&self.file)? {
            self.heads.push(Reverse((name, index)));
        }
        Ok(())
    }

    fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        while let Some(Reverse((name, index))) = self.heads.pop() {
            self.refill(index)?;
            if self.last.as_ref() != Some(&name) {
                self.last = Some(name.clone());
                return Ok(Some(name));
            }
        }
        Ok(None)
    }
}

struct Run {
    at: u64,
    end: u64,
    buffer: Vec<u8>,
    used: usize,
}

impl Run {
    fn next(&mut self, file: &File) -> io::Result<Option<Vec<u8>>> {
        let Some(bytes) = self.take(file, 1)? else { return Ok(None) };
        let length = usize::from(self.buffer[bytes]);
        let start = self.take(file, length)?.ok_or(io::ErrorKind::UnexpectedEof)?;
        Ok(Some(self.buffer[start..start + length].to_vec()))
    }

    /// Makes `bytes` bytes available and says where in the buffer they are.
    fn take(&mut self, file: &File, bytes: usize) -> io::Result<Option<usize>> {
        if self.buffer.len() - self.used < bytes {
            self.buffer.drain(..self.used);
            self.used = 0;
            let kept = self.buffer.len();
            let more = (self.end - self.at).min((RUN_BUFFER_BYTES - kept) as u64) as usize;
            self.buffer.resize(kept + more, 0);
            file.read_exact_at(&mut self.buffer[kept..], self.at)?;
            self.at += more as u64;
            if self.buffer.len() < bytes {
                return Ok(None);
            }
        }
        self.used += bytes;
        Ok(Some(self.used - bytes))
    }
}

#[cfg(test)]
#[path = "names_tests.rs"]
mod tests;
