use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::{Made, PASSAGE, Root, by_component};
use crate::posix::place::{TempNames, create_file_temp};

fn target() -> (tempfile::TempDir, Root) {
    target_in(tempfile::tempdir().unwrap())
}

fn target_in(folder: tempfile::TempDir) -> (tempfile::TempDir, Root) {
    fs::create_dir(folder.path().join("in")).unwrap();
    fs::create_dir(folder.path().join("out")).unwrap();
    let root = Root::open(&folder.path().join("in")).unwrap();
    (folder, root)
}

fn without_openat2(root: &Root) {
    root.openat2_missing.store(true, Ordering::Relaxed);
}

#[test]
fn folders_are_made_once_and_found_again() {
    let (_folder, root) = target();
    assert_eq!(root.make_dir(b"a").unwrap(), Made::New);
    assert_eq!(root.make_dir(b"a/b").unwrap(), Made::New);
    assert_eq!(root.make_dir(b"a/b").unwrap(), Made::Existing);
    assert!(root.make_dir(b"x/y").is_err());
    root.folder_to_set(b"a/b").unwrap();
    root.folder_to_set(b"").unwrap();
}

#[test]
fn paths_that_lead_out_are_refused() {
    let (_folder, root) = target();
    root.make_dir(b"a").unwrap();
    for path in [&b"../out"[..], b"a/../../out", b"/tmp", b"a//b", b"a/./b", b"a\0b", b".."] {
        assert!(root.make_dir(path).is_err(), "{path:?}");
        assert!(root.folder_to_set(path).is_err(), "{path:?}");
    }
}

#[test]
fn symlinks_are_not_followed_with_and_without_openat2() {
    for old_kernel in [false, true] {
        let (folder, root) = target();
        if old_kernel {
            without_openat2(&root);
        }
        symlink(folder.path().join("out"), folder.path().join("in/link")).unwrap();
        root.make_dir(b"a").unwrap();
        symlink("../../out", folder.path().join("in/a/link")).unwrap();
        for path in [&b"link/x"[..], b"a/link/x", b"link", b"a/link"] {
            assert!(root.make_dir(path).is_err(), "{path:?}");
        }
        assert_eq!(fs::read_dir(folder.path().join("out")).unwrap().count(), 0);
    }
}

#[test]
fn a_folder_made_again_is_opened_afresh_once_forgotten() {
    let (folder, root) = target();
    root.make_dir(b"a").unwrap();
    let before = root.folder(b"a").unwrap();
    fs::remove_dir(folder.path().join("in/a")).unwrap();
    root.forget(b"a");
    root.make_dir(b"a").unwrap();
    let after = root.folder(b"a").unwrap();
    assert_ne!(rustix::fs::fstat(&*before).unwrap().st_nlink, rustix::fs::fstat(&*after).unwrap().st_nlink);
}

#[test]
fn the_deepest_path_of_a_listing_can_be_made() {
    // In memory, where making and removing so many folders takes no time.
    let (folder, root) = target_in(tempfile::tempdir_in("/dev/shm").unwrap());
    let mut path = Vec::new();
    for depth in 0..4096 {
        if depth > 0 {
            path.push(b'/');
        }
        path.extend_from_slice(b"0123456789abcd");
        root.make_dir(&path).unwrap();
    }
    let fresh = |root: &Root| rustix::fs::fstat(root.folder_to_set(&path).unwrap()).unwrap().st_ino;
    root.forget(b"");
    let inode = fresh(&root);
    without_openat2(&root);
    root.forget(b"");
    assert_eq!(fresh(&root), inode);
    assert_eq!(rustix::fs::fstat(by_component(&root.fd, &path, PASSAGE).unwrap()).unwrap().st_ino, inode);
    let removed = Command::new("rm").arg("-rf").arg(folder.path().join("in")).status().unwrap();
    assert!(removed.success());
}

#[test]
fn an_attacker_who_swaps_folders_for_symlinks_gets_nothing_outside() {
    for old_kernel in [false, true] {
        let (folder, root) = target();
        if old_kernel {
            without_openat2(&root);
        }
        root.make_dir(b"a").unwrap();
        root.make_dir(b"a/b").unwrap();
        let link = folder.path().join("in/evil");
        symlink(folder.path().join("out"), &link).unwrap();
        fs::create_dir(folder.path().join("out/b")).unwrap();
        let place = folder.path().join("in/a");
        let stop = AtomicBool::new(false);
        let names = TempNames::new(1);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    renameat_with(CWD, &place, CWD, &link, RenameFlags::EXCHANGE).unwrap();
                }
            });
            let (mut made, mut refused) = (0, 0);
            for _ in 0..20_000 {
                root.forget(b"");
                match root.parent_of(b"a/b/file") {
                    Ok((parent, _)) => {
                        create_file_temp(&*parent, &names).unwrap();
                        made += 1;
                    }
                    Err(_) => refused += 1,
                }
                if made > 100 && refused > 100 {
                    break;
                }
            }
            stop.store(true, Ordering::Relaxed);
            assert!(made > 0 && refused > 0, "{made} {refused}: the attack did not take place");
        });
        assert_eq!(fs::read_dir(folder.path().join("out/b")).unwrap().count(), 0);
        assert_eq!(fs::read_dir(folder.path().join("out")).unwrap().count(), 1);
    }
}

#[test]
fn no_more_folders_are_kept_open_than_the_limit() {
    let (folder, root) = target();
    for n in 0..200 {
        root.make_dir(format!("{n}").as_bytes()).unwrap();
        root.folder(format!("{n}").as_bytes()).unwrap();
    }
    assert_eq!(root.recent().len(), super::RECENT_MAX);
    let inode = fs::metadata(folder.path().join("in/7")).unwrap().ino();
    assert_eq!(rustix::fs::fstat(&*root.folder(b"7").unwrap()).unwrap().st_ino, inode);
}
