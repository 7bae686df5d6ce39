use std::fs::{self, File};
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::{Gathered, Names, Spill, list};

fn all(mut names: Names) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    loop {
        let mut name = Vec::new();
        if names.next(&mut name).unwrap().is_none() {
            return found;
        }
        found.push(name);
    }
}

fn spill(names_in_memory_max: usize) -> Spill<'static> {
    Spill { folder: Path::new("/var/tmp"), names_in_memory_max }
}

fn gathered(names: &[Vec<u8>], limit: usize) -> Vec<Vec<u8>> {
    let mut gathered = Gathered::default();
    for name in names {
        assert_eq!(gathered.take(name, &spill(limit)), ControlFlow::Continue(()));
    }
    let (names, error) = gathered.finish(&spill(limit));
    assert!(error.is_none());
    all(names)
}

#[test]
fn names_come_sorted_by_bytes_and_once_whether_they_spill_or_not() {
    let mut names: Vec<Vec<u8>> =
        (0..5000u64).map(|n| (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) % 3000).to_string().into_bytes()).collect();
    names.push(vec![0xff; 255]);
    names.push(vec![1]);
    names.push(b"a-b".to_vec());
    names.push(b"a".to_vec());
    let mut expected = names.clone();
    expected.sort();
    expected.dedup();
    for limit in [1_000_000, 5003, 1000, 7, 1] {
        assert_eq!(gathered(&names, limit), expected, "limit {limit}");
    }
}

#[test]
fn a_real_folder_is_listed_whole() {
    let folder = tempfile::tempdir().unwrap();
    for n in 0..300 {
        fs::write(folder.path().join(format!("{n}")), "").unwrap();
    }
    fs::write(folder.path().join(std::ffi::OsStr::from_bytes(b"\xff\xfe")), "").unwrap();
    for limit in [1000, 10] {
        let listed = list(File::open(folder.path()).unwrap(), &spill(limit));
        assert!(listed.error.is_none() && listed.too_long.is_empty());
        assert_eq!(matches!(listed.names, Names::Spilled(_)), limit == 10);
        assert_eq!(all(listed.names).len(), 301);
    }
}

#[test]
fn names_too_long_for_a_listing_are_set_aside() {
    let mut gathered = Gathered::default();
    let _ = gathered.take(&[b'a'; 256], &spill(10));
    let _ = gathered.take(b"b", &spill(10));
    assert_eq!(gathered.too_long, [vec![b'a'; 256]]);
    assert_eq!(all(gathered.finish(&spill(10)).0), [b"b"]);
}

#[test]
fn without_room_to_spill_the_names_read_so_far_are_kept_and_the_failure_is_told() {
    let folder = tempfile::tempdir().unwrap();
    for n in 0..10 {
        fs::write(folder.path().join(format!("{n}")), "").unwrap();
    }
    let nowhere = Spill { folder: Path::new("/nowhere"), names_in_memory_max: 4 };
    let listed = list(File::open(folder.path()).unwrap(), &nowhere);
    assert!(listed.error.is_some());
    assert_eq!(all(listed.names).len(), 4);
}

#[test]
fn what_is_no_folder_cannot_be_listed() {
    let listed = list(tempfile::tempfile().unwrap(), &spill(10));
    assert!(listed.error.is_some() && all(listed.names).is_empty());
}
