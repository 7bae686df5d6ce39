use proptest::prelude::{any, prop, proptest};

use super::{Flaw, decode, encode};
use crate::dump::Entries;
use crate::dump::tests::{MARIADB_DUMP, PG_DUMP, scan};

fn list() -> (Entries, String) {
    let entries = scan(PG_DUMP.as_bytes()).unwrap();
    let list = String::from_utf8(encode(&entries).unwrap()).unwrap();
    (entries, list)
}

#[test]
fn a_list_is_read_as_it_was_written() {
    for dump in [PG_DUMP, MARIADB_DUMP] {
        let entries = scan(dump.as_bytes()).unwrap();
        let list = encode(&entries).unwrap();
        assert_eq!(decode(list.as_slice(), dump.len() as u64).unwrap(), entries);
    }
    let (entries, list) = list();
    assert_eq!(list.lines().count(), entries.entries.len() + 1);
    assert!(list.starts_with("{\"larder_entries\":1,\"dump\":\"postgres\",\"bytes\":"), "{list}");
}

#[test]
fn a_list_that_does_not_fit_is_refused() {
    let (entries, list) = list();
    let refused = |list: &str, bytes: u64, why: &str| {
        let error = decode(list.as_bytes(), bytes).unwrap_err();
        assert!(error.to_string().contains(why), "{error}");
    };
    let bytes = entries.bytes;
    refused(&list, bytes + 1, "another length");
    refused(&list.replacen("_entries\":1", "_entries\":2", 1), bytes, "another version");
    refused(&list.replacen("postgres", "oracle", 1), bytes, "another kind");
    refused(&(list.clone() + "{}\n"), bytes, "more entries");
    refused(&list[..list.len() - 30], bytes, "no list of entries");
    refused(&list[..list[..list.len() - 1].rfind('\n').unwrap() + 1], bytes, "no list of entries");
    refused("", bytes, "no list of entries");
    let first = |range: &str| {
        let at = list.find("\"ranges\":[[").unwrap() + 10;
        let end = at + list[at..].find("],").unwrap() + 1;
        list[..at].to_owned() + range + &list[end..]
    };
    for range in ["[5,5]", "[9,5]", "[0,99999999]", "[0,18446744073709551615]"] {
        refused(&first(range), bytes, "ranges");
    }
    refused(&first("[0,-1]"), bytes, "no list of entries");
    assert!(matches!(decode(&b"\xff"[..], 0), Err(Flaw::Form(_))));
}

proptest! {
    #[test]
    fn no_list_panics(at in 0usize..2000, with in prop::collection::vec(any::<u8>(), 0..10)) {
        let (entries, list) = list();
        let mut bytes = list.into_bytes();
        let at = at.min(bytes.len());
        let end = (at + with.len()).min(bytes.len());
        bytes.splice(at..end, with);
        let _ = decode(bytes.as_slice(), entries.bytes);
    }
}
