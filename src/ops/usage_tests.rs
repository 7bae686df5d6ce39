use super::*;
use crate::ops::sample::{self, Sample, name_of, noise};
use crate::storage::Storage;

fn usage(sample: &Sample) -> Usage<'_> {
    let state = sample.repo.refresh().unwrap();
    let catalog = Catalog::survey(&sample.repo).unwrap();
    measure(&sample.repo, &state, &catalog, &|_| true).unwrap()
}

fn totals(sample: &Sample, usage: &Usage<'_>) -> Used {
    let rows: Vec<PackNumber> = sample.repo.index().packs().map(|row| row.number).collect();
    rows.iter().fold(Used::default(), |mut sum, &pack| {
        let used = usage.of(pack).unwrap();
        sum.chunks += used.chunks;
        sum.raw_bytes += used.raw_bytes;
        sum.stored_bytes += used.stored_bytes;
        sum.unused_bytes += used.unused_bytes;
        sum
    })
}

#[test]
fn everything_of_a_single_snapshot_is_used_the_record_too() {
    let sample = Sample::new();
    sample.back_up(1, &[("a", noise(1, 100_000)), ("b", noise(2, 10))]);
    let sum = totals(&sample, &usage(&sample));
    assert_eq!((sum.chunks, sum.unused_bytes), (25 + 1 + 1, 0));
}

#[test]
fn what_only_a_forgotten_snapshot_has_is_unused() {
    let sample = Sample::new();
    let first = sample.back_up(1, &[("a", noise(1, 40_960)), ("b", noise(2, 40_960))]);
    sample.back_up(2, &[("b", noise(2, 40_960))]);
    sample.forget(3, first);
    let sum = totals(&sample, &usage(&sample));
    assert_eq!(sum.chunks, 10 + 1);
    assert!((40_000..43_000).contains(&sum.unused_bytes), "{sum:?}");
}

/// Two clients that store the same at the same time both store it.
fn twice() -> (Sample, SnapshotId, SnapshotId) {
    let sample = Sample::new();
    let other = sample::open_memory(&sample.memory);
    let files = [("a", noise(1, 40_960))];
    let first = sample.back_up(1, &files);
    let packs = sample.packs();
    let kept = sample.memory.snapshot();
    // Hidden from the other client while it looks what is stored.
    packs.iter().for_each(|pack| sample.memory.delete(&name_of(pack)).unwrap());
    let more = [files[0].clone(), ("b", noise(2, 40_960))];
    let second = sample::back_up(&other, &sample.memory, 2, &more);
    for pack in &packs {
        sample.memory.put_raw(&name_of(pack), &kept[&name_of(pack)].bytes);
    }
    (sample, first, second)
}

#[test]
fn of_two_copies_the_one_in_the_pack_used_most_is_kept() {
    let (sample, first, second) = twice();
    let sum = totals(&sample, &usage(&sample));
    // Two pages, twenty chunks of which ten lie twice.
    assert_eq!((sum.chunks, sum.raw_bytes / 4096), (20 + 2, 20));
    assert!((40_000..42_000).contains(&sum.unused_bytes), "{sum:?}");
    assert!(sample.contents(first).is_ok() && sample.contents(second).is_ok());
}

#[test]
fn an_index_that_forgot_rows_is_made_anew_before_a_chunk_counts_as_missing() {
    let sample = Sample::new();
    sample.back_up(1, &[("a", noise(1, 40_960))]);
    let ids = sample.packs();
    sample.repo.index().remove_packs(&ids[..1]).unwrap();
    let state = sample.repo.state();
    let listed = Catalog::list(&sample.repo).unwrap();
    let catalog = Catalog { listed, ..Catalog::default() };
    assert!(measure(&sample.repo, &state, &catalog, &|_| true).is_ok());
}

#[test]
fn a_chunk_that_is_nowhere_is_named_with_its_snapshot() {
    let mut sample = Sample::new();
    let snapshot = sample.back_up(1, &[("a", noise(1, 40_960))]);
    for pack in sample.packs() {
        let before = sample.memory.snapshot();
        sample.memory.delete(&name_of(&pack)).unwrap();
        sample.reopen();
        let state = sample.repo.state();
        let catalog = Catalog::survey(&sample.repo).unwrap();
        let result = measure(&sample.repo, &state, &catalog, &|_| true);
        assert!(matches!(result, Err(Error::Damaged { snapshot: named, .. }) if named == snapshot));
        sample.memory.restore(before);
    }
}
