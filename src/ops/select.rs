//! Finding the snapshot that a person means.
//!
//! Left out on purpose: what is done with it, and how the answer is shown.

use crate::format::record::Record;
use crate::id::SnapshotId;
use crate::repo::Repository;
use crate::repo::error::Error as RepoError;
use crate::repo::state::{Snapshot, State};

/// Fewest digits of an id that count as one.
pub const PREFIX_DIGITS_MIN: usize = 4;

/// A snapshot and its record.
#[derive(Debug, Clone)]
pub struct Selected {
    /// What the log says.
    pub snapshot: Snapshot,
    /// What it is.
    pub record: Record,
}

/// Whether forgotten snapshots can be meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forgotten {
    /// They cannot.
    Refuse,
    /// They can.
    Allow,
}

/// Why no snapshot was found.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The repository.
    #[error(transparent)]
    Repo(#[from] RepoError),
    /// There are no snapshots at all.
    #[error("there is no snapshot yet")]
    NoneYet,
    /// No snapshot has such an id.
    #[error("there is no snapshot {text:?}")]
    Unknown {
        /// What was given.
        text: String,
    },
    /// The snapshot is there, but forgotten.
    #[error("snapshot {} is forgotten", .snapshot.short())]
    Forgotten {
        /// The snapshot.
        snapshot: SnapshotId,
    },
    /// Several snapshots begin so.
    #[error("{text:?} fits {} snapshots", .matches.len())]
    Ambiguous {
        /// What was given.
        text: String,
        /// Those it fits.
        matches: Vec<SnapshotId>,
    },
    /// No snapshot is of this source.
    #[error("there is no snapshot of a source {source_name:?}")]
    UnknownSource {
        /// The name given.
        source_name: String,
        /// The sources there are.
        known: Vec<String>,
    },
}

/// Splits `SNAPSHOT[:PATH]` at the first colon behind the last `@` part. The path loses slashes at both ends.
pub fn split(text: &str) -> (String, Vec<u8>) {
    // A source may hold a colon (`host:volume@latest`), an id and `latest` cannot.
    let from = text.find("@latest").map_or(0, |at| at + "@latest".len());
    match text[from..].find(':') {
        Some(at) => {
            let path = text[from + at + 1..].trim_matches('/');
            (text[..from + at].to_owned(), path.as_bytes().to_vec())
        }
        None => (text.to_owned(), Vec::new()),
    }
}

/// Finds `latest`, `SOURCE@latest`, or the snapshot whose id begins so.
pub fn snapshot(repo: &Repository, text: &str, forgotten: Forgotten) -> Result<Selected, Error> {
    let state = repo.state();
    let found = match text.strip_suffix("@latest") {
        Some(source) => latest_of(repo, &state, source)?,
        None if text == "latest" => state.live().next_back().ok_or(Error::NoneYet)?,
        None => by_prefix(&state, text, forgotten)?,
    };
    Ok(Selected { snapshot: found.clone(), record: repo.record(found)? })
}

fn by_prefix<'s>(state: &'s State, text: &str, forgotten: Forgotten) -> Result<&'s Snapshot, Error> {
    let unknown = || Error::Unknown { text: text.to_owned() };
    let digits = text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    if text.len() < PREFIX_DIGITS_MIN || !digits {
        return Err(unknown());
    }
    let fitting: Vec<&Snapshot> =
        state.snapshots().iter().filter(|snapshot| snapshot.id.to_string().starts_with(text)).collect();
    let live: Vec<&Snapshot> = fitting.iter().copied().filter(|snapshot| snapshot.is_live()).collect();
    // What is forgotten does not make ambiguous what is not.
    let candidates = if live.is_empty() { &fitting } else { &live };
    match candidates.as_slice() {
        [] => Err(unknown()),
        [only] if only.is_live() || forgotten == Forgotten::Allow => Ok(only),
        [only] => Err(Error::Forgotten { snapshot: only.id }),
        several => {
            let matches = several.iter().map(|snapshot| snapshot.id).collect();
            Err(Error::Ambiguous { text: text.to_owned(), matches })
        }
    }
}

fn latest_of<'s>(repo: &Repository, state: &'s State, source: &str) -> Result<&'s Snapshot, Error> {
    let mut known = std::collections::BTreeSet::new();
    for snapshot in state.live().rev() {
        let record = repo.record(snapshot)?;
        if record.source == source {
            return Ok(snapshot);
        }
        known.insert(record.source);
    }
    if known.is_empty() {
        return Err(Error::NoneYet);
    }
    Err(Error::UnknownSource { source_name: source.to_owned(), known: known.into_iter().collect() })
}

#[cfg(test)]
#[path = "select_tests.rs"]
mod tests;
