//! `[source.NAME]`: what is backed up. What only one kind has is in a file of its own.

pub mod command;
pub mod directory;
pub mod docker_volume;
#[cfg(feature = "services")]
pub mod http;
pub mod mariadb;
pub mod n8n;
pub mod postgres;
#[cfg(feature = "services")]
pub mod qdrant;
#[cfg(feature = "services")]
pub mod rabbitmq;
pub mod redis;
#[cfg(feature = "services")]
pub mod s3;
pub mod sqlite;

use std::time::Duration;

use crate::config::drill::{Check, SourceDrill};
use crate::config::hooks::Hooks;
use crate::config::reading::Section;
use crate::config::{Timetable, retention, status};
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
    /// What a drill of it is.
    pub drill: SourceDrill,
    /// How old its newest complete snapshot may be.
    pub max_age: Option<Duration>,
}

/// What a source is.
#[derive(Debug, Clone)]
pub enum Kind {
    /// What a command prints.
    Command(command::Command),
    /// Folders and files.
    Directory(directory::Directory),
    /// Volumes of a Docker engine.
    DockerVolume(docker_volume::DockerVolume),
    /// What a server answers.
    #[cfg(feature = "services")]
    Http(http::Http),
    /// Databases of a MariaDB server.
    Mariadb(mariadb::Mariadb),
    /// Workflows and credentials of n8n.
    N8n(n8n::N8n),
    /// Databases of a PostgreSQL server.
    Postgres(postgres::Postgres),
    /// Collections of a Qdrant server.
    #[cfg(feature = "services")]
    Qdrant(qdrant::Qdrant),
    /// What a RabbitMQ node is told to have, and its data.
    #[cfg(feature = "services")]
    Rabbitmq(rabbitmq::Rabbitmq),
    /// What a Redis server holds.
    Redis(redis::Redis),
    /// A bucket.
    #[cfg(feature = "services")]
    S3(s3::S3),
    /// An SQLite database, which may be in use.
    Sqlite(sqlite::Sqlite),
}

/// Reads the keys of one kind. `None` after a mistake without which nothing can be said.
type Reader = fn(&Section<'_, '_>) -> Option<Kind>;

/// In the order of their names.
const KINDS: &[(&str, Reader)] = &[
    ("command", command::read),
    ("directory", directory::read),
    ("docker_volume", docker_volume::read),
    #[cfg(feature = "services")]
    ("http", http::read),
    ("mariadb", mariadb::read),
    ("n8n", n8n::read),
    ("postgres", postgres::read),
    #[cfg(feature = "services")]
    ("qdrant", qdrant::read),
    #[cfg(feature = "services")]
    ("rabbitmq", rabbitmq::read),
    ("redis", redis::read),
    #[cfg(feature = "services")]
    ("s3", s3::read),
    ("sqlite", sqlite::read),
];

/// What a source has that does not say so itself.
pub struct General<'g> {
    /// When it is due.
    pub timetable: Option<&'g Timetable>,
    /// What is kept.
    pub retention: Option<&'g Policy>,
    /// How old its newest complete snapshot may be.
    pub max_age: Option<Duration>,
}

/// Reads a source. `None` after a mistake without which nothing can be said.
pub fn read(section: Section<'_, '_>, general: &General<'_>) -> Option<Source> {
    let name = section.name().to_owned();
    if name.is_empty() || name.chars().any(char::is_control) || name.len() as u64 > TEXT_BYTES_MAX {
        section.mistake("", "cannot be the name of a source: empty, too long, or with control characters");
    }
    if !section.has("kind") {
        section.mistake(
            "kind",
            format!("is missing: {}", KINDS.iter().map(|(kind, _)| *kind).collect::<Vec<_>>().join(", ")),
        );
        return None;
    }
    // Without a kind nobody can say which other keys are right.
    let kind = section.choice("kind", KINDS)?(&section);
    // Whatever is missing: all mistakes are said at once.
    let enabled = section.flag("enabled").unwrap_or(true);
    let timetable = Timetable::read(section.section("schedule"), general.timetable);
    let retention = retention::read(section.section("retention"), general.retention);
    let hooks = Hooks::of_source(section.section("hooks"));
    let min_bytes = section.number("min_bytes", 0).unwrap_or(1);
    let drill = SourceDrill::read(section.section("drill"));
    let max_age = status::max_age(&section).or(general.max_age);
    let source =
        kind.map(|kind| Source { name, kind, enabled, timetable, retention, hooks, min_bytes, drill, max_age });
    if let Some(source) = &source {
        look_at_drill(&section, source);
    }
    section.finish();
    source
}

/// Notes what a drill of this kind cannot do.
fn look_at_drill(section: &Section<'_, '_>, source: &Source) {
    let asks = source.drill.checks.iter().any(|check| matches!(check, Check::Sql { .. }));
    if asks && !matches!(source.kind, Kind::Mariadb(_) | Kind::Postgres(_) | Kind::Sqlite(_)) {
        section.section("drill").mistake("checks", "has `sql`, which only mariadb, postgres and sqlite can answer");
    }
}

const FORMS: [(&str, Form); 4] = [("any", Form::Any), ("json", Form::Json), ("sql", Form::Sql), ("tar", Form::Tar)];

/// What a file must look like: what `form` says, or else the file's ending.
fn form(section: &Section<'_, '_>, file: Option<&str>) -> Form {
    section.choice("form", &FORMS).unwrap_or_else(|| {
        match file.and_then(|file| file.rsplit_once('.')).map(|(_, ending)| ending) {
            Some("json") => Form::Json,
            Some("sql") => Form::Sql,
            Some("tar") => Form::Tar,
            _ => Form::Any,
        }
    })
}

/// The name of the file that one stream becomes.
fn file(section: &Section<'_, '_>) -> Option<String> {
    let file = section.required("file")?;
    if file.contains('/') || file == "." || file == ".." {
        section.mistake("file", format!("{file:?} is a path: give the name of one file, without /"));
    }
    Some(file)
}

/// The databases of a server that are wanted, by names that files can have; none if nothing is said.
fn databases(section: &Section<'_, '_>) -> Vec<String> {
    let (one, several) = (section.text("database"), section.texts("databases"));
    if one.is_some() && several.is_some() {
        section.mistake("databases", "is one too many: give database or databases");
    }
    let databases: Vec<String> = several.unwrap_or_else(|| one.into_iter().collect());
    for name in databases.iter().filter(|name| name.is_empty() || name.contains('/')) {
        section.mistake("databases", format!("{name:?} cannot be the name of a database here"));
    }
    databases
}

/// Where a server is that can be reached over a network or by a socket.
fn place(section: &Section<'_, '_>) -> (Option<String>, Option<u16>, Option<String>) {
    let (host, port, socket) = (section.text("host"), section.port(), section.text("socket"));
    if socket.is_some() && (host.is_some() || port.is_some()) {
        section.mistake("socket", "is one too many: give socket, or host and port");
    }
    (host, port, socket)
}
