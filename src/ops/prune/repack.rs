//! Repacking: what is used of some packs is written again, and they are condemned in the entry that names the new.
//!
//! Promise: each block is opened once and every id is verified; a pack of which anything cannot be read stays as it
//! is. Nothing is condemned at the head that the new packs do not replace. Left out on purpose: choosing the packs.

use std::collections::HashSet;

use crate::format::log::{Action, PackUse};
use crate::format::packs::{BlockKind, Codec};
use crate::format::{Kind, Time};
use crate::id::{ChunkId, PackId};
use crate::index::PackNumber;
use crate::ops::prune::plan::{Facts, Tally};
use crate::ops::prune::{Error, Report, Session, apply};
use crate::ops::usage::directory;
use crate::ops::walk::marks::Counting;
use crate::progress::{Event, Observer, Units};
use crate::repo::catalog::{Catalog, ask};
use crate::repo::error::Error as RepoError;
use crate::repo::read::verified;
use crate::repo::seal::{Squeeze, Unpacker};
use crate::repo::state::{Fate, State};
use crate::repo::write::{Mode, Writer, Written};
use crate::storage::ErrorKind;

/// A pack that was copied: its number, and the record blocks taken along.
struct Copied {
    facts: Facts,
    number: PackNumber,
    records: HashSet<u32>,
}

/// Repacks what the plan says, at its newest. Running out of space is no error: it is reported.
pub fn run(
    session: &mut Session<'_>,
    now: &dyn Fn() -> Time,
    observer: &dyn Observer,
    report: &mut Report,
) -> Result<(), Error> {
    session.catch_up(&session.repo.state())?;
    let chosen = session.plan(now())?.repack;
    let before: HashSet<PackId> = session.repo.index().packs().map(|row| row.id).collect();
    match copy(session, &chosen, Mode::StoreInOrder, observer, report) {
        Ok((copied, written)) => publish(session, &copied, &written, now, report),
        Err(RepoError::Storage(error)) if error.kind == ErrorKind::NoSpace => {
            report.repack_failed = Some(error.to_string());
            withdraw(session, &before, now, report);
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}

/// Does all of it but storing, counts it in the report, and returns what would be condemned.
pub fn weigh(
    session: &Session<'_>,
    chosen: &[Facts],
    observer: &dyn Observer,
    report: &mut Report,
) -> Result<Vec<Facts>, RepoError> {
    let (copied, written) = copy(session, chosen, Mode::Weigh, observer, report)?;
    // Nobody else writes, so that each of them is replaced.
    let replaced: Vec<Facts> = copied.iter().map(|copied| copied.facts).collect();
    count(&replaced, &written, report);
    Ok(replaced)
}

fn copy(
    session: &Session<'_>,
    chosen: &[Facts],
    mode: Mode,
    observer: &dyn Observer,
    report: &mut Report,
) -> Result<(Vec<Copied>, Written), RepoError> {
    let repo = session.repo;
    let mut old: Vec<(PackNumber, Facts)> = {
        let index = repo.index();
        chosen.iter().filter_map(|facts| Some((index.pack_number(&facts.id)?, *facts))).collect()
    };
    // What was stored together stays together, and whoever repacks the same makes the same of it.
    let stored_at = |id: &PackId| session.catalog.listed.get(id).map(|info| info.stored_at);
    old.sort_by_key(|(_, facts)| (stored_at(&facts.id), facts.id));
    // A writer takes what lies in listed packs as stored, unseen. Here the old copy goes for good, so it relies on none.
    let mut writer = Writer::new(repo, &Catalog::default(), session.options.threads, mode)?;
    let mut doubles = HashSet::new();
    let mut copied = Vec::new();
    for (number, facts) in old {
        match copy_pack(session, number, &mut doubles, &mut writer) {
            Ok(records) => copied.push(Copied { facts, number, records }),
            Err(error) if error.is_damage() => report.notes.push(format!("not repacked: {error}")),
            Err(error) => return Err(error),
        }
        observer.event(Event::Advanced(Units { files: 1, bytes: facts.bytes }));
    }
    Ok((copied, writer.drain()?.finish(None)?))
}

/// Copies what is used of one pack, and returns the record blocks that were. A chunk of which several copies count is
/// copied once.
fn copy_pack(
    session: &Session<'_>,
    number: PackNumber,
    doubles: &mut HashSet<ChunkId>,
    writer: &mut Writer,
) -> Result<HashSet<u32>, RepoError> {
    let (repo, usage) = (session.repo, &session.usage);
    let reader = repo.pack_reader(number)?;
    let mut unpacker = Unpacker::new()?;
    let mut records = HashSet::new();
    for (at, block) in (0..).zip(&reader.directory.blocks) {
        let chunks = (block.first_chunk..).zip(reader.directory.chunks_of(block));
        let used: Vec<_> = chunks.filter(|(entry, _)| usage.uses(number, *entry)).map(|(_, chunk)| chunk).collect();
        let record = block.kind == BlockKind::Record && usage.records(number).contains(&at);
        if used.is_empty() && !record {
            continue;
        }
        let bytes = repo.open_block(&reader, at, &mut unpacker)?;
        if record {
            writer.record(bytes)?;
            records.insert(at);
            continue;
        }
        let squeeze = if block.codec == Codec::Raw { Squeeze::No } else { Squeeze::Yes };
        for chunk in used {
            let chunk_bytes = verified(repo, reader.kind, &bytes, chunk.offset, chunk.bytes, &chunk.id)?;
            if usage.may_be_double(&chunk.id) && !doubles.insert(chunk.id) {
                continue;
            }
            match reader.kind {
                Kind::Data => drop(writer.data(chunk.id, chunk_bytes, squeeze)?),
                Kind::Tree => drop(writer.page(chunk_bytes)?),
            }
        }
        unpacker.recycle(bytes);
    }
    Ok(records)
}

/// Names the new packs and condemns the old ones, as far as the new ones still replace them at the head.
fn publish(
    session: &mut Session<'_>,
    copied: &[Copied],
    written: &Written,
    now: &dyn Fn() -> Time,
    report: &mut Report,
) -> Result<(), Error> {
    let repo = session.repo;
    let mut condemned: Vec<Facts> = Vec::new();
    let old: Vec<Facts> = copied.iter().map(|copied| copied.facts).collect();
    repo.append::<Error>(now(), &mut |state| {
        session.catch_up(state)?;
        // What changed may have other copies count, which nobody has looked at.
        while session.prove_copies(&old)? {}
        condemned = replaced(session, state, copied, written)?;
        let condemned: Vec<PackId> = condemned.iter().map(|pack| pack.id).collect();
        let packs = not_named(state, written);
        Ok((!condemned.is_empty()).then_some(Action::Repack { packs, condemned }))
    })?;
    count(&condemned, written, report);
    Ok(())
}

fn count(condemned: &[Facts], written: &Written, report: &mut Report) {
    report.repacked.add(Tally::of(condemned));
    report.condemned.add(Tally::of(condemned));
    written.packs.iter().for_each(|pack| report.new_packs.count(pack.bytes));
}

/// The packs of this run that no entry names yet.
fn not_named(state: &State, written: &Written) -> Vec<PackUse> {
    let mut packs: Vec<PackUse> = written.packs.iter().copied().filter(|pack| state.fate(&pack.id).is_none()).collect();
    packs.sort_by_key(|pack| pack.id);
    packs
}

/// Of the old packs, those that count still and of which everything that is used was written again.
fn replaced(
    session: &Session<'_>,
    state: &State,
    copied: &[Copied],
    written: &Written,
) -> Result<Vec<Facts>, RepoError> {
    let (repo, usage) = (session.repo, &session.usage);
    let stays: Counting = {
        let index = repo.index();
        let own = written.packs.iter().filter(|pack| matches!(state.fate(&pack.id), None | Some(Fate::Live)));
        own.filter_map(|pack| index.pack_number(&pack.id)).collect()
    };
    let mut replaced = Vec::new();
    for pack in copied.iter().filter(|pack| state.fate(&pack.facts.id) == Some(Fate::Live)) {
        let directory = directory(repo, pack.number)?;
        let used = (0..).zip(&directory.chunks).filter(|(entry, _)| usage.uses(pack.number, *entry));
        let chunks: Vec<_> = used.map(|(_, chunk)| chunk).collect();
        let all = ask(repo, &mut |index| {
            for chunk in &chunks {
                let found = index.locate(pack.facts.kind, &chunk.id, &|number| stays.has(number))?;
                if found.is_none_or(|found| found.bytes != chunk.bytes) {
                    return Ok(false);
                }
            }
            Ok(true)
        })?;
        if all && usage.records(pack.number).iter().all(|block| pack.records.contains(block)) {
            replaced.push(pack.facts);
        }
    }
    replaced.sort_by_key(|pack| pack.id);
    Ok(replaced)
}

/// Gets rid of the packs of a repacking that ran out of space, as well as that goes: a later prune finds the rest.
fn withdraw(session: &Session<'_>, before: &HashSet<PackId>, now: &dyn Fn() -> Time, report: &mut Report) {
    let repo = session.repo;
    let rows: Vec<PackId> = repo.index().packs().map(|row| row.id).collect();
    let own: Vec<PackId> = rows.into_iter().filter(|id| !before.contains(id)).collect();
    let fated = |state: &State, condemned: bool| -> Vec<PackId> {
        let fits = |fate| if condemned { matches!(fate, Some(Fate::Condemned { .. })) } else { fate.is_none() };
        own.iter().copied().filter(|id| fits(state.fate(id))).collect()
    };
    let attempt = |report: &mut Report| -> Result<(), Error> {
        repo.append::<Error>(now(), &mut |state| {
            let packs = fated(state, false);
            Ok((!packs.is_empty()).then_some(Action::Condemn { packs }))
        })?;
        apply::sweep_those(repo, &|state| fated(state, true), now, report)?;
        apply::delete_swept(repo, report)
    };
    if let Err(error) = attempt(report) {
        report.notes.push(format!("what repacking had written stays until a later prune: {error}"));
    }
}
