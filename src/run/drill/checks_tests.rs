use super::*;

#[test]
fn an_answer_is_a_text_or_a_number_within_bounds() {
    let number = |min, max| Wanted::Number { min, max };
    for (answer, wanted) in [
        ("3", Wanted::Text("3".into())),
        ("3\n", Wanted::Text("3".into())),
        ("a|b\nc|d", Wanted::Text("a|b\nc|d".into())),
        ("5", number(Some(5), Some(5))),
        ("2.5", number(Some(2), None)),
    ] {
        assert_eq!(answers(answer, &wanted), Ok(()), "{answer}");
    }
    for (answer, wanted, said) in [
        ("4", Wanted::Text("3".into()), "answers \"4\", not \"3\""),
        ("", number(Some(1), None), "answers \"\", which is no number"),
        ("NaN", number(Some(1), None), "answers \"NaN\", which is no number"),
        ("0", number(Some(1), None), "answers 0, less than 1"),
        ("9", number(None, Some(8)), "answers 9, more than 8"),
    ] {
        assert_eq!(answers(answer, &wanted), Err(said.to_owned()));
    }
}
