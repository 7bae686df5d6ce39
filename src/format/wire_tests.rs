use proptest::prelude::*;

use super::*;

fn written(write: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let mut w = Writer::new();
    write(&mut w);
    w.finish()
}

/// Reads a field and nothing else.
fn only<'a, T>(bytes: &'a [u8], take: impl FnOnce(&mut Reader<'a>) -> Result<T, Reject>) -> Result<T, Reject> {
    let mut r = Reader::new(bytes);
    let value = take(&mut r)?;
    r.end()?;
    Ok(value)
}

#[test]
fn a_varint_takes_a_byte_for_every_seven_bits() {
    for (value, len) in [(0, 1), (127, 1), (128, 2), ((1 << 14) - 1, 2), (1 << 14, 3), (u64::MAX, 10)] {
        assert_eq!(written(|w| w.varint(value)).len(), len, "{value}");
    }
}

#[test]
fn a_length_is_compared_with_its_limit_before_the_bytes_are_looked_at() {
    let bytes = written(|w| w.varint(u64::MAX));
    let refused = only(&bytes, |r| r.bytes("length", 10));
    assert_eq!(refused, Err(Reject::TooLarge { field: "length", value: u64::MAX, limit: 10 }));
    assert_eq!(only(&[10], |r| r.bytes("length", 10)), Err(Reject::Truncated));
}

#[test]
fn a_count_of_more_things_than_bytes_is_refused() {
    assert_eq!(only(&[3, 0, 0], |r| r.count("things", 10)), Err(Reject::Truncated));
    assert_eq!(Reader::new(&[2, 0, 0]).count("things", 10), Ok(2));
}

#[test]
fn text_is_utf_8() {
    assert_eq!(only(&[2, 0xc3, 0xa4], |r| r.text("length", 9)), Ok("ä".into()));
    assert_eq!(only(&[1, 0xc3], |r| r.text("length", 9)), Err(Reject::Broken("text is not UTF-8")));
}

proptest! {
    #[test]
    fn numbers_come_back(unsigned: u64, signed: i64, four: u32) {
        prop_assert_eq!(only(&written(|w| w.varint(unsigned)), Reader::varint), Ok(unsigned));
        prop_assert_eq!(only(&written(|w| w.u64(unsigned)), Reader::u64), Ok(unsigned));
        prop_assert_eq!(only(&written(|w| w.u32(four)), Reader::u32), Ok(four));
        prop_assert_eq!(only(&written(|w| w.signed(signed)), Reader::signed), Ok(signed));
    }

    #[test]
    fn times_and_bytes_come_back(seconds: i64, nanos in 0..1_000_000_000u32, bytes: Vec<u8>) {
        let time = Time { seconds, nanos };
        prop_assert_eq!(only(&written(|w| w.time(time)), Reader::time), Ok(time));
        let with_length = written(|w| w.bytes(&bytes));
        prop_assert_eq!(only(&with_length, |r| r.bytes("length", 1000)), Ok(bytes.as_slice()));
    }

    #[test]
    fn no_number_has_two_forms(bytes in prop::collection::vec(any::<u8>(), 0..12)) {
        if let Ok(value) = only(&bytes, Reader::varint) {
            prop_assert_eq!(written(|w| w.varint(value)), bytes);
        }
    }

    #[test]
    fn a_truncated_number_is_refused(value in 128u64..) {
        let bytes = written(|w| w.varint(value));
        for len in 0..bytes.len() {
            prop_assert_eq!(only(&bytes[..len], Reader::varint), Err(Reject::Truncated));
        }
    }
}
