//! Putting a snapshot back into the service it was taken of.
//!
//! Promise: the present state is stored first, and put back if anything fails; what was stopped is started again, even
//! if larder is killed meanwhile. No run of this machine backs up the source while it is half of the one and half of the
//! other.
//! Left out on purpose: asking. Whoever calls has shown `plan` and got an answer.

use std::time::Duration;

use crate::config::hooks::Words;
use crate::config::sources::Source;
use crate::format::record::Record;
use crate::id::SnapshotId;
use crate::ops::backup::{Mode, Options};
use crate::ops::forget::{self, What};
use crate::ops::select::{self, Forgotten};
use crate::ops::snapshots;
use crate::repo::Repository;
use crate::run::hooks::{self, Facts};
use crate::run::services::{Held, Purpose, Stored, release, service, with_causes};
use crate::run::{World, alone_at, store};

/// The tag of what a restore stored first.
pub const SAFETY_TAG: &str = "before-restore";
/// So many safety snapshots of a source are kept.
const SAFETIES_KEPT: usize = 3;

/// Whether the present state is stored first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Safety {
    /// It is; without that nothing is put back.
    Take,
    /// It is not: there is nothing left to store.
    Skip,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Outcome {
    /// The snapshot of what was there before.
    pub safety: Option<SnapshotId>,
    /// Why it failed; empty when all is well.
    pub errors: Vec<String>,
    /// Whether what was there before is there again; only after a failure.
    pub put_back: Option<bool>,
    /// What is worth knowing.
    pub warnings: Vec<String>,
}

/// The name of the series that safety snapshots of a source make. A series of its own: what was broken must not become
/// the newest snapshot of the source, nor hold the place of a good one.
pub fn safety_series(source: &str) -> String {
    format!("{source}.{SAFETY_TAG}")
}

/// What would be done, a line each. An error says why this snapshot cannot be put back so; nothing is changed.
pub fn plan(
    repo: &Repository,
    source: &Source,
    record: &Record,
    safety: Safety,
    world: &World<'_>,
) -> Result<Vec<String>, String> {
    let stored = Stored { repo, record, threads: world.threads, observer: world.observer };
    let kind = service(&source.kind);
    let foreign = ![source.name.clone(), safety_series(&source.name)].contains(&record.source);
    let planned = kind.plan(record).and_then(|lines| kind.fits(&stored, world).map(|()| lines));
    let planned = planned.map_err(|error| match foreign {
        false => error,
        true => format!("{error}\nthe snapshot is of {}; of {1} there is {1}@latest", record.source, source.name),
    })?;
    let mut lines = Vec::new();
    if foreign {
        lines.push(format!("it is of another source: {}, not {}", record.source, source.name));
    }
    if safety == Safety::Take {
        lines.push(format!("what {} holds now is stored first, as {}", source.name, safety_series(&source.name)));
    }
    let hook = |name, words: &Option<Words>| words.as_ref().map(|words| format!("hook {name}: {}", words.0.join(" ")));
    lines.extend(hook("stop", &source.hooks.stop));
    lines.extend(planned);
    lines.extend(hook("start", &source.hooks.start));
    lines.extend(hook("probe", &source.hooks.probe));
    Ok(lines)
}

/// Puts a snapshot back that there is a plan for.
pub fn put_back(
    repo: &Repository,
    source: &Source,
    record: &Record,
    safety: Safety,
    world: &World<'_>,
) -> Result<Outcome, String> {
    let mut outcome = Outcome::default();
    let _alone = alone_at(source, world);
    // From here on, so that nothing changes between what is stored and what is replaced.
    let mut held = service(&source.kind).hold(Purpose::PutBack(record), world)?;
    if safety == Safety::Take {
        let id = match store_present(repo, source, world) {
            Ok(id) => id,
            Err(error) => {
                let error = format!("what is there now cannot be stored: {error}");
                return Err(release(&mut held).err().map_or(error.clone(), |too| format!("{error}\n{too}")));
            }
        };
        outcome.safety = Some(id);
    }
    let Err(error) = once(repo, source, record, &mut held, world) else {
        // Only now: tries that fail must not push out what was there before the first of them.
        if let Err(error) = forget_older(repo, source, world) {
            outcome.warnings.push(format!("older safety snapshots stay: {error}"));
        }
        return Ok(outcome);
    };
    outcome.errors.push(error);
    if let Some(id) = outcome.safety {
        let again = select::snapshot(repo, &id.to_string(), Forgotten::Refuse).map_err(|error| with_causes(&error));
        match again.and_then(|selected| once(repo, source, &selected.record, &mut held, world)) {
            Ok(()) => outcome.put_back = Some(true),
            Err(error) => {
                outcome.put_back = Some(false);
                outcome.errors.push(format!("what was there before could not be put back either: {error}"));
            }
        }
    }
    outcome.errors.extend(release(&mut held).err());
    Ok(outcome)
}

/// Stops, fills, starts, and looks whether all is well. What is held is let go of only when it was filled: nothing is to
/// begin with a half of it as long as there is something better to put there.
fn once(
    repo: &Repository,
    source: &Source,
    record: &Record,
    held: &mut Option<Box<dyn Held>>,
    world: &World<'_>,
) -> Result<(), String> {
    if let Some(held) = held {
        held.again()?;
    }
    let facts = Facts { run: "", source: &source.name, status: None, snapshot: "" };
    let hooks = &source.hooks;
    let guard = hooks::bound("start", hooks.start.as_ref(), &facts)?;
    let filled = hooks::run(hooks, "stop", hooks.stop.as_ref(), &facts).and_then(|()| {
        let stored = Stored { repo, record, threads: world.threads, observer: world.observer };
        service(&source.kind).put_back(&stored, world)
    });
    // Before what uses it.
    let released = if filled.is_ok() { release(held) } else { Ok(()) };
    // Whatever came of it.
    let started = match guard {
        Some(guard) => guard.release(hooks.limit).map_err(|error| format!("hook start: {error}")),
        None => Ok(()),
    };
    all_of([filled, released, started])?;
    match &hooks.probe {
        Some(probe) => hooks::run(hooks, "probe", Some(probe), &facts),
        None => service(&source.kind).probe(world),
    }
}

/// All errors in one.
fn all_of<const N: usize>(results: [Result<(), String>; N]) -> Result<(), String> {
    let errors: Vec<String> = results.into_iter().filter_map(Result::err).collect();
    if errors.is_empty() { Ok(()) } else { Err(errors.join("\n")) }
}

/// Stores what is there now.
fn store_present(repo: &Repository, source: &Source, world: &World<'_>) -> Result<SnapshotId, String> {
    let prepared = service(&source.kind).prepare(world)?;
    let options = Options {
        source: safety_series(&source.name),
        host: world.host.clone(),
        user: String::from_utf8_lossy(&world.owner.user).into_owned(),
        description: "taken before a restore".to_owned(),
        tags: vec![SAFETY_TAG.to_owned()],
        paths: prepared.paths.clone(),
        mode: Mode::Store,
        threads: world.threads,
    };
    let facts = Facts { run: "", source: &source.name, status: None, snapshot: "" };
    let stored = store(repo, source, &prepared, &options, world, &facts);
    let report = stored.done?;
    stored.started?;
    report.snapshot.ok_or_else(|| "no snapshot was made".to_owned())
}

/// Forgets all but the newest safety snapshots of a source.
fn forget_older(repo: &Repository, source: &Source, world: &World<'_>) -> Result<(), String> {
    let filter = snapshots::Filter {
        source: Some(safety_series(&source.name)),
        host: Some(world.host.clone()),
        tag: Some(SAFETY_TAG.to_owned()),
        forgotten: false,
    };
    let listing = snapshots::list(repo, &filter, Duration::ZERO).map_err(|error| with_causes(&error))?;
    let older = listing.rows.len().saturating_sub(SAFETIES_KEPT);
    if older == 0 {
        return Ok(());
    }
    let ids = listing.rows.iter().take(older).map(|row| row.id).collect();
    forget::apply(repo, &What::Ids(ids), (world.now)()).map(drop).map_err(|error| with_causes(&error))
}
