//! Key slots that somebody has tampered with, and credentials that are not quite right.
//!
//! Promise: a wrong password is told from damage, nothing that the storage asks for is spent before it is checked, and
//! a sound copy opens the repository whatever became of the other.

use std::sync::Arc;

use larder::crypto::keys::RootKey;
use larder::crypto::secret::Secret;
use larder::crypto::slot::Stretch;
use larder::format::objects::{self, WeekStart};
use larder::format::slots::Slot;
use larder::id::SlotId;
use larder::repo::error::Error;
use larder::repo::open::{NewRepository, create, open};
use larder::repo::slots::{Credential, parse_recovery, recovery_text, store_slot};
use larder::storage::memory::Memory;

use crate::support::damage_repo::{KEY, Made, NOW, SECOND_KEY, SIZES, key_file, memory_of, name, names};
use crate::support::damage_samples;

/// The cheapest stretching that is allowed.
const CHEAP: Stretch = Stretch::Argon2id { memory_kib: 16 << 10, passes: 1, lanes: 1 };

fn password(text: &str) -> Credential {
    Credential::Password(text.to_owned().into())
}

fn try_open(memory: &Memory, credential: &Credential) -> Result<Vec<String>, Error> {
    open(Arc::new(memory.clone()), credential, None).map(|(repo, _)| repo.oddities)
}

/// The slot of a key file, as it is stored.
fn slot_of(made: &Made, label: &str) -> Slot {
    let slots = names(&made.image, "keys/").into_iter().map(|name| Slot::decode(&made.image[&name].bytes).unwrap());
    slots.into_iter().find(|slot| slot.label == label).unwrap()
}

/// Replaces a slot, or one of its copies.
fn put(memory: &Memory, slot: &Slot, bytes: &[u8], copies: &[&str]) {
    for copy in copies {
        memory.put_raw(&name(format!("keys/{}{copy}", slot.slot)), bytes);
    }
}

const BOTH: [&str; 2] = ["", ".copy"];

/// A slot with stretching that `Slot::encode` would write and no reader may accept.
fn stretched(slot: &Slot, memory_kib: u64, passes: u64, lanes: u64) -> Vec<u8> {
    let plain = Slot { stretch: Stretch::None, ..slot.clone() }.encode();
    let at = plain.len() - 48 - 24 - 32 - 32 - 1;
    let mut w = larder::format::wire::Writer::new();
    w.raw(&plain[..at]);
    w.u8(1);
    [memory_kib, passes, lanes].iter().for_each(|&n| w.varint(n));
    w.raw(&plain[at + 1..]);
    w.finish()
}

#[test]
fn stretching_beyond_the_bounds_is_refused_before_it_is_tried() {
    let made = damage_samples::rich();
    let slot = slot_of(&made, "first");
    let hostile = [
        (1 << 32, 3, 4),
        (u64::MAX, 1, 1),
        ((1 << 20) + 1, 3, 4),
        (8, 3, 4),
        ((16 << 10) - 1, 1, 1),
        (64 << 10, 1 << 32, 4),
        (64 << 10, 65, 4),
        (64 << 10, 0, 4),
        (64 << 10, 3, 1 << 24),
        (64 << 10, 3, 17),
        (64 << 10, 3, 0),
    ];
    for (memory_kib, passes, lanes) in hostile {
        let memory = memory_of(&made.image);
        put(&memory, &slot, &stretched(&slot, memory_kib, passes, lanes), &BOTH);
        // The other slot still opens it, and the damaged one is named.
        let oddities = try_open(&memory, &key_file(SECOND_KEY)).unwrap();
        assert_eq!(oddities.len(), 2, "{memory_kib} {passes} {lanes}: {oddities:?}");
        assert!(oddities.iter().all(|oddity| oddity.contains(&slot.slot.to_string())), "{oddities:?}");
        assert!(matches!(try_open(&memory, &password("x")), Err(Error::WrongKey)));
        // With one sound copy nothing is lost.
        put(&memory, &slot, &slot.encode(), &[".copy"]);
        assert_eq!(try_open(&memory, &key_file(KEY)).unwrap().len(), 1);
    }
}

#[test]
fn a_slot_whose_key_is_right_and_whose_seal_is_broken_counts_as_damaged() {
    let made = damage_samples::rich();
    let slot = slot_of(&made, "first");
    let mut broken = slot.clone();
    broken.sealed[5] ^= 1;
    let memory = memory_of(&made.image);
    put(&memory, &slot, &broken.encode(), &BOTH);
    match try_open(&memory, &key_file(KEY)) {
        Err(Error::Damaged { object, .. }) => assert!(object.contains(&slot.slot.to_string()), "{object}"),
        other => panic!("{other:?}"),
    }
    // Whoever has another key is told that theirs is wrong, or let in.
    assert!(matches!(try_open(&memory, &key_file([1; 32])), Err(Error::WrongKey)));
    assert!(try_open(&memory, &key_file(SECOND_KEY)).is_ok());
    put(&memory, &slot, &slot.encode(), &[""]);
    assert_eq!(try_open(&memory, &key_file(KEY)).unwrap().len(), 1);
}

#[test]
fn every_field_of_a_slot_is_bound_into_its_seal() {
    let made = damage_samples::tiny();
    let slot = slot_of(&made, "first");
    let forged = [
        Slot { created: larder::format::Time { seconds: 1, nanos: 0 }, ..slot.clone() },
        Slot { label: "mine".into(), ..slot.clone() },
        Slot { nonce: [0; 24], ..slot.clone() },
    ];
    for forged in forged {
        let memory = memory_of(&made.image);
        put(&memory, &slot, &forged.encode(), &BOTH);
        assert!(matches!(try_open(&memory, &key_file(KEY)), Err(Error::Damaged { .. })), "{forged:?}");
    }
}

#[test]
fn a_slot_of_another_repository_opens_nothing() {
    let (made, other) = (damage_samples::rich(), damage_samples::rich());
    let (own, theirs) = (slot_of(&made, "first"), slot_of(&other, "first"));
    let memory = memory_of(&made.image);
    for name in names(&made.image, "keys/") {
        larder::storage::Storage::delete(&memory, &name).unwrap();
    }
    // Under its own name and under the name of one that belongs here; the key file is the same in both.
    store_slot(&memory, &theirs).unwrap();
    put(&memory, &own, &theirs.encode(), &BOTH);
    match try_open(&memory, &key_file(KEY)) {
        Err(Error::NoSlot { reason }) => assert!(reason.contains("another repository"), "{reason}"),
        other => panic!("{other:?}"),
    }
}

/// A slot id that comes before almost every random one.
fn low_id(n: u16) -> SlotId {
    let mut id = [0; 16];
    id[14..].copy_from_slice(&n.to_be_bytes());
    SlotId::new(id)
}

#[test]
fn junk_under_lower_ids_hides_no_slot() {
    let (made, other) = (damage_samples::tiny(), damage_samples::tiny());
    let (own, theirs) = (slot_of(&made, "first"), slot_of(&other, "first"));
    let junk: [(&str, Vec<u8>); 4] = [
        ("junk", b"junk".to_vec()),
        ("another repository's", theirs.encode()),
        ("under another name", own.encode()),
        ("too long", vec![0; 5000]),
    ];
    for (what, bytes) in junk {
        let memory = memory_of(&made.image);
        for n in 0..500 {
            let [first, copy] = objects::slot_names(&low_id(n));
            memory.put_raw(&name(first), &bytes);
            memory.put_raw(&name(copy), &bytes);
        }
        // One copy of the real one is damaged: that is said beside the junk.
        put(&memory, &own, b"junk", &[""]);
        let oddities = try_open(&memory, &key_file(KEY)).unwrap();
        assert!(oddities.len() < 80, "{what}: {}", oddities.len());
        assert!(oddities.iter().any(|oddity| oddity.contains(&own.slot.to_string())), "{what}: {oddities:?}");
        assert!(oddities.iter().any(|oddity| oddity.starts_with("936 more copies")), "{what}: {oddities:?}");
    }
}

#[test]
fn the_number_of_slots_is_bounded_and_the_rest_is_said() {
    let made = damage_samples::tiny();
    let own = slot_of(&made, "first");
    // Well-formed slots of this repository that the key does not open.
    let decoy = |n| Slot { slot: low_id(n), salt: [n as u8; 32], ..own.clone() };
    let memory = memory_of(&made.image);
    (0..63).for_each(|n| put(&memory, &decoy(n), &decoy(n).encode(), &BOTH));
    assert_eq!(try_open(&memory, &key_file(KEY)).unwrap(), [] as [String; 0]);
    put(&memory, &decoy(63), &decoy(63).encode(), &BOTH);
    match try_open(&memory, &key_file(KEY)) {
        Err(Error::NoSlot { reason }) => assert_eq!(reason, "64 were tried, and 1 more ignored: there are too many"),
        other => panic!("{other:?}"),
    }
    // Nor is a folder full of junk read to its end.
    let memory = memory_of(&made.image);
    (0..4095).for_each(|n| memory.put_raw(&name(format!("keys/{}", low_id(n))), b""));
    assert!(try_open(&memory, &key_file(KEY)).is_ok());
    (4095..4100).for_each(|n| memory.put_raw(&name(format!("keys/{}", low_id(n))), b""));
    match try_open(&memory, &key_file(KEY)) {
        Err(Error::NoSlot { reason }) => assert!(reason.ends_with("5 more ignored: there are too many"), "{reason}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn without_any_slot_only_the_recovery_key_opens() {
    let made = damage_samples::tiny();
    let (_, root) = open(Arc::new(memory_of(&made.image)), &key_file(KEY), None).unwrap();
    let memory = memory_of(&made.image);
    for name in names(&made.image, "keys/") {
        larder::storage::Storage::delete(&memory, &name).unwrap();
    }
    for credential in [key_file(KEY), password("x")] {
        assert!(matches!(try_open(&memory, &credential), Err(Error::NoSlot { .. })));
    }
    let text = recovery_text(&root);
    assert!(try_open(&memory, &Credential::Recovery(parse_recovery(&text).unwrap())).is_ok());
    let foreign = RootKey::new(Secret::new([3; 32]));
    assert!(matches!(try_open(&memory, &Credential::Recovery(foreign)), Err(Error::WrongKey)));
}

#[test]
fn a_mistyped_recovery_key_is_none() {
    let text = recovery_text(&RootKey::new(Secret::new([0x5a; 32])));
    assert!(parse_recovery(&text).is_some());
    assert!(parse_recovery(&format!("  {}\n", *text)).is_some());
    for at in 0..text.len() {
        let mut typed = text.as_bytes().to_vec();
        typed[at] = if typed[at] == b'7' { b'8' } else { b'7' };
        assert!(parse_recovery(str::from_utf8(&typed).unwrap()).is_none(), "digit {at}");
        assert!(parse_recovery(&text[..at]).is_none(), "cut at {at}");
    }
    for at in "larder-recovery-1-".len()..text.len() - 1 {
        let mut typed = text.as_bytes().to_vec();
        typed.swap(at, at + 1);
        let same = typed == text.as_bytes() || typed[at] == b'-' || typed[at + 1] == b'-';
        assert!(same || parse_recovery(str::from_utf8(&typed).unwrap()).is_none(), "swapped at {at}");
    }
    assert!(parse_recovery("").is_none() && parse_recovery("larder-recovery-1-é").is_none());
}

#[test]
fn every_password_is_its_own() {
    let long = "long".repeat(256 << 10);
    let passwords = ["secret", "", " ", "secret\0", "secret\0more", "Secret", "e\u{301}", "\u{e9}", &long];
    for (at, right) in passwords.into_iter().enumerate() {
        let memory = Memory::new();
        let new = NewRepository {
            time_zone: "UTC".into(),
            week_start: WeekStart::Monday,
            sizes: SIZES,
            credential: &password(right),
            stretch: CHEAP,
            now: NOW,
        };
        create(&memory, &new).unwrap();
        assert!(try_open(&memory, &password(right)).is_ok(), "password {at}");
        let wrong = passwords[(at + 1) % passwords.len()];
        assert!(matches!(try_open(&memory, &password(wrong)), Err(Error::WrongKey)), "password {at}");
        assert!(matches!(try_open(&memory, &key_file(KEY)), Err(Error::WrongKey)));
    }
    let memory = memory_of(&damage_samples::tiny().image);
    assert!(matches!(try_open(&memory, &password("")), Err(Error::WrongKey)));
}
