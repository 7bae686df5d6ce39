//! Pages that do not belong where they are named.

use larder::format::content::{self, ChunkRef};
use larder::format::listing::Entry;
use larder::format::pages::{Page, PageRef};
use larder::format::record::ListingRoot;
use larder::id::ChunkId;
use larder::repo::seal::Squeeze;
use larder::repo::write::Writer;

use super::{Kit, leaf, page};
use crate::support::damage_repo::{Leaf, entry, noise, read_back};

fn folder(path: &str) -> Entry {
    entry(path.as_bytes(), &Leaf::Folder)
}

fn index(writer: &mut Writer, level: u8, items: Vec<PageRef>) -> ChunkRef {
    page(writer, &Page::Index { level, items }.encode())
}

fn item(first: &str, page: ChunkRef) -> PageRef {
    PageRef { first: first.as_bytes().to_vec(), page, entries: 1 }
}

fn root(page: ChunkRef, level: u8) -> ListingRoot {
    ListingRoot { page, level, entries: 2 }
}

/// Everything complains, and nothing that lies is restored.
fn reported(what: &str, write: impl FnOnce(&Kit, &mut Writer) -> ListingRoot) -> Vec<String> {
    let kit = Kit::new();
    let planted = kit.plant(|writer| write(&kit, writer));
    assert!(!planted.check().is_empty(), "{what}: check finds nothing");
    let restored = planted.restore();
    assert!(!restored.said.is_empty(), "{what}: restore says nothing");
    restored.there
}

#[test]
fn a_page_of_another_level_is_refused() {
    reported("a leaf as an index", |_, writer| {
        let leaf = leaf(writer, &[folder("")]);
        ListingRoot { level: 1, ..leaf }
    });
    reported("an index as a leaf", |_, writer| {
        let leaf = leaf(writer, &[folder("")]);
        root(index(writer, 1, vec![item("", leaf.page)]), 0)
    });
    reported("an index above a leaf that says it is two levels up", |_, writer| {
        let leaf = leaf(writer, &[folder("")]);
        root(index(writer, 2, vec![item("", leaf.page)]), 2)
    });
    reported("an index that names an index of its own level", |_, writer| {
        let leaf = leaf(writer, &[folder("")]);
        let below = index(writer, 2, vec![item("", leaf.page)]);
        root(index(writer, 2, vec![item("", below)]), 2)
    });
}

#[test]
fn a_page_that_names_itself_is_refused() {
    // Its own name cannot be in it, so the nearest an enemy comes is a name that leads nowhere.
    let fake = ChunkRef { id: ChunkId::new([0x42; 32]), bytes: 100 };
    reported("a made-up name", |_, writer| root(index(writer, 1, vec![item("", fake)]), 1));
    reported("a made-up name as the root", |_, _| root(fake, 0));
    reported("the name of zeros", |_, _| root(ChunkRef { id: ChunkId::new([0; 32]), bytes: 1 }, 3));
}

#[test]
fn data_is_no_page_and_a_content_list_is_no_listing() {
    reported("a data chunk", |kit, writer| {
        let bytes = Page::Leaf(vec![folder("")]).encode();
        let id = kit.repo.keys().data_id(&bytes);
        writer.data(id, &bytes, Squeeze::No).unwrap();
        root(ChunkRef { id, bytes: bytes.len() as u32 }, 0)
    });
    reported("a content list", |_, writer| {
        let chunk = ChunkRef { id: ChunkId::new([1; 32]), bytes: 5 };
        root(page(writer, &content::Page::Leaf(vec![chunk]).encode()), 0)
    });
    reported("noise", |_, writer| root(page(writer, &noise(5, 1000)), 0));
    reported("a page with more behind it", |_, writer| {
        let mut bytes = Page::Leaf(vec![folder("")]).encode();
        bytes.push(0);
        root(page(writer, &bytes), 0)
    });
    reported("a length that is not the page's", |_, writer| {
        let honest = leaf(writer, &[folder("")]);
        root(ChunkRef { bytes: honest.page.bytes + 1, ..honest.page }, 0)
    });
}

#[test]
fn pages_out_of_order_are_refused() {
    reported("named in the wrong order", |_, writer| {
        let a = leaf(writer, &[folder(""), folder("a")]);
        let b = leaf(writer, &[folder("b")]);
        root(index(writer, 1, vec![item("b", b.page), item("", a.page)]), 1)
    });
    reported("the second begins before the first ends", |_, writer| {
        let a = leaf(writer, &[folder(""), folder("c")]);
        let b = leaf(writer, &[folder("b"), folder("d")]);
        root(index(writer, 1, vec![item("", a.page), item("b", b.page)]), 1)
    });
    reported("a first path that is not the page's", |_, writer| {
        let a = leaf(writer, &[folder(""), folder("a")]);
        let b = leaf(writer, &[folder("b")]);
        root(index(writer, 1, vec![item("", a.page), item("c", b.page)]), 1)
    });
    reported("the same page twice", |_, writer| {
        let a = leaf(writer, &[folder("")]);
        root(index(writer, 1, vec![item("", a.page), item("b", a.page)]), 1)
    });
}

/// An index of the highest level whose pages all name one page, 1,024 times each.
fn bomb(writer: &mut Writer, below: ChunkRef, level: u8) -> ListingRoot {
    let mut page = below;
    for level in 1..=level {
        let items = (0..content::PAGE_ITEMS_MAX).map(|n| match n {
            0 => item("", page),
            n => item(&format!("{n:05}"), page),
        });
        page = index(writer, level, items.collect());
    }
    ListingRoot { page, level, entries: u64::MAX }
}

#[test]
fn a_page_that_is_named_again_and_again_is_read_a_few_times() {
    for level in [1, 2, content::LEVELS_MAX - 1] {
        let there = reported("a bomb", |_, writer| {
            let leaf = leaf(writer, &[folder(""), folder("00000")]);
            bomb(writer, leaf.page, level)
        });
        assert_eq!(there, ["00000"], "{level} levels");
    }
}

#[test]
fn a_bomb_around_a_page_that_is_missing_ends() {
    reported("a bomb around nothing", |_, writer| {
        let missing = ChunkRef { id: ChunkId::new([0x42; 32]), bytes: 100 };
        bomb(writer, missing, content::LEVELS_MAX - 1)
    });
}

#[test]
fn what_is_beside_a_bad_page_is_still_read() {
    let kit = Kit::new();
    let planted = kit.plant(|writer| {
        let a = leaf(writer, &[folder(""), folder("a")]);
        let c = leaf(writer, &[folder("c"), folder("d")]);
        let missing = ChunkRef { id: ChunkId::new([7; 32]), bytes: 100 };
        let items = vec![item("", a.page), item("b", missing), item("c", c.page)];
        root(index(writer, 1, items), 1)
    });
    let (tree, faults) = read_back(&kit.repo, &planted.root);
    assert_eq!((tree.len(), faults.len()), (4, 1), "{tree:?} {faults:?}");
    let restored = planted.restore();
    assert_eq!(restored.there, ["a", "c", "d"]);
    assert_eq!(restored.said.len(), 1, "{:?}", restored.said);
}
