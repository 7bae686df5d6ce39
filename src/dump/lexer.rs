//! Whether a place in SQL lies within something quoted, or in a comment.
//!
//! Promise: byte by byte, with a state of fixed size. Left out on purpose: what the words mean.

use crate::dump::Dialect;

/// Longest tag of a dollar quote, as in `$tag$`.
const TAG_BYTES_MAX: usize = 64;

/// Follows SQL from byte to byte.
pub struct Lexer {
    dialect: Dialect,
    state: State,
    /// The last two bytes of code, the newest first.
    before: [u8; 2],
    /// Set right after a quote was closed: it goes on if the next byte is the same quote.
    closed: Option<Quote>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Quote {
    by: u8,
    /// Whether a backslash takes the next byte along.
    escapes: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    Code,
    Quoted {
        quote: Quote,
        skip: bool,
    },
    /// Perhaps at the beginning of a dollar quote.
    Tag(Vec<u8>),
    /// In a dollar quote: one more than the bytes of the tag seen behind a dollar, or 0.
    Dollar {
        tag: Vec<u8>,
        matched: usize,
    },
    /// After `--` where that is a comment only with a space behind it.
    Dashes,
    /// To the end of the line.
    Line,
    /// After `/*` where `!` or `M!` behind it makes it code.
    Opened {
        letter: bool,
    },
    Block {
        depth: u32,
        before: u8,
    },
}

impl Lexer {
    /// At the beginning.
    pub fn new(dialect: Dialect) -> Self {
        Self { dialect, state: State::Code, before: [b'\n'; 2], closed: None }
    }

    /// Whether it is neither within something quoted nor in a comment.
    pub fn is_clean(&self) -> bool {
        self.state == State::Code
    }

    /// The next bytes.
    pub fn feed(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while let Some((&byte, after)) = rest.split_first() {
            rest = after;
            match &mut self.state {
                State::Code => self.code(byte),
                State::Quoted { quote, skip } => {
                    if std::mem::take(skip) {
                        continue;
                    }
                    if byte == quote.by {
                        self.closed = Some(*quote);
                        self.back_to_code(byte);
                    } else if byte == b'\\' && quote.escapes {
                        *skip = true;
                    } else {
                        let quote = *quote;
                        let special = |byte: &u8| *byte == quote.by || (*byte == b'\\' && quote.escapes);
                        rest = &rest[rest.iter().position(special).unwrap_or(rest.len())..];
                    }
                }
                State::Tag(_) => self.tag(byte),
                State::Dollar { tag, matched } => {
                    if dollar(tag, matched, byte) {
                        self.back_to_code(byte);
                    } else if *matched == 0 {
                        rest = &rest[rest.iter().position(|&byte| byte == b'$').unwrap_or(rest.len())..];
                    }
                }
                State::Dashes => {
                    self.state = State::Code;
                    if byte <= b' ' {
                        self.state = State::Line;
                        self.line(byte);
                    } else {
                        self.code(byte);
                    }
                }
                State::Line => {
                    self.line(byte);
                    if self.state == State::Line {
                        rest = &rest[rest.iter().position(|&byte| byte == b'\n').unwrap_or(rest.len())..];
                    }
                }
                State::Opened { letter } => match byte {
                    b'!' => self.back_to_code(byte),
                    b'M' if !*letter => *letter = true,
                    _ => {
                        self.state = State::Block { depth: 1, before: 0 };
                        self.block(byte);
                    }
                },
                State::Block { .. } => self.block(byte),
            }
        }
    }

    fn back_to_code(&mut self, byte: u8) {
        self.state = State::Code;
        self.before = [byte, b' '];
    }

    fn code(&mut self, byte: u8) {
        let [last, before] = self.before;
        let closed = self.closed.take().filter(|quote| quote.by == byte);
        let postgres = self.dialect == Dialect::Postgres;
        self.before = [byte, last];
        let quote = |by: u8, escapes: bool| State::Quoted { quote: Quote { by, escapes }, skip: false };
        let next = match byte {
            _ if closed.is_some() => closed.map(|quote| State::Quoted { quote, skip: false }),
            b'\'' if postgres => Some(quote(byte, matches!(last, b'E' | b'e') && !is_word(before))),
            b'"' if postgres => Some(quote(byte, false)),
            b'\'' | b'"' => Some(quote(byte, true)),
            b'`' if !postgres => Some(quote(byte, false)),
            b'-' if last == b'-' => Some(if postgres { State::Line } else { State::Dashes }),
            b'#' if !postgres => Some(State::Line),
            b'*' if last == b'/' && postgres => Some(State::Block { depth: 1, before: 0 }),
            b'*' if last == b'/' => Some(State::Opened { letter: false }),
            b'$' if postgres && !is_word(last) => Some(State::Tag(Vec::new())),
            _ => None,
        };
        if let Some(next) = next {
            self.state = next;
            // What opened something opens nothing again.
            self.before = [b' '; 2];
        }
    }

    fn tag(&mut self, byte: u8) {
        let State::Tag(tag) = &mut self.state else { return };
        if byte == b'$' {
            self.state = State::Dollar { tag: std::mem::take(tag), matched: 0 };
        } else if is_word(byte) && !(tag.is_empty() && byte.is_ascii_digit()) && tag.len() < TAG_BYTES_MAX {
            tag.push(byte);
        } else {
            self.before = [tag.last().copied().unwrap_or(b'$'), b'$'];
            self.state = State::Code;
            self.code(byte);
        }
    }

    fn line(&mut self, byte: u8) {
        if byte == b'\n' {
            self.back_to_code(byte);
        }
    }

    fn block(&mut self, byte: u8) {
        let State::Block { depth, before } = &mut self.state else { return };
        let nests = self.dialect == Dialect::Postgres;
        match (*before, byte) {
            (b'*', b'/') if *depth == 1 => self.back_to_code(b' '),
            (b'*', b'/') => (*depth, *before) = (*depth - 1, 0),
            (b'/', b'*') if nests => (*depth, *before) = (depth.saturating_add(1), 0),
            _ => *before = byte,
        }
    }
}

/// Whether the closing `$tag$` is complete with this byte.
fn dollar(tag: &[u8], matched: &mut usize, byte: u8) -> bool {
    let seen = matched.checked_sub(1);
    if byte == b'$' {
        if seen == Some(tag.len()) {
            return true;
        }
        *matched = 1;
    } else {
        *matched = if seen.is_some_and(|seen| tag.get(seen) == Some(&byte)) { *matched + 1 } else { 0 };
    }
    false
}

/// Whether a byte may be part of a word.
fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

#[cfg(test)]
#[path = "lexer_tests.rs"]
mod tests;
