use super::*;

const HOUR: i64 = 60 * 60;

fn at(hours: f64) -> Time {
    Time { seconds: 1_000_000 * HOUR + (hours * HOUR as f64) as i64, nanos: 0 }
}

/// Done at hour 0, which takes ten minutes; wanted every day, and never older than 26 hours.
fn daily(now: f64) -> Facts {
    Facts {
        now: at(now),
        max_age: Some(Duration::from_secs(26 * 60 * 60)),
        last: Some(at(0.0)),
        expected: Some(at(24.0)),
        takes_seconds: 600.0,
        failed: false,
    }
}

fn stands(facts: Facts) -> Objective {
    let (objective, reason) = judge(&facts);
    assert_eq!(reason.is_some(), matches!(objective, Objective::AtRisk | Objective::Missed), "{reason:?}");
    objective
}

#[test]
fn it_is_met_while_the_next_run_comes_in_time_and_missed_when_the_age_is_over() {
    for (now, objective) in [
        (0.0, Objective::Met),
        (23.9, Objective::Met),
        // The run is under way.
        (24.1, Objective::Met),
        // It was due more than an hour ago, and left nothing.
        (25.1, Objective::AtRisk),
        (26.0, Objective::AtRisk),
        (26.1, Objective::Missed),
    ] {
        assert_eq!(stands(daily(now)), objective, "{now}");
    }
}

#[test]
fn a_schedule_that_cannot_meet_it_is_a_risk_from_the_beginning() {
    let max_age = Some(Duration::from_secs(20 * 60 * 60));
    assert_eq!(stands(Facts { max_age, ..daily(1.0) }), Objective::AtRisk);
    // It begins in time and ends too late.
    assert_eq!(stands(Facts { takes_seconds: 2.1 * 3600.0, ..daily(1.0) }), Objective::AtRisk);
    assert_eq!(stands(Facts { takes_seconds: 1.9 * 3600.0, ..daily(1.0) }), Objective::Met);
}

#[test]
fn without_a_schedule_four_fifths_of_the_age_are_the_limit() {
    let unscheduled = |now| Facts { expected: None, ..daily(now) };
    assert_eq!(stands(unscheduled(20.7)), Objective::Met);
    assert_eq!(stands(unscheduled(20.9)), Objective::AtRisk);
    assert_eq!(stands(unscheduled(26.1)), Objective::Missed);
}

#[test]
fn what_never_succeeded_is_missed_and_without_an_objective_nothing_is() {
    assert_eq!(stands(Facts { last: None, expected: None, ..daily(0.0) }), Objective::Missed);
    assert_eq!(stands(Facts { last: None, max_age: None, ..daily(0.0) }), Objective::None);
    assert_eq!(stands(Facts { max_age: None, ..daily(900.0) }), Objective::None);
}

#[test]
fn a_failure_and_a_clock_that_was_set_back_are_risks() {
    assert_eq!(stands(Facts { failed: true, ..daily(1.0) }), Objective::AtRisk);
    assert_eq!(stands(daily(-1.0)), Objective::AtRisk);
    assert_eq!(stands(daily(-0.05)), Objective::Met);
}
