//! Entries whose kind, attributes or links are a trap.

use larder::format::Time;
use larder::format::content::Content;
use larder::format::listing::{Entry, Node, Owner};

use super::{Kit, refused};
use crate::support::damage_repo::{Leaf, entry};

fn folder(path: &[u8]) -> Entry {
    entry(path, &Leaf::Folder)
}

fn empty() -> Node {
    Node::File { bytes: 0, content: Content::EMPTY, extents: None }
}

fn named(path: &str, node: Node) -> Entry {
    Entry { node, ..folder(path.as_bytes()) }
}

#[test]
fn attributes_too_large_or_out_of_order_are_refused() {
    let with = |xattrs: Vec<(Vec<u8>, Vec<u8>)>| Entry { xattrs, ..named("f", empty()) };
    let name = |n: usize| format!("user.{n:05}").into_bytes();
    refused(&[folder(b""), with(vec![(name(1), vec![0; (64 << 10) + 1])])], "attribute length");
    refused(&[folder(b""), with((0..1025).map(|n| (name(n), vec![])).collect())], "extended attributes");
    refused(&[folder(b""), with(vec![(vec![b'a'; 256], vec![])])], "attribute name length");
    refused(&[folder(b""), with(vec![(name(2), vec![]), (name(1), vec![])])], "attributes out of order");
    refused(&[folder(b""), with(vec![(name(1), vec![]), (name(1), vec![])])], "attributes out of order");
    refused(&[folder(b""), with(vec![(Vec::new(), vec![])])], "attributes out of order");
    refused(&[folder(b""), with(vec![(b"user.a\0b".to_vec(), vec![])])], "attributes out of order");
}

#[test]
fn fields_out_of_range_are_refused() {
    refused(&[Entry { mode: 0o10000, ..folder(b"") }], "mode");
    refused(&[Entry { mode: u32::MAX, ..folder(b"") }], "mode");
    refused(&[Entry { mtime: Time { seconds: 0, nanos: 1_000_000_000 }, ..folder(b"") }], "nanoseconds");
    refused(&[folder(b""), named("l", Node::Symlink { target: Vec::new() })], "impossible link target");
    refused(&[folder(b""), named("l", Node::Symlink { target: b"a\0b".to_vec() })], "impossible link target");
    refused(&[folder(b""), named("l", Node::Symlink { target: vec![b'a'; 4097] })], "target length");
    let owner = Owner { user: vec![b'u'; 257].into(), ..Owner::default() };
    refused(&[Entry { owner, ..folder(b"") }], "user name length");
    refused(&[Entry { stamp: vec![0; 1025], ..folder(b"") }], "stamp length");
}

#[test]
fn extreme_times_owners_and_numbers_are_restored_or_reported() {
    let extreme = [
        Entry { mtime: Time { seconds: i64::MIN, nanos: 0 }, ..named("a", empty()) },
        Entry { mtime: Time { seconds: i64::MAX, nanos: 999_999_999 }, ..named("b", empty()) },
        Entry { inode: u64::MAX, device: u64::MAX, links: u64::MAX, ..named("c", empty()) },
        Entry { owner: Owner { uid: u32::MAX, gid: u32::MAX, ..Owner::default() }, ..named("d", empty()) },
        Entry { xattrs: vec![(b"security.capability".to_vec(), b"garbage".to_vec())], ..named("e", empty()) },
        Entry { xattrs: vec![(b"system.posix_acl_access".to_vec(), b"garbage".to_vec())], ..named("f", empty()) },
        Entry { xattrs: vec![(b"no-such-space".to_vec(), b"x".to_vec())], ..named("g", empty()) },
        Entry { xattrs: vec![(b"user.large".to_vec(), vec![1; 64 << 10])], ..named("h", empty()) },
    ];
    let mut entries = vec![folder(b"")];
    entries.extend(extreme);
    let kit = Kit::new();
    let restored = kit.plant_entries(&entries).restore();
    assert_eq!(restored.there, ["a", "b", "c", "d", "e", "f", "g", "h"], "{:?}", restored.said);
    for path in ["d", "e", "f", "g"] {
        assert!(restored.said.iter().any(|said| said.starts_with(path)), "{path}: {:?}", restored.said);
    }
}

#[test]
fn devices_and_the_like_appear_inside_or_are_reported() {
    let nodes = [
        ("block", Node::BlockDevice { major: 8, minor: 0 }),
        ("character", Node::CharDevice { major: 1, minor: 3 }),
        ("fifo", Node::Fifo),
        ("huge", Node::CharDevice { major: u32::MAX, minor: u32::MAX }),
        ("socket", Node::Socket),
    ];
    let mut entries = vec![folder(b"")];
    entries.extend(nodes.into_iter().map(|(path, node)| named(path, node)));
    let kit = Kit::new();
    let restored = kit.plant_entries(&entries).restore();
    for path in ["block", "character", "fifo", "huge", "socket"] {
        let there = restored.there.contains(&path.to_owned());
        let said = restored.said.iter().any(|said| said.starts_with(path));
        assert!(there || said, "{path} is neither there nor reported: {:?}", restored.said);
    }
}

#[test]
fn hard_links_lead_nowhere_else() {
    let twin = |path: &str, node: Node| Entry { inode: 77, links: 3, ..named(path, node) };
    let link = |target: &str| Node::Symlink { target: target.as_bytes().to_vec() };
    // Names of one inode that are of different kinds, in every order of two.
    let kinds: [fn() -> Node; 4] = [empty, || Node::Directory, || Node::Fifo, || Node::Socket];
    for first in kinds {
        for second in kinds {
            let kit = Kit::new();
            kit.plant_entries(&[folder(b""), twin("a", first()), twin("b", second())]).restore();
        }
        let kit = Kit::new();
        let entries =
            [folder(b""), twin("a", link("../outside/canary")), twin("b", first()), twin("c", link("/etc/passwd"))];
        let restored = kit.plant_entries(&entries).restore();
        assert!(restored.there.iter().all(|path| ["a", "b", "c"].contains(&path.as_str())), "{:?}", restored.there);
    }
    // A link to a file whose first name lies behind a symbolic link.
    let kit = Kit::new();
    let entries = [folder(b""), named("d", link("../outside")), twin("d/canary", empty()), twin("e", empty())];
    kit.plant_entries(&entries).restore();
}
