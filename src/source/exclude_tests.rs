use super::{Exclude, Form};
use crate::source::Error;

fn excluded(pattern: &str, path: &str) -> bool {
    let (path, form) = match path.strip_suffix('/') {
        Some(path) => (path, Form::Folder),
        None => (path, Form::Other),
    };
    Exclude::new(&[pattern.to_owned()]).unwrap().matches(path.as_bytes(), form)
}

#[test]
fn patterns_match_what_their_shape_says() {
    let table = [
        ("*.tmp", "a/b/c.tmp", true),
        ("*.tmp", ".tmp", true),
        ("*.tmp", "a.tmp.txt", false),
        ("cache", "home/cache/", true),
        ("cache", "cache", true),
        ("cache", "home/cached", false),
        ("/cache", "cache/", true),
        ("/cache", "home/cache/", false),
        ("/home/*/cache", "home/ann/cache/", true),
        ("/home/*/cache", "home/ann/x/cache/", false),
        ("/home/**/cache", "home/ann/x/cache/", true),
        ("node/mod*", "a/node/modules/", true),
        ("node/mod*", "node/modules/", true),
        ("node/mod*", "a/xnode/modules/", false),
        ("a/**", "x/a/b", true),
        ("a/**", "x/a/", false),
        ("logs/", "x/logs/", true),
        ("logs/", "x/logs", false),
        ("/x/logs/", "x/logs/", true),
        ("[ab]?.{o,d}", "q/b1.o", true),
        ("\\!keep", "!keep", true),
    ];
    for (pattern, path, expected) in table {
        assert_eq!(excluded(pattern, path), expected, "{pattern} on {path}");
    }
}

#[test]
fn names_that_are_no_text_can_be_matched() {
    let exclude = Exclude::new(&["caf?".to_owned(), "*.bin".to_owned()]).unwrap();
    assert!(exclude.matches(b"x/\xff\xfe.bin", Form::Other));
    assert!(!exclude.matches(b"x/\xff\xfe.txt", Form::Other));
}

#[test]
fn patterns_that_mean_nothing_are_refused() {
    for pattern in ["", "/", "a//b", "./a", "a/../b", "!a", "[a"] {
        let refused = Exclude::new(&[pattern.to_owned()]);
        assert!(matches!(refused, Err(Error::Pattern { .. })), "{pattern}");
    }
}
