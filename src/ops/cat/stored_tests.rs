use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::FileExt as _;

use super::Stored;
use crate::ops::cat::cat_range;
use crate::ops::restore::bench::{backup_of, noise, repository};
use crate::ops::sample::Sample;

/// Places where something may go wrong, for a file of this length.
fn places(bytes: u64) -> Vec<u64> {
    let mut places = vec![0, 1 << 20, (1 << 20) + 1, 2 << 20, bytes / 2, bytes - 1, bytes + 9];
    places.sort_unstable();
    places
}

fn check(stored: &Stored<'_>, expected: &[u8], name: &str) {
    let cut = |at: u64| (at as usize).min(expected.len());
    let mut reader = stored.reader();
    let places = places(expected.len() as u64);
    for (at, &from) in places.iter().enumerate() {
        // The next place, the one after it, and the end.
        for &to in places[at..].iter().take(3).chain(places.last()) {
            let wanted = &expected[cut(from)..cut(to)];
            let mut out = Vec::new();
            cat_range(stored, from..to, &mut out, 2).unwrap();
            assert!(out == wanted, "{name} {from}..{to}: {} bytes", out.len());
            let mut read = Vec::new();
            assert_eq!(reader.seek(SeekFrom::Start(from)).unwrap(), from);
            (&mut reader).take(to - from).read_to_end(&mut read).unwrap();
            assert!(read == wanted, "{name} {from}..{to} by a reader: {} bytes", read.len());
        }
    }
}

#[test]
fn any_part_of_a_file_is_what_the_file_has_there() {
    let (_, repo) = repository();
    let source = tempfile::tempdir().unwrap();
    fs::write(source.path().join("large"), noise(1, 2_500_000)).unwrap();
    let sparse = File::create(source.path().join("sparse")).unwrap();
    sparse.set_len(3 << 20).unwrap();
    sparse.write_all_at(b"text", 1 << 20).unwrap();
    sparse.write_all_at(&noise(2, 300_000), 2 << 20).unwrap();
    let hole = File::create(source.path().join("hole")).unwrap();
    hole.set_len(3 << 20).unwrap();
    let root = backup_of(&repo, source.path());
    for name in ["large", "sparse", "hole"] {
        let stored = Stored::open(&repo, &root, name.as_bytes()).unwrap();
        check(&stored, &fs::read(source.path().join(name)).unwrap(), name);
    }
}

#[test]
fn a_long_list_of_chunks_is_entered_in_the_middle() {
    let mut sample = Sample::new();
    let bytes = noise(3, 1_000_000);
    let id = sample.back_up(1, &[("f", bytes.clone())]);
    sample.reopen();
    let state = sample.repo.state();
    let root = sample.repo.record(state.snapshot(&id).unwrap()).unwrap().root;
    let stored = Stored::open(&sample.repo, &root, b"f").unwrap();
    assert!(matches!(stored.content, crate::format::content::Content::Paged(_)));
    check(&stored, &bytes, "f");
    assert_eq!(stored.chunks(999_999).count(), 1);
    assert_eq!(stored.chunks(0).count(), 245);
}

#[test]
fn what_is_longer_than_it_may_be_is_an_error_until_the_reader_goes_elsewhere() {
    let sample = Sample::new();
    let id = sample.back_up(1, &[("f", noise(3, 10_000))]);
    let state = sample.repo.state();
    let root = sample.repo.record(state.snapshot(&id).unwrap()).unwrap().root;
    let stored = Stored::open(&sample.repo, &root, b"f").unwrap();
    let mut reader = stored.reader().at_most(100);
    let mut buffer = vec![0; 200];
    assert_eq!(reader.read(&mut buffer).unwrap(), 100);
    assert!(reader.read(&mut buffer).is_err());
    reader.seek(SeekFrom::Start(100)).unwrap();
    assert_eq!(reader.read(&mut buffer).unwrap(), 100);
    assert!(reader.seek(SeekFrom::Current(-300)).is_err());
}
