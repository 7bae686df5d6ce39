use super::*;

/// What the `Cipher` of n8n 1.123 (n8n-core 1.122.48) made of `{"user":"u","password":"t0ken of the shop"}`.
const KEY: &str = "Zt3kq+key of n8n/==";
const SEALED: &str = "U2FsdGVkX1/pyp7eBhD87cQmkkJtAz14OuvCooqgo/aKeFios5nHnTUOTZ0xpZB7xCZuAz1ncs25XPJ89Hk9Cw==";

#[test]
fn what_n8n_encrypted_is_opened_by_its_key_alone() {
    assert_eq!(opening(SEALED, KEY), Opening::Opens);
    for wrong in ["", "Zt3kq+key of n8n/=", "zt3kq+key of n8n/=="] {
        assert_eq!(opening(SEALED, wrong), Opening::Fails, "{wrong}");
    }
    // A key of letters that have more than one byte.
    let other = "U2FsdGVkX185ZhSC2InvZDF1ruz631Ta36TPBGYB8/o=";
    assert_eq!((opening(other, "ключ zwölf"), opening(other, "zwölf")), (Opening::Opens, Opening::Fails));
}

#[test]
fn what_opens_to_nothing_of_n8ns_fails() {
    // `no json`, nothing at all, and the first one without its last block, its last byte, and all but its beginning.
    for (sealed, key) in [
        ("U2FsdGVkX188syhxaLEAMvnCjANUUaeMTdrZFbbzqvI=", "k"),
        ("U2FsdGVkX18f6hvj3HgJ9sE4zhb9shhGy394Idnjlc4=", "k"),
        ("U2FsdGVkX1/pyp7eBhD87cQmkkJtAz14OuvCooqgo/aKeFios5nHnTUOTZ0xpZB7", KEY),
        ("U2FsdGVkX1/pyp7eBhD87cQmkkJtAz14OuvCooqgo/aKeFios5nHnTUOTZ0xpZB7xCZuAz1ncs25XPJ89Hk9", KEY),
        ("U2FsdGVkX18=", KEY),
    ] {
        assert_eq!(opening(sealed, key), Opening::Fails, "{sealed}");
    }
}

#[test]
fn what_is_encrypted_in_other_ways_is_told_apart() {
    assert_eq!(opening("nKq_3-x:AAEC", KEY), Opening::OfDatabase);
    for other in ["x", "", "{\"a\": 1}", "AAEC", "in the clear: 1", &format!("{}:AAEC", "k".repeat(37))] {
        assert_eq!(opening(other, KEY), Opening::Unknown, "{other}");
    }
}
