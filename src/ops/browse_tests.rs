use super::*;
use crate::format::content::Content;
use crate::format::listing::compare_paths;
use crate::ops::sample::Sample;
use crate::repo::catalog::Catalog;
use crate::repo::pages::ListingWriter;
use crate::repo::write::{Mode, Writer};

/// An entry of a path: a folder if it ends in a slash, else an empty file. `mode` tells versions apart.
pub fn entry(path: &str, mode: u32) -> Entry {
    let node = match path.ends_with('/') {
        true => Node::Directory,
        false => Node::File { bytes: 0, content: Content::EMPTY, extents: None },
    };
    Entry::new(path.trim_end_matches('/').as_bytes().to_vec(), node, mode)
}

pub fn listing(repo: &Repository, mut entries: Vec<Entry>) -> ListingRoot {
    entries.sort_by(|a, b| compare_paths(&a.path, &b.path));
    let catalog = Catalog::survey(repo).unwrap();
    let mut writer = Writer::new(repo, &catalog, 1, Mode::Store).unwrap();
    let mut listing = ListingWriter::new();
    for entry in &entries {
        listing.push(repo, &mut writer, entry).unwrap();
    }
    let root = listing.finish(&mut writer).unwrap();
    writer.drain().unwrap().finish(None).unwrap();
    root
}

fn listing_of(repo: &Repository, paths: &[&str]) -> ListingRoot {
    listing(repo, paths.iter().map(|path| entry(path, 0o644)).collect())
}

pub fn text(path: &[u8]) -> String {
    String::from_utf8(path.to_vec()).unwrap()
}

fn listed(repo: &Repository, root: &ListingRoot, path: &str, depth: Depth) -> Vec<String> {
    let mut paths = Vec::new();
    let mut visit = |entry: &Entry| {
        paths.push(text(&entry.path));
        Continue(())
    };
    let damaged = ls(repo, root, path.as_bytes(), depth, &mut visit).unwrap();
    assert!(damaged.is_empty());
    paths
}

#[test]
fn a_folder_shows_its_children_and_on_request_everything_below() {
    let sample = Sample::new();
    let root = listing_of(&sample.repo, &["/", "a/", "a/b", "a/c/", "a/c/d", "a!", "e"]);
    let listed = |path, depth| listed(&sample.repo, &root, path, depth).join(" ");
    assert_eq!(listed("", Depth::Children), "a a! e");
    assert_eq!(listed("a", Depth::Children), "a/b a/c");
    assert_eq!(listed("a/c", Depth::All), "a/c/d");
    assert_eq!(listed("", Depth::All), "a a/b a/c a/c/d a! e");
    assert_eq!(listed("e", Depth::Children), "e");
}

#[test]
fn a_path_that_is_not_there_is_an_error_and_not_an_empty_folder() {
    let sample = Sample::new();
    let root = listing_of(&sample.repo, &["/", "a/", "a/b"]);
    for path in ["b", "a/", "a/b/c", "A"] {
        let result = ls(&sample.repo, &root, path.as_bytes(), Depth::All, &mut |_| Continue(()));
        assert!(matches!(result, Err(Error::NoSuchPath { .. })), "{path}");
    }
}

#[test]
fn what_lies_in_large_folders_is_passed_over() {
    let sample = Sample::new();
    let mut paths = vec!["/".to_owned(), "a/".into(), "b/".into(), "c".into()];
    for n in 0..5000 {
        paths.push(format!("a/{n:04}"));
        paths.push(format!("b/{n:04}/"));
    }
    let root = listing(&sample.repo, paths.iter().map(|path| entry(path, 0o755)).collect());
    assert_eq!(listed(&sample.repo, &root, "", Depth::Children), ["a", "b", "c"]);
    assert_eq!(listed(&sample.repo, &root, "b", Depth::Children).len(), 5000);
}

fn found(pattern: &str, paths: &[&str]) -> String {
    let pattern = Pattern::new(pattern).unwrap();
    paths.iter().filter(|path| pattern.matches(path.as_bytes())).copied().collect::<Vec<_>>().join(" ")
}

#[test]
fn names_are_found_by_part_or_by_glob_and_paths_when_there_is_a_slash() {
    let paths = ["etc", "etc/hosts", "etc/ssh/hosts.d", "home/etc-copy", "a.tar.gz"];
    for (pattern, expected) in [
        ("host", "etc/hosts etc/ssh/hosts.d"),
        ("etc", "etc home/etc-copy"),
        ("hosts*", "etc/hosts etc/ssh/hosts.d"),
        ("*.gz", "a.tar.gz"),
        ("h?sts", "etc/hosts"),
        ("etc/*", "etc/hosts"),
        ("etc/**", "etc/hosts etc/ssh/hosts.d"),
        ("/etc/ssh", "etc/ssh/hosts.d"),
        ("/hosts", "etc/hosts etc/ssh/hosts.d"),
        ("{etc,a.*}", "etc a.tar.gz"),
    ] {
        assert_eq!(found(pattern, &paths), expected, "{pattern}");
    }
    for pattern in ["", "[", "a/{b"] {
        assert!(matches!(Pattern::new(pattern), Err(Error::Pattern { .. })), "{pattern}");
    }
}

#[test]
fn a_search_names_every_snapshot_that_has_a_match() {
    let sample = Sample::new();
    let id = |n| SnapshotId::new([n; 32]);
    let snapshots = [
        (id(1), listing_of(&sample.repo, &["a", "b"])),
        (id(2), listing_of(&sample.repo, &["a", "b"])),
        (id(3), listing_of(&sample.repo, &["b"])),
    ];
    let mut found = Vec::new();
    let searched = find(&sample.repo, &snapshots, &Pattern::new("a").unwrap(), &mut |snapshot, entry| {
        found.push((*snapshot, text(&entry.path)));
        Continue(())
    })
    .unwrap();
    assert_eq!(found, [(id(1), "a".to_owned()), (id(2), "a".to_owned())]);
    assert_eq!((searched.snapshots, searched.found, searched.damaged.len()), (3, 2, 0));
}
