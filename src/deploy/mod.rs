//! Ready files by which other programs start larder: units of systemd, a crontab, a service of Docker Compose.
//!
//! Promise: pure; what is made starts larder at the moments that its own schedule says, or every few minutes where the
//! other program cannot say them, and then the file tells why.
//! Left out on purpose: putting the files where they belong, and looking whether what is named exists.

pub mod calendar;
pub mod compose;
pub mod cron;
mod moments;
mod places;
pub mod systemd;
pub mod variables;

use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::config::Config;

/// How often larder looks for what is due where moments cannot be said, in minutes.
const LOOK_MINUTES: u32 = 5;

/// What the files are made of.
#[derive(Debug, Clone, Copy)]
pub struct Setup<'s> {
    /// What `larder.toml` says.
    pub config: &'s Config,
    /// Where it is: a full path.
    pub file: &'s Path,
    /// Where the program is: a full path.
    pub program: &'s Path,
    /// A file of variables that the configuration needs.
    pub variables: Option<&'s Path>,
    /// The name of this machine.
    pub host: &'s str,
    /// Who runs it.
    pub user: Option<&'s str>,
    /// From when on.
    pub now: Timestamp,
}

/// What larder runs as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Runs {
    /// Started whenever something is due.
    WhenDue,
    /// Always there, and does what is due itself.
    AsDaemon,
}

/// A file that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ready {
    /// Its name.
    pub name: String,
    /// What is in it.
    pub text: String,
}

/// What was made, and what should be known about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// The files.
    pub files: Vec<Ready>,
    /// What will not work as it is.
    pub warnings: Vec<String>,
}

/// Why nothing can be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no moment to start anything at.
    #[error("nothing that is enabled has a schedule")]
    NoSchedule,
    /// A service has no folder that it could mean.
    #[error("{what} is {path}, which is no full path")]
    Relative {
        /// What it is.
        what: String,
        /// The path.
        path: PathBuf,
    },
    /// Such a file cannot hold it.
    #[error("{0:?} cannot be written into such a file: it is no text, or something in it means something else there")]
    Unwritable(String),
}

/// A path as text that a file of lines can hold. A backslash at the end of a line takes the next one for its own.
fn text_of(path: &Path) -> Result<&str, Error> {
    let text = path.to_str().filter(|text| !text.chars().any(char::is_control) && !text.ends_with('\\'));
    text.ok_or_else(|| Error::Unwritable(path.display().to_string()))
}

/// A name of a user. `more`: what it may have beside letters, digits and `_.-`.
fn user_of<'u>(user: &'u str, more: &str) -> Result<&'u str, Error> {
    let good = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c) || more.contains(c);
    if !user.is_empty() && user.chars().all(good) { Ok(user) } else { Err(Error::Unwritable(user.to_owned())) }
}

/// A text that stays in its line.
fn line(text: &str) -> String {
    text.replace(|c: char| c.is_control() || c == '\\', "?")
}

/// What the variables are that larder.toml was read with, if there is no file for them.
fn without_variables(setup: &Setup<'_>) -> Option<String> {
    let names: Vec<&str> = setup.config.needs.variables.iter().map(String::as_str).collect();
    let missing = setup.variables.is_none() && !names.is_empty();
    missing.then(|| {
        format!("larder.toml needs variables that are not set there: {}; give --env-file FILE", names.join(", "))
    })
}

#[cfg(test)]
#[path = "deploy_tests.rs"]
mod tests;
