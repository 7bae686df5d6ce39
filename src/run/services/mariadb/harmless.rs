//! A dump on its way into a database where it is only tried out: without what would act outside of that database.
//!
//! Promise: events, which would come to pass there too, are left out, and so is what changes the database by its name;
//! everything else goes through as it is, in constant memory.
//! Left out on purpose: understanding SQL. Only lines that the dump program itself writes are known.

use std::io::{self, Write};

use crate::source::mariadb::quoted;

/// The first line of the events.
const EVENTS: &[u8] = b"-- Dumping events for database ";
/// What comes after the events, whichever of it is there.
const AFTER: [&[u8]; 4] = [
    b"-- Dumping routines for database ",
    b"-- Final view structure for view ",
    b"/*!40103 SET TIME_ZONE=@OLD_TIME_ZONE",
    b"/*!40101 SET SQL_MODE=@OLD_SQL_MODE",
];
/// So much of a line is looked at: as long as the longest name needs.
const HEAD_BYTES: usize = 1024;

/// What is written to it goes on without what would do harm.
pub struct Harmless<'w> {
    out: &'w mut dyn Write,
    /// In front of what changes the database itself, around triggers and routines from before its last change.
    change: Vec<u8>,
    head: Vec<u8>,
    line: Line,
    part: Part,
}

/// What becomes of the line that is being written.
#[derive(Clone, Copy, PartialEq)]
enum Line {
    Undecided,
    Goes,
    Stays,
}

#[derive(Clone, Copy, PartialEq)]
enum Part {
    Events,
    Other,
}

impl<'w> Harmless<'w> {
    /// The dump of a database of this name.
    pub fn new(out: &'w mut dyn Write, database: &str) -> Self {
        let change = format!("ALTER DATABASE {} ", quoted(database)).into_bytes();
        Self { out, change, head: Vec::new(), line: Line::Undecided, part: Part::Other }
    }

    /// Decides by its beginning what becomes of a line.
    fn decide(&mut self) -> io::Result<()> {
        let begins = |with: &[u8]| self.head.starts_with(with);
        if begins(EVENTS) {
            self.part = Part::Events;
        } else if AFTER.iter().any(|with| begins(with)) {
            self.part = Part::Other;
        }
        let stays = self.part == Part::Events || begins(&self.change);
        if !stays {
            self.out.write_all(&self.head)?;
        }
        self.line = match self.head.last() {
            Some(b'\n') => Line::Undecided,
            _ if stays => Line::Stays,
            _ => Line::Goes,
        };
        self.head.clear();
        Ok(())
    }
}

impl Write for Harmless<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let end = rest.iter().position(|&byte| byte == b'\n').map_or(rest.len(), |at| at + 1);
            let taken = if self.line == Line::Undecided { end.min(HEAD_BYTES - self.head.len()) } else { end };
            let (now, later) = rest.split_at(taken);
            rest = later;
            if self.line == Line::Undecided {
                self.head.extend_from_slice(now);
                if now.ends_with(b"\n") || self.head.len() == HEAD_BYTES {
                    self.decide()?;
                }
                continue;
            }
            if self.line == Line::Goes {
                self.out.write_all(now)?;
            }
            if now.ends_with(b"\n") {
                self.line = Line::Undecided;
            }
        }
        Ok(bytes.len())
    }

    /// To be called at the end: a last line without an end is decided on now.
    fn flush(&mut self) -> io::Result<()> {
        if !self.head.is_empty() {
            self.decide()?;
        }
        self.out.flush()
    }
}

#[cfg(test)]
#[path = "harmless_tests.rs"]
mod tests;
