//! What a prune would report, without doing it: `--dry-run`.
//!
//! Promise: the report of a prune that would run now, in every figure, as long as nobody else writes meanwhile; nothing
//! of the repository is changed. What repacking would write is found out by repacking into nowhere. Left out on purpose:
//! storages that fail or run full, and the second look before a sweep (`ops/prune/proof`).

use crate::format::Time;
use crate::format::log::PACKS_MAX;
use crate::ops::prune::plan::{Facts, Tally};
use crate::ops::prune::{Error, Options, Report, Session, begin, repack};
use crate::progress::{Event, Observer};
use crate::repo::Repository;

/// Says what [`prune::run`](crate::ops::prune::run) would report.
pub fn run(repo: &Repository, options: &Options, now: Time, observer: &dyn Observer) -> Result<Report, Error> {
    let (mut session, mut report) = begin(repo, options, now, observer)?;
    let plan = report.plan.clone();
    report.deleted.add(Tally::of(&plan.delete));
    let condemned = first(&mut plan.condemn.clone());
    report.condemned.add(Tally::of(&condemned));
    let mut due = plan.sweep;
    if plan.at_once {
        due.extend(condemned);
    }
    sweep(&session, &mut due, &mut report);
    if !plan.repack.is_empty() {
        observer.event(Event::Phase { name: "weighing what would be repacked", total: None });
        let replaced = repack::weigh(&session, &plan.repack, observer, &mut report)?;
        if plan.at_once {
            due.extend(replaced);
            sweep(&session, &mut due, &mut report);
        }
    }
    report.notes.append(&mut session.copies.notes);
    Ok(report)
}

/// Takes out as many as one entry of the log names.
fn first(packs: &mut Vec<Facts>) -> Vec<Facts> {
    packs.sort_by_key(|pack| pack.id);
    let later = packs.split_off(packs.len().min(PACKS_MAX as usize));
    std::mem::replace(packs, later)
}

/// Counts one sweep, and the objects that it would delete.
fn sweep(session: &Session<'_>, due: &mut Vec<Facts>, report: &mut Report) {
    let swept = first(due);
    report.swept.add(Tally::of(&swept));
    let there = |pack: &&Facts| session.catalog.listed.contains_key(&pack.id);
    swept.iter().filter(there).for_each(|pack| report.deleted.count(pack.bytes));
}

#[cfg(test)]
#[path = "rehearse_tests.rs"]
mod tests;
