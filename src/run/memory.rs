//! What runs of this machine remember between them.
//!
//! A cache: lost, things are done once more, and somebody may be told once more. No harm.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;
use std::path::Path;

use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use crate::config::Config;
use crate::format::Time;
use crate::run::agenda::{What, jobs};
use crate::run::report::{Report, Status};

/// What is remembered. Times are seconds of the clock.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Memory {
    /// The last prune.
    pub pruned: Option<i64>,
    /// The last check.
    pub checked: Option<i64>,
    /// The last drill.
    pub drilled: Option<i64>,
    /// The part that was checked last.
    #[serde(default)]
    pub part: u64,
    /// How the last run ended; one that was well counts only when nothing is left that failed before.
    pub status: Option<Status>,
    /// What failed when it was run last: sources by their names, and what is done for the repository.
    #[serde(default)]
    pub failing: BTreeSet<String>,
    /// When each source was taken last, whatever came of it.
    #[serde(default)]
    pub attempts: BTreeMap<String, i64>,
    /// The last run.
    #[serde(default)]
    pub run: Option<Turn>,
    /// The last turn of each source, by its name.
    #[serde(default)]
    pub turns: BTreeMap<String, Turn>,
    /// How many problems the last check found.
    #[serde(default)]
    pub problems: Option<u64>,
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
        let text = place.and_then(|place| fs::read(place).ok());
        text.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default()
    }

    /// Learns how a run ended. What was not in it is as it was: what failed is well only when it was run again, unless
    /// nobody runs it any more.
    pub fn learn(&mut self, report: &Report, config: &Config, now: Time) {
        let turn = |status, duration_seconds| Turn { ended: now.seconds, duration_seconds, status };
        self.run = Some(turn(report.status, report.duration_seconds));
        for source in &report.sources {
            self.turns.insert(source.name.clone(), turn(source.status, source.duration_seconds));
        }
        let check = report.upkeep.iter().find(|upkeep| upkeep.what == "check");
        self.problems = check.map(|check| check.problems).or(self.problems);
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

    /// Remembers it, if there is somewhere to.
    pub fn write(&self, place: Option<&Path>) {
        let _done_once_more = place.map(|place| {
            let mut file = NamedTempFile::new_in(place.parent().unwrap_or(Path::new(".")))?;
            serde_json::to_writer(&mut file, self)?;
            file.flush()?;
            file.persist(place).map(drop).map_err(|error| error.error)
        });
    }
}
