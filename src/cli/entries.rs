//! What is inside a dump or an archive, as `larder ls --entries` shows it.
//!
//! Promise: names from inside a file steer no terminal.

use serde::Serialize;

use larder::ops::cat::stored::Stored;
use larder::ops::entries::archive::{self, Member};
use larder::ops::entries::sql::{self, Known, Listed};
use larder::ops::entries::{self, Shape};
use larder::repo::Repository;

use crate::cli::chosen::Chosen;
use crate::cli::output::{Form, JsonPath, Lines, Outcome, Voice, escaped, size};
use crate::cli::report::{Exit, Failure};
use crate::cli::session::{self, Session};

/// Files shorter than this hold nothing worth a remark.
const REMARKED_BYTES_MIN: u64 = 512;

/// The file that is meant, and what it is.
pub fn open<'r>(repo: &'r Repository, chosen: &Chosen) -> Result<(Stored<'r>, Shape), Failure> {
    if chosen.path.is_empty() {
        return Err(Failure::usage("entries of which file?").hint("SNAPSHOT:PATH, with a path as larder ls shows it"));
    }
    let stored = Stored::open(repo, chosen.root(), &chosen.path)?;
    let shape = entries::shape(&stored)?.ok_or_else(|| {
        Failure::new(
            Exit::Failed,
            format!("{} is neither a dump nor an archive that larder knows", escaped(&chosen.path)),
        )
        .hint("known are what pg_dump and mariadb-dump write as plain SQL, and tar, none of it compressed")
    })?;
    Ok((stored, shape))
}

/// The entries of a dump, and a word on where they are known from.
pub fn listed(session: &Session, repo: &Repository, chosen: &Chosen, stored: &Stored<'_>) -> Result<Listed, Failure> {
    let listed = sql::list(repo, chosen.root(), &chosen.path, stored, session::threads())?;
    let path = escaped(&chosen.path);
    match &listed.known {
        Known::List => {}
        Known::Dump => {
            session.out.note(format!("no {path}.entries in the snapshot: all of {path} was read to find them"))
        }
        Known::DumpInstead { reason } => {
            session.out.warning(format!("{path}.entries {reason}; all of {path} was read instead"));
        }
    }
    Ok(listed)
}

#[derive(Serialize)]
struct JsonEntry<'e> {
    #[serde(flatten)]
    path: JsonPath,
    kind: &'e str,
    bytes: u64,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    left_out: &'e [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<String>,
}

fn json<'e>(name: &[u8], kind: &'e str, bytes: u64) -> JsonEntry<'e> {
    JsonEntry { path: JsonPath::from(name), kind, bytes, left_out: &[], target: None }
}

/// Lists what is inside a file.
pub fn list(session: &mut Session, repo: &Repository, chosen: &Chosen, form: Columns) -> Outcome {
    let (stored, shape) = open(repo, chosen)?;
    let line = |name: &str, kind: &str, bytes: u64| match form {
        Columns::Name => name.to_owned(),
        Columns::All => format!("{kind:<18} {:>10}  {name}", size(bytes)),
    };
    if shape == Shape::Tar {
        let mut lines = Lines::begin(&mut session.out);
        let shown = archive::members(&stored, &mut |member| {
            let Member { name, kind, bytes, target, .. } = member;
            let target = (!target.is_empty()).then(|| escaped(target));
            let arrow = target.as_ref().filter(|_| form == Columns::All).map(|target| format!(" -> {target}"));
            let text = || line(&escaped(name), kind.word(), *bytes) + &arrow.unwrap_or_default();
            lines.entry(&JsonEntry { target: target.clone(), ..json(name, kind.word(), *bytes) }, text)
        });
        lines.end()?;
        return Ok(shown.map(|()| Exit::Done)?);
    }
    let listed = listed(session, repo, chosen, &stored)?;
    let mut lines = Lines::begin(&mut session.out);
    for entry in &listed.entries.entries {
        let (name, bytes) = (entry.name.as_bytes(), entry.bytes());
        let item = JsonEntry { left_out: &entry.left_out, ..json(name, &entry.kind, bytes) };
        if lines.entry(&item, || line(&escaped(name), &escaped(entry.kind.as_bytes()), bytes)).is_break() {
            break;
        }
    }
    lines.end()?;
    Ok(Exit::Done)
}

/// What is shown of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Columns {
    /// Its name.
    Name,
    /// What it is, how long it is, and its name.
    All,
}

/// Says that a file has entries, to whoever looks at the file alone.
pub fn remark(session: &Session, repo: &Repository, chosen: &Chosen) {
    if session.out.form() == Form::Json || session.out.voice() == Voice::Quiet || chosen.path.is_empty() {
        return;
    }
    // What cannot be read is said by whoever wants to have it.
    let Ok(stored) = Stored::open(repo, chosen.root(), &chosen.path) else { return };
    if stored.bytes() >= REMARKED_BYTES_MIN
        && let Ok(Some(shape)) = entries::shape(&stored)
    {
        session.out.note(format!("this is {}: --entries shows what is in it", shape.words()));
    }
}
