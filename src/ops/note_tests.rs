use super::*;
use crate::ops::history::{Backup, HOUR, History, at};
use crate::ops::snapshots::{Filter, list};

fn standings(history: &History) -> Vec<Standing> {
    let listing = list(&history.repo, &Filter::default(), std::time::Duration::ZERO).unwrap();
    listing.rows.iter().map(|row| row.standing).collect()
}

#[test]
fn what_is_noted_last_of_a_drill_counts_more_than_that_it_was_verified() {
    use Standing::{DrillFailed, Proven, Stored, Verified};
    let history = History::new();
    let back_up = |time| history.back_up(&Backup { started: at(time), ..Backup::default() });
    let all: Vec<SnapshotId> = (0..4).map(|hour| back_up(hour * HOUR)).collect();
    assert_eq!(standings(&history), [Stored; 4]);
    let before = history.repo.state().head;
    verified(&history.repo, &all[..3], at(0)).unwrap();
    assert_eq!(
        (standings(&history), history.repo.state().head),
        (vec![Verified, Verified, Verified, Stored], before + 1)
    );
    drilled(&history.repo, all[0], Ok(()), at(0)).unwrap();
    drilled(&history.repo, all[1], Err("no such table"), at(0)).unwrap();
    drilled(&history.repo, all[3], Err(&"ä".repeat(1000)), at(0)).unwrap();
    assert_eq!(standings(&history), [Proven, DrillFailed, Verified, DrillFailed]);
    drilled(&history.repo, all[0], Err("later"), at(0)).unwrap();
    drilled(&history.repo, all[1], Ok(()), at(0)).unwrap();
    assert_eq!(standings(&history), [DrillFailed, Proven, Verified, DrillFailed]);
    let state = history.repo.state();
    assert_eq!(state.snapshot(&all[1]).unwrap().notes[0].1, "failed: no such table");
    // Nothing to note: nothing is appended.
    verified(&history.repo, &[], at(0)).unwrap();
    assert_eq!(history.repo.state().head, state.head);
    let nobody = SnapshotId::new([7; 32]);
    assert!(matches!(drilled(&history.repo, nobody, Ok(()), at(0)), Err(Error::NoSnapshot(_))));
}

#[test]
fn a_note_holds_no_more_than_it_may() {
    let history = History::new();
    let id = history.back_up(&Backup { started: at(0), ..Backup::default() });
    let before = history.repo.state().head;
    verified(&history.repo, &vec![id; IDS_MAX + 1], at(0)).unwrap();
    assert_eq!(history.repo.state().head, before + 2);
    let state = history.repo.state();
    let notes = &state.snapshot(&id).unwrap().notes;
    assert!(notes.iter().all(|(_, value)| value.len() as u64 <= NOTE_BYTES_MAX));
}
