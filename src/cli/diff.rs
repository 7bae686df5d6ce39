//! `larder diff`

use std::ffi::OsString;

use clap::Args;
use serde::Serialize;

use larder::format::listing::{Entry, Node};
use larder::ops::diff::{self, Change};

use crate::cli::chosen::{Chosen, ended};
use crate::cli::ls::kind;
use crate::cli::output::{JsonPath, Lines, Outcome, count, escaped};
use crate::cli::report::Exit;
use crate::cli::session::Session;

/// Show what differs between two snapshots: + added, - removed, M content, m metadata, T type
///
/// If two different folders are compared, paths are shown as seen from these.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The earlier snapshot, or a path in it
    #[arg(value_name = "A[:PATH]")]
    before: OsString,
    /// The later snapshot, or a path in it
    #[arg(value_name = "B[:PATH]")]
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

fn joined(above: &[u8], path: &[u8]) -> Vec<u8> {
    let slash: &[u8] = if above.is_empty() || path.is_empty() { b"" } else { b"/" };
    [above, slash, path].concat()
}

/// Shows it.
pub fn run(session: &mut Session, arguments: &Arguments) -> Outcome {
    let repo = session.open()?;
    let before = Chosen::new(session, &repo, &arguments.before)?.found(&repo)?;
    let after = Chosen::new(session, &repo, &arguments.after)?.found(&repo)?;
    let above = if before.path == after.path { before.path.as_slice() } else { b"" };
    let mut lines = Lines::begin(&mut session.out);
    let mut counts = [0u64; ALL.len()];
    diff::diff(&repo, before.subtree(), after.subtree(), &mut |difference| {
        let path = joined(above, difference.path());
        let (sign, word) = words(difference.change);
        counts[ALL.iter().position(|change| *change == difference.change).unwrap_or(0)] += 1;
        let answer = Answer {
            change: word,
            path: JsonPath::from(path.as_slice()),
            kind: difference.after.or(difference.before).map_or("", |entry| kind(&entry.node)),
            bytes_before: bytes(difference.before),
            bytes_after: bytes(difference.after),
        };
        // The root itself has an empty path.
        let name = if path.is_empty() { ".".into() } else { escaped(&path) };
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
    Ok(ended(&before.selected, ended(&after.selected, Exit::Done)))
}
