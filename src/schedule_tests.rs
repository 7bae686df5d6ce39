use proptest::prelude::*;

use super::*;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn next(expression: &str, zone: &str, after: &str) -> String {
    let expression: Expression = expression.parse().unwrap();
    expression.next(at(after), &zone.parse().unwrap()).unwrap().to_string()
}

#[test]
fn the_next_time_is_the_first_that_matches_after_the_given_one() {
    for (expression, after, expected) in [
        ("0 2 * * *", "2026-03-01T01:59:59Z", "2026-03-01T02:00:00Z"),
        ("0 2 * * *", "2026-03-01T02:00:00Z", "2026-03-02T02:00:00Z"),
        ("*/15 * * * *", "2026-03-01T02:07:00Z", "2026-03-01T02:15:00Z"),
        ("5/20 * * * *", "2026-03-01T02:26:00Z", "2026-03-01T02:45:00Z"),
        ("0 3 * * sun", "2026-11-26T00:00:00Z", "2026-11-29T03:00:00Z"),
        ("0 3 * * 7", "2026-11-26T00:00:00Z", "2026-11-29T03:00:00Z"),
        ("0 0 31 * *", "2026-04-01T00:00:00Z", "2026-05-31T00:00:00Z"),
        ("0 0 29 2 *", "2026-01-01T00:00:00Z", "2028-02-29T00:00:00Z"),
        ("0 0 1 jan-mar/2 *", "2026-01-02T00:00:00Z", "2026-03-01T00:00:00Z"),
        ("59 23 31 12 *", "2026-12-31T23:59:00Z", "2027-12-31T23:59:00Z"),
        ("@weekly", "2026-11-26T00:00:00Z", "2026-11-29T00:00:00Z"),
    ] {
        assert_eq!(next(expression, "UTC", after), expected, "{expression} after {after}");
    }
}

#[test]
fn with_both_kinds_of_days_either_will_do() {
    assert_eq!(next("0 0 13 * fri", "UTC", "2026-11-26T12:00:00Z"), "2026-11-27T00:00:00Z");
    assert_eq!(next("0 0 13 * fri", "UTC", "2026-12-12T12:00:00Z"), "2026-12-13T00:00:00Z");
}

#[test]
fn a_time_that_a_clock_change_skips_comes_after_the_gap() {
    // On 29 March 2026 the clocks of Berlin go from 02:00 to 03:00.
    assert_eq!(next("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z"), "2026-03-29T01:30:00Z");
    assert_eq!(next("30 2 * * *", "Europe/Berlin", "2026-03-29T01:30:00Z"), "2026-03-30T00:30:00Z");
}

#[test]
fn after_a_gap_of_half_an_hour_the_order_is_that_of_the_moments() {
    // On 4 October 2026 the clocks of Lord Howe go from 02:00 to 02:30: 02:25 counts as 02:55, after 02:33.
    for (after, expected) in [
        ("2026-10-03T10:00:00Z", "2026-10-03T15:33:00Z"),
        ("2026-10-03T15:33:00Z", "2026-10-03T15:55:00Z"),
        ("2026-10-03T15:55:00Z", "2026-10-04T15:25:00Z"),
    ] {
        assert_eq!(next("25,33 2 * * *", "Australia/Lord_Howe", after), expected, "after {after}");
    }
    let expression: Expression = "25,33 2 * * *".parse().unwrap();
    let (from, until) = (at("2026-01-01T00:00:00Z"), at("2028-01-01T00:00:00Z"));
    let skipped = expression.skipped(&"Australia/Lord_Howe".parse().unwrap(), from, until);
    assert_eq!(skipped, [at("2026-10-03T15:55:00Z"), at("2027-10-02T15:55:00Z")]);
    assert_eq!(expression.skipped(&Zone::UTC, from, until), []);
    assert!("Etc/UTC".parse::<Zone>().unwrap().is_like(&Zone::UTC));
    assert!(!"Europe/London".parse::<Zone>().unwrap().is_like(&Zone::UTC));
}

#[test]
fn a_time_that_happens_twice_counts_once() {
    // On 25 October 2026 the clocks of Berlin go from 03:00 back to 02:00.
    assert_eq!(next("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z"), "2026-10-25T00:30:00Z");
    assert_eq!(next("30 2 * * *", "Europe/Berlin", "2026-10-25T00:30:00Z"), "2026-10-26T01:30:00Z");
    // Asked in the second of the two hours.
    assert_eq!(next("30 2 * * *", "Europe/Berlin", "2026-10-25T01:10:00Z"), "2026-10-26T01:30:00Z");
}

#[test]
fn what_is_no_expression_is_refused_with_the_field() {
    for (text, part) in [
        ("0 2 * *", "4 fields"),
        ("", "0 fields"),
        ("60 2 * * *", "no minute"),
        ("0 24 * * *", "no hour"),
        ("0 0 0 * *", "no day of the month"),
        ("0 0 * 13 *", "no month"),
        ("0 0 * * 8", "no day of the week"),
        ("0 0 * * montag", "no day of the week"),
        ("*/0 * * * *", "no minute"),
        ("5-1 * * * *", "no minute"),
        ("+5 * * * *", "no minute"),
        ("0 0 30 2 *", "never happens"),
        ("0 0 31 4,6,9,11 *", "never happens"),
    ] {
        let error = text.parse::<Expression>().unwrap_err();
        assert!(error.contains(part), "{text}: {error}");
    }
}

proptest! {
    #[test]
    fn arbitrary_text_never_panics(text in "[0-9*/, a-z@-]{0,24}") {
        let _ = text.parse::<Expression>();
    }

    #[test]
    fn what_is_next_is_later_and_has_none_before_it(
        minute in 0u32..60, hour in 0u32..24, seconds in 1_700_000_000i64..1_900_000_000,
    ) {
        let zone: Zone = "America/New_York".parse().unwrap();
        let daily: Expression = format!("{minute} {hour} * * *").parse().unwrap();
        let after = Timestamp::from_second(seconds).unwrap();
        let next = daily.next(after, &zone).unwrap();
        prop_assert!(next > after);
        // Once a day, give or take the clock change.
        prop_assert!(next.as_second() - seconds <= 25 * 3600);
        let again = daily.next(next, &zone).unwrap();
        prop_assert!(again.as_second() - next.as_second() >= 23 * 3600);
    }
}
