//! A crontab.
//!
//! Promise: only what every cron understands. Time zones are none of that (`CRON_TZ` is, on Debian, a variable like any
//! other, and the job runs at another time without a word), nor is jitter: these are looked for every few minutes.

use crate::config::{Missed, OnStart};
use crate::deploy::calendar::crontab;
use crate::deploy::moments::{Group, groups};
use crate::deploy::{Error, LOOK_MINUTES, Made, Ready, Setup, places, text_of, without_variables};
use crate::schedule::Zone;

/// Where programs are found; cron itself knows but two folders.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Makes it. `zone`: whose clock cron goes by; `None` if nobody knows.
pub fn make(setup: &Setup<'_>, zone: Option<&Zone>, mail_to: Option<&str>) -> Result<Made, Error> {
    let groups = groups(setup.config)?;
    places::full(setup.config)?;
    let command = command(setup)?;
    let mut lines = vec![
        "# Made by `larder schedule cron`. Make it again when schedules in larder.toml change.".to_owned(),
        "# cron takes no notice of exit codes: it mails what larder says, and with --quiet that is warnings and errors."
            .to_owned(),
        "# Two at once are no harm: the second waits for the first, and does what is still due.".to_owned(),
        "SHELL=/bin/sh".to_owned(),
        format!("PATH={PATH}"),
    ];
    if let Some(address) = mail_to {
        if address.chars().any(char::is_control) || address.contains('"') {
            return Err(Error::Unwritable(address.to_owned()));
        }
        lines.push(format!("MAILTO=\"{address}\""));
    }
    let mut looks = false;
    for group in &groups {
        lines.push(format!("\n# {}", group.said()));
        match exact(group, zone) {
            Ok(fields) => lines.push(format!("{fields} {command}")),
            Err(why) => {
                lines.push(format!("# is looked for every {LOOK_MINUTES} minutes, see below: {why}."));
                looks = true;
            }
        }
    }
    let wakes = |group: &Group<'_>| group.timetable.missed == Missed::Run || group.timetable.on_start == OnStart::Run;
    if looks {
        lines.push(format!("\n*/{LOOK_MINUTES} * * * * {command}"));
    } else if groups.iter().any(wakes) {
        lines.push("\n# What was missed while the machine was off.".to_owned());
        lines.push(format!("@reboot {command}"));
    }
    let warnings = without_variables(setup).into_iter().collect();
    Ok(Made { files: vec![Ready { name: "larder.crontab".to_owned(), text: lines.join("\n") + "\n" }], warnings })
}

/// The five fields, or why they cannot say it.
fn exact(group: &Group<'_>, zone: Option<&Zone>) -> Result<String, String> {
    let timetable = group.timetable;
    if let Some(why) = group.is_looked_for() {
        return Err(why.to_owned());
    }
    if !timetable.jitter.is_zero() {
        return Err("cron knows no jitter".to_owned());
    }
    match zone {
        Some(zone) if zone.is_like(&timetable.zone) => {}
        Some(zone) => return Err(format!("cron goes by {}, and it by {}", zone.name(), timetable.zone.name())),
        None => return Err(format!("nobody knows whether cron goes by {}", timetable.zone.name())),
    }
    crontab(&timetable.cron).ok_or_else(|| "cron has no form for such a choice of days".to_owned())
}

/// The command, as a line of a crontab has it.
fn command(setup: &Setup<'_>) -> Result<String, Error> {
    let word = |path| Ok::<_, Error>(quoted(text_of(path)?));
    let larder = format!("{} run --due --wait --quiet --config {}", word(setup.program)?, word(setup.file)?);
    let whole = match setup.variables {
        // The shell stops at the first line that fails; before `&&` it would not.
        Some(file) => format!("set -ae; . {}; exec {larder}", word(file)?),
        None => larder,
    };
    // cron takes what follows a percent sign for the command's input.
    Ok(whole.replace('%', "\\%"))
}

/// A word for the shell.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}
