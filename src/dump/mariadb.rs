//! What mariadb-dump and mysqldump write: structure and data of tables, each with a heading of comments.
//!
//! Promise: a heading counts only outside of texts, names and bodies of routines. Of the front only what is written in
//! every dump is taken, and neither positions of a replication nor the choice of a database.

use std::collections::HashMap;
use std::ops::Range;

use crate::dump::lines::{Dump, Follows, Line};
use crate::dump::words::text;
use crate::dump::{Entry, Flaw, RANGES_MAX, SECTION_BYTES, SECTIONS_BYTES_MAX, joined};

/// Headings: how they begin, and what they stand above.
const HEADINGS: [(&str, &str); 8] = [
    ("Table structure for table ", "TABLE"),
    ("Dumping data for table ", "TABLE"),
    ("Temporary table structure for view ", "VIEW"),
    ("Temporary view structure for view ", "VIEW"),
    ("Final view structure for view ", "VIEW"),
    ("Sequence structure for ", "SEQUENCE"),
    ("Dumping routines for database ", "ROUTINES"),
    ("Dumping events for database ", "EVENTS"),
];

/// What MySQL writes behind the last table to undo what it did before the first.
const LOGGING: &[u8] = b"SET @@SESSION.SQL_LOG_BIN";

/// A dump as far as it was read.
#[derive(Default)]
pub struct Mariadb {
    entries: Vec<Entry>,
    by_name: HashMap<(String, &'static str), usize>,
    /// Where the settings at the front end, once that is known.
    front: Option<u64>,
    /// Where the lines at the end begin.
    end: Option<u64>,
    /// The entry that we are in, and where this part of it begins.
    current: Option<(usize, u64)>,
    /// Where the comment begins that the last lines are part of, and whether a heading may follow in it.
    comment: Option<(u64, bool)>,
    database: Option<String>,
    bytes: usize,
}

impl Dump for Mariadb {
    fn line(&mut self, line: &Line<'_>) -> Follows {
        if self.bytes > SECTIONS_BYTES_MAX {
            return Follows::Sql;
        }
        if line.head.starts_with(b"--") {
            self.comment_line(line);
            return Follows::Sql;
        }
        self.comment = None;
        let special = line.head.starts_with(b"/*!") || line.head.starts_with(b"/*M!");
        if special && contains(line.head, b"=@OLD_") {
            self.close(line.start);
            self.end.get_or_insert(line.start);
        } else if line.head.starts_with(LOGGING) {
            self.close(line.start);
        }
        if !special && !line.head.is_empty() {
            self.front.get_or_insert(line.start);
        }
        match line.head.strip_prefix(b"DELIMITER ") {
            Some(delimiter) if delimiter != b";" => Follows::Until(b"DELIMITER ;"),
            _ => Follows::Sql,
        }
    }

    fn body(&mut self, _: &[u8]) {}
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

impl Mariadb {
    fn comment_line(&mut self, line: &Line<'_>) {
        let (start, open) = *self.comment.get_or_insert((line.start, line.head == b"--"));
        let Some(words) = line.head.strip_prefix(b"-- ").filter(|_| open) else { return };
        let heading = HEADINGS.iter().find_map(|(begin, kind)| Some((words.strip_prefix(begin.as_bytes())?, *kind)));
        if let Some((name, kind)) = heading.and_then(|(rest, kind)| Some((quoted(rest)?, kind))) {
            self.comment = Some((start, false));
            self.close(start);
            self.begin(&name, kind, start);
        } else if let Some(name) = words.strip_prefix(b"Current Database: ").and_then(quoted) {
            self.close(start);
            self.front.get_or_insert(start);
            self.bytes += SECTION_BYTES + name.len();
            self.database = Some(name);
        }
    }

    fn begin(&mut self, name: &str, kind: &'static str, start: u64) {
        self.front.get_or_insert(start);
        // Whatever was taken for the end was none.
        self.end = None;
        let shown = |name: &str| {
            if name.contains(['.', '"']) { format!("\"{}\"", name.replace('"', "\"\"")) } else { name.to_owned() }
        };
        let name = match (kind, &self.database) {
            ("ROUTINES" | "EVENTS", _) => format!("{}:{}", kind.to_ascii_lowercase(), shown(name)),
            (_, Some(database)) => format!("{}.{}", shown(database), shown(name)),
            (_, None) => shown(name),
        };
        self.bytes += SECTION_BYTES + 2 * name.len();
        let entries = &mut self.entries;
        let at = *self.by_name.entry((name.clone(), kind)).or_insert_with(|| {
            entries.push(Entry { name, kind: kind.to_owned(), ranges: Vec::new(), left_out: Vec::new() });
            entries.len() - 1
        });
        self.current = Some((at, start));
    }

    /// Ends the part of an entry that we are in.
    fn close(&mut self, at: u64) {
        if let Some((entry, start)) = self.current.take() {
            self.entries[entry].ranges.push(start..at);
        }
    }

    /// No more lines.
    pub fn finish(mut self, bytes: u64) -> Result<Vec<Entry>, Flaw> {
        self.close(bytes);
        let shared = [0..self.front.unwrap_or(0), self.end.unwrap_or(bytes)..bytes];
        let ranges: usize = self.entries.iter().map(|entry| entry.ranges.len() + shared.len()).sum();
        if self.bytes > SECTIONS_BYTES_MAX || ranges > RANGES_MAX {
            return Err(Flaw::TooMany);
        }
        for entry in &mut self.entries {
            let own: Vec<Range<u64>> = std::mem::take(&mut entry.ranges);
            entry.ranges = joined(own.into_iter().chain(shared.clone()).collect());
        }
        Ok(self.entries)
    }
}

/// The name at the beginning, without its quotes.
fn quoted(rest: &[u8]) -> Option<String> {
    let (&by, mut rest) = rest.split_first()?;
    if !matches!(by, b'`' | b'\'' | b'"') {
        return None;
    }
    let mut name = Vec::new();
    loop {
        let at = rest.iter().position(|&byte| byte == by)?;
        name.extend_from_slice(&rest[..at]);
        rest = &rest[at + 1..];
        match rest.split_first() {
            Some((next, after)) if *next == by => {
                name.push(by);
                rest = after;
            }
            _ => return Some(text(&name)),
        }
    }
}

#[cfg(test)]
#[path = "mariadb_tests.rs"]
mod tests;
