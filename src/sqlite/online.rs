//! Databases of others: copied while they are in use, and looked through.
//!
//! Promise: a copy is the database as of one moment, whatever is written meanwhile; the original of a copy is never written to.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::Path;
use std::thread;
use std::time::Duration;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode, OpenFlags};

/// How long to wait for a writer that holds the database.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(100);
/// Most flaws that are listed.
const FLAWS_MAX: u32 = 5;

/// Why a database was not copied, or not looked through.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// SQLite.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    /// There is no such file, or it is no file.
    #[error("there is no such file")]
    NoFile,
    /// There is no room for the copy.
    #[error("cannot make a copy: {0}")]
    Staging(String),
    /// Somebody keeps writing.
    #[error("it stayed locked for {} seconds", PATIENCE.as_secs())]
    Locked,
}

impl Error {
    /// Whether it is the file itself that is no database, or a damaged one.
    pub fn is_of_the_content(&self) -> bool {
        let Error::Sqlite(error) = self else { return false };
        matches!(error.sqlite_error_code(), Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt))
    }
}

/// Copies a database that may be in use.
///
/// All in one step: with several, every write in between would begin the copy again. In write-ahead mode nobody waits
/// for it; otherwise writers wait until it is done.
pub fn copy(from: &Path, to: &Path) -> Result<(), Error> {
    let source = reading(from)?;
    let mut target = Connection::open(to)?;
    target.pragma_update(None, "synchronous", "OFF")?;
    transfer(&source, &mut target)
}

/// Makes a database that may be in use what another is, in one transaction. What is no database any more is replaced as
/// a file.
pub fn replace(from: &Path, to: &Path) -> Result<(), Error> {
    let source = reading(from)?;
    let done = (|| {
        let mut target = Connection::open(to)?;
        target.busy_timeout(PATIENCE)?;
        transfer(&source, &mut target)
    })();
    match done {
        Err(Error::Sqlite(rusqlite::Error::SqliteFailure(error, _)))
            if matches!(error.code, ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) =>
        {
            drop(source);
            swap(from, to).map_err(|error| Error::Staging(error.to_string()))
        }
        done => done,
    }
}

/// Puts a file in the place of another, whose journals would spoil it.
fn swap(from: &Path, to: &Path) -> io::Result<()> {
    for ending in ["-wal", "-shm", "-journal"] {
        let mut journal = to.as_os_str().to_owned();
        journal.push(ending);
        match fs::remove_file(journal) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    if let Ok(found) = fs::metadata(to) {
        fs::set_permissions(from, found.permissions())?;
        chown(from, Some(found.uid()), Some(found.gid()))?;
    }
    File::open(from)?.sync_all()?;
    fs::rename(from, to)
}

/// Looks whether there is a database that can be read.
pub fn look(path: &Path) -> Result<(), Error> {
    Ok(reading(path)?.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?)
}

fn reading(path: &Path) -> Result<Connection, Error> {
    if !path.is_file() {
        return Err(Error::NoFile);
    }
    let database =
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    database.busy_timeout(PATIENCE)?;
    Ok(database)
}

fn transfer(from: &Connection, to: &mut Connection) -> Result<(), Error> {
    let backup = Backup::new(from, to)?;
    let mut waited = Duration::ZERO;
    loop {
        match backup.step(-1)? {
            StepResult::Done => return Ok(()),
            _ if waited >= PATIENCE => return Err(Error::Locked),
            _ => {
                thread::sleep(PAUSE);
                waited += PAUSE;
            }
        }
    }
}

/// What is wrong with a database that nobody else uses; empty when nothing is.
pub fn flaws(path: &Path) -> Result<Vec<String>, Error> {
    let database =
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    let mut statement = database.prepare(&format!("PRAGMA integrity_check({FLAWS_MAX})"))?;
    let lines = statement.query_map([], |row| row.get::<_, String>(0))?;
    let lines: Vec<String> = lines.collect::<Result<_, _>>()?;
    Ok(lines.into_iter().filter(|line| line != "ok").collect())
}

/// The lines that a query answers, fields with `|` between, as SQLite's own program shows them.
pub fn ask(path: &Path, sql: &str) -> Result<Vec<String>, Error> {
    let database =
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    let mut statement = database.prepare(sql)?;
    let fields = statement.column_count();
    let mut rows = statement.query([])?;
    let mut lines = Vec::new();
    while let Some(row) = rows.next()? {
        let texts = (0..fields).map(|at| row.get_ref(at).map(shown)).collect::<Result<Vec<_>, _>>()?;
        lines.push(texts.join("|"));
    }
    Ok(lines)
}

fn shown(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Null => String::new(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => number.to_string(),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => String::from_utf8_lossy(bytes).into_owned(),
    }
}

#[cfg(test)]
#[path = "online_tests.rs"]
mod tests;
