//! The doubles do what the tests that rely on them believe.

use std::sync::Arc;

use larder::storage::memory::Memory;
use larder::storage::{ErrorKind, Storage};

use crate::storage_contract::cases::{listed, name};
use crate::support::CallKind;
use crate::support::crashing::{Crashing, Stop, Unsynced};
use crate::support::failing::{Failing, Fault, Lasts, Moment, Of};
use crate::support::recording::Recording;

#[test]
fn a_recording_has_every_call_in_order() {
    let recording = Recording::new(Arc::new(Memory::new()));
    recording.put_new(&name("a"), &[b"12", b"345"]).unwrap();
    recording.put_new(&name("a"), &[]).unwrap_err();
    recording.get(&name("a"), 1..3).unwrap();
    recording.get_whole(&name("b"), 9).unwrap_err();
    recording.list("", &mut |_| {}).unwrap();
    recording.delete(&name("a")).unwrap();
    recording.barrier().unwrap();
    let calls: Vec<String> = recording.calls().iter().map(ToString::to_string).collect();
    let expected = [
        "PutNew a 5",
        "PutNew a 0 AlreadyExists",
        "Get a 1+2",
        "GetWhole b 0 NotFound",
        "List  1",
        "Delete a",
        "Barrier",
    ];
    assert_eq!(calls, expected);
    assert_eq!(recording.changes(), ["PutNew a 5", "PutNew a 0 AlreadyExists", "Delete a", "Barrier"]);
    assert_eq!(recording.take().len(), 7);
    assert!(recording.calls().is_empty());
}

/// Puts four objects through a failing storage. The kinds of failure, and what is stored afterwards.
fn put_four(fault: Fault) -> (Vec<Option<ErrorKind>>, Vec<String>) {
    let memory = Memory::new();
    let failing = Failing::new(Arc::new(memory.clone()), fault);
    let put = |text| failing.put_new(&name(text), &[]).err().map(|error| error.kind);
    let kinds = ["a", "b", "c", "d"].map(put).to_vec();
    assert_eq!(failing.calls(), 4);
    (kinds, listed(&memory, ""))
}

#[test]
fn a_fault_hits_one_call_or_all_from_then_on() {
    let fault = Fault { at: 2, of: Of::Every, kind: ErrorKind::NoSpace, lasts: Lasts::Once, moment: Moment::Before };
    let failed = Some(ErrorKind::NoSpace);
    assert_eq!(put_four(fault), (vec![None, None, failed, None], vec!["a 0".into(), "b 0".into(), "d 0".into()]));
    let sticky = Fault { lasts: Lasts::FromThenOn, ..fault };
    assert_eq!(put_four(sticky), (vec![None, None, failed, failed], vec!["a 0".into(), "b 0".into()]));
}

#[test]
fn a_lost_reply_leaves_the_call_done() {
    let fault = Fault { at: 3, of: Of::Changes, kind: ErrorKind::Other, lasts: Lasts::Once, moment: Moment::After };
    let (kinds, stored) = put_four(fault);
    assert_eq!(kinds, [None, None, None, Some(ErrorKind::Other)]);
    assert_eq!(stored.len(), 4);
}

#[test]
fn a_fault_may_count_calls_of_one_kind_only() {
    let of = Of::Kind(CallKind::Barrier);
    let fault = Fault { at: 0, of, kind: ErrorKind::Other, lasts: Lasts::Once, moment: Moment::Before };
    let failing = Failing::new(Arc::new(Memory::new()), fault);
    failing.put_new(&name("a"), &[]).unwrap();
    assert_eq!(failing.barrier().unwrap_err().call, "sync");
    failing.barrier().unwrap();
    assert_eq!(failing.calls(), 2);
}

/// One object is there before; then two puts, a barrier, two puts, a delete.
fn run(stop: Stop) -> Crashing {
    let memory = Memory::new();
    memory.put_raw(&name("old"), b"");
    let crashing = Crashing::new(memory, stop);
    let put = |text| crashing.put_new(&name(text), &[]);
    let work = || {
        put("a")?;
        put("b")?;
        crashing.barrier()?;
        put("c")?;
        crashing.get(&name("c"), 0..0)?;
        put("d")?;
        crashing.delete(&name("old"))
    };
    assert_eq!(work().is_err(), crashing.stopped());
    crashing
}

fn left(crashing: &Crashing, unsynced: Unsynced) -> String {
    listed(&crashing.survivors(unsynced), "").join(" ").replace(" 0", "")
}

#[test]
fn a_machine_stops_after_so_many_calls_and_stays_stopped() {
    let whole = run(Stop::Never);
    assert_eq!((whole.calls(), whole.changes(), whole.stopped()), (7, 6, false));
    for (stop, kept, lost) in [
        (Stop::AfterCalls(0), "old", "old"),
        (Stop::AfterCalls(2), "a b old", "old"),
        (Stop::AfterCalls(3), "a b old", "a b old"),
        (Stop::AfterCalls(4), "a b c old", "a b old"),
        (Stop::AfterCalls(5), "a b c old", "a b old"),
        (Stop::AfterChanges(5), "a b c d old", "a b old"),
    ] {
        let crashing = run(stop);
        assert!(crashing.stopped() && crashing.get(&name("old"), 0..0).is_err(), "{stop:?}");
        assert_eq!(left(&crashing, Unsynced::Kept), kept, "{stop:?}");
        assert_eq!(left(&crashing, Unsynced::Lost), lost, "{stop:?}");
    }
}

#[test]
fn unsynced_changes_survive_as_asked() {
    let crashing = run(Stop::Never);
    assert_eq!(left(&crashing, Unsynced::Kept), "a b c d");
    assert_eq!(left(&crashing, Unsynced::Lost), "a b old");
    assert_eq!(left(&crashing, Unsynced::OnlyLast), "a b");
    let scattered = |seed| left(&crashing, Unsynced::Scattered(seed));
    assert_eq!(scattered(1), scattered(1));
    let mut outcomes: Vec<String> = (0..200).map(scattered).collect();
    outcomes.sort();
    outcomes.dedup();
    assert_eq!(outcomes.len(), 8, "two puts and a delete, each there or not: {outcomes:?}");
}
