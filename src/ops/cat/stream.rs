//! The output of a file or a part of it, with holes filled in.

use std::io::Write;
use std::ops::Range;

use crate::format::listing::Extent;
use crate::ops::cat::Error;

/// Zeros written at a time.
const ZEROS: &[u8] = &[0; 64 << 10];

/// Takes the content in order, and writes what of it lies in the part asked for.
pub struct Stream<'s> {
    out: &'s mut dyn Write,
    /// The part of the file that is written.
    part: Range<u64>,
    /// What is left of the extents.
    extents: &'s [Extent],
    /// The place in the file up to which everything was written or passed.
    at: u64,
    /// Bytes taken of the first extent left.
    within: u64,
    /// Bytes of content taken.
    taken: u64,
}

impl<'s> Stream<'s> {
    /// Nothing written yet of a part of the file.
    pub fn new(out: &'s mut dyn Write, extents: &'s [Extent], part: Range<u64>) -> Self {
        Self { out, at: part.start, part, extents, within: 0, taken: 0 }
    }

    /// The place in the file up to which everything was written.
    pub fn at(&self) -> u64 {
        self.at.max(self.part.start)
    }

    /// Passes content that nobody reads, up to this byte of it.
    pub fn go_to(&mut self, content: u64) {
        let mut left = content.saturating_sub(self.taken);
        if left == 0 && self.taken > 0 {
            return;
        }
        self.taken = self.taken.max(content);
        while let Some(extent) = self.extents.first() {
            let rest = extent.bytes - self.within;
            if left < rest {
                self.within += left;
                self.at = self.at.min(extent.offset + self.within);
                return;
            }
            left -= rest;
            self.extents = &self.extents[1..];
            self.within = 0;
        }
    }

    /// The next bytes of content.
    pub fn put(&mut self, mut bytes: &[u8]) -> Result<(), Error> {
        self.taken += bytes.len() as u64;
        while !bytes.is_empty() {
            // The decoder made sure that extents and chunks are of one length.
            let Some(extent) = self.extents.first().copied() else { return Ok(()) };
            self.fill(extent.offset + self.within)?;
            let fits = usize::try_from(extent.bytes - self.within).map_or(bytes.len(), |fits| fits.min(bytes.len()));
            let (now, rest) = bytes.split_at(fits);
            self.write(now)?;
            self.within += fits as u64;
            if self.within == extent.bytes {
                self.extents = &self.extents[1..];
                self.within = 0;
            }
            bytes = rest;
        }
        Ok(())
    }

    /// No more content: what is left of the part is a hole.
    pub fn finish(mut self) -> Result<(), Error> {
        self.fill(self.part.end)?;
        self.out.flush().map_err(Error::Write)
    }

    /// Writes what of these bytes lies in the part.
    fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let end = self.at + bytes.len() as u64;
        let (from, to) = (self.at.max(self.part.start), end.min(self.part.end));
        if from < to {
            let bytes = &bytes[(from - self.at) as usize..(to - self.at) as usize];
            self.out.write_all(bytes).map_err(Error::Write)?;
        }
        self.at = end;
        Ok(())
    }

    /// Zeros up to a place in the file.
    fn fill(&mut self, to: u64) -> Result<(), Error> {
        let (mut at, end) = (self.at.max(self.part.start), to.min(self.part.end));
        while at < end {
            let now = usize::try_from(end - at).map_or(ZEROS.len(), |left| left.min(ZEROS.len()));
            self.out.write_all(&ZEROS[..now]).map_err(Error::Write)?;
            at += now as u64;
            self.at = at;
        }
        self.at = self.at.max(to);
        Ok(())
    }
}
