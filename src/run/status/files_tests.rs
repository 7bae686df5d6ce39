use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

#[test]
fn names_of_files_are_as_plain_as_those_of_sources() {
    for (source, name) in [
        ("app-db_1.2", "app-db_1.2"),
        ("Größe", "Größe"),
        ("..", "%2E."),
        ("../../etc/passwd", "%2E.%2F..%2Fetc%2Fpasswd"),
        ("/", "%2F"),
        ("a%2Fb", "a%252Fb"),
        ("a b\"", "a b%22"),
    ] {
        assert_eq!(file_name(source), name);
    }
}

#[test]
fn long_names_are_cut_and_stay_apart() {
    let names: BTreeSet<String> = ["ä", "ö"].map(|end| file_name(&("ü".repeat(2000) + end))).into();
    assert_eq!(names.len(), 2);
    assert!(names.iter().all(|name| name.len() + "_last_backup.json".len() <= 255), "{names:?}");
}

proptest! {
    #[test]
    fn no_name_is_a_path_and_no_two_are_alike(a in any::<String>(), b in any::<String>()) {
        let name = file_name(&a);
        prop_assert!(!name.contains(['/', '\0']) && !name.starts_with('.'));
        prop_assert_eq!(name == file_name(&b), a == b);
    }
}

#[test]
fn a_file_is_replaced_at_once_and_what_cannot_be_leaves_nothing_behind() {
    let folder = TempDir::new().unwrap();
    let file = |name: &str| folder.path().join(name);
    fs::write(file("a"), "old").unwrap();
    let inode = fs::metadata(file("a")).unwrap().ino();
    fs::create_dir(file("b")).unwrap();
    let files = ["a", "b", "c"].map(|name| (name.to_owned(), Ok(b"{}".to_vec())));
    let said = in_folder(folder.path(), &files);
    assert_eq!(said.len(), 1);
    assert!(said[0].starts_with("b in ") && said[0].contains("directory"), "{said:?}");
    assert_eq!(fs::read_to_string(file("a")).unwrap(), "{}\n");
    let found = fs::metadata(file("a")).unwrap();
    assert_ne!(found.ino(), inode);
    assert_eq!(found.mode() & 0o777, 0o644);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);
}

#[test]
fn files_that_fail_for_the_same_reason_are_said_together() {
    let files = ["b", "a"].map(|name| (name.to_owned(), Ok(Vec::new())));
    let said = in_folder(Path::new("/nowhere at all"), &files);
    assert_eq!(said, ["a, b in /nowhere at all: No such file or directory (os error 2)"]);
}
