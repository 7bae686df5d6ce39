//! Forgetting: taking tags away, by a policy or by name. What no tag holds any more is forgotten; until a prune sweeps
//! its packs it can come back (`ops::tag`).
//!
//! Promise: one log entry (more only if that one would be too long), computed against the head it follows; the newest
//! complete snapshot of a series stays. A snapshot whose record cannot be read cannot be restored, so it never stands in
//! for one that can: a policy leaves it alone and gives it no place, and by name it counts as incomplete.

use std::collections::{BTreeMap, BTreeSet};

use crate::format::Time;
use crate::format::log::{Action, CHANGES_MAX, TagAction, TagChange};
use crate::id::{SeriesId, SnapshotId};
use crate::ops::retention::verdict::Verdict;
use crate::ops::retention::{AlwaysStays, Calendar, CalendarError, Policy, Taken, judge, judge_named};
use crate::repo::Repository;
use crate::repo::error::Error as RepoError;
use crate::repo::state::{Snapshot, State};

/// What to forget.
#[derive(Debug, Clone)]
pub enum What {
    /// What a policy does not keep.
    Policy {
        /// The policy, applied to each series alone.
        policy: Policy,
        /// Of this source only.
        source: Option<String>,
    },
    /// These snapshots.
    Ids(Vec<SnapshotId>),
}

/// Why nothing was forgotten.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The repository.
    #[error(transparent)]
    Repo(#[from] RepoError),
    /// The newest complete snapshot of a series was to go.
    #[error(transparent)]
    AlwaysStays(#[from] AlwaysStays),
    /// The repository's time zone is not known here.
    #[error(transparent)]
    Calendar(#[from] CalendarError),
    /// A snapshot is forgotten already.
    #[error("snapshot {} is forgotten already", .snapshot.short())]
    ForgottenAlready {
        /// The snapshot.
        snapshot: SnapshotId,
    },
    /// The policy is for a source that no snapshot is of.
    #[error("there is no snapshot of a source {source_name:?}")]
    UnknownSource {
        /// The name given.
        source_name: String,
        /// The sources there are.
        known: Vec<String>,
    },
}

/// What becomes of the snapshots of one series.
#[derive(Debug, Clone)]
pub struct SeriesPlan {
    /// The series.
    pub series: SeriesId,
    /// A verdict on each of its snapshots that was judged, in the order of the log.
    pub verdicts: Vec<Verdict>,
}

/// What becomes of all of them.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// One for each series, in the order of their first snapshots.
    pub series: Vec<SeriesPlan>,
    /// Snapshots that the policy may be for and that were not judged, because their records cannot be read; and why.
    pub unreadable: Vec<(SnapshotId, String)>,
}

impl Plan {
    /// Every verdict.
    pub fn verdicts(&self) -> impl Iterator<Item = &Verdict> {
        self.series.iter().flat_map(|series| &series.verdicts)
    }

    /// The snapshots that no tag will hold.
    pub fn forgotten(&self) -> impl Iterator<Item = SnapshotId> {
        self.verdicts().filter(|verdict| !verdict.stays()).map(|verdict| verdict.snapshot)
    }
}

/// Verdicts as a log entry has them. Places are taken over before they are given up.
pub fn changes<'v>(verdicts: impl Iterator<Item = &'v Verdict>) -> Vec<TagChange> {
    let change = |verdict: &Verdict| TagChange {
        snapshot: verdict.snapshot,
        add: verdict.gains.clone(),
        remove: verdict.drops.iter().map(|dropped| dropped.tag.clone()).collect(),
    };
    let mut changes: Vec<TagChange> = verdicts.filter(|verdict| verdict.changes()).map(change).collect();
    changes.sort_by_key(|change| change.add.is_empty());
    changes
}

/// Says what would be forgotten, and why.
pub fn plan(repo: &Repository, what: &What) -> Result<Plan, Error> {
    plan_at(repo, &*repo.refresh()?, what)
}

/// Forgets, and says what and why.
pub fn apply(repo: &Repository, what: &What, now: Time) -> Result<Plan, Error> {
    repo.refresh()?;
    let (done, mut left) = append(repo, what, now)?;
    let mut rest = what.clone();
    // What one entry cannot hold, the next ones do: judging again gives the rest.
    while left > 0 {
        if let What::Ids(ids) = &mut rest {
            let state = repo.state();
            ids.retain(|id| state.snapshot(id).is_some_and(Snapshot::is_live));
        }
        left = append(repo, &rest, now)?.1;
    }
    Ok(done)
}

/// Appends as much of a plan as an entry holds, and says how much is left.
fn append(repo: &Repository, what: &What, now: Time) -> Result<(Plan, usize), Error> {
    let (mut plan, mut left) = (Plan::default(), 0);
    repo.append::<Error>(now, &mut |state| {
        plan = plan_at(repo, state, what)?;
        let mut changes = changes(plan.verdicts());
        left = changes.len().saturating_sub(CHANGES_MAX as usize);
        changes.truncate(CHANGES_MAX as usize);
        if changes.is_empty() {
            return Ok(None);
        }
        Ok(Some(Action::Untag(TagAction { changes, rescue: Vec::new() })))
    })?;
    Ok((plan, left))
}

fn plan_at(repo: &Repository, state: &State, what: &What) -> Result<Plan, Error> {
    let calendar = Calendar::new(&repo.config().time_zone, repo.config().week_start)?;
    match what {
        What::Policy { policy, source } => plan_policy(repo, state, policy, source.as_deref(), &calendar),
        What::Ids(ids) => plan_named(repo, state, ids, &calendar),
    }
}

fn plan_policy(
    repo: &Repository,
    state: &State,
    policy: &Policy,
    source: Option<&str>,
    calendar: &Calendar,
) -> Result<Plan, Error> {
    let mut plan = Plan::default();
    let mut known = BTreeSet::new();
    for (series, snapshots) in series_of(state) {
        let (mut readable, mut unreadable, mut name) = (Vec::new(), Vec::new(), None);
        for snapshot in snapshots {
            match repo.record(snapshot) {
                Ok(record) => {
                    name.get_or_insert(record.source);
                    readable.push(Taken::from(snapshot));
                }
                Err(error) => unreadable.push((snapshot.id, error.to_string())),
            }
        }
        // One readable record is enough: all of a series name the same source. Without any, it may be this one.
        let is_another = source.zip(name.as_ref()).is_some_and(|(source, name)| name != source);
        known.extend(name);
        if is_another {
            continue;
        }
        plan.unreadable.extend(unreadable);
        if !readable.is_empty() {
            plan.series.push(SeriesPlan { series, verdicts: judge(&readable, policy, calendar) });
        }
    }
    match source {
        Some(source) if plan.series.is_empty() && plan.unreadable.is_empty() => {
            Err(Error::UnknownSource { source_name: source.to_owned(), known: known.into_iter().collect() })
        }
        _ => Ok(plan),
    }
}

fn plan_named(repo: &Repository, state: &State, ids: &[SnapshotId], calendar: &Calendar) -> Result<Plan, Error> {
    for id in ids {
        match state.snapshot(id) {
            None => return Err(RepoError::NoSnapshot(*id).into()),
            Some(snapshot) if !snapshot.is_live() => return Err(Error::ForgottenAlready { snapshot: *id }),
            Some(_) => {}
        }
    }
    let named: BTreeSet<SnapshotId> = ids.iter().copied().collect();
    let mut plan = Plan::default();
    for (series, snapshots) in series_of(state) {
        if snapshots.iter().any(|snapshot| named.contains(&snapshot.id)) {
            let taken: Vec<Taken> = snapshots.iter().map(|snapshot| taken(repo, snapshot)).collect();
            plan.series.push(SeriesPlan { series, verdicts: judge_named(&taken, &named, calendar)? });
        }
    }
    Ok(plan)
}

/// A snapshot as retention sees it; one whose record cannot be read counts as incomplete, so that no place is handed to
/// it, and it can go even when it is the newest.
pub fn taken(repo: &Repository, snapshot: &Snapshot) -> Taken {
    let taken = Taken::from(snapshot);
    Taken { complete: taken.complete && repo.record(snapshot).is_ok(), ..taken }
}

/// The live snapshots of each series, series in the order of their first snapshots.
fn series_of(state: &State) -> Vec<(SeriesId, Vec<&Snapshot>)> {
    let mut places: BTreeMap<SeriesId, usize> = BTreeMap::new();
    let mut series: Vec<(SeriesId, Vec<&Snapshot>)> = Vec::new();
    for snapshot in state.live() {
        let at = *places.entry(snapshot.series).or_insert_with(|| {
            series.push((snapshot.series, Vec::new()));
            series.len() - 1
        });
        series[at].1.push(snapshot);
    }
    series
}

#[cfg(test)]
#[path = "forget_tests.rs"]
mod tests;
