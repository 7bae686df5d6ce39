//! `kind = "sqlite"`: a database in a file, which may be in use.

use std::path::PathBuf;

use crate::config::reading::Section;
use crate::config::sources::Kind;

/// A database in a file.
#[derive(Debug, Clone)]
pub struct Sqlite {
    /// Where it is.
    pub path: PathBuf,
}

/// Reads it.
pub fn read(section: &Section<'_, '_>) -> Option<Kind> {
    let path = PathBuf::from(section.required("path")?);
    if path.file_name().is_none() {
        section.mistake("path", "is not the path of a file");
    }
    Some(Kind::Sqlite(Sqlite { path }))
}
