//! Days of a daemon, in the time that its runs take: clocks that change, machines that are off, sources that fail.

use std::fs;

use larder::config::sources::Source;
use larder::format::log::{Action as Entry, TagAction, TagChange};
use larder::repo::Repository;
use larder::repo::state::State;
use larder::run::agenda::{self, What};
use larder::run::daemon::Place as _;
use larder::run::due::Clock;
use larder::run::{self, Request, Why, World};
use tempfile::TempDir;

use crate::support::days::{Action, Days};
use crate::support::web::{Reply, Web};

const DAY: i64 = 24 * 60 * 60;

/// A folder to back up, and a daemon in Berlin that does it.
fn days(start: &str, schedule: &str) -> (TempDir, Days) {
    let folder = TempDir::new().unwrap();
    fs::create_dir(folder.path().join("data")).unwrap();
    fs::write(folder.path().join("data/one"), "one").unwrap();
    let days = Days::new(folder.path(), start, "Europe/Berlin");
    days.text.replace(configuration(&folder, schedule));
    (folder, days)
}

fn configuration(folder: &TempDir, schedule: &str) -> String {
    let here = folder.path().display();
    format!(
        "[repository]\npath = \"{here}/repository\"\n{schedule}\n[source.files]\nkind = \"directory\"\npaths = [\"{here}/data\"]\n"
    )
}

const DAILY: &str = "[schedule]\ncron = \"30 2 * * *\"\ntimezone = \"Europe/Berlin\"\n";

fn starts(days: &Days) -> Vec<String> {
    days.reports.borrow().iter().map(|report| report.started.clone()).collect()
}

#[test]
fn thirty_days_in_which_a_local_time_is_skipped_have_thirty_runs() {
    let (_folder, days) = days("2026-03-10T12:00:00Z", DAILY);
    days.live_until("2026-04-09T12:00:00Z");
    let starts = starts(&days);
    // The one at the start, because there was none yet.
    assert_eq!(starts.len(), 31, "{starts:?}");
    assert_eq!(starts[0], "2026-03-10T12:00:00Z");
    assert_eq!(starts[18..21], ["2026-03-28T01:30:00Z", "2026-03-29T01:30:00Z", "2026-03-30T00:30:00Z"]);
    assert_eq!(days.snapshots("files").len(), 31);
    // It sleeps in between.
    assert!(days.waits.get() < 100 && days.turns.get() < 40, "{} {}", days.waits.get(), days.turns.get());
}

#[test]
fn a_local_time_that_comes_twice_is_run_once() {
    let (_folder, days) = days("2026-10-10T12:00:00Z", DAILY);
    days.live_until("2026-11-09T12:00:00Z");
    let starts = starts(&days);
    assert_eq!(starts.len(), 31, "{starts:?}");
    assert_eq!(starts[14..17], ["2026-10-24T00:30:00Z", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]);
}

/// Suspended, or off: one run makes up for seven.
#[test]
fn a_week_that_the_machine_sleeps_is_made_up_for_once() {
    let (_folder, days) = days("2026-06-01T12:00:00Z", DAILY);
    days.when("2026-06-03T12:00:00Z", Action::Sleep(7 * DAY));
    days.live_until("2026-06-12T12:00:00Z");
    assert_eq!(
        starts(&days),
        [
            "2026-06-01T12:00:00Z",
            "2026-06-02T00:30:00Z",
            "2026-06-03T00:30:00Z",
            "2026-06-10T12:00:00Z",
            "2026-06-11T00:30:00Z",
            "2026-06-12T00:30:00Z",
        ]
    );
    let log = days.log.borrow();
    assert!(log.iter().any(|line| line == "2026-06-10T12:00:00Z begins 2026-06-04T00:30:00Z"), "{log:?}");
}

/// What was done in what is the future now is not done again, and the schedule goes on by the new clock.
#[test]
fn a_clock_that_is_set_back_by_a_day_makes_nothing_due_and_stops_nothing() {
    let (_folder, days) = days("2026-06-01T12:00:00Z", DAILY);
    days.when("2026-06-04T10:00:00Z", Action::Set(-DAY));
    days.live_until("2026-06-06T12:00:00Z");
    assert_eq!(
        starts(&days),
        [
            "2026-06-01T12:00:00Z",
            "2026-06-02T00:30:00Z",
            "2026-06-03T00:30:00Z",
            "2026-06-04T00:30:00Z",
            // Set back to 3 June, 10:00.
            "2026-06-04T00:30:00Z",
            "2026-06-05T00:30:00Z",
        ]
    );
    assert!(days.log.borrow().iter().any(|line| line.contains("SetBack")), "{:?}", days.log);
    days.live_until("2026-06-06T12:00:01Z");
    assert_eq!(days.reports.borrow().len(), 6);
}

#[test]
fn a_daemon_that_finds_snapshots_of_the_future_runs_once_and_goes_on() {
    let (_folder, days) = days("2026-06-10T12:00:00Z", DAILY);
    days.live_until("2026-06-10T13:00:00Z");
    days.when("2026-06-10T14:00:00Z", Action::Set(-900 * DAY));
    days.live_until("2026-06-10T15:00:00Z");
    assert_eq!(days.reports.borrow().len(), 1);
    days.live_until("2026-06-14T15:00:00Z");
    // 2023-12-23 15:00 local: once because nobody can tell, then every night.
    assert_eq!(
        starts(&days)[1..],
        [
            "2023-12-23T15:00:00Z",
            "2023-12-24T01:30:00Z",
            "2023-12-25T01:30:00Z",
            "2023-12-26T01:30:00Z",
            "2023-12-27T01:30:00Z"
        ]
    );
}

/// As a clock is set right by the network in the very second of a run.
#[test]
fn a_clock_that_is_set_right_by_seconds_runs_nothing_twice() {
    let (_folder, days) = days("2026-06-01T12:00:00Z", DAILY);
    for by in [-1, -30, 2, -200, 100] {
        days.when("2026-06-03T00:30:00Z", Action::Set(by));
        days.when("2026-06-03T00:30:01Z", Action::Set(by));
    }
    days.live_until("2026-06-04T12:00:00Z");
    assert_eq!(days.reports.borrow().len(), 4, "{:?}", days.log);
}

#[test]
fn a_clock_that_jumps_forward_makes_up_for_what_it_jumped_over_once() {
    let (_folder, days) = days("2026-06-01T12:00:00Z", "[schedule]\ncron = \"0 * * * *\"\n");
    days.when("2026-06-01T12:30:00Z", Action::Set(3 * DAY));
    days.live_until("2026-06-01T13:45:00Z");
    assert_eq!(starts(&days), ["2026-06-01T12:00:00Z", "2026-06-04T12:30:00Z", "2026-06-04T13:00:00Z"]);
}

#[test]
fn what_fails_waits_for_its_next_moment_and_keeps_no_other_from_its_turn() {
    let (folder, days) = days("2026-06-01T12:00:00Z", DAILY);
    let broken = "[source.broken]\nkind = \"command\"\ncommand = \"exit 3\"\nfile = \"nothing\"\n";
    days.text.replace(configuration(&folder, DAILY) + broken);
    days.live_until("2026-06-03T12:00:00Z");
    let expected = [
        "2026-06-01T12:00:00Z: broken failed, files done",
        "2026-06-02T00:30:00Z: broken failed, files done",
        "2026-06-03T00:30:00Z: broken failed, files done",
    ];
    assert_eq!(days.runs(), expected);
    // A new process knows of it.
    days.live_until("2026-06-03T20:00:00Z");
    assert_eq!(days.runs(), expected);
    // One that has forgotten tries once more, and only what left no snapshot.
    fs::remove_file(days.memory()).unwrap();
    days.live_until("2026-06-03T23:00:00Z");
    assert_eq!(days.runs()[3..], ["2026-06-03T20:00:00Z: broken failed"]);
    fs::write(days.memory(), "{\"attempts\": 7").unwrap();
    days.live_until("2026-06-04T12:00:00Z");
    assert_eq!(
        days.runs()[4..],
        ["2026-06-03T23:00:00Z: broken failed", "2026-06-04T00:30:00Z: broken failed, files done"]
    );
    assert_eq!(days.snapshots("files").len(), 4);
}

/// A hook before the run fails: nothing is run, and that is the run of that moment.
#[test]
fn a_run_that_cannot_begin_is_not_tried_again_and_again() {
    let (folder, days) = days("2026-06-01T12:00:00Z", DAILY);
    days.text.replace(configuration(&folder, DAILY) + "[prune]\ncron = \"0 4 * * *\"\n[hooks]\nbefore = \"exit 1\"\n");
    days.live_until("2026-06-02T12:00:00Z");
    assert_eq!(days.runs(), ["2026-06-01T12:00:00Z: ", "2026-06-02T00:30:00Z: ", "2026-06-02T02:00:00Z: "]);
    assert!(days.reports.borrow().iter().all(|report| report.errors.len() == 1));
}

#[test]
fn a_daemon_that_is_started_again_goes_on_where_the_one_before_was() {
    let (_folder, days) = days("2026-06-01T12:00:00Z", DAILY);
    for hour in 13..24 {
        days.live_until(&format!("2026-06-01T{hour}:00:00Z"));
    }
    assert_eq!(days.reports.borrow().len(), 1);
    // Off at half past two, and for four days.
    days.off(4 * DAY);
    days.live_until("2026-06-06T01:00:00Z");
    assert_eq!(starts(&days)[1..], ["2026-06-05T23:00:00Z", "2026-06-06T00:30:00Z"]);
}

#[test]
fn what_is_due_at_one_moment_is_one_run_and_each_has_its_own_clock() {
    let (folder, days) = days("2026-06-01T12:00:00Z", DAILY);
    let here = folder.path().display();
    let more = format!(
        "[prune]\ncron = \"0 4 * * *\"\n[drill]\ncron = \"0 5 * * *\"\n[check]\ncron = \"30 2 * * *\"\nparts = 2\n\
         [source.app]\nkind = \"directory\"\npaths = [\"{here}/data\"]\n\
         [source.other]\nkind = \"directory\"\npaths = [\"{here}/data\"]\n\
         [source.other.schedule]\ncron = \"30 2 * * *\"\ntimezone = \"America/New_York\"\n\
         [source.never]\nkind = \"directory\"\npaths = [\"{here}/data\"]\nenabled = false\n"
    );
    days.text.replace(configuration(&folder, DAILY) + &more);
    days.live_until("2026-06-02T12:00:00Z");
    assert_eq!(
        days.runs(),
        [
            "2026-06-01T12:00:00Z: app done, files done, other done, prune, check, drill, drill, drill",
            "2026-06-02T00:30:00Z: app done, files done, check",
            "2026-06-02T02:00:00Z: prune",
            "2026-06-02T03:00:00Z: drill, drill, drill",
            "2026-06-02T06:30:00Z: other done",
        ]
    );
}

#[test]
fn thirty_days_leave_what_the_policy_allows() {
    let (folder, days) = days("2026-03-10T12:00:00Z", DAILY);
    let policy = "[retention]\ndaily = 7\nweekly = 3\nmonthly = 2\n[prune]\ncron = \"0 5 * * 0\"\ngrace = \"0s\"\n";
    days.text.replace(configuration(&folder, &format!("{DAILY}{policy}")));
    for day in 11..=31 {
        let (file, text) = (folder.path().join("data/one"), format!("day {day}").repeat(500));
        let change = move |_: &Days| fs::write(&file, &text).unwrap();
        days.when(&format!("2026-03-{day}T10:00:00Z"), Action::Do(Box::new(change)));
    }
    days.live_until("2026-04-09T12:00:00Z");
    let kept = days.snapshots("files");
    let begun: Vec<&str> = kept.iter().map(|line| &line[..10]).collect();
    // Seven days; the first ones of three weeks; the first of the month, and the very first one.
    assert_eq!(
        begun,
        [
            "2026-03-10",
            "2026-03-23",
            "2026-03-30",
            "2026-04-01",
            "2026-04-03",
            "2026-04-04",
            "2026-04-05",
            "2026-04-06",
            "2026-04-07",
            "2026-04-08",
            "2026-04-09"
        ],
        "{kept:#?}"
    );
    let pruned = days.reports.borrow().iter().filter(|report| !report.upkeep.is_empty()).count();
    // At the start, and on four or five Sundays.
    assert_eq!(pruned, 5);
}

#[test]
fn a_repository_that_is_away_is_said_once_tried_again_and_nothing_is_lost() {
    let (_folder, days) = days("2026-06-01T12:00:00Z", DAILY);
    days.when("2026-06-01T20:00:00Z", Action::Do(Box::new(|days| drop(days.broken.replace(Some("no disk".into()))))));
    days.when("2026-06-02T03:00:00Z", Action::Do(Box::new(|days| drop(days.broken.take()))));
    days.live_until("2026-06-02T12:00:00Z");
    let log = days.log.borrow().clone();
    let away: Vec<&String> = log.iter().filter(|line| line.contains("unreachable no disk")).collect();
    // After 1, 2, 4, 8 minutes, then every quarter of an hour.
    assert_eq!(away.len(), 13, "{log:#?}");
    assert_eq!(away[0], "2026-06-02T00:30:00Z unreachable no disk again 2026-06-02T00:31:00Z");
    assert_eq!(away[12], "2026-06-02T02:45:00Z unreachable no disk again 2026-06-02T03:00:00Z");
    let expected = ["2026-06-01T12:00:00Z", "2026-06-02T03:00:00Z"];
    assert_eq!(starts(&days), expected, "{log:#?}");
    assert!(log.contains(&"2026-06-02T03:00:00Z Reachable".to_owned()), "{log:#?}");
}

#[test]
fn another_run_is_waited_for_and_what_it_did_is_not_done_again() {
    let (_folder, days) = days("2026-06-01T12:00:00Z", DAILY);
    days.when("2026-06-02T00:20:00Z", Action::Do(Box::new(|days| days.busy.set(true))));
    days.when("2026-06-02T00:50:00Z", Action::Do(Box::new(|days| days.busy.set(false))));
    days.live_until("2026-06-02T12:00:00Z");
    assert_eq!(starts(&days), ["2026-06-01T12:00:00Z", "2026-06-02T00:50:00Z"]);
    assert_eq!(days.log.borrow().iter().filter(|line| line.ends_with("Waiting")).count(), 1);
}

#[test]
fn a_new_configuration_counts_and_one_with_mistakes_does_not() {
    let (folder, days) = days("2026-06-01T12:00:00Z", DAILY);
    days.when("2026-06-02T12:00:00Z", Action::Reload("[nonsense]".into()));
    let hourly = configuration(&folder, "[schedule]\ncron = \"0 */6 * * *\"\n");
    days.when("2026-06-03T12:00:00Z", Action::Reload(hourly));
    days.live_until("2026-06-04T00:01:00Z");
    assert_eq!(
        starts(&days),
        [
            "2026-06-01T12:00:00Z",
            "2026-06-02T00:30:00Z",
            "2026-06-03T00:30:00Z",
            // Six o'clock passed since.
            "2026-06-03T12:00:00Z",
            "2026-06-03T18:00:00Z",
            "2026-06-04T00:00:00Z",
        ]
    );
    assert!(days.log.borrow().iter().any(|line| line.contains("Refused") && line.contains("nonsense")));
}

#[test]
fn a_start_of_the_daemon_counts_if_wanted() {
    let (_folder, days) = days("2026-06-01T12:00:00Z", &format!("{DAILY}run_on_start = true\n"));
    days.live_until("2026-06-01T13:00:00Z");
    days.live_until("2026-06-01T14:00:00Z");
    assert_eq!(starts(&days), ["2026-06-01T12:00:00Z", "2026-06-01T13:00:00Z"]);
}

#[test]
fn what_was_missed_is_passed_over_if_wanted() {
    let (_folder, days) = days("2026-06-01T12:00:00Z", &format!("{DAILY}run_missed = false\n"));
    days.when("2026-06-02T00:00:00Z", Action::Sleep(DAY / 4));
    days.live_until("2026-06-03T12:00:00Z");
    assert_eq!(starts(&days), ["2026-06-01T12:00:00Z", "2026-06-03T00:30:00Z"]);
}

/// After a quarter of an hour, an hour, four and so on; a new process knows how often it failed.
#[test]
fn what_fails_is_tried_again_if_wanted_with_longer_and_longer_pauses() {
    let (folder, days) = days("2026-06-01T12:00:00Z", DAILY);
    let broken = "[source.broken]\nkind = \"command\"\ncommand = \"exit 3\"\nfile = \"nothing\"\n";
    let retry = format!("{DAILY}retry = \"15min\"\n");
    days.text.replace(configuration(&folder, &retry) + broken);
    for until in ["2026-06-01T12:10:00Z", "2026-06-01T12:20:00Z", "2026-06-01T18:00:00Z", "2026-06-02T12:00:00Z"] {
        days.live_until(until);
    }
    assert_eq!(
        days.runs(),
        [
            "2026-06-01T12:00:00Z: broken failed, files done",
            "2026-06-01T12:15:00Z: broken failed",
            "2026-06-01T13:15:00Z: broken failed",
            "2026-06-01T17:15:00Z: broken failed",
            "2026-06-02T00:30:00Z: broken failed, files done",
        ]
    );
    // What is well again begins anew, and is not tried again.
    days.text.replace(configuration(&folder, &retry) + &broken.replace("exit 3", "echo"));
    let fails = configuration(&folder, &retry) + broken;
    days.when("2026-06-03T12:00:00Z", Action::Reload(fails));
    days.live_until("2026-06-04T00:50:00Z");
    assert_eq!(
        days.runs()[5..],
        [
            "2026-06-03T00:30:00Z: broken done, files done",
            "2026-06-04T00:30:00Z: broken failed, files done",
            "2026-06-04T00:45:00Z: broken failed",
        ]
    );
}

/// The disk of the cache is full: what went well is not done again and again, by this process or the next, and what failed
/// waits for its next moment.
#[test]
fn what_cannot_be_remembered_is_not_tried_again_and_again() {
    let (folder, days) = days("2026-06-01T12:00:00Z", DAILY);
    let retry = configuration(&folder, &format!("{DAILY}retry = \"15min\"\n"));
    let broken = "[source.broken]\nkind = \"command\"\ncommand = \"exit 3\"\nfile = \"nothing\"\n";
    let also = broken.replace(".broken]", ".also]");
    days.text.replace(format!("{retry}{broken}{also}"));
    days.live_until("2026-06-01T12:10:00Z");
    let remembered = fs::File::open(days.memory()).unwrap();
    days.frozen.replace(Some(remembered));
    days.text.replace(format!("{retry}{broken}{}", also.replace("exit 3", "echo")));
    days.live_until("2026-06-01T20:00:00Z");
    let expected = [
        "2026-06-01T12:00:00Z: also failed, broken failed, files done",
        "2026-06-01T12:15:00Z: also done, broken failed",
    ];
    assert_eq!(days.runs(), expected);
    // Another process knows only that this failed once, at noon.
    days.live_until("2026-06-01T22:00:00Z");
    assert_eq!(days.runs()[2..], ["2026-06-01T20:00:00Z: broken failed"]);
    days.frozen.take();
    days.live_until("2026-06-02T00:50:00Z");
    assert_eq!(
        days.runs()[3..],
        [
            "2026-06-01T22:00:00Z: broken failed",
            "2026-06-01T23:00:00Z: broken failed",
            "2026-06-02T00:30:00Z: also done, broken failed, files done",
        ]
    );
}

#[test]
fn what_is_done_for_the_repository_does_not_fail_because_a_source_of_that_name_does() {
    let (folder, days) = days("2026-06-01T12:00:00Z", DAILY);
    let broken = "[prune]\ncron = \"0 4 * * *\"\n\
                  [source.prune]\nkind = \"command\"\ncommand = \"exit 3\"\nfile = \"nothing\"\n";
    days.text.replace(configuration(&folder, DAILY) + broken);
    days.live_until("2026-06-01T13:00:00Z");
    let config = days.config().unwrap();
    let mut failures = Vec::new();
    let look = &mut |repo: Result<&Repository, String>, world: &mut World<'_>| {
        let lasts = agenda::lasts(&agenda::jobs(&config), repo.unwrap(), &Clock::of(world), world);
        failures.extend([What::Source("prune".into()), What::Upkeep("prune")].map(|what| lasts[&what].failures));
    };
    days.turn(&config, look).unwrap();
    assert_eq!(failures, [1, 0]);
}

/// What is due is left out only if another run took it meanwhile, not because somebody forgot what there was.
#[test]
fn what_is_due_is_taken_although_its_newest_snapshot_was_forgotten_meanwhile() {
    let (folder, days) = days("2026-06-01T12:00:00Z", DAILY);
    fs::create_dir(folder.path().join("cache")).unwrap();
    let config = days.config().unwrap();
    let sources: Vec<&Source> = config.sources.iter().collect();
    let taken = |why, meanwhile: &dyn Fn()| {
        let mut taken = 0;
        let run = &mut |repo: Result<&Repository, String>, world: &mut World<'_>| {
            meanwhile();
            let request = Request { why, ..Request::default() };
            taken = run::run(repo.unwrap(), &config, &sources, &request, world).unwrap().sources.len();
        };
        days.turn(&config, run).unwrap();
        taken
    };
    let forget = || {
        let repo = days.open().unwrap();
        // Of incomplete ones `larder forget` does so, too.
        let untag = |state: &State| {
            let newest = state.live().last().unwrap();
            let remove = newest.tags.iter().cloned().collect();
            let change = TagChange { snapshot: newest.id, add: Vec::new(), remove };
            Ok(Some(Entry::Untag(TagAction { changes: vec![change], rescue: Vec::new() })))
        };
        repo.append::<larder::repo::error::Error>(days.now(), &mut { untag }).unwrap();
    };
    assert_eq!((taken(Why::Asked, &|| ()), taken(Why::Asked, &|| ())), (1, 1));
    assert_eq!((taken(Why::Due, &forget), days.snapshots("files").len()), (1, 2));
    assert_eq!(taken(Why::Due, &|| assert_eq!(taken(Why::Asked, &|| ()), 1)), 0);
    assert_eq!(days.snapshots("files").len(), 3);
}

/// Whoever was told is not told again of the same, and whoever was not is.
#[test]
fn an_outage_is_told_again_to_those_who_could_not_be_told() {
    let (folder, days) = days("2026-06-01T12:00:00Z", DAILY);
    let hears = Web::start(|_| Reply::new(200, "text/plain", "thanks"));
    let deaf = Web::start(|asked| Reply::new(if asked.path == "/deaf" { 404 } else { 200 }, "text/plain", ""));
    let notify = |path: &str| {
        let (one, two) = (hears.url("/"), deaf.url(path));
        format!("[notify.a]\nkind = \"webhook\"\nurl = \"{one}\"\n[notify.b]\nkind = \"webhook\"\nurl = \"{two}\"\n")
    };
    days.text.replace(configuration(&folder, DAILY) + &notify("/deaf"));
    days.when("2026-06-01T20:00:00Z", Action::Do(Box::new(|days| drop(days.broken.replace(Some("no disk".into()))))));
    // After the first three tries.
    days.when("2026-06-02T00:35:00Z", Action::Reload(configuration(&folder, DAILY) + &notify("/back")));
    days.when("2026-06-02T03:00:00Z", Action::Do(Box::new(|days| drop(days.broken.take()))));
    days.live_until("2026-06-02T12:00:00Z");
    let told = |web: &Web| -> Vec<String> {
        let said = |asked: &crate::support::web::Asked| {
            let body: serde_json::Value = serde_json::from_slice(&asked.body).unwrap();
            format!("{} {}", asked.path, body["status"].as_str().unwrap())
        };
        web.asked().iter().map(said).collect()
    };
    assert_eq!(told(&hears), ["/ failed", "/ done"]);
    assert_eq!(told(&deaf), ["/deaf failed", "/deaf failed", "/deaf failed", "/back failed", "/back done"]);
}

/// Each is said once for each moment, and keeps no source from its turn.
#[test]
fn what_could_not_be_remembered_is_not_done_and_said() {
    let (folder, days) = days("2026-06-01T12:00:00Z", DAILY);
    let upkeep = "[prune]\ncron = \"0 4 * * *\"\n[check]\ncron = \"0 5 * * *\"\n[drill]\ncron = \"0 6 * * *\"\n";
    days.text.replace(configuration(&folder, DAILY) + upkeep);
    // A folder where the file should be.
    fs::create_dir_all(days.memory()).unwrap();
    days.live_until("2026-06-02T12:00:00Z");
    let all = "prune, check, drill";
    assert_eq!(
        days.runs(),
        [
            format!("2026-06-01T12:00:00Z: files done, {all}"),
            format!("2026-06-02T00:30:00Z: files done, {all}"),
            format!("2026-06-02T02:00:00Z: {all}"),
            format!("2026-06-02T03:00:00Z: {all}"),
            format!("2026-06-02T04:00:00Z: {all}"),
        ]
    );
    for report in days.reports.borrow().iter() {
        assert!(report.upkeep.iter().all(|one| one.error.as_ref().is_some_and(|error| error.contains("not done"))));
        assert!(report.status == larder::run::report::Status::Failed && report.errors.is_empty());
    }
    fs::remove_dir(days.memory()).unwrap();
    days.live_until("2026-06-03T12:00:00Z");
    assert!(days.reports.borrow()[5..].iter().all(|report| report.status == larder::run::report::Status::Done));
}
