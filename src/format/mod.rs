//! What the bytes of a repository mean. Pure: no I/O, no keys, no clock.
//!
//! One file per page of `format-spec/`. Everything decoded here may come from an enemy: lengths are bounded before
//! anything is allocated, trailing bytes are refused, and the [`Reject`] names the flaw.

pub mod content;
pub mod entry;
pub mod listing;
pub mod log;
pub mod objects;
pub mod packs;
pub mod pages;
pub mod record;
pub mod slots;
pub mod wire;

use std::fmt;

use jiff::Timestamp;

/// The version of the format this program writes, and the highest it reads.
pub const FORMAT_VERSION: u8 = 1;

/// Bytes that are not what they should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Reject {
    /// The bytes end in the middle of a field.
    #[error("ends too early")]
    Truncated,
    /// There are bytes after the end.
    #[error("{0} bytes too many")]
    TrailingBytes(usize),
    /// The first bytes are not those of this kind of object.
    #[error("not a {0}")]
    Magic(&'static str),
    /// Of another version of the format.
    #[error("says it is of format version {0}, and not of {FORMAT_VERSION}")]
    Version(u8),
    /// A count or a length is above its limit.
    #[error("{field} is {value}, above the limit of {limit}")]
    TooLarge {
        /// Which field.
        field: &'static str,
        /// What it says.
        value: u64,
        /// What is allowed.
        limit: u64,
    },
    /// A field has a value that means nothing.
    #[error("{field} has the unknown value {value}")]
    Unknown {
        /// Which field.
        field: &'static str,
        /// What it says.
        value: u64,
    },
    /// Two fields contradict each other, or a rule of the format is broken.
    #[error("{0}")]
    Broken(&'static str),
    /// The object belongs to another repository.
    #[error("belongs to another repository")]
    Foreign,
}

/// What a block or a chunk holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Contents of files and streams.
    Data,
    /// Pages of listings and of content lists.
    Tree,
}

impl Kind {
    /// The kind as the byte on disk.
    pub const fn code(self) -> u8 {
        match self {
            Kind::Data => 1,
            Kind::Tree => 2,
        }
    }

    /// The kind of a byte on disk.
    pub fn from_code(code: u8) -> Result<Self, Reject> {
        match code {
            1 => Ok(Kind::Data),
            2 => Ok(Kind::Tree),
            _ => Err(Reject::Unknown { field: "kind", value: code.into() }),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Data => "data",
            Kind::Tree => "tree",
        })
    }
}

/// Seconds and nanoseconds since 1970-01-01 00:00 UTC.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time {
    /// Whole seconds; negative before 1970.
    pub seconds: i64,
    /// Nanoseconds, 0 to 999,999,999.
    pub nanos: u32,
}

impl Time {
    /// As the calendar has it; one beyond the years -9999 to 9999 counts as the nearest within.
    pub fn timestamp(self) -> Timestamp {
        let nanosecond = i128::from(self.seconds) * 1_000_000_000 + i128::from(self.nanos);
        let nearest = if self.seconds < 0 { Timestamp::MIN } else { Timestamp::MAX };
        Timestamp::from_nanosecond(nanosecond).unwrap_or(nearest)
    }

    /// For programs: RFC 3339, in UTC.
    pub fn rfc3339(self) -> String {
        self.timestamp().to_string()
    }

    /// Seconds from another time to this one.
    pub fn seconds_since(self, before: Self) -> f64 {
        (self.seconds - before.seconds) as f64 + (f64::from(self.nanos) - f64::from(before.nanos)) / 1e9
    }
}
