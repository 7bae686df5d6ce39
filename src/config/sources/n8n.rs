//! `kind = "n8n"`: workflows and credentials of n8n, and the key that the credentials are encrypted with.

use crate::config::reading::Section;
use crate::config::secret::{Keys, SecretFrom};
use crate::config::sources::Kind;

/// An n8n.
#[derive(Debug, Clone)]
pub struct N8n {
    /// The container that it runs in.
    pub container: Option<String>,
    /// Its program.
    pub program: String,
    /// The folder in which its folder `.n8n` is.
    pub user_folder: Option<String>,
    /// The file with its encryption key, where it runs.
    pub config_file: Option<String>,
    /// Its encryption key, if it is not asked for where it runs.
    pub encryption_key: Option<SecretFrom>,
}

const ENCRYPTION_KEY: Keys = ["encryption_key_file", "encryption_key_env", "encryption_key_command"];

/// Reads it.
pub fn read(section: &Section<'_, '_>) -> Option<Kind> {
    let n8n = N8n {
        container: section.text("container"),
        program: section.text("program").unwrap_or_else(|| "n8n".to_owned()),
        user_folder: section.text("user_folder"),
        config_file: section.text("config_file"),
        encryption_key: SecretFrom::read(section, ENCRYPTION_KEY),
    };
    if n8n.container.is_some() && n8n.user_folder.is_some() {
        section.mistake("user_folder", "is one too many: the container knows it");
    }
    if n8n.config_file.is_some() && n8n.encryption_key.is_some() {
        section.mistake("config_file", "is one too many: the key comes from somewhere else");
    }
    Some(Kind::N8n(n8n))
}
