use proptest::prelude::*;

use super::*;

fn configs() -> impl Strategy<Value = Config> {
    let sizes = (8u32..=22, 0u32..=1).prop_map(|(bits, spread)| Sizes {
        min: 1 << (bits - 2),
        average: 1 << bits,
        max: 2 << (bits + spread).min(22),
    });
    let fixed = (any::<[u8; 16]>(), any::<i64>(), 0..1_000_000_000u32, any::<[u8; 32]>(), any::<[u8; 32]>());
    (fixed, sizes, "[A-Za-z/_]{0,128}", any::<bool>(), prop::collection::vec(any::<u8>(), 0..4096)).prop_map(
        |((repository, seconds, nanos, read_public, owner_public), sizes, time_zone, monday, extension)| Config {
            repository: RepositoryId::new(repository),
            created: Time { seconds, nanos },
            sizes,
            time_zone,
            week_start: if monday { WeekStart::Monday } else { WeekStart::Sunday },
            read_public,
            owner_public,
            extension,
        },
    )
}

#[test]
fn a_name_belongs_to_one_object() {
    let pack = PackId::new([0xab; 32]);
    assert_eq!(pack_of_name(&pack_name(&pack)), Some(pack));
    assert_eq!(pack_of_name(&pack_name(&pack).to_uppercase()), None);
    assert_eq!(pack_of_name(&format!("packs/aa/{pack}")), None);
    let slot = SlotId::new([0xcd; 16]);
    assert!(slot_names(&slot).iter().all(|name| slot_of_name(name) == Some(slot)));
    assert_eq!(slot_of_name(&format!("keys/{slot}.copy.copy")), None);
    for wrong in ["log/1", "log/000000000000000A", "log/+000000000000001", "log/00000000000000001", "log/"] {
        assert_eq!(seq_of_name(wrong), None, "{wrong}");
    }
    for seq in [1, SEQ_MAX] {
        assert_eq!(seq_of_name(&log_name(seq)), Some(seq));
    }
    for seq in [0, SEQ_MAX + 1, u64::MAX] {
        assert_eq!(seq_of_name(&log_name(seq)), None, "{seq}");
    }
}

#[test]
fn every_name_of_the_format_is_an_object_name() {
    use crate::storage::ObjectName;
    let names = slot_names(&SlotId::new([0xff; 16])).into_iter().chain(CONFIGS.map(String::from));
    for name in names.chain([pack_name(&PackId::new([0xff; 32])), log_name(u64::MAX)]) {
        assert!(ObjectName::new(name.as_str()).is_some(), "{name}");
    }
}

proptest! {
    #[test]
    fn numbers_of_entries_come_back(seq in 1..=SEQ_MAX, other: u64) {
        prop_assert_eq!(seq_of_name(&log_name(seq)), Some(seq));
        prop_assert_eq!(seq_of_name(&log_name(other)), (1..=SEQ_MAX).contains(&other).then_some(other));
    }

    #[test]
    fn a_config_comes_back(config in configs(), signature in any::<[u8; 32]>()) {
        let signature: [u8; 64] = std::array::from_fn(|n| signature[n % 32]);
        let mut bytes = config.encode();
        bytes.extend_from_slice(&signature);
        prop_assert_eq!(Config::decode(&bytes), Ok((config, signature)));
        for len in [0, 1, 20, bytes.len() - 1] {
            prop_assert!(Config::decode(&bytes[..len]).is_err());
        }
        bytes.push(0);
        prop_assert_eq!(Config::decode(&bytes), Err(Reject::TrailingBytes(1)));
    }

    #[test]
    fn a_damaged_config_is_no_panic(config in configs(), at: prop::sample::Index, bit in 0..8) {
        let mut bytes = config.encode();
        bytes.extend_from_slice(&[0; 64]);
        let at = at.index(bytes.len());
        bytes[at] ^= 1u8 << bit;
        let _ = Config::decode(&bytes);
    }

    #[test]
    fn any_bytes_are_no_panic(bytes: Vec<u8>, name: String) {
        let _ = Config::decode(&bytes);
        let _ = (pack_of_name(&name), seq_of_name(&name), slot_of_name(&name));
        let _ = (pack_of_name(&format!("packs/{name}")), seq_of_name(&format!("log/{name}")));
    }
}
