//! What is inside a stored file: only the parts that are needed are read, and names from inside lead nowhere.
//!
//! Promise: which objects are read is counted at the storage; archives are made by the real `tar`.

use std::fs;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::ops::{ControlFlow, Range};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use larder::chunking::Sizes;
use larder::crypto::secret::Secret;
use larder::crypto::slot::Stretch;
use larder::dump::{Scanner, sidecar};
use larder::format::Time;
use larder::format::listing::Owner;
use larder::format::objects::WeekStart;
use larder::format::record::ListingRoot;
use larder::ops::backup;
use larder::ops::cat::cat_range;
use larder::ops::cat::stored::Stored;
use larder::ops::entries::archive::{self, Kind, Member};
use larder::ops::entries::sql::{self, Known};
use larder::ops::entries::{Error, Shape, shape};
use larder::progress::Silent;
use larder::repo::Repository;
use larder::repo::open::{self, NewRepository};
use larder::repo::slots::Credential;
use larder::source::command::{CommandSource, Entries, Input, Output};
use larder::storage::memory::Memory;

use crate::support::CallKind;
use crate::support::recording::Recording;
use crate::support::repo::{Cache, open_in, options};
use crate::support::tree::{Tree, noise};

/// A repository whose reads are counted, and a snapshot of a tree.
struct Counted {
    recording: Arc<Recording>,
    repo: Repository,
    root: ListingRoot,
}

fn counted(tree: &Tree) -> Counted {
    let memory = Memory::new();
    // Chunks as they are outside of tests: what is read for a part depends on them.
    let credential = Credential::KeyFile(Secret::new([7; 32]));
    let new = NewRepository {
        time_zone: "UTC".into(),
        week_start: WeekStart::Monday,
        sizes: Sizes::DEFAULT,
        credential: &credential,
        stretch: Stretch::None,
        now: Time::default(),
    };
    open::create(&memory, &new).unwrap();
    let recording = Arc::new(Recording::new(Arc::new(memory)));
    let repo = open_in(recording.clone(), &Cache::None).unwrap();
    backup::run(&repo, tree, &options("first"), &Time::default, &Silent).unwrap();
    let repo = open_in(recording.clone(), &Cache::None).unwrap();
    let root = repo.record(repo.state().live().next().unwrap()).unwrap().root;
    Counted { recording, repo, root }
}

impl Counted {
    fn open(&self, path: &str) -> Stored<'_> {
        Stored::open(&self.repo, &self.root, path.as_bytes()).unwrap()
    }

    /// The bytes read from packs while this is done.
    fn reads(&self, run: impl FnOnce()) -> u64 {
        self.recording.take();
        run();
        let calls = self.recording.calls();
        let reads = calls.iter().filter(|call| matches!(call.kind, CallKind::Get | CallKind::GetWhole));
        reads.filter(|call| call.name.starts_with("packs/")).map(|call| call.size).sum()
    }
}

const LARGE: usize = 16 << 20;

#[test]
fn a_part_of_a_file_is_read_without_the_rest() {
    let bytes = noise(1, LARGE);
    let counted = counted(&Tree::new().file("large", &bytes, 1));
    let stored = counted.open("large");
    // What every read needs first.
    counted.reads(|| cat_range(&stored, 0..1, &mut Vec::new(), 2).unwrap());
    let part = |range: Range<u64>| {
        let mut out = Vec::new();
        let read = counted.reads(|| cat_range(&stored, range.clone(), &mut out, 2).unwrap());
        assert!(out == bytes[range.start as usize..range.end as usize], "{range:?}");
        read
    };
    let all = part(0..LARGE as u64);
    assert!(all > LARGE as u64, "{all}");
    for at in [0, 5_000_000, LARGE as u64 - 10] {
        let read = part(at..at + 10);
        assert!(read > 0 && read < all / 4, "{read} of {all} bytes were read for ten at {at}");
    }
    let mut reader = stored.reader();
    let read = counted.reads(|| {
        for at in [15_000_000, 10, 3_000_000, 9_000_000] {
            reader.seek(SeekFrom::Start(at)).unwrap();
        }
    });
    assert_eq!(read, 0, "going elsewhere reads");
    let mut ten = [0; 10];
    assert!(counted.reads(|| reader.read_exact(&mut ten).unwrap()) < all / 4);
    assert_eq!(ten, bytes[9_000_000..9_000_010]);
}

/// A dump in which one table is much longer than all others, and the list of its entries.
fn dump(rows: usize) -> (Vec<u8>, Vec<u8>) {
    let sample = include_str!("../samples/pg_dump.sql");
    let mut random = crate::support::tree::Random::new(7);
    let data = (0..rows).map(|n| format!("{n}\t{:016x}{:016x}\n", random.next(), random.next())).collect::<String>();
    let dump = sample.replacen("5\t\\N\n", &format!("5\t\\N\n{data}"), 1).into_bytes();
    let mut scanner = Scanner::new();
    scanner.feed(&dump);
    let list = sidecar::encode(&scanner.finish().unwrap()).unwrap();
    (dump, list)
}

#[test]
fn a_table_is_read_without_the_others_when_the_dump_has_a_list() {
    let (dump, list) = dump(500_000);
    let counted = counted(&Tree::new().file("app.sql", &dump, 1).file("app.sql.entries", &list, 1));
    let stored = counted.open("app.sql");
    let mut out = Vec::new();
    let read = counted.reads(|| {
        assert_eq!(shape(&stored).unwrap().unwrap().words(), "a dump by pg_dump");
        let listed = sql::list(&counted.repo, &counted.root, b"app.sql", &stored, 1).unwrap();
        assert_eq!(listed.known, Known::List);
        let table = listed.entries.entries.iter().find(|entry| entry.name == "shop.order items").unwrap();
        assert_eq!(sql::write(&stored, &[table], &mut out, 1).unwrap(), table.bytes());
    });
    let text = String::from_utf8(out).unwrap();
    assert!(text.contains("CREATE TRIGGER touching") && !text.contains("CREATE TABLE public.orgs"));
    assert!(read < dump.len() as u64 / 3, "{read} of {} bytes", dump.len());
}

#[test]
fn a_list_that_is_of_another_dump_or_no_list_is_not_relied_on() {
    let (dump, list) = dump(10);
    for (list, reason) in [
        (Some(list[..list.len() - 3].to_vec()), "is no list of entries"),
        (Some(b"mine".to_vec()), "is no list of entries"),
        (Some(self::dump(11).1), "is of a file of another length"),
        (None, ""),
    ] {
        let mut tree = Tree::new().file("app.sql", &dump, 1);
        if let Some(list) = list {
            tree = tree.file("app.sql.entries", list, 1);
        }
        let counted = counted(&tree);
        let listed = sql::list(&counted.repo, &counted.root, b"app.sql", &counted.open("app.sql"), 1).unwrap();
        assert!(listed.entries.entries.iter().any(|entry| entry.name == "public.orgs"));
        match listed.known {
            Known::Dump => assert_eq!(reason, ""),
            Known::DumpInstead { reason: said } => assert!(said.contains(reason) && !reason.is_empty(), "{said}"),
            Known::List => panic!("a list that is wrong was used"),
        }
    }
}

/// Packs a folder with `tar` and these options.
fn packed(folder: &Path, options: &[&str]) -> Vec<u8> {
    let output = Command::new("tar").args(options).arg("-cf").arg("-").arg("-C").arg(folder).arg(".").output().unwrap();
    assert!(output.status.success(), "{output:?}");
    output.stdout
}

fn members(stored: &Stored<'_>) -> Vec<Member> {
    let mut members = Vec::new();
    archive::members(stored, &mut |member| {
        members.push(member.clone());
        ControlFlow::Continue(())
    })
    .unwrap();
    members
}

#[test]
fn members_of_archives_come_out_as_they_went_in() {
    let folder = tempfile::tempdir().unwrap();
    let long = "long".repeat(60);
    let path = |name: &str| folder.path().join(name);
    fs::create_dir_all(path(&format!("a/{long}"))).unwrap();
    let files = [
        ("a/one".to_owned(), noise(1, 5)),
        (format!("a/{long}/{long}"), noise(2, 100_000)),
        ("a/b c".into(), Vec::new()),
    ];
    files.iter().for_each(|(name, bytes)| fs::write(path(name), bytes).unwrap());
    fs::hard_link(path("a/one"), path("a/two")).unwrap();
    std::os::unix::fs::symlink(&long, path("a/link")).unwrap();
    for format in ["gnu", "pax"] {
        let counted = counted(&Tree::new().file("x", packed(folder.path(), &["--format", format, "--sort=name"]), 1));
        let stored = counted.open("x");
        assert_eq!(shape(&stored).unwrap(), Some(Shape::Tar));
        assert_eq!(members(&stored).len(), 8, "{format}");
        let names: Vec<&[u8]> = files.iter().map(|(name, _)| name.as_bytes()).chain([&b"./a/two"[..]]).collect();
        let found = archive::find(&stored, &names).unwrap();
        for (member, (name, bytes)) in found.iter().zip(files.iter().chain([&files[0]])) {
            let member = member.as_ref().unwrap_or_else(|| panic!("{format} {name}"));
            let mut out = Vec::new();
            assert_eq!(archive::write(&stored, member, &mut out, 1).unwrap(), Some(bytes.len() as u64));
            assert!(out == *bytes && member.kind == Kind::File, "{format} {name}");
        }
        let link = archive::find(&stored, &[b"a/link"]).unwrap().remove(0).unwrap();
        assert_eq!((link.kind, link.target), (Kind::Symlink, long.clone().into_bytes()));
        assert_eq!(archive::find(&stored, &[b"a/none"]).unwrap(), [None]);
    }
}

#[test]
fn sparse_members_come_out_with_their_holes_or_say_why_not() {
    let folder = tempfile::tempdir().unwrap();
    let file = fs::File::create(folder.path().join("sparse")).unwrap();
    file.set_len(3 << 20).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, b"text", 1 << 20).unwrap();
    let expected = fs::read(folder.path().join("sparse")).unwrap();
    for (format, known) in [("gnu", true), ("pax", false)] {
        let counted = counted(&Tree::new().file("x", packed(folder.path(), &["-S", "--format", format]), 1));
        let stored = counted.open("x");
        let member = archive::find(&stored, &[b"sparse"]).unwrap().remove(0).unwrap();
        assert_eq!(member.bytes, 3 << 20);
        let mut out = Vec::new();
        assert_eq!(archive::write(&stored, &member, &mut out, 1).unwrap().is_some(), known, "{format}");
        assert!(!known || out == expected);
    }
}

#[test]
fn only_the_headers_of_an_archive_are_read_to_list_it() {
    let folder = tempfile::tempdir().unwrap();
    (0..10).for_each(|n| fs::write(folder.path().join(n.to_string()), noise(n, 2 << 20)).unwrap());
    let archive = packed(folder.path(), &[]);
    let counted = counted(&Tree::new().file("x", &archive, 1));
    let stored = counted.open("x");
    let all = counted.reads(|| cat_range(&stored, 0..u64::MAX, &mut Vec::new(), 1).unwrap());
    let read = counted.reads(|| assert_eq!(members(&stored).len(), 11));
    assert!(read < all / 2, "{read} of {all} bytes");
    let read = counted.reads(|| {
        let member = archive::find(&stored, &[b"5"]).unwrap().remove(0).unwrap();
        let mut out = Vec::new();
        archive::write(&stored, &member, &mut out, 1).unwrap();
        assert!(out == noise(5, 2 << 20));
    });
    assert!(read < all * 2 / 3, "{read} of {all} bytes");
}

/// Of zeros alone, so that what it holds looks like its end.
#[test]
fn an_archive_is_whole_with_its_end_and_cut_off_at_no_block_before() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("one"), [0; 1500]).unwrap();
    fs::File::create(folder.path().join("two")).unwrap().set_len(1 << 20).unwrap();
    for options in
        [&["--format", "gnu"][..], &["--format", "pax"], &["--format", "gnu", "-S"], &["--format", "pax", "-S"]]
    {
        let archive = packed(folder.path(), &[options, &["--sort=name", "-b", "1"]].concat());
        let whole = |bytes: usize| {
            let counted = counted(&Tree::new().file("x", &archive[..bytes], 1));
            archive::whole(&counted.open("x"))
        };
        let blocks = archive.len() / 512;
        assert_eq!(whole(archive.len()).unwrap(), 3, "{options:?}");
        for cut in (0..blocks.min(20)).chain(blocks.saturating_sub(8)..blocks) {
            assert!(matches!(whole(cut * 512), Err(Error::Archive { .. })), "{options:?}: {cut} of {blocks} blocks");
        }
        assert!(whole(archive.len() - 1).is_err());
    }
    let counted = counted(&Tree::new().file("x", [0; 1024], 1));
    assert_eq!(archive::whole(&counted.open("x")).unwrap(), 0);
}

/// Archives that are cut off, changed anywhere, or claim lengths that nobody has.
#[test]
fn hostile_archives_are_errors_and_take_no_memory() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("one"), noise(1, 3000)).unwrap();
    fs::write(folder.path().join("x".repeat(200)), noise(1, 3000)).unwrap();
    let archive = packed(folder.path(), &["--format", "gnu", "--sort=name"]);
    let read = |bytes: &[u8]| {
        let counted = counted(&Tree::new().file("x", bytes, 1));
        let stored = counted.open("x");
        archive::members(&stored, &mut |_| ControlFlow::Continue(()))
    };
    assert!(read(&archive).is_ok());
    // Within the content of the first file.
    assert!(matches!(read(&archive[..2000]), Err(Error::Archive { .. })));
    let mut random = crate::support::tree::Random::new(5);
    for _ in 0..30 {
        let mut changed = archive.clone();
        for _ in 0..3 {
            let at = random.below(archive.len() / 512) * 512 + random.below(200);
            changed[at] = random.next() as u8;
        }
        let _ = read(&changed);
    }
    // A long name as long as the whole archive, all of which would be read into memory.
    let mut header = ::tar::Header::new_gnu();
    header.set_entry_type(::tar::EntryType::GNULongName);
    header.set_size(6 << 20);
    header.set_cksum();
    let name = [&header.as_bytes()[..], &vec![b'x'; 6 << 20]].concat();
    assert!(matches!(read(&name), Err(Error::Archive { .. })));
}

/// Readers that wait for a list must not keep the dump it is of from being read, however few they are.
#[test]
fn a_backup_of_many_dumps_ends_and_each_has_its_list() {
    let folder = tempfile::tempdir().unwrap();
    let (dump, _) = dump(100_000);
    fs::write(folder.path().join("dump"), &dump).unwrap();
    let output = |n: usize| Output {
        name: format!("{n}.sql").into(),
        program: "cat".into(),
        arguments: vec![folder.path().join("dump").into()],
        variables: Vec::new(),
        input: Input::None,
        entries: Entries::Beside,
    };
    for threads in [1, 2, 5] {
        let counted = counted(&Tree::new());
        let source = CommandSource::several((0..6).map(output).collect(), Owner::default(), Time::default()).unwrap();
        let options = backup::Options { threads, ..options("dumps") };
        let report = backup::run(&counted.repo, &source, &options, &Time::default, &Silent).unwrap();
        assert_eq!((report.counts.files, report.complete, report.problems), (12, true, Vec::new()));
        let state = counted.repo.state();
        let root = counted.repo.record(state.snapshot(&report.snapshot.unwrap()).unwrap()).unwrap().root;
        for n in 0..6 {
            let path = format!("{n}.sql").into_bytes();
            let stored = Stored::open(&counted.repo, &root, &path).unwrap();
            let listed = sql::list(&counted.repo, &root, &path, &stored, 1).unwrap();
            assert_eq!(
                (listed.known, listed.entries.entries.len(), stored.bytes()),
                (Known::List, 16, dump.len() as u64)
            );
        }
    }
}

/// A dump that cannot be read whole leaves no snapshot, and nobody waits for its list.
#[test]
fn a_dump_that_fails_fails_the_backup_in_its_own_words() {
    let output = |name: &str, script: &str| Output {
        name: name.into(),
        program: "sh".into(),
        arguments: vec!["-c".into(), script.into()],
        variables: Vec::new(),
        input: Input::None,
        entries: Entries::Beside,
    };
    for threads in [1, 4] {
        let counted = counted(&Tree::new());
        let outputs =
            vec![output("a.sql", "yes | head -c 9000000"), output("b.sql", "echo half; echo gone >&2; exit 3")];
        let source = CommandSource::several(outputs, Owner::default(), Time::default()).unwrap();
        let options = backup::Options { threads, ..options("dumps") };
        let error = backup::run(&counted.repo, &source, &options, &Time::default, &Silent).unwrap_err();
        assert!(matches!(&error, backup::Error::Failed(said) if said.contains("gone")), "{error}");
    }
}
