use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use super::*;
use crate::ops::sample::{self, Sample, day, name_of, noise};
use crate::progress::Silent;
use crate::storage::memory::Memory;
use crate::storage::{self, Storage};

fn options(grace_days: u64) -> Options {
    let grace = Duration::from_secs(grace_days * 86_400);
    Options { grace, max_unused_percent: Options::MAX_UNUSED_PERCENT, threads: 1 }
}

fn prune(sample: &Sample, number: i64, grace_days: u64) -> Report {
    run(&sample.repo, &options(grace_days), &|| day(number), &Silent).unwrap()
}

fn files(seeds: &[u64]) -> Vec<(&'static str, Vec<u8>)> {
    let names = ["a", "b", "c", "d", "e", "f", "g", "h"];
    names.into_iter().zip(seeds).map(|(name, &seed)| (name, noise(seed, 100_000))).collect()
}

fn named(files: &[(&str, Vec<u8>)]) -> Vec<(String, Vec<u8>)> {
    files.iter().map(|(name, bytes)| ((*name).to_owned(), bytes.clone())).collect()
}

#[test]
fn nothing_is_done_where_everything_is_used() {
    let sample = Sample::new();
    sample.back_up(1, &files(&[1, 2]));
    let head = sample.repo.state().head;
    let report = prune(&sample, 40, 0);
    assert_eq!((report.deleted, report.condemned), (Tally::default(), Tally::default()));
    assert_eq!(sample.repo.state().head, head);
}

#[test]
fn a_forgotten_snapshot_goes_at_once_without_a_grace_period() {
    let mut sample = Sample::new();
    let gone = sample.back_up(1, &files(&[1, 2]));
    let kept = sample.back_up(2, &files(&[3, 4]));
    let before = sample.bytes();
    sample.forget(3, gone);
    let planned = plan(&sample.repo, &options(0), day(3)).unwrap();
    let report = prune(&sample, 3, 0);
    assert_eq!(planned, report.plan);
    assert_eq!(sample.bytes(), before - report.deleted.bytes);
    assert!(report.deleted.bytes > 200_000);
    sample.reopen();
    assert_eq!(sample.contents(kept).unwrap(), named(&files(&[3, 4])));
    assert!(sample.contents(gone).is_err());
}

#[test]
fn a_grace_period_is_waited_for() {
    let sample = Sample::new();
    let gone = sample.back_up(1, &files(&[1, 2]));
    sample.back_up(1, &files(&[3, 4]));
    sample.forget(2, gone);
    let packs = sample.packs();
    let first = prune(&sample, 2, 7);
    assert_eq!((first.condemned.packs, first.deleted.packs), (2, 0));
    let second = prune(&sample, 8, 7);
    assert_eq!((second.condemned.packs, second.deleted.packs, second.plan.waiting.len()), (0, 0, 2));
    assert_eq!(sample.packs(), packs);
    assert_eq!(sample.contents(gone).unwrap(), named(&files(&[1, 2])));
    let third = prune(&sample, 10, 7);
    assert_eq!(third.deleted, first.condemned);
    assert_eq!(sample.packs().len(), 2);
}

#[test]
fn packs_used_in_part_are_repacked_with_the_records_in_them() {
    let mut sample = Sample::new();
    let first = sample.back_up(1, &files(&[1, 2, 3, 4]));
    let second = sample.back_up(2, &files(&[1]));
    sample.forget(3, first);
    let report = prune(&sample, 3, 0);
    assert_eq!(report.repack_failed, None);
    assert!(report.repacked.packs >= 1 && report.new_packs.packs >= 1, "{report:?}");
    assert!(sample.bytes() < 130_000, "{} bytes are left", sample.bytes());
    sample.reopen();
    assert_eq!(sample.contents(second).unwrap(), named(&files(&[1])));
    let records = records(&sample.repo);
    assert_eq!(records, vec![second]);
    // What was repacked leaves nothing to do.
    assert_eq!(prune(&sample, 4, 0).deleted, Tally::default());
}

fn records(repo: &Repository) -> Vec<SnapshotId> {
    Catalog::survey(repo).unwrap();
    let numbers: Vec<_> = repo.index().packs().map(|row| row.number).collect();
    numbers.iter().flat_map(|&number| repo.records_in(number).unwrap()).map(|record| record.0).collect()
}

#[test]
fn many_small_packs_become_few() {
    let sample = Sample::new();
    let snapshots: Vec<_> = (1..12).map(|n| sample.back_up(n, &files(&[n as u64]))).collect();
    let report = prune(&sample, 20, 0);
    assert_eq!(report.new_packs.packs, 2);
    assert_eq!(sample.packs().len(), 2);
    for (n, snapshot) in (1..).zip(&snapshots) {
        assert_eq!(sample.contents(*snapshot).unwrap(), named(&files(&[n])));
    }
    assert_eq!(records(&sample.repo).len(), snapshots.len());
}

#[test]
fn packs_that_no_entry_names_are_spared_for_a_day() {
    let sample = Sample::new();
    let kept = sample.back_up(1, &files(&[1]));
    sample::begin(&sample.repo, &sample.memory, 2, 2);
    let young = prune(&sample, 2, 0);
    assert_eq!((young.plan.spared.len(), young.deleted.packs), (2, 0));
    let old = prune(&sample, 3, 0);
    assert_eq!((old.plan.spared.len(), old.deleted.packs), (0, 2));
    assert_eq!(sample.contents(kept).unwrap(), named(&files(&[1])));
}

#[test]
fn a_snapshot_that_appears_while_pruning_saves_what_it_needs() {
    let sample = Sample::new();
    let gone = sample.back_up(1, &files(&[1, 2]));
    sample.back_up(1, &files(&[3]));
    sample.forget(2, gone);
    let other = sample::open_memory(&sample.memory);
    let mut session = Session::begin(&sample.repo, &options(0)).unwrap();
    assert_eq!(session.plan(day(2)).unwrap().condemn.len(), 2);
    // Another client deduplicates against the packs that are about to be condemned.
    let late = sample::back_up(&other, &sample.memory, 2, &files(&[1, 2]));
    let mut report = Report::default();
    apply::condemn(&mut session, &|| day(2), &mut report).unwrap();
    assert_eq!(report.condemned.packs, 0, "the page is the same, too");
    apply::sweep(&session, &|| day(2), &mut report).unwrap();
    apply::delete_swept(&sample.repo, &mut report).unwrap();
    assert_eq!(sample.contents(late).unwrap(), named(&files(&[1, 2])));
}

#[test]
fn a_snapshot_that_appears_while_repacking_keeps_the_old_pack() {
    let sample = Sample::new();
    let first = sample.back_up(1, &files(&[1, 2, 3, 4]));
    sample.back_up(2, &files(&[1]));
    sample.forget(3, first);
    let other = sample::open_memory(&sample.memory);
    let mut session = Session::begin(&sample.repo, &options(0)).unwrap();
    let late = std::cell::Cell::new(None);
    // The clock is asked once the copies are written, directly before the entry is.
    let asked = std::cell::Cell::new(0);
    let now = || {
        asked.set(asked.get() + 1);
        if asked.get() == 2 {
            late.set(Some(sample::back_up(&other, &sample.memory, 3, &files(&[2, 3]))));
        }
        day(3)
    };
    let mut report = Report::default();
    repack::run(&mut session, &now, &Silent, &mut report).unwrap();
    apply::sweep(&session, &|| day(3), &mut report).unwrap();
    apply::delete_swept(&sample.repo, &mut report).unwrap();
    assert_eq!(sample.contents(late.get().unwrap()).unwrap(), named(&files(&[2, 3])));
}

#[test]
fn two_prunes_do_not_condemn_both_copies_of_a_chunk() {
    let sample = Sample::new();
    // Two clients store the same at the same time.
    let other = sample::open_memory(&sample.memory);
    Catalog::survey(&other).unwrap();
    let (record, written) = sample::store(&other, &sample.memory, 1, &files(&[1]));
    sample.memory.set_time(UNIX_EPOCH);
    let image = sample.memory.snapshot();
    written.packs.iter().for_each(|pack| sample.memory.delete(&name_of(&pack.id)).unwrap());
    let first = sample.back_up(1, &files(&[1]));
    let bytes = |name| image[&name].bytes.to_vec();
    written.packs.iter().for_each(|pack| {
        sample.memory.put_new(&name_of(&pack.id), &[&bytes(name_of(&pack.id))]).unwrap();
    });
    drop(record);
    let second = sample.back_up(2, &files(&[1, 5]));
    prune(&sample, 3, 0);
    let third = sample::open_memory(&sample.memory);
    run(&third, &options(0), &|| day(5), &Silent).unwrap();
    assert_eq!(sample.contents(first).unwrap(), named(&files(&[1])));
    assert_eq!(sample.contents(second).unwrap(), named(&files(&[1, 5])));
}

#[test]
fn a_pack_that_is_needed_and_missing_stops_everything() {
    let mut sample = Sample::new();
    let gone = sample.back_up(1, &files(&[1]));
    sample.back_up(2, &files(&[2]));
    sample.forget(3, gone);
    for pack in sample.packs() {
        let image = sample.memory.snapshot();
        sample.memory.delete(&name_of(&pack)).unwrap();
        sample.reopen();
        let head = sample.repo.state().head;
        let result = run(&sample.repo, &options(0), &|| day(3), &Silent);
        let swept = sample.repo.state().fate(&pack) == Some(Fate::Swept);
        match result {
            // It was one that only the forgotten snapshot had: nothing is lost by forgetting it, too.
            Ok(_) => assert!(swept),
            Err(Error::Repo(RepoError::PackLost { pack: named, .. })) => {
                assert_eq!((named, sample.repo.refresh().unwrap().head), (pack, head));
            }
            Err(other) => panic!("{other}"),
        }
        sample.memory.restore(image);
        sample.reopen();
    }
}

#[test]
fn a_damaged_log_stops_everything() {
    let mut sample = Sample::new();
    let gone = sample.back_up(1, &files(&[1]));
    sample.back_up(2, &files(&[2]));
    sample.forget(3, gone);
    sample.memory.delete(&ObjectName::new(objects::log_name(2)).unwrap()).unwrap();
    sample.reopen();
    let error = run(&sample.repo, &options(0), &|| day(3), &Silent).unwrap_err();
    assert!(matches!(error, Error::Repo(RepoError::LogDamaged { seq: 2, .. })), "{error}");
}

/// Runs full once so many packs have been put.
struct Full {
    memory: Memory,
    packs_left: AtomicI64,
}

impl Storage for Full {
    fn put_new(&self, name: &ObjectName, parts: &[&[u8]]) -> Result<(), storage::Error> {
        if name.as_str().starts_with(objects::PACKS) && self.packs_left.fetch_sub(1, Ordering::Relaxed) <= 0 {
            let (object, reason) = (name.to_string(), "no space left on device".into());
            return Err(storage::Error { kind: ErrorKind::NoSpace, call: "write", object, reason });
        }
        self.memory.put_new(name, parts)
    }

    fn get(&self, name: &ObjectName, range: std::ops::Range<u64>) -> Result<Vec<u8>, storage::Error> {
        self.memory.get(name, range)
    }

    fn get_whole(&self, name: &ObjectName, limit: u64) -> Result<Vec<u8>, storage::Error> {
        self.memory.get_whole(name, limit)
    }

    fn list(&self, prefix: &str, each: &mut dyn FnMut(storage::ObjectInfo)) -> Result<(), storage::Error> {
        self.memory.list(prefix, each)
    }

    fn delete(&self, name: &ObjectName) -> Result<(), storage::Error> {
        self.memory.delete(name)
    }

    fn barrier(&self) -> Result<(), storage::Error> {
        self.memory.barrier()
    }
}

#[test]
fn what_was_freed_stays_freed_when_repacking_finds_no_space() {
    for packs_left in 0..2 {
        let mut sample = Sample::new();
        let whole = sample.back_up(1, &files(&[1]));
        let part = sample.back_up(2, &files(&[2, 3, 4]));
        let kept = sample.back_up(3, &files(&[2]));
        // Its page lies beside the record of a forgotten one, so that a tree pack is repacked, too.
        let same = sample.back_up(3, &files(&[9]));
        sample.back_up(4, &files(&[9]));
        sample.forget(4, same);
        sample.forget(4, whole);
        sample.forget(4, part);
        let before = sample.bytes();
        let full = Full { memory: sample.memory.clone(), packs_left: AtomicI64::new(packs_left) };
        let opened = crate::repo::open::open(Arc::new(full), &sample::credential(), None).unwrap();
        let options = Options { max_unused_percent: 0.0, ..options(0) };
        let report = run(&opened.0, &options, &|| day(4), &Silent).unwrap();
        assert!(report.repack_failed.is_some(), "{report:?}");
        assert!(report.deleted.bytes > 100_000 && sample.bytes() < before - 100_000);
        assert!(report.notes.is_empty(), "{:?}", report.notes);
        sample.reopen();
        assert_eq!(sample.contents(kept).unwrap(), named(&files(&[2])));
        assert_eq!(plan(&sample.repo, &options, day(4)).unwrap().spared, []);
        assert_eq!(prune(&sample, 5, 0).repack_failed, None);
        assert_eq!(sample.contents(kept).unwrap(), named(&files(&[2])));
    }
}

/// A backup that took longer than prune spares what no entry names.
#[test]
fn a_slow_backup_takes_its_own_packs_back() {
    let mut sample = Sample::new();
    sample.back_up(1, &files(&[1]));
    let slow = sample::open_memory(&sample.memory);
    let (record, written) = sample::store(&slow, &sample.memory, 2, &files(&[2]));
    assert_eq!(prune(&sample, 4, 7).condemned.packs, 0, "its record is stored: it can be salvaged");
    assert_eq!(prune(&sample, 33, 7).condemned.packs, 2);
    let late = sample::commit_stored(&slow, 33, &record, &written).unwrap();
    sample.reopen();
    assert_eq!(sample.contents(late).unwrap(), named(&files(&[2])));
    assert_eq!(prune(&sample, 50, 0).plan.keep.len(), 4);
    // And one whose packs are gone is told so.
    let (record, written) = sample::store(&slow, &sample.memory, 51, &files(&[3]));
    assert_eq!(prune(&sample, 82, 0).deleted.packs, 2);
    let error = sample::commit_stored(&slow, 82, &record, &written).unwrap_err();
    assert!(matches!(error, RepoError::PackSwept { .. } | RepoError::PackLost { .. }), "{error}");
}

#[test]
fn packs_with_bytes_behind_their_body_are_used_repacked_and_swept_like_others() {
    let mut sample = Sample::new();
    let gone = sample.back_up(1, &files(&[1, 2]));
    let kept = sample.back_up(2, &files(&[1, 3]));
    sample::store(&sample.repo, &sample.memory, 3, &[("x", noise(9, 50_000))]);
    for pack in sample.packs() {
        sample.memory.damage(&name_of(&pack), |bytes| bytes.extend_from_slice(b"whatever parity looks like"));
    }
    sample.reopen();
    sample.forget(4, gone);
    let report = prune(&sample, 4, 0);
    assert!(report.deleted.packs > 0, "{report:?}");
    sample.reopen();
    assert_eq!(sample.contents(kept).unwrap(), named(&files(&[1, 3])));
    assert_eq!(crate::ops::salvage::run(&sample.repo, day(5), &Silent).unwrap().not_put_back.len(), 0);
    // What no entry had named is named by the length of its body, not by that of the object.
    sample.back_up(6, &[("x", noise(9, 50_000))]);
    let (state, catalog) = (sample.repo.state(), Catalog::survey(&sample.repo).unwrap());
    assert_eq!(catalog.faults, []);
    let longer = |id: &PackId| catalog.listed[id].bytes > state.pack(id).unwrap().bytes;
    assert!(state.packs().any(|(id, pack)| pack.fate == Fate::Live && longer(id)));
}
