use super::*;
use crate::run::report::Upkeep;

fn time() -> crate::format::Time {
    crate::format::Time { seconds: 1_795_658_400, nanos: 0 }
}

fn report(status: Status) -> Report {
    Report { status, errors: Vec::new(), run: "0011223344556677".to_owned(), ..Report::of_a_test(time()) }
}

fn source(name: &str, snapshot: Option<&str>, errors: &[&str]) -> SourceReport {
    let status = if errors.is_empty() { Status::Done } else { Status::Failed };
    let errors = errors.iter().map(|&error| error.to_owned()).collect();
    let snapshot = snapshot.map(str::to_owned);
    SourceReport { status, snapshot, errors, files: 2, bytes: 30, ..SourceReport::new(name, time()) }
}

#[test]
fn a_letter_says_what_has_a_snapshot_what_has_none_and_why() {
    let mut report = report(Status::Failed);
    report.sources = vec![
        source("files", Some("a1b2c3d4e5f6"), &[]),
        source("app", None, &["cannot connect\nto the server\u{1b}[2J"]),
        source("shop", Some("b1b2c3d4e5f6"), &["dump.sql does not end"]),
    ];
    report.sources[0].verified = Some(true);
    report.sources[0].warnings = (0..22).map(|number| format!("file {number}: unreadable\nmore")).collect();
    let upkeep = Upkeep {
        what: "check",
        duration_seconds: 1.0,
        outcome: String::new(),
        error: Some("damage".into()),
        problems: 1,
    };
    report.upkeep = vec![upkeep];
    report.errors = vec!["hook before: failed".to_owned()];
    assert_eq!(subject(&report, "db1"), "larder on db1: failed: app, shop, check");
    let text = text(&report, "db1");
    let warnings: String = (0..20).map(|number| format!("    warning: file {number}: unreadable\n")).collect();
    let expected = format!(
        "larder on db1: failed\nrun 0011223344556677, begun 2026-11-26T02:00:00Z, took 0 s\n\nhook before: failed\n\n\
         without a snapshot:\n  app: failed\n    cannot connect\n    to the server\u{fffd}[2J\n\n\
         with a snapshot:\n  files: done, snapshot a1b2c3d4 of 2 files, 30 bytes, verified\n{warnings}\
    \u{20}   and 2 more warnings\n  shop: failed, snapshot b1b2c3d4 of 2 files, 30 bytes\n    dump.sql does not end\n\n\
         the repository:\n  check: failed\n    damage\n"
    );
    assert_eq!(text, expected);
}

#[test]
fn a_subject_stays_short() {
    let mut report = report(Status::Failed);
    report.sources = (0..9).map(|number| source(&format!("source-{number}"), None, &["no"])).collect();
    report.sources.push(source("files", Some("a1"), &[]));
    assert_eq!(subject(&report, "db1"), "larder on db1: failed: 9 of 10");
    report.sources = vec![source(&"ü".repeat(300), None, &["no"])];
    assert_eq!(subject(&report, "db1").chars().count(), SUBJECT_CHARS_MAX);
    report.sources.clear();
    report.errors = vec!["hook before: failed\nwith 3".to_owned()];
    assert_eq!(subject(&report, "a\r\nb"), "larder on a\u{fffd}\u{fffd}b: failed: hook before: failed");
    report.errors.clear();
    report.status = Status::Done;
    assert_eq!(subject(&report, "db1"), "larder on db1: done");
}

#[test]
fn a_letter_does_not_grow_without_end() {
    let mut report = report(Status::Failed);
    let error = "line\n".repeat(100);
    report.sources = (0..500).map(|number| source(&format!("{number}"), None, &[&error])).collect();
    let text = text(&report, "db1");
    assert_eq!(text.lines().count(), LINES_MAX + 1);
    assert!(text.ends_with("and more, see the report\n"));
}
