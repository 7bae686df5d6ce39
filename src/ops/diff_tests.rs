use std::collections::BTreeMap;
use std::ops::ControlFlow::Continue;

use proptest::prelude::{Strategy, any, prop};
use proptest::{prop_assert_eq, proptest};

use super::*;
use crate::format::content::ChunkRef;
use crate::format::listing::Node;
use crate::id::ChunkId;
use crate::ops::browse::tests::{entry, listing, text};
use crate::ops::sample::Sample;
use crate::repo::catalog::Catalog;
use crate::repo::write::{Mode, Writer};

fn differences(repo: &Repository, before: &ListingRoot, after: &ListingRoot) -> Vec<(Change, String)> {
    let mut differences = Vec::new();
    let mut visit = |difference: Difference<'_>| {
        differences.push((difference.change, text(difference.path())));
        Continue(())
    };
    let all = |root| Subtree { root, path: b"" };
    diff(repo, all(before), all(after), &mut visit).unwrap();
    differences
}

#[test]
fn subtrees_are_compared_wherever_they_lie() {
    let sample = Sample::new();
    let tree = |change: &str| {
        // Many pages, so that the subtree begins and ends in the middle of some.
        let mut entries: Vec<Entry> = (0..3000).map(|n| entry(&format!("b/{n:06}"), 0o644)).collect();
        entries.push(entry(change, 0o600));
        entries.extend((0..3000).map(|n| entry(&format!("d/{n:06}"), 0o644)));
        entries.extend(["a", "b.c", "b/", "d/", "e"].map(|path| entry(path, 0o644)));
        listing(&sample.repo, entries)
    };
    let (one, other) = (tree("b/000700x"), tree("c"));
    assert!(one.level > 0);
    let differences = |before: &ListingRoot, left: &str, after: &ListingRoot, right: &str| {
        let mut found = Vec::new();
        let (left, right) = (left.as_bytes(), right.as_bytes());
        let (left, right) = (Subtree { root: before, path: left }, Subtree { root: after, path: right });
        diff(&sample.repo, left, right, &mut |difference| {
            found.push((difference.change, text(difference.path())));
            Continue(())
        })
        .unwrap();
        found
    };
    let extra = |change| vec![(change, "000700x".to_owned())];
    assert_eq!(differences(&one, "b", &other, "b"), extra(Change::Removed));
    assert_eq!(differences(&other, "b", &one, "b"), extra(Change::Added));
    assert_eq!(differences(&one, "d", &other, "d"), []);
    // The same pages on both sides, and yet different folders.
    assert_eq!(differences(&one, "b", &one, "d"), extra(Change::Removed));
    assert_eq!(differences(&other, "b", &other, "d"), []);
    assert_eq!(differences(&one, "a", &other, "c"), [(Change::Metadata, String::new())]);
    assert_eq!(differences(&one, "d/000001", &other, "d/000002"), []);
    assert_eq!(differences(&one, "nothing", &other, "e"), [(Change::Added, String::new())]);
}

#[test]
fn each_kind_of_difference_is_told_apart() {
    let sample = Sample::new();
    let mut link = entry("link", 0o777);
    link.node = Node::Symlink { target: b"one".to_vec() };
    let mut other = link.clone();
    other.node = Node::Symlink { target: b"two".to_vec() };
    let mut touched = entry("same", 0o644);
    touched.ctime.seconds = 5;
    touched.inode = 7;
    let before = vec![entry("gone", 0), entry("turned", 0), entry("mode", 0o600), link, entry("same", 0o644)];
    let after = vec![entry("new", 0), entry("turned/", 0), entry("mode", 0o644), other, touched];
    let (before, after) = (listing(&sample.repo, before), listing(&sample.repo, after));
    let expected = [
        (Change::Removed, "gone"),
        (Change::Content, "link"),
        (Change::Metadata, "mode"),
        (Change::Added, "new"),
        (Change::Type, "turned"),
    ];
    assert_eq!(differences(&sample.repo, &before, &after), expected.map(|(change, path)| (change, path.to_owned())));
}

#[test]
fn one_change_in_a_large_listing_is_found() {
    let sample = Sample::new();
    let entries = |skip: usize| (0..20_000).filter(move |n| *n != skip).map(|n| entry(&format!("{n:06}"), 0o644));
    let before = listing(&sample.repo, entries(usize::MAX).collect());
    let after = listing(&sample.repo, entries(10_000).collect());
    assert!(before.level > 0);
    assert_eq!(differences(&sample.repo, &before, &after), [(Change::Removed, "010000".to_owned())]);
    assert_eq!(differences(&sample.repo, &after, &before), [(Change::Added, "010000".to_owned())]);
    assert_eq!(differences(&sample.repo, &before, &before), []);
}

type Files = BTreeMap<u16, u8>;

fn files() -> impl Strategy<Value = Files> {
    prop::collection::btree_map(0u16..600, any::<u8>().prop_map(|version| version % 2), 0..600)
}

fn store(repo: &Repository, files: &Files) -> ListingRoot {
    // Long names, so that few entries fill a page.
    let path = |n: u16| format!("{n:0200}");
    listing(repo, files.iter().map(|(n, version)| entry(&path(*n), (*version).into())).collect())
}

proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(40))]

    #[test]
    fn differences_are_those_of_the_sets(before in files(), after in files(), keep in 0u16..600) {
        // Mostly equal, so that pages are passed over.
        let mut after: Files = after.into_iter().filter(|(n, _)| *n >= keep).collect();
        after.extend(before.iter().filter(|(n, _)| **n < keep).map(|(n, version)| (*n, *version)));
        let sample = Sample::new();
        let (left, right) = (store(&sample.repo, &before), store(&sample.repo, &after));
        let found = differences(&sample.repo, &left, &right);
        let all: BTreeMap<u16, (Option<&u8>, Option<&u8>)> = before
            .keys()
            .chain(after.keys())
            .map(|n| (*n, (before.get(n), after.get(n))))
            .collect();
        let expected: Vec<(Change, String)> = all
            .iter()
            .filter_map(|(n, pair)| {
                let change = match pair {
                    (Some(_), None) => Change::Removed,
                    (None, Some(_)) => Change::Added,
                    (a, b) if a == b => return None,
                    _ => Change::Metadata,
                };
                Some((change, format!("{n:0200}")))
            })
            .collect();
        prop_assert_eq!(found, expected);
    }
}

/// The page in the middle cannot be had: nobody may ask for it.
#[test]
fn equal_pages_are_not_read() {
    let sample = Sample::new();
    let missing = ChunkRef { id: ChunkId::new([7; 32]), bytes: 100 };
    let with_last = |mode: u32| {
        let catalog = Catalog::survey(&sample.repo).unwrap();
        let mut writer = Writer::new(&sample.repo, &catalog, 1, Mode::Store).unwrap();
        let mut page = |page: Page| {
            let bytes = page.encode();
            ChunkRef { id: writer.page(&bytes).unwrap(), bytes: bytes.len() as u32 }
        };
        let item = |first: &str, page: ChunkRef| PageRef { first: first.as_bytes().to_vec(), page, entries: 2 };
        let first = page(Page::Leaf(vec![entry("/", 0o755), entry("a", 0o644)]));
        let last = page(Page::Leaf(vec![entry("y", 0o644), entry("z", mode)]));
        let items = vec![item("", first), item("b", missing), item("y", last)];
        let root = ListingRoot { page: page(Page::Index { level: 1, items }), level: 1, entries: 6 };
        writer.drain().unwrap().finish(None).unwrap();
        root
    };
    let (before, after) = (with_last(0o644), with_last(0o600));
    assert_eq!(differences(&sample.repo, &before, &after), [(Change::Metadata, "z".to_owned())]);
}
