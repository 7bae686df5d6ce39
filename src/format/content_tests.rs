use proptest::prelude::*;

use super::*;

fn chunks(bytes_max: u64) -> impl Strategy<Value = ChunkRef> {
    (any::<[u8; 32]>(), 1..=bytes_max as u32).prop_map(|(id, bytes)| ChunkRef { id: ChunkId::new(id), bytes })
}

fn pages() -> impl Strategy<Value = Page> {
    let leaf = prop::collection::vec(chunks(CHUNK_BYTES_MAX), 1..60).prop_map(Page::Leaf);
    let root = (chunks(PAGE_BYTES_MAX), any::<u64>(), 1..=u64::MAX);
    let index = (1..LEVELS_MAX, prop::collection::vec(root, 1..40)).prop_map(|(level, items)| {
        let root = |(page, bytes, chunks)| ContentRoot { page, level: level - 1, bytes, chunks };
        Page::Index { level, items: items.into_iter().map(root).collect() }
    });
    prop_oneof![leaf, index]
}

#[test]
fn a_page_ends_between_its_bounds() {
    let boundary = |first: u8| {
        let mut id = [9; 32];
        id[0] = first;
        ChunkId::new(id)
    };
    let (ends, plain) = (boundary(0x80), boundary(0x81));
    assert!(!ends_page(&ends, PAGE_ITEMS_MIN - 1));
    assert!(ends_page(&ends, PAGE_ITEMS_MIN));
    assert!(ends_page(&boundary(0), PAGE_ITEMS_MIN));
    assert!(!ends_page(&plain, PAGE_ITEMS_MAX as usize - 1));
    assert!(ends_page(&plain, PAGE_ITEMS_MAX as usize));
}

proptest! {
    #[test]
    fn a_page_comes_back_whole_or_not_at_all(page in pages(), len: prop::sample::Index) {
        let bytes = page.encode();
        prop_assert!(Page::decode(&bytes[..len.index(bytes.len())]).is_err());
        prop_assert_eq!(Page::decode(&bytes), Ok(page));
    }

    #[test]
    fn a_damaged_page_is_another_or_none(page in pages(), at: prop::sample::Index, bit in 0..8) {
        let mut bytes = page.encode();
        let at = at.index(bytes.len());
        bytes[at] ^= 1u8 << bit;
        if let Ok(found) = Page::decode(&bytes) {
            prop_assert_ne!(&found, &page);
            prop_assert_eq!(found.encode(), bytes);
        }
    }

    #[test]
    fn any_bytes_are_no_panic(kind in 0..6u8, bytes: Vec<u8>) {
        let _ = Page::decode(&bytes);
        let _ = Page::decode(&[&[kind][..], &bytes].concat());
    }
}
