use super::log::{DAYS, Log, SERIES, berlin, check_policy, taken_in_order};
use super::*;
use crate::format::log::{Action, TagAction, TagChange};

#[track_caller]
fn check_days(policy: &Policy, expected: [&str; 4]) {
    check_policy(policy, &std::array::from_fn::<_, 4, _>(|n| (DAYS[n], expected[n])));
}

#[test]
fn keep_last_keeps_the_newest() {
    check_days(&Policy { last: 2, ..Policy::NOTHING }, ["", "", "last", "last"]);
    check_days(&Policy { last: 9, ..Policy::NOTHING }, ["last"; 4]);
}

#[test]
fn each_keep_option_governs_its_tier_and_tiers_not_named_count_as_none() {
    check_days(&Policy { daily: 2, ..Policy::NOTHING }, ["", "", "daily", "last daily"]);
    check_days(&Policy { weekly: 1, ..Policy::NOTHING }, ["", "", "weekly", "last"]);
    check_days(&Policy { weekly: 2, ..Policy::NOTHING }, ["weekly", "", "weekly", "last"]);
    check_days(&Policy { monthly: 1, ..Policy::NOTHING }, ["monthly", "", "", "last"]);
    check_days(&Policy { yearly: 3, ..Policy::NOTHING }, ["yearly", "", "", "last"]);
    check_days(&Policy { daily: 1, yearly: 1, ..Policy::NOTHING }, ["yearly", "", "", "last daily"]);
}

#[test]
fn a_policy_that_keeps_nothing_keeps_the_newest_complete_one() {
    check_days(&Policy::NOTHING, ["", "", "", "last"]);
    check_policy(&Policy::NOTHING, &[(DAYS[0], ""), (DAYS[1], "last"), ("2026-01-06 03:00+01 | incomplete", "")]);
}

#[test]
fn the_newest_complete_one_without_last_keeps_its_finest_tier() {
    let mut log = taken_in_order(berlin(), &DAYS);
    let change = TagChange { snapshot: Log::id(4), add: vec!["weekly".into()], remove: vec!["last".into()] };
    log.append(Action::Tag(TagAction { changes: vec![change], rescue: Vec::new() }));
    let verdicts = log.judge(&Policy::NOTHING);
    log.apply(&verdicts);
    assert_eq!(log.all_tags(), ["", "", "", "daily"]);
    assert!(!log.judge(&Policy::NOTHING).iter().any(Verdict::changes));
}

#[test]
fn within_keeps_all_tags_of_what_began_shortly_before_the_newest() {
    let within = |span| Policy { within: Some(span), ..Policy::NOTHING };
    check_days(&within(Span::new().days(1)), ["", "", "last daily weekly", "last daily"]);
    check_days(&within(Span::new().days(4)), ["", "last daily", "last daily weekly", "last daily"]);
    check_days(&within(Span::new().hours(23)), ["", "", "", "last daily"]);
    check_days(&within(Span::new().years(15_000)), DAYS_AS_TAKEN);
}

const DAYS_AS_TAKEN: [&str; 4] = ["last daily weekly monthly yearly", "last daily", "last daily weekly", "last daily"];

#[test]
fn within_counts_calendar_days_across_a_change_of_the_clock() {
    // From Saturday 12:00 to Sunday 12:00 are 23 hours that day.
    let lines = |first| [("2026-03-28 12:00+01", first), ("2026-03-29 12:00+02", "last daily")];
    let all = "last daily weekly monthly yearly";
    check_policy(&Policy { within: Some(Span::new().days(1)), ..Policy::NOTHING }, &lines(all));
    check_policy(&Policy { within: Some(Span::new().hours(23)), ..Policy::NOTHING }, &lines(all));
    check_policy(&Policy { within: Some(Span::new().hours(22)), ..Policy::NOTHING }, &lines(""));
}

#[test]
fn within_keeps_what_a_wrong_clock_put_behind_the_newest() {
    check_policy(
        &Policy { within: Some(Span::new().days(1)), ..Policy::NOTHING },
        &[
            ("2026-01-01 03:00+01", ""),
            ("2099-01-01 03:00+01", "last daily weekly monthly yearly"),
            ("2026-01-06 03:00+01", "last daily weekly"),
        ],
    );
}

#[test]
fn keep_tag_keeps_all_tags_of_the_snapshots_that_have_it() {
    let policy = Policy { keep_tags: vec!["monthly".into(), "pre-upgrade".into()], ..Policy::NOTHING };
    check_policy(
        &policy,
        &[
            ("2026-01-01 03:00+01", "last daily weekly monthly yearly"),
            ("2026-01-02 03:00+01 | pre-upgrade", "last daily pre-upgrade"),
            ("2026-01-03 03:00+01", ""),
            ("2026-01-05 03:00+01", "last"),
        ],
    );
}

#[test]
fn tags_that_people_named_stay_whatever_the_policy() {
    check_policy(
        &Policy { last: 1, ..Policy::NOTHING },
        &[("2026-01-01 03:00+01 | legal pre-upgrade", "legal pre-upgrade"), ("2026-01-02 03:00+01", "last")],
    );
}

#[test]
fn a_most_number_is_applied_last_and_takes_the_oldest_first() {
    let lines = |kept: [&'static str; 5]| {
        [
            ("2026-01-01 03:00+01", kept[0]),
            ("2026-01-02 03:00+01 | legal", kept[1]),
            ("2026-01-03 03:00+01", kept[2]),
            ("2026-01-04 03:00+01", kept[3]),
            ("2026-01-05 03:00+01", kept[4]),
        ]
    };
    let policy = |max_count| Policy { last: 4, yearly: 1, max_count: Some(max_count), ..Policy::NOTHING };
    check_policy(&policy(5), &lines(["yearly", "last legal", "last", "last", "last"]));
    check_policy(&policy(4), &lines(["", "last legal", "last", "last", "last"]));
    // A name holds the second one, whatever the number, and it counts.
    check_policy(&policy(3), &lines(["", "last legal", "", "last", "last"]));
    check_policy(&policy(1), &lines(["", "last legal", "", "", "last"]));
}

#[test]
fn a_most_number_spares_the_newest_complete_one() {
    check_policy(
        &Policy { last: 9, max_count: Some(1), ..Policy::NOTHING },
        &[
            ("2026-01-01 03:00+01", ""),
            ("2026-01-02 03:00+01", "last"),
            ("2026-01-03 03:00+01 | incomplete", ""),
            ("2026-01-04 03:00+01 | incomplete", ""),
        ],
    );
}

#[test]
fn incomplete_ones_take_no_place_from_complete_ones() {
    let policy = Policy { last: 2, ..Policy::NOTHING };
    check_policy(
        &policy,
        &[
            ("2026-01-01 03:00+01", ""),
            ("2026-01-02 03:00+01 | incomplete", ""),
            ("2026-01-03 03:00+01", "last"),
            ("2026-01-04 03:00+01 | incomplete", ""),
            ("2026-01-05 03:00+01 | incomplete", "last"),
            ("2026-01-06 03:00+01", "last"),
            ("2026-01-07 03:00+01 | incomplete", "last"),
        ],
    );
    // While places are left, an old incomplete one may stay.
    check_policy(
        &policy,
        &[
            ("2026-01-01 03:00+01 | incomplete", ""),
            ("2026-01-02 03:00+01 | incomplete", "last"),
            ("2026-01-03 03:00+01 | incomplete", "last"),
            ("2026-01-04 03:00+01", "last"),
        ],
    );
    // A tier forced on an incomplete one.
    check_policy(
        &Policy { weekly: 1, ..Policy::NOTHING },
        &[
            ("2026-01-05 03:00+01", "weekly"),
            ("2026-01-06 03:00+01 | incomplete weekly", "weekly"),
            ("2026-01-07 03:00+01", "last"),
        ],
    );
}

#[test]
fn forced_holders_count_as_holders() {
    check_policy(
        &Policy { weekly: 2, ..Policy::NOTHING },
        &[
            ("2026-01-01 03:00+01", ""),
            ("2026-01-05 03:00+01", "weekly"),
            ("2026-01-06 03:00+01 | weekly", "last weekly"),
        ],
    );
}

#[test]
fn every_verdict_says_which_rule_kept_or_dropped_each_tag() {
    let lines = ["2026-01-01 03:00+01", "2026-01-02 03:00+01 | legal", DAYS[2], DAYS[3]];
    let log = taken_in_order(berlin(), &lines);
    let policy = Policy { daily: 2, within: Some(Span::new().hours(1)), ..Policy::NOTHING };
    let said = |policy: &Policy| -> Vec<String> {
        let words = |verdict: &Verdict| {
            let kept = verdict.keeps.iter().map(|kept| format!("+{kept}"));
            let dropped = verdict.drops.iter().map(|dropped| format!("-{dropped}"));
            kept.chain(dropped).collect::<Vec<_>>().join(", ")
        };
        log.judge(policy).iter().map(words).collect()
    };
    let none = "not kept by this policy";
    assert_eq!(
        said(&policy),
        [
            format!("-last: {none}, -daily: beyond the newest 2, -weekly: {none}, -monthly: {none}, -yearly: {none}"),
            format!("+legal: named by hand, -last: {none}, -daily: beyond the newest 2"),
            format!("+daily: among the newest 2, -last: {none}, -weekly: {none}"),
            "+last: recent enough, +daily: among the newest 2".into(),
        ]
    );
    let beside = Policy { keep_tags: vec!["legal".into()], ..Policy::NOTHING };
    assert_eq!(said(&beside)[1], "+last: beside legal, +daily: beside legal, +legal: named by hand");
    assert_eq!(said(&beside)[3], format!("+last: newest complete, -daily: {none}"));
}

/// Five days, of which these were proven.
fn days(proven: &[usize]) -> Vec<Taken> {
    let day = |at: usize| Taken {
        id: SnapshotId::new([at as u8; 32]),
        started: Time { seconds: 1_767_236_400 + at as i64 * 86_400, nanos: 0 },
        complete: true,
        tags: BTreeSet::from(["last".to_owned()]),
        proven: proven.contains(&at),
    };
    (0..5).map(day).collect()
}

#[test]
fn the_newest_proven_one_stays_whatever_the_policy() {
    let kept = |policy: &Policy, proven: &[usize]| -> Vec<usize> {
        let verdicts = judge(&days(proven), policy, &berlin());
        (0..5).filter(|&at| verdicts[at].stays()).collect()
    };
    let last_two = Policy { last: 2, ..Policy::NOTHING };
    assert_eq!(kept(&last_two, &[]), [3, 4]);
    assert_eq!(kept(&last_two, &[0, 1]), [1, 3, 4]);
    assert_eq!(kept(&last_two, &[3]), [3, 4]);
    let at_most_one = Policy { last: 9, max_count: Some(1), ..Policy::NOTHING };
    assert_eq!(kept(&at_most_one, &[0, 1]), [1, 4]);
    let verdicts = judge(&days(&[1]), &last_two, &berlin());
    assert_eq!(verdicts[1].keeps, [Kept { tag: "last".to_owned(), rule: Rule::NewestProven }]);
}

#[test]
fn the_last_drill_says_whether_a_snapshot_is_proven() {
    let proven = |values: &[&str]| {
        let note = |value: &&str| (DRILL.0.to_owned(), (*value).to_owned());
        let notes = values.iter().map(note).chain([("other".to_owned(), DRILL.1.to_owned())]).collect();
        Taken::from(&Snapshot {
            id: SnapshotId::new([1; 32]),
            seq: 1,
            series: SERIES,
            started: Time::default(),
            complete: true,
            tags: BTreeSet::new(),
            record: Vec::new(),
            forgotten: None,
            notes,
            noted: BTreeMap::new(),
        })
        .proven
    };
    assert!(!proven(&[]) && proven(&[DRILL.1]) && !proven(&[DRILL.1, "failed"]) && proven(&["failed", DRILL.1]));
}
