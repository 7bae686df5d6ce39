use proptest::prelude::*;

use super::*;

fn slots() -> impl Strategy<Value = Slot> {
    let stretch = prop_oneof![
        Just(Stretch::None),
        (16u32 << 10..=1 << 20, 1..=64u32, 1..=16u32).prop_map(|(memory_kib, passes, lanes)| Stretch::Argon2id {
            memory_kib,
            passes,
            lanes
        }),
    ];
    let fixed = (any::<[u8; 16]>(), any::<[u8; 16]>(), any::<[u8; 32]>(), any::<[u8; 32]>(), any::<[u8; 24]>());
    (fixed, stretch, any::<i64>(), 0..1_000_000_000u32, "\\PC{0,60}").prop_map(
        |((repository, slot, salt, commitment, nonce), stretch, seconds, nanos, label)| Slot {
            repository: RepositoryId::new(repository),
            slot: SlotId::new(slot),
            created: Time { seconds, nanos },
            label,
            stretch,
            salt,
            commitment,
            nonce,
            sealed: [salt[0]; 48],
        },
    )
}

proptest! {
    #[test]
    fn a_slot_comes_back(slot in slots()) {
        let bytes = slot.encode();
        prop_assert!(bytes.len() as u64 <= SLOT_BYTES_MAX);
        prop_assert_eq!(Slot::decode(&bytes), Ok(slot));
        for len in 0..bytes.len() {
            prop_assert_eq!(Slot::decode(&bytes[..len]), Err(Reject::Truncated));
        }
    }

    #[test]
    fn a_damaged_slot_is_another_or_none(slot in slots(), at: prop::sample::Index, bit in 0..8) {
        let mut bytes = slot.encode();
        let at = at.index(bytes.len());
        bytes[at] ^= 1u8 << bit;
        if let Ok(found) = Slot::decode(&bytes) {
            prop_assert_ne!(&found, &slot);
            prop_assert!(found.stretch.allowed());
            prop_assert_eq!(found.encode(), bytes);
        }
    }

    #[test]
    fn any_bytes_are_no_panic(bytes: Vec<u8>) {
        let _ = Slot::decode(&bytes);
    }
}
