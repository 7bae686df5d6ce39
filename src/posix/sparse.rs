//! Where the data of a sparse file lies.
//!
//! Promise: the extents cover every byte that is not zero, in order and not touching, never beyond the given length.
//! Left out on purpose: finding runs of zeros that the file system does not call holes.

use std::io;
use std::os::fd::AsFd;

use rustix::fs::{SeekFrom, seek};
use rustix::io::Errno;

use crate::format::listing::{EXTENTS_MAX, Extent};

/// The extents of the first `bytes` bytes; `None` if there is no hole, or nobody knows. Moves the file's position.
///
/// Worth asking only when the file takes less space than its length.
pub fn extents(file: impl AsFd, bytes: u64) -> io::Result<Option<Vec<Extent>>> {
    extents_limited(file, bytes, EXTENTS_MAX as usize)
}

/// Where data begins that is not before `at`; `end` if there is none before it. Where nobody knows, `at` itself.
pub fn next_data(file: impl AsFd, at: u64, end: u64) -> u64 {
    match seek(&file, SeekFrom::Data(at)) {
        Ok(offset) => offset.clamp(at, end),
        Err(Errno::NXIO) => end,
        Err(_) => at,
    }
}

fn extents_limited(file: impl AsFd, bytes: u64, extents_max: usize) -> io::Result<Option<Vec<Extent>>> {
    let mut found: Vec<Extent> = Vec::new();
    let mut at = 0;
    while at < bytes {
        let offset = match seek(&file, SeekFrom::Data(at)) {
            Ok(offset) => offset,
            // Nothing but a hole up to the end.
            Err(Errno::NXIO) => break,
            Err(Errno::INVAL | Errno::NOTSUP | Errno::SPIPE) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        if offset >= bytes {
            break;
        }
        let end = match seek(&file, SeekFrom::Hole(offset)) {
            Ok(end) if end > offset => end.min(bytes),
            // Cut off in between: what is left is read as data, and reading notices.
            Ok(_) | Err(Errno::NXIO) => bytes,
            Err(error) => return Err(error.into()),
        };
        push(&mut found, Extent { offset, bytes: end - offset });
        if found.len() >= extents_max.saturating_mul(2) {
            merge_closest(&mut found, extents_max);
        }
        at = end;
    }
    merge_closest(&mut found, extents_max);
    let whole = found.len() == 1 && found[0].offset == 0 && found[0].bytes == bytes;
    Ok(if whole || bytes == 0 { None } else { Some(found) })
}

fn push(found: &mut Vec<Extent>, extent: Extent) {
    match found.last_mut() {
        Some(last) if last.offset + last.bytes == extent.offset => last.bytes += extent.bytes,
        _ => found.push(extent),
    }
}

/// Fills the smallest holes until at most `extents_max` extents are left.
fn merge_closest(found: &mut Vec<Extent>, extents_max: usize) {
    let Some(surplus) = found.len().checked_sub(extents_max).filter(|&surplus| surplus > 0) else { return };
    let gap = |pair: &[Extent]| pair[1].offset - (pair[0].offset + pair[0].bytes);
    let mut gaps: Vec<u64> = found.windows(2).map(gap).collect();
    let (_, &mut widest, _) = gaps.select_nth_unstable(surplus - 1);
    let mut filled = 0;
    let mut merged: Vec<Extent> = Vec::with_capacity(extents_max);
    for extent in found.drain(..) {
        match merged.last_mut() {
            Some(last) if filled < surplus && extent.offset - (last.offset + last.bytes) <= widest => {
                last.bytes = extent.offset + extent.bytes - last.offset;
                filled += 1;
            }
            _ => merged.push(extent),
        }
    }
    *found = merged;
}

#[cfg(test)]
#[path = "sparse_tests.rs"]
mod tests;
