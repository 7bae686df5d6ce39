//! One run of what `larder.toml` says: for each source its hooks, a snapshot, a look at what was stored, and retention.
//!
//! Promise: a source that fails never keeps another from its turn, and forgets nothing; what is reported as verified was
//! read back out of the repository.
//! Left out on purpose: when to run (`schedule`), and who is told.

pub mod agenda;
pub mod alone;
pub mod daemon;
pub mod doctor;
pub mod drill;
pub mod due;
pub mod hooks;
pub mod into;
pub mod memory;
pub mod notify;
pub mod report;
pub mod room;
pub mod services;
pub mod status;
pub mod upkeep;

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::config::Config;
use crate::config::hooks::Hooks;
use crate::config::sources::Source;
use crate::config::variables::Variables;
use crate::crypto::random;
use crate::format::Time;
use crate::format::listing::Owner;
use crate::id::SnapshotId;
use crate::ops::backup::{self, Mode, Options};
use crate::ops::forget::{self, What};
use crate::ops::note;
use crate::ops::retention::in_order;
use crate::ops::verify::verify;
use crate::progress::{Event, Observer};
use crate::repo::{self, Repository};
use crate::run::alone::Alone;
use crate::run::hooks::{Around, Facts, Stopped};
use crate::run::memory::Memory;
use crate::run::report::{Report, SourceReport, Status};
use crate::run::services::{Prepared, Purpose, release, service, with_causes};

/// What to run.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// Tags given by hand.
    pub tags: Vec<String>,
    /// A remark.
    pub description: String,
    /// Whether nothing is to be stored.
    pub dry_run: bool,
    /// Why these sources.
    pub why: Why,
}

/// Why sources are taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Why {
    /// Somebody wants them.
    #[default]
    Asked,
    /// They are due: one that another run took while this one waited for that is not taken again.
    Due,
}

/// What a run needs of the world.
pub struct World<'w> {
    /// The clock.
    pub now: &'w dyn Fn() -> Time,
    /// The variables.
    pub variables: &'w Variables,
    /// The name of this machine.
    pub host: String,
    /// Who runs it, who owns the files that streams become.
    pub owner: Owner,
    /// Threads.
    pub threads: usize,
    /// When the machine was started, if that is known.
    pub booted: Option<Time>,
    /// A file that remembers when the repository was looked after last; `None` where nothing can be remembered.
    pub memory: Option<PathBuf>,
    /// What the configuration is called where things are remembered of it.
    pub configuration: String,
    /// Folders of larder's own, repository and cache, by their real paths: never written to by a restore.
    pub own: Vec<PathBuf>,
    /// Their device and inode numbers, by which a backup knows what to leave out.
    pub skip: Vec<(u64, u64)>,
    /// Who watches.
    pub observer: &'w dyn Observer,
}

/// The sources that a run takes: those named, or every one that is enabled. An error is the name nobody knows.
pub fn chosen<'c>(config: &'c Config, names: &[String]) -> Result<Vec<&'c Source>, String> {
    let known = |name: &&String| config.sources.iter().any(|source| source.name == **name);
    if let Some(name) = names.iter().find(|name| !known(name)) {
        return Err(name.clone());
    }
    let wanted = |source: &&Source| if names.is_empty() { source.enabled } else { names.contains(&source.name) };
    Ok(config.sources.iter().filter(wanted).collect())
}

/// Runs the sources, one after the other.
pub fn run(
    repo: &Repository,
    config: &Config,
    sources: &[&Source],
    request: &Request,
    world: &World<'_>,
) -> Result<Report, crate::crypto::Error> {
    let started = (world.now)();
    let id = hex::encode(random::bytes::<8>()?);
    let facts = |status| Facts { run: &id, source: "", status, snapshot: "" };
    let mut report = Report {
        run: id.clone(),
        host: world.host.clone(),
        timestamp: String::new(),
        tier: None,
        started: started.rfc3339(),
        ended: String::new(),
        duration_seconds: 0.0,
        dry_run: request.dry_run,
        status: Status::Done,
        sources: Vec::new(),
        upkeep: Vec::new(),
        errors: Vec::new(),
        told: Vec::new(),
        unwritten: Vec::new(),
    };
    let mut attempts: BTreeMap<String, i64> =
        sources.iter().map(|source| (source.name.clone(), started.seconds)).collect();
    let (around, ready) = begin(&config.hooks, request, &facts(None));
    let known = repo.state().head;
    let take = |source: &&Source| {
        let taken = run_alone(repo, source, request, world, &id, known);
        match &taken {
            Some((at, _)) => attempts.insert(source.name.clone(), at.seconds),
            None => attempts.remove(&source.name),
        };
        taken.map(|(_, report)| report)
    };
    match ready {
        Ok(()) => report.sources = sources.iter().filter_map(take).collect(),
        Err(error) => report.errors.push(format!("{error}\nnothing was run")),
    }
    if report.errors.is_empty() && !request.dry_run {
        if let Err(error) = note_verified(repo, &report, world) {
            report.errors.push(error);
        }
        report.upkeep = upkeep::run(repo, &config.upkeep, world);
        report.upkeep.extend(drill::if_due(repo, config, world));
    }
    let worst = report.sources.iter().map(|source| source.status).max().unwrap_or(Status::Done);
    let unkempt = report.upkeep.iter().any(|upkeep| upkeep.error.is_some());
    report.status = if report.errors.is_empty() && !unkempt { worst } else { Status::Failed };
    if let Some(around) = around {
        report.errors.extend(around.end(&facts(Some(report.status))));
    }
    if !report.errors.is_empty() {
        report.status = Status::Failed;
    }
    report.end(started, (world.now)());
    if !request.dry_run {
        conclude(repo, config, &mut report, &attempts, world);
    }
    Ok(report)
}

/// Tells who is to be told, remembers, and writes files.
fn conclude(
    repo: &Repository,
    config: &Config,
    report: &mut Report,
    attempts: &BTreeMap<String, i64>,
    world: &World<'_>,
) {
    let mut memory = Memory::read(world.memory.as_deref());
    let before = memory.own(world).status;
    memory.learn(report, attempts, config, world);
    // Nothing is well again as long as something else is not.
    let before = before.filter(|_| memory.own(world).failing.is_empty());
    report.told = notify::tell(&config.notify, report, before, world);
    // Last: a run that was killed while it told is told of again. Others may have learned something meanwhile.
    let learn = |memory: &mut Memory| memory.learn(report, attempts, config, world);
    let (memory, _done_once_more) = Memory::change(world.memory.as_deref(), learn);
    report.unwritten = status::write(repo, config, report, &memory, world);
}

/// Notes in the log what was read back and is well formed: one entry for all.
fn note_verified(repo: &Repository, report: &Report, world: &World<'_>) -> Result<(), String> {
    let verified = report.sources.iter().filter(|source| source.verified == Some(true));
    let ids = verified.filter_map(|source| hex::decode(source.snapshot.as_ref()?).ok()?.try_into().ok());
    let ids: Vec<SnapshotId> = ids.map(SnapshotId::new).collect();
    note::verified(repo, &ids, (world.now)()).map_err(|error| format!("what is verified is not noted: {error}"))
}

/// Begins with the hooks, of which a dry run has none.
fn begin<'h>(hooks: &'h Hooks, request: &Request, facts: &Facts<'_>) -> (Option<Around<'h>>, Result<(), String>) {
    if request.dry_run {
        return (None, Ok(()));
    }
    let (around, ready) = Around::begin(hooks, facts);
    (Some(around), ready)
}

/// Whether there is a snapshot of a source that came into the log after an entry. That others were forgotten is nothing.
fn has_newer(repo: &Repository, source: &Source, world: &World<'_>, known: u64) -> bool {
    let series = repo.keys().series_id(&source.name, &world.host);
    repo.refresh().is_ok_and(|state| state.newest_of(series).is_some_and(|newest| newest.seq > known))
}

/// Waits until no other run of this machine is at a source.
fn alone_at(source: &Source, world: &World<'_>) -> Alone {
    Alone::at(world.memory.as_deref(), &format!("source {}", source.name), || {
        world.observer.event(Event::Note(&format!("{}: waiting for another run that is at it", source.name)));
    })
}

/// Takes a source as soon as no other run is at it, and says when. `known`: the log's newest entry when it was found due.
fn run_alone(
    repo: &Repository,
    source: &Source,
    request: &Request,
    world: &World<'_>,
    run: &str,
    known: u64,
) -> Option<(Time, SourceReport)> {
    let _alone = (!request.dry_run).then(|| alone_at(source, world));
    // An error is one of the backup, too, which says it.
    if request.why == Why::Due && has_newer(repo, source, world, known) {
        world.observer.event(Event::Note(&format!("{}: another run took it meanwhile", source.name)));
        return None;
    }
    Some(((world.now)(), run_one(repo, source, request, world, run)))
}

fn run_one(repo: &Repository, source: &Source, request: &Request, world: &World<'_>, run: &str) -> SourceReport {
    let started = (world.now)();
    let mut report = SourceReport::new(&source.name, started);
    let facts = |status, snapshot| Facts { run, source: &source.name, status, snapshot };
    let (around, ready) = begin(&source.hooks, request, &facts(None, ""));
    match ready.and_then(|()| service(&source.kind).prepare(world)) {
        Ok(prepared) => snapshot(repo, source, &prepared, request, world, &facts(None, ""), &mut report),
        Err(error) => report.fail(error),
    }
    if let Some(around) = around {
        let snapshot = report.snapshot.clone().unwrap_or_default();
        for error in around.end(&facts(Some(report.status), &snapshot)) {
            report.fail(error);
        }
    }
    report.duration_seconds = (world.now)().seconds_since(started);
    report
}

/// Makes the snapshot, looks at it, and lets older ones go.
fn snapshot(
    repo: &Repository,
    source: &Source,
    prepared: &Prepared,
    request: &Request,
    world: &World<'_>,
    facts: &Facts<'_>,
    report: &mut SourceReport,
) {
    let options = Options {
        source: source.name.clone(),
        host: world.host.clone(),
        user: String::from_utf8_lossy(&world.owner.user).into_owned(),
        description: request.description.clone(),
        tags: request.tags.clone(),
        paths: prepared.paths.clone(),
        mode: if request.dry_run { Mode::DryRun } else { Mode::Store },
        threads: world.threads,
    };
    // A dry run stops nothing.
    let held = if request.dry_run { Ok(None) } else { service(&source.kind).hold(Purpose::Backup, world) };
    let mut held = match held {
        Ok(held) => held,
        Err(error) => return report.fail(error),
    };
    let Stopped { done, started } = store(repo, source, prepared, &options, world, facts);
    // Before anything else, whatever came of it: somebody waits for it.
    if let Err(error) = release(&mut held) {
        report.fail(error);
    }
    let stored = done.as_ref().ok().and_then(|stored| stored.snapshot);
    match done {
        Ok(stored) => {
            report.stored(&stored);
            let small = (stored.counts.bytes < source.min_bytes)
                .then(|| format!("has {} bytes, less than {} (min_bytes)", stored.counts.bytes, source.min_bytes));
            small.iter().for_each(|flaw| report.fail(flaw));
            if let Some(id) = stored.snapshot {
                let flaw = look(repo, id, prepared, world, report);
                if let Some(flaw) = small.or(flaw)
                    && let Err(error) = note::refuted(repo, id, &flaw, &request.tags, (world.now)())
                {
                    report.fail(format!("what is wrong with snapshot {} is not noted: {error}", id.short()));
                }
            }
        }
        Err(error) => report.fail(error),
    }
    if let Err(error) = started {
        report.fail(error);
    }
    // What failed must not push what is good out of its place.
    if report.status != Status::Failed && !request.dry_run {
        forget_older(repo, source, world, report);
    }
    let state = repo.state();
    if let Some(snapshot) = stored.and_then(|id| state.snapshot(&id)) {
        report.has_tags(in_order(&snapshot.tags).map(str::to_owned).collect());
    }
}

/// Reads a source into a snapshot, while it is stopped if that is what it takes.
fn store(
    repo: &Repository,
    source: &Source,
    prepared: &Prepared,
    options: &Options,
    world: &World<'_>,
    facts: &Facts<'_>,
) -> Stopped<backup::Report> {
    let read = || {
        backup::run(repo, prepared.source.as_ref(), options, world.now, world.observer)
            .map_err(|error| with_advice(&error))
    };
    if options.mode == Mode::Store && service(&source.kind).reads_stopped() {
        hooks::while_stopped(&source.hooks, facts, read)
    } else {
        Stopped { done: read(), started: Ok(()) }
    }
}

/// Why there is no snapshot, and what to do when it is the repository that refuses.
fn with_advice(error: &backup::Error) -> String {
    let advice = match error {
        backup::Error::Repo(repo::error::Error::Storage(error)) => error.advice(),
        _ => None,
    };
    advice.map_or_else(|| with_causes(error), |advice| format!("{} ({advice})", with_causes(error)))
}

/// Reads back what has a form. Gives the first flaw of what is stored; one that cannot be looked at now has none that is
/// known.
fn look(
    repo: &Repository,
    id: SnapshotId,
    prepared: &Prepared,
    world: &World<'_>,
    report: &mut SourceReport,
) -> Option<String> {
    if prepared.forms.is_empty() {
        return None;
    }
    let state = repo.state();
    let Some(snapshot) = state.snapshot(&id) else {
        report.fail(format!("snapshot {} is not there any more", id.short()));
        return None;
    };
    let root = match repo.record(snapshot) {
        Ok(record) => record.root,
        Err(error) => {
            let said = format!("snapshot {}: {error}", id.short());
            report.fail(&said);
            return error.is_damage().then_some(said);
        }
    };
    let mut known = None;
    for (path, form) in &prepared.forms {
        if let Err(flaw) = verify(repo, &root, path, *form, world.threads) {
            let said = format!("{} {}", String::from_utf8_lossy(path), with_causes(&flaw));
            report.fail(&said);
            known = known.or(flaw.is_known().then_some(said));
        }
    }
    report.verified = Some(report.status != Status::Failed);
    known
}

fn forget_older(repo: &Repository, source: &Source, world: &World<'_>, report: &mut SourceReport) {
    let Some(policy) = source.retention.clone() else { return };
    let what = What::Policy { policy, source: Some(source.name.clone()) };
    match forget::apply(repo, &what, (world.now)()) {
        Ok(plan) => report.forgotten = Some(plan.forgotten().count()),
        Err(error) => report.fail(format!("retention: {}", with_causes(&error))),
    }
}
