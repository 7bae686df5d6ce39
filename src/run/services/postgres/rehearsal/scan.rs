//! What a server needs to have before it can load a dump: a version, and roles.
//!
//! Promise: constant memory. Left out on purpose: understanding SQL. A role too many, from what only looks like a
//! statement, does no harm in a server that is thrown away.

use std::collections::BTreeSet;
use std::io::{self, Write};

/// The line that says which server a dump is of.
const VERSION: &str = "-- Dumped from database version ";
/// So much of a line is looked at.
const LINE_BYTES_MAX: usize = 4096;
/// Most roles that are made.
const ROLES_MAX: usize = 1000;

/// Looks through dumps as they come.
#[derive(Default)]
pub struct Scan {
    line: Vec<u8>,
    version: u32,
    roles: BTreeSet<String>,
}

impl Scan {
    /// The newest version that they are of; 0 if they do not say.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// The roles that own something or were granted something.
    pub fn roles(&self) -> impl Iterator<Item = &str> {
        self.roles.iter().map(String::as_str)
    }

    fn look(&mut self) {
        let line = String::from_utf8_lossy(&self.line);
        let line = line.trim_end();
        if let Some(version) = line.strip_prefix(VERSION) {
            let major = version.split(|c: char| !c.is_ascii_digit()).next().and_then(|digits| digits.parse().ok());
            self.version = self.version.max(major.unwrap_or(0));
        }
        let Some(statement) = line.strip_suffix(';') else { return };
        let words: &[&str] = match statement.split(' ').next() {
            Some("ALTER") => &[" OWNER TO ", " FOR ROLE ", " TO ", " FROM "],
            Some("GRANT" | "REVOKE" | "CREATE") => &[" TO ", " FROM "],
            _ => return,
        };
        // `CREATE POLICY` and nothing else that is made.
        if statement.starts_with("CREATE ") && !statement.starts_with("CREATE POLICY ") {
            return;
        }
        let named = words.iter().filter_map(|word| statement.rsplit_once(word)).filter_map(|(_, rest)| name(rest));
        let named: Vec<String> = named.collect();
        self.roles.extend(named.into_iter().filter(|name| !["PUBLIC", "public"].contains(&name.as_str())));
        while self.roles.len() > ROLES_MAX {
            self.roles.pop_last();
        }
    }
}

/// The name that a text begins with, in quotes or not.
fn name(text: &str) -> Option<String> {
    let Some(quoted) = text.strip_prefix('"') else {
        let plain: String = text.chars().take_while(|c| c.is_alphanumeric() || matches!(c, '_' | '$')).collect();
        return (!plain.is_empty() && !plain.starts_with("pg_")).then_some(plain);
    };
    let mut name = String::new();
    let mut letters = quoted.chars();
    loop {
        match letters.next()? {
            '"' if letters.as_str().starts_with('"') => {
                letters.next();
                name.push('"');
            }
            '"' => return Some(name),
            letter => name.push(letter),
        }
    }
}

impl Write for Scan {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            let room = LINE_BYTES_MAX - self.line.len().min(LINE_BYTES_MAX);
            self.line.extend_from_slice(&piece[..piece.len().min(room)]);
            if piece.ends_with(b"\n") {
                self.look();
                self.line.clear();
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
#[path = "scan_tests.rs"]
mod tests;
