//! The independent reader in `format-spec/reader.py` agrees with the program: on every vector, and on a repository that
//! the program made, restored byte for byte.

use std::fs::{self, File, FileTimes, OpenOptions, Permissions};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use larder::chunking::Sizes;
use larder::crypto::secret::Secret;
use larder::crypto::slot::Stretch;
use larder::format::Time;
use larder::format::log::{Action, TagAction, TagChange};
use larder::format::objects::WeekStart;
use larder::ops::{backup, prune};
use larder::progress::Silent;
use larder::repo::Repository;
use larder::repo::error::Error;
use larder::repo::open::{NewRepository, create, open};
use larder::repo::slots::{self, Credential, recovery_text};
use larder::source::directory::DirectorySource;
use larder::storage::local::Local;
use zeroize::Zeroizing;

const KEY: [u8; 32] = [7; 32];
const PASSWORD: &str = "Käse und Brot";
const STRETCH: Stretch = Stretch::Argon2id { memory_kib: 16 << 10, passes: 1, lanes: 2 };

#[test]
fn the_reader_agrees_with_every_vector() {
    let said = read(&["vectors".as_ref(), root().join("format-spec/vectors").as_path()]);
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stdout));
}

#[test]
fn the_reader_restores_what_the_program_stored() {
    let scratch = tempfile::tempdir().expect("a folder");
    let at = |name: &str| scratch.path().join(name);
    make_tree(&at("tree"));
    let made = make_repository(&at("repository"));
    back_up(&made.repo, &at("tree"));
    fs::write(at("tree/notes"), "the second day").expect("a file");
    grow(&at("tree/large"));
    back_up(&made.repo, &at("tree"));
    forget_first(&made.repo);

    fs::write(at("key"), KEY).expect("a key file");
    fs::write(at("password"), format!("{PASSWORD}\n")).expect("a password file");
    let (key, password) = (at("key"), at("password"));
    let means: [[&Path; 2]; 3] = [
        ["--key-file".as_ref(), &key],
        ["--password-file".as_ref(), &password],
        ["--recovery-key".as_ref(), Path::new(made.recovery.as_str())],
    ];
    for (n, [option, value]) in means.into_iter().enumerate() {
        let to = at(&format!("restored-{n}"));
        let said = read(&[&at("repository"), option, value, "restore".as_ref(), "latest".as_ref(), &to]);
        assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
        assert_eq!(describe(&to), describe(&at("tree")));
    }
    let listed = read(&[&at("repository"), "--key-file".as_ref(), &key, "list".as_ref()]);
    assert_eq!(String::from_utf8_lossy(&listed.stdout).lines().count(), 1, "the first snapshot was forgotten");
}

/// A snapshot of a tree of one file.
fn small_repository() -> (tempfile::TempDir, Made) {
    let scratch = tempfile::tempdir().expect("a folder");
    let at = |name: &str| scratch.path().join(name);
    fs::create_dir(at("tree")).expect("a folder");
    fs::write(at("tree/a"), "a").expect("a file");
    let made = make_repository(&at("repository"));
    back_up(&made.repo, &at("tree"));
    (scratch, made)
}

/// Objects that are no entries: one without a number that an entry can have, one far beyond the newest entry, one near.
#[test]
fn the_reader_passes_over_what_lies_beyond_the_log() {
    let (scratch, _made) = small_repository();
    let at = |name: &str| scratch.path().join(name);
    fs::write(at("key"), hex::encode(KEY)).expect("a key file");
    let key = at("key");
    let list = || read(&[&at("repository"), "--key-file".as_ref(), &key, "list".as_ref()]);
    for far in ["ffffffffffffffff", "0001000000000000", "readme"] {
        fs::write(at("repository/log").join(far), "junk").expect("an object");
    }
    let said = list();
    assert!(said.status.success() && said.stderr.is_empty(), "{}", String::from_utf8_lossy(&said.stderr));
    fs::write(at("repository/log/0000000000000020"), "junk").expect("an object");
    let said = list();
    let complaints = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(
        complaints.starts_with("log/0000000000000020 is damaged: truncated") && complaints.lines().count() == 1,
        "{complaints}"
    );
    assert_eq!(String::from_utf8_lossy(&said.stdout).lines().count(), 1);
}

#[test]
fn the_reader_names_damage_and_restores_the_rest() {
    let (scratch, made) = small_repository();
    let at = |name: &str| scratch.path().join(name);
    fs::write(at("tree/b"), "b").expect("a file");
    fs::write(at("key"), hex::encode(KEY)).expect("a key file");
    back_up(&made.repo, &at("tree"));
    for name in ["config", "keys"] {
        let path = at("repository").join(name);
        let path = if path.is_dir() { first_file(&path) } else { path };
        let mut bytes = fs::read(&path).expect("an object");
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        fs::write(&path, bytes).expect("a damaged object");
    }
    let said =
        read(&[&at("repository"), "--key-file".as_ref(), &at("key"), "restore".as_ref(), "latest".as_ref(), &at("to")]);
    assert_eq!(said.status.code(), Some(4));
    assert!(String::from_utf8_lossy(&said.stderr).contains("config is damaged: forged"));
    assert_eq!(describe(&at("to")), describe(&at("tree")));
}

struct Made {
    repo: Repository,
    recovery: Zeroizing<String>,
}

fn make_repository(path: &Path) -> Made {
    let storage = Local::create(path).expect("a storage");
    let credential = Credential::KeyFile(Secret::new(KEY));
    let new = NewRepository {
        time_zone: "Europe/Vienna".into(),
        week_start: WeekStart::Monday,
        sizes: Sizes::DEFAULT,
        credential: &credential,
        stretch: STRETCH,
        now: now(),
    };
    create(&storage, &new).expect("a repository");
    let (repo, root) = open(Arc::new(storage), &credential, None).expect("the repository");
    let password = Credential::Password(Zeroizing::new(PASSWORD.into()));
    slots::add(&repo, &root, &password, STRETCH, "a password", now()).expect("a slot");
    Made { recovery: recovery_text(&root), repo }
}

fn back_up(repo: &Repository, tree: &Path) {
    let source = DirectorySource::new(vec![tree.to_owned()], Default::default()).expect("a source");
    let options = backup::Options {
        source: "tree".into(),
        host: "here".into(),
        user: "somebody".into(),
        description: "für später".into(),
        tags: Vec::new(),
        paths: vec![tree.as_os_str().as_bytes().to_vec()],
        mode: backup::Mode::Store,
        threads: 2,
    };
    let report = backup::run(repo, &source, &options, &now, &Silent).expect("a backup");
    assert!(report.complete, "{:?}", report.problems);
}

/// Forgets the first snapshot and prunes, so that the log has condemned, repacked and swept packs.
fn forget_first(repo: &Repository) {
    repo.append::<Error>(now(), &mut |state| {
        let first = state.live().next().expect("a snapshot");
        let remove = first.tags.iter().cloned().collect();
        let changes = vec![TagChange { snapshot: first.id, add: Vec::new(), remove }];
        Ok(Some(Action::Untag(TagAction { changes, rescue: Vec::new() })))
    })
    .expect("an entry");
    let options = prune::Options { grace: Duration::ZERO, max_unused_percent: 0.0, threads: 1 };
    let report = prune::run(repo, &options, &now, &Silent).expect("a prune");
    assert!(report.deleted.packs > 0);
}

fn make_tree(tree: &Path) {
    let at = |name: &str| tree.join(name);
    for folder in ["", "empty", "deep/er/and/deeper", "many"] {
        fs::create_dir_all(at(folder)).expect("a folder");
    }
    fs::write(at("notes"), "the first day").expect("a file");
    fs::write(at("nothing"), "").expect("a file");
    fs::write(at("deep/er/and/deeper/file"), noise(1, 100)).expect("a file");
    fs::write(at("text"), "the same again and again. ".repeat(20_000)).expect("a file");
    // More chunks than a listing entry carries itself.
    fs::write(at("large"), noise(2, 3 << 20)).expect("a file");
    // More entries than one page.
    for n in 0..2000 {
        fs::write(at(&format!("many/file {n:05}")), n.to_string()).expect("a file");
    }
    fs::write(tree.join(std::ffi::OsString::from_vec(b"not \xff utf-8".to_vec())), "name").expect("a file");
    symlink("../somewhere/else", at("link")).expect("a link");
    fs::hard_link(at("notes"), at("same notes")).expect("a link");
    fs::hard_link(at("notes"), at("deep/same notes")).expect("a link");
    let mut sparse = File::create(at("sparse")).expect("a file");
    sparse.seek(SeekFrom::Start(1 << 20)).expect("a place");
    sparse.write_all(&noise(3, 70_000)).expect("some data");
    sparse.set_len(4 << 20).expect("a length");
    fs::write(at("secret"), "secret").expect("a file");
    fs::set_permissions(at("secret"), Permissions::from_mode(0o4751)).expect("a mode");
    let old = UNIX_EPOCH + Duration::new(1_000_000_000, 123_456_789);
    File::open(at("text")).expect("a file").set_times(FileTimes::new().set_modified(old)).expect("a time");
    let before = UNIX_EPOCH - Duration::new(1000, 1);
    File::open(at("empty")).expect("a folder").set_times(FileTimes::new().set_modified(before)).expect("a time");
    fs::set_permissions(at("empty"), Permissions::from_mode(0o1500)).expect("a mode");
}

/// Changes something in the middle of a large file.
fn grow(path: &Path) {
    let mut file = OpenOptions::new().write(true).open(path).expect("a file");
    file.seek(SeekFrom::Start(1 << 20)).expect("a place");
    file.write_all(&noise(4, 10_000)).expect("some data");
}

fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..len).map(|_| next()).collect()
}

/// Everything about a tree that the reader restores, one line an entry.
fn describe(tree: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    let mut ahead = vec![tree.to_owned()];
    let mut inodes: Vec<(u64, PathBuf)> = Vec::new();
    while let Some(path) = ahead.pop() {
        let status = fs::symlink_metadata(&path).expect("an entry");
        let below = path.strip_prefix(tree).expect("a path below").to_owned();
        let content = if status.is_dir() {
            ahead.extend(fs::read_dir(&path).expect("a folder").map(|entry| entry.expect("an entry").path()));
            "folder".to_owned()
        } else if status.is_symlink() {
            format!("link to {:?}", fs::read_link(&path).expect("a link"))
        } else {
            let bytes = fs::read(&path).expect("a file");
            let holes = status.blocks() * 512 < status.len();
            format!("{} bytes, {}, holes {holes}", bytes.len(), blake3::hash(&bytes))
        };
        if status.nlink() > 1 && !status.is_dir() {
            inodes.push((status.ino(), below.clone()));
        }
        let (seconds, nanos) = (status.mtime(), status.mtime_nsec());
        lines.push(format!("{below:?} {:o} {seconds}.{nanos:09} {content}", status.mode()));
    }
    let mut groups: Vec<Vec<&PathBuf>> = Vec::new();
    inodes.sort();
    for pair in inodes.chunk_by(|a, b| a.0 == b.0) {
        groups.push(pair.iter().map(|(_, path)| path).collect());
    }
    lines.extend(groups.iter().map(|group| format!("one file: {group:?}")));
    lines.sort();
    lines
}

fn first_file(folder: &Path) -> PathBuf {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    entries.min().expect("a file")
}

fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time after 1970");
    Time { seconds: since.as_secs() as i64, nanos: since.subsec_nanos() }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(arguments: &[&Path]) -> Output {
    let reader = root().join("format-spec/reader.py");
    Command::new(python()).arg("-B").arg(reader).args(arguments).output().expect("the reader")
}

/// The reader's Python, with its packages and those of the tests: made here unless `scripts/test` has made it.
pub fn python() -> &'static Path {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    PYTHON.get_or_init(|| {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("a target folder");
        let python = target.join("reader-venv/bin/python");
        let usable = || run(Command::new(&python).args(["-c", "import aiosmtpd, blake3, cryptography, zstandard"]));
        if !usable() {
            assert!(
                run(Command::new("python3").args(["-m", "venv"]).arg(target.join("reader-venv"))),
                "no python3 -m venv"
            );
            let mut pip = Command::new(&python);
            pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
            for packages in ["format-spec/requirements.txt", "tests/requirements.txt"] {
                pip.arg("-r").arg(root().join(packages));
            }
            assert!(run(&mut pip), "the packages for Python could not be installed");
        }
        python
    })
}

fn run(command: &mut Command) -> bool {
    command.status().is_ok_and(|status| status.success())
}
