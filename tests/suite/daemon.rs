//! Days of a daemon, in the time that its runs take: clocks that change, machines that are off, sources that fail.

use std::fs;

use tempfile::TempDir;

use crate::support::days::{Action, Days};

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
