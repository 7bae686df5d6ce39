//! The tables of the index, and the statements that touch them.
//!
//! Promise: rows are checked as they are read, and a row that fails its check is as if it were not there. Left out
//! on purpose: when to write, and what to do when a call fails.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::format::Kind;
use crate::format::packs::PREAMBLE_BYTES;
use crate::id::{ChunkId, PackId, RepositoryId};
use crate::sqlite::{self, Place, Schema};

/// Name of the file in the cache folder.
const FILE_NAME: &str = "index.sqlite";
/// What stands at the front of every SQLite file, and where the application id is in it.
const SQLITE_MAGIC: &[u8; 16] = b"SQLite format 3\0";
const APPLICATION_ID_AT: usize = 68;
const APPLICATION_ID: i32 = 0x6c72_6478; // "lrdx"

const SCHEMA: Schema = Schema { application_id: APPLICATION_ID, migrations: &[VERSION_1], cache_kib: 12 << 10 };

/// Headers are apart from packs so that reading all packs at the start touches few pages. Chunk ids are keyed
/// hashes, so their first eight bytes are as good as any; the pack's directory has the rest.
const VERSION_1: &str = "
    CREATE TABLE meta (key TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE pack (number INTEGER PRIMARY KEY AUTOINCREMENT, id BLOB NOT NULL, kind INTEGER NOT NULL,
        bytes INTEGER NOT NULL, chunks INTEGER NOT NULL, header_hash BLOB NOT NULL, tag BLOB NOT NULL) STRICT;
    CREATE TABLE header (pack INTEGER PRIMARY KEY, header BLOB NOT NULL) STRICT;
    CREATE TABLE chunk (prefix INTEGER NOT NULL, pack INTEGER NOT NULL, PRIMARY KEY (prefix, pack))
        STRICT, WITHOUT ROWID;
    CREATE TABLE filter (slice INTEGER PRIMARY KEY, tag BLOB NOT NULL, bits BLOB NOT NULL) STRICT;
    CREATE TABLE log (seq INTEGER PRIMARY KEY, entry BLOB NOT NULL) STRICT;
";

/// What a header must hash to.
pub type HeaderHash = [u8; 16];

/// A row of the table of packs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredPack {
    /// The row's number.
    pub row: i64,
    /// The pack's name.
    pub id: PackId,
    /// What it holds.
    pub kind: Kind,
    /// Length of the whole object.
    pub bytes: u64,
    /// How many chunks it holds.
    pub chunks: u32,
    /// What its header hashes to.
    pub header_hash: HeaderHash,
}

/// The part of a chunk's name that is kept for each row.
pub fn prefix(id: &ChunkId) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = *id.as_bytes();
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

/// Ties a header to its pack. The preamble is enough: it determines the key that vouches for the rest.
pub fn header_hash(header: &[u8]) -> HeaderHash {
    let preamble = header.get(..PREAMBLE_BYTES).unwrap_or(header);
    tag("larder index header", &[&(header.len() as u64).to_le_bytes(), preamble])
}

/// A checksum against flipped bits, not against an enemy.
pub fn tag(what: &str, parts: &[&[u8]]) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(what.as_bytes());
    for part in parts {
        hasher.update(part);
    }
    let mut tag = [0; 16];
    tag.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    tag
}

/// An open database of the index.
#[derive(Debug)]
pub struct Store {
    /// For transactions; the functions below do the rest.
    pub connection: Connection,
    path: Option<PathBuf>,
    /// Rows of packs that failed their check, to be deleted with the next transaction.
    pub bad_rows: Vec<i64>,
    /// Changes when another process has written; what was read was read at this one.
    pub data_version: i64,
}

/// The table of packs.
#[derive(Debug, Default)]
pub struct ReadPacks {
    /// Packs whose rows are what they should be.
    pub good: Vec<StoredPack>,
    /// The other rows.
    pub bad_rows: Vec<i64>,
}

impl Store {
    /// Opens or makes the file in a folder.
    pub fn open(dir: &Path, repository: &RepositoryId) -> Result<Self, sqlite::Error> {
        let path = dir.join(FILE_NAME);
        let connection = sqlite::open(Place::File(&path), &SCHEMA)?;
        Self::new(connection, Some(path), repository)
    }

    /// Makes one that is gone with the process.
    pub fn temporary(repository: &RepositoryId) -> Result<Self, sqlite::Error> {
        Self::new(sqlite::open(Place::Temporary, &SCHEMA)?, None, repository)
    }

    fn new(connection: Connection, path: Option<PathBuf>, repository: &RepositoryId) -> Result<Self, sqlite::Error> {
        let mut store = Self { connection, path, bad_rows: Vec::new(), data_version: 0 };
        if get_meta(&store.connection, "repository")?.is_none() {
            let insert = "INSERT OR IGNORE INTO meta VALUES ('repository', ?1)";
            store.connection.execute(insert, [&repository.as_bytes()[..]])?;
        }
        if get_meta(&store.connection, "repository")?.as_deref() != Some(&repository.as_bytes()[..]) {
            return Err(sqlite::Error::Foreign { found: APPLICATION_ID });
        }
        store.data_version = data_version(&store.connection)?;
        Ok(store)
    }

    /// All packs; rows that fail their check are remembered.
    pub fn packs(&mut self) -> Result<Vec<StoredPack>, sqlite::Error> {
        let read = read_packs(&self.connection)?;
        self.bad_rows = read.bad_rows;
        Ok(read.good)
    }

    /// Where the file is.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// The header of a pack.
    pub fn header(&self, row: i64) -> Result<Option<Vec<u8>>, sqlite::Error> {
        let mut statement = self.connection.prepare_cached("SELECT header FROM header WHERE pack = ?1")?;
        Ok(statement.query_row([row], |row| row.get(0)).optional()?)
    }

    /// The rows of the packs that may hold a chunk.
    pub fn candidates(&self, prefix: u64) -> Result<Vec<i64>, sqlite::Error> {
        let mut statement = self.connection.prepare_cached("SELECT pack FROM chunk WHERE prefix = ?1")?;
        let mut rows = statement.query([prefix as i64])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(row.get(0)?);
        }
        Ok(found)
    }

    /// Begins a read transaction, which is for speed only: without it each statement is one of its own.
    pub fn begin_reading(&self) {
        let _ = self.connection.execute_batch("BEGIN");
    }

    /// Ends the read transaction, if there is one.
    pub fn end_reading(&self) {
        if !self.connection.is_autocommit() {
            let _ = self.connection.execute_batch("ROLLBACK");
        }
    }

    /// All log entries.
    pub fn log_entries(&self) -> Result<Vec<(u64, Vec<u8>)>, sqlite::Error> {
        let mut statement = self.connection.prepare_cached("SELECT seq, entry FROM log ORDER BY seq")?;
        let rows = statement.query_map([], |row| Ok((row.get::<_, i64>(0)? as u64, row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Takes over all rows of another file, except the filter.
    pub fn copy_from(&mut self, path: &Path) -> Result<(), sqlite::Error> {
        let path = path.to_str().ok_or(rusqlite::Error::InvalidPath(path.to_path_buf()))?;
        self.connection.execute("ATTACH ?1 AS old", [path])?;
        let copied = self.connection.execute_batch(
            "BEGIN; INSERT INTO pack SELECT * FROM old.pack; INSERT INTO header SELECT * FROM old.header;
             INSERT INTO chunk SELECT * FROM old.chunk; INSERT INTO log SELECT * FROM old.log; COMMIT;",
        );
        if copied.is_err() && !self.connection.is_autocommit() {
            self.connection.execute_batch("ROLLBACK")?;
        }
        self.connection.execute_batch("DETACH old")?;
        // Others may have written to it meanwhile: have all of it read again.
        self.data_version = -1;
        Ok(copied?)
    }
}

/// Reads the table of packs.
pub fn read_packs(connection: &Connection) -> Result<ReadPacks, sqlite::Error> {
    let mut packs = ReadPacks::default();
    let mut statement = connection
        .prepare_cached("SELECT number, id, kind, bytes, chunks, header_hash, tag FROM pack ORDER BY number")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        match stored_pack(row) {
            Ok(pack) => packs.good.push(pack),
            Err(_) => packs.bad_rows.push(row.get(0)?),
        }
    }
    Ok(packs)
}

fn stored_pack(row: &Row<'_>) -> Result<StoredPack, rusqlite::Error> {
    let kind = Kind::from_code(row.get(2)?).map_err(|_| rusqlite::Error::InvalidQuery)?;
    let pack = StoredPack {
        row: row.get(0)?,
        id: PackId::new(row.get(1)?),
        kind,
        bytes: row.get::<_, i64>(3)? as u64,
        chunks: row.get(4)?,
        header_hash: row.get(5)?,
    };
    if row.get::<_, [u8; 16]>(6)? != pack_tag(&pack) {
        return Err(rusqlite::Error::InvalidQuery);
    }
    Ok(pack)
}

fn pack_tag(pack: &StoredPack) -> [u8; 16] {
    let numbers = [pack.row as u64, pack.kind.code().into(), pack.bytes, pack.chunks.into()].map(u64::to_le_bytes);
    tag("larder index pack", &[numbers.as_flattened(), pack.id.as_bytes(), &pack.header_hash])
}

/// Changes when another process has written.
pub fn data_version(connection: &Connection) -> Result<i64, sqlite::Error> {
    Ok(connection.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))?)
}

/// A value of the table of single facts.
pub fn get_meta(connection: &Connection, key: &str) -> Result<Option<Vec<u8>>, sqlite::Error> {
    let mut statement = connection.prepare_cached("SELECT value FROM meta WHERE key = ?1")?;
    Ok(statement.query_row([key], |row| row.get(0)).optional()?)
}

/// Sets a value of the table of single facts.
pub fn set_meta(connection: &Connection, key: &str, value: &[u8]) -> Result<(), sqlite::Error> {
    connection.prepare_cached("INSERT OR REPLACE INTO meta VALUES (?1, ?2)")?.execute(params![key, value])?;
    Ok(())
}

/// Writes a pack; returns its row, whatever `pack.row` says.
pub fn insert_pack(connection: &Connection, pack: &StoredPack, header: &[u8]) -> Result<i64, sqlite::Error> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO pack (id, kind, bytes, chunks, header_hash, tag) VALUES (?1, ?2, ?3, ?4, ?5, x'')",
    )?;
    let (kind, bytes) = (pack.kind.code(), pack.bytes as i64);
    statement.execute(params![pack.id.as_bytes(), kind, bytes, pack.chunks, pack.header_hash])?;
    let row = connection.last_insert_rowid();
    let tag = pack_tag(&StoredPack { row, ..pack.clone() });
    connection.prepare_cached("UPDATE pack SET tag = ?2 WHERE number = ?1")?.execute(params![row, tag])?;
    connection.prepare_cached("INSERT OR REPLACE INTO header VALUES (?1, ?2)")?.execute(params![row, header])?;
    Ok(row)
}

/// Deletes a pack and its header. Its chunk rows stay until [`sweep_chunks`].
pub fn delete_pack(connection: &Connection, row: i64) -> Result<(), sqlite::Error> {
    connection.prepare_cached("DELETE FROM pack WHERE number = ?1")?.execute([row])?;
    connection.prepare_cached("DELETE FROM header WHERE pack = ?1")?.execute([row])?;
    Ok(())
}

/// Writes chunk rows; those that are there already stay.
pub fn insert_chunks(connection: &Connection, rows: &[(u64, i64)]) -> Result<(), sqlite::Error> {
    let mut statement = connection.prepare_cached("INSERT OR IGNORE INTO chunk VALUES (?1, ?2)")?;
    for &(prefix, pack) in rows {
        statement.execute([prefix as i64, pack])?;
    }
    Ok(())
}

/// Deletes the chunk rows of packs that are gone.
pub fn sweep_chunks(connection: &Connection) -> Result<(), sqlite::Error> {
    connection.execute("DELETE FROM chunk WHERE pack NOT IN (SELECT number FROM pack)", [])?;
    Ok(())
}

/// Every chunk row's prefix.
pub fn scan_prefixes(connection: &Connection, each: &mut dyn FnMut(u64)) -> Result<(), sqlite::Error> {
    let mut statement = connection.prepare_cached("SELECT prefix FROM chunk")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        each(row.get::<_, i64>(0)? as u64);
    }
    Ok(())
}

/// Keeps a log entry.
pub fn insert_log_entry(connection: &Connection, seq: u64, entry: &[u8]) -> Result<(), sqlite::Error> {
    connection.prepare_cached("INSERT OR REPLACE INTO log VALUES (?1, ?2)")?.execute(params![seq as i64, entry])?;
    Ok(())
}

/// Deletes the log entries from `first` on.
pub fn delete_log(connection: &Connection, first: u64) -> Result<(), sqlite::Error> {
    connection.prepare_cached("DELETE FROM log WHERE seq >= ?1")?.execute([first as i64])?;
    Ok(())
}

/// Makes room for a new file: deletes the old one if it is ours, renames it otherwise.
pub fn set_aside(dir: &Path) -> io::Result<()> {
    let path = dir.join(FILE_NAME);
    for suffix in ["-wal", "-shm", "-journal"] {
        unless_missing(fs::remove_file(dir.join(format!("{FILE_NAME}{suffix}"))))?;
    }
    if is_ours(&path) {
        return unless_missing(fs::remove_file(&path));
    }
    unless_missing(fs::rename(&path, dir.join(format!("{FILE_NAME}.aside"))))
}

/// Whether the file is one, or is not there. A link to a file counts.
pub fn is_file_or_missing(dir: &Path) -> bool {
    match fs::metadata(dir.join(FILE_NAME)) {
        Ok(status) => status.is_file(),
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    }
}

fn is_ours(path: &Path) -> bool {
    if !path.is_file() {
        return false;
    }
    let mut head = [0; APPLICATION_ID_AT + 4];
    let read = fs::File::open(path).and_then(|mut file| file.read_exact(&mut head));
    read.is_ok() && head.starts_with(SQLITE_MAGIC) && head[APPLICATION_ID_AT..] == APPLICATION_ID.to_be_bytes()
}

fn unless_missing(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
