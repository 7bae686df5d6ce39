use super::*;
use crate::index::store::prefix;
use crate::index::synthetic::chunk;

#[test]
fn what_was_put_in_is_always_found_and_little_else() {
    let mut filter = Filter::with_room(40_000);
    assert!(!filter.may_contain(prefix(&chunk(1))));
    (0..40_000).for_each(|c| filter.insert(prefix(&chunk(c))));
    assert!(!filter.is_full());
    assert!((0..40_000).all(|c| filter.may_contain(prefix(&chunk(c)))));
    let maybe = (40_000..140_000).filter(|&c| filter.may_contain(prefix(&chunk(c)))).count();
    assert!(maybe < 500, "{maybe} of 100,000");
}

#[test]
fn a_filter_says_when_it_is_full() {
    let mut filter = Filter::with_room(0);
    (0..37_449).for_each(|c| filter.insert(prefix(&chunk(c))));
    assert!(!filter.is_full());
    filter.insert(0);
    filter.insert(1);
    assert!(filter.is_full());
}

#[test]
fn the_size_is_believed_only_with_its_checksum() {
    let good = encode_meta(3, 1000);
    assert_eq!(decode_meta(&good), Some((3, 1000)));
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 1;
        assert_eq!(decode_meta(&bad), None);
    }
    assert_eq!(decode_meta(&encode_meta(0, 0)), None);
    assert_eq!(decode_meta(&encode_meta(SLICES_MAX + 1, 0)), None);
}
