//! `kind = "mariadb"`: databases of a MariaDB server.

use crate::config::reading::Section;
use crate::config::secret::{PASSWORD, SecretFrom};
use crate::config::sources::{Kind, databases, place};
use crate::source::mariadb::SYSTEM;

/// Databases of a MariaDB server.
#[derive(Debug, Clone)]
pub struct Mariadb {
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
    /// Databases; all but the system's if there is none here.
    pub databases: Vec<String>,
    /// Whether accounts and their rights are stored too.
    pub users: bool,
    /// The container in which the client runs.
    pub container: Option<String>,
    /// Further arguments of the dump program.
    pub options: Vec<String>,
}

/// Reads it.
pub fn read(section: &Section<'_, '_>) -> Option<Kind> {
    let databases = databases(section);
    for name in databases.iter().filter(|name| SYSTEM.contains(&name.as_str())) {
        section.mistake("databases", format!("{name:?} is the server's own; accounts are stored with users = true"));
    }
    let (host, port, socket) = place(section);
    Some(Kind::Mariadb(Mariadb {
        host,
        port,
        socket,
        user: section.text("user"),
        password: SecretFrom::read(section, PASSWORD),
        databases,
        users: section.flag("users").unwrap_or(false),
        container: section.text("container"),
        options: section.texts("options").unwrap_or_default(),
    }))
}
