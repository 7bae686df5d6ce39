use super::*;
use crate::ops::sample::{self, Sample, day, name_of, noise};
use crate::progress::Silent;
use crate::storage::{ObjectName, Storage};

fn lose_entry(sample: &mut Sample, seq: u64) {
    sample.memory.delete(&ObjectName::new(objects::log_name(seq)).unwrap()).unwrap();
    sample.reopen();
}

#[test]
fn the_index_is_made_anew() {
    let sample = Sample::new();
    sample.back_up(1, &[("a", noise(1, 50_000))]);
    let ids = sample.packs();
    sample.repo.index().remove_packs(&ids).unwrap();
    let rebuilt = rebuild_index(&sample.repo, &Silent).unwrap();
    assert_eq!(rebuilt, Rebuilt { packs: 2, chunks: 13 + 1, faults: Vec::new() });
    assert_eq!(sample.repo.index().log_entries().unwrap().len(), 1);
}

#[test]
fn a_snapshot_whose_log_entry_is_lost_comes_back() {
    let mut sample = Sample::new();
    let first = sample.back_up(1, &[("a", noise(1, 50_000))]);
    let second = sample.back_up(2, &[("b", noise(2, 50_000))]);
    let gone = sample.back_up(3, &[("c", noise(3, 50_000))]);
    sample.forget(4, gone);
    lose_entry(&mut sample, 1);
    assert!(sample.repo.state().snapshot(&first).is_none());
    let report = run(&sample.repo, day(5), &Silent).unwrap();
    assert_eq!((report.records, report.known, report.not_put_back.len()), (3, 2, 0));
    assert_eq!(report.put_back.iter().map(|found| found.0).collect::<Vec<_>>(), [first]);
    sample.reopen();
    let state = sample.repo.state();
    assert!(state.snapshot(&first).unwrap().tags.contains(TAG));
    assert!(!state.snapshot(&gone).unwrap().is_live());
    assert_eq!(sample.contents(first).unwrap(), [("a".to_owned(), noise(1, 50_000))]);
    assert_eq!(sample.contents(second).unwrap(), [("b".to_owned(), noise(2, 50_000))]);
    assert_eq!(run(&sample.repo, day(6), &Silent).unwrap().put_back.len(), 0);
}

#[test]
fn a_snapshot_that_is_not_whole_is_not_put_back() {
    let mut sample = Sample::new();
    let first = sample.back_up(1, &[("a", noise(1, 50_000))]);
    let state = sample.repo.state();
    let data = sample.packs().into_iter().find(|pack| state.pack(pack).unwrap().kind == Kind::Data).unwrap();
    sample.memory.delete(&name_of(&data)).unwrap();
    lose_entry(&mut sample, 1);
    let report = run(&sample.repo, day(5), &Silent).unwrap();
    assert_eq!(report.put_back.len(), 0);
    assert_eq!(report.not_put_back.iter().map(|found| found.0).collect::<Vec<_>>(), [first]);
    assert_eq!(sample.repo.state().head, 0);
}

#[test]
fn what_a_killed_run_left_without_its_entry_comes_back_too() {
    let sample = Sample::new();
    let (record, _) = sample::store(&sample.repo, &sample.memory, 1, &[("a", noise(1, 50_000))]);
    let report = run(&sample.repo, day(5), &Silent).unwrap();
    let id = sample.repo.keys().snapshot_id(&record);
    assert_eq!(report.put_back.iter().map(|found| found.0).collect::<Vec<_>>(), [id]);
    assert_eq!(sample.contents(id).unwrap(), [("a".to_owned(), noise(1, 50_000))]);
}

#[test]
fn a_record_that_does_not_open_is_named() {
    let sample = Sample::new();
    sample.back_up(1, &[("a", noise(1, 50_000))]);
    let state = sample.repo.state();
    let tree = sample.packs().into_iter().find(|pack| state.pack(pack).unwrap().kind == Kind::Tree).unwrap();
    sample.memory.damage(&name_of(&tree), |bytes| *bytes.last_mut().unwrap() ^= 1);
    let report = run(&sample.repo, day(5), &Silent).unwrap();
    assert_eq!((report.records, report.unreadable.len()), (0, 1));
    assert!(report.unreadable[0].contains(&tree.to_string()), "{:?}", report.unreadable);
}
