//! Finding the snapshot that a person means.
//!
//! Left out on purpose: what is done with it, and how the answer is shown.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};

use crate::format::record::Record;
use crate::id::{SeriesId, SnapshotId};
use crate::repo::Repository;
use crate::repo::error::Error as RepoError;
use crate::repo::state::{Problem, Snapshot, State};

/// Fewest digits of an id that count as one.
pub const PREFIX_DIGITS_MIN: usize = 4;

const LATEST: &str = "latest";
const AT_LATEST: &str = "@latest";

/// A snapshot and its record.
#[derive(Debug, Clone)]
pub struct Selected {
    /// What the log says.
    pub snapshot: Snapshot,
    /// What it is.
    pub record: Record,
    /// A log entry that cannot be read and may tell of a newer one, if the newest was meant.
    pub lost: Option<Problem>,
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
    /// This may be the beginning of an id, and is too short to be taken for one.
    #[error("{text:?} is too short for the beginning of an id")]
    TooShort {
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

/// Splits `SNAPSHOT[:PATH]`. The path is returned as listings have it.
pub fn split(text: &str) -> (String, Vec<u8>) {
    let colon = path_begins(text).unwrap_or(text.len());
    let path = text.get(colon + 1..).unwrap_or_default();
    let names: Vec<&str> = path.split('/').filter(|name| !matches!(*name, "" | ".")).collect();
    (text[..colon].to_owned(), names.join("/").into_bytes())
}

/// Where the colon before the path is: the first one, but for a source with a colon in its name
/// (`host:volume@latest`), which an id and `latest` cannot have.
fn path_begins(text: &str) -> Option<usize> {
    let first = text.find(':')?;
    let before = &text[..first];
    if before == LATEST || is_prefix(before) {
        return Some(first);
    }
    let ends = |(at, _): (usize, &str)| {
        let end = at + AT_LATEST.len();
        (end == text.len() || text[end..].starts_with(':')).then_some(end)
    };
    let end = text.match_indices(AT_LATEST).find_map(ends);
    end.map_or(Some(first), |end| (end < text.len()).then_some(end))
}

/// Finds `latest`, `SOURCE@latest`, or the snapshot whose id begins so, and reads its record.
pub fn snapshot(repo: &Repository, text: &str, forgotten: Forgotten) -> Result<Selected, Error> {
    let snapshot = named(repo, text, forgotten)?;
    let record = repo.record(&snapshot)?;
    let state = repo.state();
    let lost = state.problems.iter().find(|problem| problem.seq > snapshot.seq);
    let lost = lost.filter(|_| text == LATEST || text.ends_with(AT_LATEST)).cloned();
    Ok(Selected { snapshot, record, lost })
}

/// The same without its record, which may be damaged: for what changes only the log.
pub fn named(repo: &Repository, text: &str, forgotten: Forgotten) -> Result<Snapshot, Error> {
    let state = repo.state();
    let found = match text.strip_suffix(AT_LATEST) {
        Some(source) => latest_of(repo, &state, source),
        None if text == LATEST => state.live().next_back().ok_or(Error::NoneYet),
        None => by_prefix(&state, text, forgotten),
    };
    found.cloned().map_err(|error| match (error, state.problems.first()) {
        // It may well be what cannot be read.
        (Error::NoneYet | Error::UnknownSource { .. }, Some(Problem { seq, reason })) => {
            RepoError::LogUnread { seq: *seq, reason: reason.clone() }.into()
        }
        (error, _) => error,
    })
}

fn is_prefix(text: &str) -> bool {
    text.len() >= PREFIX_DIGITS_MIN && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn by_prefix<'s>(state: &'s State, text: &str, forgotten: Forgotten) -> Result<&'s Snapshot, Error> {
    let unknown = || Error::Unknown { text: text.to_owned() };
    if !is_prefix(text) {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        return Err(if digits { Error::TooShort { text: text.to_owned() } } else { unknown() });
    }
    let digits = text.to_ascii_lowercase();
    let fitting: Vec<&Snapshot> =
        state.snapshots().iter().filter(|snapshot| snapshot.id.to_string().starts_with(&digits)).collect();
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
    let mut names: HashMap<SeriesId, String> = HashMap::new();
    let mut failure = None;
    for snapshot in state.live().rev() {
        // All of a series name the same source, and a record that is damaged must not hide other series.
        if let Entry::Vacant(unknown) = names.entry(snapshot.series) {
            match repo.record(snapshot) {
                Ok(record) => {
                    unknown.insert(record.source);
                }
                Err(error) => {
                    failure.get_or_insert(error);
                }
            }
        }
        if names.get(&snapshot.series).is_some_and(|name| name == source) {
            return Ok(newest_of(state, snapshot));
        }
    }
    match failure {
        Some(error) => Err(error.into()),
        None if names.is_empty() => Err(Error::NoneYet),
        None => {
            let known: BTreeSet<String> = names.into_values().collect();
            Err(Error::UnknownSource { source_name: source.to_owned(), known: known.into_iter().collect() })
        }
    }
}

/// The newest snapshot of the same series. Its record may be damaged, which is then said rather than passed over.
fn newest_of<'s>(state: &'s State, snapshot: &'s Snapshot) -> &'s Snapshot {
    state.live().rfind(|other| other.series == snapshot.series).unwrap_or(snapshot)
}

#[cfg(test)]
#[path = "select_tests.rs"]
mod tests;
