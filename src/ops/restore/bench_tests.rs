//! A source, a repository in memory and a target, for the tests of restoring; and what they must have in common.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::chunking::Sizes;
use crate::crypto::slot::Stretch;
use crate::format::record::ListingRoot;
use crate::format::{Time, objects};
use crate::ops::backup;
use crate::ops::restore::report::Report;
use crate::ops::restore::window::Limits;
use crate::ops::restore::{Error, Existing, Extra, Mode, Options, Owners, Verify, run};
use crate::progress::Silent;
use crate::repo::Repository;
use crate::repo::open::{NewRepository, create, open};
use crate::repo::slots::Credential;
use crate::source::directory::{DirectorySource, Options as SourceOptions};
use crate::storage::memory::Memory;

/// Windows of a few chunks and files, so that everything is split over many.
pub const SMALL: Limits = Limits {
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

pub fn options() -> Options {
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

pub fn sound(report: Report) -> Report {
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
pub fn tree(folder: &Path) -> BTreeMap<PathBuf, String> {
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
pub fn nasty(folder: &Path) {
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

pub(super) struct Bench {
    pub storage: Arc<Memory>,
    pub repo: Repository,
    pub source: tempfile::TempDir,
    pub scratch: tempfile::TempDir,
}

impl Bench {
    pub(super) fn new() -> Self {
        let (storage, repo) = repository();
        Self { storage, repo, source: tempfile::tempdir().unwrap(), scratch: tempfile::tempdir().unwrap() }
    }

    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.source.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    pub fn backup(&self) -> ListingRoot {
        backup_of(&self.repo, self.source.path())
    }

    pub fn target(&self) -> PathBuf {
        self.scratch.path().join("target")
    }

    pub fn put(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.target().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    pub fn read(&self, name: &str) -> String {
        String::from_utf8_lossy(&fs::read(self.target().join(name)).unwrap()).into_owned()
    }

    pub fn names(&self) -> Vec<String> {
        let names = tree(&self.target()).into_keys().map(|path| path.to_string_lossy().into_owned());
        names.filter(|name| !name.is_empty()).collect()
    }

    pub fn restore(&self, root: &ListingRoot, path: &str, options: &Options) -> Result<Report, Error> {
        run(&self.repo, root, path.as_bytes(), &self.target(), options, &Silent)
    }
}

/// Flips a bit in the middle of the blocks of every data pack that holds a chunk of these bytes.
pub(super) fn damage_data(bench: &Bench) {
    let numbers: Vec<_> = bench.repo.index().packs().filter(|p| p.kind == crate::format::Kind::Data).cloned().collect();
    for pack in numbers {
        let name = crate::storage::ObjectName::new(objects::pack_name(&pack.id)).unwrap();
        assert!(bench.storage.damage(&name, |bytes| {
            let at = bytes.len() - 2000;
            bytes[at] ^= 1;
        }));
    }
}
