use super::log::End::Complete;
use super::log::{Log, OTHER, SERIES, at, berlin, check_policy, check_tags, taken_in_order};
use super::*;

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
