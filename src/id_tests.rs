use super::*;

#[test]
fn a_name_survives_its_text_form() {
    let id = SlotId::new([0xab; 16]);
    assert_eq!(id.to_string().parse::<SlotId>(), Ok(id));
    assert_eq!(id.short(), "abababab");
}

#[test]
fn text_that_is_not_a_whole_lower_case_name_is_refused() {
    for bad in ["", "ab", "AB".repeat(16).as_str(), "zz".repeat(16).as_str(), "ab".repeat(17).as_str()] {
        assert_eq!(bad.parse::<SlotId>(), Err(ParseError { expected: 32 }), "{bad:?}");
    }
}
