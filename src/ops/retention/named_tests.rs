use super::log::{DAYS, Log, berlin, taken_in_order};
use super::*;

/// What is left of these once the ones with these numbers are forgotten.
#[track_caller]
fn check_forget(numbers: &[usize], lines: &[(&str, &str)]) {
    let mut log = taken_in_order(berlin(), &lines.iter().map(|(line, _)| *line).collect::<Vec<_>>());
    log.forget(numbers).unwrap();
    let expected: Vec<_> = lines.iter().map(|(_, tags)| (*tags).to_owned()).collect();
    assert_eq!(log.all_tags(), expected);
}

#[test]
fn forgetting_a_holder_hands_its_places_to_the_next_complete_one() {
    check_forget(
        &[1],
        &[
            ("2026-01-01 03:00+01 | pre-upgrade", ""),
            ("2026-01-01 04:00+01 | incomplete", "last"),
            ("2026-01-01 05:00+01", "last daily weekly monthly yearly"),
            ("2026-01-02 03:00+01", "last daily"),
        ],
    );
    // Each place goes to the next one of its own period.
    check_forget(
        &[1],
        &[
            ("2026-01-01 03:00+01", ""),
            ("2026-01-02 03:00+01", "last daily weekly monthly yearly"),
            ("2026-02-01 03:00+01", "last daily weekly monthly"),
        ],
    );
    check_forget(
        &[1, 2],
        &[
            ("2026-01-01 03:00+01", ""),
            ("2026-01-02 03:00+01", ""),
            ("2026-01-05 03:00+01", "last daily weekly monthly yearly"),
            ("2026-01-05 05:00+01", "last"),
        ],
    );
}

#[test]
fn a_place_that_another_complete_one_holds_is_not_handed_on() {
    check_forget(
        &[2],
        &[
            ("2026-01-05 03:00+01", "last daily weekly monthly yearly"),
            ("2026-01-06 03:00+01 | weekly", ""),
            ("2026-01-07 03:00+01", "last daily"),
        ],
    );
    check_forget(
        &[1],
        &[
            ("2026-01-05 03:00+01", ""),
            ("2026-01-06 03:00+01", "last daily monthly yearly"),
            ("2026-01-07 03:00+01 | weekly", "last daily weekly"),
        ],
    );
}

#[test]
fn the_newest_complete_one_is_not_forgotten_by_id() {
    let mut log = taken_in_order(berlin(), &[DAYS[0], DAYS[1], "2026-01-03 03:00+01 | incomplete"]);
    let refused = log.forget(&[1, 2]).unwrap_err();
    assert_eq!(refused.snapshot, Log::id(2));
    assert_eq!(refused.to_string(), "snapshot 00000000 is the newest complete one of its series, which always stays");
    log.forget(&[1, 3]).unwrap();
    assert_eq!(log.all_tags(), ["", "last daily weekly monthly yearly", ""]);
}

#[test]
fn forgetting_by_id_speaks_only_of_what_changes() {
    let log = taken_in_order(berlin(), &["2026-01-01 03:00+01", "2026-01-01 04:00+01", DAYS[2], DAYS[3]]);
    let verdicts = judge_named(&log.taken(), &BTreeSet::from([Log::id(1)]), &berlin()).unwrap();
    assert_eq!(verdicts.iter().map(|verdict| verdict.snapshot).collect::<Vec<_>>(), [Log::id(1), Log::id(2)]);
    assert!(!verdicts[0].stays());
    assert_eq!(verdicts[1].gains, ["daily", "weekly", "monthly", "yearly"]);
    assert!(judge_named(&log.taken(), &BTreeSet::new(), &berlin()).unwrap().is_empty());
}
