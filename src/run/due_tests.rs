use std::collections::BTreeSet;
use std::path::PathBuf;

use super::*;
use crate::config::variables::Variables;
use crate::format::listing::Owner;
use crate::progress::Silent;

const HOUR: i64 = 60 * 60;
const DAY: i64 = 24 * HOUR;
/// Midnight of a day, in UTC.
const MIDNIGHT: i64 = 20_000 * DAY;

fn at(seconds: i64) -> Time {
    Time { seconds, nanos: 0 }
}

/// Every day at two o'clock.
fn daily() -> Timetable {
    Timetable {
        cron: "0 2 * * *".parse().unwrap(),
        zone: "UTC".parse().unwrap(),
        enabled: true,
        jitter: Duration::ZERO,
        missed: Missed::Run,
        on_start: OnStart::Wait,
        retry: None,
    }
}

fn asked(timetable: &Timetable, last: Option<i64>, now: i64, booted: Option<i64>, name: &str) -> bool {
    let variables = Variables::default();
    let owner = Owner { uid: 0, gid: 0, user: b""[..].into(), group: b""[..].into() };
    let world = World {
        now: &|| at(now),
        variables: &variables,
        host: "here".to_owned(),
        owner,
        threads: 1,
        booted: booted.map(at),
        memory: None,
        configuration: String::new(),
        own: Vec::<PathBuf>::new(),
        skip: Vec::new(),
        observer: &Silent,
    };
    is_due(timetable, last.map(at), name, &world)
}

fn due(timetable: &Timetable, last: i64, now: i64) -> bool {
    asked(timetable, Some(last), now, None, "x")
}

#[test]
fn it_is_due_once_its_moment_has_passed_since_the_last_time() {
    let timetable = daily();
    assert!(asked(&timetable, None, MIDNIGHT, None, "x"), "never done");
    assert!(!due(&timetable, MIDNIGHT, MIDNIGHT + 2 * HOUR - 1));
    assert!(due(&timetable, MIDNIGHT, MIDNIGHT + 2 * HOUR));
    assert!(!due(&timetable, MIDNIGHT + 2 * HOUR, MIDNIGHT + DAY));
    assert!(!asked(&Timetable { enabled: false, ..timetable }, None, MIDNIGHT, None, "x"));
}

#[test]
fn missed_moments_are_made_up_for_or_passed_over() {
    let (skip, hour_late) = (Timetable { missed: Missed::Skip, ..daily() }, MIDNIGHT + 3 * HOUR);
    assert!(due(&daily(), MIDNIGHT - 5 * DAY, MIDNIGHT));
    assert!(!due(&skip, MIDNIGHT - 5 * DAY, MIDNIGHT));
    assert!(due(&skip, MIDNIGHT, hour_late - 1) && !due(&skip, MIDNIGHT, hour_late + 1));
}

#[test]
fn a_start_of_the_machine_counts_if_wanted() {
    let on_start = Timetable { on_start: OnStart::Run, ..daily() };
    let started = |timetable: &Timetable, booted| asked(timetable, Some(MIDNIGHT), MIDNIGHT + HOUR, Some(booted), "x");
    assert!(started(&on_start, MIDNIGHT + 1) && !started(&on_start, MIDNIGHT - 1));
    assert!(!started(&daily(), MIDNIGHT + 1));
}

#[test]
fn jitter_is_below_its_limit_the_same_every_time_and_not_the_same_for_all() {
    let timetable = Timetable { jitter: Duration::from_secs(600), ..daily() };
    let moment = MIDNIGHT + 2 * HOUR;
    let first = |name: &str| (0..=600).find(|late| asked(&timetable, Some(MIDNIGHT), moment + late, None, name));
    let firsts: BTreeSet<i64> = (0..20).map(|number| first(&format!("source {number}")).unwrap()).collect();
    assert!(firsts.len() > 10 && firsts.iter().all(|late| *late < 600), "{firsts:?}");
    assert_eq!(first("source 1"), first("source 1"));
}

#[test]
fn a_clock_that_was_set_back_does_not_stop_it() {
    assert!(due(&daily(), MIDNIGHT + 900 * DAY, MIDNIGHT));
}

/// What is done at two o'clock is not done once more when the clock is set right by a second just then.
#[test]
fn a_clock_that_is_set_right_makes_nothing_due() {
    let two = MIDNIGHT + 2 * HOUR;
    assert!(!due(&daily(), two, two - 1) && !due(&daily(), two, two) && due(&daily(), two, two + DAY));
}

#[test]
fn a_start_in_what_is_the_future_now_makes_nothing_due() {
    let on_start = Timetable { on_start: OnStart::Run, ..daily() };
    assert!(!asked(&on_start, Some(MIDNIGHT), MIDNIGHT + HOUR, Some(MIDNIGHT + 5 * HOUR), "x"));
}

#[test]
fn the_coming_moment_is_after_the_one_given_and_may_be_one_that_waits_for_its_jitter() {
    let coming =
        |timetable: &Timetable, after| super::coming(timetable, at(after), "x", "here").map(|time| time.seconds);
    let two = MIDNIGHT + 2 * HOUR;
    assert_eq!(coming(&daily(), MIDNIGHT), Some(two));
    assert_eq!(coming(&daily(), two), Some(two + DAY));
    assert_eq!(coming(&Timetable { enabled: false, ..daily() }, MIDNIGHT), None);
    let late = Timetable { jitter: Duration::from_secs(3600), ..daily() };
    let moment = coming(&late, MIDNIGHT).unwrap();
    assert!((two..two + 3600).contains(&moment), "{moment}");
    // Between the moment and its jitter it is still to come.
    assert_eq!(coming(&late, moment - 1), Some(moment));
    assert!(coming(&late, moment).unwrap() >= two + DAY);
}
