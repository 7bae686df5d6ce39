use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::format::listing::check_path;

fn text(key: &str) -> String {
    String::from_utf8(path_of(key)).unwrap()
}

#[test]
fn most_keys_are_their_own_paths() {
    for key in ["a", "a/b.txt", "with space/and+plus", "ünï/cödé", "100%", "a\\b", "...", "~", "a\nb"] {
        assert_eq!(text(key), key);
    }
}

#[test]
fn what_is_no_path_is_written_so_that_it_is_one() {
    let cases = [
        ("/a", "^/a"),
        ("a/", "a/^"),
        ("/", "^/^"),
        ("a//b", "a/^/b"),
        ("2^8", "2^5E8"),
        ("^", "^5E"),
        ("a\0b", "a^00b"),
        ("a^=", "a^5E="),
        ("a^+/b", "a^5E+/b"),
    ];
    for (key, path) in cases {
        assert_eq!((text(key).as_str(), key_of(path.as_bytes()).as_deref()), (path, Some(key)));
    }
    let long = "x".repeat(600);
    let pieces = [&"x".repeat(253), "^+/", &"x".repeat(253), "^+/", &"x".repeat(94)].concat();
    assert_eq!(text(&long), pieces);
    assert_eq!(key_of(pieces.as_bytes()), Some(long));
}

#[test]
fn what_no_key_gives_is_no_path_of_one() {
    for path in ["a^", "a^0", "a^zz", "^^", "a^+", "^FF"] {
        assert_eq!(key_of(path.as_bytes()), None, "{path}");
    }
}

/// Keys made of what is hard to write, and anything else.
fn keys() -> impl Strategy<Value = String> {
    let parts = prop_oneof![
        Just("/".to_owned()),
        Just("^".to_owned()),
        Just("^=".to_owned()),
        Just("^+".to_owned()),
        Just("\0".to_owned()),
        Just("5E".to_owned()),
        "[a-c]{0,3}",
        "\\PC{0,4}",
        (200usize..300).prop_map(|n| "é".repeat(n)),
    ];
    prop::collection::vec(parts, 1..8).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn every_path_is_one_and_leads_back_to_its_key(keys in prop::collection::vec(keys(), 1..20)) {
        let mut seen = BTreeMap::new();
        for key in keys.iter().filter(|key| crate::s3::check(key).is_ok()) {
            let path = path_of(key);
            let beside = beside_folder(&path);
            for path in [&path, &beside] {
                prop_assert!(check_path(path).is_ok(), "{:?}", key);
                let back = key_of(path);
                prop_assert_eq!(back.as_deref(), Some(key.as_str()));
                prop_assert_eq!(seen.insert(path.clone(), key.clone()).is_none_or(|known| known == *key), true);
            }
            prop_assert_eq!(without_mark(&beside), &path[..]);
            prop_assert_eq!(without_mark(&path), &path[..]);
        }
    }
}
