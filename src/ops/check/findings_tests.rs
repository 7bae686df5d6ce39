//! Unit tests of `findings`.

use super::{Findings, NAME_OVERHEAD, Place};
use crate::id::SnapshotId;

#[test]
fn a_path_is_named_once_and_in_order_whatever_it_is_touched_by() {
    let mut findings = Findings::default();
    findings.add("pack", "is missing", Place::Beside);
    for path in ["b", "a", "b", "c", "a"] {
        findings.touches_path(0, path.as_bytes());
    }
    let [problem] = &findings.into_problems()[..] else { panic!() };
    assert_eq!(
        (problem.paths.as_slice(), problem.unnamed),
        ([b"a", b"b", b"c"].map(|path| path.to_vec()).as_slice(), 0)
    );
}

#[test]
fn what_there_is_no_room_to_name_is_counted() {
    let mut findings = Findings::with_room(2 * (NAME_OVERHEAD + 1) + 32);
    findings.add("pack", "is missing", Place::Beside);
    findings.add("block", "does not open", Place::Beside);
    findings.touches_path(0, b"a");
    findings.touches_path(1, b"a");
    findings.touches_path(1, b"b");
    findings.touches_path(1, b"a");
    for _ in 0..2 {
        findings.touches_snapshot(0, SnapshotId::new([1; 32]));
    }
    let [pack, block] = &findings.into_problems()[..] else { panic!() };
    assert_eq!((pack.paths.len(), pack.unnamed, pack.snapshots.len(), pack.snapshots_total), (1, 0, 1, 2));
    assert_eq!((block.paths.len(), block.unnamed), (1, 1));
}
