use std::time::{Duration, UNIX_EPOCH};

use super::*;
use crate::format::{Kind, objects};
use crate::ops::check::{self, Depth};
use crate::ops::prune::{self, Options, Report};
use crate::ops::salvage;
use crate::ops::sample::{self, Sample, day, name_of, noise};
use crate::progress::Silent;
use crate::storage::{ObjectName, Storage};

fn prune(sample: &Sample, number: i64) -> Report {
    let options = Options { grace: Duration::ZERO, max_unused_percent: Options::MAX_UNUSED_PERCENT, threads: 1 };
    prune::run(&sample::open_memory(&sample.memory), &options, &|| day(number), &Silent).unwrap()
}

/// A run that is killed before it stores its record: a data pack, and a tree pack as the last thing.
fn begin_a_run(sample: &Sample, data_on: i64, tree_on: i64, seed: u64) -> Vec<PackId> {
    let written = sample::begin(&sample.repo, &sample.memory, data_on, seed);
    for pack in &written.packs {
        stamp(sample, &pack.id, if pack.kind == Kind::Data { data_on } else { tree_on });
    }
    written.packs.iter().map(|pack| pack.id).collect()
}

/// As if a pack had been stored on another day.
fn stamp(sample: &Sample, pack: &PackId, number: i64) {
    let name = name_of(pack);
    let bytes = sample.memory.object(&name).unwrap().bytes;
    sample.memory.set_time(UNIX_EPOCH + Duration::from_secs(day(number).seconds as u64));
    sample::replace(&sample.memory, &name, &bytes);
}

fn there(sample: &Sample, packs: &[PackId]) -> bool {
    packs.iter().all(|pack| sample.memory.object(&name_of(pack)).is_some())
}

#[test]
fn a_run_that_still_stores_keeps_all_its_packs_and_one_that_does_not_keeps_none() {
    let sample = Sample::new();
    sample.back_up(1, &file(1));
    let slow = begin_a_run(&sample, 1, 4, 2);
    let dead = begin_a_run(&sample, 2, 3, 3);
    assert_eq!(prune(&sample, 3).plan.spared.len(), 4);
    let report = prune(&sample, 4);
    assert_eq!((report.deleted.packs, report.plan.spared.len()), (2, 2));
    assert!(there(&sample, &slow) && dead.iter().all(|pack| !there(&sample, &[*pack])));
    assert_eq!(prune(&sample, 5).deleted.packs, 2, "a day later it counts as dead, too");
    assert_eq!(sample.packs().len(), 2);
}

/// The newest pack of a run counts although another run has used it, and it has a name by now.
#[test]
fn a_run_is_alive_as_well_if_another_has_named_its_newest_pack() {
    let sample = Sample::new();
    let slow = begin_a_run(&sample, 1, 4, 2);
    sample.memory.set_time(UNIX_EPOCH);
    let tree = *slow.iter().find(|pack| kind_of(&sample, pack) == Kind::Tree).unwrap();
    let bytes = sample.memory.object(&name_of(&tree)).unwrap().bytes.len() as u64;
    let named = crate::format::log::PackUse { id: tree, bytes, kind: Kind::Tree };
    let action = crate::format::log::Action::Repack { packs: vec![named], condemned: Vec::new() };
    sample.repo.append::<RepoError>(day(4), &mut |_| Ok(Some(action.clone()))).unwrap();
    let report = prune(&sample, 4);
    assert_eq!((report.plan.spared.len(), report.plan.condemn.len()), (1, 1), "nothing needs what was named");
    assert!(!there(&sample, &[tree]));
    assert_eq!(prune(&sample, 4).deleted.packs, 1, "now nothing says that the run is alive");
}

fn kind_of(sample: &Sample, pack: &PackId) -> Kind {
    let index = sample.repo.index();
    index.pack(index.pack_number(pack).unwrap()).unwrap().kind
}

/// Two backups that take days, with a prune of somebody else every day: both end as if there had been none.
#[test]
fn slow_runs_and_daily_prunes_get_along() {
    let sample = Sample::new();
    sample.back_up(1, &file(1));
    let first = sample::open_memory(&sample.memory);
    let second = sample::open_memory(&sample.memory);
    let runs: Vec<_> = [(&first, 2), (&second, 3)]
        .map(|(repo, seed)| (repo, seed, sample::store(repo, &sample.memory, 2, &file(seed))))
        .into();
    for number in 3..8 {
        // Each run stores something every day; here it is always the same pack.
        for (_, _, (_, written)) in &runs {
            stamp(&sample, &written.packs.iter().find(|pack| pack.kind == Kind::Tree).unwrap().id, number);
        }
        assert_eq!(prune(&sample, number).condemned.packs, 0, "day {number}");
    }
    for (repo, seed, (record, written)) in &runs {
        let snapshot = sample::commit_stored(repo, 8, record, written).unwrap();
        assert_eq!(sample::contents(repo, snapshot).unwrap(), named(*seed));
    }
}

fn file(seed: u64) -> Vec<(&'static str, Vec<u8>)> {
    vec![("file", noise(seed, 50_000))]
}

fn named(seed: u64) -> Vec<(String, Vec<u8>)> {
    vec![("file".to_owned(), noise(seed, 50_000))]
}

/// The log ends before this entry, and the client does not remember more.
fn cut_log(sample: &mut Sample, seq: u64) {
    for seq in seq..=sample.repo.refresh().unwrap().head {
        sample.memory.delete(&ObjectName::new(objects::log_name(seq)).unwrap()).unwrap();
    }
    sample.reopen();
    assert_eq!((sample.repo.state().head, sample.repo.state().problems.len()), (seq - 1, 0));
}

fn tells(notes: &[String], snapshot: SnapshotId) -> bool {
    notes.iter().any(|note| note.contains(&snapshot.short()) && note.contains("larder rebuild-index --salvage"))
}

#[test]
fn what_lost_entries_told_of_can_be_salvaged_for_thirty_days() {
    for seq in [1, 2, 3] {
        let mut sample = Sample::new();
        let snapshots = [1, 2, 3].map(|seed| (seed, sample.back_up(seed as i64, &file(seed))));
        cut_log(&mut sample, seq);
        let lost = &snapshots[seq as usize - 1..];
        let packs = sample.packs();
        for number in [5, 32] {
            let report = prune(&sample, number);
            assert_eq!((report.condemned.packs, report.deleted.packs), (0, 0), "day {number}, entries lost from {seq}");
            assert_eq!(report.plan.spared.len(), 2 * lost.len());
            assert!(lost.iter().all(|(_, snapshot)| tells(&report.notes, *snapshot)), "{:?}", report.notes);
            let report = check::run(&sample.repo, Depth::Structure, 1, &Silent).unwrap();
            assert_eq!(report.problems_total, 0, "no damage: a killed run looks the same");
            assert!(lost.iter().all(|(_, snapshot)| tells(&report.notes, *snapshot)), "{:?}", report.notes);
        }
        let before = sample.memory.snapshot();
        let salvaged = salvage::run(&sample::open_memory(&sample.memory), day(32), &Silent).unwrap();
        assert_eq!(salvaged.put_back.len(), lost.len());
        let report = prune(&sample, 70);
        assert_eq!((report.plan.spared.len(), report.notes.len(), sample.packs() == packs), (0, 0, true));
        for (seed, snapshot) in &snapshots {
            assert_eq!(sample.contents(*snapshot).unwrap(), named(*seed));
        }
        // And when nobody does anything.
        sample.memory.restore(before);
        let report = prune(&sample, 34);
        assert_eq!((report.deleted.packs as usize, report.notes.len()), (2 * lost.len(), 0));
    }
}

/// A snapshot may rely on what an earlier run had left, which has no record.
#[test]
fn a_lost_snapshot_keeps_what_it_took_from_a_killed_run() {
    let mut sample = Sample::new();
    let left = sample::begin(&sample.repo, &sample.memory, 1, 5);
    let files = [("file", noise(5, 3 * sample::CHUNK_BYTES))];
    let snapshot = sample.back_up(2, &files);
    assert!(left.packs.iter().any(|pack| sample.repo.refresh().unwrap().fate(&pack.id).is_some()));
    cut_log(&mut sample, 1);
    assert_eq!(prune(&sample, 4).condemned.packs, 0);
    salvage::run(&sample.repo, day(5), &Silent).unwrap();
    assert_eq!(sample.contents(snapshot).unwrap(), [("file".to_owned(), files[0].1.clone())]);
}

/// Its record and all that it needs were written again by a prune, and the entry of that is lost as well.
#[test]
fn a_lost_snapshot_that_was_repacked_can_be_salvaged() {
    for seq in [1, 2] {
        let mut sample = Sample::new();
        let first = sample.back_up(1, &[("a", noise(1, 50_000)), ("b", noise(2, 50_000))]);
        let second = sample.back_up(2, &[("b", noise(2, 50_000))]);
        sample.forget(3, first);
        let options = Options { grace: Options::GRACE, max_unused_percent: 0.0, threads: 1 };
        let report = prune::run(&sample.repo, &options, &|| day(3), &Silent).unwrap();
        assert!(report.repacked.packs > 0, "{report:?}");
        cut_log(&mut sample, seq);
        assert_eq!(prune(&sample, 6).deleted.packs, 0, "entries lost from {seq}");
        let known = sample.repo.state().snapshot(&second).is_some();
        let salvaged = salvage::run(&sample.repo, day(6), &Silent).unwrap();
        assert_eq!(salvaged.put_back.iter().any(|found| found.0 == second), !known);
        assert_eq!(sample.contents(second).unwrap(), [("b".to_owned(), noise(2, 50_000))]);
    }
}

#[test]
fn a_run_that_was_salvaged_before_its_entry_only_adds_its_tags() {
    for forgotten in [false, true] {
        let mut sample = Sample::new();
        let (record, written) = sample::store(&sample.repo, &sample.memory, 1, &file(1));
        let other = sample::open_memory(&sample.memory);
        let salvaged = salvage::run(&other, day(1), &Silent).unwrap();
        let snapshot = salvaged.put_back[0].0;
        if forgotten {
            let other = Sample { memory: sample.memory.clone(), repo: other };
            other.forget(1, snapshot);
            let options = Options { grace: Options::GRACE, max_unused_percent: 0.0, threads: 1 };
            assert!(prune::run(&other.repo, &options, &|| day(1), &Silent).unwrap().condemned.packs > 0);
        }
        assert_eq!(sample::commit_stored(&sample.repo, 1, &record, &written).unwrap(), snapshot);
        sample.reopen();
        let state = sample.repo.state();
        assert_eq!((state.problems.len(), state.snapshots().len()), (0, 1));
        assert!(state.snapshot(&snapshot).unwrap().tags.contains("last"));
        prune(&sample, 60);
        assert_eq!(sample.contents(snapshot).unwrap(), named(1));
    }
}
