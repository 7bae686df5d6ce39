//! How things stand: for each source its newest complete snapshot, the next one, and whether that is as it is meant to
//! be; for the repository its size and the last look at it.
//!
//! Promise: nothing is written to the repository, and no data are read; what is said of snapshots is what the log says,
//! and what only this machine can know (how runs ended, when a check was) is left out where it remembers nothing.
//! Left out on purpose: telling anybody (`run::notify`).

pub mod files;
pub mod metrics;
pub mod objective;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::config::Config;
use crate::config::sources::Source;
use crate::format::Time;
use crate::id::SeriesId;
use crate::ops::retention::{DRILL, TIERS, Taken, is_good};
use crate::repo::Repository;
use crate::repo::state::{Fate, Snapshot, State};
use crate::run::World;
use crate::run::agenda::{self, Job, Lasts, What};
use crate::run::due::{self, Clock};
use crate::run::memory::{Memory, Turn};
use crate::run::report::{Status, coarsest};
use crate::run::status::objective::{Facts, Objective, judge};

pub use files::write;

/// How things stand.
#[derive(Debug, Clone, Serialize)]
pub struct Standing {
    /// When it was looked at.
    #[serde(serialize_with = "rfc3339")]
    pub timestamp: Time,
    /// The machine.
    pub host: String,
    /// The worst of all sources.
    pub objective: Objective,
    /// Each source.
    pub sources: Vec<SourceStanding>,
    /// The repository.
    pub repository: RepositoryStanding,
    /// The last run, of whichever sources.
    pub last_run: Option<LastRun>,
    /// The last check that a run made.
    #[serde(serialize_with = "rfc3339_if_any")]
    pub last_check: Option<Time>,
    /// How many problems it found.
    pub last_check_problems: Option<u64>,
    /// The last prune that a run made.
    #[serde(serialize_with = "rfc3339_if_any")]
    pub last_prune: Option<Time>,
}

/// How a source stands.
#[derive(Debug, Clone, Serialize)]
pub struct SourceStanding {
    /// Its name.
    pub name: String,
    /// When its newest complete snapshot was begun: how new the data are.
    #[serde(serialize_with = "rfc3339_if_any")]
    pub last_success: Option<Time>,
    /// How long ago that is.
    pub age_seconds: Option<f64>,
    /// That snapshot.
    pub snapshot: Option<String>,
    /// Its coarsest tier.
    #[serde(rename = "type")]
    pub tier: Option<&'static str>,
    /// What is in it; null where its record cannot be read.
    pub content: Option<Content>,
    /// Its snapshots.
    pub snapshots: u64,
    /// Those that hold each tier.
    pub snapshots_by_tier: BTreeMap<&'static str, u64>,
    /// When its schedule wants the next run.
    #[serde(serialize_with = "rfc3339_if_any")]
    pub next_run: Option<Time>,
    /// Whether its schedule wants one now.
    pub due: bool,
    /// How old its newest complete snapshot may be.
    #[serde(serialize_with = "seconds_if_any")]
    pub max_age_seconds: Option<Duration>,
    /// Whether it is, and will be, as new.
    pub objective: Objective,
    /// Why not.
    pub reason: Option<String>,
    /// Its last turn in a run on this machine.
    pub last_run: Option<LastRun>,
    /// Its last drill.
    pub last_drill: Option<LastDrill>,
}

/// What is in a snapshot.
#[derive(Debug, Clone, Serialize)]
pub struct Content {
    /// Files.
    pub files: u64,
    /// Bytes in them.
    #[serde(rename = "size_bytes")]
    pub bytes: u64,
    /// Bytes that it added to the repository.
    pub stored_bytes: u64,
    /// How long it took, in seconds.
    pub duration_seconds: f64,
}

/// How a run, or a source's turn in it, ended.
#[derive(Debug, Clone, Serialize)]
pub struct LastRun {
    /// When.
    #[serde(serialize_with = "rfc3339")]
    pub ended: Time,
    /// How long it took, in seconds.
    pub duration_seconds: f64,
    /// How.
    pub status: Status,
}

/// How a drill ended.
#[derive(Debug, Clone, Serialize)]
pub struct LastDrill {
    /// When.
    #[serde(serialize_with = "rfc3339")]
    pub time: Time,
    /// The snapshot whose restore was tried.
    pub snapshot: String,
    /// Whether it is proven that it can be restored.
    pub proven: bool,
}

/// A repository, by its log.
#[derive(Debug, Clone, Serialize)]
pub struct RepositoryStanding {
    /// Where it is.
    pub path: String,
    /// Bytes of all packs.
    pub bytes: u64,
    /// How many packs.
    pub packs: u64,
    /// Snapshots of all series.
    pub snapshots: u64,
}

/// Looks how these sources stand.
pub fn stand(repo: &Repository, config: &Config, sources: &[&Source], memory: &Memory, world: &World<'_>) -> Standing {
    let (now, state) = ((world.now)(), repo.state());
    let at = |seconds: Option<i64>| seconds.map(|seconds| Time { seconds, nanos: 0 });
    let agenda = Agenda::of(config, repo, world);
    let sources: Vec<SourceStanding> =
        sources.iter().map(|source| stand_of(repo, &state, source, &agenda, memory, world)).collect();
    Standing {
        timestamp: now,
        host: world.host.clone(),
        objective: sources.iter().map(|source| source.objective).max().unwrap_or(Objective::None),
        sources,
        repository: repository(&state, config),
        last_run: memory.own(world).run.map(LastRun::from),
        last_check: at(memory.checked),
        last_check_problems: memory.problems,
        last_prune: at(memory.pruned),
    }
}

/// What is due when, as runs and `larder next` have it.
struct Agenda<'a> {
    jobs: Vec<Job<'a>>,
    lasts: Lasts,
    clock: Clock<'a>,
}

impl<'a> Agenda<'a> {
    fn of(config: &'a Config, repo: &Repository, world: &'a World<'_>) -> Self {
        let (jobs, clock) = (agenda::jobs(config), Clock::of(world));
        let lasts = agenda::lasts(&jobs, repo, &clock, world);
        Self { jobs, lasts, clock }
    }

    /// Whether a source is due, and the first moment from now on at which it will be.
    fn of_source(&self, name: &str) -> (bool, Option<Time>) {
        let Some(job) = self.jobs.iter().find(|job| matches!(&job.what, What::Source(source) if source == name)) else {
            return (false, None);
        };
        let now = self.clock.now.timestamp();
        let coming = agenda::coming(job, self.lasts.get(&job.what).copied(), &self.clock, 2);
        let next = coming.iter().find(|moment| **moment > now);
        let time = next.map(|next| Time { seconds: next.as_second(), nanos: 0 });
        (coming.first().is_some_and(|first| *first <= now), time)
    }
}

fn repository(state: &State, config: &Config) -> RepositoryStanding {
    let there = state.packs().filter(|(_, pack)| pack.fate != Fate::Swept);
    let (packs, bytes) = there.fold((0, 0), |(packs, bytes), (_, pack)| (packs + 1, bytes + pack.bytes));
    let path = config.repository.path.display().to_string();
    RepositoryStanding { path, bytes, packs, snapshots: state.live().count() as u64 }
}

fn stand_of(
    repo: &Repository,
    state: &State,
    source: &Source,
    agenda: &Agenda<'_>,
    memory: &Memory,
    world: &World<'_>,
) -> SourceStanding {
    let now = agenda.clock.now;
    let (due, next_run) = agenda.of_source(&source.name);
    let series = repo.keys().series_id(&source.name, &world.host);
    let live: Vec<&Snapshot> = state.live().filter(|snapshot| snapshot.series == series).collect();
    let newest = live.iter().rfind(|snapshot| is_good(snapshot));
    let content = newest.and_then(|newest| content(repo, newest));
    let last = newest.map(|newest| newest.started);
    let turn = memory.turns.get(&source.name).copied();
    let timetable = source.timetable.as_ref().filter(|timetable| source.enabled && timetable.enabled);
    let moment = |after: Time| due::coming(timetable?, after, &source.name, &world.host);
    let (objective, reason) = judge(&Facts {
        now,
        max_age: source.max_age,
        last,
        expected: last.and_then(moment),
        takes_seconds: content.as_ref().map_or(0.0, |content| content.duration_seconds),
        failed: turn.is_some_and(|turn| turn.status == Status::Failed),
    });
    let holding = |tier: &str| live.iter().filter(|snapshot| snapshot.tags.contains(tier)).count() as u64;
    SourceStanding {
        name: source.name.clone(),
        last_success: last,
        age_seconds: last.map(|last| now.seconds_since(last).max(0.0)),
        snapshot: newest.map(|newest| newest.id.to_string()),
        tier: newest.and_then(|newest| coarsest(newest.tags.iter().map(String::as_str))),
        content,
        snapshots: live.len() as u64,
        snapshots_by_tier: TIERS.into_iter().map(|tier| (tier.name(), holding(tier.name()))).collect(),
        next_run,
        due,
        max_age_seconds: source.max_age,
        objective,
        reason,
        last_run: turn.map(LastRun::from),
        last_drill: last_drill(state, series),
    }
}

/// The last drill of a series: of whichever snapshot, also of one that is forgotten since.
fn last_drill(state: &State, series: SeriesId) -> Option<LastDrill> {
    let drilled = |snapshot: &Snapshot| {
        let time = *snapshot.noted.get(DRILL.0)?;
        Some(LastDrill { time, snapshot: snapshot.id.to_string(), proven: Taken::from(snapshot).proven })
    };
    let all = state.snapshots().iter().filter(|snapshot| snapshot.series == series);
    all.filter_map(drilled).max_by_key(|drill| drill.time)
}

fn content(repo: &Repository, snapshot: &Snapshot) -> Option<Content> {
    let record = repo.record(snapshot).ok()?;
    Some(Content {
        files: record.counts.files,
        bytes: record.counts.bytes,
        stored_bytes: record.counts.new_stored_bytes,
        duration_seconds: record.ended.seconds_since(record.started),
    })
}

impl From<Turn> for LastRun {
    fn from(turn: Turn) -> Self {
        let ended = Time { seconds: turn.ended, nanos: 0 };
        Self { ended, duration_seconds: turn.duration_seconds, status: turn.status }
    }
}

fn rfc3339<S: Serializer>(time: &Time, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&time.rfc3339())
}

fn rfc3339_if_any<S: Serializer>(time: &Option<Time>, serializer: S) -> Result<S::Ok, S::Error> {
    time.map(Time::rfc3339).serialize(serializer)
}

fn seconds_if_any<S: Serializer>(length: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    length.map(|length| length.as_secs()).serialize(serializer)
}

#[cfg(test)]
#[path = "status_tests.rs"]
mod tests;
