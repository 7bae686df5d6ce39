//! What a Redis server holds as a source: the dump that it sends to a replica, which redis-cli asks for.
//!
//! Promise: `dump.rdb`, streamed, nothing staged, consistent as of one moment, with nothing behind its end.
//! Left out on purpose: a client of our own: redis-cli knows TLS, and runs in containers.

use std::io;
use std::ops::ControlFlow;

use crate::format::Time;
use crate::format::listing::{Entry, Owner};
use crate::source::client::{ANSWER_LIMIT, Client, Place};
use crate::source::command::CommandSource;
use crate::source::{Candidate, Content, Error, Found, Problem, Reader, Source, Verdict};

/// The name of the file.
pub const DUMP: &str = "dump.rdb";
/// What redis-cli takes the password from.
pub const PASSWORD_VARIABLE: &str = "REDISCLI_AUTH";
/// Length of the mark that a server without a disk of its own sends after a dump, in lower-case hexadecimal digits.
const MARK_BYTES: usize = 40;

/// A server, and how to get at it.
pub struct Server {
    /// Where it is.
    pub place: Place,
    /// What asks it.
    pub client: Client,
    /// Further arguments of redis-cli.
    pub options: Vec<String>,
}

impl Server {
    /// What it holds.
    pub fn dump(&self, owner: Owner, time: Time) -> Result<RedisSource, Error> {
        let output = self.client.output(DUMP, "redis-cli", self.words(&["--rdb", "-"]));
        Ok(RedisSource { dump: CommandSource::several(vec![output], owner, time)? })
    }

    /// What it answers. Refusals are answers too, as redis-cli sees it.
    pub fn ask(&self, words: &[&str]) -> Result<String, String> {
        let lines = self.client.lines("redis-cli", self.words(words), ANSWER_LIMIT)?;
        Ok(lines.join("\n").trim().to_owned())
    }

    /// Whether redis-cli is there.
    pub fn client_version(&self) -> Result<(), String> {
        self.client.lines("redis-cli", vec!["--version".to_owned()], ANSWER_LIMIT).map(drop)
    }

    fn words(&self, more: &[&str]) -> Vec<String> {
        let mut words = self.place.words(["-h", "-p", "-s", "--user"]);
        words.extend(self.options.iter().cloned());
        words.extend(more.iter().map(|&word| word.to_owned()));
        words
    }
}

/// What redis-cli prints, without what is not of the dump.
pub struct RedisSource {
    dump: CommandSource,
}

impl Source for RedisSource {
    fn walk(&self, visit: &mut dyn FnMut(Found) -> ControlFlow<()>) -> Result<(), Error> {
        self.dump.walk(&mut |found| {
            visit(match found {
                Found::Entry(Candidate { entry, reader }) => {
                    Found::Entry(Candidate { entry, reader: Box::new(Ready { reader }) })
                }
                Found::Problem(problem) => Found::Problem(problem),
            })
        })
    }

    fn replayable(&self) -> bool {
        self.dump.replayable()
    }
}

struct Ready {
    reader: Box<dyn Reader>,
}

impl Reader for Ready {
    fn open(self: Box<Self>, entry: &mut Entry) -> Result<Box<dyn Content>, Problem> {
        let content = self.reader.open(entry)?;
        Ok(Box::new(Unmarked { content, held: Vec::new(), ended: false }))
    }
}

/// Content without the mark at its end.
///
/// Redis sends a dump of unknown length with a mark behind it, as it does by default from version 7 on, and redis-cli
/// writes the mark along. It can be told from a dump: the last bytes of one are 0xFF, which is no digit, and a checksum.
struct Unmarked {
    content: Box<dyn Content>,
    /// What may be the mark, and has to wait.
    held: Vec<u8>,
    ended: bool,
}

impl Content for Unmarked {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while !self.ended && self.held.len() < buffer.len() + MARK_BYTES {
            let before = self.held.len();
            self.held.resize(buffer.len() + MARK_BYTES, 0);
            let read = self.content.read(&mut self.held[before..]);
            self.held.truncate(before + read.as_ref().copied().unwrap_or(0));
            if read? == 0 {
                self.ended = true;
                let end = self.held.len().saturating_sub(MARK_BYTES);
                if self.held.len() >= MARK_BYTES && self.held[end..].iter().all(|byte| is_digit(*byte)) {
                    self.held.truncate(end);
                }
            }
        }
        let known = if self.ended { self.held.len() } else { self.held.len() - MARK_BYTES };
        let given = known.min(buffer.len());
        buffer[..given].copy_from_slice(&self.held[..given]);
        self.held.drain(..given);
        Ok(given)
    }

    fn finish(self: Box<Self>, entry: &mut Entry, bytes_read: u64) -> Verdict {
        match self.content.finish(entry, bytes_read) {
            Verdict::Remarked(said) => without_progress(&said).map_or(Verdict::Steady, Verdict::Remarked),
            verdict => verdict,
        }
    }
}

/// What a program said, without what redis-cli always says of its progress; `None` if nothing is left.
fn without_progress(said: &str) -> Option<String> {
    let (program, lines) = said.split_once(" said: ").unwrap_or(("redis-cli", said));
    let left: Vec<&str> = lines.lines().filter(|line| !is_progress(line)).collect();
    (!left.is_empty()).then(|| format!("{program} said: {}", left.join("\n")))
}

/// Whether redis-cli says such a line of a dump that comes as it should.
fn is_progress(line: &str) -> bool {
    let counted = |line: &str, head: &str, tail: &str| {
        let number = line.strip_prefix(head).and_then(|rest| rest.strip_suffix(tail));
        number.is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let line = line.trim_end();
    [
        "",
        "sending REPLCONF capa eof",
        "sending REPLCONF rdb-only 1",
        "SYNC sent to master, writing bytes of bulk transfer until EOF marker to '-'",
        "Transfer finished with success.",
        "Transfer finished with success",
    ]
    .contains(&line)
        || counted(line, "SYNC sent to master, writing ", " bytes to '-'")
        || counted(line, "Transfer finished with success after ", " bytes")
}

fn is_digit(byte: u8) -> bool {
    byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)
}

#[cfg(test)]
#[path = "redis_tests.rs"]
mod tests;
