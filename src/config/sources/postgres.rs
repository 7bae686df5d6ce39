//! `kind = "postgres"`: databases of a PostgreSQL server.

use crate::config::reading::Section;
use crate::config::secret::{PASSWORD, SecretFrom};
use crate::config::sources::{Kind, databases};

/// Databases of a PostgreSQL server.
#[derive(Debug, Clone)]
pub struct Postgres {
    /// Host, or a folder with a socket; what the client takes by itself if missing.
    pub host: Option<String>,
    /// Port.
    pub port: Option<u16>,
    /// User.
    pub user: Option<String>,
    /// Password.
    pub password: Option<SecretFrom>,
    /// Databases; all of them if there is none here.
    pub databases: Vec<String>,
    /// Whether roles and tablespaces are backed up too.
    pub globals: bool,
    /// The container in which the client runs.
    pub container: Option<String>,
    /// Further arguments of pg_dump.
    pub options: Vec<String>,
}

/// Reads it.
pub fn read(section: &Section<'_, '_>) -> Option<Kind> {
    let databases = databases(section);
    Some(Kind::Postgres(Postgres {
        host: section.text("host"),
        port: section.port(),
        user: section.text("user"),
        password: SecretFrom::read(section, PASSWORD),
        globals: section.flag("globals").unwrap_or(databases.is_empty()),
        databases,
        container: section.text("container"),
        options: section.texts("options").unwrap_or_default(),
    }))
}
