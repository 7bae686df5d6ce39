//! Units of systemd, read by systemd's own programs.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use jiff::Timestamp;
use jiff::fmt::strtime;
use larder::deploy::calendar::on_calendar;
use larder::schedule::{Expression, Zone};

use super::random::{CHOSEN, expressions};
use super::{configure, ok, output};
use crate::support::binary::Larder;

/// How many moments of each expression are compared.
const MOMENTS: usize = 12;
/// Values that are asked for at once.
const VALUES_MAX: usize = 200;

fn analyze(words: &[&str]) -> Command {
    let mut command = Command::new("systemd-analyze");
    command.args(words).env_clear().env("PATH", "/usr/bin:/bin").env("TZ", "UTC").env("LC_ALL", "C");
    command
}

/// The moments of each value after a time, as systemd has them.
fn elapses(values: &[String], base: &str) -> Vec<Vec<Timestamp>> {
    let mut all = Vec::new();
    for values in values.chunks(VALUES_MAX) {
        let (base, iterations) = (format!("--base-time={base} UTC"), format!("--iterations={MOMENTS}"));
        let mut command = analyze(&["calendar", &base, &iterations]);
        let said = ok(command.args(values));
        // "Original form" is left out where it is the normal one.
        let parts: Vec<Vec<Timestamp>> = said.split("Normalized form: ").skip(1).map(moments).collect();
        assert_eq!(parts.len(), values.len(), "{said}");
        all.extend(parts);
    }
    all
}

fn moments(said: &str) -> Vec<Timestamp> {
    let labelled = said.lines().filter_map(|line| line.split_once(": "));
    let times =
        labelled.filter(|(label, time)| (label.contains("elapse") || label.contains("Iter")) && *time != "never");
    times.map(|(_, time)| moment(time)).collect()
}

fn moment(text: &str) -> Timestamp {
    let text = text.strip_suffix(" UTC").unwrap_or_else(|| panic!("{text} is not in UTC"));
    let civil = strtime::parse("%a %Y-%m-%d %H:%M:%S", text).unwrap().to_datetime().unwrap();
    civil.to_zoned(jiff::tz::TimeZone::UTC).unwrap().timestamp()
}

#[test]
fn systemd_elapses_at_the_moments_of_larders_own_schedule() {
    let (chosen, random) = (CHOSEN.map(str::to_owned), expressions(60));
    let texts: Vec<&String> = chosen.iter().chain(&random).collect();
    // Berlin's clocks are put forward and back soon after the second and the third, Lord Howe's by half an hour.
    for (zone, base) in [
        ("UTC", "2026-11-26 08:00:30"),
        ("Europe/Berlin", "2026-03-28 12:00:00"),
        ("Europe/Berlin", "2026-10-24 23:10:00"),
        ("America/New_York", "2028-03-11 20:00:00"),
        ("Australia/Lord_Howe", "2026-10-03 10:00:00"),
    ] {
        let zone_of: Zone = zone.parse().unwrap();
        let now: Timestamp = format!("{}Z", base.replace(' ', "T")).parse().unwrap();
        let parsed: Vec<Expression> = texts.iter().map(|text| text.parse().unwrap()).collect();
        let calendars = parsed.iter().map(|one| on_calendar(one, &zone_of, now));
        let values: Vec<Vec<String>> =
            calendars.map(|one| one.always.into_iter().chain(one.skipped).collect()).collect();
        let flat: Vec<String> = values.iter().flatten().cloned().collect();
        let mut found = elapses(&flat, base).into_iter();
        for ((text, expression), values) in texts.iter().zip(&parsed).zip(&values) {
            let mut theirs: Vec<Timestamp> = found.by_ref().take(values.len()).flatten().collect();
            theirs.sort();
            theirs.dedup();
            theirs.truncate(MOMENTS);
            let next = |after: &Timestamp| expression.next(*after, &zone_of);
            let ours: Vec<Timestamp> = std::iter::successors(next(&now), next).take(MOMENTS).collect();
            assert_eq!(theirs, ours, "{text} in {zone} after {base}: {values:?}");
        }
    }
}

/// The units made of a configuration, in a folder.
fn units(larder: &Larder, config: &str, more: &[&str]) -> Vec<PathBuf> {
    let program = larder.path("100% $HOME");
    if !program.exists() {
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_larder"), &program).unwrap();
    }
    let folder = larder.path("units");
    let words = ["schedule", "systemd", "--config", config, "--program", program.to_str().unwrap()];
    let put = ["--output", folder.to_str().unwrap()];
    larder.ok(&[&words, &put[..], more].concat()).out.lines().map(PathBuf::from).collect()
}

/// What systemd has against these units.
fn complaints(units: &[PathBuf]) -> String {
    let mut command = analyze(&["verify", "--man=no", "--recursive-errors=no"]);
    let output = output(command.args(units));
    let said = String::from_utf8(output.stderr).unwrap();
    // Whatever else is wrong on this machine.
    let ours = said.lines().filter(|line| line.contains("larder") || line.contains("units/"));
    let ours: Vec<&str> = ours.collect();
    assert_eq!(ours.is_empty(), output.status.success(), "{said}");
    ours.join("\n")
}

const EVERYTHING: &str = "[schedule]\ncron = \"30 2 * * *\"\ntimezone = \"Europe/Berlin\"\njitter = \"10min\"\n\
    [prune]\ncron = \"0 5 * * sun\"\n[check]\ncron = \"0 6 13 * fri\"\n\
    [source.often]\nkind = \"directory\"\npaths = [\"/srv/often\"]\n\
    [source.often.schedule]\ncron = \"*/20 * * * *\"\nrun_missed = false\njitter = \"2h\"\n\
    [source.settings]\nkind = \"sqlite\"\npath = \"/srv/100% settings/data.db\"\n\
    [source.settings.schedule]\ncron = \"@hourly\"\nrun_on_start = true\njitter = \"0s\"\n";

#[test]
fn systemd_takes_the_units_and_they_let_larder_do_little() {
    let larder = Larder::new();
    let config = configure(&larder, EVERYTHING);
    let timed = units(&larder, &config, &["--env-file", "/etc/larder/100% variables"]);
    let names: Vec<&str> = timed.iter().map(|path| path.file_name().unwrap().to_str().unwrap()).collect();
    assert_eq!(
        names,
        ["larder@.service", "larder@files.timer", "larder@settings.timer", "larder@prune.timer", "larder@check.timer"]
            .into_iter()
            .chain(["larder@look.timer"])
            .collect::<Vec<_>>()
    );
    assert_eq!(complaints(&timed), "");
    let daemon = units(&larder, &config, &["--daemon", "--user", "backup"]);
    assert_eq!(complaints(&daemon), "");
    // The last one has less than root's rights; the measure is systemd's own, 100 being everything.
    for (unit, threshold) in [(&timed[0], "55"), (&daemon[0], "40")] {
        let security = ["security", "--offline=true", "--no-pager", &format!("--threshold={threshold}")];
        ok(analyze(&security).arg(unit));
    }
    let read = |at: usize| fs::read_to_string(&timed[at]).unwrap();
    for (at, lines) in [
        (0, "ReadWritePaths=\nEnvironment=LARDER__SOURCE__FILES__SCHEDULE__JITTER=0s\nPrivateTmp=yes"),
        (1, "OnCalendar=*-*-* 2:30:00 Europe/Berlin\nPersistent=true\nRandomizedDelaySec=600"),
        (2, "OnBootSec=1min"),
        (5, "OnCalendar=*:0/5"),
    ] {
        for line in lines.lines() {
            let there = read(at).lines().any(|found| found == line || line.ends_with('=') && found.starts_with(line));
            let in_tmp = line == "PrivateTmp=yes" && larder.folder.path().starts_with("/tmp");
            assert_eq!(there, !in_tmp, "{line}\n{}", read(at));
        }
    }
    assert!(!read(0).contains("OFTEN"), "larder itself must know this jitter:\n{}", read(0));
    let broken = read(1).replace("2:30:00 Europe/Berlin", "2:61:00 Europe/Berlin");
    fs::write(&timed[1], broken).unwrap();
    assert!(complaints(&timed).contains("Failed to parse calendar specification"), "systemd refuses nothing");
}

#[test]
fn files_that_are_there_are_not_replaced_unless_told() {
    let larder = Larder::new();
    let config = configure(&larder, EVERYTHING);
    let made = units(&larder, &config, &[]);
    let before = fs::read_to_string(&made[1]).unwrap();
    assert_eq!(units(&larder, &config, &[]), made, "what is the same may stay");
    fs::write(&made[1], "mine").unwrap();
    fs::remove_file(&made[2]).unwrap();
    let folder = larder.path("units").display().to_string();
    let words = ["schedule", "systemd", "--config", &config, "--output", &folder];
    let refused = larder.run(&words);
    assert_eq!((refused.code, made[2].exists()), (Some(2), false), "{refused:?}");
    assert!(refused.err.contains("is there already, and differs") && refused.err.contains("--force"), "{refused:?}");
    larder.ok(&[&words[..], &["--force"]].concat());
    assert_eq!(fs::read_to_string(&made[1]).unwrap(), before);
}

#[test]
fn what_cannot_be_started_is_a_mistake_with_a_hint() {
    let larder = Larder::new();
    let config = configure(&larder, "");
    for kind in ["systemd", "cron", "compose"] {
        let refused = larder.run(&["schedule", kind, "--config", &config]);
        assert_eq!(refused.code, Some(2), "{refused:?}");
        assert!(refused.err.contains("has a schedule") && refused.err.contains("add a [schedule]"), "{refused:?}");
    }
    let text = fs::read_to_string(&config).unwrap() + "[schedule]\ncron = \"@daily\"\n";
    let relative = text.replace(larder.path("repository").to_str().unwrap(), "backups");
    fs::write(&config, relative).unwrap();
    for kind in ["systemd", "cron", "compose"] {
        let refused = larder.run(&["schedule", kind, "--config", &config]);
        assert_eq!(refused.code, Some(2), "{refused:?}");
        assert!(refused.err.contains("[repository] path is backups, which is no full path"), "{refused:?}");
    }
    fs::write(&config, &text).unwrap();
    let refused = larder.run(&["schedule", "systemd", "--config", &config, "--program", "/opt/\"larder\""]);
    assert!(refused.code == Some(2) && refused.err.contains("cannot be written"), "{refused:?}");
    // What larder.toml takes from variables is not there when others start larder.
    let variable = text.replace("@daily", "${WHEN:-@daily}") + "[hooks]\nafter = \"echo ${UNUSED:-x}\"\n";
    fs::write(&config, variable).unwrap();
    let mut command = larder.command(&["schedule", "systemd", "--config", &config]);
    let output = command.env("WHEN", "0 4 * * *").output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("WHEN; give --env-file") && !said.contains("UNUSED"), "{said}");
    assert!(String::from_utf8(output.stdout).unwrap().contains("OnCalendar=*-*-* 4:0:00 UTC"));
}
