//! What a storage in a folder does beyond the contract.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use larder::storage::local::Local;
use larder::storage::{ErrorKind, Storage};

use crate::storage_contract::cases::{listed, name};

fn fresh() -> (tempfile::TempDir, Local) {
    let folder = tempfile::tempdir().unwrap();
    let local = Local::create(folder.path()).unwrap();
    (folder, local)
}

/// Every path in a folder, sorted.
fn paths(folder: &Path) -> Vec<String> {
    let mut ahead = vec![folder.to_owned()];
    let mut paths = Vec::new();
    while let Some(at) = ahead.pop() {
        for entry in fs::read_dir(at).unwrap().map(Result::unwrap) {
            paths.push(entry.path().strip_prefix(folder).unwrap().to_str().unwrap().to_owned());
            if entry.file_type().unwrap().is_dir() {
                ahead.push(entry.path());
            }
        }
    }
    paths.sort();
    paths
}

/// A small file system in memory, unmounted when dropped.
struct Mounted(tempfile::TempDir);

impl Mounted {
    fn new(bytes: u32) -> Self {
        let mounted = Self(tempfile::tempdir().unwrap());
        mounted.mount(&["-t", "tmpfs", "-o", &format!("size={bytes}"), "larder-test"]);
        mounted
    }

    fn mount(&self, arguments: &[&str]) {
        let status = Command::new("mount").args(arguments).arg(self.0.path()).status().unwrap();
        assert!(status.success(), "this test has to mount a tmpfs, so it has to run as root");
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // Lazily, since a storage may still hold the folder.
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[test]
fn a_storage_is_created_in_a_missing_or_empty_folder_only() {
    let folder = tempfile::tempdir().unwrap();
    let deep = folder.path().join("a/b");
    assert_eq!(Local::create(&deep).unwrap().root(), deep);
    Local::create(&deep).unwrap().put_new(&name("config"), &[b"1"]).unwrap();
    let error = Local::create(&deep).unwrap_err();
    assert_eq!((error.kind, error.call), (ErrorKind::AlreadyExists, "create"));
    assert_eq!(listed(&Local::open(&deep).unwrap(), ""), ["config 1"]);
    fs::write(folder.path().join("file"), "").unwrap();
    assert!(Local::create(&folder.path().join("file")).is_err());
}

#[test]
fn a_folder_that_is_missing_cannot_be_opened() {
    let folder = tempfile::tempdir().unwrap();
    let error = Local::open(&folder.path().join("none")).unwrap_err();
    assert_eq!((error.kind, error.call), (ErrorKind::NotFound, "open"));
    fs::write(folder.path().join("file"), "").unwrap();
    assert_eq!(Local::open(&folder.path().join("file")).unwrap_err().kind, ErrorKind::Other);
}

#[test]
fn an_object_is_a_file_of_its_name_that_only_its_owner_reads() {
    let (folder, local) = fresh();
    local.put_new(&name("packs/ab/1"), &[b"abc"]).unwrap();
    assert_eq!(paths(folder.path()), ["packs", "packs/ab", "packs/ab/1"]);
    let metadata = fs::metadata(folder.path().join("packs/ab/1")).unwrap();
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    let mut stored_at = None;
    local.list("", &mut |info| stored_at = Some(info.stored_at)).unwrap();
    assert_eq!(stored_at, metadata.modified().ok());
}

#[test]
fn what_is_no_object_is_not_listed() {
    let (folder, local) = fresh();
    local.put_new(&name("packs/ab/1"), &[b"abc"]).unwrap();
    let inside = |path: &str| folder.path().join(path);
    for path in ["packs/ab/.tmp-0123456789abcdef", ".tmp-0", "README", "packs/a b", "packs/.hidden"] {
        fs::write(inside(path), "x").unwrap();
    }
    for path in ["lost+found", ".snapshot", "packs/cd"] {
        fs::create_dir_all(inside(path)).unwrap();
    }
    fs::write(inside(".snapshot/1"), "x").unwrap();
    fs::write(inside(&format!("packs/cd/{}", "a".repeat(250))), "x").unwrap();
    assert!(Command::new("mkfifo").arg(inside("packs/pipe")).status().unwrap().success());
    assert_eq!(listed(&local, ""), ["packs/ab/1 3"]);
}

#[test]
fn symbolic_links_are_not_followed() {
    let (folder, local) = fresh();
    local.put_new(&name("packs/ab/1"), &[b"abc"]).unwrap();
    symlink("ab", folder.path().join("packs/cd")).unwrap();
    symlink("1", folder.path().join("packs/ab/2")).unwrap();
    symlink(".", folder.path().join("packs/ab/loop")).unwrap();
    assert_eq!(listed(&local, ""), ["packs/ab/1 3"]);
    for link in ["packs/ab/2", "packs/cd/1"] {
        let error = local.get_whole(&name(link), 9).unwrap_err();
        assert_eq!((error.kind, error.reason.contains("no plain file")), (ErrorKind::NotFound, true), "{link}");
    }
    assert!(local.put_new(&name("packs/cd/3"), &[]).is_err());
    assert_eq!(local.put_new(&name("packs/ab/2"), &[]).unwrap_err().kind, ErrorKind::AlreadyExists);
    // What was asked for is there, but cannot be read: not an empty listing.
    assert!(local.list("packs/cd/", &mut |_| {}).is_err());
}

#[test]
fn what_is_no_file_is_not_read() {
    let (folder, local) = fresh();
    fs::create_dir_all(folder.path().join("packs/ab")).unwrap();
    assert!(Command::new("mkfifo").arg(folder.path().join("pipe")).status().unwrap().success());
    for text in ["packs/ab", "pipe"] {
        let error = local.get(&name(text), 0..0).unwrap_err();
        assert_eq!((error.kind, error.reason.contains("no plain file")), (ErrorKind::NotFound, true), "{text}");
    }
}

#[test]
fn a_storage_whose_folder_was_removed_fails_instead_of_being_empty() {
    let (folder, local) = fresh();
    local.put_new(&name("log/1"), &[b"1"]).unwrap();
    folder.close().unwrap();
    assert_eq!(local.list("", &mut |_| {}).unwrap_err().kind, ErrorKind::Other);
    assert_eq!(local.list("log/", &mut |_| {}).unwrap_err().kind, ErrorKind::Other);
    assert_eq!(local.get_whole(&name("log/1"), 9).unwrap_err().kind, ErrorKind::Other);
    assert_eq!(local.put_new(&name("log/2"), &[]).unwrap_err().kind, ErrorKind::Other);
    assert_eq!(local.delete(&name("log/1")).unwrap_err().kind, ErrorKind::Other);
    assert!(local.barrier().is_err());
}

#[test]
fn temporaries_are_swept_once_they_are_old_enough() {
    let (folder, local) = fresh();
    local.put_new(&name("packs/ab/1"), &[b"abc"]).unwrap();
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
    for (path, age_seconds) in [("packs/ab/.tmp-old", 3600), (".tmp-old", 9999), ("packs/.tmp-young", 3599)] {
        let file = fs::File::create(folder.path().join(path)).unwrap();
        file.set_modified(now - Duration::from_secs(age_seconds)).unwrap();
    }
    let ahead_of_the_clock = fs::File::create(folder.path().join(".tmp-future")).unwrap();
    ahead_of_the_clock.set_modified(now + Duration::from_secs(9999)).unwrap();
    assert_eq!(local.sweep_temporaries(Duration::from_secs(3600), now).unwrap(), 2);
    assert_eq!(paths(folder.path()), [".tmp-future", "packs", "packs/.tmp-young", "packs/ab", "packs/ab/1"]);
}

#[test]
fn a_full_disk_is_no_space_and_leaves_nothing() {
    let mounted = Mounted::new(1 << 20);
    let local = Local::create(mounted.0.path()).unwrap();
    local.put_new(&name("packs/ab/1"), &[&[1; 500_000]]).unwrap();
    let error = local.put_new(&name("packs/ab/2"), &[&[2; 300_000], &[2; 500_000]]).unwrap_err();
    assert_eq!((error.kind, error.call), (ErrorKind::NoSpace, "write"));
    assert_eq!(paths(mounted.0.path()), ["packs", "packs/ab", "packs/ab/1"]);
    // There is room again, and nothing stands in the way.
    local.put_new(&name("packs/ab/2"), &[&[2; 300_000]]).unwrap();
    local.barrier().unwrap();
    assert_eq!(local.get_whole(&name("packs/ab/1"), 1 << 20).unwrap(), [1; 500_000]);
}

#[test]
fn a_disk_that_is_read_only_denies_writing_and_still_reads() {
    let mounted = Mounted::new(1 << 20);
    let local = Local::create(mounted.0.path()).unwrap();
    local.put_new(&name("log/1"), &[b"1"]).unwrap();
    mounted.mount(&["-o", "remount,ro"]);
    assert_eq!(local.put_new(&name("log/2"), &[b"2"]).unwrap_err().kind, ErrorKind::Denied);
    assert_eq!(local.put_new(&name("new/2"), &[b"2"]).unwrap_err().kind, ErrorKind::Denied);
    assert_eq!(local.delete(&name("log/1")).unwrap_err().kind, ErrorKind::Denied);
    assert_eq!(Local::create(&mounted.0.path().join("new")).unwrap_err().kind, ErrorKind::Denied);
    let reader = Local::open(mounted.0.path()).unwrap();
    assert_eq!(listed(&reader, ""), ["log/1 1"]);
    assert_eq!(reader.get_whole(&name("log/1"), 9).unwrap(), b"1");
}

#[test]
fn ten_thousand_packs_are_listed_completely() {
    let (folder, local) = fresh();
    for shard in 0..256 {
        let shard_path = folder.path().join(format!("packs/{shard:02x}"));
        fs::create_dir_all(&shard_path).unwrap();
        for pack in 0..40 {
            fs::write(shard_path.join(format!("{pack:064x}")), b"12345").unwrap();
        }
    }
    let mut packs = std::collections::BTreeSet::new();
    local.list("packs/", &mut |info| assert!(info.bytes == 5 && packs.insert(info.name))).unwrap();
    assert_eq!(packs.len(), 256 * 40);
}
