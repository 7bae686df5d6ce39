use std::time::Duration;

use super::*;
use crate::format::Kind;
use crate::ops::prune;
use crate::ops::sample::{self, Sample, day, name_of, noise};
use crate::ops::usage::directory;
use crate::progress::Silent;
use crate::repo::catalog::Catalog;
use crate::repo::seal::Squeeze;
use crate::repo::write::{Mode, Writer};
use crate::storage::Storage;

type Files = Vec<(&'static str, Vec<u8>)>;

fn files(seeds: &[u64]) -> Files {
    let names = ["a", "b", "c", "d", "e", "f", "g", "h"];
    names.into_iter().zip(seeds).map(|(name, &seed)| (name, noise(seed, 20_000))).collect()
}

/// Prunes on that day in many ways, each time from the same, and each time as foretold. Every client has an index of its
/// own, and another number of threads. Returns what was reported, by grace period in days and share allowed.
fn as_foretold(sample: &Sample, number: i64) -> Vec<(u64, f64, Report)> {
    let before = sample.memory.snapshot();
    let mut reports = Vec::new();
    for (grace_days, max_unused_percent) in
        [0, 1, 7].into_iter().flat_map(|grace| [0.0, 5.0, 100.0].map(|p| (grace, p)))
    {
        let grace = Duration::from_secs(grace_days * 86_400);
        let options = |threads| Options { grace, max_unused_percent, threads };
        let foretold = run(&sample::open_memory(&sample.memory), &options(1), day(number), &Silent).unwrap();
        assert_eq!(sample.memory.snapshot(), before, "a rehearsal changes nothing");
        let done = prune::run(&sample::open_memory(&sample.memory), &options(3), &|| day(number), &Silent).unwrap();
        assert_eq!(foretold, done, "grace of {grace_days} days, {max_unused_percent} %");
        reports.push((grace_days, max_unused_percent, done));
        sample.memory.restore(before.clone());
    }
    reports
}

/// At once, with nothing unused allowed.
fn most(reports: &[(u64, f64, Report)]) -> &Report {
    &reports.iter().find(|(grace, percent, _)| (*grace, *percent) == (0, 0.0)).unwrap().2
}

fn with_grace(reports: &[(u64, f64, Report)]) -> &Report {
    &reports.iter().find(|(grace, percent, _)| (*grace, *percent) == (7, 0.0)).unwrap().2
}

#[test]
fn where_everything_is_used_nothing_is_foretold() {
    let sample = Sample::new();
    sample.back_up(1, &files(&[1, 2]));
    for (_, _, report) in as_foretold(&sample, 3) {
        let kept = report.plan.clone();
        assert_eq!(report, Report { plan: kept, ..Report::default() });
    }
}

#[test]
fn packs_used_in_part_and_several_that_nothing_uses() {
    let sample = Sample::new();
    let gone = [sample.back_up(1, &files(&[1, 2, 3, 4, 5, 6])), sample.back_up(2, &files(&[7, 8]))];
    sample.back_up(3, &files(&[2, 4, 9]));
    // The same page beside the record of a forgotten one, so that a tree pack is repacked, too.
    let twin = sample.back_up(4, &files(&[10]));
    sample.back_up(5, &files(&[10]));
    gone.into_iter().chain([twin]).for_each(|snapshot| sample.forget(6, snapshot));
    let reports = as_foretold(&sample, 6);
    let report = most(&reports);
    let kinds = |kind| report.plan.repack.iter().filter(|pack| pack.kind == kind).count();
    assert!(kinds(Kind::Data) > 0 && kinds(Kind::Tree) > 0 && report.new_packs.packs == 2, "{report:?}");
    assert!(report.deleted.packs > report.repacked.packs && report.swept == report.deleted, "{report:?}");
    let later = with_grace(&reports);
    assert_eq!((later.deleted.packs, later.condemned), (0, report.condemned));
}

#[test]
fn many_small_packs() {
    let sample = Sample::new();
    for number in 1..12 {
        sample.back_up(number, &files(&[number as u64]));
    }
    assert_eq!(most(&as_foretold(&sample, 20)).new_packs.packs, 2);
}

#[test]
fn what_waits_for_its_grace_and_what_no_entry_names() {
    let sample = Sample::new();
    let (first, second) = (sample.back_up(1, &files(&[1, 2])), sample.back_up(1, &files(&[3, 4])));
    sample.back_up(1, &files(&[2, 5]));
    sample.forget(1, first);
    let options = Options { grace: Duration::from_secs(7 * 86_400), max_unused_percent: 0.0, threads: 1 };
    assert!(prune::run(&sample.repo, &options, &|| day(2), &Silent).unwrap().condemned.packs > 1);
    sample.forget(3, second);
    sample::begin(&sample.repo, &sample.memory, 3, 20);
    sample::begin(&sample.repo, &sample.memory, 8, 21);
    for number in [3, 8, 9, 30] {
        let reports = as_foretold(&sample, number);
        let (now, later) = (most(&reports), with_grace(&reports));
        assert!(now.deleted.packs > 0 && now.deleted.packs >= later.deleted.packs, "{reports:?}");
        assert_eq!(later.deleted.packs > 0, number >= 9);
    }
}

/// Objects that are gone are swept all the same, but not deleted; and swept ones may be there still.
#[test]
fn condemned_packs_that_are_missing_and_swept_ones_that_are_not() {
    let mut sample = Sample::new();
    let (first, second) = (sample.back_up(1, &files(&[1])), sample.back_up(1, &files(&[2])));
    sample.back_up(1, &files(&[3]));
    sample.forget(1, first);
    let image = sample.memory.snapshot();
    let at_once = Options { grace: Duration::ZERO, max_unused_percent: 100.0, threads: 1 };
    let swept = prune::run(&sample.repo, &at_once, &|| day(2), &Silent).unwrap().swept;
    for (name, object) in image {
        // Whatever fails to be put is there still.
        let _ = sample.memory.put_new(&name, &[&object.bytes]);
    }
    sample.reopen();
    sample.forget(3, second);
    let options = Options { grace: Duration::from_secs(86_400), ..at_once };
    let condemned = prune::plan(&sample.repo, &options, day(3)).unwrap().condemn;
    prune::run(&sample.repo, &options, &|| day(3), &Silent).unwrap();
    sample.memory.delete(&name_of(&condemned[0].id)).unwrap();
    let report = most(&as_foretold(&sample, 3)).clone();
    assert_eq!((report.swept.packs, report.deleted.packs), (2, 1));
    assert_eq!((swept.packs, report.notes), (2, Vec::new()));
}

#[test]
fn a_pack_that_cannot_be_repacked_and_bytes_behind_bodies() {
    let sample = Sample::new();
    let gone = [sample.back_up(1, &files(&[1, 2, 3, 4])), sample.back_up(2, &files(&[5, 6, 7, 8]))];
    sample.back_up(3, &files(&[1]));
    sample.back_up(4, &files(&[5]));
    gone.into_iter().for_each(|snapshot| sample.forget(5, snapshot));
    for pack in sample.packs() {
        sample.memory.damage(&name_of(&pack), |bytes| bytes.extend_from_slice(b"whatever parity looks like"));
    }
    let sound = most(&as_foretold(&sample, 5)).clone();
    let state = sample.repo.refresh().unwrap();
    let partly = sound.plan.repack.iter().find(|pack| pack.kind == Kind::Data).unwrap();
    let body = state.pack(&partly.id).unwrap().bytes as usize;
    // Most of the used part still reads, and is written for nothing.
    sample.memory.damage(&name_of(&partly.id), |bytes| bytes[body - 1] ^= 1);
    let report = most(&as_foretold(&sample, 5)).clone();
    assert_eq!(report.notes.len(), 1, "{:?}", report.notes);
    assert_eq!(report.repacked.packs, sound.repacked.packs - 1);
}

/// Which of several copies stays does not depend on numbers that one client's index gave.
#[test]
fn chunks_that_several_packs_hold() {
    for rotten in [false, true] {
        let sample = Sample::new();
        let shared: Files = files(&[1, 2, 3]);
        let mut all = Vec::new();
        for number in 1..=4 {
            let other = sample::open_memory(&sample.memory);
            let own = ("z", noise(10 + number as u64, 12_000));
            let before: Vec<_> = sample.packs();
            let image = sample.memory.snapshot();
            before.iter().for_each(|pack| sample.memory.delete(&name_of(pack)).unwrap());
            let files: Files = shared.iter().cloned().chain([own]).collect();
            all.push(sample::back_up(&other, &sample.memory, number, &files));
            before.iter().for_each(|pack| sample.memory.put_raw(&name_of(pack), &image[&name_of(pack)].bytes));
        }
        if rotten {
            let data = |pack: &&_| sample.repo.refresh().unwrap().pack(pack).unwrap().kind == Kind::Data;
            let first = *sample.packs().iter().find(data).unwrap();
            sample.memory.damage(&name_of(&first), |bytes| *bytes.last_mut().unwrap() ^= 1);
        }
        assert!(most(&as_foretold(&sample, 5)).repacked.packs > 0);
        sample.repo.refresh().unwrap();
        sample.forget(5, all[1]);
        assert!(most(&as_foretold(&sample, 5)).condemned.packs > 0);
    }
}

/// Where a pack ends depends on what lies in it: a block that takes longer than the next must not be overtaken.
#[test]
fn blocks_lie_in_packs_in_their_order_with_any_number_of_threads() {
    const CHUNK_BYTES: usize = 1 << 20;
    let sample = Sample::new();
    let chunks: Vec<_> = (0..9).map(|number| noise(number, CHUNK_BYTES)).collect();
    let write = |mode, threads| {
        let mut writer = Writer::new(&sample.repo, &Catalog::default(), threads, mode).unwrap();
        let mut ids = Vec::new();
        for (number, bytes) in chunks.iter().enumerate() {
            let id = sample.repo.keys().data_id(bytes);
            // The first four are a block that is compressed in vain; those after the fifth are blocks of their own.
            writer.data(id, bytes, if number < 5 { Squeeze::Yes } else { Squeeze::No }).unwrap();
            ids.push(id);
        }
        (writer.drain().unwrap().finish(None).unwrap().packs, ids)
    };
    let weighed = write(Mode::Weigh, 3).0;
    assert_eq!((weighed.len(), sample.packs().len()), (1, 0), "nothing is stored");
    let (packs, mut ids) = write(Mode::StoreInOrder, 3);
    assert_eq!(packs[0].bytes, weighed[0].bytes);
    let number = sample.repo.index().pack_number(&packs[0].id).unwrap();
    let stored = directory(&sample.repo, number).unwrap();
    // The fifth was still waiting for more of its block when the others were under way.
    ids[4..8].rotate_left(1);
    assert_eq!(stored.chunks.iter().map(|chunk| chunk.id).collect::<Vec<_>>(), ids);
}
