//! What the real binary makes of damage that can be healed, because the source or another copy still has what is lost;
//! and of things in the place of objects that are no objects.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::binary::{Larder, day_in, write_day};

const FILES: u64 = 6;
const BYTES: usize = 40_000;

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn day(larder: &Larder, day: u64) {
    write_day(&larder.path("source"), day, FILES, BYTES);
    larder.ok(&["backup", text(&larder.path("source")), "--source", "data", "--tag", &format!("day{day}")]);
}

fn restored(larder: &Larder, to: &str) -> Option<i32> {
    larder.run(&["restore", "data@latest", "--to", text(&larder.path(to))]).code
}

/// The packs, the longest last.
fn packs(larder: &Larder) -> Vec<PathBuf> {
    let folders = fs::read_dir(larder.path("repository/packs")).unwrap().map(|entry| entry.unwrap().path());
    let files = folders.flat_map(|folder| fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()));
    let mut packs: Vec<PathBuf> = files.collect();
    packs.sort_by_key(|path| path.metadata().unwrap().len());
    packs
}

fn flip_last_byte(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(path, bytes).unwrap();
}

/// No run may say that all is well, and rely on what a check has found damaged.
#[test]
fn what_a_check_found_damaged_is_stored_again_while_the_source_has_it() {
    let larder = Larder::new();
    day(&larder, 1);
    let damaged = packs(&larder).pop().unwrap();
    flip_last_byte(&damaged);
    assert_eq!(larder.run(&["check", "--read-data"]).code, Some(4));
    let source = larder.path("source");
    let again = larder.ok(&["backup", text(&source), "--source", "data"]);
    assert!(again.err.contains("a check found it damaged"), "{again:?}");
    assert_eq!(restored(&larder, "healed"), Some(0));
    assert_eq!(day_in(&larder.path("healed"), FILES, BYTES), 1);
    // The older snapshot has the same chunks, and so is whole again, too.
    let older = larder.run(&["snapshots", "--tag", "day1", "--json"]).json()[0]["id"].as_str().unwrap().to_owned();
    larder.ok(&["restore", &older, "--to", text(&larder.path("older")), "--verify"]);
    // Put right, the pack is relied on again as soon as a check has seen it.
    flip_last_byte(&damaged);
    larder.ok(&["check", "--read-data"]);
    let quiet = larder.ok(&["backup", text(&source), "--source", "data"]);
    assert!(!quiet.err.contains("damaged"), "{quiet:?}");
}

fn flip_first_byte(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    bytes[0] ^= 1;
    fs::write(path, bytes).unwrap();
}

/// The same for damage at the front, which a check sees without reading any data.
#[test]
fn a_pack_whose_front_is_damaged_is_stored_again_and_pruned_once_nothing_needs_it() {
    let larder = Larder::new();
    day(&larder, 1);
    flip_first_byte(&packs(&larder).pop().unwrap());
    assert_eq!(larder.run(&["check"]).code, Some(4));
    let again = larder.ok(&["backup", text(&larder.path("source")), "--source", "data"]);
    assert!(again.err.contains("a check found it damaged"), "{again:?}");
    fs::remove_dir_all(larder.path("cache")).unwrap();
    assert_eq!(restored(&larder, "healed"), Some(0));
    assert_eq!(day_in(&larder.path("healed"), FILES, BYTES), 1);
    larder.ok(&["prune", "--grace", "0s"]);
    larder.ok(&["check", "--read-data"]);
    assert_eq!(restored(&larder, "pruned"), Some(0));
    assert_eq!(day_in(&larder.path("pruned"), FILES, BYTES), 1);
}

/// Nothing is damaged because somebody else prunes meanwhile.
#[test]
fn a_check_or_a_restore_beside_prunes_finds_nothing() {
    let larder = Larder::new();
    write_day(&larder.path("kept"), 99, FILES, BYTES);
    larder.ok(&["backup", text(&larder.path("kept"))]);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for number in 1..=12 {
                day(&larder, number);
                for id in larder
                    .run(&["snapshots", "--source", "data", "--json"])
                    .json()
                    .as_array()
                    .unwrap()
                    .iter()
                    .rev()
                    .skip(1)
                {
                    larder.ok(&["forget", id["id"].as_str().unwrap()]);
                }
                larder.ok(&["prune", "--grace", "0s", "--max-unused", "0"]);
            }
        });
        let mut checks = 0;
        while !writer.is_finished() || checks == 0 {
            let check = larder.run(&["check"]);
            assert_eq!(check.code, Some(0), "{check:?}");
            // Its chunks are moved into another pack by each prune.
            let to = larder.path(&format!("beside{checks}"));
            let restore = larder.run(&["restore", "kept@latest", "--to", text(&to)]);
            assert_eq!((restore.code, day_in(&to, FILES, BYTES)), (Some(0), 99), "{restore:?}");
            checks += 1;
        }
    });
    larder.ok(&["check", "--read-data"]);
}

/// Puts something that is no object into an object's place.
fn replace(path: &Path, with: &str) {
    fs::remove_file(path).unwrap();
    match with {
        "link" => symlink("x", path).unwrap(),
        "folder" => fs::create_dir(path).unwrap(),
        _ => assert!(Command::new("mkfifo").arg(path).status().unwrap().success()),
    }
}

#[test]
fn what_is_no_plain_file_counts_as_missing_and_keeps_nobody_from_the_rest() {
    for with in ["link", "folder", "pipe"] {
        let larder = Larder::new();
        day(&larder, 1);
        let before = packs(&larder);
        day(&larder, 2);
        let new: Vec<PathBuf> = packs(&larder).into_iter().filter(|pack| !before.contains(pack)).collect();
        replace(new.last().unwrap(), with);
        fs::remove_dir_all(larder.path("cache")).unwrap();
        let first = larder.run(&["snapshots", "--tag", "day1", "--json"]).json()[0]["id"].as_str().unwrap().to_owned();
        larder.ok(&["restore", &first, "--to", text(&larder.path("first"))]);
        assert_eq!(day_in(&larder.path("first"), FILES, BYTES), 1);
        assert_eq!(restored(&larder, "second"), Some(4), "{with}");
        assert_eq!(larder.run(&["check"]).code, Some(4), "{with}");
        larder.ok(&["backup", text(&larder.path("source")), "--source", "data"]);
        assert_eq!(restored(&larder, "third"), Some(0), "{with}");
        assert_eq!(day_in(&larder.path("third"), FILES, BYTES), 2);
    }
}

#[test]
fn of_two_copies_the_one_that_is_a_plain_file_counts() {
    for with in ["link", "folder", "pipe"] {
        let larder = Larder::new();
        day(&larder, 1);
        let keys: Vec<PathBuf> =
            fs::read_dir(larder.path("repository/keys")).unwrap().map(|entry| entry.unwrap().path()).collect();
        let copy = keys.iter().find(|path| path.extension().is_some()).unwrap();
        replace(copy, with);
        replace(&larder.path("repository/config.copy"), with);
        larder.ok(&["snapshots"]);
        assert_eq!(restored(&larder, "restored"), Some(0), "{with}");
        assert_eq!(larder.run(&["check"]).code, Some(4), "{with}");
    }
}

#[test]
fn a_log_entry_that_is_no_plain_file_is_a_missing_one() {
    for with in ["link", "folder", "pipe"] {
        let larder = Larder::new();
        (1..=3).for_each(|n| day(&larder, n));
        replace(&larder.path("repository/log/0000000000000002"), with);
        fs::remove_dir_all(larder.path("cache")).unwrap();
        assert_eq!(larder.run(&["check"]).code, Some(4), "{with}");
        assert_eq!(restored(&larder, "restored"), Some(0), "{with}");
        assert_eq!(day_in(&larder.path("restored"), FILES, BYTES), 3);
    }
}

#[test]
fn a_pipe_in_place_of_the_index_or_of_a_note_holds_nobody_up() {
    let larder = Larder::new();
    day(&larder, 1);
    let folder = fs::read_dir(larder.path("cache")).unwrap().next().unwrap().unwrap().path();
    for name in ["index.sqlite", "seen", "distrusted"] {
        let path = folder.join(name);
        let _ = fs::remove_file(&path);
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    }
    larder.ok(&["snapshots"]);
    larder.ok(&["check"]);
    assert_eq!(restored(&larder, "restored"), Some(0));
}
