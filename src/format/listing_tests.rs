use super::*;

#[test]
fn a_folder_comes_directly_before_what_is_in_it() {
    let sorted: [&[u8]; 9] = [b"", b"a", b"a/b", b"a/b/c", b"a/c", b"a\x01", b"a-", b"a.b", b"ab"];
    for pair in sorted.windows(2) {
        assert_eq!(compare_paths(pair[0], pair[1]), Ordering::Less, "{pair:?}");
    }
}

#[test]
fn paths_that_lead_elsewhere_are_refused() {
    for path in ["/a", "a/", "a//b", ".", "..", "a/..", "../a", "a/./b", "a\0"] {
        assert!(check_path(path.as_bytes()).is_err(), "{path:?}");
    }
    let longest = vec![vec![b'x'; NAME_BYTES_MAX]; 256].join(&b'/');
    assert_eq!(longest.len() as u64, PATH_BYTES_MAX - 1);
    assert_eq!(check_path(&longest), Ok(()));
    assert!(check_path(&[longest.as_slice(), b"yy"].concat()).is_err());
    assert!(check_path(&vec![b"d".to_vec(); DEPTH_MAX].join(&b'/')).is_ok());
    assert!(check_path(&vec![b"d".to_vec(); DEPTH_MAX + 1].join(&b'/')).is_err());
}
