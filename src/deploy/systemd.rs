//! Units of systemd: a service that does what is due, and a timer for each timetable; or the daemon as a service.
//!
//! Promise: the service may write only where larder must. Each timer starts an instance of its own: systemd forgets
//! a moment that passes while the unit to be started still runs, and an instance waits for the others instead.

use std::fmt::Write as _;
use std::path::PathBuf;

use crate::config::{Missed, OnStart};
use crate::deploy::calendar::on_calendar;
use crate::deploy::moments::{Group, LOOK, groups};
use crate::deploy::places::Places;
use crate::deploy::{Error, LOOK_MINUTES, Made, Ready, Runs, Setup, line, text_of, user_of, without_variables};

/// What larder does without. It reads what anybody owns, and commands and hooks may become somebody else.
const HARDENING: &str = "\
NoNewPrivileges=yes
ProtectSystem=strict
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectClock=yes
ProtectHostname=yes
PrivateDevices=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RestrictNamespaces=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
LockPersonality=yes
SystemCallArchitectures=native
";
/// For commands and hooks, which may become somebody else. `CAP_SYS_PTRACE`: what a drill that was killed left running is
/// known by its folder (`/proc/PID/cwd`), which of another user's process nobody else may read.
const ROOT: &str =
    "CAP_CHOWN CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH CAP_FOWNER CAP_KILL CAP_SETGID CAP_SETUID CAP_SYS_PTRACE";

/// Makes them.
pub fn make(setup: &Setup<'_>, runs: Runs) -> Result<Made, Error> {
    let groups = groups(setup.config)?;
    let mut files = Vec::new();
    match runs {
        Runs::AsDaemon => {
            let head = "# Copy it to /etc/systemd/system, then: systemctl daemon-reload; \
                        systemctl enable --now larder.service\n";
            let text = service(setup, runs, &[])? + "\n[Install]\nWantedBy=multi-user.target\n";
            files.push(Ready { name: "larder.service".to_owned(), text: made("") + head + &text });
        }
        Runs::WhenDue => {
            let (exact, looked): (Vec<_>, Vec<_>) = groups.iter().partition(|group| group.is_looked_for().is_none());
            let mut timers: Vec<Ready> = exact.iter().map(|group| timer(group, setup)).collect();
            if !looked.is_empty() {
                timers.push(looking(&looked));
            }
            let names: Vec<&str> = timers.iter().map(|timer| timer.name.as_str()).collect();
            let head = format!(
                "# Copy the files to /etc/systemd/system, then: systemctl daemon-reload; systemctl enable --now {}\n",
                names.join(" ")
            );
            let text = made("") + &head + &service(setup, runs, &exact)?;
            files.push(Ready { name: "larder@.service".to_owned(), text });
            files.extend(timers);
        }
    }
    Ok(Made { files, warnings: without_variables(setup).into_iter().collect() })
}

fn made(more: &str) -> String {
    format!("# Made by `larder schedule systemd`. Make it again when larder.toml changes.\n{more}")
}

fn service(setup: &Setup<'_>, runs: Runs, exact: &[&Group<'_>]) -> Result<String, Error> {
    let places = Places::of(setup.config)?;
    let (kind, words) = match runs {
        Runs::AsDaemon => ("exec", "daemon"),
        Runs::WhenDue => ("oneshot", "run --due --wait"),
    };
    let (program, file) = (text_of(setup.program)?, text_of(setup.file)?);
    let mut text = String::from("[Unit]\nDescription=larder, the backup\nWants=network-online.target\n");
    let mounts: Vec<String> = places.all().filter_map(|path| path.to_str()).map(quoted).collect();
    let _ = writeln!(text, "After=network-online.target\nRequiresMountsFor={}\n", mounts.join(" "));
    let _ = writeln!(text, "[Service]\nType={kind}");
    if program.contains(['"', '\'', '\\']) {
        return Err(Error::Unwritable(program.to_owned()));
    }
    let _ = writeln!(text, "ExecStart={} {words} --config {}", quoted(program), quoted(file).replace('$', "$$"));
    if runs == Runs::AsDaemon {
        text.push_str("ExecReload=/bin/kill -HUP $MAINPID\nRestart=on-failure\nRestartSec=1min\n");
    }
    text.push_str("# larder ends what it started itself; what must still be done after it was killed may go on.\n");
    text.push_str("KillMode=process\nOOMPolicy=continue\nTimeoutStopSec=5min\n");
    text.push_str("Nice=10\nIOSchedulingClass=best-effort\nIOSchedulingPriority=7\n\n");
    variables(&mut text, setup, exact)?;
    match setup.user {
        Some(user) => {
            let _ = writeln!(text, "User={}", user_of(user, "")?);
            text.push_str("CapabilityBoundingSet=CAP_DAC_READ_SEARCH\nAmbientCapabilities=CAP_DAC_READ_SEARCH\n");
        }
        None => {
            let _ = writeln!(text, "CapabilityBoundingSet={ROOT}");
        }
    }
    text.push_str("UMask=0077\n");
    writable(&mut text, &places, setup);
    text.push_str(HARDENING);
    Ok(text)
}

fn variables(text: &mut String, setup: &Setup<'_>, exact: &[&Group<'_>]) -> Result<(), Error> {
    text.push_str("CacheDirectory=larder\nCacheDirectoryMode=0700\nEnvironment=LARDER_CACHE=/var/cache/larder\n");
    if let Some(warning) = without_variables(setup) {
        let _ = writeln!(text, "# {}", line(&warning));
    }
    if let Some(file) = setup.variables {
        let _ = writeln!(text, "EnvironmentFile={}", text_of(file)?.replace('%', "%%"));
    }
    let jitters = exact.iter().filter(|group| !group.timetable.jitter.is_zero());
    let names: Vec<&String> = jitters.flat_map(|group| &group.jitters).collect();
    if !names.is_empty() {
        text.push_str("# The timers start it later by a random time already.\n");
    }
    for name in names {
        let _ = writeln!(text, "Environment={name}=0s");
    }
    Ok(())
}

fn writable(text: &mut String, places: &Places, setup: &Setup<'_>) {
    let paths = places.writes.iter().chain(&places.databases).filter_map(|path| path.to_str());
    let paths: Vec<String> = paths.map(|path| quoted(&format!("-{path}"))).collect();
    text.push_str("# Hooks and commands, too, can write nowhere else: add what they need.\n");
    let _ = writeln!(text, "ReadWritePaths={}", paths.join(" "));
    let named = places.all().map(PathBuf::as_path).chain([setup.file, setup.program]);
    match named.into_iter().find(|path| ["/tmp", "/var/tmp"].iter().any(|tmp| path.starts_with(tmp))) {
        None => text.push_str("PrivateTmp=yes\n"),
        Some(path) => {
            let _ = writeln!(text, "# No PrivateTmp=yes: {} is in there.", line(&path.display().to_string()));
            text.push_str("# Copies of databases are made there.\nReadWritePaths=-/tmp -/var/tmp\n");
        }
    }
}

fn timer(group: &Group<'_>, setup: &Setup<'_>) -> Ready {
    let timetable = group.timetable;
    let mut text = made("") + "[Unit]\n";
    let _ = writeln!(text, "Description=larder: {}", group.said().replace('%', "%%"));
    text.push_str("\n[Timer]\n");
    let calendar = on_calendar(&timetable.cron, &timetable.zone, setup.now);
    for value in calendar.always {
        let _ = writeln!(text, "OnCalendar={value}");
    }
    if !calendar.skipped.is_empty() {
        text.push_str("# When clocks are put forward over it: known for ten years.\n");
    }
    for value in calendar.skipped {
        let _ = writeln!(text, "OnCalendar={value}");
    }
    if timetable.on_start == OnStart::Run {
        text.push_str("OnBootSec=1min\n");
    }
    let persistent = if timetable.missed == Missed::Run { "true" } else { "false" };
    let _ = writeln!(text, "Persistent={persistent}");
    if !timetable.jitter.is_zero() {
        let _ = writeln!(text, "RandomizedDelaySec={}", timetable.jitter.as_secs());
    }
    text.push_str("\n[Install]\nWantedBy=timers.target\n");
    Ready { name: format!("larder@{}.timer", group.name), text }
}

/// The timer for what larder must decide itself.
fn looking(groups: &[&Group<'_>]) -> Ready {
    let mut text = made("");
    for group in groups {
        let why = group.is_looked_for().unwrap_or_default();
        let _ = writeln!(text, "# {}: looked for every {LOOK_MINUTES} minutes, since {why}.", group.said());
    }
    text.push_str("[Unit]\nDescription=larder: what is due\n\n[Timer]\n");
    let _ = writeln!(text, "OnCalendar=*:0/{LOOK_MINUTES}\n\n[Install]\nWantedBy=timers.target");
    Ready { name: format!("larder@{LOOK}.timer"), text }
}

/// A word of a list, in which nothing means anything else.
fn quoted(word: &str) -> String {
    let word = word.replace('%', "%%");
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%$=".contains(c) || !c.is_ascii();
    if word.chars().all(plain) {
        return word;
    }
    format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\""))
}
