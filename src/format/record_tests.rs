use proptest::prelude::*;

use super::*;
use crate::id::ChunkId;

fn times() -> impl Strategy<Value = Time> {
    (any::<i64>(), 0..1_000_000_000u32).prop_map(|(seconds, nanos)| Time { seconds, nanos })
}

fn records() -> impl Strategy<Value = Record> {
    let text = "\\PC{0,20}";
    let texts = (text, text, text, text, text);
    let paths = prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..5);
    let page = (any::<[u8; 32]>(), 1..=content::PAGE_BYTES_MAX as u32)
        .prop_map(|(id, bytes)| ChunkRef { id: ChunkId::new(id), bytes });
    let root = (page, 0..content::LEVELS_MAX, any::<u64>()).prop_map(|(page, level, entries)| ListingRoot {
        page,
        level,
        entries,
    });
    let parent = prop::option::of(any::<[u8; 32]>().prop_map(SnapshotId::new));
    let rest = (times(), times(), any::<bool>(), any::<[u64; 8]>(), any::<[u8; 16]>());
    (texts, paths, root, parent, rest, prop::collection::vec(any::<u8>(), 0..20)).prop_map(
        |((source, host, user, description, program), paths, root, parent, rest, extension)| {
            let (
                started,
                ended,
                complete,
                [files, directories, others, bytes, raw, stored, unreadable, unstable],
                unique,
            ) = rest;
            let counts = Counts {
                files,
                directories,
                others,
                bytes,
                new_raw_bytes: raw,
                new_stored_bytes: stored,
                unreadable,
                unstable,
            };
            Record {
                source,
                host,
                user,
                paths,
                description,
                started,
                ended,
                complete,
                parent,
                root,
                counts,
                unique,
                program,
                extension,
            }
        },
    )
}

proptest! {
    #[test]
    fn a_record_comes_back(record in records()) {
        let bytes = record.encode();
        prop_assert_eq!(Record::decode(&bytes), Ok(record));
        for len in 0..bytes.len() {
            prop_assert!(Record::decode(&bytes[..len]).is_err());
        }
    }

    #[test]
    fn a_damaged_record_is_another_or_none(record in records(), at: prop::sample::Index, bit in 0..8) {
        let mut bytes = record.encode();
        let at = at.index(bytes.len());
        bytes[at] ^= 1u8 << bit;
        if let Ok(found) = Record::decode(&bytes) {
            prop_assert_ne!(&found, &record);
            prop_assert_eq!(found.encode(), bytes);
        }
    }

    #[test]
    fn an_envelope_comes_back(
        run_public: [u8; 32], salt: [u8; 24], commitment: [u8; 32], nonce: [u8; 24],
        raw_bytes: u32, sealed: Vec<u8>
    ) {
        let envelope = Envelope { run_public, salt, commitment, nonce, raw_bytes, sealed };
        let bytes = envelope.encode();
        prop_assert_eq!(Envelope::decode(&bytes), Ok(envelope));
        prop_assert_eq!(Envelope::decode(&bytes[..ENVELOPE_BYTES - 1]), Err(Reject::Truncated));
    }

    #[test]
    fn any_bytes_are_no_panic(bytes: Vec<u8>) {
        let _ = Record::decode(&bytes);
        let _ = Record::decode(&[&[VERSION][..], &bytes].concat());
        let _ = Envelope::decode(&bytes);
    }
}
