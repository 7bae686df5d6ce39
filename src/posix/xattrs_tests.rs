use std::fs::{self, File};
use std::os::unix::fs::symlink;

use super::{of_handle, of_open};
use crate::posix::open::handle_at;

#[test]
fn attributes_come_sorted_with_empty_and_large_values() {
    let folder = tempfile::tempdir_in("/var/tmp").unwrap();
    let path = folder.path().join("f");
    fs::write(&path, "").unwrap();
    let large = vec![7; 3000];
    for (name, value) in [("user.z", &b""[..]), ("user.a", &large), ("user.m", b"text")] {
        xattr::set(&path, name, value).unwrap();
    }
    let expected: Vec<(Vec<u8>, Vec<u8>)> =
        vec![(b"user.a".to_vec(), large), (b"user.m".to_vec(), b"text".to_vec()), (b"user.z".to_vec(), Vec::new())];
    assert_eq!(of_open(File::open(&path).unwrap()).unwrap(), expected);
    let parent = File::open(folder.path()).unwrap();
    assert_eq!(of_handle(handle_at(&parent, b"f").unwrap()).unwrap(), expected);
}

#[test]
fn a_symlink_does_not_show_the_attributes_of_its_target() {
    let folder = tempfile::tempdir_in("/var/tmp").unwrap();
    let path = folder.path().join("f");
    fs::write(&path, "").unwrap();
    xattr::set(&path, "user.a", b"1").unwrap();
    symlink("f", folder.path().join("l")).unwrap();
    let parent = File::open(folder.path()).unwrap();
    assert_eq!(of_handle(handle_at(&parent, b"l").unwrap()).unwrap(), []);
}

#[test]
fn no_attributes_and_no_support_are_none() {
    assert_eq!(of_open(tempfile::tempfile().unwrap()).unwrap(), []);
    assert_eq!(of_open(File::open("/proc/self/status").unwrap()).unwrap(), []);
}
