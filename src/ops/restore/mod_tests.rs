use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::window::Limits;
use super::{Error, Existing, Extra, Mode, Options, Owners, Verify, run, run_within};
use crate::chunking::Sizes;
use crate::crypto::slot::Stretch;
use crate::format::record::ListingRoot;
use crate::format::{Time, objects};
use crate::ops::backup;
use crate::ops::restore::report::Report;
use crate::progress::Silent;
use crate::repo::Repository;
use crate::repo::open::{NewRepository, create, open};
use crate::repo::slots::Credential;
use crate::source::directory::{DirectorySource, Options as SourceOptions};
use crate::storage::memory::Memory;

/// Windows of a few chunks and files, so that everything is split over many.
const SMALL: Limits =
    Limits { placements_max: 7, files_max: 3, text_bytes_max: 200, open_files_max: 1, links_bytes_max: 100 };

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
        let content = if kind.is_symlink() {
            format!("{:?}", fs::read_link(&path).unwrap())
        } else if kind.is_file() {
            let names = if meta.nlink() > 1 {
                let next = inodes.len();
                *inodes.entry(meta.ino()).or_insert(next) + 1
            } else {
                0
            };
            format!("{} {names} {}", meta.len(), blake3::hash(&fs::read(&path).unwrap()))
        } else {
            String::new()
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
    fs::write(at("a/b/large"), noise(1, 3_000_000)).unwrap();
    fs::write(at("a/b/same"), noise(1, 3_000_000)).unwrap();
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
    assert_eq!((report.hard_links, report.others, report.verified), (3, 3, report.files + 3));
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
