//! `larder diff`

use std::ffi::OsString;

use clap::Args;
use serde::Serialize;

use larder::format::listing::{Entry, Node};
use larder::ops::browse::{self, Change};

use crate::cli::chosen::whole;
use crate::cli::ls::kind;
use crate::cli::output::{JsonPath, Lines, Outcome, count, escaped};
use crate::cli::report::Exit;
use crate::cli::session::Session;

/// Show what differs between two snapshots: + added, - removed, M content, m metadata, T type
#[derive(Debug, Args)]
pub struct Arguments {
    /// The earlier snapshot
    #[arg(value_name = "A")]
    before: OsString,
    /// The later snapshot
    #[arg(value_name = "B")]
    after: OsString,
}

#[derive(Serialize)]
struct Answer {
    change: &'static str,
    #[serde(flatten)]
    path: JsonPath,
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes_before: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes_after: Option<u64>,
}

const fn words(change: Change) -> (char, &'static str) {
    match change {
        Change::Added => ('+', "added"),
        Change::Removed => ('-', "removed"),
        Change::Type => ('T', "type"),
        Change::Content => ('M', "content"),
        Change::Metadata => ('m', "metadata"),
    }
}

const ALL: [Change; 5] = [Change::Added, Change::Removed, Change::Content, Change::Metadata, Change::Type];

fn bytes(entry: Option<&Entry>) -> Option<u64> {
    match &entry?.node {
        Node::File { bytes, .. } => Some(*bytes),
        _ => None,
    }
}

/// Shows it.
pub fn run(session: &mut Session, arguments: &Arguments) -> Outcome {
    let repo = session.open()?;
    let before = whole(&repo, &arguments.before, "diff")?;
    let after = whole(&repo, &arguments.after, "diff")?;
    let mut lines = Lines::begin(&mut session.out);
    let mut counts = [0u64; ALL.len()];
    browse::diff(&repo, &before.record.root, &after.record.root, &mut |difference| {
        let (sign, word) = words(difference.change);
        counts[ALL.iter().position(|change| *change == difference.change).unwrap_or(0)] += 1;
        let answer = Answer {
            change: word,
            path: JsonPath::from(difference.path()),
            kind: difference.after.or(difference.before).map_or("", |entry| kind(&entry.node)),
            bytes_before: bytes(difference.before),
            bytes_after: bytes(difference.after),
        };
        // The root itself has an empty path.
        let name = if difference.path().is_empty() { ".".into() } else { escaped(difference.path()) };
        let folder = if answer.kind == "directory" { "/" } else { "" };
        lines.entry(&answer, || format!("{sign} {name}{folder}"))
    })?;
    lines.end()?;
    let parts: Vec<String> = ALL
        .iter()
        .zip(counts)
        .filter(|(_, number)| *number > 0)
        .map(|(change, number)| format!("{} {}", count(number), words(*change).1))
        .collect();
    session.out.aside(if parts.is_empty() { "no difference".into() } else { parts.join(", ") })?;
    Ok(Exit::Done)
}
