use super::*;

#[test]
fn a_key_is_found_alone_and_in_settings_and_never_said() {
    let key = |text: &str| key_in(text.as_bytes()).map(|key| key.to_string());
    assert_eq!(key("abc\n"), Ok("abc".to_owned()));
    assert_eq!(key("{\n\t\"encryptionKey\": \"a\\\"b\", \"x\": 1\n}"), Ok("a\"b".to_owned()));
    assert_eq!(key(" \n"), Err("it is empty".to_owned()));
    let wrong = key("{\"encryptionKex\": \"s3cret\"}").unwrap_err();
    assert!(wrong.contains("no encryptionKey") && !wrong.contains("s3cret"), "{wrong}");
}
