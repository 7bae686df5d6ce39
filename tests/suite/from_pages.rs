//! The repository under `tests/repositories/from-pages/` was written from the pages of `format-spec/` alone, by the script beside
//! it: larder and the reader restore it alike, and refuse the two entries in it that no writer may make.
//!
//! Beside it: `password`, and `tree.txt`, what the pages say a restore leaves.

use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use larder::ops::check::{self, Depth, Part};
use larder::ops::restore;
use larder::progress::Silent;
use larder::repo::Repository;
use larder::repo::open::open;
use larder::repo::slots::Credential;
use larder::storage::local::Local;
use zeroize::Zeroizing;

use crate::old_repositories::OPTIONS;

/// They lie below a symlink and below a file.
const ASTRAY: [&str; 2] = ["dir/evil/larder-must-not-write-this", "file/below"];
/// When the test was written: what is younger got its time from the clock, as the listing says nothing of it.
const NOW: i64 = 1_790_000_000;

#[test]
fn larder_restores_what_was_written_from_the_pages() {
    let repo = opened();
    let found = check::run(&repo, Depth::Data(Part::All), 2, &Silent).expect("checks");
    assert!(found.problems.is_empty(), "{:?}", found.problems);
    let state = repo.state();
    let root = repo.record(state.live().next().expect("a snapshot")).expect("a record").root;
    let scratch = tempfile::tempdir().expect("a folder");
    let report = restore::run(&repo, &root, b"", &scratch.path().join("to"), &OPTIONS, &Silent).expect("restores");
    let refused: Vec<_> = report.problems.iter().map(|problem| String::from_utf8_lossy(&problem.path)).collect();
    assert_eq!(refused, ASTRAY, "{:?}", report.problems);
    assert_eq!((report.problems_total, report.damaged), (2, 0));
    assert_eq!(describe(&scratch.path().join("to")), expected());
}

#[test]
fn the_reader_restores_what_was_written_from_the_pages() {
    let scratch = tempfile::tempdir().expect("a folder");
    let said = Command::new(crate::reader::python())
        .arg("-B")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("format-spec/reader.py"))
        .arg(folder().join("repository"))
        .arg("--password-file")
        .arg(folder().join("password"))
        .args(["restore", "latest"])
        .arg(scratch.path().join("to"))
        .output()
        .expect("the reader runs");
    let errors = String::from_utf8_lossy(&said.stderr);
    assert_eq!(said.status.code(), Some(4), "{errors}");
    assert!(ASTRAY.iter().all(|path| errors.contains(&format!("{path} is not restored"))), "{errors}");
    assert_eq!(describe(&scratch.path().join("to")), expected());
}

#[test]
fn the_script_writes_the_same_repository_again() {
    let scratch = tempfile::tempdir().expect("a folder");
    let mut script = Command::new(crate::reader::python());
    script.arg("-B").arg(folder().join("write.py")).arg(scratch.path());
    assert!(script.status().expect("the script runs").success());
    for name in ["repository/config", "repository/log/0000000000000001", "tree.txt"] {
        let [again, kept] = [scratch.path(), &folder()].map(|at| fs::read(at.join(name)).expect("a file"));
        assert!(again == kept, "{name}");
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/repositories/from-pages")
}

fn opened() -> Repository {
    let password = fs::read_to_string(folder().join("password")).expect("a password");
    let password = Credential::Password(Zeroizing::new(password.trim_end().to_owned()));
    let storage = Local::open(&folder().join("repository")).expect("opens");
    open(Arc::new(storage), &password, None).expect("unlocks").0
}

fn expected() -> String {
    fs::read_to_string(folder().join("tree.txt")).expect("a description")
}

/// A line for each entry. Set-id bits are left aside: who restores decides about them.
fn describe(tree: &Path) -> String {
    let mut lines = Vec::new();
    let mut ahead = vec![tree.to_owned()];
    while let Some(path) = ahead.pop() {
        let status = fs::symlink_metadata(&path).expect("an entry");
        let below = path.strip_prefix(tree).expect("a path below").to_string_lossy().into_owned();
        let mode = format!("{:o}", status.mode() & 0o1777);
        let time = match status.mtime() {
            NOW.. => "now".to_owned(),
            seconds => format!("{seconds}.{:09}", status.mtime_nsec()),
        };
        let said = if status.is_dir() {
            ahead.extend(fs::read_dir(&path).expect("a folder").map(|entry| entry.expect("an entry").path()));
            format!("folder {mode} {time}")
        } else if status.is_symlink() {
            format!("link {} {time}", fs::read_link(&path).expect("a target").display())
        } else if status.file_type().is_fifo() {
            format!("fifo {mode} {time}")
        } else {
            let bytes = fs::read(&path).expect("a file");
            format!("file {mode} {time} {} {}", bytes.len(), blake3::hash(&bytes))
        };
        lines.push((below, said));
    }
    lines.sort();
    let name = |path: &str| if path.is_empty() { ".".to_owned() } else { path.to_owned() };
    lines.iter().map(|(path, said)| format!("{}: {said}\n", name(path))).collect()
}
