use super::*;
use crate::ops::sample::{Sample, noise};

#[test]
fn shared_chunks_count_once_and_forgotten_ones_not_at_all() {
    let sample = Sample::new();
    sample.back_up(1, &[("a", noise(1, 40_960)), ("b", noise(2, 40_960))]);
    sample.back_up(2, &[("b", noise(2, 40_960)), ("c", noise(2, 40_960))]);
    let gone = sample.back_up(3, &[("d", noise(4, 81_920))]);
    sample.forget(4, gone);
    let sizes = repository(&sample.repo).unwrap();
    assert_eq!((sizes.snapshots, sizes.forgotten, sizes.files, sizes.entries), (2, 1, 4, 4));
    assert_eq!((sizes.raw_bytes, sizes.deduplicated_bytes), (4 * 40_960, 2 * 40_960));
    assert_eq!((sizes.chunks, sizes.packs), (20 + 2, 5));
    assert_eq!(sizes.stored_bytes, sample.bytes());
    assert!((82_000..86_000).contains(&sizes.used_bytes), "{sizes:?}");
    assert!((82_000..84_000).contains(&sizes.unused_bytes), "{sizes:?}");
}

#[test]
fn what_only_one_snapshot_has_is_its_own() {
    let sample = Sample::new();
    let first = sample.back_up(1, &[("a", noise(1, 40_960)), ("b", noise(2, 40_960))]);
    sample.back_up(2, &[("b", noise(2, 40_960))]);
    let record = sample.repo.record(sample.repo.state().snapshot(&first).unwrap()).unwrap();
    let sizes = snapshot(&sample.repo, first, &record).unwrap();
    assert_eq!((sizes.raw_bytes, sizes.files, sizes.unique_chunks), (81_920, 2, 10 + 1));
    assert_eq!(sizes.unique_raw_bytes, 40_960 + u64::from(record.root.page.bytes));
    assert!((41_000..44_000).contains(&sizes.unique_stored_bytes), "{sizes:?}");
}
