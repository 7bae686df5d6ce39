//! Everything that has a schedule, and when each is due next.
//!
//! Promise: what is said to be due here is what a run does: sources, prune, check and drills, those that are enabled.
//! Left out on purpose: waiting (`daemon`).

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::config::{Config, Timetable};
use crate::format::Time;
use crate::repo::Repository;
use crate::run::World;
use crate::run::due::{self, Clock};
use crate::run::memory::Memory;

/// What is due.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// A source, by its name.
    Source(String),
    /// Something for the repository, by the name it has in a report: `prune`, `check`, `drill`.
    Upkeep(&'static str),
}

impl What {
    /// Its name.
    pub fn name(&self) -> &str {
        match self {
            What::Source(name) => name,
            What::Upkeep(name) => name,
        }
    }
}

/// Something that has a schedule.
#[derive(Debug, Clone)]
pub struct Job<'c> {
    /// What.
    pub what: What,
    /// When.
    pub timetable: &'c Timetable,
}

/// Everything that is enabled and has a schedule that counts: sources, then what is done for the repository.
pub fn jobs(config: &Config) -> Vec<Job<'_>> {
    let sources = config.sources.iter().filter(|source| source.enabled);
    let sources = sources.filter_map(|source| Some((What::Source(source.name.clone()), source.timetable.as_ref()?)));
    let prune = config.upkeep.prune.iter().map(|prune| (What::Upkeep("prune"), &prune.timetable));
    let check = config.upkeep.check.iter().map(|check| (What::Upkeep("check"), &check.timetable));
    let drill = config.drill.timetable.iter().map(|timetable| (What::Upkeep("drill"), timetable));
    let all = sources.chain(prune).chain(check).chain(drill).map(|(what, timetable)| Job { what, timetable });
    all.filter(|job| job.timetable.enabled).collect()
}

/// When things were done last.
pub type Lasts = BTreeMap<What, Time>;

/// When each was done last, if ever: by the snapshots, and by what runs of this machine remember, which is where those
/// are that left none.
pub fn lasts(jobs: &[Job<'_>], repo: &Repository, memory: &Memory, clock: &Clock<'_>) -> Lasts {
    let remembered = |seconds: Option<i64>| seconds.map(|seconds| Time { seconds, nanos: 0 });
    let mut lasts = Lasts::new();
    for job in jobs {
        let (stored, remembered) = match &job.what {
            What::Source(name) => {
                let series = repo.keys().series_id(name, clock.host);
                let stored = repo.state().newest_of(series).map(|snapshot| snapshot.started);
                (stored, remembered(memory.attempts.get(name).copied()))
            }
            What::Upkeep("prune") => (None, remembered(memory.pruned)),
            What::Upkeep("drill") => (None, remembered(memory.drilled)),
            What::Upkeep(_) => (None, remembered(memory.checked)),
        };
        if let Some(last) = latest([stored, remembered], clock) {
            lasts.insert(job.what.clone(), last);
        }
    }
    lasts
}

/// The latest of some times. What the clock denies counts only where there is nothing else.
pub fn latest(times: impl IntoIterator<Item = Option<Time>>, clock: &Clock<'_>) -> Option<Time> {
    times.into_iter().flatten().max_by_key(|time| (!clock.denies(*time), *time))
}

/// What is due now.
pub fn due(config: &Config, repo: &Repository, world: &World<'_>) -> Vec<What> {
    let clock = Clock { now: (world.now)(), booted: world.booted, host: &world.host };
    let jobs = jobs(config);
    let lasts = lasts(&jobs, repo, &Memory::read(world.memory.as_deref()), &clock);
    let is_due = |job: &Job<'_>| {
        next(job, lasts.get(&job.what).copied(), &clock).is_some_and(|moment| moment <= clock.now.timestamp())
    };
    jobs.into_iter().filter(is_due).map(|job| job.what).collect()
}

/// When a job is due next; a moment that has passed if it is due.
pub fn next(job: &Job<'_>, last: Option<Time>, clock: &Clock<'_>) -> Option<Timestamp> {
    due::next(job.timetable, last, job.what.name(), clock)
}

/// The next moments of a job, so many at most. One that has passed is the first, if it is due.
pub fn coming(job: &Job<'_>, last: Option<Time>, clock: &Clock<'_>, count: usize) -> Vec<Timestamp> {
    let now = clock.now.timestamp();
    let after = |moment: &Timestamp| due::following(job.timetable, (*moment).max(now), job.what.name(), clock.host);
    std::iter::successors(next(job, last, clock), after).take(count).collect()
}
