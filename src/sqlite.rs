//! SQLite: open, pragmas, append-only migrations, and what an error asks of the caller.
//!
//! Promise: a database opened here carries the caller's application id and its newest schema, or the error says why
//! not. Left out on purpose: what the tables are for, and what becomes of a file that is of no use.

pub mod online;

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, TransactionBehavior};

/// How long a call waits for another process.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Size of a database page, fixed when a file is made.
const PAGE_BYTES: u32 = 8192;
/// How many prepared statements a connection keeps.
const STATEMENTS_MAX: usize = 32;
/// Size of the write-ahead log that is left between two transactions.
const WAL_BYTES_MAX: u32 = 16 << 20;

/// What a database must look like.
#[derive(Debug, Clone, Copy)]
pub struct Schema {
    /// Marks the file as ours.
    pub application_id: i32,
    /// What made each version out of the one before. Only ever appended to.
    pub migrations: &'static [&'static str],
    /// Most memory for pages, in KiB.
    pub cache_kib: u32,
}

/// Where a database lies.
#[derive(Debug, Clone, Copy)]
pub enum Place<'a> {
    /// In a file, shared with other processes.
    File(&'a Path),
    /// In memory and in a file without a name; gone with the connection.
    Temporary,
}

/// What an error asks of the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The file is not what it should be: make it anew.
    Damaged,
    /// Another process holds it.
    Busy,
    /// No space left.
    Full,
    /// The file cannot be opened, read or written.
    Unusable,
}

/// A database call failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file is a database of something else.
    #[error("the database has the application id {found:#x}")]
    Foreign {
        /// What it says it is.
        found: i32,
    },
    /// The file was written by a newer larder.
    #[error("the database has version {found}, this larder knows {known}")]
    Newer {
        /// Version of the file.
        found: usize,
        /// Newest version known here.
        known: usize,
    },
    /// SQLite refused.
    #[error("SQLite: {0}")]
    Call(#[from] rusqlite::Error),
}

impl Error {
    /// What it asks of the caller.
    pub fn fault(&self) -> Fault {
        let Error::Call(rusqlite::Error::SqliteFailure(failure, _)) = self else {
            // Wrong types, missing tables and columns: flipped bits in the schema or in a row.
            return Fault::Damaged;
        };
        match failure.code {
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => Fault::Busy,
            ErrorCode::DiskFull => Fault::Full,
            ErrorCode::CannotOpen
            | ErrorCode::ReadOnly
            | ErrorCode::PermissionDenied
            | ErrorCode::SystemIoFailure
            | ErrorCode::FileLockingProtocolFailed
            | ErrorCode::OutOfMemory => Fault::Unusable,
            _ => Fault::Damaged,
        }
    }
}

/// Opens a database, makes it when there is none, and brings it to the newest version.
pub fn open(place: Place<'_>, schema: &Schema) -> Result<Connection, Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = match place {
        Place::File(path) => Connection::open_with_flags(path, flags)?,
        Place::Temporary => Connection::open_with_flags("", flags)?,
    };
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    let version = version(&connection, schema)?;
    set_pragmas(&connection, place, schema, version)?;
    if version < schema.migrations.len() {
        migrate(&mut connection, schema)?;
    }
    Ok(connection)
}

/// The schema's version: 0 for a new file.
fn version(connection: &Connection, schema: &Schema) -> Result<usize, Error> {
    let found: i32 = connection.query_row("PRAGMA application_id", [], |row| row.get(0))?;
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if found == 0 && version == 0 {
        let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        if tables == 0 {
            return Ok(0);
        }
    }
    if found != schema.application_id {
        return Err(Error::Foreign { found });
    }
    let known = schema.migrations.len();
    match usize::try_from(version) {
        Ok(version) if version <= known => Ok(version),
        other => Err(Error::Newer { found: other.unwrap_or(usize::MAX), known }),
    }
}

fn set_pragmas(connection: &Connection, place: Place<'_>, schema: &Schema, version: usize) -> Result<(), Error> {
    if version == 0 {
        connection.execute_batch(&format!("PRAGMA page_size = {PAGE_BYTES}"))?;
    }
    connection.execute_batch(&format!(
        "PRAGMA cache_size = -{}; PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON;",
        schema.cache_kib
    ))?;
    match place {
        // With NORMAL a commit does not wait for the disk, and a power cut loses commits but tears nothing.
        Place::File(_) => connection.execute_batch(&format!(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA journal_size_limit = {WAL_BYTES_MAX};"
        ))?,
        // Nobody else sees it, and nobody will after this process.
        Place::Temporary => connection.execute_batch("PRAGMA synchronous = OFF;")?,
    }
    Ok(())
}

fn migrate(connection: &mut Connection, schema: &Schema) -> Result<(), Error> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Read again: another process may have come first.
    let version = version(&transaction, schema)?;
    for step in &schema.migrations[version..] {
        transaction.execute_batch(step)?;
    }
    transaction.execute_batch(&format!(
        "PRAGMA application_id = {}; PRAGMA user_version = {};",
        schema.application_id,
        schema.migrations.len()
    ))?;
    transaction.commit()?;
    Ok(())
}

/// A map that moves to a temporary database when it grows beyond a limit.
pub struct SpillMap {
    memory: HashMap<Vec<u8>, Vec<u8>>,
    bytes: usize,
    bytes_max: usize,
    spilled: Option<Connection>,
}

/// What an entry of a map takes besides its bytes.
const MAP_ENTRY_BYTES: usize = 80;

const SPILL_SCHEMA: Schema = Schema {
    application_id: 0x4c52_5350,
    migrations: &["CREATE TABLE pairs (key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;"],
    cache_kib: 4096,
};

impl SpillMap {
    /// An empty map, of which so many bytes stay in memory.
    pub fn new(bytes_max: usize) -> Self {
        Self { memory: HashMap::new(), bytes: 0, bytes_max, spilled: None }
    }

    /// The value of a key.
    pub fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        let Some(spilled) = &self.spilled else { return Ok(self.memory.get(key).cloned()) };
        let mut find = spilled.prepare_cached("SELECT value FROM pairs WHERE key = ?1")?;
        Ok(find.query_row([key], |row| row.get(0)).optional()?)
    }

    /// Sets the value of a key.
    pub fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), Error> {
        if let Some(spilled) = &self.spilled {
            return insert(spilled, key, value);
        }
        let old = self.memory.insert(key.to_vec(), value.to_vec());
        let freed = old.map_or(0, |old| key.len() + old.len() + MAP_ENTRY_BYTES);
        self.bytes = self.bytes + key.len() + value.len() + MAP_ENTRY_BYTES - freed;
        if self.bytes > self.bytes_max { self.spill() } else { Ok(()) }
    }

    fn spill(&mut self) -> Result<(), Error> {
        let mut connection = open(Place::Temporary, &SPILL_SCHEMA)?;
        let transaction = connection.transaction()?;
        for (key, value) in self.memory.drain() {
            insert(&transaction, &key, &value)?;
        }
        transaction.commit()?;
        self.memory = HashMap::new();
        self.spilled = Some(connection);
        Ok(())
    }
}

fn insert(connection: &Connection, key: &[u8], value: &[u8]) -> Result<(), Error> {
    let mut insert = connection.prepare_cached("INSERT OR REPLACE INTO pairs (key, value) VALUES (?1, ?2)")?;
    insert.execute([key, value])?;
    Ok(())
}

#[cfg(test)]
#[path = "sqlite_tests.rs"]
mod tests;
