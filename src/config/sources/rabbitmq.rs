//! `kind = "rabbitmq"`: what a RabbitMQ node is told to have (definitions), and its data folder.

use std::path::PathBuf;

use crate::config::reading::Section;
use crate::config::secret::{PASSWORD, SecretFrom};
use crate::config::sources::Kind;
use crate::config::sources::http::check_address;

/// A RabbitMQ node.
#[derive(Debug, Clone)]
pub struct Rabbitmq {
    /// Where the management API is.
    pub url: String,
    /// A user with the tag `administrator`.
    pub user: String,
    /// Its password.
    pub password: SecretFrom,
    /// The only virtual host whose definitions are taken.
    pub vhost: Option<String>,
    /// A file with the only certificates that are trusted.
    pub ca_file: Option<PathBuf>,
    /// The folder with messages and all else, which is read while the node is stopped.
    pub data_directory: Option<PathBuf>,
}

/// Where the management API is unless something else is said.
const URL: &str = "http://localhost:15672";

/// Reads it.
pub fn read(section: &Section<'_, '_>) -> Option<Kind> {
    let url = section.text("url").unwrap_or_else(|| URL.to_owned());
    check_address(section, "url", &url);
    let (user, password) = (section.required("user"), SecretFrom::read(section, PASSWORD));
    if password.is_none() {
        section.mistake("password_file", "is missing: or password_env, or password_command");
    }
    let vhost = section.text("vhost");
    let data_directory = section.text("data_directory").map(PathBuf::from);
    if let Some(folder) = &data_directory {
        let hooks = section.section("hooks");
        if !folder.is_absolute() {
            section.mistake("data_directory", "must be a full path, since runs start in any folder");
        }
        if vhost.is_some() {
            section.mistake("vhost", "is one too many: data_directory holds all of them");
        }
        if !hooks.has("stop") || !hooks.has("start") {
            section.mistake(
                "data_directory",
                "is consistent only while the node is stopped: give the source the hooks stop and start",
            );
        }
    }
    Some(Kind::Rabbitmq(Rabbitmq {
        url: url.trim_end_matches('/').to_owned(),
        vhost,
        ca_file: section.text("ca_file").map(PathBuf::from),
        data_directory,
        user: user?,
        password: password?,
    }))
}
