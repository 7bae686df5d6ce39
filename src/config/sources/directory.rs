//! `kind = "directory"`: folders and files.

use std::path::PathBuf;

use crate::config::reading::Section;
use crate::config::sources::Kind;

/// Folders and files.
#[derive(Debug, Clone)]
pub struct Directory {
    /// Where they are.
    pub paths: Vec<PathBuf>,
    /// Patterns of what is left out.
    pub exclude: Vec<String>,
    /// Whether folders marked as caches are left out.
    pub exclude_caches: bool,
    /// Whether other file systems are left out.
    pub one_file_system: bool,
}

/// Reads it.
pub fn read(section: &Section<'_, '_>) -> Option<Kind> {
    if !section.has("paths") {
        section.mistake("paths", "is missing: a list of folders and files");
    }
    let (paths, exclude) = (section.texts("paths"), section.texts("exclude"));
    let (exclude_caches, one_file_system) = (section.flag("exclude_caches"), section.flag("one_file_system"));
    let paths = paths?;
    if paths.iter().all(String::is_empty) {
        section.mistake("paths", "names no folder and no file");
    }
    for path in paths.iter().filter(|path| !path.is_empty() && !path.starts_with('/')) {
        section.mistake("paths", format!("{path:?} must be a full path, since runs start in any folder"));
    }
    Some(Kind::Directory(Directory {
        paths: paths.into_iter().map(PathBuf::from).collect(),
        exclude: exclude.unwrap_or_default(),
        exclude_caches: exclude_caches.unwrap_or(false),
        one_file_system: one_file_system.unwrap_or(false),
    }))
}
