use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, symlink};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::format::content::Content;
use crate::format::listing::{Entry, Node};
use crate::format::objects;
use crate::format::record::ListingRoot;
use crate::ops::restore::bench::{Bench, SMALL, nasty, noise, options, sound, tree};
use crate::ops::restore::report::Action;
use crate::ops::restore::window::Limits;
use crate::ops::restore::{Error, Existing, Mode, Options, Verify, run_within};
use crate::progress::Silent;
use crate::repo::Repository;
use crate::repo::catalog::Catalog;
use crate::repo::pages::ListingWriter;
use crate::repo::write::{Mode as WriteMode, Writer};

#[test]
fn a_nasty_tree_comes_back_as_it_was() {
    let bench = Bench::new();
    nasty(bench.source.path());
    let root = bench.backup();
    let report = sound(bench.restore(&root, "", &Options { verify: Verify::Everything, ..options() }).unwrap());
    assert_eq!(tree(&bench.target()), tree(bench.source.path()));
    let blocks = fs::metadata(bench.target().join("sparse")).unwrap().blocks();
    assert!(blocks * 512 < 1 << 20, "{blocks} blocks");
    assert_eq!((report.hard_links, report.others, report.verified), (5, 3, report.files + 3));
    let report = bench.restore(&root, "", &options());
    assert!(matches!(report, Err(Error::TargetNotEmpty { .. })));
}

#[test]
fn small_windows_bring_back_the_same() {
    let bench = Bench::new();
    nasty(bench.source.path());
    let root = bench.backup();
    for threads in [1, 4] {
        let target = bench.scratch.path().join(threads.to_string());
        let options = Options { threads, verify: Verify::Everything, ..options() };
        sound(run_within(&bench.repo, &root, b"", &target, &options, &Silent, &SMALL).unwrap());
        assert_eq!(tree(&target), tree(bench.source.path()));
    }
}

#[test]
fn a_path_names_what_is_restored() {
    let bench = Bench::new();
    bench.write("a/b/file", "text");
    bench.write("a/bc", "no");
    let root = bench.backup();
    sound(bench.restore(&root, "a/b", &options()).unwrap());
    assert_eq!(bench.names(), ["file"]);
    fs::remove_dir_all(bench.target()).unwrap();
    sound(bench.restore(&root, "a/b/file", &options()).unwrap());
    assert_eq!(bench.read("file"), "text");
    assert!(matches!(bench.restore(&root, "a/x", &options()), Err(Error::NoSuchPath { .. })));
}

#[test]
fn patterns_choose_what_is_restored() {
    let bench = Bench::new();
    for path in ["a/x/1.txt", "a/y/2.txt", "a/y/2.log", "b/3.log", "c/d/4.txt"] {
        bench.write(path, path);
    }
    let root = bench.backup();
    let restored = |include: &[&str], exclude: &[&str]| {
        let list = |patterns: &[&str]| patterns.iter().map(|p| (*p).to_owned()).collect();
        sound(
            bench.restore(&root, "", &Options { include: list(include), exclude: list(exclude), ..options() }).unwrap(),
        );
        let names = bench.names();
        fs::remove_dir_all(bench.target()).unwrap();
        names
    };
    assert_eq!(restored(&["*.log"], &[]), ["a", "a/y", "a/y/2.log", "b", "b/3.log"]);
    assert_eq!(restored(&["/a"], &["*.log", "x/"]), ["a", "a/y", "a/y/2.txt"]);
    assert_eq!(restored(&["d/"], &[]), ["c", "c/d", "c/d/4.txt"]);
    assert_eq!(restored(&[], &["/a", "c"]), ["b", "b/3.log"]);
    assert!(bench.restore(&root, "", &Options { include: vec!["[".into()], ..options() }).is_err());
}

#[test]
fn a_dry_run_says_what_would_be_done_and_does_nothing() {
    let bench = Bench::new();
    nasty(bench.source.path());
    let root = bench.backup();
    let dry = bench.restore(&root, "", &Options { mode: Mode::DryRun, ..options() }).unwrap();
    assert!(!bench.target().exists());
    let wet = sound(bench.restore(&root, "", &options()).unwrap());
    assert_eq!((dry.files, dry.bytes, dry.others, dry.hard_links), (wet.files, wet.bytes, wet.others, wet.hard_links));
    assert!(dry.planned.iter().any(|planned| planned.path == b"a/b/large"));
    // Of what is there and as it should be it says nothing: other names of one file, attributes.
    for verify in [Verify::No, Verify::Everything] {
        let again = Options { mode: Mode::DryRun, existing: Existing::Changed, verify, ..options() };
        let dry = bench.restore(&root, "", &again).unwrap();
        assert_eq!((dry.planned, dry.hard_links), (Vec::new(), 0));
    }
    xattr::set(bench.target().join("a/one"), "user.note", b"changed").unwrap();
    let changed = Options { existing: Existing::Changed, ..options() };
    let dry = bench.restore(&root, "", &Options { mode: Mode::DryRun, ..changed.clone() }).unwrap();
    assert!(dry.planned.iter().all(|planned| planned.action == Action::Metadata) && !dry.planned.is_empty());
    sound(bench.restore(&root, "", &changed).unwrap());
    assert_eq!(tree(&bench.target()), tree(bench.source.path()));
}

#[test]
fn a_dry_run_says_of_what_is_not_made_what_the_run_itself_says() {
    let bench = Bench::new();
    let _socket = std::os::unix::net::UnixListener::bind(bench.source.path().join("socket")).unwrap();
    let root = bench.backup();
    let dry = bench.restore(&root, "", &Options { mode: Mode::DryRun, ..options() }).unwrap();
    let wet = bench.restore(&root, "", &options()).unwrap();
    assert_eq!((dry.others, dry.warnings), (wet.others, wet.warnings));
    assert!(dry.planned.iter().all(|planned| planned.path != b"socket"));
}

#[test]
fn a_damaged_block_costs_only_the_files_in_it() {
    let bench = Bench::new();
    bench.write("a/lost", noise(1, 2_500_000));
    let first = bench.backup();
    bench.write("b/whole", noise(2, 300_000));
    let root = bench.backup();
    assert_ne!(first.page.id, root.page.id);
    let packs: Vec<_> = bench.repo.index().packs().filter(|p| p.kind == crate::format::Kind::Data).cloned().collect();
    let large = packs.iter().max_by_key(|pack| pack.bytes).unwrap();
    let name = crate::storage::ObjectName::new(objects::pack_name(&large.id)).unwrap();
    bench.storage.damage(&name, |bytes| {
        let at = bytes.len() - 2000;
        bytes[at] ^= 1;
    });
    for limits in [Limits::STANDARD, SMALL] {
        let report = run_within(&bench.repo, &root, b"", &bench.target(), &options(), &Silent, &limits).unwrap();
        assert_eq!((report.damaged, report.problems.len(), report.files), (1, 1, 1));
        assert!(report.problems[0].message.contains("bytes are lost, at "), "{:?}", report.problems);
        assert_eq!(bench.names(), ["a", "a/lost.larder-partial", "b", "b/whole"]);
        let partial = fs::read(bench.target().join("a/lost.larder-partial")).unwrap();
        assert_eq!(partial.len(), 2_500_000);
        assert!(partial.iter().zip(noise(1, 2_500_000)).all(|(found, stored)| *found == stored || *found == 0));
        assert_eq!(partial[..1_000_000], noise(1, 2_500_000)[..1_000_000]);
        fs::remove_dir_all(bench.target()).unwrap();
    }
    bench.storage.damage(&name, Vec::clear);
    let report = bench.restore(&root, "", &options()).unwrap();
    assert_eq!((report.damaged, report.files), (1, 1));
}

#[test]
fn listings_that_contradict_themselves_do_no_harm() {
    let bench = Bench::new();
    let outside = bench.scratch.path().join("outside");
    fs::create_dir(&outside).unwrap();
    let link = Node::Symlink { target: outside.as_os_str().as_bytes().to_vec() };
    let file = || Node::File { bytes: 0, content: Content::EMPTY, extents: None };
    let root = listing(
        &bench.repo,
        vec![
            ("a", file()),
            ("a/b", file()),
            ("a/b/c", Node::Directory),
            ("l", link),
            ("l/b", file()),
            ("nowhere/b", file()),
            ("z", file()),
        ],
    );
    let report = bench.restore(&root, "", &options()).unwrap();
    assert_eq!(report.problems.iter().map(|p| p.path.as_slice()).collect::<Vec<_>>(), [&b"a/b"[..], b"a/b/c", b"l/b"]);
    assert_eq!(report.warnings.iter().map(|w| w.path.as_slice()).collect::<Vec<_>>(), [b"nowhere"]);
    assert_eq!(bench.names(), ["a", "l", "nowhere", "nowhere/b", "z"]);
    assert_eq!(fs::read_dir(outside).unwrap().count(), 0);
}

/// A listing that no walk would give.
fn listing(repo: &Repository, entries: Vec<(&str, Node)>) -> ListingRoot {
    let catalog = Catalog::survey(repo).unwrap();
    let mut writer = Writer::new(repo, &catalog, 1, WriteMode::Store).unwrap();
    let mut listing = ListingWriter::new();
    for (path, node) in entries {
        let entry = Entry { inode: 1, device: 1, ..Entry::new(path, node, 0o644) };
        listing.push(repo, &mut writer, &entry).unwrap();
    }
    let root = listing.finish(&mut writer).unwrap();
    writer.drain().unwrap().finish(None).unwrap();
    root
}

#[test]
fn nothing_leaves_the_target_while_its_folders_are_swapped_for_links() {
    let bench = Bench::new();
    for n in 0..200 {
        bench.write(&format!("d/e/{n:03}"), n.to_string());
    }
    let root = bench.backup();
    let outside = bench.scratch.path().join("outside");
    fs::create_dir(&outside).unwrap();
    let (folder, aside) = (bench.target().join("d"), bench.target().join("aside"));
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let _absent_at_first = fs::rename(&folder, &aside);
                let _ = symlink(&outside, &folder);
                let _ = fs::remove_file(&folder);
                let _ = fs::rename(&aside, &folder);
            }
        });
        for _ in 0..10 {
            let _ = run_within(
                &bench.repo,
                &root,
                b"",
                &bench.target(),
                &Options { existing: Existing::Replace, ..options() },
                &Silent,
                &SMALL,
            );
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert_eq!(fs::read_dir(outside).unwrap().count(), 0);
}
