//! Condemning, sweeping, deleting: each decided at the head of the log.

use std::collections::HashMap;

use crate::format::Time;
use crate::format::log::{Action, PACKS_MAX};
use crate::id::PackId;
use crate::ops::prune::plan::{Facts, Tally, grace_is_over};
use crate::ops::prune::{Error, Report, Session, proof, refuse_damaged_log};
use crate::repo::Repository;
use crate::repo::catalog::Catalog;
use crate::repo::state::{Fate, State};
use crate::repo::sweep;

/// Condemns what nothing needs.
pub fn condemn(session: &mut Session<'_>, now: &dyn Fn() -> Time, report: &mut Report) -> Result<(), Error> {
    let repo = session.repo;
    let mut condemned: Vec<Facts> = Vec::new();
    repo.append::<Error>(now(), &mut |state| {
        session.catch_up(state)?;
        condemned = session.plan(now())?.condemn;
        condemned.truncate(PACKS_MAX as usize);
        let packs: Vec<PackId> = condemned.iter().map(|pack| pack.id).collect();
        Ok((!packs.is_empty()).then_some(Action::Condemn { packs }))
    })?;
    report.condemned.add(Tally::of(&condemned));
    Ok(())
}

/// Sweeps what was condemned long enough.
pub fn sweep(session: &Session<'_>, now: &dyn Fn() -> Time, report: &mut Report) -> Result<(), Error> {
    sweep_those(session.repo, &|state| due(state, session.options.grace, now()), now, report)
}

/// Sweeps packs that are condemned, unless a second look finds that something would be missing. Which ones is asked
/// again at every head.
pub fn sweep_those(
    repo: &Repository,
    which: &dyn Fn(&State) -> Vec<PackId>,
    now: &dyn Fn() -> Time,
    report: &mut Report,
) -> Result<(), Error> {
    let mut swept = Vec::new();
    let mut listed = HashMap::new();
    repo.append::<Error>(now(), &mut |state| {
        refuse_damaged_log(state)?;
        swept = which(state);
        if swept.is_empty() {
            return Ok(None);
        }
        listed = Catalog::survey(repo)?.listed;
        proof::prove(repo, state, &listed)?;
        Ok(Some(Action::Sweep { packs: swept.clone() }))
    })?;
    for pack in &swept {
        report.swept.count(listed.get(pack).map_or(0, |info| info.bytes));
    }
    Ok(())
}

/// The condemned packs whose grace period is over.
fn due(state: &State, grace: std::time::Duration, now: Time) -> Vec<PackId> {
    let over = |fate: Fate| matches!(fate, Fate::Condemned { at, .. } if grace_is_over(at, now, grace));
    let mut due: Vec<PackId> = state.packs().filter(|(_, pack)| over(pack.fate)).map(|(id, _)| *id).collect();
    due.sort();
    due.truncate(PACKS_MAX as usize);
    due
}

/// Deletes the objects of swept packs.
pub fn delete_swept(repo: &Repository, report: &mut Report) -> Result<(), Error> {
    let state = repo.state();
    let listed = Catalog::list(repo)?;
    let swept = listed.iter().filter(|(id, _)| state.fate(id) == Some(Fate::Swept));
    let mut swept: Vec<(PackId, u64)> = swept.map(|(id, info)| (*id, info.bytes)).collect();
    if swept.is_empty() {
        return Ok(());
    }
    swept.sort();
    let ids: Vec<PackId> = swept.iter().map(|pack| pack.0).collect();
    sweep::delete_swept(repo, &ids)?;
    swept.iter().for_each(|pack| report.deleted.count(pack.1));
    Ok(())
}
