//! How much memory a process takes.

use std::fs;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

/// Runs a command, which must succeed. How many bytes of memory it held at most.
pub fn peak_bytes(command: &mut Command) -> u64 {
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::inherit()).spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    let ended = loop {
        // Once it has ended, nothing is said of its memory any more.
        let told = fs::read_to_string(&status).unwrap();
        let kibibytes = told.lines().find_map(|line| line.strip_prefix("VmHWM:")?.strip_suffix("kB"));
        peak = kibibytes.map_or(peak, |text| text.trim().parse::<u64>().unwrap() << 10);
        match child.try_wait().unwrap() {
            Some(ended) => break ended,
            None => sleep(Duration::from_millis(1)),
        }
    };
    assert!(ended.success() && peak > 0, "{ended} {peak}");
    peak
}
