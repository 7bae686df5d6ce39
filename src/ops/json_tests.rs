use super::*;

fn length(parts: &[&str]) -> Result<usize, String> {
    let mut passing = Passing::<List>::new().unwrap();
    parts.iter().for_each(|part| passing.write_all(part.as_bytes()).unwrap());
    passing.seen().map(|list| list.len())
}

#[test]
fn things_are_counted_however_they_come() {
    assert_eq!(length(&["[{\"id\"", ": 1}, {}]\n"]), Ok(2));
    assert_eq!(length(&["[", "]"]), Ok(0));
}

#[test]
fn what_is_no_list_or_not_whole_or_goes_on_is_told_and_holds_nobody_up() {
    let long = "x".repeat(1 << 20);
    for parts in [["[{}", ""], ["{}", ""], ["", ""], ["[]", "[]"], ["<html>", &long]] {
        assert!(length(&parts).is_err(), "{}", parts[0]);
    }
}

#[test]
fn json_is_one_document() {
    let seen = |text: &str| {
        let mut passing = Passing::<IgnoredAny>::new().unwrap();
        passing.write_all(text.as_bytes()).unwrap();
        passing.seen().map(drop)
    };
    seen("[{\"a\": 1.5e3, \"b\": null}]\n").unwrap();
    let long = format!("[{}1]", "\"text\",".repeat(200_000));
    seen(&long).unwrap();
    for text in ["", "[1, 2", "{} {}", &format!("}}{long}"), &long[..long.len() - 1]] {
        assert!(seen(text).is_err(), "{}", &text[..text.len().min(20)]);
    }
}
