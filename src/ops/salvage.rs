//! Making the index anew, and putting back snapshots that the log has lost.
//!
//! Promise: only adds: a snapshot is put back only when all that it needs is there, with the tag [`TAG`], and nothing
//! else changes. Left out on purpose: what the log knows, forgotten or not.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::format::log::{Action, SnapshotAction};
use crate::format::packs::BlockKind;
use crate::format::record::Record;
use crate::format::{Kind, Time, objects};
use crate::id::{PackId, SnapshotId};
use crate::index::PackNumber;
use crate::ops::usage::directory;
use crate::ops::walk::marks::Counting;
use crate::ops::walk::{Fault, Walker};
use crate::progress::{Event, Observer};
use crate::repo::Repository;
use crate::repo::catalog::{Catalog, Listed};
use crate::repo::commit::relied_on;
use crate::repo::error::Error as RepoError;
use crate::repo::seal::Unpacker;
use crate::repo::seal::seal_for_log;
use crate::repo::state::{Fate, State};

/// The tag of what was put back.
pub const TAG: &str = "salvaged";

/// What the index holds now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rebuilt {
    /// Packs.
    pub packs: u64,
    /// Chunks in them, copies counted.
    pub chunks: u64,
    /// Live packs that are not as they should be, and what is wrong with them.
    pub faults: Vec<(PackId, String)>,
}

/// What was salvaged.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// The index.
    pub rebuilt: Rebuilt,
    /// Records found in packs.
    pub records: u64,
    /// Of these, snapshots that the log knows.
    pub known: u64,
    /// Snapshots that were put back, oldest first.
    pub put_back: Vec<(SnapshotId, Record)>,
    /// Snapshots that were not, and why.
    pub not_put_back: Vec<(SnapshotId, Record, String)>,
    /// Records that cannot be read.
    pub unreadable: Vec<String>,
}

/// Makes the index anew from the packs and the log.
pub fn rebuild_index(repo: &Repository, observer: &dyn Observer) -> Result<Rebuilt, RepoError> {
    observer.event(Event::Phase { name: "reading the directories of all packs", total: None });
    repo.refresh()?;
    repo.index().clear()?;
    repo.reread_log()?;
    let catalog = Catalog::survey(repo)?;
    let mut index = repo.index();
    index.flush()?;
    let stats = index.stats();
    Ok(Rebuilt { packs: stats.packs, chunks: stats.rows, faults: catalog.faults })
}

/// Makes the index anew, and puts back every snapshot whose record lies in a pack and that the log does not know.
pub fn run(repo: &Repository, now: Time, observer: &dyn Observer) -> Result<Report, RepoError> {
    let mut report = Report { rebuilt: rebuild_index(repo, observer)?, ..Report::default() };
    observer.event(Event::Phase { name: "looking for lost snapshots", total: None });
    let state = repo.state();
    let there = there(repo, &state, &Catalog::list(repo)?);
    let mut lost: BTreeMap<(Time, SnapshotId), (Record, Vec<u8>)> = BTreeMap::new();
    let mut seen = HashSet::new();
    for (id, record, bytes) in records(repo, &there, &mut report.unreadable)? {
        if !seen.insert(id) {
            continue;
        }
        report.records += 1;
        if state.snapshot(&id).is_some() {
            report.known += 1;
        } else {
            lost.insert((record.started, id), (record, bytes));
        }
    }
    for ((_, id), (record, bytes)) in lost {
        match put_back(repo, &there, id, &record, &bytes, now) {
            Ok(()) => report.put_back.push((id, record)),
            Err(error) if error.is_damage() || matches!(error, RepoError::PackSwept { .. }) => {
                report.not_put_back.push((id, record, error.to_string()));
            }
            Err(error) => return Err(error),
        }
    }
    repo.index().flush_last()?;
    Ok(report)
}

/// The packs that are there and not swept. Condemned ones can be rescued, and those that no entry names, named.
fn there(repo: &Repository, state: &State, listed: &HashMap<PackId, Listed>) -> Counting {
    let index = repo.index();
    let rows = index.packs().filter(|row| {
        let listed = listed.get(&row.id).is_some_and(|info| info.holds(row.bytes));
        listed && state.fate(&row.id) != Some(Fate::Swept)
    });
    rows.map(|row| row.number).collect()
}

/// All records that lie in packs and can be read.
fn records(
    repo: &Repository,
    there: &Counting,
    unreadable: &mut Vec<String>,
) -> Result<Vec<(SnapshotId, Record, Vec<u8>)>, RepoError> {
    let rows: Vec<PackNumber> = {
        let index = repo.index();
        index.packs().filter(|row| row.kind == Kind::Tree && there.has(row.number)).map(|row| row.number).collect()
    };
    let mut unpacker = Unpacker::new()?;
    let mut records = Vec::new();
    for pack in rows {
        let directory = directory(repo, pack)?;
        let blocks = (0..).zip(&directory.blocks).filter(|(_, block)| block.kind == BlockKind::Record);
        let mut reader = None;
        for (at, _) in blocks {
            let reader = match &reader {
                Some(reader) => reader,
                None => reader.insert(repo.pack_reader(pack)?),
            };
            let opened = repo.open_block(reader, at, &mut unpacker).and_then(|bytes| {
                let object = || format!("record in block {at} of {}", objects::pack_name(&reader.id));
                let record = Record::decode(&bytes).map_err(|reject| RepoError::reject(object(), reject))?;
                Ok((repo.keys().snapshot_id(&bytes), record, bytes))
            });
            match opened {
                Ok(record) => records.push(record),
                Err(error) if error.is_damage() => unreadable.push(error.to_string()),
                Err(error) => return Err(error),
            }
        }
    }
    Ok(records)
}

/// Appends a snapshot to the log again, if all that it needs is there.
fn put_back(
    repo: &Repository,
    there: &Counting,
    id: SnapshotId,
    record: &Record,
    bytes: &[u8],
    now: Time,
) -> Result<(), RepoError> {
    let mut walker = Walker::new(repo, there.clone(), None);
    walker.visit(&record.root);
    if let Some(fault) = walker.take_faults().into_iter().next() {
        return Err(Fault::into_error(fault));
    }
    let used: Vec<PackId> = {
        let index = repo.index();
        index.packs().filter(|row| walker.marks.reaches(row.number)).map(|row| row.id).collect()
    };
    let sealed = seal_for_log(repo, bytes)?;
    repo.append::<RepoError>(now, &mut |state| {
        if state.snapshot(&id).is_some() {
            return Ok(None);
        }
        let (packs, rescue) = relied_on(repo, state, used.iter())?;
        Ok(Some(Action::Snapshot(SnapshotAction {
            snapshot: id,
            series: repo.keys().series_id(&record.source, &record.host),
            started: record.started,
            complete: record.complete,
            tags: vec![TAG.to_owned()],
            packs,
            rescue,
            record: sealed.clone(),
        })))
    })?;
    Ok(())
}

#[cfg(test)]
#[path = "salvage_tests.rs"]
mod tests;
