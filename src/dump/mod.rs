//! Dumps of databases as plain SQL: which entries they have, and where.
//!
//! Promise: one pass, constant memory whatever the lines are like, the same result however the bytes come in; data that
//! looks like a heading is none. A section that cannot be attributed is an entry of its own.
//! Left out on purpose: understanding SQL. What pg_dump and mariadb-dump write is recognised by what they always write.

mod assemble;
mod lexer;
mod lines;
mod mariadb;
mod postgres;
pub mod sidecar;
mod words;

use std::ops::Range;

use crate::dump::lines::Lines;
use crate::dump::mariadb::Mariadb;
use crate::dump::postgres::Postgres;

/// So many first bytes show what a file is.
pub const HEAD_BYTES: usize = 128;
/// Memory that names and places of the sections of a dump may take, roughly.
const SECTIONS_BYTES_MAX: usize = 32 << 20;
/// Most ranges that the entries of a dump have together.
const RANGES_MAX: usize = 1 << 20;
/// Counted for a section beside its names.
const SECTION_BYTES: usize = 200;

/// The tool whose output a dump is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// pg_dump, pg_dumpall.
    Postgres,
    /// mariadb-dump, mysqldump.
    Mariadb,
}

impl Dialect {
    /// In a word.
    pub const fn word(self) -> &'static str {
        match self {
            Dialect::Postgres => "postgres",
            Dialect::Mariadb => "mariadb",
        }
    }
}

/// Something in a dump that can be had by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name: `schema.table`, or `table` where there are no schemas.
    pub name: String,
    /// What it is, in the words of the dump: `TABLE`, `VIEW`, `FUNCTION`.
    pub kind: String,
    /// What to write to have it: in order, not touching. What it shares with others (settings at the front) is in it.
    pub ranges: Vec<Range<u64>>,
    /// What belongs to it and is not in the ranges, since it needs what is not there either: foreign keys.
    pub left_out: Vec<String>,
}

impl Entry {
    /// How much there is to write.
    pub fn bytes(&self) -> u64 {
        self.ranges.iter().map(|range| range.end - range.start).sum()
    }
}

/// What a dump holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entries {
    /// Whose output it is.
    pub dialect: Dialect,
    /// Its length.
    pub bytes: u64,
    /// Its entries, in its order.
    pub entries: Vec<Entry>,
}

/// Why the entries of a file are not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// It is something else.
    #[error("is no dump as pg_dump or mariadb-dump write it, with comments")]
    NoDump,
    /// Its list would take too much memory.
    #[error("has more entries than larder lists")]
    TooMany,
}

/// Whose output begins like this.
pub fn recognise(head: &[u8]) -> Option<Dialect> {
    const POSTGRES: [&[u8]; 2] = [b"--\n-- PostgreSQL database dump\n", b"--\n-- PostgreSQL database cluster dump\n"];
    const MARIADB: [&[u8]; 4] = [
        b"-- MariaDB dump ",
        b"-- MySQL dump ",
        b"/*M!999999\\- enable the sandbox",
        b"/*!999999\\- enable the sandbox",
    ];
    let begins = |with: &&[u8]| head.starts_with(with);
    if POSTGRES.iter().any(begins) {
        Some(Dialect::Postgres)
    } else {
        MARIADB.iter().any(begins).then_some(Dialect::Mariadb)
    }
}

/// Finds the entries of a dump that is handed over piece by piece.
pub struct Scanner {
    bytes: u64,
    state: State,
}

enum State {
    /// Not enough has been seen.
    Begin(Vec<u8>),
    Postgres(Box<Lines<Postgres>>),
    Mariadb(Box<Lines<Mariadb>>),
    NoDump,
}

impl Default for Scanner {
    fn default() -> Self {
        Self { bytes: 0, state: State::Begin(Vec::new()) }
    }
}

impl Scanner {
    /// Nothing seen yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The next bytes.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        match &mut self.state {
            State::Begin(head) => {
                head.extend_from_slice(&bytes[..bytes.len().min(HEAD_BYTES)]);
                let rest = bytes.get(HEAD_BYTES..).unwrap_or_default();
                if head.len() >= HEAD_BYTES {
                    let head = std::mem::take(head);
                    self.begin(&head);
                    self.pass(rest);
                }
            }
            _ => self.pass(bytes),
        }
    }

    /// Whether it is worth going on.
    pub fn is_dump(&self) -> bool {
        !matches!(self.state, State::NoDump)
    }

    fn begin(&mut self, head: &[u8]) {
        self.state = match recognise(head) {
            Some(Dialect::Postgres) => State::Postgres(Box::new(Lines::new(Dialect::Postgres, Postgres::default()))),
            Some(Dialect::Mariadb) => State::Mariadb(Box::new(Lines::new(Dialect::Mariadb, Mariadb::default()))),
            None => State::NoDump,
        };
        self.pass(head);
    }

    fn pass(&mut self, bytes: &[u8]) {
        match &mut self.state {
            State::Postgres(lines) => lines.feed(bytes),
            State::Mariadb(lines) => lines.feed(bytes),
            State::Begin(_) | State::NoDump => {}
        }
    }

    /// No more bytes.
    pub fn finish(mut self) -> Result<Entries, Flaw> {
        if let State::Begin(head) = &mut self.state {
            let head = std::mem::take(head);
            self.begin(&head);
        }
        let bytes = self.bytes;
        let (dialect, entries) = match self.state {
            State::Postgres(lines) => (Dialect::Postgres, lines.finish().finish(bytes)?),
            State::Mariadb(lines) => (Dialect::Mariadb, lines.finish().finish(bytes)?),
            State::Begin(_) | State::NoDump => return Err(Flaw::NoDump),
        };
        Ok(Entries { dialect, bytes, entries })
    }
}

/// Ranges in order, joined where they touch or overlap.
pub fn joined(mut ranges: Vec<Range<u64>>) -> Vec<Range<u64>> {
    ranges.retain(|range| range.start < range.end);
    ranges.sort_by_key(|range| range.start);
    let mut joined: Vec<Range<u64>> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match joined.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => joined.push(range),
        }
    }
    joined
}

#[cfg(test)]
#[path = "mod_tests.rs"]
mod tests;
