use super::*;

/// What redis-cli 7.0.15 got of a server with two keys in two databases.
const DUMP: &str = "\
    524544495330303130fa0972656469732d76657206372e302e3135fa0a72656469732d62697473c040fa056374696d65c2be\
    c6076bfa08757365642d6d656dc2b84c0f00fa0e7265706c2d73747265616d2d6462c000fa077265706c2d69642837313364\
    356235653564346135313336306263633532373432356163663761333161326161633663fa0b7265706c2d6f6666736574c0\
    00fa08616f662d62617365c000fe00fb0100000161c001fe03fb0100000162c002ff65df98b8a6d73a88";

fn dump() -> Vec<u8> {
    hex::decode(DUMP).unwrap()
}

fn flaw(bytes: &[u8], piece: usize) -> Option<&'static str> {
    let mut rdb = Rdb::new();
    for piece in bytes.chunks(piece) {
        rdb.write_all(piece).unwrap();
    }
    rdb.flaw()
}

#[test]
fn a_real_dump_is_whole_however_it_comes() {
    for piece in [1, 2, 7, 8, 9, 100, 1000] {
        assert_eq!(flaw(&dump(), piece), None, "{piece}");
    }
    // Of a server that makes no checksums.
    let mut without = dump();
    let end = without.len() - SUM_BYTES;
    without[end..].fill(0);
    assert_eq!(flaw(&without, 10), None);
}

#[test]
fn whatever_is_missing_changed_or_too_much_is_a_flaw() {
    let dump = dump();
    for length in 0..dump.len() {
        assert!(flaw(&dump[..length], 50).is_some(), "{length}");
    }
    for at in 0..dump.len() {
        let mut changed = dump.clone();
        changed[at] ^= 1;
        assert!(flaw(&changed, 50).is_some(), "{at}");
    }
    assert!(flaw(&[&dump[..], b"733d99af8b8438c776eeb4075774912551dd27b3"].concat(), 50).is_some());
    assert_eq!(flaw(b"-- MariaDB dump", 50), Some("is no dump of Redis"));
}
