//! Everything that has a schedule, and when each is due next.
//!
//! Promise: what is said to be due here is what a run does: sources, prune, check and drills, those that are enabled.
//! Left out on purpose: waiting (`daemon`).

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

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

/// How something stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Last {
    /// When it was done last.
    pub time: Time,
    /// How often it failed in a row.
    pub failures: u32,
    /// The attempt that was counted last. Whatever was done later, nobody could remember how it went.
    pub counted: Option<Time>,
}

/// How things stand that were done before.
pub type Lasts = BTreeMap<What, Last>;

/// How each stands that was done before: by the snapshots, and by what runs of this machine remember, which is where those
/// are that left none.
pub fn lasts(jobs: &[Job<'_>], repo: &Repository, clock: &Clock<'_>, world: &World<'_>) -> Lasts {
    let memory = Memory::read(world.memory.as_deref());
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
            What::Upkeep("drill") => (None, remembered(memory.own(world).drilled)),
            What::Upkeep(_) => (None, remembered(memory.checked)),
        };
        // Only sources are tried again, and a source may be called `prune`.
        let failures = match &job.what {
            What::Source(name) if !is_outdated(&memory, name, stored, clock) => memory.failures.get(name).copied(),
            _ => None,
        };
        if let Some(time) = latest([stored, remembered], clock) {
            lasts.insert(job.what.clone(), Last { time, failures: failures.unwrap_or(0), counted: remembered });
        }
    }
    lasts
}

/// The latest of some times. What the clock denies counts only where there is nothing else.
pub fn latest(times: impl IntoIterator<Item = Option<Time>>, clock: &Clock<'_>) -> Option<Time> {
    times.into_iter().flatten().max_by_key(|time| (!clock.denies(*time), *time))
}

/// Whether a source was stored after the last run of it that is remembered: one that could not remember how it went.
fn is_outdated(memory: &Memory, name: &str, stored: Option<Time>, clock: &Clock<'_>) -> bool {
    let ended = memory.turns.get(name).map(|turn| turn.ended);
    let remembered = memory.attempts.get(name).copied().max(ended);
    let stored = stored.filter(|stored| !clock.denies(*stored)).map(|stored| stored.seconds);
    stored.is_some_and(|stored| remembered.is_some_and(|remembered| stored > remembered))
}

/// What is due now.
pub fn due(config: &Config, repo: &Repository, world: &World<'_>) -> Vec<What> {
    let clock = Clock { now: (world.now)(), booted: world.booted, host: &world.host };
    let jobs = jobs(config);
    let lasts = lasts(&jobs, repo, &clock, world);
    let is_due = |job: &Job<'_>| {
        next(job, lasts.get(&job.what).copied(), &clock).is_some_and(|moment| moment <= clock.now.timestamp())
    };
    jobs.into_iter().filter(is_due).map(|job| job.what).collect()
}

/// When a job is due next; a moment that has passed if it is due.
pub fn next(job: &Job<'_>, last: Option<Last>, clock: &Clock<'_>) -> Option<Timestamp> {
    let moment = due::next(job.timetable, last.map(|last| last.time), job.what.name(), clock);
    let again = last.and_then(|last| again(job.timetable, last));
    moment.into_iter().chain(again).min()
}

/// When what failed is tried again before its next moment: after a pause that is four times as long each time.
fn again(timetable: &Timetable, last: Last) -> Option<Timestamp> {
    let pause = SignedDuration::try_from(timetable.retry?).ok()?;
    let times = 4_i32.checked_pow(last.failures.checked_sub(1)?)?;
    last.time.timestamp().checked_add(pause.checked_mul(times)?).ok()
}

/// The next moments of a job, so many at most. One that has passed is the first, if it is due.
pub fn coming(job: &Job<'_>, last: Option<Last>, clock: &Clock<'_>, count: usize) -> Vec<Timestamp> {
    let now = clock.now.timestamp();
    let after = |moment: &Timestamp| due::following(job.timetable, (*moment).max(now), job.what.name(), clock.host);
    std::iter::successors(next(job, last, clock), after).take(count).collect()
}
