//! Tagging: setting and taking tags, and bringing a forgotten snapshot back.
//!
//! Promise: a snapshot that comes back is whole: every chunk it needs is found in a pack that is not swept, and the
//! same log entry rescues those that are condemned. Taking the last tag is forgetting: places are handed on, and the
//! newest complete snapshot of a series keeps at least one.

use std::collections::BTreeSet;

use crate::format::Time;
use crate::format::log::{Action, TAGS_MAX, TagAction, TagChange, tag_allowed};
use crate::id::{PackId, SnapshotId};
use crate::ops::forget::{changes, taken};
use crate::ops::rescue::{Stands, is_loss};
use crate::ops::retention::verdict::Verdict;
use crate::ops::retention::{Calendar, CalendarError, TIERS, Taken, Tier, judge_named};
use crate::repo::Repository;
use crate::repo::commit::relied_on;
use crate::repo::error::Error as RepoError;
use crate::repo::state::{Snapshot, State};

/// Most tags of a snapshot that people named. The rest is for the tiers.
pub const OWN_TAGS_MAX: usize = TAGS_MAX as usize - TIERS.len();

/// Why tags were not changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The repository.
    #[error(transparent)]
    Repo(#[from] RepoError),
    /// Not a tag.
    #[error("{tag:?} cannot be a tag")]
    BadTag {
        /// What was given.
        tag: String,
    },
    /// Too many of them.
    #[error("a snapshot has at most {OWN_TAGS_MAX} tags of one's own")]
    TooMany,
    /// The newest complete snapshot of a series must keep a tag.
    #[error("snapshot {} is the newest complete one of its series and must keep a tag", .snapshot.short())]
    AlwaysStays {
        /// The snapshot.
        snapshot: SnapshotId,
    },
    /// What a forgotten snapshot needs is gone.
    #[error("snapshot {} cannot come back: {reason}", .snapshot.short())]
    Gone {
        /// The snapshot.
        snapshot: SnapshotId,
        /// What is gone.
        reason: String,
    },
    /// The repository's time zone is not known here, so places cannot be handed on.
    #[error(transparent)]
    Calendar(#[from] CalendarError),
}

/// What came of it.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// The tags afterwards.
    pub tags: BTreeSet<String>,
    /// Whether the snapshot was forgotten before.
    pub brought_back: bool,
    /// Packs that were condemned and are not any more.
    pub rescued: usize,
    /// What was to be taken and was not there.
    pub not_there: Vec<String>,
    /// The places that were handed on when the last tag went, and to whom.
    pub handed_on: Vec<(SnapshotId, Vec<String>)>,
}

/// Whether a snapshot can have all these tags.
pub fn check<'t>(tags: impl IntoIterator<Item = &'t String>) -> Result<(), Error> {
    let mut own = BTreeSet::new();
    for tag in tags {
        if !tag_allowed(tag) {
            return Err(Error::BadTag { tag: tag.clone() });
        }
        if Tier::of_tag(tag).is_none() {
            own.insert(tag);
        }
    }
    if own.len() > OWN_TAGS_MAX { Err(Error::TooMany) } else { Ok(()) }
}

/// Adds and removes tags of a snapshot. One that is named both ways is added.
pub fn run(
    repo: &Repository,
    snapshot: SnapshotId,
    add: &[String],
    remove: &[String],
    now: Time,
) -> Result<Report, Error> {
    check(add)?;
    repo.refresh()?;
    let mut report = Report::default();
    let mut needed = None;
    let state = repo.append::<Error>(now, &mut |state| {
        let before = state.snapshot(&snapshot).ok_or(RepoError::NoSnapshot(snapshot))?;
        let change = change_of(before, add, remove);
        report = Report::default();
        report.not_there = remove.iter().filter(|tag| !before.tags.contains(*tag)).cloned().collect();
        if change.add.is_empty() && change.remove.is_empty() {
            return Ok(None);
        }
        let mut after = before.tags.clone();
        after.retain(|tag| !change.remove.contains(tag));
        after.extend(change.add.iter().cloned());
        check(&after)?;
        if after.is_empty() {
            let verdicts = forgetting(repo, state, before)?;
            let heirs = verdicts.iter().filter(|verdict| !verdict.gains.is_empty());
            report.handed_on = heirs.map(|verdict| (verdict.snapshot, verdict.gains.clone())).collect();
            let changes = changes(verdicts.iter());
            return Ok(Some(Action::Untag(TagAction { changes, rescue: Vec::new() })));
        }
        let mut rescue = Vec::new();
        if !before.is_live() {
            rescue = rescue_of(repo, state, before, &mut needed)?;
            report.brought_back = true;
            report.rescued = rescue.len();
        }
        Ok(Some(Action::Tag(TagAction { changes: vec![change], rescue })))
    })?;
    report.tags = state.snapshot(&snapshot).map(|snapshot| snapshot.tags.clone()).unwrap_or_default();
    Ok(report)
}

/// What happens when a snapshot loses its last tag: the same as when `forget` takes all of them.
fn forgetting(repo: &Repository, state: &State, snapshot: &Snapshot) -> Result<Vec<Verdict>, Error> {
    let calendar = Calendar::new(&repo.config().time_zone, repo.config().week_start)?;
    let series = state.live().filter(|other| other.series == snapshot.series);
    let taken: Vec<Taken> = series.map(|other| taken(repo, other)).collect();
    let named = BTreeSet::from([snapshot.id]);
    judge_named(&taken, &named, &calendar).map_err(|stays| Error::AlwaysStays { snapshot: stays.snapshot })
}

/// The packs to rescue for a snapshot that comes back. `needed` are those it was found to stand on before the log grew;
/// it is looked through again only if one of these was swept since.
fn rescue_of(
    repo: &Repository,
    state: &State,
    snapshot: &Snapshot,
    needed: &mut Option<BTreeSet<PackId>>,
) -> Result<Vec<PackId>, Error> {
    let gone = |reason: String| Error::Gone { snapshot: snapshot.id, reason };
    if let Some(problem) = state.problems.first() {
        return Err(gone(format!("log entry {} cannot be read, and it may have swept a part", problem.seq)));
    }
    if let Some(packs) = needed
        && let Ok((_, rescue)) = relied_on(repo, state, packs.iter())
    {
        return Ok(rescue);
    }
    let look = || {
        let packs = Stands::survey(repo)?.packs_of(repo, &repo.record(snapshot)?.root)?;
        let (_, rescue) = relied_on(repo, state, packs.iter())?;
        Ok((packs, rescue))
    };
    match look() {
        Ok((packs, rescue)) => {
            *needed = Some(packs);
            Ok(rescue)
        }
        Err(error) if is_loss(&error) => Err(gone(error.to_string())),
        Err(error) => Err(error.into()),
    }
}

/// Only what is different: a tag that is there is not added, one that is not there is not removed.
fn change_of(snapshot: &Snapshot, add: &[String], remove: &[String]) -> TagChange {
    let unique = |tags: &[String], wanted: &dyn Fn(&String) -> bool| {
        let tags: BTreeSet<&String> = tags.iter().filter(|tag| wanted(tag)).collect();
        tags.into_iter().cloned().collect()
    };
    TagChange {
        snapshot: snapshot.id,
        add: unique(add, &|tag| !snapshot.tags.contains(tag)),
        remove: unique(remove, &|tag| snapshot.tags.contains(tag) && !add.contains(tag)),
    }
}

#[cfg(test)]
#[path = "tag_tests.rs"]
mod tests;
