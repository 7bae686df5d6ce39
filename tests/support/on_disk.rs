//! Snapshots restored into a folder by `ops::restore`, and the folder read back as a tree.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use larder::ops::restore::{self, Existing, Extra, Mode, Options, Owners, Verify};
use larder::progress::Silent;
use larder::repo::Repository;
use larder::repo::state::Snapshot;

use crate::support::tree::Tree;

/// Restores a snapshot into a folder over whatever is there: afterwards the folder is the snapshot.
pub fn restore_into(repo: &Repository, snapshot: &Snapshot, folder: &Path) -> Tree {
    let options = Options {
        existing: Existing::Changed,
        extra: Extra::Delete,
        owners: Owners::Ignore,
        verify: Verify::Everything,
        mode: Mode::Write,
        include: Vec::new(),
        exclude: Vec::new(),
        threads: 1,
    };
    let record = repo.record(snapshot).unwrap();
    let report = restore::run(repo, &record.root, b"", folder, &options, &Silent).unwrap();
    assert_eq!((report.problems_total, report.damaged), (0, 0), "{:?}", report.problems);
    read(folder, "", Tree::new())
}

fn read(folder: &Path, prefix: &str, mut tree: Tree) -> Tree {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let path = format!("{prefix}{}", entry.file_name().into_string().unwrap());
        let status = entry.metadata().unwrap();
        tree = if status.is_dir() {
            read(&entry.path(), &format!("{path}/"), tree)
        } else if status.is_symlink() {
            let target = fs::read_link(entry.path()).unwrap();
            tree.symlink(&path, target.to_str().unwrap(), status.mtime())
        } else {
            tree.file(&path, fs::read(entry.path()).unwrap(), status.mtime())
        };
    }
    tree
}
