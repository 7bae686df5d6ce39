//! Names of things: fixed-length byte strings, written in hexadecimal.
//!
//! Left out on purpose: how a name is computed. That is `crypto`'s and `format`'s business.

use std::fmt;
use std::str::FromStr;

/// The text is not the hexadecimal form of the name it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not {expected} hexadecimal digits")]
pub struct ParseError {
    /// How many digits a whole name has.
    pub expected: usize,
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $len:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $len]);

        impl $name {
            /// Length in bytes.
            pub const LEN: usize = $len;

            /// Wraps the raw bytes.
            pub const fn new(bytes: [u8; $len]) -> Self {
                Self(bytes)
            }

            /// The raw bytes.
            pub const fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }

            /// The first eight hexadecimal digits, for eyes.
            pub fn short(&self) -> String {
                hex::encode(&self.0[..4])
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex::encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.short())
            }
        }

        impl FromStr for $name {
            type Err = ParseError;

            fn from_str(text: &str) -> Result<Self, ParseError> {
                let mut bytes = [0; $len];
                // Upper case would give one object two names.
                let lower = !text.bytes().any(|b| b.is_ascii_uppercase());
                match hex::decode_to_slice(text, &mut bytes) {
                    Ok(()) if lower => Ok(Self(bytes)),
                    _ => Err(ParseError { expected: 2 * $len }),
                }
            }
        }
    };
}

name!(
    /// A repository, chosen at random by `init`.
    RepositoryId,
    16
);
name!(
    /// Who wrote a pack or a log entry.
    WriterId,
    16
);
name!(
    /// A key slot.
    SlotId,
    16
);
name!(
    /// A chunk: keyed hash of its bytes.
    ChunkId,
    32
);
name!(
    /// A pack: hash of its body.
    PackId,
    32
);
name!(
    /// A snapshot: keyed hash of its record.
    SnapshotId,
    32
);
name!(
    /// A series (source and host): keyed hash of both names.
    SeriesId,
    32
);

#[cfg(test)]
#[path = "id_tests.rs"]
mod tests;
