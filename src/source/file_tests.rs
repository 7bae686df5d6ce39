use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::ops::ControlFlow;
use std::os::unix::fs::{FileExt, MetadataExt, symlink};
use std::path::{Path, PathBuf};

use crate::format::listing::{Entry, Extent, Node};
use crate::source::directory::{DirectorySource, Options};
use crate::source::{Candidate, Content, Found, Problem, Severity, Source, Verdict};

const MIB: usize = 1 << 20;

/// A file in a folder of its own, on a file system with holes and attributes.
fn file(content: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir_in("/var/tmp").unwrap();
    let path = folder.path().join("f");
    fs::write(&path, content).unwrap();
    (folder, path)
}

fn candidate(path: &Path) -> Candidate {
    let source = DirectorySource::new(vec![path.to_path_buf()], Options::default()).unwrap();
    let mut found = None;
    source
        .walk(&mut |next| {
            let Found::Entry(candidate) = next else { panic!("a problem") };
            found = Some(candidate);
            ControlFlow::Break(())
        })
        .unwrap();
    found.unwrap()
}

fn open(path: &Path) -> (Entry, Box<dyn Content>) {
    let Candidate { mut entry, reader } = candidate(path);
    let content = reader.open(&mut entry).unwrap();
    (entry, content)
}

fn read_all(content: &mut dyn Content, buffer_bytes: usize) -> Vec<u8> {
    let (mut bytes, mut buffer) = (Vec::new(), vec![0; buffer_bytes]);
    loop {
        match content.read(&mut buffer).unwrap() {
            0 => return bytes,
            filled => bytes.extend_from_slice(&buffer[..filled]),
        }
    }
}

fn length(entry: &Entry) -> (u64, Option<&[Extent]>) {
    let Node::File { bytes, extents, .. } = &entry.node else { panic!("no file") };
    (*bytes, extents.as_deref())
}

#[test]
fn a_quiet_file_is_read_whole_with_any_buffer() {
    let text: Vec<u8> = (0..100_000u32).map(|n| n as u8).collect();
    let (_folder, path) = file(&text);
    for buffer_bytes in [1000, 4096, 99_999, 100_000, 1_000_000] {
        let (mut entry, mut content) = open(&path);
        assert!(read_all(&mut *content, buffer_bytes) == text);
        assert_eq!(content.finish(&mut entry, 100_000), Verdict::Steady);
        assert_eq!(length(&entry), (100_000, None));
    }
}

#[test]
fn reading_leaves_the_access_time_alone() {
    let (_folder, path) = file(b"text");
    let old = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1000);
    File::open(&path).unwrap().set_times(fs::FileTimes::new().set_accessed(old)).unwrap();
    let (_, mut content) = open(&path);
    read_all(&mut *content, 100);
    assert_eq!(fs::metadata(&path).unwrap().atime(), 1000);
}

#[test]
fn a_file_that_shrinks_is_as_long_as_what_was_read() {
    let (_folder, path) = file(&[7; 3 * MIB]);
    let (mut entry, mut content) = open(&path);
    assert_eq!(content.read(&mut vec![0; MIB]).unwrap(), MIB);
    let shrunk = OpenOptions::new().write(true).open(&path).unwrap();
    shrunk.set_len(MIB as u64 + 10).unwrap();
    assert_eq!(read_all(&mut *content, 5), [7; 10]);
    // What comes back after the end has been met is not read any more.
    shrunk.set_len(3 * MIB as u64).unwrap();
    assert_eq!(content.read(&mut [0; 10]).unwrap(), 0);
    assert_eq!(content.finish(&mut entry, MIB as u64 + 10), Verdict::Changed);
    assert_eq!(length(&entry), (MIB as u64 + 10, None));
}

#[test]
fn a_file_that_grows_is_read_as_long_as_it_was() {
    let (_folder, path) = file(b"12345");
    let (mut entry, mut content) = open(&path);
    OpenOptions::new().append(true).open(&path).unwrap().write_all(b"678").unwrap();
    assert_eq!(read_all(&mut *content, 100), b"12345");
    assert_eq!(content.finish(&mut entry, 5), Verdict::Changed);
    assert_eq!(length(&entry), (5, None));
}

#[test]
fn growth_between_the_look_and_the_opening_is_no_change() {
    let (_folder, path) = file(b"12345");
    let Candidate { mut entry, reader } = candidate(&path);
    OpenOptions::new().append(true).open(&path).unwrap().write_all(b"678").unwrap();
    let mut content = reader.open(&mut entry).unwrap();
    assert_eq!(read_all(&mut *content, 100), b"12345678");
    assert_eq!(content.finish(&mut entry, 8), Verdict::Steady);
    assert_eq!(length(&entry), (8, None));
    assert_eq!(entry.mtime.seconds, fs::metadata(&path).unwrap().mtime());
}

#[test]
fn a_rewrite_in_place_with_its_old_time_is_noticed() {
    let (_folder, path) = file(b"12345");
    let (mut entry, mut content) = open(&path);
    let before = fs::metadata(&path).unwrap();
    let rewritten = OpenOptions::new().write(true).open(&path).unwrap();
    // More than once where the clock of the file system is coarse.
    while fs::metadata(&path).unwrap().ctime_nsec() == before.ctime_nsec() {
        rewritten.write_all_at(b"abcde", 0).unwrap();
        rewritten.set_modified(before.modified().unwrap()).unwrap();
    }
    read_all(&mut *content, 100);
    assert_eq!(content.finish(&mut entry, 5), Verdict::Changed);
}

#[test]
fn only_the_data_of_a_sparse_file_is_read() {
    let (_folder, path) = file(b"");
    let sparse = OpenOptions::new().write(true).open(&path).unwrap();
    sparse.set_len(1 << 40).unwrap();
    sparse.write_all_at(&[1; 4096], 8 * MIB as u64).unwrap();
    sparse.write_all_at(&[2; 4096], 1 << 35).unwrap();
    let (mut entry, mut content) = open(&path);
    assert_eq!(read_all(&mut *content, 3000), [[1; 4096], [2; 4096]].concat());
    assert_eq!(content.finish(&mut entry, 8192), Verdict::Steady);
    let extents = [Extent { offset: 8 * MIB as u64, bytes: 4096 }, Extent { offset: 1 << 35, bytes: 4096 }];
    assert_eq!(length(&entry), (1 << 40, Some(&extents[..])));
}

#[test]
fn a_sparse_file_that_shrinks_keeps_extents_that_add_up() {
    let (_folder, path) = file(b"");
    let sparse = OpenOptions::new().write(true).open(&path).unwrap();
    sparse.set_len(16 * MIB as u64).unwrap();
    sparse.write_all_at(&[1; 8192], MIB as u64).unwrap();
    sparse.write_all_at(&[2; 8192], 8 * MIB as u64).unwrap();
    for (cut, read, expected) in [(8 * MIB + 100, 8292, 2), (4 * MIB, 8192, 1), (MIB + 5, 5, 1), (10, 0, 0)] {
        let (mut entry, mut content) = open(&path);
        sparse.set_len(cut as u64).unwrap();
        assert_eq!(read_all(&mut *content, 1000).len(), read);
        assert_eq!(content.finish(&mut entry, read as u64), Verdict::Changed);
        let (bytes, extents) = length(&entry);
        let extents = extents.unwrap();
        let data: u64 = extents.iter().map(|extent| extent.bytes).sum();
        assert_eq!((bytes, data, extents.len()), (cut as u64, read as u64, expected));
        sparse.set_len(16 * MIB as u64).unwrap();
        sparse.write_all_at(&[1; 8192], MIB as u64).unwrap();
        sparse.write_all_at(&[2; 8192], 8 * MIB as u64).unwrap();
    }
}

fn problem_after(change: impl FnOnce(&Path)) -> Option<Problem> {
    let (_folder, path) = file(b"12345");
    let Candidate { mut entry, reader } = candidate(&path);
    fs::remove_file(&path).unwrap();
    change(&path);
    reader.open(&mut entry).err()
}

#[test]
fn what_took_the_place_of_a_file_is_not_opened() {
    let severity = |problem: Option<Problem>| problem.unwrap().severity;
    assert_eq!(severity(problem_after(|_| {})), Severity::Vanished);
    assert_eq!(severity(problem_after(|path| symlink("/etc/passwd", path).unwrap())), Severity::Unreadable);
    assert_eq!(severity(problem_after(|path| fs::create_dir(path).unwrap())), Severity::Unreadable);
    let fifo = |path: &Path| {
        rustix::fs::mkfifoat(rustix::fs::CWD, path, rustix::fs::Mode::RUSR).unwrap();
    };
    assert_eq!(severity(problem_after(fifo)), Severity::Unreadable);
    let socket = |path: &Path| drop(std::os::unix::net::UnixListener::bind(path).unwrap());
    assert_eq!(severity(problem_after(socket)), Severity::Unreadable);
    // Programs save by renaming a new file over the old one: that is the file now.
    assert_eq!(problem_after(|path| fs::write(path, "new").unwrap()), None);
}

#[test]
fn attributes_are_read_when_opened_and_not_before() {
    let (_folder, path) = file(b"12345");
    xattr::set(&path, "user.note", b"hello").unwrap();
    assert_eq!(candidate(&path).entry.xattrs, []);
    assert_eq!(open(&path).0.xattrs, [(b"user.note".to_vec(), b"hello".to_vec())]);
    let folder = path.parent().unwrap();
    xattr::set(folder, "user.place", b"here").unwrap();
    assert_eq!(open(folder).0.xattrs, [(b"user.place".to_vec(), b"here".to_vec())]);
}
