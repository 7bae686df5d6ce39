use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{FileTypeExt, MetadataExt, symlink};
use std::path::Path;

use super::{TempNames, create_file_temp, finish_file, hard_link, make_node, reopen_file_temp};
use crate::format::Time;
use crate::format::content::Content;
use crate::format::listing::{Entry, Node};
use crate::posix::apply::{ApplyOptions, Existing, Owners, Warning};
use crate::posix::beneath::Root;
use crate::posix::capture::{Identity, status_of};

fn entry(path: &str, node: Node) -> Entry {
    Entry { mtime: Time { seconds: 5, nanos: 6 }, ..Entry::new(path, node, 0o604) }
}

fn place(folder: &Path, name: &str, text: &str, existing: Existing) -> std::io::Result<Vec<Warning>> {
    let root = File::open(folder)?;
    let options = ApplyOptions::new(Owners::AsStored, existing);
    let (fd, temp) = create_file_temp(&root, &TempNames::new(7))?;
    let mut file = File::from(fd);
    file.write_all(text.as_bytes())?;
    let again = reopen_file_temp(&root, &temp, status_of(&file)?.identity)?;
    let node = Node::File { bytes: 0, content: Content::EMPTY, extents: None };
    finish_file(&root, &temp, name.as_bytes(), &again, &entry(name, node), &options)
}

fn make(folder: &Path, name: &str, node: Node, existing: Existing) -> std::io::Result<Vec<Warning>> {
    let options = ApplyOptions::new(Owners::AsStored, existing);
    let made = make_node(File::open(folder)?, name.as_bytes(), &entry(name, node), &options, &TempNames::new(7))?;
    let there = folder.join(name).symlink_metadata().ok();
    let there = there.map(|there| Identity { device: there.dev(), inode: there.ino() });
    assert_eq!(made.identity, there);
    Ok(made.warnings)
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_file_appears_with_its_metadata() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(place(folder.path(), "f", "hello", Existing::Keep).unwrap(), []);
    let found = fs::metadata(folder.path().join("f")).unwrap();
    assert_eq!((found.mode() & 0o7777, found.mtime(), found.mtime_nsec(), found.len()), (0o604, 5, 6, 5));
    assert_eq!(names(folder.path()), ["f"]);
}

#[test]
fn what_is_there_is_kept_or_replaced_as_asked_and_nothing_is_left_behind() {
    let folder = tempfile::tempdir().unwrap();
    let read = || fs::read_to_string(folder.path().join("f")).unwrap();
    place(folder.path(), "f", "old", Existing::Keep).unwrap();
    let error = place(folder.path(), "f", "new", Existing::Keep).unwrap_err();
    assert_eq!((error.kind(), read().as_str()), (std::io::ErrorKind::AlreadyExists, "old"));
    place(folder.path(), "f", "new", Existing::Replace).unwrap();
    assert_eq!(read(), "new");
    fs::create_dir(folder.path().join("d")).unwrap();
    assert!(place(folder.path(), "d", "new", Existing::Replace).is_err());
    assert_eq!(names(folder.path()), ["d", "f"]);
}

#[test]
fn a_symlink_in_the_way_is_replaced_not_followed() {
    let folder = tempfile::tempdir().unwrap();
    let outside = tempfile::NamedTempFile::new().unwrap();
    symlink(outside.path(), folder.path().join("f")).unwrap();
    place(folder.path(), "f", "new", Existing::Replace).unwrap();
    assert!(fs::symlink_metadata(folder.path().join("f")).unwrap().is_file());
    assert_eq!(fs::read(outside.path()).unwrap(), b"");
}

#[test]
fn a_temporary_file_that_was_replaced_is_not_written_to() {
    let folder = tempfile::tempdir().unwrap();
    let root = File::open(folder.path()).unwrap();
    let (fd, temp) = create_file_temp(&root, &TempNames::new(7)).unwrap();
    let path = folder.path().join(String::from_utf8(temp.clone()).unwrap());
    let identity = status_of(&fd).unwrap().identity;
    fs::rename(&path, folder.path().join("moved")).unwrap();
    symlink("moved", &path).unwrap();
    assert!(reopen_file_temp(&root, &temp, identity).is_err());
    fs::remove_file(&path).unwrap();
    fs::write(&path, "").unwrap();
    assert!(reopen_file_temp(&root, &temp, identity).is_err());
}

#[test]
fn links_and_pipes_come_back_with_their_times() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(make(folder.path(), "l", Node::Symlink { target: b"/nowhere".to_vec() }, Existing::Keep).unwrap(), []);
    assert_eq!(make(folder.path(), "p", Node::Fifo, Existing::Keep).unwrap(), []);
    let link = fs::symlink_metadata(folder.path().join("l")).unwrap();
    let pipe = fs::symlink_metadata(folder.path().join("p")).unwrap();
    assert_eq!((link.mtime(), fs::read_link(folder.path().join("l")).unwrap()), (5, "/nowhere".into()));
    assert_eq!((pipe.mtime(), pipe.mode() & 0o7777, pipe.file_type().is_fifo()), (5, 0o604, true));
    assert!(make(folder.path(), "l", Node::Fifo, Existing::Keep).is_err());
    assert_eq!(make(folder.path(), "l", Node::Fifo, Existing::Replace).unwrap(), []);
    assert_eq!(names(folder.path()), ["l", "p"]);
}

#[test]
fn devices_come_back_for_root_and_sockets_for_nobody() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(make(folder.path(), "s", Node::Socket, Existing::Keep).unwrap().len(), 1);
    let made = make(folder.path(), "c", Node::CharDevice { major: 1, minor: 3 }, Existing::Keep);
    if made.is_ok_and(|warnings| warnings.is_empty()) {
        let device = fs::symlink_metadata(folder.path().join("c")).unwrap();
        assert_eq!((device.rdev(), device.mode() & 0o7777), (rustix::fs::makedev(1, 3), 0o604));
        assert!(make(folder.path(), "b", Node::BlockDevice { major: 7, minor: 9 }, Existing::Keep).unwrap().is_empty());
        assert_eq!(names(folder.path()), ["b", "c"]);
    }
}

#[test]
fn a_hard_link_is_to_the_file_that_was_restored_or_to_none() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    place(folder.path(), "a", "one", Existing::Keep).unwrap();
    let identity = status_of(File::open(at("a")).unwrap()).unwrap().identity;
    let root = Root::open(folder.path()).unwrap();
    let link = |to: &str, existing| {
        let options = ApplyOptions::new(Owners::Ignore, existing);
        hard_link(&root, b"a", to.as_bytes(), identity, &options, &TempNames::new(7))
    };
    link("b", Existing::Keep).unwrap();
    assert!(link("b", Existing::Keep).is_err());
    link("b", Existing::Replace).unwrap();
    assert_eq!(fs::metadata(at("b")).unwrap().nlink(), 2);
    fs::remove_file(at("a")).unwrap();
    symlink("/etc/passwd", at("a")).unwrap();
    assert!(link("c", Existing::Keep).is_err());
    assert_eq!(names(folder.path()), ["a", "b"]);
}
