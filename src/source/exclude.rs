//! Which paths stay out of a backup.
//!
//! A pattern without a slash matches the name of anything; one that begins with a slash matches a path from the
//! snapshot's root; any other matches a run of components. `*` and `?` stay within a name, `**` crosses slashes, and a
//! slash at the end restricts the pattern to folders. What lies below an excluded folder is excluded with it.
//! Left out on purpose: patterns that take back others (`!`), and files of patterns inside the tree.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use globset::{Candidate, GlobBuilder, GlobSet, GlobSetBuilder};

use crate::source::Error;

/// Most patterns of one source.
pub const PATTERNS_MAX: usize = 10_000;

/// Patterns, ready to be asked.
#[derive(Debug)]
pub struct Exclude {
    names: GlobSet,
    paths: GlobSet,
    folder_names: GlobSet,
    folder_paths: GlobSet,
}

/// Whether the path in question is a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// It is.
    Folder,
    /// It is not.
    Other,
}

impl Exclude {
    /// Understands the patterns.
    pub fn new(patterns: &[String]) -> Result<Self, Error> {
        if let Some(pattern) = patterns.get(PATTERNS_MAX) {
            return Err(bad(pattern, "too many patterns"));
        }
        let mut sets: [GlobSetBuilder; 4] = std::array::from_fn(|_| GlobSetBuilder::new());
        for pattern in patterns {
            let (set, glob) = translate(pattern)?;
            let glob = GlobBuilder::new(&glob).literal_separator(true).backslash_escape(true).build();
            sets[set].add(glob.map_err(|error| bad(pattern, error.kind()))?);
        }
        let [names, paths, folder_names, folder_paths] =
            sets.map(|set| set.build().map_err(|error| bad(error.glob().unwrap_or_default(), error.kind())));
        Ok(Self { names: names?, paths: paths?, folder_names: folder_names?, folder_paths: folder_paths? })
    }

    /// Whether this very path matches. That its folder may match is the walk's business.
    pub fn matches(&self, path: &[u8], form: Form) -> bool {
        let name = path.rsplit(|&byte| byte == b'/').next().unwrap_or(path);
        hit(&self.names, name)
            || hit(&self.paths, path)
            || form == Form::Folder && (hit(&self.folder_names, name) || hit(&self.folder_paths, path))
    }
}

fn hit(set: &GlobSet, path: &[u8]) -> bool {
    !set.is_empty() && set.is_match_candidate(&Candidate::new(OsStr::from_bytes(path)))
}

/// Which of the four sets a pattern belongs to, and as what.
fn translate(pattern: &str) -> Result<(usize, String), Error> {
    if pattern.starts_with('!') {
        return Err(bad(pattern, "patterns that begin with ! are not supported; write \\! for the character"));
    }
    let (body, folders) = match pattern.strip_suffix('/') {
        Some(body) => (body, 2),
        None => (pattern, 0),
    };
    let bare = body.trim_start_matches('/');
    if bare.is_empty() || bare.split('/').any(|component| matches!(component, "" | "." | "..")) {
        return Err(bad(pattern, "no path has such a component"));
    }
    Ok(match (body.starts_with('/'), body.contains('/')) {
        (true, _) => (1 + folders, bare.to_owned()),
        (false, true) => (1 + folders, format!("**/{bare}")),
        (false, false) => (folders, bare.to_owned()),
    })
}

fn bad(pattern: &str, reason: impl ToString) -> Error {
    Error::Pattern { pattern: pattern.to_owned(), reason: reason.to_string() }
}

#[cfg(test)]
#[path = "exclude_tests.rs"]
mod tests;
