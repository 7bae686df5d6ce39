use proptest::prelude::*;

use super::*;
use crate::format::Time;
use crate::format::content::{Content, ContentRoot};
use crate::format::entry::EXTENSION;
use crate::format::listing::{
    EXTENTS_MAX, Extent, Node, PATH_BYTES_MAX, STAMP_BYTES_MAX, TARGET_BYTES_MAX, check_path,
};
use crate::id::ChunkId;

fn names() -> impl Strategy<Value = Vec<u8>> {
    let byte = any::<u8>().prop_map(|b| if matches!(b, 0 | b'/') { b'.' } else { b });
    let short = prop_oneof![Just(b'a'), Just(b'b'), Just(b'.'), Just(b'-'), Just(1)];
    let name = prop_oneof![prop::collection::vec(short, 1..4), prop::collection::vec(byte, 1..30)];
    name.prop_map(|name| if matches!(name.as_slice(), b"." | b"..") { b"...".to_vec() } else { name })
}

fn paths() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(names(), 0..5).prop_map(|names| names.join(&b'/'))
}

fn times() -> impl Strategy<Value = Time> {
    (any::<i64>(), 0..1_000_000_000u32).prop_map(|(seconds, nanos)| Time { seconds, nanos })
}

fn chunk_refs(bytes_max: u64) -> impl Strategy<Value = ChunkRef> {
    (any::<[u8; 32]>(), 1..=bytes_max as u32).prop_map(|(id, bytes)| ChunkRef { id: ChunkId::new(id), bytes })
}

fn files() -> impl Strategy<Value = Node> {
    let inline = prop::collection::vec(chunk_refs(content::CHUNK_BYTES_MAX), 0..6).prop_map(Content::Inline);
    let root = (chunk_refs(content::PAGE_BYTES_MAX), 0..content::LEVELS_MAX, 0..1u64 << 50, 1..=u64::MAX);
    let paged =
        root.prop_map(|(page, level, bytes, chunks)| Content::Paged(ContentRoot { page, level, bytes, chunks }));
    // Where holes lie: before which share of the data, and how long they are.
    let holes = prop::option::of(prop::collection::vec((1..100_000u64, 1..10u64), 0..5));
    (prop_oneof![inline, paged], holes, 0..1000u64).prop_map(|(content, holes, tail)| {
        let data = match &content {
            Content::Inline(chunks) => chunks.iter().map(|chunk| u64::from(chunk.bytes)).sum(),
            Content::Paged(root) => root.bytes,
        };
        let Some(holes) = holes else { return Node::File { bytes: data, content, extents: None } };
        let (mut extents, mut at, mut left) = (Vec::new(), 0, data);
        for (gap, share) in holes {
            let bytes = left / share;
            if bytes > 0 {
                extents.push(Extent { offset: at + gap, bytes });
                at += gap + bytes;
                left -= bytes;
            }
        }
        if left > 0 {
            extents.push(Extent { offset: at + 1, bytes: left });
            at += 1 + left;
        }
        Node::File { bytes: at + tail, content, extents: Some(extents) }
    })
}

fn nodes() -> impl Strategy<Value = Node> {
    let target = prop::collection::vec(1..=255u8, 1..50);
    prop_oneof![
        4 => files(),
        1 => Just(Node::Directory),
        1 => target.prop_map(|target| Node::Symlink { target }),
        1 => Just(Node::Fifo),
        1 => Just(Node::Socket),
        1 => any::<(u32, u32)>().prop_map(|(major, minor)| Node::CharDevice { major, minor }),
        1 => any::<(u32, u32)>().prop_map(|(major, minor)| Node::BlockDevice { major, minor }),
    ]
}

fn owners() -> impl Strategy<Value = Owner> {
    let name = prop::collection::vec(any::<u8>(), 0..20);
    let any_owner = (any::<(u32, u32)>(), name.clone(), name).prop_map(|((uid, gid), user, group)| Owner {
        uid,
        gid,
        user: user.into(),
        group: group.into(),
    });
    prop_oneof![3 => Just(Owner::default()), 1 => any_owner]
}

fn entries() -> impl Strategy<Value = Entry> {
    let xattrs = prop::collection::btree_map(
        prop::collection::vec(1..=255u8, 1..20),
        prop::collection::vec(any::<u8>(), 0..50),
        0..4,
    );
    let plain = (0..=0o7777u32, any::<[u64; 3]>(), times(), times(), any::<bool>());
    (paths(), nodes(), owners(), plain, xattrs, prop::collection::vec(any::<u8>(), 0..10)).prop_map(
        |(path, node, owner, (mode, [inode, device, links], mtime, ctime, unstable), xattrs, stamp)| Entry {
            path,
            node,
            mode,
            owner,
            mtime,
            ctime,
            inode,
            device,
            links,
            xattrs: xattrs.into_iter().collect(),
            stamp,
            unstable,
        },
    )
}

fn pages() -> impl Strategy<Value = Page> {
    let leaf = prop::collection::vec(entries(), 0..12).prop_map(|mut entries| {
        entries.sort_by(|a, b| compare_paths(&a.path, &b.path));
        entries.dedup_by(|a, b| a.path == b.path);
        Page::Leaf(entries)
    });
    let item = (paths(), chunk_refs(content::PAGE_BYTES_MAX), any::<u64>());
    let index = (1..content::LEVELS_MAX, prop::collection::vec(item, 1..12)).prop_map(|(level, items)| {
        let item = |(first, page, entries)| PageRef { first, page, entries };
        let mut items: Vec<PageRef> = items.into_iter().map(item).collect();
        items.sort_by(|a, b| compare_paths(&a.first, &b.first));
        items.dedup_by(|a, b| a.first == b.first);
        Page::Index { level, items }
    });
    prop_oneof![3 => leaf, 1 => index]
}

#[test]
fn the_longest_entry_fits_on_a_page() {
    // A leaf is ended behind the entry that makes it long enough; attributes of 1 MiB together is what capture allows.
    let longest = (48 << 10) + PATH_BYTES_MAX + (1 << 20) + EXTENTS_MAX * 18 + TARGET_BYTES_MAX + 4 * STAMP_BYTES_MAX;
    assert!(longest < content::PAGE_BYTES_MAX);
}

proptest! {
    #[test]
    fn paths_are_ordered_component_by_component(a in paths(), b in paths()) {
        let names = |path: &[u8]| -> Vec<Vec<u8>> {
            path.split(|&b| b == b'/').filter(|name| !name.is_empty()).map(<[u8]>::to_vec).collect()
        };
        prop_assert_eq!(compare_paths(&a, &b), names(&a).cmp(&names(&b)));
        prop_assert_eq!(check_path(&a), Ok(()));
    }

    #[test]
    fn a_page_comes_back(page in pages()) {
        prop_assert_eq!(Page::decode(&page.encode()), Ok(page));
    }

    #[test]
    fn an_extension_is_passed_over(entry in entries(), extension in prop::collection::vec(any::<u8>(), 0..40)) {
        let mut w = Writer::new();
        put_entry(&mut w, &entry, b"", None);
        let mut bytes = w.finish();
        // Flags are one byte, behind the type.
        prop_assert_eq!(bytes[1] & EXTENSION as u8, 0);
        bytes[1] |= EXTENSION as u8;
        let mut w = Writer::new();
        w.raw(&[LEAF, 1]);
        w.raw(&bytes);
        w.bytes(&extension);
        prop_assert_eq!(Page::decode(&w.finish()), Ok(Page::Leaf(vec![entry])));
    }

    #[test]
    fn a_truncated_page_is_refused(page in pages(), len: prop::sample::Index) {
        let bytes = page.encode();
        prop_assert!(Page::decode(&bytes[..len.index(bytes.len())]).is_err());
    }

    #[test]
    fn a_damaged_page_keeps_the_rules(page in pages(), at: prop::sample::Index, bit in 0..8) {
        let mut bytes = page.encode();
        let at = at.index(bytes.len());
        bytes[at] ^= 1u8 << bit;
        if let Ok(Page::Leaf(entries)) = Page::decode(&bytes) {
            prop_assert!(entries.iter().all(|entry| check_path(&entry.path).is_ok()));
            prop_assert!(entries.is_sorted_by(|a, b| compare_paths(&a.path, &b.path) == Ordering::Less));
        }
    }

    #[test]
    fn any_bytes_are_no_panic(kind in 0..4u8, count in 0..4u8, bytes: Vec<u8>) {
        let _ = Page::decode(&bytes);
        let _ = Page::decode(&[&[kind, count][..], &bytes].concat());
        let _ = check_path(&bytes);
    }
}
