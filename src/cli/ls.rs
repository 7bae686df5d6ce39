//! `larder ls`

use std::ffi::OsString;
use std::ops::ControlFlow::{Break, Continue};

use clap::Args;
use serde::Serialize;

use larder::format::listing::{Entry, Node};
use larder::ops::browse::{self, Depth};

use crate::cli::chosen::Chosen;
use crate::cli::output::{Form, JsonPath, Outcome, escaped, local_time, rfc3339, size};
use crate::cli::report::{Exit, Failure};
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
}

/// Lists it.
pub fn run(session: &mut Session, arguments: &Arguments) -> Outcome {
    let repo = session.open()?;
    let chosen = Chosen::new(&repo, &arguments.what)?;
    let depth = if arguments.recursive { Depth::All } else { Depth::Children };
    let mut lines = Lines::begin(session)?;
    let mut failed = None;
    let damaged = browse::ls(&repo, chosen.root(), &chosen.path, depth, &mut |entry| {
        let line = || if arguments.long { long_line(entry) } else { escaped(&entry.path) };
        match lines.entry(&json(entry), line) {
            Ok(()) if lines.is_closed() => Break(()),
            Ok(()) => Continue(()),
            Err(failure) => {
                failed = Some(failure);
                Break(())
            }
        }
    })?;
    if let Some(failure) = failed {
        return Err(failure);
    }
    lines.end()?;
    for error in &damaged {
        session.out.warning(format!("a part of the listing cannot be read: {error}"));
    }
    Ok(if damaged.is_empty() { Exit::Done } else { Exit::Damage })
}

/// Entries as lines or as a JSON array, of any number.
pub struct Lines<'s> {
    session: &'s mut Session,
    begun: bool,
}

impl<'s> Lines<'s> {
    /// None yet.
    pub fn begin(session: &'s mut Session) -> Result<Self, Failure> {
        Ok(Self { session, begun: false })
    }

    /// Whether nobody reads any more.
    pub fn is_closed(&self) -> bool {
        self.session.out.is_closed()
    }

    /// One more, in the form asked for.
    pub fn entry(&mut self, json: &impl Serialize, line: impl FnOnce() -> String) -> Result<(), Failure> {
        let before = if self.begun { ",\n" } else { "[\n" };
        self.begun = true;
        match self.session.out.form() {
            Form::Text => self.session.out.line(line()),
            Form::Json => self.session.out.json_item(before, json),
        }
    }

    /// No more.
    pub fn end(self) -> Result<(), Failure> {
        match (self.session.out.form(), self.begun) {
            (Form::Text, _) => Ok(()),
            (Form::Json, true) => self.session.out.line("\n]"),
            (Form::Json, false) => self.session.out.line("[]"),
        }
    }
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
