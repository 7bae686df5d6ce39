use super::*;

fn name(number: u64) -> ChunkId {
    ChunkId::new(*blake3::hash(&number.to_le_bytes()).as_bytes())
}

#[test]
fn a_number_is_new_once_until_it_is_taken_out() {
    let mut set = BitSet::default();
    assert!(set.insert(1000) && !set.insert(1000) && set.has(1000));
    assert!(!set.has(999) && !set.has(1_000_000));
    set.remove(1000);
    set.remove(1_000_000);
    assert!(!set.has(1000) && set.insert(1000));
}

#[test]
fn prefixes_never_deny_what_was_put_in_and_rarely_claim_what_was_not() {
    let mut set = Prefixes::with_room(10_000);
    for number in 0..10_000 {
        set.insert(&name(number));
    }
    assert!((0..10_000).all(|number| set.may_have(&name(number))));
    let wrong = (10_000..20_000).filter(|&number| set.may_have(&name(number))).count();
    assert!(wrong < 200, "{wrong} of 10,000");
}

#[test]
fn a_set_is_within_another_that_has_all_it_has() {
    let set = |numbers: &[u64]| {
        let mut set = BitSet::default();
        for number in numbers {
            set.insert(*number);
        }
        set
    };
    for (inner, outer, within) in [
        (&[][..], &[][..], true),
        (&[3], &[3, 200], true),
        (&[3, 200], &[3], false),
        (&[200], &[3], false),
        (&[], &[3], true),
        (&[64], &[65], false),
    ] {
        assert_eq!(set(inner).is_within(&set(outer)), within, "{inner:?} in {outer:?}");
    }
}
