//! The cases of the contract. Each gets an empty storage.

use std::sync::{Arc, Barrier};
use std::thread;

use larder::storage::{ErrorKind, NAME_BYTES_MAX, ObjectName, Storage};

type Subject = Arc<dyn Storage>;

pub fn name(text: &str) -> ObjectName {
    ObjectName::new(text).unwrap()
}

fn put(storage: &Subject, text: &str, bytes: &[u8]) {
    storage.put_new(&name(text), &[bytes]).unwrap();
}

fn whole(storage: &Subject, text: &str) -> Vec<u8> {
    storage.get_whole(&name(text), 1 << 30).unwrap()
}

/// What a listing shows, sorted, as `name bytes`.
pub fn listed(storage: &dyn Storage, prefix: &str) -> Vec<String> {
    let mut found = Vec::new();
    storage.list(prefix, &mut |info| found.push(format!("{} {}", info.name, info.bytes))).unwrap();
    found.sort();
    found
}

pub fn what_is_put_is_read_back(storage: &Subject) {
    let longest = format!("packs/{}", "a".repeat(NAME_BYTES_MAX - 6));
    for (text, bytes) in [("config", "1"), ("log/0000000000000001", "22"), ("packs/ab/cd-e.f", "333"), (&longest, "4")]
    {
        put(storage, text, bytes.as_bytes());
        assert_eq!(whole(storage, text), bytes.as_bytes(), "{text}");
    }
}

pub fn parts_are_written_one_after_the_other(storage: &Subject) {
    storage.put_new(&name("a"), &[b"one", b"", b" two", b" three"]).unwrap();
    assert_eq!(whole(storage, "a"), b"one two three");
}

pub fn a_range_is_read_exactly(storage: &Subject) {
    put(storage, "a", b"0123456789");
    for (range, bytes) in [(0..10, "0123456789"), (3..6, "345"), (9..10, "9"), (4..4, ""), (10..10, "")] {
        assert_eq!(storage.get(&name("a"), range.clone()).unwrap(), bytes.as_bytes(), "{range:?}");
    }
}

pub fn a_range_replaces_what_the_buffer_held(storage: &Subject) {
    put(storage, "a", b"0123456789");
    let mut buffer = b"something else, and longer than that".to_vec();
    for (range, bytes) in [(0..10, "0123456789"), (3..6, "345"), (4..4, ""), (1..9, "12345678")] {
        storage.get_into(&name("a"), range.clone(), &mut buffer).unwrap();
        assert_eq!(buffer, bytes.as_bytes(), "{range:?}");
    }
    let error = storage.get_into(&name("a"), 5..11, &mut buffer).unwrap_err();
    assert_eq!((error.kind, error.call, error.object.as_str()), (ErrorKind::TooShort, "read", "a"));
}

pub fn a_range_beyond_the_end_is_too_short(storage: &Subject) {
    put(storage, "a", b"0123456789");
    for range in [0..11, 9..12, 10..11, 11..11, 20..30, 0..u64::MAX, u64::MAX - 1..u64::MAX] {
        let error = storage.get(&name("a"), range.clone()).unwrap_err();
        assert_eq!((error.kind, error.call, error.object.as_str()), (ErrorKind::TooShort, "read", "a"), "{range:?}");
    }
}

pub fn a_range_that_ends_before_it_begins_is_an_error(storage: &Subject) {
    put(storage, "a", b"0123456789");
    // Held in variables, since a literal is a mistake the compiler sees.
    let (start, end) = (6, 3);
    assert_eq!(storage.get(&name("a"), start..end).unwrap_err().kind, ErrorKind::Other);
}

pub fn an_object_longer_than_the_limit_is_not_read(storage: &Subject) {
    put(storage, "a", b"0123456789");
    assert_eq!(storage.get_whole(&name("a"), 10).unwrap(), b"0123456789");
    assert_eq!(storage.get_whole(&name("a"), 9).unwrap_err().kind, ErrorKind::TooLong);
}

pub fn what_was_never_put_is_not_found(storage: &Subject) {
    put(storage, "packs/aa/1", b"");
    for text in ["b", "packs/aa/2", "packs/bb/1", "log/1"] {
        assert_eq!(storage.get(&name(text), 0..0).unwrap_err().kind, ErrorKind::NotFound, "{text}");
        let error = storage.get_whole(&name(text), 9).unwrap_err();
        assert_eq!((error.kind, error.call, error.object.as_str()), (ErrorKind::NotFound, "read", text));
    }
}

pub fn an_object_is_never_replaced(storage: &Subject) {
    put(storage, "log/1", b"old");
    let error = storage.put_new(&name("log/1"), &[b"newer"]).unwrap_err();
    assert_eq!((error.kind, error.call, error.object.as_str()), (ErrorKind::AlreadyExists, "write", "log/1"));
    assert_eq!(whole(storage, "log/1"), b"old");
    assert_eq!(listed(storage.as_ref(), ""), ["log/1 3"]);
}

pub fn an_empty_object_is_an_object(storage: &Subject) {
    storage.put_new(&name("a"), &[]).unwrap();
    storage.put_new(&name("b"), &[b""]).unwrap();
    assert_eq!(whole(storage, "a"), b"");
    assert_eq!(listed(storage.as_ref(), ""), ["a 0", "b 0"]);
    assert_eq!(storage.put_new(&name("a"), &[]).unwrap_err().kind, ErrorKind::AlreadyExists);
}

pub fn a_large_object_in_large_parts_is_read_back(storage: &Subject) {
    let part = |seed: u32| (0..5_000_000u32).map(|i| (i.wrapping_mul(seed) >> 13) as u8).collect::<Vec<u8>>();
    let (first, second) = (part(2_654_435_761), part(40_503));
    storage.put_new(&name("packs/ab/1"), &[&first, &second]).unwrap();
    assert!(whole(storage, "packs/ab/1") == [&first[..], &second[..]].concat());
    let middle = storage.get(&name("packs/ab/1"), 4_999_000..5_001_000).unwrap();
    assert!(middle == [&first[4_999_000..], &second[..1000]].concat());
}

pub fn of_eight_writers_of_one_name_exactly_one_wins(storage: &Subject) {
    for round in 0..20 {
        let slot = name(&format!("log/{round}"));
        let start = Barrier::new(8);
        let write = |writer: u8| {
            start.wait();
            let won = storage.put_new(&slot, &[&[writer; 1000]]);
            won.map(|()| writer).map_err(|error| error.kind)
        };
        let results: Vec<Result<u8, ErrorKind>> = thread::scope(|scope| {
            let writers: Vec<_> = (0..8).map(|writer| scope.spawn(move || write(writer))).collect();
            writers.into_iter().map(|writer| writer.join().unwrap()).collect()
        });
        let winners: Vec<u8> = results.iter().filter_map(|result| result.ok()).collect();
        let lost = results.iter().filter(|result| **result == Err(ErrorKind::AlreadyExists)).count();
        assert_eq!((winners.len(), lost), (1, 7), "{results:?}");
        assert_eq!(storage.get_whole(&slot, 1000).unwrap(), [winners[0]; 1000]);
    }
}

pub fn writers_of_many_names_do_not_disturb_each_other(storage: &Subject) {
    thread::scope(|scope| {
        for writer in 0..8 {
            scope.spawn(move || {
                for i in 0..20 {
                    put(storage, &format!("packs/{:02x}/{writer}", i % 5), &[writer; 10][..i as usize % 10]);
                    storage.delete(&name(&format!("packs/{:02x}/{writer}", i % 5))).unwrap();
                    storage.barrier().unwrap();
                }
                put(storage, &format!("packs/00/{writer}"), &[writer]);
            });
        }
    });
    assert_eq!(listed(storage.as_ref(), ""), (0..8).map(|i| format!("packs/00/{i} 1")).collect::<Vec<_>>());
}

fn fill(storage: &Subject) {
    for (i, text) in
        ["config", "log/1", "log/2", "packs/aa/1", "packs/aa/2", "packs/ab/1", "packs/b"].iter().enumerate()
    {
        put(storage, text, &b"0123456789"[..i]);
    }
}

pub fn a_listing_has_every_object_with_its_size(storage: &Subject) {
    assert!(listed(storage.as_ref(), "").is_empty());
    fill(storage);
    let all = ["config 0", "log/1 1", "log/2 2", "packs/aa/1 3", "packs/aa/2 4", "packs/ab/1 5", "packs/b 6"];
    assert_eq!(listed(storage.as_ref(), ""), all);
}

pub fn a_listing_has_only_what_begins_with_the_prefix(storage: &Subject) {
    fill(storage);
    for (prefix, expected) in [
        ("log/", &["log/1 1", "log/2 2"][..]),
        ("packs/", &["packs/aa/1 3", "packs/aa/2 4", "packs/ab/1 5", "packs/b 6"]),
        ("packs/aa/", &["packs/aa/1 3", "packs/aa/2 4"]),
        ("packs/aa/2", &["packs/aa/2 4"]),
        ("packs/a", &["packs/aa/1 3", "packs/aa/2 4", "packs/ab/1 5"]),
        ("lo", &["log/1 1", "log/2 2"]),
        ("c", &["config 0"]),
    ] {
        assert_eq!(listed(storage.as_ref(), prefix), expected, "{prefix}");
    }
}

pub fn a_prefix_that_nothing_begins_with_lists_nothing(storage: &Subject) {
    fill(storage);
    for prefix in ["x", "x/", "logs/", "packs/zz/", "packs//", "/", "../", "./", "packs/../log/", "packs/aa/3", "LOG/"]
    {
        assert!(listed(storage.as_ref(), prefix).is_empty(), "{prefix}");
    }
}

pub fn a_listener_may_delete_what_it_hears_of(storage: &Subject) {
    fill(storage);
    storage.list("packs/", &mut |info| storage.delete(&info.name).unwrap()).unwrap();
    assert_eq!(listed(storage.as_ref(), ""), ["config 0", "log/1 1", "log/2 2"]);
}

pub fn a_deleted_object_is_gone_and_deleting_again_succeeds(storage: &Subject) {
    fill(storage);
    for text in ["packs/aa/1", "packs/aa/1", "packs/zz/9", "never"] {
        storage.delete(&name(text)).unwrap();
    }
    assert_eq!(storage.get(&name("packs/aa/1"), 0..0).unwrap_err().kind, ErrorKind::NotFound);
    assert_eq!(listed(storage.as_ref(), "packs/a"), ["packs/aa/2 4", "packs/ab/1 5"]);
}

pub fn a_deleted_name_can_be_put_again(storage: &Subject) {
    put(storage, "a/b", b"old");
    storage.delete(&name("a/b")).unwrap();
    put(storage, "a/b", b"new");
    assert_eq!(whole(storage, "a/b"), b"new");
}

pub fn a_barrier_returns_with_and_without_changes(storage: &Subject) {
    storage.barrier().unwrap();
    fill(storage);
    storage.barrier().unwrap();
    storage.delete(&name("log/1")).unwrap();
    storage.barrier().unwrap();
    storage.barrier().unwrap();
    assert_eq!(listed(storage.as_ref(), "log/"), ["log/2 2"]);
}

#[test]
fn names_that_are_no_object_names_are_refused() {
    let too_long = "a".repeat(NAME_BYTES_MAX + 1);
    let bad = [
        "",
        "/",
        "a/",
        "/a",
        "a//b",
        ".",
        "..",
        "a/..",
        "../a",
        "a/./b",
        ".tmp-00",
        "a/.tmp-00",
        "A",
        "a b",
        "a_b",
        "ä",
        "a\0",
        "a\n",
        "a\\b",
        &too_long,
    ];
    for text in bad {
        assert_eq!(ObjectName::new(text), None, "{text:?}");
    }
}
