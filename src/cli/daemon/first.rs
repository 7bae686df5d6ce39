//! The first process of a container: what ends with it is killed, and it inherits what others leave behind.
//!
//! Promise: the daemon is a process below it, to which signals are passed on; when that ended, hooks that are bound to run
//! have their time, then this one ends as the daemon did.

use std::env;
use std::io;
use std::process::{self, Command};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, kill_process, wait};
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::cli::report::Failure;

/// How long what a daemon left may take. Docker kills all of it much earlier, unless it is told otherwise.
const REST_MAX: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(20);

/// If this is the first process: starts it once more, and does not come back.
pub fn stand_aside() -> Result<(), Failure> {
    if process::id() != 1 {
        return Ok(());
    }
    let code = watch().map_err(|error| Failure::io("cannot start as a process below the first", &error))?;
    process::exit(code)
}

/// Starts the daemon, and waits for its end.
fn watch() -> io::Result<i32> {
    let mut signals = Signals::new([SIGCHLD, SIGTERM, SIGINT, SIGHUP])?;
    let daemon = Command::new(env::current_exe()?).args(env::args_os().skip(1)).spawn()?;
    let daemon = Pid::from_child(&daemon);
    let mut incoming = signals.forever();
    let status = loop {
        let passed_on = match incoming.next() {
            Some(SIGTERM) => Some(Signal::TERM),
            Some(SIGINT) => Some(Signal::INT),
            Some(SIGHUP) => Some(Signal::HUP),
            _ => None,
        };
        if let Some(signal) = passed_on {
            let _may_have_ended = kill_process(daemon, signal);
        } else if let Some(status) = collect(daemon) {
            break status;
        }
    };
    let ended = Instant::now();
    // An error: nobody is left.
    while ended.elapsed() < REST_MAX && wait(WaitOptions::NOHANG).is_ok() {
        thread::sleep(PAUSE);
    }
    let by_signal = || status.terminating_signal().map(|signal| 128 + signal);
    Ok(status.exit_status().or_else(by_signal).unwrap_or(1))
}

/// Collects all that ended. How the daemon did, if it was among them.
fn collect(daemon: Pid) -> Option<WaitStatus> {
    let mut found = None;
    while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
        found = found.or((pid == daemon).then_some(status));
    }
    found
}
