use std::cell::{Cell, RefCell};

use super::*;
use crate::storage::ErrorKind;

fn name(text: &str) -> ObjectName {
    ObjectName::new(text).unwrap()
}

fn local() -> (tempfile::TempDir, Local) {
    let folder = tempfile::tempdir().unwrap();
    let local = Local::create(folder.path()).unwrap();
    (folder, local)
}

/// The folders that a barrier syncs, relative to the root.
fn synced(local: &Local) -> Vec<String> {
    let root = local.root().canonicalize().unwrap();
    let folders = RefCell::new(Vec::new());
    local
        .sync_folders(&|fd| {
            let path = std::fs::read_link(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(fd))).unwrap();
            folders.borrow_mut().push(path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned());
            Ok(())
        })
        .unwrap();
    folders.into_inner()
}

#[test]
fn errors_of_the_system_have_their_kinds() {
    for (errno, kind) in [
        (Errno::NOENT, ErrorKind::NotFound),
        (Errno::EXIST, ErrorKind::AlreadyExists),
        (Errno::NOSPC, ErrorKind::NoSpace),
        (Errno::DQUOT, ErrorKind::NoSpace),
        (Errno::ACCESS, ErrorKind::Denied),
        (Errno::PERM, ErrorKind::Denied),
        (Errno::ROFS, ErrorKind::Denied),
        (Errno::IO, ErrorKind::Other),
    ] {
        assert_eq!(failed("read", &"a", errno).kind, kind, "{errno:?}");
    }
    assert_eq!(failed("list", &"a", Errno::NOENT).kind, ErrorKind::Other);
}

#[test]
fn a_barrier_syncs_each_changed_folder_once_and_those_above_a_new_one() {
    let (_folder, local) = local();
    local.put_new(&name("packs/ab/1"), &[b"1"]).unwrap();
    local.put_new(&name("packs/ab/2"), &[b"2"]).unwrap();
    assert_eq!(synced(&local), ["", "packs", "packs/ab"]);
    assert!(synced(&local).is_empty());
    local.put_new(&name("packs/ab/3"), &[b"3"]).unwrap();
    assert_eq!(synced(&local), ["packs/ab"]);
    local.delete(&name("packs/ab/3")).unwrap();
    assert_eq!(synced(&local), ["packs/ab"]);
}

/// A run is killed between a pack and the barrier. The next one finds the pack, commits a snapshot that needs it, and
/// the power fails.
#[test]
fn a_barrier_syncs_what_a_listing_or_a_put_found_in_place() {
    let (folder, killed) = local();
    killed.put_new(&name("packs/ab/1"), &[b"1"]).unwrap();
    let next = Local::open(folder.path()).unwrap();
    next.list("packs/", &mut |_| {}).unwrap();
    assert_eq!(synced(&next), ["", "packs", "packs/ab"]);
    let next = Local::open(folder.path()).unwrap();
    assert_eq!(next.put_new(&name("packs/ab/1"), &[b"1"]).unwrap_err().kind, ErrorKind::AlreadyExists);
    assert_eq!(synced(&next), ["", "packs", "packs/ab"]);
}

#[test]
fn after_a_failed_sync_no_barrier_is_believed() {
    let (_folder, local) = local();
    local.put_new(&name("log/1"), &[b"1"]).unwrap();
    let calls = Cell::new(0);
    let fails_once = |_: &OwnedFd| {
        calls.set(calls.get() + 1);
        if calls.get() == 1 { Err(Errno::IO) } else { Ok(()) }
    };
    assert_eq!(local.sync_folders(&fails_once), Err(Errno::IO));
    assert_eq!(local.sync_folders(&fails_once), Err(Errno::IO));
    assert_eq!(local.barrier().unwrap_err().kind, ErrorKind::Other);
    assert_eq!(calls.get(), 1);
}

#[test]
fn a_barrier_that_could_not_open_a_folder_fails_until_it_can() {
    let (folder, local) = local();
    local.put_new(&name("log/1"), &[b"1"]).unwrap();
    std::fs::rename(folder.path().join("log"), folder.path().join("elsewhere")).unwrap();
    assert!(local.barrier().is_err());
    assert!(local.barrier().is_err());
    std::fs::rename(folder.path().join("elsewhere"), folder.path().join("log")).unwrap();
    local.barrier().unwrap();
    assert!(synced(&local).is_empty());
}

#[test]
fn times_before_the_epoch_are_times() {
    let folder = tempfile::tempdir().unwrap();
    let file = File::create(folder.path().join("a")).unwrap();
    let before = UNIX_EPOCH - Duration::from_millis(1500);
    file.set_modified(before).unwrap();
    assert_eq!(modified_at(&fstat(&file).unwrap()), before);
}
