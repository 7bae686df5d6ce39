//! `kind = "qdrant"`: collections of a Qdrant server.

use std::path::PathBuf;

use crate::config::reading::Section;
use crate::config::secret::{Keys, SecretFrom};
use crate::config::sources::Kind;
use crate::config::sources::http::check_address;

/// Collections of a Qdrant server.
#[derive(Debug, Clone)]
pub struct Qdrant {
    /// Where it is.
    pub url: String,
    /// The key that it asks for.
    pub api_key: Option<SecretFrom>,
    /// Collections; all of them if there is none here.
    pub collections: Vec<String>,
    /// A file with the only certificates that are trusted.
    pub ca_file: Option<PathBuf>,
}

/// Where a server is unless something else is said.
const URL: &str = "http://localhost:6333";
const API_KEY: Keys = ["api_key_file", "api_key_env", "api_key_command"];

/// Reads it.
pub fn read(section: &Section<'_, '_>) -> Option<Kind> {
    let url = section.text("url").unwrap_or_else(|| URL.to_owned());
    check_address(section, "url", &url);
    let collections = section.texts("collections").unwrap_or_default();
    for name in collections.iter().filter(|name| name.is_empty() || name.contains('/')) {
        section.mistake("collections", format!("{name:?} cannot be the name of a collection"));
    }
    Some(Kind::Qdrant(Qdrant {
        url: url.trim_end_matches('/').to_owned(),
        api_key: SecretFrom::read(section, API_KEY),
        collections,
        ca_file: section.text("ca_file").map(PathBuf::from),
    }))
}
