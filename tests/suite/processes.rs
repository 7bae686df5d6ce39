//! The real binary, killed, interrupted, run several times at once, and on a full disk.
//!
//! Here time itself is the input: a run is killed after a random while. The seed is printed; nothing waits for
//! something to have happened.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::binary::{Larder, day_in, write_day};
use crate::support::damage_repo::{noise, scratch};
use crate::support::disk::Disk;

const FILES: u64 = 24;
const BYTES: usize = 20_000;

/// How often something is killed: more with `LARDER_TEST_ALL=1`.
fn rounds(few: u64) -> u64 {
    if std::env::var_os("LARDER_TEST_ALL").is_some() { few * 15 } else { few }
}

/// Random numbers from a printed seed.
struct Random {
    seed: u64,
    next: u64,
}

impl Random {
    fn new() -> Self {
        let given = std::env::var("LARDER_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = given.unwrap_or(u64::from(std::process::id()));
        println!("LARDER_TEST_SEED={seed}");
        Self { seed, next: 0 }
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next += 1;
        let bytes = noise(self.seed.wrapping_mul(1 << 20).wrapping_add(self.next), 8);
        u64::from_le_bytes(*bytes.first_chunk().unwrap()) % limit.max(1)
    }
}

/// Runs a command and kills it after a random part of the time that it usually takes. Whether it was killed in time.
fn kill(larder: &Larder, arguments: &[&str], usual: Duration, random: &mut Random) -> bool {
    let mut child = larder.spawn(arguments);
    thread::sleep(Duration::from_micros(random.below(usual.as_micros() as u64)));
    child.kill().unwrap();
    child.wait().unwrap().code().is_none()
}

fn usual(larder: &Larder, arguments: &[&str]) -> Duration {
    let begun = Instant::now();
    larder.ok(arguments);
    begun.elapsed()
}

/// Checks everything, restores the newest snapshot and says which day it is of.
fn proven(larder: &Larder) -> u64 {
    larder.ok(&["check", "--read-data"]);
    let target = scratch();
    larder.ok(&["restore", "latest", "--to", target.path().to_str().unwrap()]);
    day_in(target.path(), FILES, BYTES)
}

#[test]
fn a_backup_killed_at_any_moment_costs_nothing_but_its_own_work() {
    let (larder, mut random) = (Larder::new(), Random::new());
    let source = larder.path("source");
    let backup = ["backup", source.to_str().unwrap(), "--source", "docs"];
    write_day(&source, 0, FILES, BYTES);
    let mut most = usual(&larder, &backup);
    let (mut killed, mut day, mut newest) = (0, 0, 0);
    // However fast the others are: a run that is given next to no time is killed.
    while day < rounds(8) || killed == 0 {
        day += 1;
        write_day(&source, day, FILES, BYTES);
        if kill(&larder, &backup, most, &mut random) {
            killed += 1;
        } else {
            most = most * 3 / 4;
        }
        let found = proven(&larder);
        assert!(found == newest || found == day, "day {found} after {newest} and {day}");
        newest = found;
    }
    // What killed runs left is of use to the next, and then nothing is left to be freed.
    larder.ok(&backup);
    assert_eq!(proven(&larder), day);
}

#[test]
fn a_prune_killed_at_any_moment_loses_nothing() {
    let (larder, mut random) = (Larder::new(), Random::new());
    let source = larder.path("source");
    let backup = ["backup", source.to_str().unwrap(), "--source", "docs"];
    let prune = ["prune", "--grace", "0s", "--max-unused", "0"];
    let forget = ["forget", "--keep-last", "1"];
    write_day(&source, 0, FILES, BYTES);
    larder.ok(&backup);
    write_day(&source, 1, FILES, BYTES);
    larder.ok(&backup);
    larder.ok(&forget);
    let usual = usual(&larder, &prune);
    for day in 2..2 + rounds(7) {
        write_day(&source, day, FILES, BYTES);
        larder.ok(&backup);
        larder.ok(&forget);
        kill(&larder, &prune, usual, &mut random);
        assert_eq!(proven(&larder), day);
    }
    larder.ok(&prune);
    assert_eq!(larder.ok(&["snapshots", "--json"]).json().as_array().unwrap().len(), 1);
    assert_eq!(proven(&larder), 1 + rounds(7));
}

#[test]
fn a_restore_killed_at_any_moment_is_completed_by_the_next() {
    let (larder, mut random) = (Larder::new(), Random::new());
    let (source, target) = (larder.path("source"), larder.path("target"));
    write_day(&source, 5, FILES, BYTES);
    larder.ok(&["backup", source.to_str().unwrap()]);
    let restore = ["restore", "latest", "--to", target.to_str().unwrap(), "--existing", "changed", "--delete"];
    let usual = usual(&larder, &restore);
    for _ in 0..rounds(5) {
        fs::remove_dir_all(&target).unwrap();
        kill(&larder, &restore, usual, &mut random);
        larder.ok(&restore);
        assert_eq!(day_in(&target, FILES, BYTES), 5);
        assert_eq!(entries(&target), entries(&source), "something is left of the killed run");
    }
}

/// Every path below a folder.
fn entries(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut ahead = vec![folder.to_owned()];
    while let Some(now) = ahead.pop() {
        for entry in fs::read_dir(now).unwrap() {
            let path = entry.unwrap().path();
            found.push(path.strip_prefix(folder).unwrap().display().to_string());
            if path.is_dir() {
                ahead.push(path);
            }
        }
    }
    found.sort();
    found
}

#[test]
fn two_writers_and_a_prune_get_along() {
    let larder = Larder::new();
    let sources = ["left", "right"];
    thread::scope(|scope| {
        for (source, cache) in sources.into_iter().zip(["left-cache", "right-cache"]) {
            let client = larder.client(cache);
            let folder = larder.path(source);
            scope.spawn(move || {
                for day in 0..5 {
                    write_day(&folder, day, FILES, BYTES);
                    let done = client.run(&["backup", folder.to_str().unwrap(), "--source", source]);
                    assert_eq!(done.code, Some(0), "{done:?}");
                }
            });
        }
        let client = larder.client("prune-cache");
        scope.spawn(move || {
            for _ in 0..5 {
                let done = client.run(&["forget", "--keep-last", "1"]);
                assert!(matches!(done.code, Some(0 | 11)), "{done:?}");
                let done = client.run(&["prune", "--grace", "0s", "--max-unused", "0"]);
                assert!(matches!(done.code, Some(0 | 11)), "{done:?}");
            }
        });
    });
    larder.ok(&["check", "--read-data"]);
    for source in sources {
        let target = scratch();
        larder.ok(&["restore", &format!("{source}@latest"), "--to", target.path().to_str().unwrap()]);
        assert_eq!(day_in(target.path(), FILES, BYTES), 4);
    }
}

#[test]
fn a_full_disk_refuses_the_backup_and_prune_makes_room() {
    let disk = Disk::new(6 << 20);
    let larder = Larder::at(scratch(), disk.path().join("repository"));
    let (first, second) = (larder.path("first"), larder.path("second"));
    write_day(&first, 1, FILES, BYTES);
    larder.ok(&["backup", first.to_str().unwrap(), "--source", "first"]);
    write_day(&second, 2, FILES, BYTES);
    fs::write(second.join("large"), noise(99, 3 << 20)).unwrap();
    larder.ok(&["backup", second.to_str().unwrap(), "--source", "second"]);
    let large = larder.ok(&["snapshots", "--source", "second", "--json"]).json()[0]["id"].clone();
    fs::remove_file(second.join("large")).unwrap();
    larder.ok(&["backup", second.to_str().unwrap(), "--source", "second"]);
    // Now there is no room for this one.
    fs::write(second.join("larger"), noise(98, 5 << 20)).unwrap();
    let backup = ["backup", second.to_str().unwrap(), "--source", "second"];
    for _ in 0..2 {
        let refused = larder.run(&backup);
        assert_eq!(refused.code, Some(11), "{refused:?}");
        assert!(refused.err.contains("hint"), "{refused:?}");
    }
    // Fill what is left to the last byte, but for what forgetting needs, and repacking what lives beside the large file.
    let (spare, filler) = (disk.path().join("spare"), disk.path().join("filler"));
    fs::write(&spare, vec![1; 768 << 10]).unwrap();
    assert!(fs::write(&filler, vec![1; 6 << 20]).is_err());
    larder.ok(&["snapshots"]);
    larder.ok(&["check", "--read-data"]);
    let target = scratch();
    larder.ok(&["restore", "first@latest", "--to", target.path().to_str().unwrap()]);
    assert_eq!(day_in(target.path(), FILES, BYTES), 1);
    fs::remove_file(spare).unwrap();
    larder.ok(&["forget", large.as_str().unwrap()]);
    larder.ok(&["prune", "--grace", "0s"]);
    fs::write(second.join("larger"), noise(98, 2 << 20)).unwrap();
    larder.ok(&backup);
    larder.ok(&["check", "--read-data"]);
    let target = scratch();
    larder.ok(&["restore", "second@latest", "--to", target.path().to_str().unwrap()]);
    assert_eq!(day_in(target.path(), FILES, BYTES), 2);
}

#[test]
fn a_polite_signal_ends_a_backup_and_costs_nothing() {
    let (larder, mut random) = (Larder::new(), Random::new());
    let source = larder.path("source");
    let backup = ["backup", source.to_str().unwrap(), "--source", "docs"];
    write_day(&source, 0, FILES, BYTES);
    let usual = usual(&larder, &backup);
    for (day, signal) in [(1, "TERM"), (2, "INT"), (3, "HUP")] {
        write_day(&source, day, FILES, BYTES);
        let mut child = larder.spawn(&backup);
        thread::sleep(Duration::from_micros(random.below(usual.as_micros() as u64 / 2)));
        let sent = Command::new("kill").args([format!("-{signal}"), child.id().to_string()]).status().unwrap();
        let status = child.wait().unwrap();
        let found = proven(&larder);
        assert!(!status.success() || found == day, "{signal}: {sent:?}, {status:?}, day {found}");
    }
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let larder = Larder::new();
    let source = larder.path("source");
    write_day(&source, 1, FILES, BYTES);
    fs::write(source.join("large"), noise(7, 3 << 20)).unwrap();
    for name in 0..5000 {
        fs::write(source.join(format!("a-name-of-some-length-{name}")), b"").unwrap();
    }
    larder.ok(&["backup", source.to_str().unwrap()]);
    for arguments in [&["cat", "latest:large"][..], &["ls", "latest", "--recursive"], &["find", "*"]] {
        let mut child = larder.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut some = [0; 100];
        child.stdout.take().unwrap().read_exact(&mut some).unwrap();
        let output = child.wait_with_output().unwrap();
        let err = String::from_utf8_lossy(&output.stderr);
        assert!(!err.contains("panicked"), "{arguments:?}: {err}");
        assert!(output.status.code().is_none_or(|code| code == 0), "{arguments:?}: {:?} {err}", output.status);
    }
}

#[test]
fn a_key_file_of_the_wrong_length_is_told_from_a_wrong_one() {
    let larder = Larder::new();
    let key = larder.path("key");
    let right = fs::read(&key).unwrap();
    for wrong in [&b""[..], b"short", &right[..31.min(right.len() - 1)], &[&right[..], &right[..]].concat()] {
        fs::write(&key, wrong).unwrap();
        let done = larder.run(&["snapshots"]);
        assert!(matches!(done.code, Some(1 | 2)), "{done:?}");
        assert!(done.err.contains("key"), "{done:?}");
    }
    fs::write(&key, [1; 32]).unwrap();
    assert_eq!(larder.run(&["snapshots"]).code, Some(12));
    fs::remove_file(&key).unwrap();
    assert!(matches!(larder.run(&["snapshots"]).code, Some(1 | 2)));
    fs::write(&key, &right).unwrap();
    larder.ok(&["snapshots"]);
    // A password is another thing than a key file.
    let done = larder.command(&["snapshots"]).env_remove("LARDER_KEY_FILE").env("LARDER_PASSWORD", "x").output();
    assert_eq!(done.unwrap().status.code(), Some(12));
}
