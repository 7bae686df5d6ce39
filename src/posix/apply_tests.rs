use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;

use super::{ApplyOptions, Existing, Owners, Warning, set_directory, set_file};
use crate::format::Time;
use crate::format::content::Content;
use crate::format::listing::{Entry, Node, Owner};
use crate::posix::xattrs;

fn entry(node: Node) -> Entry {
    Entry {
        owner: Owner { uid: 0, gid: 0, user: Arc::from(&b""[..]), group: Arc::from(&b""[..]) },
        mtime: Time { seconds: 1_000_000_000, nanos: 123_456_789 },
        inode: 1,
        device: 1,
        ..Entry::new(b"some/path".to_vec(), node, 0o640)
    }
}

fn file() -> Node {
    Node::File { bytes: 0, content: Content::EMPTY, extents: None }
}

fn options(owners: Owners) -> ApplyOptions {
    ApplyOptions::new(owners, Existing::Keep)
}

fn applied(change: impl FnOnce(&mut Entry), owners: Owners) -> (fs::Metadata, Vec<Warning>) {
    let file_on_disk = tempfile::tempfile().unwrap();
    let mut wanted = entry(file());
    change(&mut wanted);
    let warnings = set_file(&file_on_disk, &wanted, &options(owners));
    (file_on_disk.metadata().unwrap(), warnings)
}

fn is_root() -> bool {
    options(Owners::Ignore).is_root()
}

#[test]
fn mode_and_time_are_set_exactly() {
    let (found, warnings) = applied(|_| {}, Owners::Ignore);
    assert_eq!((found.mode() & 0o7777, found.mtime(), found.mtime_nsec()), (0o640, 1_000_000_000, 123_456_789));
    assert_eq!(warnings, []);
}

#[test]
fn setuid_survives_with_its_owner_and_is_left_off_without() {
    if !is_root() {
        return;
    }
    let change = |entry: &mut Entry| {
        entry.mode = 0o6755;
        (entry.owner.uid, entry.owner.gid) = (12_345, 23_456);
    };
    let (found, warnings) = applied(change, Owners::AsStored);
    assert_eq!((found.mode() & 0o7777, found.uid(), found.gid()), (0o6755, 12_345, 23_456));
    assert_eq!(warnings, []);
    let (found, warnings) = applied(change, Owners::Ignore);
    assert_eq!((found.mode() & 0o7777, found.uid()), (0o755, 0));
    assert_eq!(warnings.len(), 1);
}

#[test]
fn a_stored_name_wins_over_a_stored_number_unless_numbers_are_asked_for() {
    if !is_root() {
        return;
    }
    let change = |entry: &mut Entry| {
        entry.owner = Owner { uid: 12_345, gid: 12_345, user: b"root"[..].into(), group: b"no such group"[..].into() };
    };
    let (found, _) = applied(change, Owners::AsStored);
    assert_eq!((found.uid(), found.gid()), (0, 12_345));
    let (found, _) = applied(change, Owners::Numeric);
    assert_eq!((found.uid(), found.gid()), (12_345, 12_345));
}

#[test]
fn ids_and_times_that_cannot_be_are_warnings() {
    let (_, warnings) = applied(|entry| entry.mtime.nanos = 1_073_741_823, Owners::Ignore);
    assert_eq!(warnings[0].what, "set the time");
    for seconds in [i64::MIN, i64::MAX] {
        let (_, warnings) = applied(|entry| entry.mtime.seconds = seconds, Owners::Ignore);
        assert_eq!((warnings.len(), warnings[0].what), (1, "set the time"));
    }
    if is_root() {
        let (found, warnings) = applied(|entry| entry.owner.uid = u32::MAX, Owners::AsStored);
        assert_eq!((warnings[0].what, found.uid()), ("set the owner", 0));
    }
    let (_, warnings) = applied(|entry| entry.xattrs = vec![(b"nonsense".to_vec(), vec![1])], Owners::Ignore);
    assert_eq!(warnings[0].what, "set an attribute");
}

#[test]
fn a_time_before_1970_is_kept() {
    let (found, warnings) = applied(|entry| entry.mtime.seconds = -1_000, Owners::Ignore);
    assert_eq!((found.mtime(), warnings.len()), (-1_000, 0));
}

#[test]
fn attributes_and_acls_come_back() {
    let folder = tempfile::tempdir_in("/var/tmp").unwrap();
    let (old, new) = (folder.path().join("old"), folder.path().join("new"));
    fs::write(&old, "x").unwrap();
    fs::write(&new, "x").unwrap();
    run("setfacl", &["-m", "u:daemon:rwx,g:bin:r"], &old);
    run("setfattr", &["-n", "user.note", "-v", "hello"], &old);
    let mut wanted = entry(file());
    wanted.mode = fs::metadata(&old).unwrap().permissions().mode() & 0o7777;
    wanted.xattrs = xattrs::of_open(File::open(&old).unwrap()).unwrap();
    assert_eq!(wanted.xattrs.len(), 2);
    assert_eq!(set_file(File::open(&new).unwrap(), &wanted, &options(Owners::Ignore)), []);
    assert_eq!(xattrs::of_open(File::open(&new).unwrap()).unwrap(), wanted.xattrs);
    assert_eq!(fs::metadata(&new).unwrap().mode(), fs::metadata(&old).unwrap().mode());
}

#[test]
fn a_folder_keeps_setgid_and_sticky() {
    let folder = tempfile::tempdir().unwrap();
    let mut wanted = entry(Node::Directory);
    wanted.mode = 0o3775;
    assert_eq!(set_directory(File::open(folder.path()).unwrap(), &wanted, &options(Owners::Ignore)), []);
    let found = fs::metadata(folder.path()).unwrap();
    assert_eq!((found.mode() & 0o7777, found.mtime()), (0o3775, 1_000_000_000));
}

fn run(program: &str, arguments: &[&str], path: &Path) {
    let status = std::process::Command::new(program).args(arguments).arg(path).status().unwrap();
    assert!(status.success(), "{program}");
}
