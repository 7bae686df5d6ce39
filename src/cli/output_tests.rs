use super::*;

#[test]
fn numbers_are_grouped() {
    assert_eq!([0, 12, 123, 1234, 1_234_567].map(count), ["0", "12", "123", "1,234", "1,234,567"]);
    assert_eq!([0, 1, 2].map(|n| plural(n, "entry")), ["0 entries", "1 entry", "2 entries"]);
}

#[test]
fn names_that_are_not_text_are_escaped_and_nothing_is_hidden() {
    assert_eq!(escaped(b"plain \xc3\xa9"), "plain é");
    assert_eq!(escaped(b"a\xffb\nc\\d"), "a\\xffb\\nc\\\\d");
    assert_eq!(escaped("turn\u{202e}ed".as_bytes()), "turn\\u{202e}ed");
    assert_eq!(escaped(b"\x1b[31m"), "\\u{1b}[31m");
}

#[test]
fn a_path_has_its_bytes_beside_it_in_json_only_when_it_is_not_text() {
    let json = |path: &[u8]| serde_json::to_string(&JsonPath::from(path)).unwrap();
    assert_eq!(json(b"a\\b"), r#"{"path":"a\\b"}"#);
    assert_eq!(json(b"a\xff"), r#"{"path":"a\\xff","path_hex":"61ff"}"#);
}

#[test]
fn durations_are_short() {
    assert_eq!([0.04, 59.0, 61.0, 3723.0].map(elapsed), ["0.0 s", "59.0 s", "1:01", "1:02:03"]);
}

#[test]
fn times_for_programs_are_rfc_3339() {
    assert_eq!(rfc3339(Time { seconds: 0, nanos: 500_000_000 }), "1970-01-01T00:00:00.5Z");
    assert_eq!(rfc3339(Time { seconds: i64::MAX, nanos: 0 }), rfc3339(Time { seconds: i64::MAX, nanos: 1 }));
}

#[test]
fn columns_of_a_table_are_aligned() {
    let mut table = Table::new(&[("name", Align::Left), ("size", Align::Right)]);
    table.row(vec!["a".into(), "1".into()]);
    table.row(vec!["longer".into(), "12345".into()]);
    assert_eq!(table.lines().collect::<Vec<_>>(), ["name     size", "a           1", "longer  12345"]);
}

#[test]
fn an_age_is_told_in_one_unit() {
    for (seconds, text) in [
        (-5, "0min"),
        (0, "0min"),
        (3599, "59min"),
        (3600, "1h"),
        (47 * 3600 + 3599, "47h"),
        (48 * 3600, "2d"),
        (400 * 86_400, "400d"),
    ] {
        assert_eq!(age(seconds), text);
    }
}
