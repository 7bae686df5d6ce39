use std::time::Duration;

use super::*;
use crate::format::objects;
use crate::id::PackId;
use crate::ops::prune;
use crate::ops::sample::{self, Sample, name_of, noise, replace};
use crate::progress::Silent;
use crate::repo::commit::{Draft, commit};
use crate::repo::state::Fate;
use crate::storage::{ObjectName, Storage};

const STRUCTURE: Depth = Depth::Structure;
const DATA: Depth = Depth::Data(Part::All);

fn check(sample: &Sample, depth: Depth) -> Report {
    run(&sample.repo, depth, 2, &Silent).unwrap()
}

fn sound(report: &Report) {
    assert_eq!(report.problems, []);
    assert_eq!(report.problems_total, 0);
}

/// Two snapshots that share a file; returns them and the packs of the first.
fn two() -> (Sample, [SnapshotId; 2], Vec<crate::id::PackId>) {
    let sample = Sample::new();
    let first = sample.back_up(1, &[("a", noise(1, 50_000)), ("b", noise(2, 50_000))]);
    let packs = sample.packs();
    let second = sample.back_up(2, &[("b", noise(2, 50_000)), ("c", noise(3, 50_000))]);
    (sample, [first, second], packs)
}

fn kind_of(sample: &Sample, pack: &crate::id::PackId) -> crate::format::Kind {
    sample.repo.state().pack(pack).unwrap().kind
}

#[test]
fn a_sound_repository_has_no_problems_and_is_counted() {
    let (mut sample, _, _) = two();
    for _ in 0..2 {
        let report = check(&sample, STRUCTURE);
        sound(&report);
        assert_eq!((report.snapshots, report.packs, report.pages, report.chunks), (2, 4, 2, 39 + 2));
        assert_eq!((report.blocks_read, report.bytes_read), (0, 0));
        let report = check(&sample, DATA);
        sound(&report);
        assert!(report.blocks_read >= 6 && report.bytes_read > 150_000);
        assert_eq!(report.notes, [] as [String; 0]);
        sample.reopen();
    }
}

#[test]
fn a_missing_pack_is_named_with_what_lay_in_it_if_the_index_knows() {
    let (sample, [first, second], packs) = two();
    let data = packs.iter().find(|pack| kind_of(&sample, pack) == crate::format::Kind::Data).unwrap();
    sample.memory.damage(&name_of(data), |bytes| bytes.truncate(bytes.len() - 1));
    let report = check(&sample, STRUCTURE);
    let [problem] = &report.problems[..] else { panic!("{:?}", report.problems) };
    assert_eq!(problem.object, objects::pack_name(data));
    assert_eq!(problem.snapshots, [first, second]);
    assert_eq!((problem.paths.as_slice(), problem.unnamed), ([b"a".to_vec(), b"b".to_vec()].as_slice(), 0));
}

/// What is lost with a condemned pack, nobody has any more; the rest is as it was.
#[test]
fn damage_of_a_condemned_pack_is_a_note() {
    let (mut sample, [first, second], packs) = two();
    sample.forget(3, first);
    let options = prune::Options { grace: Duration::from_secs(86_400), max_unused_percent: 100.0, threads: 1 };
    assert_eq!(prune::run(&sample.repo, &options, &|| sample::day(3), &Silent).unwrap().condemned.packs, 1);
    let state = sample.repo.refresh().unwrap();
    let condemned = |id: &&PackId| matches!(state.fate(id), Some(Fate::Condemned { .. }));
    let condemned = name_of(packs.iter().find(condemned).unwrap());
    type Damage<'d> = (&'static str, &'d dyn Fn(&Sample) -> bool);
    let damages: [Damage<'_>; 3] = [
        ("missing or too short", &|sample| sample.memory.delete(&condemned).is_ok()),
        ("missing or too short", &|sample| sample.memory.damage(&condemned, |bytes| bytes.truncate(200))),
        ("cannot be read", &|sample| sample.memory.damage(&condemned, |bytes| bytes[200] ^= 1)),
    ];
    for (what, damage) in damages {
        let before = sample.memory.snapshot();
        assert!(damage(&sample));
        for depth in [STRUCTURE, DATA] {
            sample.reopen();
            let report = check(&sample, depth);
            sound(&report);
            let [note] = &report.notes[..] else { panic!("{:?}", report.notes) };
            assert!(note.contains(what) && note.contains(condemned.as_str()), "{note}");
        }
        assert!(sample.contents(second).is_ok() && sample.contents(first).is_err());
        sample.memory.restore(before);
    }
    assert!(check(&sample, DATA).notes.is_empty() && sample.contents(first).is_ok());
}

#[test]
fn a_missing_pack_that_the_index_does_not_know_is_told_by_its_chunks() {
    let (mut sample, [first, second], packs) = two();
    for pack in &packs {
        let before = sample.memory.snapshot();
        crate::storage::Storage::delete(&sample.memory, &name_of(pack)).unwrap();
        sample.reopen();
        let report = check(&sample, STRUCTURE);
        assert!(report.problems.iter().any(|problem| problem.object == objects::pack_name(pack)));
        let touched: Vec<_> = report.problems.iter().flat_map(|problem| &problem.paths).collect();
        match kind_of(&sample, pack) {
            crate::format::Kind::Data => {
                assert!(touched.contains(&&b"a".to_vec()) && touched.contains(&&b"b".to_vec()));
                assert!(!touched.contains(&&b"c".to_vec()));
                assert!(report.problems.iter().any(|problem| problem.snapshots == [first, second]));
            }
            // The page of the first snapshot, from its start.
            crate::format::Kind::Tree => assert!(touched.contains(&&Vec::new())),
        }
        sample.memory.restore(before);
    }
}

#[test]
fn every_flipped_byte_of_a_pack_is_found_and_named() {
    let (mut sample, snapshots, packs) = two();
    for pack in &packs {
        let name = name_of(pack);
        let len = sample.memory.object(&name).unwrap().bytes.len();
        let blocks_at = 2000;
        for at in [0, 9, 30, 60, 100, 130, 150, 161, 500, blocks_at, len / 2, len - 1] {
            let at = at.min(len - 1);
            sample.memory.damage(&name, |bytes| bytes[at] ^= 4);
            for warm in [true, false] {
                if !warm {
                    sample.reopen();
                }
                let report = check(&sample, DATA);
                assert!(report.problems_total > 0, "byte {at} of {len}");
                assert!(report.problems[0].object.contains(&pack.to_string()), "{:?}", report.problems);
                let named = report.problems.iter().any(|problem| problem.snapshots.contains(&snapshots[0]));
                let record = report.problems.iter().all(|problem| problem.object.starts_with("block"));
                assert!(named || record, "byte {at} of {len}: {:?}", report.problems);
            }
            sample.memory.damage(&name, |bytes| bytes[at] ^= 4);
            sample.reopen();
            sound(&check(&sample, DATA));
        }
    }
}

#[test]
fn config_slots_and_log_are_read_again() {
    let (mut sample, _, _) = two();
    let names: Vec<ObjectName> = sample.memory.snapshot().into_keys().collect();
    let beside = names.iter().filter(|name| !name.as_str().starts_with(objects::PACKS));
    for name in beside {
        let before = sample.memory.snapshot();
        let middle = before[name].bytes.len() / 2;
        sample.memory.damage(name, |bytes| bytes[middle] ^= 1);
        let report = check(&sample, STRUCTURE);
        let prefix = name.as_str().split(['/', '.']).next().unwrap();
        assert!(report.problems.iter().any(|problem| problem.object.starts_with(prefix)), "{name}");
        crate::storage::Storage::delete(&sample.memory, name).unwrap();
        let report = check(&sample, STRUCTURE);
        // The newest entry leaves no gap: only the client's memory can tell.
        let newest = name.as_str() == objects::log_name(2);
        assert!(newest || report.problems_total > 0, "{name}");
        sample.memory.restore(before);
        sample.reopen();
        sound(&check(&sample, STRUCTURE));
    }
}

#[test]
fn an_index_that_is_wrong_is_mended_and_no_damage() {
    let (sample, _, packs) = two();
    let name = name_of(&packs[0]);
    let other = sample.repo.index().packs().find(|row| row.id != packs[0]).unwrap().number;
    let wrong = sample.repo.index().header(other).unwrap().unwrap();
    let directory = sample.repo.index().directory(other).unwrap();
    let number = sample.repo.index().pack_number(&packs[0]).unwrap();
    sample.repo.index().replace_header(number, &wrong, directory).unwrap();
    let report = check(&sample, STRUCTURE);
    sound(&report);
    assert!(report.notes.iter().any(|note| note.contains(name.as_str())), "{:?}", report.notes);
    let report = check(&sample, DATA);
    sound(&report);
    assert_eq!(report.notes, [] as [String; 0]);
}

#[test]
fn what_belongs_to_nobody_is_noted() {
    let (sample, _, _) = two();
    sample::begin(&sample.repo, &sample.memory, 5, 8);
    let report = check(&sample, DATA);
    sound(&report);
    assert_eq!(report.notes.len(), 1);
    // The record of its snapshot is stored: it can be brought back.
    sample::store(&sample.repo, &sample.memory, 5, &[("d", noise(9, 50_000))]);
    let report = check(&sample, DATA);
    sound(&report);
    assert_eq!(report.notes.len(), 2);
}

#[test]
fn objects_that_changed_places_are_found() {
    let (mut sample, _, _) = two();
    let packs = sample.packs();
    let image = sample.memory.snapshot();
    for pair in packs.windows(2) {
        for (to, from) in [(0, 1), (1, 0)] {
            replace(&sample.memory, &name_of(&pair[to]), &image[&name_of(&pair[from])].bytes);
        }
        sample.reopen();
        let report = check(&sample, DATA);
        for pack in pair {
            let named = report.problems.iter().any(|problem| problem.object.contains(&pack.to_string()));
            assert!(named, "{:?}", report.problems);
        }
        sample.memory.restore(image.clone());
    }
}

/// A writer with a bug: what its entry says of the snapshot is not what the record says.
#[test]
fn an_entry_that_contradicts_its_record_is_named_and_its_snapshot_stays_readable() {
    let other = crate::id::SeriesId::new([3; 32]);
    let (own_start, own_series) = (sample::day(1), None);
    let cases = [
        (own_start, true, Some(other), "series"),
        (sample::day(2), true, own_series, "time of beginning"),
        (own_start, false, own_series, "completeness"),
    ];
    for (started, complete, series, what) in cases {
        let sample = Sample::new();
        let files = [("a", noise(1, 5000))];
        let (bytes, written) = sample::store(&sample.repo, &sample.memory, 1, &files);
        let snapshot = sample.repo.keys().snapshot_id(&bytes);
        let series = series.unwrap_or_else(|| sample.repo.keys().series_id("sample", "here"));
        let draft = Draft { snapshot, series, started, complete, parent: None };
        let state = commit(&sample.repo, &written, &draft, sample::day(1), &|_| vec!["last".into()]).unwrap();
        let report = check(&sample, STRUCTURE);
        let [problem] = &report.problems[..] else { panic!("{:?}", report.problems) };
        assert_eq!((problem.object.as_str(), problem.snapshots.as_slice()), (&*objects::log_name(1), &[snapshot][..]));
        assert!(problem.what.contains(what), "{}", problem.what);
        assert_eq!(sample.contents(snapshot).unwrap(), [("a".to_owned(), noise(1, 5000))]);
        // The entry's word is the log's, the record's what is shown.
        let known = state.snapshot(&snapshot).unwrap();
        assert_eq!((known.series, known.started, known.complete), (series, started, complete));
        let listing =
            crate::ops::snapshots::list(&sample.repo, &Default::default(), std::time::Duration::ZERO).unwrap();
        assert_eq!(listing.rows[0].record.started, sample::day(1));
        assert!(listing.unreadable[0].1.contains("log entry 1"), "{:?}", listing.unreadable);
    }
}

#[test]
fn bytes_behind_the_body_of_a_pack_are_noted_and_harm_nothing() {
    let (mut sample, [first, _], _) = two();
    let packs = sample.packs();
    let before = sample.contents(first).unwrap();
    for pack in &packs {
        sample.memory.damage(&name_of(pack), |bytes| bytes.extend_from_slice(&noise(7, 5000)));
    }
    for warm in [true, false] {
        if !warm {
            sample.reopen();
        }
        let report = check(&sample, DATA);
        sound(&report);
        assert_eq!(report.notes.len(), packs.len(), "{:?}", report.notes);
        assert!(report.notes.iter().all(|note| note.contains("5000 bytes after its end")));
        assert_eq!(sample.contents(first).unwrap(), before);
    }
    // They count as stored, and the next snapshot relies on them.
    let third = sample.back_up(3, &[("a", noise(1, 50_000)), ("b", noise(2, 50_000))]);
    let added = sample.packs().into_iter().filter(|pack| !packs.contains(pack));
    assert!(added.clone().all(|pack| kind_of(&sample, &pack) == crate::format::Kind::Tree));
    assert_eq!(sample.contents(third).unwrap(), before);
    let state = sample.repo.state();
    let named = packs.iter().filter_map(|pack| state.pack(pack)).map(|pack| pack.bytes).sum::<u64>();
    assert!(named > 0, "the log names the length of bodies");
    sample.memory.damage(&name_of(&packs[0]), |bytes| bytes.truncate(bytes.len() - 5001));
    sample.reopen();
    assert_eq!(check(&sample, STRUCTURE).problems[0].object, objects::pack_name(&packs[0]));
}
