//! Every frozen repository under `tests/repositories/` opens, checks and restores for ever, with larder and with the
//! independent reader. One folder for each format version; never edited.
//!
//! Beside each repository: `key`, the key file in hexadecimal; and for each snapshot `TAG.txt`, what the tree held that it was taken
//! of: path in hexadecimal, then `folder`, `link TARGET`, or `file LENGTH BLAKE3`.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use larder::crypto::secret::Secret;
use larder::ops::check::{self, Depth, Part};
use larder::ops::restore::{self, Existing, Extra, Mode, Options, Owners, Verify};
use larder::progress::Silent;
use larder::repo::Repository;
use larder::repo::open::open;
use larder::repo::slots::Credential;
use larder::storage::local::Local;

pub const OPTIONS: Options = Options {
    existing: Existing::Refuse,
    extra: Extra::Leave,
    owners: Owners::Ignore,
    verify: Verify::Everything,
    mode: Mode::Write,
    include: Vec::new(),
    exclude: Vec::new(),
    threads: 2,
};

#[test]
fn every_frozen_repository_restores_as_it_was() {
    for (folder, tags) in frozen() {
        let repo = open_frozen(&folder);
        let found = check::run(&repo, Depth::Data(Part::All), 2, &Silent).expect("checks");
        assert!(found.problems.is_empty(), "{folder:?}: {:?}", found.problems);
        for tag in tags {
            let state = repo.state();
            let snapshot = state.live().find(|snapshot| snapshot.tags.contains(&tag)).expect("a snapshot of the tag");
            let root = repo.record(snapshot).expect("a record").root;
            let target = tempfile::tempdir().expect("a folder");
            let report = restore::run(&repo, &root, b"", target.path(), &OPTIONS, &Silent).expect("restores");
            assert_eq!(report.problems_total, 0, "{folder:?} {tag}: {:?}", report.problems);
            assert_eq!(describe(target.path()), expected(&folder, &tag), "{folder:?} {tag}");
        }
    }
}

#[test]
fn the_independent_reader_restores_every_frozen_repository() {
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (folder, tags) in frozen() {
        let repo = open_frozen(&folder);
        for tag in tags {
            let state = repo.state();
            let snapshot = state.live().find(|snapshot| snapshot.tags.contains(&tag)).expect("a snapshot of the tag");
            let scratch = tempfile::tempdir().expect("a folder");
            let target = scratch.path().join("restored");
            let said = Command::new(crate::reader::python())
                .arg(project.join("format-spec/reader.py"))
                .arg(folder.join("repository"))
                .arg("--key-file")
                .arg(folder.join("key"))
                .args(["restore", &snapshot.id.to_string()])
                .arg(&target)
                .output()
                .expect("the reader runs");
            assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
            assert_eq!(describe(&target), expected(&folder, &tag), "{folder:?} {tag}");
        }
    }
}

/// The folders of all frozen repositories, and the tags of their snapshots.
fn frozen() -> Vec<(PathBuf, Vec<String>)> {
    let all = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/repositories");
    let mut found = Vec::new();
    for entry in fs::read_dir(all).expect("frozen repositories") {
        let folder = entry.expect("an entry").path();
        if folder.ends_with("from-pages") {
            // It is of no version: see `from_pages`.
            continue;
        }
        let names = fs::read_dir(&folder).expect("a folder").map(|entry| entry.expect("an entry").path());
        let tags: Vec<String> = names
            .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
            .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
            .collect();
        assert!(!tags.is_empty(), "{folder:?} has no snapshots");
        found.push((folder, tags));
    }
    assert!(!found.is_empty(), "nothing is frozen");
    found
}

fn open_frozen(folder: &Path) -> Repository {
    let digits = fs::read_to_string(folder.join("key")).expect("a key");
    let mut key = [0; 32];
    hex::decode_to_slice(digits.trim(), &mut key).expect("64 digits");
    let storage = Local::open(&folder.join("repository")).expect("opens");
    open(Arc::new(storage), &Credential::KeyFile(Secret::new(key)), None).expect("unlocks").0
}

fn expected(folder: &Path, tag: &str) -> String {
    fs::read_to_string(folder.join(format!("{tag}.txt"))).expect("a description")
}

fn describe(tree: &Path) -> String {
    let mut lines = Vec::new();
    collect(tree, tree, &mut lines);
    lines.sort();
    lines.into_iter().fold(String::new(), |mut text, (_, line)| {
        let _ = writeln!(text, "{line}");
        text
    })
}

fn collect(tree: &Path, folder: &Path, lines: &mut Vec<(Vec<u8>, String)>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.strip_prefix(tree).expect("below").as_os_str().as_bytes().to_vec();
        let kind = path.symlink_metadata().expect("metadata");
        let said = if kind.is_symlink() {
            format!("link {}", fs::read_link(&path).expect("a target").display())
        } else if kind.is_dir() {
            collect(tree, &path, lines);
            "folder".to_owned()
        } else {
            let bytes = fs::read(&path).expect("a file");
            format!("file {} {}", bytes.len(), blake3::hash(&bytes).to_hex())
        };
        lines.push((name.clone(), format!("{} {said}", hex::encode(&name))));
    }
}
