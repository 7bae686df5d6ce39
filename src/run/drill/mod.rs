//! Drills: the newest complete snapshot of a source is restored into a throw-away place, and what must hold is tried.
//!
//! Promise: what the services hold is never touched; everything is thrown away again; the verdict stands in the log. What
//! could not be tried, for want of room or of a service, is no verdict.
//! Left out on purpose: what a kind of source is restored into (`services`), and where (`room`).

pub mod checks;

use std::path::PathBuf;

use serde::Serialize;

use crate::config::Config;
use crate::config::sources::Source;
use crate::format::Time;
use crate::ops::note;
use crate::ops::retention::is_good;
use crate::progress::Event;
use crate::repo::Repository;
use crate::repo::state::Snapshot;
use crate::run::World;
use crate::run::alone::Alone;
use crate::run::memory::Memory;
use crate::run::report::{Report, Status, Upkeep};
use crate::run::room::{Site, UNDER_WAY, on_disk};
use crate::run::services::rehearsal::{Miss, several};
use crate::run::services::{Stored, service, with_causes};
use crate::run::upkeep::Duty;
use crate::source::client::DRILL_PREFIX;

/// Where temporary files go unless something else is said.
const TEMPORARY: &str = "/tmp";
/// What to do about damage. A drill does not say which pack it is in, and so the next backup relies on it still.
const DAMAGED: &str = "the repository is damaged: larder check --read-data says what is; the next backup after that stores \
                       again what its source still has";

/// What came of the drill of a source.
#[derive(Debug, Clone, Serialize)]
pub struct Drilled {
    /// The source.
    pub source: String,
    /// The snapshot, if there is one.
    pub snapshot: Option<String>,
    /// What is known now.
    pub verdict: Verdict,
    /// Whether something went wrong, and the repository does not give all of it any more.
    pub damaged: bool,
    /// What it was restored into, in words.
    pub place: String,
    /// How many checks were made.
    pub checks: usize,
    /// Bytes in the snapshot.
    pub bytes: u64,
    /// How long it took, in seconds.
    pub duration_seconds: f64,
    /// What went wrong.
    pub errors: Vec<String>,
    /// What is worth knowing.
    pub warnings: Vec<String>,
}

/// What is known after a drill.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It was restored, and all that must hold did.
    Proven,
    /// It was not, or something did not hold.
    Failed,
    /// Nothing: it could not be tried.
    Untried,
}

impl Drilled {
    fn new(source: &str) -> Self {
        Self {
            source: source.to_owned(),
            snapshot: None,
            verdict: Verdict::Untried,
            damaged: false,
            place: String::new(),
            checks: 0,
            bytes: 0,
            duration_seconds: 0.0,
            errors: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// Whether all is well.
    pub fn is_well(&self) -> bool {
        self.verdict == Verdict::Proven && self.errors.is_empty()
    }

    /// As part of the report of a run.
    pub fn upkeep(&self) -> Upkeep {
        let short = self.snapshot.as_deref().map_or("no snapshot", |id| &id[..id.len().min(8)]);
        let about = format!("{}: {short}", self.source);
        let failed = match self.verdict {
            Verdict::Proven => "is proven, but",
            Verdict::Failed => "cannot be relied on:",
            Verdict::Untried => "was not tried:",
        };
        let checks = several(self.checks, "check");
        // All in one line, which is what letters show.
        let warned: String =
            self.warnings.iter().map(|warning| format!("; warning: {}", warning.replace('\n', " "))).collect();
        Upkeep {
            what: "drill",
            duration_seconds: self.duration_seconds,
            outcome: format!("{about} is proven in {}, {checks}{warned}", self.place),
            error: (!self.is_well()).then(|| format!("{about} {failed} {}{warned}", self.errors.join("\n"))),
            problems: u64::from(self.damaged),
        }
    }
}

/// The sources that a drill of everything takes.
pub fn of_all(config: &Config) -> Vec<&Source> {
    config.sources.iter().filter(|source| source.enabled && source.drill.enabled).collect()
}

/// Does it if it is due.
pub fn if_due(repo: &Repository, config: &Config, world: &World<'_>) -> Vec<Upkeep> {
    let Some(timetable) = &config.drill.timetable else { return Vec::new() };
    let mine = format!("drill {}", world.configuration);
    let duty = Duty { what: "drill", alone: &mine, timetable, last: |memory, world| memory.own(world).drilled };
    duty.once(world, |_, began| {
        let drills = run(repo, config, &of_all(config), world);
        // What another user's drill kept from being tried is due still.
        let was_kept = drills.iter().any(|drilled| drilled.errors.iter().any(|error| error == UNDER_WAY));
        let remember = move |memory: &mut Memory| {
            if !was_kept {
                memory.own_mut(world).drilled = Some(began);
            }
        };
        (drills.iter().map(Drilled::upkeep).collect(), remember)
    })
}

/// The report of drills alone, for whoever is to be told.
pub fn report(run: &str, started: Time, drills: &[Drilled], world: &World<'_>) -> Report {
    let ended = (world.now)();
    Report {
        run: run.to_owned(),
        started: started.rfc3339(),
        ended: ended.rfc3339(),
        duration_seconds: ended.seconds_since(started),
        status: if drills.iter().all(Drilled::is_well) { Status::Done } else { Status::Failed },
        upkeep: drills.iter().map(Drilled::upkeep).collect(),
        dry_run: false,
        errors: Vec::new(),
        host: world.host.clone(),
        ..Report::of_a_test(started)
    }
}

/// Drills the sources, one after the other, as soon as no other drill of the repository is under way.
pub fn run(repo: &Repository, config: &Config, sources: &[&Source], world: &World<'_>) -> Vec<Drilled> {
    // Those of another configuration have other sources, and want the same place.
    let _alone = Alone::at(world.memory.as_deref(), "drill", || {
        world.observer.event(Event::Note("waiting for another drill of this repository to end"));
    });
    let standard = world.variables.get("TMPDIR").filter(|path| path.starts_with('/')).unwrap_or(TEMPORARY);
    let within = config.drill.directory.clone().unwrap_or_else(|| PathBuf::from(standard));
    let mut clear = |name: &str| match config.sources.iter().find(|source| source.name == name) {
        Some(source) => service(&source.kind).clear_rehearsal(&scratch_name(repo, source, world), world),
        None => Ok(()),
    };
    let repository = repo.config().repository.to_string();
    let site = Site::open(&within, &repository, world.owner.uid, &mut clear);
    let (site, warnings) = match site {
        Ok(site) => site,
        Err(error) => {
            let untried = |source: &&Source| Drilled { errors: vec![error.clone()], ..Drilled::new(&source.name) };
            return sources.iter().map(untried).collect();
        }
    };
    let mut drills: Vec<Drilled> = sources.iter().map(|source| timed(repo, source, &site, world)).collect();
    if let Some(first) = drills.first_mut() {
        first.warnings.extend(warnings);
    }
    drills
}

fn timed(repo: &Repository, source: &Source, site: &Site, world: &World<'_>) -> Drilled {
    let started = (world.now)();
    let mut drilled = Drilled::new(&source.name);
    if let Err(error) = one(repo, source, site, world, &mut drilled) {
        drilled.errors.push(error);
    }
    drilled.duration_seconds = (world.now)().seconds_since(started);
    drilled
}

/// What a database is called that a service has to keep for a drill: no other source, machine or repository has it.
fn scratch_name(repo: &Repository, source: &Source, world: &World<'_>) -> String {
    let series = repo.keys().series_id(&source.name, &world.host).to_string();
    format!("{DRILL_PREFIX}{}", &series[..series.len().min(16)])
}

/// Drills one source. An error means that nothing is known.
fn one(
    repo: &Repository,
    source: &Source,
    site: &Site,
    world: &World<'_>,
    drilled: &mut Drilled,
) -> Result<(), String> {
    let state = repo.refresh().map_err(|error| with_causes(&error))?;
    let series = repo.keys().series_id(&source.name, &world.host);
    let newest = state.live().rev().find(|snapshot| snapshot.series == series && is_good(snapshot));
    let snapshot: &Snapshot = newest.ok_or("there is no complete snapshot of it")?;
    drilled.snapshot = Some(snapshot.id.to_string());
    if let Some(hindrance) = source.drill.checks.iter().find_map(checks::hindrance) {
        return Err(format!("a check cannot be made: {hindrance}"));
    }
    let record = repo.record(snapshot).map_err(|error| {
        drilled.damaged = error.is_damage();
        with_causes(&error)
    })?;
    drilled.bytes = record.counts.bytes;
    let (kind, place) = (service(&source.kind), source.drill.place);
    let counts = &record.counts;
    let entries = counts.files.saturating_add(counts.directories).saturating_add(counts.others);
    let bytes = kind.room_bytes(on_disk(counts.bytes, entries), place);
    let room = site.room(&source.name, scratch_name(repo, source, world), place, bytes, entries)?;
    let stored = Stored { repo, record: &record, threads: world.threads, observer: world.observer };
    let found = match kind.rehearse(&stored, &room, world) {
        Ok(mut rehearsed) => {
            drilled.place = rehearsed.place();
            drilled.checks = source.drill.checks.len();
            let failed = checks::failures(&source.drill.checks, &stored, rehearsed.as_ref(), &room);
            let answers = if failed.is_empty() { Ok(()) } else { rehearsed.answers() };
            drilled.warnings.extend(rehearsed.end().err());
            match answers {
                Err(gone) => Err(Miss::Untried(format!("{}\nand it is not there any more: {gone}", failed.join("\n")))),
                Ok(()) if failed.is_empty() => Ok(()),
                Ok(()) => Err(Miss::Failed(failed.join("\n"))),
            }
        }
        Err(miss) => Err(miss),
    };
    let found = found.map_err(|miss| miss.unless_excused(&room));
    drilled.warnings.extend(room.end().err());
    let (verdict, ended) = match found {
        Err(Miss::Untried(error)) => return Err(error),
        Err(Miss::Failed(error)) => {
            let state = repo.refresh().map_err(|error| with_causes(&error))?;
            // What nothing holds any more may be swept while it is read.
            if state.snapshot(&snapshot.id).is_none_or(|now| !now.is_live()) {
                return Err(format!("it was forgotten meanwhile: {error}"));
            }
            drilled.errors.push(error.clone());
            drilled.damaged = stored.is_damaged();
            drilled.errors.extend(drilled.damaged.then(|| DAMAGED.to_owned()));
            (Verdict::Failed, Err(error))
        }
        Ok(()) => (Verdict::Proven, Ok(())),
    };
    drilled.verdict = verdict;
    let ended = ended.as_ref().map(|_| ()).map_err(String::as_str);
    note::drilled(repo, snapshot.id, ended, (world.now)())
        .map_err(|error| format!("the verdict is not recorded: {}", with_causes(&error)))
}

#[cfg(test)]
#[path = "drill_tests.rs"]
mod tests;
