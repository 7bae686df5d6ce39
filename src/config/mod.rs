//! `larder.toml`: what is backed up, where to, when, and what is kept.
//!
//! Promise: what is read without a mistake can be run; all mistakes are found at once, each with its line and column.
//! Left out on purpose: looking whether what is named exists, and fetching secrets: that is for the run.

pub mod drill;
pub mod hooks;
pub mod mistakes;
pub mod notify;
mod reading;
mod retention;
pub mod schema;
pub mod secret;
pub mod sources;
pub mod status;
mod timetable;
pub mod upkeep;
pub mod variables;

use std::path::PathBuf;

use toml::de::DeTable;

use crate::config::drill::Drill;
use crate::config::hooks::Hooks;
use crate::config::mistakes::{Mistake, Mistakes, Place};
use crate::config::notify::Notify;
use crate::config::reading::{Reading, Section};
use crate::config::secret::{PASSWORD, SecretFrom};
use crate::config::sources::{General, Source};
use crate::config::status::Status;
use crate::config::upkeep::Upkeep;
use crate::config::variables::Variables;
use crate::format::objects::WeekStart;
use crate::ops::retention::Policy;
use crate::repo::seal::Level;
use crate::repo::slots::Credential;

pub use reading::Needs;
pub use timetable::{Missed, OnStart, Timetable};

/// An example with every table, for `larder config example`; the tests read it.
pub const EXAMPLE: &str = include_str!("example.toml");

/// What `larder.toml` says.
#[derive(Debug, Clone)]
pub struct Config {
    /// The repository.
    pub repository: Repository,
    /// When sources are due that do not say so themselves.
    pub timetable: Option<Timetable>,
    /// What is kept of sources that do not say so themselves; everything if nothing is said.
    pub retention: Option<Policy>,
    /// The day on which weeks are to begin: settled when the repository is made.
    pub week_start: Option<WeekStart>,
    /// What is done for the repository, and when.
    pub upkeep: Upkeep,
    /// When it is tried whether what is stored can be restored.
    pub drill: Drill,
    /// What runs around a whole run.
    pub hooks: Hooks,
    /// Who is told how a run ended.
    pub notify: Vec<Notify>,
    /// Where it is said how things stand.
    pub status: Status,
    /// What is backed up, in the order of the names.
    pub sources: Vec<Source>,
    /// What the place must have where it is used.
    pub needs: Needs,
}

/// The repository and what unlocks it.
#[derive(Debug, Clone)]
pub struct Repository {
    /// Its folder.
    pub path: PathBuf,
    /// What unlocks it; the command line and its variables, if nothing is said.
    pub unlock: Option<Unlock>,
    /// How hard new data are compressed.
    pub level: Level,
}

/// What unlocks a repository.
#[derive(Debug, Clone)]
pub enum Unlock {
    /// A password.
    Password(SecretFrom),
    /// A key file.
    KeyFile(PathBuf),
}

impl Unlock {
    /// Fetches it: what [`open`](crate::repo::open::open) takes. Errors never hold any of it.
    pub fn credential(&self, variables: &Variables) -> Result<Credential, String> {
        match self {
            Self::Password(from) => from.fetch(variables).map(Credential::Password),
            Self::KeyFile(path) => secret::key_file(path).map(Credential::KeyFile),
        }
    }
}

/// Reads a configuration.
pub fn read(text: &str, variables: &Variables) -> Result<Config, Mistakes> {
    let (table, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        let mistake = |error: &toml::de::Error| Mistake {
            place: error.span().map(|span| Place::of(text, &span)),
            key: String::new(),
            message: error.message().to_owned(),
        };
        return Err(Mistakes(errors.iter().map(mistake).collect()));
    }
    let reading = Reading::new(text, variables);
    let config = whole(Section::root(&reading, table.get_ref()));
    let needs = reading.needs();
    let mistakes = reading.finish();
    match config {
        Some(config) if mistakes.is_empty() => Ok(Config { needs, ..config }),
        _ => Err(Mistakes(mistakes)),
    }
}

fn whole(root: Section<'_, '_>) -> Option<Config> {
    let repository = repository(root.section("repository"));
    let timetable = Timetable::read(root.section("schedule"), None);
    let retention = root.section("retention");
    let week_start =
        retention.choice("week_start", &[WeekStart::Monday, WeekStart::Sunday].map(|day| (day.name(), day)));
    let retention = retention::read(retention, None);
    let upkeep = Upkeep::read(root.section("prune"), root.section("check"), timetable.as_ref());
    let drill = Drill::read(root.section("drill"), timetable.as_ref());
    let hooks = Hooks::of_runs(root.section("hooks"));
    let notify = root.section("notify").named().into_iter().filter_map(notify::read).collect();
    let status = Status::read(root.section("status"));
    let named = root.section("source").named();
    if named.is_empty() {
        root.mistake("source", "there is no source: add a table such as [source.files]");
    }
    let general = General { timetable: timetable.as_ref(), retention: retention.as_ref(), max_age: status.max_age };
    let mut sources: Vec<Source> = named.into_iter().filter_map(|section| sources::read(section, &general)).collect();
    sources.sort_by(|a, b| a.name.cmp(&b.name));
    root.finish();
    Some(Config {
        repository: repository?,
        timetable,
        retention,
        week_start,
        upkeep,
        drill,
        hooks,
        notify,
        status,
        sources,
        needs: Needs::default(),
    })
}

fn repository(section: Section<'_, '_>) -> Option<Repository> {
    let path = section.required("path").map(PathBuf::from);
    let key_file = section.text("key_file").map(|path| Unlock::KeyFile(path.into()));
    let password = SecretFrom::read(&section, PASSWORD).map(Unlock::Password);
    if key_file.is_some() && password.is_some() {
        section.mistake("key_file", "is one too many: a password unlocks this repository");
    }
    let level = section.number("compression_level", 1).map_or(Some(Level::DEFAULT), Level::new);
    if level.is_none() {
        section.mistake("compression_level", "is 1 (fast) to 19 (small)");
    }
    section.finish();
    Some(Repository { path: path?, unlock: key_file.or(password), level: level? })
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
