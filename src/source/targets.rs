//! From the paths a user names to what is walked, and under which paths it is stored.
//!
//! Promise: a single folder becomes the snapshot's root and a single file its only entry; several paths keep their full
//! place, and none lies within another. How many were *given* decides, not how many are left.
//! Left out on purpose: following a symlink that is named itself (unless written with a slash at its end).

use std::cmp::Ordering;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::format::listing::compare_paths;
use crate::source::{Error, Problem};

/// What is to be walked.
#[derive(Debug, PartialEq, Eq)]
pub struct Targets {
    /// The folder everything begins at.
    pub base: PathBuf,
    /// What is walked, seen from there.
    pub layout: Layout,
}

/// Where things lie in the snapshot.
#[derive(Debug, PartialEq, Eq)]
pub enum Layout {
    /// This name in the base folder, stored as the root if it is a folder, else under its name.
    Single(Vec<u8>),
    /// These paths below the base folder, stored under the same paths; sorted, none within another.
    Several(Vec<Vec<u8>>),
}

/// Finds the paths. Those of several that are not there are problems, as long as there is another.
pub fn find(paths: &[PathBuf]) -> Result<(Targets, Vec<Problem>), Error> {
    if let [path] = paths {
        return Ok((single(locate(path).map_err(|source| start(path, source))?), Vec::new()));
    }
    let mut found = Vec::new();
    let mut problems = Vec::new();
    let mut first = None;
    for path in paths {
        match locate(path) {
            Ok(location) => found.push(below_root(&location)),
            Err(error) => {
                // Somebody asked for it by name: its absence is more than a file that went while we looked. So it is
                // called what they call it: it has no path in the listing.
                problems.push(Problem::unreadable(path.as_os_str().as_bytes(), format!("cannot find: {error}")));
                first.get_or_insert((path, error));
            }
        }
    }
    if found.is_empty() {
        let (path, source) = first.map_or((Path::new(""), io::ErrorKind::InvalidInput.into()), |(p, e)| (p, e));
        return Err(start(path, source));
    }
    Ok((Targets { base: PathBuf::from("/"), layout: Layout::Several(merge(found)) }, problems))
}

fn start(path: &Path, source: io::Error) -> Error {
    Error::Start { path: path.to_path_buf(), source }
}

/// The absolute path of what a user names. Only the last component may be a symlink.
fn locate(path: &Path) -> io::Result<PathBuf> {
    let bytes = path.as_os_str().as_bytes();
    let through = bytes.ends_with(b"/") || bytes.ends_with(b"/.") || bytes == b".";
    let Some(name) = path.file_name().filter(|_| !through) else { return fs::canonicalize(path) };
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let location = fs::canonicalize(parent)?.join(name);
    fs::symlink_metadata(&location)?;
    Ok(location)
}

fn single(location: PathBuf) -> Targets {
    match (location.parent(), location.file_name()) {
        (Some(parent), Some(name)) => {
            Targets { base: parent.to_path_buf(), layout: Layout::Single(name.as_bytes().to_vec()) }
        }
        _ => Targets { base: location, layout: Layout::Single(b".".to_vec()) },
    }
}

fn below_root(location: &Path) -> Vec<u8> {
    let bytes = location.as_os_str().as_bytes();
    bytes.strip_prefix(b"/").unwrap_or(bytes).to_vec()
}

/// Sorts, and drops what another path holds already.
fn merge(mut paths: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    paths.sort_unstable_by(|a, b| compare_paths(a, b));
    paths.dedup_by(|later, earlier| is_within(later, earlier));
    paths
}

fn is_within(path: &[u8], folder: &[u8]) -> bool {
    if folder.is_empty() || compare_paths(path, folder) == Ordering::Equal {
        return true;
    }
    path.strip_prefix(folder).is_some_and(|rest| rest.first() == Some(&b'/'))
}

#[cfg(test)]
#[path = "targets_tests.rs"]
mod tests;
