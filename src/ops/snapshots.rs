//! Listing snapshots.
//!
//! Promise: one record that cannot be read never hides the others. Left out on purpose: how a listing is shown.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use crate::format::Time;
use crate::format::record::Record;
use crate::id::SnapshotId;
use crate::ops::note::{Standing, Standings};
use crate::ops::rescue::{Stands, is_loss};
use crate::repo::Repository;
use crate::repo::error::Error;
use crate::repo::state::{Fate, Snapshot, State};

/// Which snapshots to list.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Of this source only.
    pub source: Option<String>,
    /// Of this host only.
    pub host: Option<String>,
    /// With this tag only.
    pub tag: Option<String>,
    /// Forgotten ones that can still come back, instead of those that tags hold.
    pub forgotten: bool,
}

/// A snapshot in a listing.
#[derive(Debug, Clone)]
pub struct Row {
    /// Its name.
    pub id: SnapshotId,
    /// What it is.
    pub record: Record,
    /// Its tags.
    pub tags: BTreeSet<String>,
    /// Facts about it.
    pub notes: Vec<(String, String)>,
    /// How far it can be relied on.
    pub standing: Standing,
    /// Set for a forgotten one.
    pub forgotten: Option<ForgottenRow>,
}

/// How long a forgotten snapshot can come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ForgottenRow {
    /// When its last tag went.
    pub since: Time,
    /// Until when it can come back; `None`: at least as long after the next prune as its grace period.
    pub recoverable_until: Option<Time>,
}

/// A listing.
#[derive(Debug, Clone, Default)]
pub struct Listing {
    /// In the order of the log.
    pub rows: Vec<Row>,
    /// Snapshots whose record cannot be read, and why; and those whose log entry says other than their record.
    pub unreadable: Vec<(SnapshotId, String)>,
}

/// Lists snapshots, as of the last look at the log (`Repository::refresh`). `grace` is how long what is condemned can come
/// back.
pub fn list(repo: &Repository, filter: &Filter, grace: Duration) -> Result<Listing, Error> {
    // Packs that the index cannot learn of are gone for this purpose.
    let stands = if filter.forgotten { Some(Stands::survey(repo)?) } else { None };
    let state = repo.state();
    let standings = Standings::of(&state);
    let (mut listing, mut walked) = (Listing::default(), HashMap::new());
    for snapshot in state.snapshots().iter().filter(|snapshot| snapshot.is_live() != filter.forgotten) {
        let record = match repo.record(snapshot) {
            Ok(record) => record,
            Err(error) => {
                listing.unreadable.push((snapshot.id, error.to_string()));
                continue;
            }
        };
        if !fits(filter, snapshot, &record) {
            continue;
        }
        let contradiction = repo.contradiction(snapshot, &record);
        listing
            .unreadable
            .extend(contradiction.map(|what| (snapshot.id, format!("log entry {} {what}", snapshot.seq))));
        let forgotten = match (snapshot.forgotten, &stands) {
            (Some((_, since)), Some(stands)) => {
                // Where nothing changed, one listing is that of many.
                let known = walked.get(&record.root.page.id).cloned();
                let until = known.map_or_else(|| recoverable(repo, &state, stands, &record, grace), Ok)?;
                walked.insert(record.root.page.id, until.clone());
                match until {
                    Until::Gone => continue,
                    Until::Unreadable(reason) => {
                        listing.unreadable.push((snapshot.id, reason));
                        continue;
                    }
                    Until::Known(recoverable_until) => Some(ForgottenRow { since, recoverable_until }),
                }
            }
            _ => None,
        };
        let (tags, notes) = (snapshot.tags.clone(), snapshot.notes.clone());
        let standing = standings.get(snapshot);
        listing.rows.push(Row { id: snapshot.id, record, tags, notes, standing, forgotten });
    }
    Ok(listing)
}

fn fits(filter: &Filter, snapshot: &Snapshot, record: &Record) -> bool {
    filter.source.as_ref().is_none_or(|source| *source == record.source)
        && filter.host.as_ref().is_none_or(|host| *host == record.host)
        && filter.tag.as_ref().is_none_or(|tag| snapshot.tags.contains(tag))
}

/// Until when a forgotten snapshot can come back.
#[derive(Debug, Clone)]
enum Until {
    /// A part of it is gone.
    Gone,
    /// A part of it is damaged.
    Unreadable(String),
    /// Then; `None` when no part is condemned yet.
    Known(Option<Time>),
}

/// As long as all of it is there.
fn recoverable(
    repo: &Repository,
    state: &State,
    stands: &Stands,
    record: &Record,
    grace: Duration,
) -> Result<Until, Error> {
    let packs = match stands.packs_of(repo, &record.root) {
        Ok(packs) => packs,
        Err(error @ Error::Damaged { .. }) => return Ok(Until::Unreadable(error.to_string())),
        Err(error) if is_loss(&error) => return Ok(Until::Gone),
        Err(error) => return Err(error),
    };
    let condemned = packs.iter().filter_map(|id| match state.fate(id) {
        Some(Fate::Condemned { at, .. }) => Some(at),
        _ => None,
    });
    Ok(Until::Known(condemned.min().map(|at| later(at, grace))))
}

fn later(time: Time, by: Duration) -> Time {
    let nanos = time.nanos + by.subsec_nanos();
    let seconds = time.seconds.saturating_add_unsigned(by.as_secs());
    Time { seconds: seconds.saturating_add(i64::from(nanos / 1_000_000_000)), nanos: nanos % 1_000_000_000 }
}

#[cfg(test)]
#[path = "snapshots_tests.rs"]
mod tests;
