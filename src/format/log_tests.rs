use proptest::prelude::*;

use super::*;
use crate::format::packs::BODY_BYTES_MAX;

fn times() -> impl Strategy<Value = Time> {
    (any::<i64>(), 0..1_000_000_000u32).prop_map(|(seconds, nanos)| Time { seconds, nanos })
}

fn tags() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec("[a-zäß日_.:/-]{1,20}", 0..6)
}

fn packs() -> impl Strategy<Value = Vec<PackId>> {
    prop::collection::vec(any::<[u8; 32]>().prop_map(PackId::new), 0..5)
}

fn uses() -> impl Strategy<Value = Vec<PackUse>> {
    let one = (any::<[u8; 32]>(), 1..=BODY_BYTES_MAX, any::<bool>());
    let one = one.prop_map(|(id, bytes, data)| PackUse {
        id: PackId::new(id),
        bytes,
        kind: if data { Kind::Data } else { Kind::Tree },
    });
    prop::collection::vec(one, 0..5)
}

fn tag_actions() -> impl Strategy<Value = TagAction> {
    let change = (any::<[u8; 32]>(), tags(), tags());
    let change = change.prop_map(|(id, add, remove)| TagChange { snapshot: SnapshotId::new(id), add, remove });
    (prop::collection::vec(change, 0..4), packs()).prop_map(|(changes, rescue)| TagAction { changes, rescue })
}

fn actions() -> impl Strategy<Value = Action> {
    let record = prop::collection::vec(any::<u8>(), 0..60);
    let snapshot = (any::<[[u8; 32]; 2]>(), times(), any::<bool>(), tags(), uses(), packs(), record).prop_map(
        |([snapshot, series], started, complete, tags, packs, rescue, record)| {
            let (snapshot, series) = (SnapshotId::new(snapshot), SeriesId::new(series));
            Action::Snapshot(SnapshotAction { snapshot, series, started, complete, tags, packs, rescue, record })
        },
    );
    let note = (any::<[u8; 32]>(), "\\PC{0,20}", "\\PC{0,20}").prop_map(|(id, name, value)| Action::Note {
        snapshot: SnapshotId::new(id),
        name,
        value,
    });
    let key = (any::<[u8; 16]>(), any::<bool>()).prop_map(|(slot, added)| Action::Key {
        slot: SlotId::new(slot),
        change: if added { KeyChange::Added } else { KeyChange::Removed },
    });
    prop_oneof![
        snapshot,
        tag_actions().prop_map(Action::Tag),
        tag_actions().prop_map(Action::Untag),
        note,
        packs().prop_map(|packs| Action::Condemn { packs }),
        packs().prop_map(|packs| Action::Sweep { packs }),
        (uses(), packs()).prop_map(|(packs, condemned)| Action::Repack { packs, condemned }),
        key,
    ]
}

fn bodies() -> impl Strategy<Value = Body> {
    let fixed = (any::<[u8; 32]>(), any::<[u8; 16]>(), any::<[u8; 16]>());
    (fixed, times(), actions(), prop::collection::vec(any::<u8>(), 0..20)).prop_map(
        |((previous, token, writer), time, action, extension)| Body {
            previous,
            token,
            writer: WriterId::new(writer),
            time,
            action,
            extension,
        },
    )
}

#[test]
fn a_tag_is_one_word() {
    for fine in ["last", "pre-upgrade", "vor_dem_Umzug", "日本", "a:b/c", &"x".repeat(128)] {
        assert!(tag_allowed(fine), "{fine:?}");
    }
    for wrong in ["", " ", "a b", "a,b", "a\n", "a\u{a0}b", "\u{2028}", "\u{7f}", "\u{85}", &"x".repeat(129)] {
        assert!(!tag_allowed(wrong), "{wrong:?}");
    }
}

proptest! {
    #[test]
    fn a_head_comes_back(repository: [u8; 16], seq: u64, nonce: [u8; 24]) {
        let head = Head { repository: RepositoryId::new(repository), seq, nonce };
        let bytes = head.encode();
        prop_assert_eq!(Head::decode(&bytes), Ok(head));
        prop_assert_eq!(Head::decode(&bytes[..HEAD_BYTES - 1]), Err(Reject::Truncated));
    }

    #[test]
    fn a_body_comes_back(body in bodies()) {
        let bytes = body.encode();
        prop_assert_eq!(Body::decode(&bytes), Ok(body));
        for len in 0..bytes.len() {
            prop_assert!(Body::decode(&bytes[..len]).is_err());
        }
    }

    #[test]
    fn a_damaged_body_is_another_or_none(body in bodies(), at: prop::sample::Index, bit in 0..8) {
        let mut bytes = body.encode();
        let at = at.index(bytes.len());
        bytes[at] ^= 1u8 << bit;
        if let Ok(found) = Body::decode(&bytes) {
            prop_assert_ne!(&found, &body);
            prop_assert_eq!(found.encode(), bytes);
        }
    }

    #[test]
    fn any_bytes_are_no_panic(action in 0..10u8, bytes: Vec<u8>) {
        let _ = (Body::decode(&bytes), Head::decode(&bytes));
        let _ = Body::decode(&[&[0; 66][..], &[action], &bytes].concat());
    }
}
