//! `larder ls`

use std::ffi::OsString;

use clap::Args;
use serde::Serialize;

use larder::format::listing::{Entry, Node};
use larder::ops::browse::{self, Depth};

use crate::cli::chosen::{Chosen, ended};
use crate::cli::entries::{self, Columns};
use crate::cli::output::{JsonPath, Lines, Outcome, escaped, local_time, rfc3339, size};
use crate::cli::report::Exit;
use crate::cli::session::Session;

/// List what is in a snapshot, or in a folder of it
#[derive(Debug, Args)]
pub struct Arguments {
    /// The snapshot, and a path in it
    #[arg(value_name = "SNAPSHOT[:PATH]")]
    what: OsString,
    /// Mode, owner, size and time too
    #[arg(long, short)]
    long: bool,
    /// Everything below, too
    #[arg(long, short = 'R')]
    recursive: bool,
    /// What is in this dump (of pg_dump or mariadb-dump) or tar archive; with --long kind and size too
    #[arg(long, conflicts_with = "recursive")]
    entries: bool,
}

/// Lists it.
pub fn run(session: &mut Session, arguments: &Arguments) -> Outcome {
    let repo = session.open()?;
    let chosen = Chosen::new(session, &repo, &arguments.what)?;
    if arguments.entries {
        let columns = if arguments.long { Columns::All } else { Columns::Name };
        return Ok(ended(&chosen.selected, entries::list(session, &repo, &chosen, columns)?));
    }
    let depth = if arguments.recursive { Depth::All } else { Depth::Children };
    let mut lines = Lines::begin(&mut session.out);
    let damaged = browse::ls(&repo, chosen.root(), &chosen.path, depth, &mut |entry| {
        lines.entry(&json(entry), || if arguments.long { long_line(entry) } else { escaped(&entry.path) })
    })?;
    lines.end()?;
    entries::remark(session, &repo, &chosen);
    for error in &damaged {
        session.out.warning(format!("a part of the listing cannot be read: {error}"));
    }
    Ok(ended(&chosen.selected, if damaged.is_empty() { Exit::Done } else { Exit::Damage }))
}

/// An entry in JSON.
#[derive(Serialize)]
pub struct JsonEntry {
    #[serde(flatten)]
    path: JsonPath,
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    mode: String,
    uid: u32,
    gid: u32,
    user: String,
    group: String,
    mtime: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<String>,
}

/// An entry in JSON.
pub fn json(entry: &Entry) -> JsonEntry {
    let bytes = match &entry.node {
        Node::File { bytes, .. } => Some(*bytes),
        _ => None,
    };
    JsonEntry {
        path: JsonPath::from(entry.path.as_slice()),
        kind: kind(&entry.node),
        bytes,
        mode: format!("{:04o}", entry.mode),
        uid: entry.owner.uid,
        gid: entry.owner.gid,
        user: escaped(&entry.owner.user),
        group: escaped(&entry.owner.group),
        mtime: rfc3339(entry.mtime),
        target: target(&entry.node),
    }
}

fn target(node: &Node) -> Option<String> {
    match node {
        Node::Symlink { target } => Some(escaped(target)),
        _ => None,
    }
}

/// What an entry is, in a word.
pub fn kind(node: &Node) -> &'static str {
    match node {
        Node::File { .. } => "file",
        Node::Directory => "directory",
        Node::Symlink { .. } => "symlink",
        Node::Fifo => "fifo",
        Node::Socket => "socket",
        Node::CharDevice { .. } => "char-device",
        Node::BlockDevice { .. } => "block-device",
    }
}

fn long_line(entry: &Entry) -> String {
    let owner = |name: &[u8], id: u32| if name.is_empty() { id.to_string() } else { escaped(name) };
    let extent = match &entry.node {
        Node::File { bytes, .. } => size(*bytes),
        Node::CharDevice { major, minor } | Node::BlockDevice { major, minor } => format!("{major}, {minor}"),
        _ => "-".into(),
    };
    let arrow = target(&entry.node).map(|target| format!(" -> {target}")).unwrap_or_default();
    format!(
        "{} {:<8} {:<8} {extent:>10}  {}  {}{arrow}",
        mode(entry),
        owner(&entry.owner.user, entry.owner.uid),
        owner(&entry.owner.group, entry.owner.gid),
        local_time(entry.mtime),
        escaped(&entry.path)
    )
}

/// Type and permissions as `ls -l` shows them.
fn mode(entry: &Entry) -> String {
    let kind = match &entry.node {
        Node::File { .. } => '-',
        Node::Directory => 'd',
        Node::Symlink { .. } => 'l',
        Node::Fifo => 'p',
        Node::Socket => 's',
        Node::CharDevice { .. } => 'c',
        Node::BlockDevice { .. } => 'b',
    };
    let mut text = String::from(kind);
    for (shift, special, letters) in [(6, 0o4000, ('s', 'S')), (3, 0o2000, ('s', 'S')), (0, 0o1000, ('t', 'T'))] {
        let bits = entry.mode >> shift;
        text.push(if bits & 4 != 0 { 'r' } else { '-' });
        text.push(if bits & 2 != 0 { 'w' } else { '-' });
        text.push(match (entry.mode & special != 0, bits & 1 != 0) {
            (true, true) => letters.0,
            (true, false) => letters.1,
            (false, true) => 'x',
            (false, false) => '-',
        });
    }
    text
}
