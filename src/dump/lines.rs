//! A dump line by line, however long the lines are.
//!
//! Promise: of a line the beginning and the end are kept, never all of it; a line that begins within something quoted,
//! in data or in the body of a routine is not shown.

use std::io::BufRead as _;

use crate::dump::Dialect;
use crate::dump::lexer::Lexer;

/// How much of a line's beginning is kept.
const HEAD_BYTES_MAX: usize = 4 << 10;
/// How much of a line's end is kept.
pub const TAIL_BYTES: usize = 16;
/// The longest line that ends data or a routine.
const END_BYTES_MAX: usize = 16;

/// A line that begins outside of anything quoted.
pub struct Line<'l> {
    /// Where it begins.
    pub start: u64,
    /// Where the next one begins.
    pub end: u64,
    /// Its beginning, without what ends it.
    pub head: &'l [u8],
    /// Its last bytes, without what ends it.
    pub tail: &'l [u8],
    /// Whether it also ends outside of anything quoted.
    pub whole: bool,
}

/// What follows a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Follows {
    /// SQL.
    Sql,
    /// Anything, up to this line.
    Until(&'static [u8]),
}

/// Who makes something of the lines.
pub trait Dump {
    /// A line that begins outside of anything quoted. Its bytes were shown to `body` before.
    fn line(&mut self, line: &Line<'_>) -> Follows;
    /// Bytes of SQL, as they come.
    fn body(&mut self, bytes: &[u8]);
}

/// Splits a dump into lines.
pub struct Lines<D> {
    dump: D,
    lexer: Lexer,
    at: u64,
    start: u64,
    follows: Follows,
    /// Whether the line began outside of anything quoted.
    clean: bool,
    /// Whether the line is an order to psql, and no SQL.
    order: bool,
    head: Vec<u8>,
    tail: Vec<u8>,
    orders: bool,
}

impl<D: Dump> Lines<D> {
    /// At the beginning.
    pub fn new(dialect: Dialect, dump: D) -> Self {
        Self {
            dump,
            lexer: Lexer::new(dialect),
            at: 0,
            start: 0,
            follows: Follows::Sql,
            clean: true,
            order: false,
            head: Vec::new(),
            tail: Vec::new(),
            orders: dialect == Dialect::Postgres,
        }
    }

    /// The next bytes.
    pub fn feed(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let before = bytes;
            // Of a slice this cannot fail, and it is the fastest search that there is here.
            let len = bytes.skip_until(b'\n').unwrap_or(before.len());
            self.part(&before[..len]);
        }
    }

    /// No more bytes.
    pub fn finish(mut self) -> D {
        if self.at > self.start {
            self.end_line();
        }
        self.dump
    }

    /// A part of a line, up to its end or not.
    fn part(&mut self, part: &[u8]) {
        let ends = part.last() == Some(&b'\n');
        let text = if ends { &part[..part.len() - 1] } else { part };
        let kept = if self.follows == Follows::Sql { HEAD_BYTES_MAX } else { END_BYTES_MAX };
        let room = kept.saturating_sub(self.head.len()).min(text.len());
        self.head.extend_from_slice(&text[..room]);
        if self.follows == Follows::Sql {
            self.keep_tail(text);
            if self.start == self.at && self.orders && self.clean {
                self.order = part[0] == b'\\';
            }
            if !self.order {
                self.lexer.feed(part);
            }
            self.dump.body(part);
        } else if room < text.len() {
            // Longer than any line that ends this.
            self.head.clear();
            self.head.resize(kept, 0);
        }
        self.at += part.len() as u64;
        if ends {
            self.end_line();
        }
    }

    fn keep_tail(&mut self, text: &[u8]) {
        let new = &text[text.len().saturating_sub(TAIL_BYTES)..];
        let surplus = (self.tail.len() + new.len()).saturating_sub(TAIL_BYTES);
        self.tail.drain(..surplus);
        self.tail.extend_from_slice(new);
    }

    fn end_line(&mut self) {
        match self.follows {
            Follows::Sql if self.clean => {
                let whole = self.lexer.is_clean();
                let trim = |text: &'_ [u8]| text.strip_suffix(b"\r").unwrap_or(text).len();
                let (head, tail) = (&self.head[..trim(&self.head)], &self.tail[..trim(&self.tail)]);
                self.follows = self.dump.line(&Line { start: self.start, end: self.at, head, tail, whole });
            }
            Follows::Until(end) if self.head.strip_suffix(b"\r").unwrap_or(&self.head) == end => {
                self.follows = Follows::Sql;
            }
            _ => {}
        }
        self.start = self.at;
        self.head.clear();
        self.tail.clear();
        self.order = false;
        self.clean = self.lexer.is_clean();
    }
}
