//! What is inside a stored file: the tables of a dump, the members of an archive.
//!
//! Promise: a file is known by its first bytes, whatever its name. Of an archive only headers are read, of a dump the
//! list beside it; without one the dump is read once, whole. What is written comes from the chunks that hold it.
//! Left out on purpose: archives and dumps that are compressed, which cannot be entered in the middle.

pub mod archive;
pub mod sql;

use std::io::{self, Read as _};

use crate::dump::{self, Dialect};
use crate::ops::cat;
use crate::ops::cat::stored::{Stored, unwrapped};

/// So many first bytes show what a file is: the first header of an archive.
const HEAD_BYTES: usize = 512;
/// Where an archive's header says what it is, and how.
const TAR_MAGIC_AT: usize = 257;
const TAR_MAGIC: &[u8] = b"ustar";

/// Why nothing can be picked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file, or the repository.
    #[error(transparent)]
    Cat(#[from] cat::Error),
    /// It has entries that are not known.
    #[error("the dump {0}")]
    Dump(#[from] dump::Flaw),
    /// It is an archive that cannot be read on.
    #[error("the archive cannot be read on from byte {at}")]
    Archive {
        /// Where its last readable header ends.
        at: u64,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The output does not take any more.
    #[error("cannot write")]
    Write(#[source] io::Error),
}

/// What has entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// A dump as plain SQL.
    Dump(Dialect),
    /// A tar archive.
    Tar,
}

impl Shape {
    /// In words.
    pub const fn words(self) -> &'static str {
        match self {
            Shape::Dump(Dialect::Postgres) => "a dump by pg_dump",
            Shape::Dump(Dialect::Mariadb) => "a dump by mariadb-dump",
            Shape::Tar => "a tar archive",
        }
    }
}

/// What a file is, if it is something with entries.
pub fn shape(stored: &Stored<'_>) -> Result<Option<Shape>, Error> {
    let mut head = Vec::new();
    let read = stored.reader().take(HEAD_BYTES as u64).read_to_end(&mut head);
    read.map_err(|error| reading(error, 0))?;
    if let Some(dialect) = dump::recognise(&head) {
        return Ok(Some(Shape::Dump(dialect)));
    }
    let archive = head.get(TAR_MAGIC_AT..).is_some_and(|magic| magic.starts_with(TAR_MAGIC));
    Ok(archive.then_some(Shape::Tar))
}

/// The error that an error of reading means.
fn reading(error: io::Error, at: u64) -> Error {
    match unwrapped(error) {
        Ok(error) => Error::Cat(error),
        Err(source) => Error::Archive { at, source },
    }
}

#[cfg(test)]
#[path = "mod_tests.rs"]
mod tests;
