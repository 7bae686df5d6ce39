use std::str::FromStr;

use proptest::prelude::*;

use End::{Complete, Incomplete};

use super::*;
use crate::format::log::{Action, Body, SnapshotAction, TagAction, TagChange};
use crate::id::{SeriesId, WriterId};

const SERIES: SeriesId = SeriesId::new([1; 32]);
const OTHER: SeriesId = SeriesId::new([2; 32]);

fn berlin() -> Calendar {
    Calendar::new("Europe/Berlin", WeekStart::Monday).unwrap()
}

/// `2026-03-29 02:30 UTC`, or of an offset: `2026-03-29 02:30+01`.
fn at(text: &str) -> Time {
    let text = text.replace(" UTC", "Z");
    Time { seconds: Timestamp::from_str(&text).unwrap().as_second(), nanos: 0 }
}

/// Whether everything could be read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Complete,
    Incomplete,
}

/// A log in memory. Snapshots are named by their number, counted from 1.
struct Log {
    calendar: Calendar,
    state: State,
}

impl Log {
    fn new(calendar: Calendar) -> Self {
        Self { calendar, state: State::default() }
    }

    fn append(&mut self, action: Action) {
        let (previous, token, extension) = ([0; 32], [0; 16], Vec::new());
        let body = Body { previous, token, writer: WriterId::new([0; 16]), time: Time::default(), action, extension };
        self.state.apply(self.state.head + 1, [0; 32], &body);
    }

    fn id(number: usize) -> SnapshotId {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&(number as u64).to_be_bytes());
        SnapshotId::new(bytes)
    }

    fn back_up_as(&mut self, series: SeriesId, started: Time, end: End, given: &[&str]) -> String {
        let given: Vec<String> = given.iter().map(|&tag| tag.to_owned()).collect();
        let (snapshot, complete) = (Self::id(self.state.snapshots().len() + 1), end == Complete);
        let draft = Draft { snapshot, series, started, complete, parent: None };
        let tags = tags_for_new(&self.state, &self.calendar, &draft, &given);
        let (packs, rescue, record) = (Vec::new(), Vec::new(), Vec::new());
        let joined = tags.join(" ");
        self.append(Action::Snapshot(SnapshotAction {
            snapshot,
            series,
            started,
            complete,
            tags,
            packs,
            rescue,
            record,
        }));
        joined
    }

    fn back_up(&mut self, started: Time) -> String {
        self.back_up_as(SERIES, started, Complete, &[])
    }

    fn taken(&self) -> Vec<Taken> {
        self.state.live().filter(|snapshot| snapshot.series == SERIES).map(Taken::from).collect()
    }

    fn judge(&self, policy: &Policy) -> Vec<Verdict> {
        judge(&self.taken(), policy, &self.calendar)
    }

    fn apply(&mut self, verdicts: &[Verdict]) {
        let changes = verdicts.iter().map(|verdict| TagChange {
            snapshot: verdict.snapshot,
            add: verdict.gains.clone(),
            remove: verdict.drops.iter().map(|dropped| dropped.tag.clone()).collect(),
        });
        self.append(Action::Untag(TagAction { changes: changes.collect(), rescue: Vec::new() }));
    }

    fn forget(&mut self, numbers: &[usize]) -> Result<(), AlwaysStays> {
        let named = numbers.iter().map(|&number| Self::id(number)).collect();
        let verdicts = judge_named(&self.taken(), &named, &self.calendar)?;
        self.apply(&verdicts);
        Ok(())
    }

    /// The tags of a snapshot, from fine to coarse.
    fn tags(&self, number: usize) -> String {
        in_order(&self.state.snapshots()[number - 1].tags).collect::<Vec<_>>().join(" ")
    }

    fn all_tags(&self) -> Vec<String> {
        (1..=self.state.snapshots().len()).map(|number| self.tags(number)).collect()
    }

    fn holders(&self, tier: Tier) -> Vec<usize> {
        (1..=self.state.snapshots().len())
            .filter(|number| self.state.snapshots()[number - 1].tags.contains(tier.name()))
            .collect()
    }
}

/// One snapshot as a test writes it: its start, then `incomplete` or tags given by hand.
fn taken_in_order(calendar: Calendar, lines: &[&str]) -> Log {
    let mut log = Log::new(calendar);
    for line in lines {
        let (time, rest) = line.split_once(" | ").unwrap_or((line, ""));
        let (incomplete, given): (Vec<&str>, Vec<&str>) = rest.split_whitespace().partition(|&w| w == "incomplete");
        let end = if incomplete.is_empty() { Complete } else { Incomplete };
        log.back_up_as(SERIES, at(time), end, &given);
    }
    log
}

/// What each snapshot of these gets as it is taken.
#[track_caller]
fn check_tags(calendar: Calendar, lines: &[(&str, &str)]) {
    let log = taken_in_order(calendar, &lines.iter().map(|(line, _)| *line).collect::<Vec<_>>());
    let expected: Vec<_> = lines.iter().map(|(_, tags)| (*tags).to_owned()).collect();
    assert_eq!(log.all_tags(), expected);
}

/// What a policy leaves of these.
#[track_caller]
fn check_policy(policy: &Policy, lines: &[(&str, &str)]) {
    let mut log = taken_in_order(berlin(), &lines.iter().map(|(line, _)| *line).collect::<Vec<_>>());
    let verdicts = log.judge(policy);
    log.apply(&verdicts);
    let expected: Vec<_> = lines.iter().map(|(_, tags)| (*tags).to_owned()).collect();
    assert_eq!(log.all_tags(), expected);
    assert!(!log.judge(policy).iter().any(Verdict::changes), "judging again changes more");
}

#[test]
fn the_first_complete_one_of_a_period_gets_its_tier() {
    check_tags(
        berlin(),
        &[
            ("2026-01-01 03:00+01", "last daily weekly monthly yearly"),
            ("2026-01-01 23:59+01", "last"),
            ("2026-01-02 00:00+01", "last daily"),
            ("2026-01-04 23:00+01", "last daily"),
            ("2026-01-05 03:00+01", "last daily weekly"),
            ("2026-02-01 03:00+01", "last daily weekly monthly"),
            ("2026-02-01 03:01+01", "last"),
            ("2026-12-31 03:00+01", "last daily weekly monthly"),
            ("2027-01-01 03:00+01", "last daily monthly yearly"),
        ],
    );
}

#[test]
fn a_week_begins_on_the_day_that_the_config_says() {
    // 2026-03-01 is a Sunday.
    let lines = |sunday, monday| {
        [
            ("2026-02-28 12:00 UTC", "last daily weekly monthly yearly"),
            ("2026-03-01 12:00 UTC", sunday),
            ("2026-03-02 12:00 UTC", monday),
        ]
    };
    let calendar = |start| Calendar::new("UTC", start).unwrap();
    check_tags(calendar(WeekStart::Monday), &lines("last daily monthly", "last daily weekly"));
    check_tags(calendar(WeekStart::Sunday), &lines("last daily weekly monthly", "last daily"));
}

#[test]
fn a_week_may_span_two_years() {
    check_tags(
        berlin(),
        &[
            ("2025-12-29 03:00+01", "last daily weekly monthly yearly"),
            ("2026-01-02 03:00+01", "last daily monthly yearly"),
            ("2026-01-04 03:00+01", "last daily"),
        ],
    );
}

#[test]
fn a_day_is_the_day_of_the_repositorys_time_zone() {
    let lines =
        |second| [("2026-06-10 21:30 UTC", "last daily weekly monthly yearly"), ("2026-06-10 22:30 UTC", second)];
    check_tags(berlin(), &lines("last daily"));
    check_tags(Calendar::new("UTC", WeekStart::Monday).unwrap(), &lines("last"));
}

#[test]
fn days_of_23_and_25_hours_are_days() {
    check_tags(
        berlin(),
        &[
            // The clock jumps from 02:00 to 03:00.
            ("2026-03-29 00:00+01", "last daily weekly monthly yearly"),
            ("2026-03-29 01:59+01", "last"),
            ("2026-03-29 03:00+02", "last"),
            ("2026-03-29 23:59+02", "last"),
            ("2026-03-30 00:00+02", "last daily weekly"),
            // The hour from 02:00 to 03:00 comes twice.
            ("2026-10-25 00:00+02", "last daily weekly monthly"),
            ("2026-10-25 02:30+02", "last"),
            ("2026-10-25 02:30+01", "last"),
            ("2026-10-25 23:59+01", "last"),
            ("2026-10-26 00:00+01", "last daily weekly"),
        ],
    );
}

#[test]
fn a_year_of_days_has_one_holder_for_each_period() {
    let mut log = Log::new(berlin());
    let first = at("2026-01-01 00:00+01").seconds;
    let end = at("2027-01-01 00:00+01").seconds;
    (first..end).step_by(6 * 3600 - 60).for_each(|seconds| drop(log.back_up(Time { seconds, nanos: 0 })));
    let count = |tier| log.holders(tier).len();
    assert_eq!(TIERS.map(count), [log.state.snapshots().len(), 365, 53, 12, 1]);
    for tier in &TIERS[1..] {
        let periods: BTreeSet<_> = log
            .state
            .live()
            .filter(|snapshot| snapshot.tags.contains(tier.name()))
            .map(|snapshot| log.calendar.period(*tier, snapshot.started))
            .collect();
        assert_eq!(periods.len(), count(*tier), "{tier:?}");
    }
}

#[test]
fn a_year_under_a_policy_ends_with_the_places_that_it_grants() {
    let policy = Policy { last: 3, daily: 7, weekly: 5, monthly: 12, yearly: 10, ..Policy::NOTHING };
    let mut log = Log::new(berlin());
    let first = at("2025-01-01 02:30+01").seconds;
    for day in 0..500 {
        log.back_up(Time { seconds: first + day * 86_400, nanos: 0 });
        let verdicts = log.judge(&policy);
        log.apply(&verdicts);
    }
    let count = |tier| log.holders(tier).len();
    assert_eq!(TIERS.map(count), [3, 7, 5, 12, 2]);
    let daily: Vec<_> = (494..=500).collect();
    assert_eq!(log.holders(Tier::Daily), daily);
}

#[test]
fn an_incomplete_one_gets_last_alone() {
    check_tags(
        berlin(),
        &[
            ("2026-01-01 03:00+01 | incomplete", "last"),
            ("2026-01-01 04:00+01", "last daily weekly monthly yearly"),
            ("2026-01-02 03:00+01 | incomplete pre-upgrade", "last pre-upgrade"),
            ("2026-01-02 04:00+01", "last daily"),
            ("2026-01-02 05:00+01", "last"),
        ],
    );
}

#[test]
fn a_tier_named_by_hand_is_forced() {
    check_tags(
        berlin(),
        &[
            ("2026-01-01 03:00+01", "last daily weekly monthly yearly"),
            ("2026-01-01 04:00+01 | weekly pre-upgrade last", "last weekly pre-upgrade"),
            ("2026-01-05 03:00+01 | incomplete weekly", "last weekly"),
            // An incomplete one takes no place from a complete one, forced or not.
            ("2026-01-05 04:00+01", "last daily weekly"),
        ],
    );
}

#[test]
fn a_clock_that_goes_backwards_changes_no_order() {
    check_tags(
        berlin(),
        &[
            ("2026-01-10 03:00+01", "last daily weekly monthly yearly"),
            ("2026-01-02 03:00+01", "last daily weekly"),
            ("2026-01-10 02:00+01", "last"),
            ("1970-01-01 12:00 UTC", "last daily weekly monthly yearly"),
        ],
    );
    check_policy(
        &Policy { last: 2, ..Policy::NOTHING },
        &[("2026-01-10 03:00+01", ""), ("2026-01-02 03:00+01", "last"), ("2026-01-01 03:00+01", "last")],
    );
}

#[test]
fn each_series_has_places_of_its_own() {
    let mut log = Log::new(berlin());
    let day = at("2026-01-01 03:00+01");
    let all = "last daily weekly monthly yearly";
    assert_eq!(log.back_up_as(SERIES, day, Complete, &[]), all);
    assert_eq!(log.back_up_as(OTHER, day, Complete, &[]), all);
    assert_eq!(log.back_up_as(OTHER, day, Complete, &[]), "last");
    assert_eq!(log.back_up_as(SERIES, day, Complete, &[]), "last");
}

#[test]
fn a_place_whose_holder_was_forgotten_is_free() {
    let mut log = taken_in_order(berlin(), &["2026-01-01 03:00+01", "2026-01-02 03:00+01"]);
    log.forget(&[1]).unwrap();
    assert_eq!(log.back_up(at("2026-01-01 05:00+01")), "last daily");
    assert_eq!(log.back_up(at("2026-01-02 05:00+01")), "last");
}

#[test]
fn times_beyond_the_calendar_have_a_period_too() {
    let calendar = berlin();
    for seconds in [i64::MIN, i64::MAX, 0] {
        for tier in TIERS {
            let period = calendar.period(tier, Time { seconds, nanos: 999_999_999 });
            assert_eq!(period.is_some(), tier != Tier::Last);
        }
    }
}

#[test]
fn an_unknown_time_zone_is_named() {
    let error = Calendar::new("Europe/Atlantis", WeekStart::Monday).unwrap_err();
    assert_eq!(error.to_string(), "the repository's time zone Europe/Atlantis is not known on this machine");
}

const DAYS: [&str; 4] = ["2026-01-01 03:00+01", "2026-01-02 03:00+01", "2026-01-05 03:00+01", "2026-01-06 03:00+01"];

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

fn any_taken() -> impl Strategy<Value = Vec<(i64, bool, Vec<&'static str>)>> {
    let tags = prop::sample::subsequence(vec!["weekly", "yearly", "legal", "daily"], 0..3);
    // Mostly hours apart, now and then a clock that jumps.
    let step = prop_oneof![8 => 0i64..40 * 3600, 1 => -400 * 86_400i64..400 * 86_400];
    prop::collection::vec((step, prop::bool::weighted(0.7), tags), 0..60)
}

fn any_policy() -> impl Strategy<Value = Policy> {
    let count = || prop_oneof![Just(0u32), 0u32..8];
    let within = prop::option::weighted(0.3, (0i64..60).prop_map(|days| Span::new().days(days)));
    let keep_tags = prop::sample::subsequence(vec!["legal".to_owned(), "weekly".to_owned()], 0..2);
    (count(), count(), count(), count(), count(), within, keep_tags).prop_map(
        |(last, daily, weekly, monthly, yearly, within, keep_tags)| Policy {
            last,
            daily,
            weekly,
            monthly,
            yearly,
            within,
            keep_tags,
        },
    )
}

fn log_of(steps: &[(i64, bool, Vec<&'static str>)]) -> Log {
    let mut log = Log::new(berlin());
    let mut seconds = at("2026-01-01 03:00+01").seconds;
    for (step, complete, given) in steps {
        seconds += step;
        let end = if *complete { Complete } else { Incomplete };
        log.back_up_as(SERIES, Time { seconds, nanos: 0 }, end, given);
    }
    log
}

proptest! {
    #[test]
    fn a_policy_never_drops_the_newest_complete_one_nor_a_tag_that_people_named(
        steps in any_taken(), policy in any_policy(),
    ) {
        let log = log_of(&steps);
        let verdicts = log.judge(&policy);
        let newest = verdicts.iter().rfind(|verdict| verdict.complete);
        prop_assert!(newest.is_none_or(Verdict::stays));
        prop_assert!(verdicts.iter().flat_map(|v| &v.drops).all(|dropped| Tier::of_tag(&dropped.tag).is_some()));
        for (verdict, taken) in verdicts.iter().zip(log.taken()) {
            let mut said: Vec<&str> = verdict.keeps.iter().map(|kept| kept.tag.as_str()).collect();
            said.extend(verdict.drops.iter().map(|dropped| dropped.tag.as_str()));
            said.sort_unstable();
            prop_assert_eq!(said, taken.tags.iter().map(String::as_str).collect::<Vec<_>>());
        }
    }

    #[test]
    fn judging_what_a_policy_left_changes_nothing_more(steps in any_taken(), policy in any_policy()) {
        let mut log = log_of(&steps);
        let verdicts = log.judge(&policy);
        log.apply(&verdicts);
        let again = log.judge(&policy);
        prop_assert!(!again.iter().any(Verdict::changes), "{:?}", again);
    }

    #[test]
    fn a_tier_keeps_as_many_complete_holders_as_it_may(steps in any_taken(), policy in any_policy()) {
        let log = log_of(&steps);
        let verdicts = log.judge(&policy);
        for tier in TIERS {
            let complete = |verdict: &&Verdict| verdict.complete;
            let kept = verdicts.iter().filter(complete).filter(|v| v.keeps.iter().any(|kept| kept.tag == tier.name()));
            let holders = log.taken().iter().filter(|one| one.complete && one.tags.contains(tier.name())).count();
            prop_assert!(kept.count() >= holders.min(policy.count(tier) as usize));
        }
    }

    #[test]
    fn forgetting_by_id_leaves_no_period_without_a_holder_that_could_have_one(
        steps in any_taken(), named in prop::collection::btree_set(1usize..60, 0..20),
    ) {
        let mut log = log_of(&steps);
        let newest = steps.iter().rposition(|(_, complete, _)| *complete).map_or(0, |at| at + 1);
        let named: Vec<usize> = named.into_iter().filter(|n| *n != newest && *n <= steps.len()).collect();
        log.forget(&named).unwrap();
        let complete: Vec<Taken> = log.taken().into_iter().filter(|one| one.complete).collect();
        for one in &complete {
            for tier in &TIERS[1..] {
                let place = log.calendar.period(*tier, one.started);
                let mut others = complete.iter().filter(|o| log.calendar.period(*tier, o.started) == place);
                prop_assert!(others.any(|other| other.tags.contains(tier.name())), "{:?} of {:?}", tier, one);
            }
        }
    }
}
