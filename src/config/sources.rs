//! `[source.NAME]`: what is backed up, kind by kind.

use std::path::PathBuf;

use crate::config::hooks::{Hooks, Words};
use crate::config::reading::Section;
use crate::config::secret::{PASSWORD, SecretFrom};
use crate::config::{Timetable, retention};
use crate::format::record::TEXT_BYTES_MAX;
use crate::ops::retention::Policy;
use crate::ops::verify::Form;

/// A source.
#[derive(Debug, Clone)]
pub struct Source {
    /// Its name, which names the series.
    pub name: String,
    /// Whether a run of everything takes it.
    pub enabled: bool,
    /// What it is.
    pub kind: Kind,
    /// When it is due.
    pub timetable: Option<Timetable>,
    /// What is kept; everything if nothing is said.
    pub retention: Option<Policy>,
    /// What runs around it.
    pub hooks: Hooks,
    /// Fewest bytes that its snapshot may have.
    pub min_bytes: u64,
}

/// What a source is.
#[derive(Debug, Clone)]
pub enum Kind {
    /// Folders and files.
    Directory(Directory),
    /// What a command prints.
    Command(Command),
    /// Databases of a PostgreSQL server.
    Postgres(Postgres),
    /// An SQLite database, which may be in use.
    Sqlite(PathBuf),
}

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

/// What a command prints.
#[derive(Debug, Clone)]
pub struct Command {
    /// The command.
    pub words: Words,
    /// The name of the file that holds it.
    pub file: String,
    /// What it must look like.
    pub form: Form,
}

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

const FORMS: [(&str, Form); 3] = [("any", Form::Any), ("json", Form::Json), ("sql", Form::Sql)];

/// What a source has that does not say so itself.
pub struct General<'g> {
    /// When it is due.
    pub timetable: Option<&'g Timetable>,
    /// What is kept.
    pub retention: Option<&'g Policy>,
}

/// Reads a source. `None` after a mistake without which nothing can be said.
pub fn read(section: Section<'_, '_>, general: &General<'_>) -> Option<Source> {
    let name = section.name().to_owned();
    if name.is_empty() || name.chars().any(char::is_control) || name.len() as u64 > TEXT_BYTES_MAX {
        section.mistake("", "cannot be the name of a source: empty, too long, or with control characters");
    }
    let kinds = ["directory", "command", "postgres", "sqlite"].map(|kind| (kind, kind));
    let kind = match section.has("kind").then(|| section.choice("kind", &kinds)) {
        Some(kind) => kind,
        None => {
            section.mistake("kind", "is missing: directory, command, postgres or sqlite");
            None
        }
    };
    // Without a kind nobody can say which other keys are right.
    let kind = match kind? {
        "directory" => directory(&section),
        "command" => command(&section),
        "postgres" => postgres(&section),
        _ => section.required("path").map(|path| Kind::Sqlite(path.into())),
    };
    let source = kind.map(|kind| Source {
        name,
        kind,
        enabled: section.flag("enabled").unwrap_or(true),
        timetable: Timetable::read(section.section("schedule"), general.timetable),
        retention: retention::read(section.section("retention"), general.retention),
        hooks: Hooks::read(section.section("hooks")),
        min_bytes: section.number("min_bytes", 0).unwrap_or(1),
    });
    if source.is_some() {
        section.finish();
    }
    source
}

fn directory(section: &Section<'_, '_>) -> Option<Kind> {
    if !section.has("paths") {
        section.mistake("paths", "is missing: a list of folders and files");
    }
    let paths = section.texts("paths")?;
    if paths.iter().all(String::is_empty) {
        section.mistake("paths", "names no folder and no file");
    }
    for path in paths.iter().filter(|path| !path.is_empty() && !path.starts_with('/')) {
        section.mistake("paths", format!("{path:?} must be a full path, since runs start in any folder"));
    }
    Some(Kind::Directory(Directory {
        paths: paths.into_iter().map(PathBuf::from).collect(),
        exclude: section.texts("exclude").unwrap_or_default(),
        exclude_caches: section.flag("exclude_caches").unwrap_or(false),
        one_file_system: section.flag("one_file_system").unwrap_or(false),
    }))
}

fn command(section: &Section<'_, '_>) -> Option<Kind> {
    if !section.has("command") {
        section.mistake("command", "is missing: a list of words, or a text for the shell");
    }
    let (words, file) = (Words::read(section, "command"), section.required("file"));
    let form = section.choice("form", &FORMS);
    let (words, file) = (words?, file?);
    let by_name = || match file.rsplit_once('.').map(|(_, ending)| ending) {
        Some("json") => Form::Json,
        Some("sql") => Form::Sql,
        _ => Form::Any,
    };
    let form = form.unwrap_or_else(by_name);
    Some(Kind::Command(Command { words, file, form }))
}

fn postgres(section: &Section<'_, '_>) -> Option<Kind> {
    let (one, several) = (section.text("database"), section.texts("databases"));
    if one.is_some() && several.is_some() {
        section.mistake("databases", "is one too many: give database or databases");
    }
    let databases = several.unwrap_or_else(|| one.into_iter().collect());
    for name in databases.iter().filter(|name| name.is_empty() || name.contains('/')) {
        section.mistake("databases", format!("{name:?} cannot be the name of a database here"));
    }
    let port = section
        .number("port", 1)
        .and_then(|port| u16::try_from(port).map_err(|_| section.mistake("port", "is above 65535")).ok());
    Some(Kind::Postgres(Postgres {
        host: section.text("host"),
        port,
        user: section.text("user"),
        password: SecretFrom::read(section, PASSWORD),
        globals: section.flag("globals").unwrap_or(databases.is_empty()),
        databases,
        container: section.text("container"),
        options: section.texts("options").unwrap_or_default(),
    }))
}
