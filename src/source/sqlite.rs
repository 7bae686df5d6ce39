//! An SQLite database as a source, copied while it is in use.
//!
//! Promise: a listing of a single file, which is the database as of one moment.
//! A copy on disk is what SQLite's own backup needs; it is gone when it has been read.

use std::fs::File;
use std::io::{self, Read};
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use tempfile::TempDir;

use crate::child::guard::Guard;
use crate::format::Time;
use crate::format::listing::Owner;
use crate::source::stream::StreamSource;
use crate::source::{Error, Found, Source};
use crate::sqlite::online;

/// A database in a file.
#[derive(Debug)]
pub struct SqliteSource {
    path: PathBuf,
    owner: Owner,
    time: Time,
}

impl SqliteSource {
    /// The database in this file, stored under the file's name.
    pub fn new(path: PathBuf, owner: Owner, time: Time) -> Self {
        Self { path, owner, time }
    }

    /// The name it is stored under.
    pub fn name(&self) -> Vec<u8> {
        self.path.file_name().map(|name| name.as_bytes().to_vec()).unwrap_or_default()
    }

    fn copied(&self) -> Result<Copy, online::Error> {
        let folder = TempDir::new().map_err(|error| no_room(&error))?;
        // Even if larder is killed: what is in it is nobody else's business.
        let words = ["-rf".to_owned(), "--".to_owned(), folder.path().display().to_string()];
        let gone = Guard::new("rm", &words, &[]).map_err(|error| no_room(&error))?;
        let place = folder.path().join("copy.db");
        online::copy(&self.path, &place)?;
        let file = File::open(&place).map_err(|error| no_room(&error))?;
        Ok(Copy { file, _gone: gone, _folder: folder })
    }
}

fn no_room(error: &io::Error) -> online::Error {
    online::Error::Staging(error.to_string())
}

impl Source for SqliteSource {
    fn walk(&self, visit: &mut dyn FnMut(Found) -> ControlFlow<()>) -> Result<(), Error> {
        let copy = self.copied().map_err(|source| Error::Database { path: self.path.clone(), source })?;
        StreamSource::new(&self.name(), self.owner.clone(), self.time, Box::new(copy))?.walk(visit)
    }

    fn replayable(&self) -> bool {
        true
    }
}

/// A copy, and the folder that goes with it.
struct Copy {
    file: File,
    _gone: Guard,
    _folder: TempDir,
}

impl Read for Copy {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read(buffer)
    }
}
