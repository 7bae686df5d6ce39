use std::fs;

use rusqlite::Connection;

use super::{Error, copy, flaws};

/// A database in write-ahead mode with so many rows.
fn database(path: &std::path::Path, rows: u32) -> Connection {
    let database = Connection::open(path).unwrap();
    database.pragma_update(None, "journal_mode", "WAL").unwrap();
    database.execute_batch("CREATE TABLE t (n INTEGER PRIMARY KEY, text TEXT); CREATE INDEX i ON t (text)").unwrap();
    for n in 0..rows {
        database.execute("INSERT INTO t VALUES (?1, ?2)", (n, format!("row {n}"))).unwrap();
    }
    database
}

fn count(path: &std::path::Path) -> u32 {
    Connection::open(path).unwrap().query_row("SELECT count(*) FROM t", [], |row| row.get(0)).unwrap()
}

#[test]
fn a_copy_is_as_of_one_moment_while_others_write() {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (folder.path().join("a.db"), folder.path().join("b.db"));
    let writer = database(&from, 500);
    // Uncommitted: in no copy.
    writer.execute_batch("BEGIN; INSERT INTO t VALUES (1000, 'half')").unwrap();
    copy(&from, &to).unwrap();
    writer.execute_batch("COMMIT").unwrap();
    assert_eq!((count(&to), count(&from)), (500, 501));
    assert_eq!(flaws(&to).unwrap(), Vec::<String>::new());
}

#[test]
fn what_is_no_database_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("copy");
    assert!(matches!(copy(&folder.path().join("none"), &to), Err(Error::NoFile)));
    let text = folder.path().join("text");
    fs::write(&text, "this is no database at all, whatever its name may say").unwrap();
    assert!(matches!(copy(&text, &to), Err(Error::Sqlite(_))));
}

#[test]
fn a_damaged_database_has_flaws() {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (folder.path().join("a.db"), folder.path().join("b.db"));
    drop(database(&from, 2000));
    copy(&from, &to).unwrap();
    let mut bytes = fs::read(&to).unwrap();
    let at = bytes.windows(8).rposition(|window| window == b"row 1999").unwrap();
    bytes[at..at + 3].copy_from_slice(b"xxx");
    fs::write(&to, bytes).unwrap();
    assert!(!flaws(&to).unwrap().is_empty());
}
