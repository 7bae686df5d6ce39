use std::collections::HashMap;
use std::sync::Arc;

use super::*;
use crate::chunking::Sizes;
use crate::crypto::secret::Secret;
use crate::crypto::slot::Stretch;
use crate::format::Time;
use crate::format::listing::Node;
use crate::format::objects::WeekStart;
use crate::repo::listing::{Entries, PageReader};
use crate::repo::open::{NewRepository, create, open};
use crate::repo::slots::Credential;
use crate::storage::memory::Memory;

/// Pages in memory, named by their plain hash.
#[derive(Default)]
struct Shelf(HashMap<ChunkId, Vec<u8>>);

impl Pages for Shelf {
    fn store(&mut self, bytes: &[u8], sound: &dyn Fn(&[u8]) -> bool) -> Result<ChunkId, Error> {
        if !sound(bytes) {
            return Err(Error::SelfCheck { what: "page" });
        }
        let id = ChunkId::new(*blake3::hash(bytes).as_bytes());
        self.0.insert(id, bytes.to_vec());
        Ok(id)
    }
}

impl PageReader for Shelf {
    fn read_page(&self, page: &ChunkRef) -> Result<Vec<u8>, Error> {
        let bytes = &self.0[&page.id];
        assert_eq!(bytes.len() as u32, page.bytes);
        Ok(bytes.clone())
    }
}

fn repository() -> Repository {
    let credential = Credential::KeyFile(Secret::new([7; 32]));
    let new = NewRepository {
        time_zone: "UTC".into(),
        week_start: WeekStart::Monday,
        sizes: Sizes::DEFAULT,
        credential: &credential,
        stretch: Stretch::None,
        now: Time::default(),
    };
    let memory = Memory::new();
    create(&memory, &new).unwrap();
    open(Arc::new(memory), &credential, None).unwrap().0
}

fn entry(path: Vec<u8>) -> Entry {
    Entry { inode: 1, device: 1, ..Entry::new(path, Node::Directory, 0o755) }
}

/// A path of nearly 64 KiB; two of them share nothing but their first name.
fn long_path(number: u32) -> Vec<u8> {
    let mut path = format!("{number:08}").into_bytes();
    while path.len() < 65_000 {
        path.push(b'/');
        path.extend_from_slice(format!("{number:08}").repeat(30).as_bytes());
    }
    path
}

#[test]
fn a_listing_of_the_longest_paths_stays_within_the_limits_of_a_page() {
    let repo = repository();
    let mut shelf = Shelf::default();
    let mut writer = ListingWriter::new();
    const ENTRIES: u32 = 1200;
    for number in 0..ENTRIES {
        writer.push(&repo, &mut shelf, &entry(long_path(number))).unwrap();
    }
    let root = writer.finish(&mut shelf).unwrap();
    assert_eq!(root.entries, u64::from(ENTRIES));
    let longest = shelf.0.values().map(Vec::len).max().unwrap();
    assert!(longest > INDEX_BYTES_MAX && longest < INDEX_BYTES_MAX + 70_000, "{longest}");
    let read: Vec<Vec<u8>> = Entries::new(&shelf, &root).map(|entry| entry.unwrap().path).collect();
    assert_eq!(read, (0..ENTRIES).map(long_path).collect::<Vec<_>>());
}

#[test]
fn a_page_that_readers_would_refuse_is_not_stored() {
    let repo = repository();
    let mut shelf = Shelf::default();
    let mut writer = ListingWriter::new();
    writer.push(&repo, &mut shelf, &entry(b"a/../b".to_vec())).unwrap();
    assert!(matches!(writer.finish(&mut shelf), Err(Error::SelfCheck { .. })));

    let mut writer = ListingWriter::new();
    let large =
        Entry { xattrs: (0..80u8).map(|n| (vec![b'a', n + 1], vec![n; 60_000])).collect(), ..entry(b"a".to_vec()) };
    let pushed = writer.push(&repo, &mut shelf, &large);
    assert!(matches!(pushed, Err(Error::SelfCheck { what: "page of a possible length" })));

    let mut list = ContentWriter::new();
    let empty = ChunkRef { id: ChunkId::new([1; 32]), bytes: 0 };
    let pushed = (0..2000).try_for_each(|_| list.push(&mut shelf, empty));
    assert!(matches!(pushed, Err(Error::SelfCheck { .. })));
    assert_eq!(shelf.0.len(), 0);
}

#[test]
fn a_leaf_is_sound_only_with_its_entries() {
    let mut leaf = LeafWriter::new();
    [b"a", b"b", b"c"].iter().for_each(|path| leaf.push(&entry(path.to_vec())));
    let (bytes, first, entries) = leaf.finish();
    let last = b"c".to_vec();
    assert!(leaf_is(&bytes, entries, &first, Some(&last)));
    assert!(!leaf_is(&bytes, entries + 1, &first, Some(&last)));
    assert!(!leaf_is(&bytes, entries, b"b", Some(&last)));
    assert!(!leaf_is(&bytes, entries, &first, Some(&b"b".to_vec())));
    assert!(!leaf_is(&bytes[..bytes.len() - 1], entries, &first, Some(&last)));
}
