//! Names and paths that no listing may hold.

use larder::format::listing::{DEPTH_MAX, Entry};

use super::{Kit, refused};
use crate::support::damage_repo::{Leaf, entry};

fn folder(path: &[u8]) -> Entry {
    entry(path, &Leaf::Folder)
}

fn link(path: &[u8], target: &str) -> Entry {
    entry(path, &Leaf::Link(target.as_bytes().to_vec()))
}

fn empty_file(path: &[u8]) -> Entry {
    entry(path, &Leaf::File(Vec::new().into()))
}

#[test]
fn names_that_lead_elsewhere_are_refused() {
    let hostile: [(&[u8], &str); 15] = [
        (b"..", "path with . or .."),
        (b".", "path with . or .."),
        (b"../outside/x", "path with . or .."),
        (b"a/../../outside/x", "path with . or .."),
        (b"a/..", "path with . or .."),
        (b"a/.", "path with . or .."),
        (b"./a", "path with . or .."),
        (b"/", "path with an empty component"),
        (b"/etc/passwd", "path with an empty component"),
        (b"//a", "path with an empty component"),
        (b"a//b", "path with an empty component"),
        (b"a/", "path with an empty component"),
        (b"a\0", "name with a NUL byte"),
        (b"a/b\0c", "name with a NUL byte"),
        (b"\0", "name with a NUL byte"),
    ];
    for (path, words) in hostile {
        refused(&[folder(b""), empty_file(path)], words);
    }
    refused(&[folder(b""), empty_file(&[b'a'; 256])], "name longer than 255 bytes");
    refused(&[folder(b""), empty_file(&[b"a/".as_slice(), &[b'b'; 256]].concat())], "name longer than 255 bytes");
}

#[test]
fn a_path_of_ten_thousand_folders_is_refused() {
    let path = vec!["a"; 10_000].join("/");
    refused(&[folder(b""), empty_file(path.as_bytes())], "path depth");
    let path = vec!["a"; DEPTH_MAX + 1].join("/");
    refused(&[folder(b""), empty_file(path.as_bytes())], "path depth");
    let path = vec!["a".repeat(255); 300].join("/");
    refused(&[folder(b""), empty_file(path.as_bytes())], "path length");
}

#[test]
fn entries_out_of_order_or_twice_are_refused() {
    refused(&[folder(b""), empty_file(b"b"), empty_file(b"a")], "out of order");
    refused(&[folder(b""), empty_file(b"a"), empty_file(b"a")], "out of order");
    refused(&[empty_file(b"a"), folder(b"")], "out of order");
    refused(&[folder(b""), folder(b"a"), empty_file(b"a.b"), empty_file(b"a/b")], "out of order");
}

#[test]
fn names_that_are_only_ugly_are_restored() {
    let names: [&[u8]; 12] = [
        b"C:",
        b"con",
        b"x:ads",
        b"trailing.",
        b"trailing ",
        b"-rf",
        b"new\nline",
        b"...",
        b"\xff\xfe",
        "\u{202e}txt.exe".as_bytes(),
        "e\u{301}".as_bytes(),
        "\u{e9}".as_bytes(),
    ];
    let mut names = names.to_vec();
    let long = [b'z'; 255];
    names.push(&long);
    names.sort();
    let mut entries = vec![folder(b"")];
    entries.extend(names.iter().map(|name| empty_file(name)));
    let kit = Kit::new();
    let restored = kit.plant_entries(&entries).restore();
    assert_eq!(restored.said, [""; 0]);
    assert_eq!(restored.there.len(), names.len());
}

#[test]
fn nothing_is_written_through_a_link() {
    for target in ["../outside", "/", "..", ".", "../../..", "d", "/proc/self/cwd"] {
        let kit = Kit::new();
        let entries = [
            folder(b""),
            link(b"d", target),
            empty_file(b"d/canary"),
            folder(b"d/e"),
            empty_file(b"d/e/f"),
            link(b"e", "d"),
            link(b"e/g", "x"),
        ];
        let restored = kit.plant_entries(&entries).restore();
        for path in ["d/canary", "d/e/f", "e/g"] {
            assert!(restored.said.iter().any(|said| said.starts_with(path)), "{target} {path}: {:?}", restored.said);
        }
        assert!(restored.there.iter().all(|path| !path.starts_with("d/") && !path.starts_with("e/")), "{target}");
    }
}

#[test]
fn a_file_is_no_folder() {
    let kit = Kit::new();
    let entries = [folder(b""), empty_file(b"f"), empty_file(b"f/x"), folder(b"f/y"), empty_file(b"f/y/z")];
    let restored = kit.plant_entries(&entries).restore();
    assert!(restored.said.iter().any(|said| said.starts_with("f/x")), "{:?}", restored.said);
    assert_eq!(restored.there, ["f"]);
}

#[test]
fn folders_that_the_listing_lacks_are_made_and_reported() {
    let kit = Kit::new();
    let restored = kit.plant_entries(&[folder(b""), empty_file(b"a/b/c"), empty_file(b"z")]).restore();
    for folder in ["a: ", "a/b: "] {
        assert!(restored.said.iter().any(|said| said.starts_with(folder)), "{:?}", restored.said);
    }
    for path in ["a/b/c", "z"] {
        assert!(restored.there.contains(&path.to_owned()), "{:?}", restored.there);
    }
}

#[test]
fn a_root_that_is_no_folder_is_no_way_out() {
    for root in [link(b"", "../outside"), empty_file(b"")] {
        let kit = Kit::new();
        let restored = kit.plant_entries(&[root.clone(), empty_file(b"canary")]).restore();
        assert!(!restored.said.is_empty(), "{root:?}: {:?}", restored.there);
    }
}
