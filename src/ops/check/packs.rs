//! Looking into packs, several at a time: directories always, blocks where asked for.
//!
//! Promise: a thread holds one block at a time; each directory and each block is read once. Left out on purpose:
//! what a problem touches (`ops/check/touched`).

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::crypto::hash;
use crate::format::objects;
use crate::format::packs::{BlockEntry, BlockKind};
use crate::format::record::Record;
use crate::id::PackId;
use crate::index::PackNumber;
use crate::ops::check::findings::{Findings, Place};
use crate::ops::check::structure::Candidate;
use crate::ops::check::{Depth, Part, Report};
use crate::ops::walk::marks::Counting;
use crate::progress::{Event, Observer, Units};
use crate::repo::Repository;
use crate::repo::catalog::{Catalog, Front, other_length, read_header};
use crate::repo::error::Error;
use crate::repo::read::{PackReader, verified};
use crate::repo::seal::Unpacker;

/// Looks into packs. Returns the live ones of which the directory is as it should be.
pub fn look(
    repo: &Repository,
    packs: &[Candidate],
    depth: Depth,
    threads: usize,
    observer: &dyn Observer,
    findings: &mut Findings,
    report: &mut Report,
) -> Result<Counting, Error> {
    let looker = Looker::new(repo, packs, depth, observer);
    let bytes = packs.iter().zip(&looker.chosen).filter(|(_, chosen)| **chosen).map(|(pack, _)| pack.bytes).sum();
    observer.event(Event::Phase { name: "checking packs", total: Some(Units { files: packs.len() as u64, bytes }) });
    std::thread::scope(|scope| {
        for _ in 1..threads.min(packs.len()) {
            scope.spawn(|| looker.work());
        }
        looker.work();
    });
    let mut found = looker.found.into_inner().unwrap_or_else(PoisonError::into_inner);
    if let Some(error) = found.failure {
        return Err(error);
    }
    repo.remember_checked(&found.damaged, &found.whole);
    found.problems.sort_by(|a, b| a.0.cmp(&b.0));
    for (object, what, place) in found.problems {
        findings.add(object, what, place);
    }
    report.notes.append(&mut found.notes);
    report.packs = packs.len() as u64;
    report.blocks_read = looker.blocks_read.into_inner();
    report.bytes_read = looker.bytes_read.into_inner();
    // The index may have been emptied on the way, because its file proved damaged.
    let forgotten = found.sound.iter().any(|id| repo.index().pack_number(id).is_none());
    if forgotten {
        Catalog::survey(repo)?;
    }
    let index = repo.index();
    Ok(found.sound.iter().filter_map(|id| index.pack_number(id)).collect())
}

#[derive(Default)]
struct Found {
    problems: Vec<(String, String, Place)>,
    notes: Vec<String>,
    /// Live packs whose directory is as it should be.
    sound: Vec<PackId>,
    /// Packs of which every block opened, and the others that were read.
    whole: Vec<PackId>,
    damaged: Vec<PackId>,
    failure: Option<Error>,
}

struct Looker<'r> {
    repo: &'r Repository,
    packs: &'r [Candidate],
    chosen: Vec<bool>,
    observer: &'r dyn Observer,
    next: AtomicUsize,
    blocks_read: AtomicU64,
    bytes_read: AtomicU64,
    found: Mutex<Found>,
}

impl<'r> Looker<'r> {
    fn new(repo: &'r Repository, packs: &'r [Candidate], depth: Depth, observer: &'r dyn Observer) -> Self {
        Self {
            repo,
            packs,
            chosen: choose(packs, depth),
            observer,
            next: AtomicUsize::new(0),
            blocks_read: AtomicU64::new(0),
            bytes_read: AtomicU64::new(0),
            found: Mutex::default(),
        }
    }

    fn note(&self, take: impl FnOnce(&mut Found)) {
        take(&mut self.found.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn problem(&self, object: String, what: String, place: Place) {
        self.note(|found| found.problems.push((object, what, place)));
    }

    /// Takes one pack after the other.
    fn work(&self) {
        let mut unpacker = match Unpacker::new() {
            Ok(unpacker) => unpacker,
            Err(error) => return self.note(|found| found.failure = Some(error)),
        };
        loop {
            let at = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(pack) = self.packs.get(at) else { return };
            let looked = self.header(pack).and_then(|read| match read {
                Some((number, header)) if self.chosen[at] => self.blocks(pack, number, &header, &mut unpacker),
                _ => Ok(()),
            });
            if let Err(error) = looked {
                self.note(|found| found.failure = Some(error));
            }
            self.observer.event(Event::Advanced(Units { files: 1, bytes: 0 }));
        }
    }

    /// Looks at the front of a pack. Whatever is wrong with it is a problem, or a note if the pack is condemned; an error
    /// is one of the index.
    fn header(&self, pack: &Candidate) -> Result<Option<(PackNumber, Vec<u8>)>, Error> {
        let name = objects::pack_name(&pack.id);
        let read = match read_header(self.repo, &pack.id, pack.object_bytes) {
            Ok(front) if ![0, front.body_bytes].contains(&pack.bytes) => {
                Err((other_length(front.body_bytes, pack.bytes), true))
            }
            Ok(front) => Ok(front),
            // What cannot be read today may be sound: only damage is held against a pack.
            Err(error) => Err((error.to_string(), error.is_damage())),
        };
        let front = match read {
            Ok(front) => front,
            Err((what, damaged)) => {
                if !pack.live {
                    let note = format!("{name} is condemned and cannot be read: {what}; no snapshot needs it");
                    self.note(|found| found.notes.push(note));
                    return Ok(None);
                }
                if damaged {
                    self.note(|found| found.damaged.push(pack.id));
                }
                let number = self.repo.index().pack_number(&pack.id);
                self.problem(name, what, number.map_or(Place::Beside, Place::Pack));
                return Ok(None);
            }
        };
        let trailing = pack.object_bytes - front.body_bytes;
        if trailing > 0 {
            let note = format!("{name} goes on for {trailing} bytes after its end; they are not checked");
            self.note(|found| found.notes.push(note));
        }
        let header = front.header.clone();
        let number = self.hold_against_index(pack, front)?;
        if pack.live {
            self.note(|found| found.sound.push(pack.id));
        }
        Ok(Some((number, header)))
    }

    /// Sees to it that the index holds what the storage does.
    fn hold_against_index(&self, pack: &Candidate, front: Front) -> Result<PackNumber, Error> {
        let Front { header, directory, body_bytes } = front;
        let mut index = self.repo.index();
        let Some(number) = index.pack_number(&pack.id) else {
            return Ok(index.add_pack(pack.id, body_bytes, &header, Arc::new(directory))?);
        };
        let same_header = index.header(number).is_ok_and(|kept| kept.as_deref() == Some(header.as_slice()));
        let same = same_header && index.directory(number).is_ok_and(|kept| *kept == directory);
        if !same {
            index.replace_header(number, &header, Arc::new(directory))?;
            drop(index);
            let note = format!("the index held something else of {}; it was mended", objects::pack_name(&pack.id));
            self.note(|found| found.notes.push(note));
        }
        Ok(number)
    }

    /// Opens every block and computes every name.
    fn blocks(
        &self,
        pack: &Candidate,
        number: PackNumber,
        header: &[u8],
        unpacker: &mut Unpacker,
    ) -> Result<(), Error> {
        let reader = self.repo.pack_reader(number)?;
        let mut hasher = hash::Hasher::default();
        hasher.update(header);
        let mut sound = true;
        for (at, block) in (0..).zip(&reader.directory.blocks) {
            if let Err(error) = self.block(&reader, at, block, &mut hasher, unpacker) {
                sound = false;
                let object = format!("block {at} of {}", objects::pack_name(&pack.id));
                self.problem(object, error.to_string(), Place::Block(number, at));
            }
            let bytes = u64::from(block.sealed_bytes);
            self.blocks_read.fetch_add(1, Ordering::Relaxed);
            self.bytes_read.fetch_add(bytes, Ordering::Relaxed);
            self.observer.event(Event::Advanced(Units { files: 0, bytes }));
        }
        if sound && hasher.finish() != *pack.id.as_bytes() {
            sound = false;
            let what = "its bytes do not match its name".into();
            self.problem(objects::pack_name(&pack.id), what, Place::Pack(number));
        }
        self.note(|found| if sound { found.whole.push(pack.id) } else { found.damaged.push(pack.id) });
        Ok(())
    }

    fn block(
        &self,
        reader: &PackReader,
        at: u32,
        block: &BlockEntry,
        hasher: &mut hash::Hasher,
        unpacker: &mut Unpacker,
    ) -> Result<(), Error> {
        let sealed = self.repo.sealed_block(reader, at, unpacker)?;
        hasher.update(&sealed);
        let bytes = self.repo.open_sealed(reader, at, sealed, unpacker)?;
        if block.kind == BlockKind::Record {
            let name = self.repo.keys().snapshot_id(&bytes);
            let object = || format!("record of snapshot {}", name.short());
            return Record::decode(&bytes).map(drop).map_err(|reject| Error::reject(object(), reject));
        }
        for chunk in reader.directory.chunks_of(block) {
            verified(self.repo, reader.kind, &bytes, chunk.offset, chunk.bytes, &chunk.id)?;
        }
        unpacker.recycle(bytes);
        Ok(())
    }
}

/// Which packs' blocks are to be opened.
fn choose(packs: &[Candidate], depth: Depth) -> Vec<bool> {
    let mut chosen = vec![false; packs.len()];
    let Depth::Data(part) = depth else { return chosen };
    let live = (0..packs.len()).filter(|&at| packs[at].live);
    match part {
        Part::All => live.for_each(|at| chosen[at] = true),
        Part::Slice { n, of } => {
            let of = of.max(1);
            let slice = |at: &usize| word(packs[*at].id.as_bytes()) % of == (n.max(1) - 1) % of;
            live.filter(slice).for_each(|at| chosen[at] = true);
        }
        Part::Percent { percent, seed } => {
            let draw = |at: usize| word(&hash::plain_parts(&[&seed.to_le_bytes(), packs[at].id.as_bytes()]));
            let mut drawn: Vec<(u64, usize)> = live.map(|at| (draw(at), at)).collect();
            let count = (drawn.len() as f64 * percent.clamp(0.0, 100.0) / 100.0).ceil() as usize;
            drawn.sort_unstable();
            drawn.iter().take(count).for_each(|&(_, at)| chosen[at] = true);
        }
    }
    chosen
}

fn word(bytes: &[u8; 32]) -> u64 {
    u64::from_le_bytes(*bytes.first_chunk().unwrap_or(&[0; 8]))
}

#[cfg(test)]
#[path = "packs_tests.rs"]
mod tests;
