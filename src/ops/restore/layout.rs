//! Where the bytes of a content lie in its file: at the same place, or in the extents of a sparse file.
//!
//! Pure. Left out on purpose: chunks, and the files themselves.

use std::ops::Range;

use crate::format::listing::{Extent, Node};

/// From places in a content to places in its file.
#[derive(Debug, Clone, Default)]
pub struct Layout {
    /// The extents of a sparse file, each with the place in the content where it begins.
    extents: Option<Vec<(u64, Extent)>>,
}

impl Layout {
    /// The layout of a file. Anything else has none.
    pub fn of(node: &Node) -> Self {
        let Node::File { extents: Some(extents), .. } = node else { return Self::default() };
        let mut at = 0;
        let placed = extents.iter().map(|&extent| {
            let starts_at = at;
            at += extent.bytes;
            (starts_at, extent)
        });
        Self { extents: Some(placed.collect()) }
    }

    /// Whether the file has holes.
    pub fn is_sparse(&self) -> bool {
        self.extents.is_some()
    }

    /// The stretches of a file of this length that hold no data.
    pub fn holes(&self, bytes: u64) -> impl Iterator<Item = (u64, u64)> + '_ {
        let extents = self.extents.as_deref().unwrap_or_default();
        let ends = extents.iter().map(|(_, extent)| extent.offset + extent.bytes);
        let starts = extents.iter().map(|(_, extent)| extent.offset).chain([bytes]);
        let sparse = self.is_sparse();
        std::iter::once(0).chain(ends).zip(starts).filter(move |(from, to)| sparse && from < to)
    }

    /// The pieces of a stretch of content, in order: where each lies in the file, and which part of the stretch it is.
    pub fn pieces(&self, content_at: u64, bytes: usize, each: &mut dyn FnMut(u64, Range<usize>)) {
        let Some(extents) = &self.extents else { return each(content_at, 0..bytes) };
        let first = extents.partition_point(|(starts_at, extent)| starts_at + extent.bytes <= content_at);
        let mut done = 0;
        for (starts_at, extent) in &extents[first..] {
            if done == bytes {
                break;
            }
            let within = content_at + done as u64 - starts_at;
            let fits = usize::try_from(extent.bytes - within).unwrap_or(usize::MAX);
            let end = bytes.min(done.saturating_add(fits));
            each(extent.offset + within, done..end);
            done = end;
        }
    }
}

#[cfg(test)]
#[path = "layout_tests.rs"]
mod tests;
