//! What pg_dump and pg_dumpall write: sections, each with a heading of comments.
//!
//! Promise: a heading counts only outside of data, texts, names and bodies of functions. The front of a dump that is
//! written before an entry has settings only: what `--clean` puts there would delete things.
//! Left out on purpose: which sections make an entry (`assemble`).

use std::ops::Range;

use crate::dump::assemble::{assemble, is_data};
use crate::dump::lines::{Dump, Follows, Line};
use crate::dump::words::{Name, Word, first_name, name_after, names, text, words};
use crate::dump::{Entry, Flaw, SECTION_BYTES, SECTIONS_BYTES_MAX};

/// How much of a section is looked at for names.
const BODY_BYTES_MAX: usize = 64 << 10;
/// Most names of others that are kept of a section.
const NAMES_MAX: usize = 256;
/// What counts for the sections behind it, until it is set anew.
pub const SETTINGS: [&str; 5] = [
    "SET default_tablespace ",
    "SET default_table_access_method ",
    "SET default_with_oids ",
    "SET search_path ",
    "SET SESSION AUTHORIZATION ",
];

/// A section of a dump.
#[derive(Debug, Clone)]
pub struct Section {
    /// What it is, as its heading says: `TABLE`, `TABLE DATA`, `FK CONSTRAINT`.
    pub kind: String,
    /// The schema; empty for what is in none.
    pub schema: String,
    /// The name in its heading.
    pub tag: String,
    /// Where it is, heading included.
    pub range: Range<u64>,
    /// Which database of the dump it is of.
    pub part: usize,
    /// What it belongs to.
    pub owner: Option<Name>,
    /// What else it mentions.
    pub names: Vec<Name>,
    /// The schema that an extension puts things into.
    pub into: Option<String>,
}

/// What one database has in a dump. There are several in what pg_dumpall writes.
#[derive(Debug, Clone, Default)]
pub struct Part {
    /// The name of the database, as far as it is known.
    pub name: String,
    /// The settings at its front.
    pub front: Range<u64>,
    /// The lines that end it.
    pub end: Range<u64>,
    /// Later settings, of each kind of [`SETTINGS`].
    pub settings: [Vec<Range<u64>>; SETTINGS.len()],
}

/// A dump as far as it was read.
#[derive(Default)]
pub struct Postgres {
    parts: Vec<Part>,
    sections: Vec<Section>,
    /// Where we are.
    place: Place,
    /// Where the comment begins that the last lines are part of, and whether a heading may follow in it.
    comment: Option<(u64, bool)>,
    /// The beginning of the section's SQL.
    body: Vec<u8>,
    /// Whether a COPY has begun and its line goes on.
    copy: bool,
    cluster: bool,
    connected: String,
    at: u64,
    bytes: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Place {
    /// In the settings at the front.
    Front,
    /// In the section found last.
    Section,
    /// In the lines that end a database.
    End,
    /// In nothing that belongs to an entry.
    #[default]
    Between,
}

impl Dump for Postgres {
    fn line(&mut self, line: &Line<'_>) -> Follows {
        self.at = line.end;
        if self.bytes > SECTIONS_BYTES_MAX {
            return Follows::Sql;
        }
        if line.head.starts_with(b"--") {
            self.comment_line(line);
            return Follows::Sql;
        }
        self.comment = None;
        if line.head.starts_with(b"\\") {
            self.order(line);
        } else if let Some(kind) = SETTINGS.iter().position(|set| line.head.starts_with(set.as_bytes())) {
            self.setting(kind, line);
        } else if self.place == Place::Front && !is_setting(line.head) {
            self.close(line.start, Place::Between);
        }
        self.copy |= line.head.starts_with(b"COPY ");
        if self.copy && line.whole {
            let data = line.tail.ends_with(b" FROM stdin;");
            self.copy = !line.tail.ends_with(b";");
            if data {
                return Follows::Until(b"\\.");
            }
        }
        Follows::Sql
    }

    fn body(&mut self, bytes: &[u8]) {
        let data = self.sections.last().is_some_and(|section| is_data(&section.kind));
        if self.place == Place::Section && !data {
            let room = BODY_BYTES_MAX.saturating_sub(self.body.len());
            self.body.extend_from_slice(&bytes[..bytes.len().min(room)]);
        }
    }
}

/// Whether a line of the front only sets something.
fn is_setting(line: &[u8]) -> bool {
    line.is_empty() || line.starts_with(b"SET ") || line.starts_with(b"SELECT pg_catalog.set_config(")
}

impl Postgres {
    fn comment_line(&mut self, line: &Line<'_>) {
        let (start, open) = *self.comment.get_or_insert((line.start, line.head == b"--"));
        let Some(words) = line.head.strip_prefix(b"-- ").filter(|_| open) else { return };
        let heading = [&b"Name: "[..], b"Data for Name: ", b"Statistics for Name: "];
        if let Some(section) = heading.iter().find_map(|begin| words.strip_prefix(*begin)).and_then(heading_of) {
            self.comment = Some((start, false));
            self.close(start, Place::Section);
            self.begin(section, start);
        } else if words == b"PostgreSQL database dump" {
            self.close(start, Place::Front);
            let front = start..start;
            self.parts.push(Part { name: self.connected.clone(), front, ..Part::default() });
        } else if words == b"PostgreSQL database cluster dump" {
            self.cluster = true;
        } else if words == b"PostgreSQL database dump complete" {
            self.close(start, Place::End);
            let end = start..start;
            self.parts.last_mut().into_iter().for_each(|part| part.end = end.clone());
        } else if words.starts_with(b"Database \"") || words == b"PostgreSQL database cluster dump complete" {
            self.close(start, Place::Between);
        }
    }

    fn begin(&mut self, heading: Heading, start: u64) {
        if self.parts.is_empty() {
            self.parts.push(Part::default());
        }
        let Heading { kind, schema, tag } = heading;
        self.bytes += SECTION_BYTES + kind.len() + schema.len() + tag.len();
        let (range, part) = (start..start, self.parts.len() - 1);
        self.sections.push(Section { kind, schema, tag, range, part, owner: None, names: Vec::new(), into: None });
        self.body.clear();
    }

    /// Ends what we are in, and goes on to something else.
    fn close(&mut self, at: u64, next: Place) {
        let place = std::mem::replace(&mut self.place, next);
        match (place, self.parts.last_mut(), self.sections.last_mut()) {
            (Place::Front, Some(part), _) => part.front.end = at,
            (Place::End, Some(part), _) => part.end.end = at,
            (Place::Section, _, Some(section)) => {
                section.range.end = at;
                // Headings of what follows are comments, and no words.
                section.look_at(&self.body);
                self.bytes += section.names.iter().map(|name| name.schema.len() + name.name.len() + 48).sum::<usize>();
                self.body.clear();
            }
            _ => {}
        }
    }

    /// An order to psql.
    fn order(&mut self, line: &Line<'_>) {
        if let Some(name) = line.head.strip_prefix(b"\\connect ") {
            self.close(line.start, Place::Between);
            self.connected = database(name);
            let connected = self.connected.clone();
            let of_this = self.parts.last_mut().filter(|part| part.end.end == 0);
            of_this.into_iter().for_each(|part| part.name.clone_from(&connected));
        } else if self.place == Place::Section {
            self.close(line.start, Place::Between);
        }
    }

    fn setting(&mut self, kind: usize, line: &Line<'_>) {
        if self.place == Place::Front {
            return;
        }
        self.close(line.start, Place::Between);
        self.bytes += SECTION_BYTES;
        if let Some(part) = self.parts.last_mut() {
            part.settings[kind].push(line.start..line.end);
        }
    }

    /// No more lines.
    pub fn finish(mut self, bytes: u64) -> Result<Vec<Entry>, Flaw> {
        self.close(bytes, Place::Between);
        if self.bytes > SECTIONS_BYTES_MAX {
            return Err(Flaw::TooMany);
        }
        if !self.cluster {
            self.parts.iter_mut().for_each(|part| part.name.clear());
        }
        assemble(&self.parts, &self.sections)
    }
}

/// What a heading says.
struct Heading {
    kind: String,
    schema: String,
    tag: String,
}

/// `users; Type: TABLE; Schema: public; Owner: app`. From the right, since a name may contain anything.
fn heading_of(words: &[u8]) -> Option<Heading> {
    let words = text(words);
    let (tag, rest) = words.rsplit_once("; Type: ")?;
    let (kind, rest) = rest.split_once("; Schema: ")?;
    let (schema, _) = rest.rsplit_once("; Owner: ").or_else(|| rest.rsplit_once("; Owner:"))?;
    let named = !kind.is_empty() && kind.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b' ');
    let schema = if schema == "-" { "" } else { schema };
    named.then(|| Heading { kind: kind.to_owned(), schema: schema.to_owned(), tag: tag.to_owned() })
}

/// The database in an order to connect to it: a name, or a connection string.
fn database(order: &[u8]) -> String {
    let order = text(order);
    let name = order.strip_prefix("-reuse-previous=on ").unwrap_or(&order).trim();
    let name = name.strip_prefix('"').and_then(|name| name.strip_suffix('"')).unwrap_or(name);
    let name = name.strip_prefix("dbname='").and_then(|name| name.strip_suffix('\'')).unwrap_or(name);
    name.to_owned()
}

impl Section {
    /// The name under which others mention it.
    pub fn name(&self) -> Name {
        Name::new(&self.schema, &self.tag)
    }

    /// Finds out what it belongs to and what it mentions.
    fn look_at(&mut self, body: &[u8]) {
        let words = words(body);
        let of_schema = |name: Option<Name>| {
            let schema = |name: Name| if name.schema.is_empty() { Name::new(&self.schema, &name.name) } else { name };
            name.map(schema)
        };
        self.owner = match self.kind.as_str() {
            "TABLE DATA" | "MATERIALIZED VIEW DATA" | "STATISTICS DATA" | "SEQUENCE SET" | "ROW SECURITY" => {
                Some(self.name())
            }
            "SEQUENCE OWNED BY" => of_schema(name_after(&words, "BY")),
            // An identity, which only the table's column has.
            "SEQUENCE" if body_begins(&words, "ALTER") => first_name(&words),
            "INDEX" | "TRIGGER" | "POLICY" => of_schema(name_after(&words, "ON")),
            "RULE" => of_schema(name_after(&words, "TO")),
            "STATISTICS" => of_schema(name_after(&words, "FROM")),
            "COMMENT" | "ACL" | "SECURITY LABEL" => self.subject(&words),
            "CONSTRAINT" | "CHECK CONSTRAINT" | "FK CONSTRAINT" | "DEFAULT" | "TABLE ATTACH" => {
                first_name(&words).or_else(|| of_schema(name_after(&words, "TABLE")))
            }
            "INDEX ATTACH" => first_name(&words),
            _ => None,
        };
        if !is_data(&self.kind) {
            self.names = names(&words, NAMES_MAX);
        }
        if self.kind == "EXTENSION" {
            self.into = name_after(&words, "SCHEMA").map(|name| name.name);
        }
    }

    /// What a remark or a right is about.
    fn subject(&self, words: &[Word]) -> Option<Name> {
        let (what, tag) = self.tag.split_once(' ')?;
        match what {
            // Of several with one name, the arguments tell which.
            "FUNCTION" | "PROCEDURE" | "AGGREGATE" => Some(Name::new(&self.schema, tag)),
            "SCHEMA" | "EXTENSION" | "DATABASE" | "LANGUAGE" | "SERVER" => Some(Name::new("", tag)),
            _ => first_name(words),
        }
    }
}

fn body_begins(words: &[Word], with: &str) -> bool {
    words.first() == Some(&Word::Plain(with.to_owned()))
}

#[cfg(test)]
#[path = "postgres_tests.rs"]
mod tests;
