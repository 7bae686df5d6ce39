//! Forgetting: taking tags away, by a policy or by name. What no tag holds any more is forgotten; until a prune sweeps
//! its packs it can come back (`ops::tag`).
//!
//! Promise: one log entry, computed against the head it follows; the newest complete snapshot of a series stays.

use std::collections::{BTreeMap, BTreeSet};

use crate::format::Time;
use crate::format::log::{Action, TagAction, TagChange};
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

    fn changes(&self) -> Vec<TagChange> {
        let change = |verdict: &Verdict| TagChange {
            snapshot: verdict.snapshot,
            add: verdict.gains.clone(),
            remove: verdict.drops.iter().map(|dropped| dropped.tag.clone()).collect(),
        };
        self.verdicts().filter(|verdict| verdict.changes()).map(change).collect()
    }
}

/// Says what would be forgotten, and why.
pub fn plan(repo: &Repository, what: &What) -> Result<Plan, Error> {
    plan_at(repo, &repo.state(), what)
}

/// Forgets, and says what and why.
pub fn apply(repo: &Repository, what: &What, now: Time) -> Result<Plan, Error> {
    let mut done = Plan::default();
    repo.append::<Error>(now, &mut |state| {
        done = plan_at(repo, state, what)?;
        let changes = done.changes();
        let action = Action::Untag(TagAction { changes, rescue: Vec::new() });
        Ok(matches!(&action, Action::Untag(tags) if !tags.changes.is_empty()).then_some(action))
    })?;
    Ok(done)
}

fn plan_at(repo: &Repository, state: &State, what: &What) -> Result<Plan, Error> {
    let calendar = Calendar::new(&repo.config().time_zone, repo.config().week_start)?;
    let mut plan = Plan::default();
    for (series, snapshots) in series_of(state) {
        let taken: Vec<Taken> = snapshots.iter().map(|snapshot| Taken::from(*snapshot)).collect();
        let verdicts = match what {
            What::Policy { policy, source } => {
                if !is_of(repo, &snapshots, source.as_deref())? {
                    continue;
                }
                judge(&taken, policy, &calendar)
            }
            What::Ids(ids) => {
                let named: BTreeSet<SnapshotId> =
                    ids.iter().copied().filter(|id| taken.iter().any(|one| one.id == *id)).collect();
                if named.is_empty() {
                    continue;
                }
                judge_named(&taken, &named, &calendar)?
            }
        };
        plan.series.push(SeriesPlan { series, verdicts });
    }
    if let What::Ids(ids) = what {
        for id in ids {
            match state.snapshot(id) {
                None => return Err(RepoError::NoSnapshot(*id).into()),
                Some(snapshot) if !snapshot.is_live() => return Err(Error::ForgottenAlready { snapshot: *id }),
                Some(_) => {}
            }
        }
    }
    Ok(plan)
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

/// Whether a series is of this source. One readable record is enough: all of a series name the same.
fn is_of(repo: &Repository, snapshots: &[&Snapshot], source: Option<&str>) -> Result<bool, RepoError> {
    let Some(source) = source else { return Ok(true) };
    let mut failure = None;
    for snapshot in snapshots {
        match repo.record(snapshot) {
            Ok(record) => return Ok(record.source == source),
            Err(error) => failure = Some(error),
        }
    }
    failure.map_or(Ok(false), Err)
}
