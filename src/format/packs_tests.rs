use proptest::prelude::*;

use super::*;

fn preambles() -> impl Strategy<Value = Preamble> {
    let fixed = (any::<[u8; 16]>(), any::<[u8; 16]>(), any::<[u8; 32]>(), any::<[u8; 24]>(), any::<[u8; 32]>());
    (fixed, any::<bool>(), 0..=DIRECTORY_BYTES_MAX, 0..=BODY_BYTES_MAX - 160 - u64::from(DIRECTORY_BYTES_MAX)).prop_map(
        |((repository, writer, run_public, salt, commitment), data, directory_bytes, blocks)| Preamble {
            kind: if data { Kind::Data } else { Kind::Tree },
            directory_bytes,
            body_bytes: PREAMBLE_BYTES as u64 + u64::from(directory_bytes) + blocks,
            repository: RepositoryId::new(repository),
            writer: WriterId::new(writer),
            run_public,
            salt,
            commitment,
        },
    )
}

fn directories() -> impl Strategy<Value = Directory> {
    let chunks = prop::collection::vec((any::<[u8; 32]>(), 1..100_000u32), 0..20);
    prop::collection::vec((0..3, chunks, 0..1000u32, any::<[u8; 24]>()), 0..8).prop_map(|blocks| {
        let mut directory = Directory::default();
        for (what, chunks, other, nonce) in blocks {
            let chunks: Vec<_> = chunks.into_iter().map(|(id, bytes)| (ChunkId::new(id), bytes)).collect();
            let raw_bytes = chunks.iter().map(|chunk| chunk.1).sum();
            match what {
                0 => directory.push(BlockKind::Chunks, Codec::Raw, raw_bytes, raw_bytes + 16, nonce, &chunks),
                1 => directory.push(BlockKind::Chunks, Codec::Zstd, raw_bytes, other + 16, nonce, &chunks),
                _ => directory.push(BlockKind::Record, Codec::Zstd, other, other + 16, nonce, &[]),
            }
        }
        directory
    })
}

#[test]
fn the_limits_of_a_directory_fit_into_its_length() {
    // The longest entries that 262,144 chunks and 65,536 blocks can have.
    let bytes = CHUNKS_MAX * (32 + 4) + BLOCKS_MAX * (2 + 4 + 4 + 24 + 3);
    assert!(bytes < u64::from(DIRECTORY_BYTES_MAX));
}

proptest! {
    #[test]
    fn a_preamble_comes_back(preamble in preambles()) {
        let bytes = preamble.encode();
        prop_assert_eq!(Preamble::decode(&bytes), Ok(preamble));
        prop_assert_eq!(Preamble::decode(&bytes[..PREAMBLE_BYTES - 1]), Err(Reject::Truncated));
    }

    #[test]
    fn every_bit_of_a_preamble_matters(preamble in preambles(), at in 0..PREAMBLE_BYTES, bit in 0..8) {
        let mut bytes = preamble.encode();
        bytes[at] ^= 1u8 << bit;
        prop_assert_ne!(Preamble::decode(&bytes), Ok(preamble));
    }

    #[test]
    fn a_directory_comes_back(directory in directories()) {
        let bytes = directory.encode();
        prop_assert_eq!(bytes.len() % DIRECTORY_PADDING, 0);
        prop_assert_eq!(Directory::decode(Kind::Tree, &bytes), Ok(directory));
    }

    #[test]
    fn blocks_and_chunks_lie_without_gaps(directory in directories()) {
        let mut at = 0;
        for block in &directory.blocks {
            prop_assert_eq!(block.offset, at);
            at += u64::from(block.sealed_bytes);
            let mut within = 0;
            for chunk in directory.chunks_of(block) {
                prop_assert_eq!(chunk.offset, within);
                within += chunk.bytes;
            }
            prop_assert!(block.kind == BlockKind::Record || within == block.raw_bytes);
        }
        prop_assert_eq!(directory.blocks_bytes(), at);
    }

    #[test]
    fn a_damaged_directory_is_another_or_none(directory in directories(), at: prop::sample::Index, bit in 0..8) {
        let mut bytes = directory.encode();
        let at = at.index(bytes.len());
        bytes[at] ^= 1u8 << bit;
        if let Ok(found) = Directory::decode(Kind::Tree, &bytes) {
            prop_assert_ne!(&found, &directory);
            prop_assert_eq!(found.encode(), bytes);
        }
    }

    #[test]
    fn a_truncated_directory_is_no_panic(directory in directories(), len: prop::sample::Index) {
        let bytes = directory.encode();
        let cut = &bytes[..len.index(bytes.len())];
        prop_assert!(Directory::decode(Kind::Tree, cut).is_err());
    }

    #[test]
    fn any_bytes_are_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..1024)) {
        let _ = Directory::decode(Kind::Tree, &bytes);
        let _ = Directory::decode(Kind::Data, &bytes);
        let _ = Preamble::decode(&bytes);
    }
}
