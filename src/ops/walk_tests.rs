use super::*;
use crate::ops::sample::{Sample, noise};
use crate::repo::catalog::Catalog;
use crate::repo::write::{Mode, Writer};

fn everything(repo: &Repository) -> Counting {
    Catalog::survey(repo).unwrap();
    repo.index().packs().map(|row| row.number).collect()
}

#[test]
fn a_listing_of_many_pages_adds_up_and_is_read_once() {
    let sample = Sample::new();
    let names: Vec<String> = (0..3000).map(|n| format!("file-{n:05}")).collect();
    let files: Vec<(&str, Vec<u8>)> = names.iter().map(|name| (name.as_str(), name.clone().into_bytes())).collect();
    let snapshot = sample.back_up(1, &files);
    let state = sample.repo.state();
    let record = sample.repo.record(state.snapshot(&snapshot).unwrap()).unwrap();
    let mut walker = Walker::new(&sample.repo, everything(&sample.repo), None);
    let totals = walker.visit(&record.root).unwrap();
    assert_eq!((totals.files, totals.entries, totals.bytes), (3000, 3000, 3000 * 10));
    assert!(walker.pages > 3);
    let pages = walker.pages;
    assert_eq!(walker.visit(&record.root), Some(totals));
    assert_eq!((walker.pages, walker.chunks), (pages, 3000 + pages));
    assert!(walker.take_faults().is_empty());
}

#[test]
fn long_contents_are_followed_through_their_pages() {
    let sample = Sample::new();
    let snapshot = sample.back_up(1, &[("long", noise(1, 4096 * 2000)), ("short", noise(2, 10))]);
    let state = sample.repo.state();
    let record = sample.repo.record(state.snapshot(&snapshot).unwrap()).unwrap();
    let mut walker = Walker::new(&sample.repo, everything(&sample.repo), None);
    walker.visit(&record.root).unwrap();
    assert!(walker.pages > 4);
    assert_eq!(walker.chunks, 2000 + 1 + walker.pages);
}

#[test]
fn pages_that_contradict_each_other_are_faults_and_the_rest_is_visited() {
    let sample = Sample::new();
    let snapshot = sample.back_up(1, &[("a", noise(1, 10)), ("b", noise(2, 10))]);
    let record = sample.repo.record(sample.repo.state().snapshot(&snapshot).unwrap()).unwrap();
    let catalog = Catalog::survey(&sample.repo).unwrap();
    let mut writer = Writer::new(&sample.repo, &catalog, 1, Mode::Store).unwrap();
    let leaf = record.root.page;
    let item = |first: &[u8], entries| PageRef { first: first.to_vec(), page: leaf, entries };
    let mut page = |level, items| {
        let bytes = pages::Page::Index { level, items }.encode();
        ChunkRef { id: writer.page(&bytes).unwrap(), bytes: bytes.len() as u32 }
    };
    let roots = [
        (page(1, vec![item(b"a", 3)]), 1, 3),
        (page(1, vec![item(b"0", 2)]), 1, 2),
        (page(1, vec![item(b"a", 2), item(b"aa", 2)]), 1, 4),
        (page(2, vec![item(b"a", 2)]), 2, 2),
        (leaf, 0, 3),
        (ChunkRef { bytes: leaf.bytes + 1, ..leaf }, 0, 2),
    ];
    writer.drain().unwrap().finish(None).unwrap();
    for (page, level, entries) in roots {
        let mut walker = Walker::new(&sample.repo, everything(&sample.repo), None);
        assert_eq!(walker.visit(&ListingRoot { page, level, entries }), None);
        assert!(walker.faults_total >= 1);
    }
}
