//! Committing a snapshot: the gate, then the log entry. See "Writing" in `format-spec/ordering.md`.
//!
//! Promise: no entry is appended that relies on a pack which is not listed, too short, or swept.

use std::collections::HashMap;
use std::sync::Arc;

use crate::format::Time;
use crate::format::log::{Action, PackUse, SnapshotAction, TagAction, TagChange};
use crate::id::{PackId, SeriesId, SnapshotId};
use crate::repo::Repository;
use crate::repo::catalog::Catalog;
use crate::repo::error::Error;
use crate::repo::state::{Fate, State};
use crate::repo::write::Written;

/// A snapshot about to be committed.
#[derive(Debug)]
pub struct Draft {
    /// Its name.
    pub snapshot: SnapshotId,
    /// Its series.
    pub series: SeriesId,
    /// When it was begun.
    pub started: Time,
    /// Whether everything could be read.
    pub complete: bool,
    /// The snapshot whose content it reuses without having looked at its chunks. It must be live at the commit.
    pub parent: Option<SnapshotId>,
}

/// Commits a snapshot: checks that every pack it relies on is there, and appends the log entry. `tags` is asked for
/// its tags again whenever another writer was faster.
pub fn commit(
    repo: &Repository,
    written: &Written,
    draft: &Draft,
    now: Time,
    tags: &dyn Fn(&State) -> Vec<String>,
) -> Result<Arc<State>, Error> {
    gate(repo, written, draft)?;
    repo.append(now, &mut |state| {
        if let Some(parent) = draft.parent
            && !state.snapshot(&parent).is_some_and(|parent| parent.is_live())
        {
            return Err(Error::NoSnapshot(parent));
        }
        let (mut packs, known): (Vec<PackUse>, Vec<PackUse>) =
            written.packs.iter().partition(|pack| state.fate(&pack.id).is_none());
        // A run that took longer than a prune spares its packs may find them condemned.
        let known = known.iter().map(|pack| &pack.id);
        let (unnamed, mut rescue) = relied_on(repo, state, written.used.iter().chain(known))?;
        packs.extend(unnamed);
        // Somebody has salvaged it from the record that this run had stored already. Its name must not come twice.
        if state.snapshot(&draft.snapshot).is_some() {
            let change = TagChange { snapshot: draft.snapshot, add: tags(state), remove: Vec::new() };
            rescue.retain(|id| state.pack(id).is_some_and(|pack| pack.bytes > 0));
            return Ok(Some(Action::Tag(TagAction { changes: vec![change], rescue })));
        }
        Ok::<_, Error>(Some(Action::Snapshot(SnapshotAction {
            snapshot: draft.snapshot,
            series: draft.series,
            started: draft.started,
            complete: draft.complete,
            tags: tags(state),
            packs,
            rescue,
            record: written.record.clone(),
        })))
    })
}

/// Of the packs that an entry relies on, those that no entry names yet, and those that it must rescue.
pub fn relied_on<'a>(
    repo: &Repository,
    state: &State,
    packs: impl Iterator<Item = &'a PackId>,
) -> Result<(Vec<PackUse>, Vec<PackId>), Error> {
    let index = repo.index();
    let (mut unnamed, mut rescue) = (Vec::new(), Vec::new());
    for &id in packs {
        match state.fate(&id) {
            Some(Fate::Live) => {}
            Some(Fate::Condemned { .. }) if state.pack(&id).is_some_and(|pack| pack.bytes > 0) => rescue.push(id),
            Some(Fate::Swept) => return Err(Error::PackSwept { pack: id }),
            // Named for the first time, or condemned before any entry said how long it is.
            fate => {
                rescue.extend(fate.map(|_| id));
                let row = index.pack_number(&id).and_then(|number| index.pack(number));
                let row = row.ok_or(Error::PackLost { pack: id, problem: "missing".into() })?;
                unnamed.push(PackUse { id, bytes: row.bytes, kind: row.kind });
            }
        }
    }
    unnamed.sort_by_key(|pack| pack.id);
    rescue.sort();
    Ok((unnamed, rescue))
}

/// The gate before a commit: every pack that the snapshot relies on is listed, and not shorter than its body. With a
/// parent that means every live pack.
fn gate(repo: &Repository, written: &Written, draft: &Draft) -> Result<(), Error> {
    let listed = Catalog::list(repo)?;
    let state = repo.state();
    let mut needed: HashMap<PackId, u64> = written.packs.iter().map(|pack| (pack.id, pack.bytes)).collect();
    let index = repo.index();
    let rows = written.used.iter().filter_map(|id| index.pack(index.pack_number(id)?));
    needed.extend(rows.map(|row| (row.id, row.bytes)));
    if draft.parent.is_some() {
        let live = state.packs().filter(|(_, pack)| pack.fate == Fate::Live);
        needed.extend(live.map(|(id, pack)| (*id, pack.bytes)));
    }
    drop(index);
    let amiss = |&(pack, bytes): &(&PackId, &u64)| listed.get(pack).is_none_or(|info| !info.holds(*bytes));
    let Some((pack, bytes)) = needed.iter().find(amiss) else { return Ok(()) };
    // What was swept since this run looked at the log is no damage: who can, reads again.
    let state = repo.refresh()?;
    if let Some((pack, _)) = needed.iter().filter(amiss).find(|(pack, _)| state.fate(pack) == Some(Fate::Swept)) {
        return Err(Error::PackSwept { pack: *pack });
    }
    let problem = match listed.get(pack) {
        Some(info) => format!("{} bytes long instead of {bytes}", info.bytes),
        None => "missing".into(),
    };
    Err(Error::PackLost { pack: *pack, problem })
}
