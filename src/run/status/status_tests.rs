use super::*;
use crate::format::log::{Action, Body, SnapshotAction};
use crate::id::{SnapshotId, WriterId};
use crate::ops::retention::Tier;

const SERIES: SeriesId = SeriesId::new([7; 32]);

/// A log, whose entries are an hour apart.
fn log(actions: Vec<Action>) -> State {
    let mut state = State::default();
    for (seq, action) in (1u64..).zip(actions) {
        let body = Body {
            previous: [0; 32],
            token: [0; 16],
            writer: WriterId::new([0; 16]),
            time: Time { seconds: seq as i64 * 3600, nanos: 0 },
            action,
            extension: Vec::new(),
        };
        state.apply(seq, [0; 32], &body);
    }
    state
}

fn snapshot(name: u8) -> Action {
    Action::Snapshot(SnapshotAction {
        snapshot: SnapshotId::new([name; 32]),
        series: SERIES,
        started: Time::default(),
        complete: true,
        tags: vec![Tier::Last.name().to_owned()],
        packs: Vec::new(),
        rescue: Vec::new(),
        record: Vec::new(),
    })
}

fn note(snapshot: u8, name: &str, value: &str) -> Action {
    Action::Note { snapshot: SnapshotId::new([snapshot; 32]), name: name.to_owned(), value: value.to_owned() }
}

/// When the last drill was, by the number of its entry, of which snapshot, and whether it proved it.
fn drilled(actions: Vec<Action>) -> Option<(i64, u8, bool)> {
    let drill = last_drill(&log(actions), SERIES)?;
    Some((drill.time.seconds / 3600, u8::from_str_radix(&drill.snapshot[..2], 16).unwrap(), drill.proven))
}

#[test]
fn the_last_drill_is_the_newest_note_of_one_whichever_snapshot_it_is_of() {
    let (name, proven) = DRILL;
    assert_eq!(drilled(vec![snapshot(1), note(1, "other", proven)]), None);
    assert_eq!(drilled(vec![snapshot(1), note(1, name, proven), note(1, "other", "x")]), Some((2, 1, true)));
    let both = vec![snapshot(1), snapshot(2), note(2, name, proven), note(1, name, "failed: no database")];
    assert_eq!(drilled(both), Some((4, 1, false)));
}
