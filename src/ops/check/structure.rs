//! Everything but the blocks of data: config, key slots, log, which packs there are, listings.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::format::objects;
use crate::format::record::Record;
use crate::id::{ChunkId, PackId};
use crate::index::PackNumber;
use crate::ops::check::Report;
use crate::ops::check::findings::{Findings, Place};
use crate::ops::runs::{self, Runs};
use crate::ops::usage::directory;
use crate::ops::walk::marks::Counting;
use crate::ops::walk::{Fault, Totals, Walker};
use crate::repo::Repository;
use crate::repo::catalog::{Catalog, Listed};
use crate::repo::error::Error;
use crate::repo::state::{Fate, Snapshot, State};
use crate::repo::{open, slots};

/// Both copies of the config and of every key slot.
pub fn config_and_slots(repo: &Repository, findings: &mut Findings) -> Result<(), Error> {
    for (copy, oddity) in open::check_config(repo) {
        findings.add(copy, oddity, Place::Beside);
    }
    let found = slots::read_slots(repo.storage().as_ref(), repo.config().repository)?;
    if found.slots.is_empty() {
        findings.add(objects::SLOTS, "there is no usable key slot", Place::Beside);
    }
    let oddities: BTreeSet<String> = found.oddities.into_iter().collect();
    for oddity in oddities {
        findings.add(objects::SLOTS, oddity, Place::Beside);
    }
    Ok(())
}

/// Objects that are no log entries and are noted by name.
const STRANGERS_MAX: usize = 20;

/// Reads the log again, and returns what it says.
pub fn log(repo: &Repository, findings: &mut Findings, notes: &mut Vec<String>) -> Result<State, Error> {
    let state = repo.reread_log()?;
    for problem in &state.problems {
        findings.add(objects::log_name(problem.seq), problem.reason.clone(), Place::Beside);
    }
    let strangers = repo.strangers_in_log(&state)?;
    for name in strangers.iter().take(STRANGERS_MAX) {
        notes.push(format!("{name} is no log entry, as the newest is {}, and is ignored", state.head));
    }
    if strangers.len() > STRANGERS_MAX {
        notes.push(format!("{} more objects under log/ are no log entries", strangers.len() - STRANGERS_MAX));
    }
    Ok(state)
}

/// A pack to look into.
#[derive(Debug, Clone, Copy)]
pub struct Candidate {
    /// The pack.
    pub id: PackId,
    /// The length of its object.
    pub object_bytes: u64,
    /// The length of its body as the log says; 0 if no entry does.
    pub bytes: u64,
    /// Whether it counts; otherwise it is condemned.
    pub live: bool,
}

/// Holds the storage's list of packs against the log, and returns those to look into, by name.
pub fn packs(
    repo: &Repository,
    state: &State,
    findings: &mut Findings,
    notes: &mut Vec<String>,
) -> Result<Vec<Candidate>, Error> {
    let listed = Catalog::list(repo)?;
    let mut named: Vec<_> = state.packs().filter(|(_, pack)| pack.fate != Fate::Swept).collect();
    named.sort_by_key(|pack| pack.0);
    let (mut candidates, mut condemned_gone) = (Vec::new(), Vec::new());
    for (id, pack) in named {
        let live = pack.fate == Fate::Live;
        match listed.get(id) {
            // One that was condemned before any entry named it is of length 0 in the log.
            Some(info) if info.holds(pack.bytes) => {
                candidates.push(Candidate { id: *id, object_bytes: info.bytes, bytes: pack.bytes, live });
            }
            _ if !live => condemned_gone.push(*id),
            None => lost(repo, id, "missing".into(), findings),
            Some(info) => {
                lost(repo, id, format!("{} bytes long instead of {}", info.bytes, pack.bytes), findings);
            }
        }
    }
    note_condemned_gone(repo, condemned_gone, notes)?;
    forget_gone(repo, &listed)?;
    note_others(state, &listed, notes);
    Ok(candidates)
}

/// Notes a live pack that is not there, with what the index still knows of it.
fn lost(repo: &Repository, id: &PackId, what: String, findings: &mut Findings) {
    findings.add(objects::pack_name(id), what, Place::Beside);
    let mut index = repo.index();
    if let Some(number) = index.pack_number(id)
        && let Ok(directory) = index.directory(number)
    {
        findings.lost(&directory);
    }
}

/// Notes condemned packs that are not there. No damage: they do not count, and should a snapshot need one all the same,
/// the walk finds that.
fn note_condemned_gone(repo: &Repository, mut gone: Vec<PackId>, notes: &mut Vec<String>) -> Result<(), Error> {
    if gone.is_empty() {
        return Ok(());
    }
    // A prune may have swept them meanwhile: the entry comes before the deleting.
    let now = repo.refresh()?;
    gone.retain(|id| now.fate(id) != Some(Fate::Swept));
    if let Some(first) = gone.first() {
        notes.push(format!(
            "{} of the condemned packs are missing or too short, {} the first: no snapshot needs them, but what was \
             forgotten may not come back",
            gone.len(),
            objects::pack_name(first)
        ));
    }
    Ok(())
}

fn forget_gone(repo: &Repository, listed: &HashMap<PackId, Listed>) -> Result<(), Error> {
    let mut index = repo.index();
    let there = |id: &PackId, bytes| listed.get(id).is_some_and(|info| info.holds(bytes));
    let gone: Vec<PackId> = index.packs().filter(|row| !there(&row.id, row.bytes)).map(|row| row.id).collect();
    Ok(index.remove_packs(&gone)?)
}

fn note_others(state: &State, listed: &HashMap<PackId, Listed>, notes: &mut Vec<String>) {
    let count = |fate| listed.keys().filter(|id| state.fate(id) == fate).count();
    let (unnamed, swept) = (count(None), count(Some(Fate::Swept)));
    if unnamed > 0 {
        let packs = if unnamed == 1 { "1 pack belongs".to_owned() } else { format!("{unnamed} packs belong") };
        notes.push(format!("{packs} to no snapshot yet: a run is under way, or one was interrupted"));
    }
    if swept > 0 {
        let packs = if swept == 1 { "1 pack was".to_owned() } else { format!("{swept} packs were") };
        notes.push(format!("{packs} pruned and not deleted yet; the next prune does that"));
    }
}

/// Notes snapshots that look lost: their records are stored, and no entry names them. What cannot be looked into for
/// that is no damage, as nothing that counts is in it.
pub fn lost_snapshots(repo: &Repository, state: &State, notes: &mut Vec<String>) {
    match find_lost(repo, state) {
        Ok(found) => notes.extend(found),
        Err(error) => notes.push(format!("packs that no entry names cannot be looked into: {error}")),
    }
}

fn find_lost(repo: &Repository, state: &State) -> Result<Option<String>, Error> {
    if Catalog::list(repo)?.keys().all(|id| state.fate(id).is_some()) {
        return Ok(None);
    }
    // The index is to know these packs, too.
    let listed = Catalog::survey(repo)?.listed;
    Ok(runs::tell_lost(Runs::survey(repo, state, &listed)?.lost()))
}

/// Visits every live snapshot.
pub fn snapshots(
    repo: &Repository,
    state: &State,
    counting: &Counting,
    findings: &mut Findings,
    report: &mut Report,
) -> Result<(), Error> {
    let mut walked = walk(repo, state, counting);
    let missing = walked.missing(findings);
    if !missing.is_empty() && index_forgot(repo, counting, &missing)? {
        report.notes.push("the index did not know all that is stored; it was made anew".into());
        repo.index().clear()?;
        Catalog::survey(repo)?;
        walked = walk(repo, state, counting);
    }
    report.snapshots = state.live().count() as u64;
    report.pages = walked.pages;
    report.chunks = walked.chunks;
    for (snapshot, what) in walked.broken {
        findings.add(format!("snapshot {}", snapshot.id.short()), what, Place::Snapshot(snapshot.id));
    }
    for (snapshot, what) in walked.contradicted {
        findings.add(objects::log_name(snapshot.seq), what, Place::Snapshot(snapshot.id));
    }
    for fault in walked.faults {
        match fault {
            Fault::Page { page, error } if findings.of_chunk(&page).is_none() => {
                findings.add(format!("page {page}"), error.to_string(), Place::Chunk(page));
            }
            Fault::Chunk { kind, chunk } if findings.of_chunk(&chunk.id).is_none() => {
                let object = format!("{kind} chunk {}", chunk.id);
                findings.add(object, "in no pack that counts", Place::Chunk(chunk.id));
            }
            // What is the matter with it is known already.
            Fault::Page { .. } | Fault::Chunk { .. } => {}
        }
    }
    Ok(())
}

/// What a walk over all live snapshots found.
struct Walked<'s> {
    broken: Vec<(&'s Snapshot, String)>,
    contradicted: Vec<(&'s Snapshot, String)>,
    faults: Vec<Fault>,
    pages: u64,
    chunks: u64,
}

impl Walked<'_> {
    /// Chunks that were not found, and whose absence nothing explains.
    fn missing(&self, findings: &Findings) -> HashSet<ChunkId> {
        let missing = self.faults.iter().filter_map(|fault| match fault {
            Fault::Chunk { chunk, .. } if findings.of_chunk(&chunk.id).is_none() => Some(chunk.id),
            _ => None,
        });
        missing.collect()
    }
}

fn walk<'s>(repo: &Repository, state: &'s State, counting: &Counting) -> Walked<'s> {
    let mut walker = Walker::new(repo, counting.clone(), None);
    let (mut broken, mut contradicted) = (Vec::new(), Vec::new());
    for snapshot in state.live() {
        match repo.record(snapshot) {
            Ok(record) => {
                contradicted.extend(repo.contradiction(snapshot, &record).map(|what| (snapshot, what)));
                let totals = walker.visit(&record.root);
                let wrong = totals.is_some_and(|totals| !adds_up(&record, &totals));
                broken.extend(wrong.then(|| (snapshot, "its listing holds other totals than its record says".into())));
            }
            Err(error) => broken.push((snapshot, error.to_string())),
        }
    }
    Walked { broken, contradicted, faults: walker.take_faults(), pages: walker.pages, chunks: walker.chunks }
}

fn adds_up(record: &Record, totals: &Totals) -> bool {
    let counts = &record.counts;
    (counts.files, counts.directories, counts.others, counts.bytes)
        == (totals.files, totals.directories, totals.others, totals.bytes)
}

/// Whether chunks that the index did not find are in a pack all the same: its directories are known to be right.
fn index_forgot(repo: &Repository, counting: &Counting, missing: &HashSet<ChunkId>) -> Result<bool, Error> {
    let packs: Vec<PackNumber> = repo.index().packs().map(|row| row.number).collect();
    for pack in packs.into_iter().filter(|pack| counting.has(*pack)) {
        if directory(repo, pack)?.chunks.iter().any(|chunk| missing.contains(&chunk.id)) {
            return Ok(true);
        }
    }
    Ok(false)
}
