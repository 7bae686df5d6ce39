//! What commands write: text for people or one JSON document, and how sizes, times and names look.
//!
//! Promise: a reader who goes away ends nothing and is no error: what is written after that is dropped.

use std::fmt::Display;
use std::io::{self, BufWriter, ErrorKind, Stdout, Write};
use std::ops::ControlFlow;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;

use larder::format::Time;
use larder::ops::retention::TIERS;

use crate::cli::report::{Exit, Failure};
use crate::cli::session;

pub use larder::size::size;

/// Which form the answer has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Lines for people.
    Text,
    /// One JSON document.
    Json,
}

/// How much is said beside the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Voice {
    /// Summaries, notes and progress too.
    Normal,
    /// Only what was asked for, warnings and errors.
    Quiet,
}

/// Standard output, and remarks on standard error.
pub struct Output {
    form: Form,
    voice: Voice,
    stdout: BufWriter<Stdout>,
    closed: bool,
}

impl Output {
    /// Nothing written yet.
    pub fn new(form: Form, voice: Voice) -> Self {
        Self { form, voice, stdout: BufWriter::with_capacity(64 << 10, io::stdout()), closed: false }
    }

    /// Which form the answer has.
    pub fn form(&self) -> Form {
        self.form
    }

    /// How much is said beside the answer.
    pub fn voice(&self) -> Voice {
        self.voice
    }

    /// Whether nobody reads any more.
    fn is_closed(&self) -> bool {
        self.closed
    }

    fn check(&mut self, result: io::Result<()>) -> Result<(), Failure> {
        match result {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                self.closed = true;
                Ok(())
            }
            Err(error) => {
                self.closed = true;
                Err(Failure::io("cannot write to standard output", &error))
            }
            Ok(()) => Ok(()),
        }
    }

    /// A line of the answer.
    pub fn line(&mut self, text: impl Display) -> Result<(), Failure> {
        if self.closed {
            return Ok(());
        }
        let result = writeln!(self.stdout, "{text}");
        self.check(result)
    }

    /// A line of a summary: not when quiet, nor beside JSON.
    pub fn say(&mut self, text: impl Display) -> Result<(), Failure> {
        if self.voice == Voice::Quiet || self.form == Form::Json { Ok(()) } else { self.line(text) }
    }

    /// How many there were, and the like: on standard error, so that who counts lines counts only the answer. Nothing
    /// when the reader went away, since then nobody knows how many there are.
    pub fn aside(&mut self, text: impl Display) -> Result<(), Failure> {
        self.flush()?;
        if !self.closed && self.voice == Voice::Normal && self.form == Form::Text {
            let _ = writeln!(io::stderr(), "{text}");
        }
        Ok(())
    }

    /// The answer as JSON.
    pub fn json(&mut self, value: &impl Serialize) -> Result<(), Failure> {
        if self.closed {
            return Ok(());
        }
        let result = serde_json::to_writer_pretty(&mut self.stdout, value).map_err(io::Error::from);
        let result = result.and_then(|()| writeln!(self.stdout));
        self.check(result)
    }

    /// An item of a JSON array, behind what separates it from the one before.
    fn json_item(&mut self, before: &str, value: &impl Serialize) -> Result<(), Failure> {
        if self.closed {
            return Ok(());
        }
        let result = write!(self.stdout, "{before}");
        let result = result.and_then(|()| serde_json::to_writer(&mut self.stdout, value).map_err(io::Error::from));
        self.check(result)
    }

    /// Something worth a line on standard error, which is no fault.
    pub fn note(&self, text: impl Display) {
        if self.voice == Voice::Normal {
            let _ = writeln!(io::stderr(), "note: {}", harmless(&text.to_string()));
        }
    }

    /// Something that should not be missed.
    pub fn warning(&self, text: impl Display) {
        let _ = writeln!(io::stderr(), "warning: {}", harmless(&text.to_string()));
    }

    /// Something that failed while the rest went on. Lines after the first are its details.
    pub fn problem(&self, text: impl Display) {
        let text = harmless(&text.to_string());
        let mut lines = text.lines();
        let first = lines.next().unwrap_or_default();
        let rest = lines.fold(String::new(), |rest, line| rest + "\n  " + line);
        let _ = writeln!(io::stderr(), "error: {first}{rest}");
    }

    /// Writes what is still held back.
    pub fn flush(&mut self) -> Result<(), Failure> {
        if self.closed {
            return Ok(());
        }
        let result = self.stdout.flush();
        self.check(result)
    }
}

/// Items as lines or as a JSON array, of any number, of which none is kept.
pub struct Lines<'o> {
    out: &'o mut Output,
    begun: bool,
    failed: Option<Failure>,
}

impl<'o> Lines<'o> {
    /// None yet.
    pub fn begin(out: &'o mut Output) -> Self {
        Self { out, begun: false, failed: None }
    }

    /// One more, in the form asked for. `Break`: no more can be written, because nobody reads or something failed.
    pub fn entry(&mut self, json: &impl Serialize, line: impl FnOnce() -> String) -> ControlFlow<()> {
        let before = if self.begun { ",\n" } else { "[\n" };
        self.begun = true;
        let written = match self.out.form() {
            Form::Text => self.out.line(line()),
            Form::Json => self.out.json_item(before, json),
        };
        self.failed = self.failed.take().or(written.err());
        if self.failed.is_some() || self.out.is_closed() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    /// No more. What failed is said here.
    pub fn end(self) -> Result<(), Failure> {
        match (self.failed, self.out.form(), self.begun) {
            (Some(failure), _, _) => Err(failure),
            (None, Form::Text, _) => Ok(()),
            (None, Form::Json, true) => self.out.line("\n]"),
            (None, Form::Json, false) => self.out.line("[]"),
        }
    }
}

/// A table: the first line says what the columns are; columns of numbers are aligned to the right.
pub struct Table {
    align: Vec<Align>,
    rows: Vec<Vec<String>>,
}

/// Where a column's text stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// At the left.
    Left,
    /// At the right.
    Right,
}

impl Table {
    /// Its columns.
    pub fn new(columns: &[(&str, Align)]) -> Self {
        let head = columns.iter().map(|column| column.0.to_owned()).collect();
        Self { align: columns.iter().map(|column| column.1).collect(), rows: vec![head] }
    }

    /// One line more.
    pub fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// As lines.
    pub fn lines(&self) -> impl Iterator<Item = String> + '_ {
        let width = |at: usize| self.rows.iter().map(|row| row[at].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..self.align.len()).map(width).collect();
        self.rows.iter().map(move |row| {
            let cells = row.iter().zip(&widths).zip(&self.align).map(|((cell, &width), align)| match align {
                Align::Left => format!("{cell:<width$}"),
                Align::Right => format!("{cell:>width$}"),
            });
            cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        })
    }
}

/// A number for people: `1,234,567`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// So many of something: `1 file`, `2 files`.
pub fn plural(number: u64, one: &str) -> String {
    let (stem, ending) = match one.strip_suffix('y') {
        Some(stem) if number != 1 => (stem, "ies"),
        _ if number != 1 => (one, "s"),
        _ => (one, ""),
    };
    format!("{} {stem}{ending}", count(number))
}

/// Tags: tiers from fine to coarse, then those that people named.
pub fn sorted_tags<'a>(tags: impl IntoIterator<Item = &'a String>) -> Vec<&'a str> {
    let place = |tag: &str| TIERS.iter().position(|tier| tier.name() == tag).unwrap_or(TIERS.len());
    let mut tags: Vec<&str> = tags.into_iter().map(String::as_str).collect();
    tags.sort_by_key(|tag| (place(tag), *tag));
    tags
}

/// Tags in a line.
pub fn tags<'a>(tags: impl IntoIterator<Item = &'a String>) -> String {
    harmless(&sorted_tags(tags).join(", "))
}

/// A share for people: `12.5 %`.
pub fn percent(part: u64, whole: u64) -> String {
    if whole == 0 { "0 %".into() } else { format!("{:.1} %", part as f64 * 100.0 / whole as f64) }
}

/// A time for people, in their own time zone.
pub fn local_time(time: Time) -> String {
    time.timestamp().to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// Which time zone that is: its name, or as short as the system has it.
pub fn zone() -> String {
    let zone = TimeZone::system();
    match zone.iana_name() {
        Some(name) if !zone.is_unknown() => name.to_owned(),
        _ => session::now().timestamp().to_zoned(zone).strftime("%Z").to_string(),
    }
}

/// A moment of a schedule for people, in their own time zone.
pub fn local_moment(moment: Timestamp) -> String {
    local_time(Time { seconds: moment.as_second(), nanos: 0 })
}

/// The same to the minute, where many stand in a table.
pub fn local_minute(time: Time) -> String {
    time.timestamp().to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M").to_string()
}

/// How long ago something was, in one unit: `5min`, `3h`, `12d`.
pub fn age(seconds: i64) -> String {
    const HOUR: i64 = 60 * 60;
    const DAY: i64 = 24 * HOUR;
    match seconds {
        ..0 => "0min".to_owned(),
        0..HOUR => format!("{}min", seconds / 60),
        _ if seconds < 2 * DAY => format!("{}h", seconds / HOUR),
        _ => format!("{}d", seconds / DAY),
    }
}

/// A time for programs: RFC 3339, in UTC.
pub fn rfc3339(time: Time) -> String {
    time.rfc3339()
}

/// Seconds from one time to another.
pub fn seconds_between(from: Time, to: Time) -> f64 {
    to.seconds_since(from)
}

/// How long something took: `0.4 s`, `3:07`, `1:02:03`.
pub fn elapsed(seconds: f64) -> String {
    if seconds < 60.0 {
        return format!("{seconds:.1} s");
    }
    let whole = seconds as u64;
    let (hours, minutes, rest) = (whole / 3600, whole / 60 % 60, whole % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{rest:02}") } else { format!("{minutes}:{rest:02}") }
}

/// A name of any bytes as text that shows them all: what is not printable is escaped.
pub fn escaped(name: &[u8]) -> String {
    let mut text = String::with_capacity(name.len());
    for chunk in name.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\\' => text.push_str("\\\\"),
                '\n' => text.push_str("\\n"),
                '\t' => text.push_str("\\t"),
                '\r' => text.push_str("\\r"),
                c if c.is_control() || is_invisible(c) => text.extend(c.escape_unicode()),
                c => text.push(c),
            }
        }
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}

/// A text of several lines in which nothing can steer a terminal: file names and what commands say may come from anyone.
pub fn harmless(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\t' => safe.push(c),
            c if c.is_control() || is_invisible(c) => safe.extend(c.escape_unicode()),
            c => safe.push(c),
        }
    }
    safe
}

/// Characters that change how others are shown.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// A path in JSON: as it is, or escaped, with its bytes beside it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct JsonPath {
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    path_hex: Option<String>,
}

impl From<&[u8]> for JsonPath {
    fn from(path: &[u8]) -> Self {
        match std::str::from_utf8(path) {
            Ok(text) => Self { path: text.to_owned(), path_hex: None },
            Err(_) => Self { path: escaped(path), path_hex: Some(hex::encode(path)) },
        }
    }
}

/// Paths in JSON: as they are, or escaped, and if any of them is no text, with the bytes of all beside them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct JsonPaths {
    paths: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    paths_hex: Option<Vec<String>>,
}

impl From<&[Vec<u8>]> for JsonPaths {
    fn from(paths: &[Vec<u8>]) -> Self {
        let text = |path: &Vec<u8>| JsonPath::from(path.as_slice()).path;
        let lossy = paths.iter().any(|path| std::str::from_utf8(path).is_err());
        let paths_hex = lossy.then(|| paths.iter().map(hex::encode).collect());
        Self { paths: paths.iter().map(text).collect(), paths_hex }
    }
}

/// A finished command, for those that end with something other than a failure.
pub type Outcome = Result<Exit, Failure>;

#[cfg(test)]
#[path = "output_tests.rs"]
mod tests;
