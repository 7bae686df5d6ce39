//! Whether what was given fits into a snapshot's record and log entry, before anything is read.
//!
//! Promise: when [`check`] has passed, no record of this run is refused at the commit for its length or its fields.

use crate::crypto::seal::TAG_BYTES;
use crate::format::content::{ChunkRef, LEVELS_MAX, PAGE_BYTES_MAX};
use crate::format::log::RECORD_BYTES_MAX;
use crate::format::record::{Counts, ENVELOPE_BYTES, ListingRoot, Record};
use crate::format::{Reject, Time};
use crate::id::{ChunkId, SnapshotId};
use crate::ops::backup::{Error, Options};
use crate::ops::tag;

/// Most random bytes that a writer puts into the extension of a record.
const GREASE_BYTES_MAX: usize = 7;

/// The record of a run as far as it is known when it begins. The rest is as long as it can become.
pub fn draft(options: &Options, started: Time) -> Record {
    let most = u64::MAX;
    Record {
        source: options.source.clone(),
        host: options.host.clone(),
        user: options.user.clone(),
        paths: options.paths.clone(),
        description: options.description.clone(),
        started,
        ended: Time { seconds: i64::MIN, nanos: 999_999_999 },
        complete: true,
        parent: Some(SnapshotId::new([0; 32])),
        root: ListingRoot {
            page: ChunkRef { id: ChunkId::new([0; 32]), bytes: PAGE_BYTES_MAX as u32 },
            level: LEVELS_MAX - 1,
            entries: most,
        },
        counts: Counts {
            files: most,
            directories: most,
            others: most,
            bytes: most,
            new_raw_bytes: most,
            new_stored_bytes: most,
            unreadable: most,
            unstable: most,
        },
        unique: [0; 16],
        program: concat!("larder ", env!("CARGO_PKG_VERSION")).into(),
        extension: vec![0; GREASE_BYTES_MAX],
    }
}

/// Refuses what a reader would refuse.
pub fn check(options: &Options, started: Time) -> Result<(), Error> {
    let bytes = draft(options, started).encode();
    Record::decode(&bytes).map_err(Error::Unfit)?;
    let value = (ENVELOPE_BYTES + bytes.len() + TAG_BYTES) as u64;
    if value > RECORD_BYTES_MAX {
        let field = "the length of all paths and texts together";
        return Err(Error::Unfit(Reject::TooLarge { field, value, limit: RECORD_BYTES_MAX }));
    }
    Ok(tag::check(&options.tags)?)
}

#[cfg(test)]
#[path = "fit_tests.rs"]
mod tests;
