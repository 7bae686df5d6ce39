//! From the sections of a dump by pg_dump to its entries: what belongs together, and what is needed with it.
//!
//! Promise: every section is in some entry. An entry has everything its owner has in the dump, and the types, functions
//! and sequences that it mentions, so that it can be put into an empty database; other tables are never brought along.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;

use crate::dump::postgres::{Part, Section};
use crate::dump::words::Name;
use crate::dump::{Entry, Flaw, RANGES_MAX, joined};

/// Kinds that are rows, not rules.
const DATA: [&str; 3] = ["TABLE DATA", "MATERIALIZED VIEW DATA", "STATISTICS DATA"];
/// Kinds that hold rows, or show them: an entry of one does not bring others along.
const RELATIONS: [&str; 4] = ["TABLE", "FOREIGN TABLE", "VIEW", "MATERIALIZED VIEW"];
/// Kinds whose names have arguments behind them.
const CALLED: [&str; 3] = ["FUNCTION", "PROCEDURE", "AGGREGATE"];
/// The schema that every database has.
const PUBLIC: &str = "public";

/// Whether a section of this kind has rows in it.
pub fn is_data(kind: &str) -> bool {
    DATA.contains(&kind)
}

/// The entries of a dump.
pub fn assemble(parts: &[Part], sections: &[Section]) -> Result<Vec<Entry>, Flaw> {
    let mut entries = Vec::new();
    let mut ranges = 0;
    for (at, part) in parts.iter().enumerate() {
        let of_part: Vec<&Section> = sections.iter().filter(|section| section.part == at).collect();
        let map = Map::new(&of_part);
        for (main, section) in of_part.iter().enumerate() {
            if map.owner_of(section, main).is_some() {
                continue;
            }
            let entry = map.entry(part, main);
            ranges += entry.ranges.len();
            if ranges > RANGES_MAX {
                return Err(Flaw::TooMany);
            }
            entries.push(entry);
        }
    }
    Ok(entries)
}

/// The sections of a database by their names.
struct Map<'s> {
    sections: &'s [&'s Section],
    /// Sections that are something, by name; functions with their arguments.
    named: HashMap<Name, Vec<usize>>,
    /// Functions without their arguments.
    called: HashMap<Name, Vec<usize>>,
    /// Sections by what they belong to.
    owned: HashMap<&'s Name, Vec<usize>>,
    /// Extensions by the schema that they put things into.
    extensions: HashMap<&'s str, Vec<usize>>,
}

impl<'s> Map<'s> {
    fn new(sections: &'s [&'s Section]) -> Self {
        let (named, called) = (HashMap::new(), HashMap::new());
        let mut map = Self { sections, named, called, owned: HashMap::new(), extensions: HashMap::new() };
        for (at, section) in sections.iter().enumerate() {
            if let Some(owner) = &section.owner {
                map.owned.entry(owner).or_default().push(at);
            }
            if is_named(section) {
                map.named.entry(section.name()).or_default().push(at);
            }
            if CALLED.contains(&section.kind.as_str())
                && let Some((name, _)) = section.tag.split_once('(')
            {
                map.called.entry(Name::new(&section.schema, name)).or_default().push(at);
            }
            if let Some(into) = &section.into {
                map.extensions.entry(into.as_str()).or_default().push(at);
            }
        }
        map
    }

    /// The owner of a section, if the dump has it.
    fn owner_of(&self, section: &'s Section, at: usize) -> Option<&'s Name> {
        let owner = section.owner.as_ref()?;
        let there = self.named.get(owner)?;
        there.iter().any(|&other| other != at).then_some(owner)
    }

    fn found(&self, name: &Name) -> impl Iterator<Item = usize> + use<'_, 's> {
        let (named, called) = (self.named.get(name), self.called.get(name));
        named.into_iter().chain(called).flatten().copied()
    }

    /// Everything that makes the entry of this section.
    fn entry(&self, part: &Part, main: usize) -> Entry {
        let section = self.sections[main];
        let mut chosen = BTreeSet::from([main]);
        let mut ahead = vec![main];
        let (mut left_out, mut needed) = (BTreeSet::new(), BTreeSet::new());
        while let Some(at) = ahead.pop() {
            let mut more = Vec::new();
            let named = Some(self.sections[at]).filter(|section| is_named(section)).map(Section::name);
            for &owned in named.and_then(|name| self.owned.get(&name)).into_iter().flatten() {
                match self.obstacle(owned, &section.name()) {
                    Some(why) => left_out.extend((!why.is_empty()).then_some(why)),
                    None => more.push(owned),
                }
            }
            self.mentioned(at, &mut more, &mut needed);
            more.extend(self.schema_of(self.sections[at]));
            ahead.extend(more.into_iter().filter(|&at| chosen.insert(at)));
        }
        let missing = needed.into_iter().filter(|at| !chosen.contains(at)).map(|at| self.sections[at]);
        left_out.extend(missing.map(|section| format!("{}, which it needs", shown(part, section))));
        let ranges = ranges(part, chosen.iter().map(|&at| self.sections[at]));
        Entry {
            name: shown(part, section),
            kind: section.kind.clone(),
            ranges,
            left_out: left_out.into_iter().collect(),
        }
    }

    /// Why something that belongs to an entry cannot be part of it; empty if nobody needs to know.
    fn obstacle(&self, at: usize, entry: &Name) -> Option<String> {
        let section = self.sections[at];
        let other = |name: &&Name| {
            *name != entry && self.found(name).any(|at| RELATIONS.contains(&self.sections[at].kind.as_str()))
        };
        match section.kind.as_str() {
            "FK CONSTRAINT" => {
                let other = section.names.iter().find(other)?;
                Some(format!("foreign key {}, which refers to {}.{}", section.tag, other.schema, other.name))
            }
            "TABLE ATTACH" => Some(format!("partition {}", section.tag)),
            "INDEX ATTACH" => Some(String::new()),
            _ => None,
        }
    }

    /// What a section mentions: types, functions and sequences come along, tables do not.
    fn mentioned(&self, at: usize, more: &mut Vec<usize>, needed: &mut BTreeSet<usize>) {
        for name in &self.sections[at].names {
            let mut found = self.found(name).peekable();
            if found.peek().is_none() {
                // Perhaps of an extension, whose parts no dump names.
                more.extend(self.extensions.get(name.schema.as_str()).into_iter().flatten());
            }
            for other in found.filter(|other| *other != at) {
                let section = self.sections[other];
                if RELATIONS.contains(&section.kind.as_str()) {
                    needed.insert(other);
                } else if section.owner.is_none() {
                    more.push(other);
                }
            }
        }
    }

    /// The section that makes the schema.
    fn schema_of(&self, section: &Section) -> Vec<usize> {
        if section.schema.is_empty() || section.schema == PUBLIC {
            return Vec::new();
        }
        let named = self.named.get(&Name::new("", &section.schema)).into_iter().flatten().copied();
        named.filter(|&at| self.sections[at].kind == "SCHEMA").collect()
    }
}

/// Whether others use the name in a section's heading: indexes and sequences of a table have names of their own, too.
fn is_named(section: &Section) -> bool {
    section.owner.is_none() || matches!(section.kind.as_str(), "INDEX" | "SEQUENCE" | "STATISTICS")
}

/// What to write for these sections: the settings at the front, those that count for each, and the lines at the end.
fn ranges<'s>(part: &Part, sections: impl Iterator<Item = &'s Section>) -> Vec<Range<u64>> {
    let mut ranges = vec![part.front.clone(), part.end.clone()];
    for section in sections {
        for kind in &part.settings {
            let before = kind.partition_point(|setting| setting.start < section.range.start);
            ranges.extend(before.checked_sub(1).map(|last| kind[last].clone()));
        }
        ranges.push(section.range.clone());
    }
    joined(ranges)
}

/// The name of a section for people, unambiguous: `schema.name`, in quotes what has a dot itself.
fn shown(part: &Part, section: &Section) -> String {
    let quoted = |name: &str| {
        if name.contains(['.', '"']) { format!("\"{}\"", name.replace('"', "\"\"")) } else { name.to_owned() }
    };
    // Of functions the tag has arguments in it, of what belongs to others two names.
    let plain =
        CALLED.contains(&section.kind.as_str()) || section.owner.as_ref().is_some_and(|owner| *owner != section.name());
    let mut name = if plain { section.tag.clone() } else { quoted(&section.tag) };
    if !section.schema.is_empty() {
        name = format!("{}.{name}", quoted(&section.schema));
    }
    if part.name.is_empty() { name } else { format!("{}.{name}", quoted(&part.name)) }
}
