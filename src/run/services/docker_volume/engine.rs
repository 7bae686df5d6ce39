//! What a Docker engine says, through its own command line client: volumes, and the containers that use them.
//!
//! Promise: changes nothing, but for `create`. An engine that does not answer is an error and no wait without end.
//! Left out on purpose: a client of our own. `docker` knows contexts, sockets and certificates, we never shall.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use serde::Deserialize;

use crate::child;

/// Longest answer.
const ANSWER_BYTES_MAX: usize = 64 << 20;
/// How long a container may take to stop once it was asked to, unless it says otherwise; then it is killed.
const STOPPING: Duration = Duration::from_secs(10);
/// How long one may ask for at most. There are those that want to be waited for without end.
const STOPPING_MAX: Duration = Duration::from_secs(15 * 60);

/// A volume.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Volume {
    /// Its name.
    pub name: String,
    /// What made it.
    pub driver: String,
    /// Where its content is, on the machine that the engine runs on.
    pub mountpoint: PathBuf,
    /// What the driver was told.
    #[serde(default)]
    pub options: Option<BTreeMap<String, String>>,
}

impl Volume {
    /// What it is a mount of, if there is more to it than a folder. Such a mount comes and goes with the containers.
    pub fn mounted(&self) -> Option<&str> {
        let options = self.options.as_ref()?;
        options.get("device").or_else(|| options.get("type")).map(String::as_str)
    }
}

/// A container.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Container {
    name: String,
    /// What it is doing.
    pub state: State,
    #[serde(default)]
    config: Config,
    host_config: HostConfig,
    mounts: Vec<Mount>,
}

/// What a container is doing.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct State {
    /// In a word: running, paused, restarting, exited and the like.
    pub status: String,
    /// How it ended.
    pub exit_code: i64,
    /// Why it could not be started.
    #[serde(default)]
    pub error: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Config {
    #[serde(default)]
    stop_timeout: Option<i64>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct HostConfig {
    auto_remove: bool,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Mount {
    #[serde(default)]
    name: String,
    #[serde(rename = "RW")]
    writable: bool,
}

impl Container {
    /// Its name, as one gives it to `docker`.
    pub fn name(&self) -> &str {
        self.name.strip_prefix('/').unwrap_or(&self.name)
    }

    /// Whether it is gone once it is stopped.
    pub fn removes_itself(&self) -> bool {
        self.host_config.auto_remove
    }

    /// How long it may take to stop before the engine kills it.
    pub fn stopping(&self) -> Duration {
        match self.config.stop_timeout {
            None => STOPPING,
            // Less than nothing means without end.
            Some(seconds) => u64::try_from(seconds).map_or(STOPPING_MAX, Duration::from_secs).min(STOPPING_MAX),
        }
    }

    /// Whether it can write to a volume.
    pub fn writes_to(&self, volume: &str) -> bool {
        self.mounts.iter().any(|mount| mount.writable && mount.name == volume)
    }
}

/// An engine, as `docker` finds it.
#[derive(Debug, Clone, Copy)]
pub struct Engine<'p> {
    /// The program.
    pub program: &'p str,
    /// How long it may take to answer, or to do one thing; that a container may take its time to stop comes on top.
    pub limit: Duration,
}

impl Engine<'static> {
    /// The engine of this machine.
    pub const HERE: Self = Self { program: "docker", limit: Duration::from_secs(60) };
}

impl Engine<'_> {
    /// A docker that is given these words.
    pub fn docker(&self, words: &[&str]) -> Command {
        let mut command = Command::new(self.program);
        command.args(words);
        command
    }

    /// The volume of this name; `None` if there is none.
    pub fn volume(&self, name: &str) -> Result<Option<Volume>, String> {
        // Not by the error of `inspect`: its words are not the same everywhere.
        if !self.volumes(&format!("name={name}"))?.iter().any(|found| found == name) {
            return Ok(None);
        }
        let found: Vec<Volume> = parsed(&self.ask(&["volume", "inspect", name])?)?;
        Ok(found.into_iter().next())
    }

    /// The names of all volumes that a filter leaves, in order.
    pub fn volumes(&self, filter: &str) -> Result<Vec<String>, String> {
        let mut names = lines(&self.ask(&["volume", "ls", "--quiet", "--filter", filter])?);
        names.sort_unstable();
        Ok(names)
    }

    /// Makes a volume.
    pub fn create(&self, name: &str, label: Option<&str>) -> Result<(), String> {
        let label = label.map(|label| ["--label", label]);
        let words = ["volume", "create"].into_iter().chain(label.into_iter().flatten()).chain([name]);
        self.ask(&words.collect::<Vec<_>>()).map(drop)
    }

    /// The containers that use one of the volumes and are in one of these states, the newest first.
    pub fn containers(&self, volumes: &[String], states: &[&str]) -> Result<Vec<Container>, String> {
        let states = states.iter().map(|state| format!("status={state}"));
        let volumes = volumes.iter().map(|volume| format!("volume={volume}"));
        let filters: Vec<String> = states.chain(volumes).collect();
        let mut words = vec!["ps", "--all", "--quiet", "--no-trunc"];
        words.extend(filters.iter().flat_map(|filter| ["--filter", filter]));
        let ids = lines(&self.ask(&words)?);
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        if ids.is_empty() { Ok(Vec::new()) } else { self.inspect(&ids) }
    }

    /// What containers are and do.
    pub fn inspect(&self, names: &[&str]) -> Result<Vec<Container>, String> {
        let words: Vec<&str> = ["inspect", "--type", "container"].iter().chain(names).copied().collect();
        parsed(&self.ask(&words)?)
    }

    /// Where the engine is.
    pub fn address(&self) -> Result<String, String> {
        Ok(self.ask(&["context", "inspect", "--format", "{{.Endpoints.docker.Host}}"])?.trim().to_owned())
    }

    /// What docker prints; what it complains of, if it fails.
    fn ask(&self, words: &[&str]) -> Result<String, String> {
        let printed = child::printed(self.docker(words), ANSWER_BYTES_MAX, self.limit);
        let printed = printed.map_err(|error| match error.strip_prefix(&format!("{} ", self.program)) {
            // Which of its commands it was.
            Some(why) => format!("docker {} {why}", words.iter().take(2).copied().collect::<Vec<_>>().join(" ")),
            None => error,
        })?;
        Ok(String::from_utf8_lossy(&printed).into_owned())
    }
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}

fn parsed<'t, T: Deserialize<'t>>(text: &'t str) -> Result<T, String> {
    serde_json::from_str(text).map_err(|error| format!("docker answers what larder does not understand: {error}"))
}

#[cfg(test)]
#[path = "engine_tests.rs"]
pub mod tests;
