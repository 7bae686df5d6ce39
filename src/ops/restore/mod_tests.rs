use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::window::Limits;
use super::{Error, Existing, Extra, Mode, Options, Owners, Verify, run, run_within};
use crate::chunking::Sizes;
use crate::crypto::slot::Stretch;
use crate::format::content::Content;
use crate::format::listing::{Entry, Node, Owner};
use crate::format::record::ListingRoot;
use crate::format::{Time, objects};
use crate::ops::backup;
use crate::ops::restore::report::Report;
use crate::progress::Silent;
use crate::repo::Repository;
use crate::repo::catalog::Catalog;
use crate::repo::open::{NewRepository, create, open};
use crate::repo::pages::ListingWriter;
use crate::repo::slots::Credential;
use crate::repo::write::{Mode as WriteMode, Writer};
use crate::source::directory::{DirectorySource, Options as SourceOptions};
use crate::storage::memory::Memory;

/// Windows of a few chunks and files, so that everything is split over many.
const SMALL: Limits = Limits {
    placements_max: 7,
    files_max: 3,
    text_bytes_max: 200,
    open_files_max: 1,
    later_bytes_max: 1000,
    links_bytes_max: 100,
};

pub fn repository() -> (Arc<Memory>, Repository) {
    let storage = Arc::new(Memory::new());
    let credential = Credential::KeyFile(crate::crypto::secret::Secret::new([7; 32]));
    let new = NewRepository {
        time_zone: "UTC".into(),
        week_start: objects::WeekStart::Monday,
        sizes: Sizes::DEFAULT,
        credential: &credential,
        stretch: Stretch::None,
        now: Time::default(),
    };
    create(storage.as_ref(), &new).unwrap();
    let repo = open(storage.clone(), &credential, None).unwrap().0;
    (storage, repo)
}

pub fn backup_of(repo: &Repository, source: &Path) -> ListingRoot {
    let source = DirectorySource::new(vec![source.to_owned()], SourceOptions::default()).unwrap();
    let options = backup::Options {
        source: "s".into(),
        host: "h".into(),
        user: "u".into(),
        description: String::new(),
        tags: Vec::new(),
        paths: Vec::new(),
        mode: backup::Mode::Store,
        threads: 2,
    };
    let report = backup::run(repo, &source, &options, &Time::default, &Silent).unwrap();
    assert!(report.complete, "{:?}", report.problems);
    let state = repo.state();
    repo.record(state.snapshot(&report.snapshot.unwrap()).unwrap()).unwrap().root
}

fn options() -> Options {
    Options {
        existing: Existing::Refuse,
        extra: Extra::Leave,
        owners: Owners::AsStored,
        verify: Verify::No,
        mode: Mode::Write,
        include: Vec::new(),
        exclude: Vec::new(),
        threads: 2,
    }
}

fn sound(report: Report) -> Report {
    assert_eq!((report.problems.as_slice(), report.warnings.as_slice()), (&[][..], &[][..]));
    report
}

/// Bytes that do not repeat.
pub fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut out = vec![0; len];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut out);
    out
}

/// What is in a folder: everything that a restore should bring back.
fn tree(folder: &Path) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    let mut inodes: BTreeMap<u64, usize> = BTreeMap::new();
    let mut left = vec![folder.to_owned()];
    while let Some(path) = left.pop() {
        let meta = fs::symlink_metadata(&path).unwrap();
        let kind = meta.file_type();
        let names = if meta.nlink() > 1 && !kind.is_dir() {
            let next = inodes.len();
            *inodes.entry(meta.ino()).or_insert(next) + 1
        } else {
            0
        };
        let content = if kind.is_symlink() {
            format!("{names} {:?}", fs::read_link(&path).unwrap())
        } else if kind.is_file() {
            format!("{} {names} {}", meta.len(), blake3::hash(&fs::read(&path).unwrap()))
        } else {
            names.to_string()
        };
        let attributes: Vec<_> =
            xattr::list(&path).unwrap().map(|n| (n.clone(), xattr::get(&path, n).unwrap())).collect();
        let time = (meta.mtime(), meta.mtime_nsec());
        let line = format!("{:o} {time:?} {} {} {content} {attributes:?}", meta.mode(), meta.uid(), meta.gid());
        if kind.is_dir() {
            let mut names: Vec<_> = fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()).collect();
            names.sort();
            left.extend(names.into_iter().rev());
        }
        found.insert(path.strip_prefix(folder).unwrap().to_owned(), line);
    }
    found
}

/// A tree of everything that is hard to restore.
fn nasty(folder: &Path) {
    let at = |name: &str| folder.join(name);
    for path in ["a/b/c", "empty", "deny"] {
        fs::create_dir_all(at(path)).unwrap();
    }
    fs::write(at("zero"), "").unwrap();
    fs::write(at("a/one"), "1").unwrap();
    fs::write(at("a/b/large"), noise(1, 1_200_000)).unwrap();
    fs::write(at("a/b/same"), noise(1, 1_200_000)).unwrap();
    fs::write(at("a/b/c/text"), "line\n".repeat(100_000)).unwrap();
    for n in 0..40 {
        fs::write(at(&format!("a/b/c/{n}")), noise(n, 2000 + n as usize)).unwrap();
    }
    fs::hard_link(at("a/one"), at("a/two")).unwrap();
    fs::hard_link(at("a/b/large"), at("a/b/c/large")).unwrap();
    fs::hard_link(at("a/b/large"), at("zlarge")).unwrap();
    symlink("../nowhere", at("a/link")).unwrap();
    symlink("/etc/passwd", at("a/b/absolute")).unwrap();
    fs::write(folder.join(OsStr::from_bytes(b"bad\xff\nname")), "x").unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, at("pipe"), rustix::fs::FileType::Fifo, 0o640.into(), 0).unwrap();
    fs::hard_link(at("a/link"), at("a/b/same-link")).unwrap();
    fs::hard_link(at("pipe"), at("a/same-pipe")).unwrap();
    let sparse = File::create(at("sparse")).unwrap();
    sparse.set_len(50 << 20).unwrap();
    sparse.write_all_at(&noise(3, 100_000), 1 << 20).unwrap();
    sparse.write_all_at(&noise(4, 200_000), 30 << 20).unwrap();
    xattr::set(at("a/one"), "user.note", b"remember").unwrap();
    fs::set_permissions(at("a/one"), fs::Permissions::from_mode(0o741)).unwrap();
    fs::write(at("deny/file"), "secret").unwrap();
    fs::set_permissions(at("deny"), fs::Permissions::from_mode(0o555)).unwrap();
    for (n, name) in ["a", "a/b", "empty", "zero", "sparse"].iter().enumerate() {
        let time = std::time::UNIX_EPOCH + std::time::Duration::new(1_000_000 + n as u64, 123_456_789);
        File::open(at(name)).unwrap().set_modified(time).unwrap();
    }
}

struct Bench {
    storage: Arc<Memory>,
    repo: Repository,
    source: tempfile::TempDir,
    scratch: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let (storage, repo) = repository();
        Self { storage, repo, source: tempfile::tempdir().unwrap(), scratch: tempfile::tempdir().unwrap() }
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.source.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    fn backup(&self) -> ListingRoot {
        backup_of(&self.repo, self.source.path())
    }

    fn target(&self) -> PathBuf {
        self.scratch.path().join("target")
    }

    fn put(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.target().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    fn read(&self, name: &str) -> String {
        String::from_utf8_lossy(&fs::read(self.target().join(name)).unwrap()).into_owned()
    }

    fn names(&self) -> Vec<String> {
        let names = tree(&self.target()).into_keys().map(|path| path.to_string_lossy().into_owned());
        names.filter(|name| !name.is_empty()).collect()
    }

    fn restore(&self, root: &ListingRoot, path: &str, options: &Options) -> Result<Report, Error> {
        run(&self.repo, root, path.as_bytes(), &self.target(), options, &Silent)
    }
}

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

/// Flips a bit in the middle of the blocks of every data pack that holds a chunk of these bytes.
fn damage_data(bench: &Bench) {
    let numbers: Vec<_> = bench.repo.index().packs().filter(|p| p.kind == crate::format::Kind::Data).cloned().collect();
    for pack in numbers {
        let name = crate::storage::ObjectName::new(objects::pack_name(&pack.id)).unwrap();
        assert!(bench.storage.damage(&name, |bytes| {
            let at = bytes.len() - 2000;
            bytes[at] ^= 1;
        }));
    }
}

#[test]
fn what_exists_is_kept_or_replaced_as_asked() {
    let bench = Bench::new();
    bench.write("a/file", "stored");
    bench.write("a/new", "new");
    let root = bench.backup();
    bench.put("a/file", "mine");
    bench.put("a/extra", "extra");
    let kept = sound(bench.restore(&root, "", &Options { existing: Existing::Keep, ..options() }).unwrap());
    assert_eq!(
        (kept.files, kept.unchanged, bench.read("a/file"), bench.read("a/new")),
        (1, 1, "mine".into(), "new".into())
    );
    let replaced = sound(bench.restore(&root, "", &Options { existing: Existing::Replace, ..options() }).unwrap());
    assert_eq!((replaced.files, bench.read("a/file"), bench.read("a/extra")), (2, "stored".into(), "extra".into()));
}

#[test]
fn only_what_differs_is_written() {
    let bench = Bench::new();
    nasty(bench.source.path());
    let root = bench.backup();
    let changed = Options { existing: Existing::Changed, verify: Verify::Everything, ..options() };
    sound(bench.restore(&root, "", &changed).unwrap());
    let again = sound(bench.restore(&root, "", &changed).unwrap());
    assert_eq!((again.files, again.others, again.hard_links), (0, 0, 0));
    let large = bench.target().join("a/b/same");
    let before = fs::metadata(&large).unwrap().ino();
    File::options().write(true).open(&large).unwrap().write_all_at(b"changed", 900_000).unwrap();
    fs::set_permissions(bench.target().join("a/b/c/3"), fs::Permissions::from_mode(0o600)).unwrap();
    File::options()
        .write(true)
        .open(bench.target().join("a/b/c/4"))
        .unwrap()
        .set_modified(std::time::SystemTime::now())
        .unwrap();
    fs::remove_file(bench.target().join("a/b/large")).unwrap();
    // Everything but the chunk that changed must come from the target.
    let image = bench.storage.snapshot();
    let report = sound(bench.restore(&root, "", &changed).unwrap());
    assert_eq!((report.files, report.hard_links, report.unchanged > 40), (1, 1, true));
    assert_ne!(fs::metadata(&large).unwrap().ino(), before);
    assert_eq!(tree(&bench.target()), tree(bench.source.path()));
    assert_eq!(bench.storage.snapshot().len(), image.len());
}

#[test]
fn a_changed_file_takes_equal_parts_from_the_target() {
    let bench = Bench::new();
    bench.write("file", noise(9, 2_000_000));
    let root = bench.backup();
    let mut bytes = noise(9, 2_000_000);
    bytes[10] ^= 1;
    bench.put("file", &bytes);
    damage_data(&bench);
    let changed = Options { existing: Existing::Changed, ..options() };
    // The damage is in a part that need not be read.
    sound(bench.restore(&root, "", &changed).unwrap());
    assert_eq!(fs::read(bench.target().join("file")).unwrap(), noise(9, 2_000_000));
}

#[test]
fn what_is_not_in_the_snapshot_is_deleted_if_asked_and_not_excluded() {
    let bench = Bench::new();
    bench.write("a/file", "stored");
    bench.write("b", "file");
    let root = bench.backup();
    let outside = bench.scratch.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("precious"), "").unwrap();
    for path in ["0", "a/0/1/2", "a/zzz", "b/folder/in/the/way", "keep.log", "dir/keep.log", "dir/gone"] {
        bench.put(path, "x");
    }
    symlink(&outside, bench.target().join("a/link")).unwrap();
    let deleting = Options {
        existing: Existing::Replace,
        extra: Extra::Delete,
        exclude: vec!["*.log".into()],
        mode: Mode::DryRun,
        ..options()
    };
    let before = tree(&bench.target());
    let planned = sound(bench.restore(&root, "", &deleting).unwrap());
    assert_eq!(tree(&bench.target()), before);
    let report = sound(bench.restore(&root, "", &Options { mode: Mode::Write, ..deleting }).unwrap());
    assert_eq!(bench.names(), ["a", "a/file", "b", "dir", "dir/keep.log", "keep.log"]);
    assert_eq!((planned.deleted, planned.files), (report.deleted, report.files));
    assert!(outside.join("precious").exists());
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
fn a_hard_link_whose_first_name_is_left_out_is_a_file() {
    let bench = Bench::new();
    bench.write("a", "text");
    fs::hard_link(bench.source.path().join("a"), bench.source.path().join("b")).unwrap();
    fs::hard_link(bench.source.path().join("a"), bench.source.path().join("c")).unwrap();
    let root = bench.backup();
    let report = sound(bench.restore(&root, "", &Options { exclude: vec!["/a".into()], ..options() }).unwrap());
    assert_eq!(
        (report.files, report.hard_links, bench.read("b"), bench.read("c")),
        (1, 1, "text".into(), "text".into())
    );
    assert_eq!(fs::metadata(bench.target().join("b")).unwrap().nlink(), 2);
}

#[test]
fn what_became_two_symlinks_becomes_one_again() {
    let bench = Bench::new();
    let names = ["first", "second", "third"];
    symlink("target", bench.source.path().join("first")).unwrap();
    names[1..].iter().for_each(|name| {
        fs::hard_link(bench.source.path().join("first"), bench.source.path().join(name)).unwrap();
    });
    let root = bench.backup();
    let excluding = Options { exclude: vec!["first".into()], ..options() };
    let report = sound(bench.restore(&root, "", &excluding).unwrap());
    assert_eq!((report.others, report.hard_links), (1, 1));
    fs::remove_file(bench.target().join("third")).unwrap();
    symlink("target", bench.target().join("third")).unwrap();
    let changed = Options { existing: Existing::Changed, ..options() };
    sound(bench.restore(&root, "", &changed).unwrap());
    let inode = |name: &&str| fs::symlink_metadata(bench.target().join(name)).unwrap().ino();
    assert_eq!(names.iter().map(inode).collect::<std::collections::BTreeSet<_>>().len(), 1);
    let again = sound(bench.restore(&root, "", &changed).unwrap());
    assert_eq!((again.others, again.hard_links, again.unchanged), (0, 0, 3));
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
fn nothing_is_deleted_after_damage() {
    let bench = Bench::new();
    bench.write("file", noise(1, 100_000));
    let root = bench.backup();
    bench.put("extra", "x");
    damage_data(&bench);
    let deleting = Options { existing: Existing::Replace, extra: Extra::Delete, ..options() };
    let report = bench.restore(&root, "", &deleting).unwrap();
    assert_eq!((report.damaged, report.deleted, report.warnings.len()), (1, 0, 1));
    assert_eq!(bench.names(), ["extra", "file.larder-partial"]);
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
    assert_eq!(
        report.problems.iter().map(|p| p.path.as_slice()).collect::<Vec<_>>(),
        [&b"a/b"[..], b"a/b/c", b"l/b", b"nowhere/b"]
    );
    assert_eq!((bench.names(), fs::read_dir(outside).unwrap().count()), (vec!["a".into(), "l".into(), "z".into()], 0));
}

/// A listing that no walk would give.
fn listing(repo: &Repository, entries: Vec<(&str, Node)>) -> ListingRoot {
    let catalog = Catalog::survey(repo).unwrap();
    let mut writer = Writer::new(repo, &catalog, 1, WriteMode::Store).unwrap();
    let mut listing = ListingWriter::new();
    for (path, node) in entries {
        let entry = Entry {
            path: path.into(),
            node,
            mode: 0o644,
            owner: Owner::default(),
            mtime: Time::default(),
            ctime: Time::default(),
            inode: 1,
            device: 1,
            links: 1,
            xattrs: Vec::new(),
            stamp: Vec::new(),
            unstable: false,
        };
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
