//! `kind = "redis"`: what a Redis server holds.

use std::path::PathBuf;

use crate::config::reading::Section;
use crate::config::secret::{PASSWORD, SecretFrom};
use crate::config::sources::{Kind, place};

/// What a Redis server holds.
#[derive(Debug, Clone)]
pub struct Redis {
    /// Host; what the client takes by itself if missing.
    pub host: Option<String>,
    /// Port.
    pub port: Option<u16>,
    /// The server's socket, in place of host and port.
    pub socket: Option<String>,
    /// User.
    pub user: Option<String>,
    /// Password.
    pub password: Option<SecretFrom>,
    /// The container in which the client runs.
    pub container: Option<String>,
    /// Further arguments of redis-cli.
    pub options: Vec<String>,
    /// The file that the server reads when it starts, on this machine. Without it nothing can be put back.
    pub data_file: Option<PathBuf>,
}

/// Reads it.
pub fn read(section: &Section<'_, '_>) -> Option<Kind> {
    let (host, port, socket) = place(section);
    let data_file = section.text("data_file").map(PathBuf::from);
    if let Some(path) = &data_file {
        let hooks = section.section("hooks");
        if !path.is_absolute() || path.file_name().is_none() {
            section.mistake("data_file", "must be the full path of a file");
        } else if !hooks.has("stop") || !hooks.has("start") {
            let message = "needs the hooks stop and start: the server reads this file only when it starts";
            section.mistake("data_file", message);
        }
    }
    Some(Kind::Redis(Redis {
        host,
        port,
        socket,
        user: section.text("user"),
        password: SecretFrom::read(section, PASSWORD),
        container: section.text("container"),
        options: section.texts("options").unwrap_or_default(),
        data_file,
    }))
}
