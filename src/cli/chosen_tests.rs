use super::*;

#[test]
fn what_is_shown_escaped_is_understood() {
    for name in [&b"odd\xff\nname"[..], b"\\", b"a\\\\b", b"\\n", b"\t\r\x07\x1b[m", b"\xe2\x80\xae\\x", b"\xff\xfe\\"]
    {
        assert_eq!(unescaped(&escaped(name)).as_deref(), Some(name), "{}", escaped(name));
    }
    for text in [
        "",
        "plain",
        "\u{e4}",
        "\\",
        "a\\",
        "\\q",
        "\\x",
        "\\xf",
        "\\xzz",
        "\\x\u{e4}",
        "\\u",
        "\\u{",
        "\\u{110000}",
        "\\u{}",
    ] {
        assert_eq!(unescaped(text), None, "{text}");
    }
}
