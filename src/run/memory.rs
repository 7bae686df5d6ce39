//! What runs of this machine remember between them.
//!
//! Promise: a change is made to what is remembered at that moment, while nobody else makes one: runs of several
//! configurations on one repository lose nothing of each other. What cannot be read for a moment is not overwritten.
//! A cache: lost, things are done once more, and somebody may be told once more. No harm.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use crate::config::Config;
use crate::run::World;
use crate::run::agenda::{What, jobs};
use crate::run::report::{Report, Status};

/// What is remembered. Times are seconds of the clock.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Memory {
    /// The last prune.
    pub pruned: Option<i64>,
    /// The last check.
    pub checked: Option<i64>,
    /// The part that was checked last.
    pub part: u64,
    /// How many problems the last check found.
    pub problems: Option<u64>,
    /// When each source was taken last, whatever came of it.
    pub attempts: BTreeMap<String, i64>,
    /// How often each source failed in a row.
    pub failures: BTreeMap<String, u32>,
    /// The last turn of each source, by its name.
    pub turns: BTreeMap<String, Turn>,
    /// What concerns one configuration alone, by the name that worlds have for it.
    pub configurations: BTreeMap<String, Own>,
}

/// What is remembered of the runs of one configuration.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
#[serde(default)]
pub struct Own {
    /// How the last run ended; one that was well counts only when nothing is left that failed before.
    pub status: Option<Status>,
    /// What failed when it was run last: sources by their names, and what is done for the repository.
    pub failing: BTreeSet<String>,
    /// The last run.
    pub run: Option<Turn>,
    /// The last drill of its sources.
    pub drilled: Option<i64>,
}

/// How a run, or a source's turn in it, ended.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Turn {
    /// When, in seconds of the clock.
    pub ended: i64,
    /// How long it took, in seconds.
    pub duration_seconds: f64,
    /// How.
    pub status: Status,
}

impl Memory {
    /// What is remembered; nothing if it cannot be read.
    pub fn read(place: Option<&Path>) -> Self {
        place.and_then(|place| Self::known(place).ok()).unwrap_or_default()
    }

    /// Changes what is remembered. What that is then, and why it will not be remembered, if so.
    pub fn change(place: Option<&Path>, change: impl FnOnce(&mut Self)) -> (Self, io::Result<()>) {
        // Where nothing can be locked nothing can be written either, which is found out below.
        let lock = place.and_then(|place| File::create(place.with_extension("lock")).ok());
        let _alone = lock.filter(|file| file.lock().is_ok());
        let (mut memory, readable) = match place.map(Self::known) {
            Some(Ok(memory)) => (memory, Ok(())),
            // There may be something, and it is not to be overwritten.
            Some(Err(error)) => (Self::default(), Err(error)),
            None => (Self::default(), Ok(())),
        };
        change(&mut memory);
        let nowhere = || io::Error::new(io::ErrorKind::NotFound, "there is no cache folder");
        let written = readable.and_then(|()| memory.write(place.ok_or_else(nowhere)?));
        (memory, written)
    }

    /// What is remembered: nothing where there is no file, or one that is no memory. An error says nothing of that.
    fn known(place: &Path) -> io::Result<Self> {
        match fs::read(place) {
            Ok(text) => Ok(serde_json::from_slice(&text).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error),
        }
    }

    fn write(&self, place: &Path) -> io::Result<()> {
        let mut file = NamedTempFile::new_in(place.parent().unwrap_or(Path::new(".")))?;
        serde_json::to_writer(&mut file, self)?;
        file.flush()?;
        file.persist(place).map(drop).map_err(|error| error.error)
    }

    /// What is remembered of this configuration.
    pub fn own(&self, world: &World<'_>) -> Own {
        self.configurations.get(&world.configuration).cloned().unwrap_or_default()
    }

    /// The same, to be changed.
    pub fn own_mut(&mut self, world: &World<'_>) -> &mut Own {
        self.configurations.entry(world.configuration.clone()).or_default()
    }

    /// Learns how a run ended, and when it took each source.
    pub fn learn(&mut self, report: &Report, attempts: &BTreeMap<String, i64>, config: &Config, world: &World<'_>) {
        let ended = (world.now)().seconds;
        let turn = |status, duration_seconds| Turn { ended, duration_seconds, status };
        for (name, time) in attempts {
            self.attempts.insert(name.clone(), *time);
            let taken = report.sources.iter().find(|source| source.name == *name);
            if taken.is_some_and(|source| source.status != Status::Failed) {
                self.failures.remove(name);
            } else {
                let failures = self.failures.entry(name.clone()).or_default();
                *failures = failures.saturating_add(1);
            }
        }
        for source in &report.sources {
            self.turns.insert(source.name.clone(), turn(source.status, source.duration_seconds));
        }
        let check = report.upkeep.iter().find(|upkeep| upkeep.what == "check");
        self.problems = check.map(|check| check.problems).or(self.problems);
        let own = self.own_mut(world);
        own.run = Some(turn(report.status, report.duration_seconds));
        own.learn(report, config);
    }
}

impl Own {
    /// What was not in the run is as it was: what failed is well only when it was run again, unless nobody runs it any
    /// more.
    fn learn(&mut self, report: &Report, config: &Config) {
        let enabled = |name: &String| config.sources.iter().any(|source| source.enabled && source.name == *name);
        let bracketed = |what: &str| format!("[{what}]");
        let kept: Vec<What> = jobs(config).into_iter().map(|job| job.what).collect();
        let has_turns =
            |name: &String| kept.iter().any(|what| matches!(what, What::Upkeep(what) if bracketed(what) == *name));
        self.failing.retain(|name| enabled(name) || has_turns(name));
        let sources = report.sources.iter().map(|source| (source.name.clone(), source.status == Status::Done));
        let upkeep = report.upkeep.iter().map(|upkeep| (bracketed(upkeep.what), upkeep.error.is_none()));
        let all: Vec<(String, bool)> = sources.chain(upkeep).collect();
        // A report can have several drills: one that is well does not make up for another.
        self.failing.retain(|known| all.iter().all(|(name, _)| name != known));
        self.failing.extend(all.into_iter().filter(|(_, well)| !well).map(|(name, _)| name));
        if report.status != Status::Done || self.failing.is_empty() {
            self.status = Some(report.status);
        }
    }
}

#[cfg(test)]
#[path = "memory_tests.rs"]
mod tests;
