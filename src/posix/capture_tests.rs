use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;

use super::{Kind, entry, node_at, status_at};
use crate::format::Time;
use crate::format::listing::Node;
use crate::posix::owners::OwnerNames;

#[test]
fn each_kind_is_told_from_the_others() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), "text").unwrap();
    fs::create_dir(folder.path().join("folder")).unwrap();
    symlink("some/where", folder.path().join("link")).unwrap();
    let _socket = UnixListener::bind(folder.path().join("socket")).unwrap();
    let parent = File::open(folder.path()).unwrap();
    rustix::fs::mkfifoat(&parent, "pipe", rustix::fs::Mode::RUSR).unwrap();
    let node = |name: &[u8]| node_at(&parent, name, &status_at(&parent, name).unwrap()).unwrap();
    assert!(matches!(node(b"file"), Node::File { bytes: 4, extents: None, .. }));
    assert_eq!(node(b"folder"), Node::Directory);
    assert_eq!(node(b"link"), Node::Symlink { target: b"some/where".to_vec() });
    assert_eq!(node(b"socket"), Node::Socket);
    assert_eq!(node(b"pipe"), Node::Fifo);
    let null = File::open("/dev").unwrap();
    let status = status_at(&null, b"null").unwrap();
    assert_eq!(node_at(&null, b"null", &status).unwrap(), Node::CharDevice { major: 1, minor: 3 });
}

#[test]
fn an_entry_says_what_stat_says() {
    let folder = tempfile::tempdir().unwrap();
    let file = File::create(folder.path().join("f")).unwrap();
    let time = std::time::UNIX_EPOCH - std::time::Duration::from_millis(1500);
    file.set_modified(time).unwrap();
    let status = status_at(File::open(folder.path()).unwrap(), b"f").unwrap();
    let entry = entry(b"x/f".to_vec(), Node::Fifo, &status, &OwnerNames::new());
    assert_eq!(entry.mtime, Time { seconds: -2, nanos: 500_000_000 });
    assert_eq!((status.kind, entry.links, entry.inode), (Kind::File, 1, status.identity.inode));
}
