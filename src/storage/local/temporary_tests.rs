use super::*;

use std::os::fd::AsFd;
use std::path::Path;

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        folder.read_dir().unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn with_temporary(bytes: &[u8], then: impl FnOnce(Temporary<'_>, &Path)) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let folder_fd = File::open(folder.path()).unwrap();
    let mut temporary = Temporary::create(folder_fd.as_fd()).unwrap();
    temporary.write(bytes).unwrap();
    assert!(names(folder.path())[0].starts_with(PREFIX));
    then(temporary, folder.path());
    names(folder.path())
}

#[test]
fn a_file_that_is_dropped_leaves_nothing() {
    assert!(with_temporary(b"abc", |temporary, _| drop(temporary)).is_empty());
}

#[test]
fn publishing_leaves_one_name_and_never_replaces() {
    let left = with_temporary(b"new", |temporary, _| temporary.publish("a").unwrap());
    assert_eq!(left, ["a"]);
    let left = with_temporary(b"new", |temporary, folder| {
        std::fs::write(folder.join("a"), "old").unwrap();
        assert_eq!(temporary.publish("a"), Err(Errno::EXIST));
        assert_eq!(std::fs::read(folder.join("a")).unwrap(), b"old");
    });
    assert_eq!(left, ["a"]);
}

#[test]
fn where_renaming_cannot_refuse_to_replace_a_link_can() {
    let left = with_temporary(b"new", |mut temporary, folder| {
        temporary.link("a").unwrap();
        drop(temporary);
        assert_eq!(std::fs::read(folder.join("a")).unwrap(), b"new");
    });
    assert_eq!(left, ["a"]);
    let left = with_temporary(b"new", |mut temporary, folder| {
        std::fs::write(folder.join("a"), "old").unwrap();
        assert_eq!(temporary.link("a"), Err(Errno::EXIST));
        drop(temporary);
        assert_eq!(std::fs::read(folder.join("a")).unwrap(), b"old");
    });
    assert_eq!(left, ["a"]);
}

#[test]
fn a_link_made_by_a_request_whose_reply_was_lost_counts() {
    let left = with_temporary(b"new", |mut temporary, folder| {
        std::fs::hard_link(folder.join(&temporary.name), folder.join("a")).unwrap();
        temporary.link("a").unwrap();
    });
    assert_eq!(left, ["a"]);
}

#[test]
fn a_file_that_is_shorter_than_what_was_written_is_not_published() {
    let left = with_temporary(b"abc", |temporary, _| {
        temporary.file.set_len(2).unwrap();
        assert_eq!(temporary.publish("a"), Err(Errno::IO));
    });
    assert!(left.is_empty());
}
