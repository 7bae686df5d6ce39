//! Contents and extents that lie.

use larder::format::content::{ChunkRef, Content, ContentRoot, Page};
use larder::format::listing::{self, Entry, Extent, Node};
use larder::id::ChunkId;
use larder::repo::seal::Squeeze;
use larder::repo::write::Writer;

use super::{Kit, leaf, page, refused};
use crate::support::damage_repo::{Leaf, entry, noise};

fn folder() -> Entry {
    entry(b"", &Leaf::Folder)
}

fn file(path: &[u8], bytes: u64, content: Content, extents: Option<Vec<Extent>>) -> Entry {
    Entry { node: Node::File { bytes, content, extents }, ..entry(path, &Leaf::Folder) }
}

fn lost() -> ChunkRef {
    ChunkRef { id: ChunkId::new([9; 32]), bytes: 10 }
}

/// Stores a data chunk.
fn chunk(kit: &Kit, writer: &mut Writer, bytes: &[u8]) -> ChunkRef {
    let id = kit.repo.keys().data_id(bytes);
    writer.data(id, bytes, Squeeze::No).unwrap();
    ChunkRef { id, bytes: bytes.len() as u32 }
}

#[test]
fn a_length_that_is_not_that_of_the_chunks_is_refused() {
    let words = "length of a file differs from that of its chunks";
    refused(&[folder(), file(b"f", 11, Content::Inline(vec![lost()]), None)], words);
    refused(&[folder(), file(b"f", 1, Content::EMPTY, None)], words);
    refused(&[folder(), file(b"f", u64::MAX, Content::EMPTY, None)], words);
    let root = ContentRoot { page: lost(), level: 0, bytes: 7, chunks: 1 };
    refused(&[folder(), file(b"f", 8, Content::Paged(root), None)], words);
    let extents = vec![Extent { offset: 0, bytes: 5 }];
    refused(&[folder(), file(b"f", 100, Content::Inline(vec![lost()]), Some(extents))], words);
}

#[test]
fn extents_beyond_the_end_are_refused() {
    let content = || Content::Inline(vec![lost()]);
    let beyond = [
        vec![Extent { offset: 91, bytes: 10 }],
        vec![Extent { offset: u64::MAX - 10, bytes: 10 }],
        vec![Extent { offset: 50, bytes: u64::MAX - 60 }],
    ];
    for extents in beyond {
        refused(&[folder(), file(b"f", 100, content(), Some(extents))], "extent beyond the end");
    }
    let touching = vec![Extent { offset: 10, bytes: 5 }, Extent { offset: 15, bytes: 5 }];
    refused(&[folder(), file(b"f", 100, content(), Some(touching))], "touching extents");
    let empty = vec![Extent { offset: 0, bytes: 10 }, Extent { offset: 15, bytes: 0 }];
    refused(&[folder(), file(b"f", 100, content(), Some(empty))], "empty or touching extents");
}

#[test]
fn a_chunk_of_length_zero_is_refused() {
    let nothing = ChunkRef { bytes: 0, ..lost() };
    refused(&[folder(), file(b"f", 0, Content::Inline(vec![nothing]), None)], "chunk of length 0");
    let huge = ChunkRef { bytes: u32::MAX, ..lost() };
    refused(&[folder(), file(b"f", u32::MAX.into(), Content::Inline(vec![huge]), None)], "chunk length");
}

#[test]
fn a_file_whose_chunks_are_missing_or_not_what_they_should_be_is_reported() {
    let kit = Kit::new();
    let planted = kit.plant(|writer| {
        let sound = chunk(&kit, writer, &noise(1, 300));
        let short = ChunkRef { bytes: 299, ..sound };
        let long = ChunkRef { bytes: 301, ..sound };
        let of_tree = page(writer, &Page::Leaf(vec![sound]).encode());
        let inline = |chunk: ChunkRef| Content::Inline(vec![sound, chunk]);
        let bytes = |chunk: ChunkRef| 300 + u64::from(chunk.bytes);
        let entries: Vec<Entry> = [("lost", lost()), ("long", long), ("of-tree", of_tree), ("short", short)]
            .into_iter()
            .map(|(path, chunk)| file(path.as_bytes(), bytes(chunk), inline(chunk), None))
            .collect();
        let mut all = vec![folder()];
        all.extend(entries);
        all.push(file(b"sound", 300, Content::Inline(vec![sound]), None));
        all.sort_by(|a, b| listing::compare_paths(&a.path, &b.path));
        leaf(writer, &all)
    });
    let problems = planted.check();
    let restored = planted.restore();
    for path in ["lost", "long", "of-tree", "short"] {
        assert!(restored.said.iter().any(|said| said.starts_with(path)), "{path}: {:?}", restored.said);
        assert!(!restored.there.contains(&path.to_owned()), "{path}: {:?}", restored.there);
    }
    assert!(restored.there.contains(&"sound".to_owned()), "{:?}", restored.there);
    assert!(problems.len() >= 4, "{problems:?}");
}

#[test]
fn content_lists_that_lie_are_reported() {
    let kit = Kit::new();
    let planted = kit.plant(|writer| {
        let sound = chunk(&kit, writer, &noise(1, 300));
        let list = page(writer, &Page::Leaf(vec![sound, sound]).encode());
        let honest = ContentRoot { page: list, level: 0, bytes: 600, chunks: 2 };
        let index = |writer: &mut Writer, level: u8, items: Vec<ContentRoot>| {
            page(writer, &Page::Index { level, items }.encode())
        };
        let up = index(writer, 1, vec![honest]);
        let overflow = index(writer, 1, vec![ContentRoot { bytes: u64::MAX, ..honest }, honest]);
        let other_level = index(writer, 3, vec![ContentRoot { level: 2, ..honest }]);
        let lists = [
            ("a-shorter", ContentRoot { bytes: 599, ..honest }),
            ("b-longer", ContentRoot { bytes: 601, ..honest }),
            ("c-fewer", ContentRoot { chunks: 1, ..honest }),
            ("d-level-of-leaf", ContentRoot { level: 1, ..honest }),
            ("e-level-of-index", ContentRoot { page: up, level: 0, ..honest }),
            ("f-index-lies", ContentRoot { page: up, level: 1, bytes: 1200, chunks: 4 }),
            ("g-overflow", ContentRoot { page: overflow, level: 1, bytes: 599, chunks: 4 }),
            ("h-other-level", ContentRoot { page: other_level, level: 3, bytes: 600, chunks: 2 }),
            ("i-no-page", ContentRoot { page: ChunkRef { bytes: 300, ..sound }, level: 0, bytes: 600, chunks: 2 }),
            ("j-missing", ContentRoot { page: lost(), level: 0, bytes: 600, chunks: 2 }),
            ("k-exabytes", ContentRoot { bytes: 1 << 60, chunks: 1 << 50, ..honest }),
        ];
        let mut entries = vec![folder()];
        entries.extend(lists.map(|(path, root)| file(path.as_bytes(), root.bytes, Content::Paged(root), None)));
        entries.push(file(b"z-honest", 600, Content::Paged(ContentRoot { page: up, level: 1, ..honest }), None));
        leaf(writer, &entries)
    });
    let problems = planted.check();
    assert!(!problems.is_empty());
    let restored = planted.restore();
    for letter in 'a'..='k' {
        assert!(restored.said.iter().any(|said| said.starts_with(letter)), "{letter}: {:?}", restored.said);
        let whole = |path: &&String| path.starts_with(letter) && !path.ends_with(".larder-partial");
        assert_eq!(restored.there.iter().find(whole), None);
    }
    assert!(restored.there.contains(&"z-honest".to_owned()), "{:?}", restored.there);
}

#[test]
fn a_content_list_that_names_a_page_again_and_again_ends() {
    let kit = Kit::new();
    let planted = kit.plant(|writer| {
        let sound = chunk(&kit, writer, &noise(1, 300));
        let list = page(writer, &Page::Leaf(vec![sound; 1024]).encode());
        let mut root = ContentRoot { page: list, level: 0, bytes: 300 << 10, chunks: 1024 };
        for level in 1..5 {
            let page = page(writer, &Page::Index { level, items: vec![root; 1024] }.encode());
            root = ContentRoot { page, level, bytes: root.bytes.saturating_mul(1024), chunks: root.chunks << 10 };
        }
        // It says how long it is, and it is: 2^58 bytes and more. What does not fit is refused, not tried.
        leaf(writer, &[folder(), file(b"bomb", root.bytes, Content::Paged(root), None)])
    });
    assert!(!planted.check().is_empty());
    // The same around a chunk that is missing: everything it touches is said once.
    let kit = Kit::new();
    let planted = kit.plant(|writer| {
        let list = page(writer, &Page::Leaf(vec![lost(); 1024]).encode());
        let mut root = ContentRoot { page: list, level: 0, bytes: 10 << 10, chunks: 1024 };
        for level in 1..5 {
            let page = page(writer, &Page::Index { level, items: vec![root; 1024] }.encode());
            root = ContentRoot { page, level, bytes: root.bytes.saturating_mul(1024), chunks: root.chunks << 10 };
        }
        leaf(writer, &[folder(), file(b"bomb", root.bytes, Content::Paged(root), None)])
    });
    assert!(!planted.check().is_empty());
}
