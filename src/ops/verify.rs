//! Whether what a snapshot holds is what its source should have given: read back out of the repository, not believed.
//!
//! Promise: constant memory; a flaw is said in words for people.
//! Left out on purpose: whether a service would take it. That only a restore can tell.

use std::fs::File;
use std::io::{self, Write};

use serde::de::IgnoredAny;
use tempfile::TempDir;

use crate::format::record::ListingRoot;
use crate::ops::cat::stored::Stored;
use crate::ops::cat::{self, cat};
use crate::ops::entries::{self, archive};
use crate::ops::json::Passing;
use crate::ops::rdb::Rdb;
use crate::repo::Repository;
use crate::sqlite::online;

/// How much of the end of a dump is searched for its last line.
const TAIL_BYTES: usize = 4 << 10;

/// The last lines of dumps that are whole, of PostgreSQL, of its roles, of MariaDB.
const SQL_ENDS: [&str; 3] =
    ["-- PostgreSQL database dump complete", "-- PostgreSQL database cluster dump complete", "-- Dump completed"];

/// What a file should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Anything.
    Any,
    /// One JSON document.
    Json,
    /// A dump of a Redis server.
    Rdb,
    /// A dump with the line that ends it.
    Sql,
    /// An SQLite database.
    Sqlite,
    /// A tar archive, not compressed, with the blocks that end it.
    Tar,
}

/// Why a file is not what it should be.
#[derive(Debug, thiserror::Error)]
pub enum Flaw {
    /// It cannot be read back.
    #[error("cannot be read back: {0}")]
    Unreadable(#[from] cat::Error),
    /// It is not of its form.
    #[error("{0}")]
    Form(String),
    /// There is no room to look at it.
    #[error("cannot be looked at: {0}")]
    Staging(#[from] io::Error),
}

impl Flaw {
    /// Whether it is one of what is stored. Else it could not be looked at now, and nothing is known of it.
    pub fn is_known(&self) -> bool {
        match self {
            Flaw::Form(_) => true,
            Flaw::Unreadable(error) => error.is_damage(),
            Flaw::Staging(_) => false,
        }
    }
}

/// Reads a file back and looks whether it has its form.
pub fn verify(repo: &Repository, root: &ListingRoot, path: &[u8], form: Form, threads: usize) -> Result<(), Flaw> {
    match form {
        Form::Any => cat(repo, root, path, &mut io::sink(), threads).map(drop).map_err(Flaw::from),
        Form::Rdb => {
            let mut rdb = Rdb::new();
            cat(repo, root, path, &mut rdb, threads)?;
            rdb.flaw().map_or(Ok(()), |flaw| Err(Flaw::Form(flaw.to_owned())))
        }
        Form::Sql => {
            let mut tail = Tail::default();
            cat(repo, root, path, &mut tail, threads)?;
            tail.ends_a_dump()
        }
        Form::Json => {
            let mut json = Passing::<IgnoredAny>::new().map_err(io::Error::other)?;
            cat(repo, root, path, &mut json, threads)?;
            json.seen().map(drop).map_err(|error| Flaw::Form(format!("is no JSON: {error}")))
        }
        Form::Sqlite => {
            let folder = TempDir::new()?;
            let place = folder.path().join("copy.db");
            cat(repo, root, path, &mut File::create(&place)?, threads)?;
            match online::flaws(&place) {
                Ok(flaws) if flaws.is_empty() => Ok(()),
                Ok(flaws) => Err(Flaw::Form(format!("is a damaged database: {}", flaws.join("; ")))),
                Err(error) if error.is_of_the_content() => Err(Flaw::Form(format!("is no database: {error}"))),
                Err(error) => Err(Flaw::Staging(io::Error::other(error))),
            }
        }
        Form::Tar => {
            // The listing reads headers only.
            cat(repo, root, path, &mut io::sink(), threads)?;
            lists(&Stored::open(repo, root, path)?)
        }
    }
}

/// Lists an archive to its end. One of nothing is none: that is what anything empty looks like.
fn lists(stored: &Stored<'_>) -> Result<(), Flaw> {
    match archive::whole(stored) {
        Ok(0) => Err(Flaw::Form("is an archive of nothing".to_owned())),
        Ok(_) => Ok(()),
        Err(entries::Error::Cat(error)) => Err(error.into()),
        Err(error) => {
            let why = std::error::Error::source(&error).map_or(String::new(), |why| format!(": {why}"));
            Err(Flaw::Form(format!("does not list: {error}{why}")))
        }
    }
}

/// The end of what was written.
#[derive(Default)]
struct Tail(Vec<u8>);

impl Write for Tail {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.extend_from_slice(bytes);
        let surplus = self.0.len().saturating_sub(TAIL_BYTES);
        self.0.drain(..surplus);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Tail {
    fn ends_a_dump(&self) -> Result<(), Flaw> {
        let text = String::from_utf8_lossy(&self.0);
        if text.lines().any(|line| SQL_ENDS.iter().any(|end| line.starts_with(end))) {
            return Ok(());
        }
        Err(Flaw::Form("is no whole dump: the line that ends one is missing".to_owned()))
    }
}

#[cfg(test)]
#[path = "verify_tests.rs"]
mod tests;
