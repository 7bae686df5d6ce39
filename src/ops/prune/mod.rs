//! Pruning: what no live snapshot needs is condemned, and swept and deleted once the grace period is over.
//!
//! Promise: nothing that a live snapshot needs is ever deleted, whoever else writes or prunes meanwhile, and however
//! short a listing is: the log is the list of snapshots, and everything is decided at its head. What was freed stays
//! freed if a later step fails. Left out on purpose: dropping tags (`ops/forget`).

pub mod apply;
pub mod copies;
pub mod plan;
pub mod proof;
pub mod rehearse;
pub mod repack;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::format::{Time, objects};
use crate::id::{PackId, SnapshotId};
use crate::ops::prune::copies::Copies;
use crate::ops::prune::plan::{Facts, Limits, Plan, Standing, Tally};
use crate::ops::runs::{self, Runs};
use crate::ops::usage::{self, Usage};
use crate::progress::{Event, Observer};
use crate::repo::Repository;
use crate::repo::catalog::{Catalog, read_header};
use crate::repo::error::Error as RepoError;
use crate::repo::state::{Fate, State};
use crate::storage::{ErrorKind, ObjectName};

/// How to prune.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Options {
    /// How long what is condemned can still be had back. Nothing: it is deleted in the same run.
    pub grace: Duration,
    /// Packs are repacked until no more than this share of the repository is unused.
    pub max_unused_percent: f64,
    /// Threads that seal what is repacked.
    pub threads: usize,
}

impl Options {
    /// The grace period, unless another is asked for.
    pub const GRACE: Duration = Duration::from_secs(7 * 24 * 60 * 60);
    /// The share that may be unused, unless another is asked for.
    pub const MAX_UNUSED_PERCENT: f64 = 10.0;

    fn limits(&self) -> Limits {
        Limits { grace: self.grace, max_unused_percent: self.max_unused_percent }
    }
}

/// What was done.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Report {
    /// What was planned at the start.
    pub plan: Plan,
    /// Condemned by this run, repacked packs among them.
    pub condemned: Tally,
    /// Swept by this run.
    pub swept: Tally,
    /// Deleted: what was swept, now or before.
    pub deleted: Tally,
    /// Packs of which the used part was written again.
    pub repacked: Tally,
    /// Packs that repacking wrote.
    pub new_packs: Tally,
    /// Why repacking was given up, if it was. What had been freed before stays freed.
    pub repack_failed: Option<String>,
    /// What is odd.
    pub notes: Vec<String>,
}

/// Why nothing more was deleted.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The repository.
    #[error(transparent)]
    Repo(#[from] RepoError),
    /// A live snapshot is damaged, so that it cannot be said what it needs.
    #[error(transparent)]
    Usage(#[from] usage::Error),
    /// The second look found that something would be missing.
    #[error("snapshot {} would lose something, so nothing was deleted", .snapshot.short())]
    WouldLose {
        /// The snapshot.
        snapshot: SnapshotId,
        /// What it would lose.
        #[source]
        reason: RepoError,
    },
}

/// Says what pruning would do now.
pub fn plan(repo: &Repository, options: &Options, now: Time) -> Result<Plan, Error> {
    Session::begin(repo, options)?.plan(now)
}

/// Prunes.
pub fn run(
    repo: &Repository,
    options: &Options,
    now: &dyn Fn() -> Time,
    observer: &dyn Observer,
) -> Result<Report, Error> {
    let (mut session, mut report) = begin(repo, options, now(), observer)?;
    // What frees space comes first: repacking may need it.
    apply::delete_swept(repo, &mut report)?;
    apply::condemn(&mut session, now, &mut report)?;
    apply::sweep(&session, now, &mut report)?;
    apply::delete_swept(repo, &mut report)?;
    if !report.plan.repack.is_empty() {
        observer.event(Event::Phase { name: "repacking", total: None });
        repack::run(&mut session, now, observer, &mut report)?;
        if options.grace.is_zero() {
            apply::sweep(&session, now, &mut report)?;
            apply::delete_swept(repo, &mut report)?;
        }
    }
    report.notes.append(&mut session.copies.notes);
    repo.index().flush_last().map_err(RepoError::from)?;
    Ok(report)
}

/// What a prune begins with: a session, and a report of the plan and of what is odd.
fn begin<'r>(
    repo: &'r Repository,
    options: &Options,
    now: Time,
    observer: &dyn Observer,
) -> Result<(Session<'r>, Report), Error> {
    observer.event(Event::Phase { name: "finding what is used", total: None });
    let mut session = Session::begin(repo, options)?;
    let mut report = Report { plan: session.plan(now)?, ..Report::default() };
    report.notes.extend(session.catalog.faults.iter().map(|(pack, what)| format!("pack {pack}: {what}")));
    report.notes.extend(runs::tell_lost(&report.plan.lost));
    Ok((session, report))
}

/// What is known while pruning, as of one head of the log.
pub struct Session<'r> {
    repo: &'r Repository,
    options: Options,
    head: u64,
    catalog: Catalog,
    runs: Runs,
    usage: Usage<'r>,
    copies: Copies,
}

impl<'r> Session<'r> {
    /// Finds out what is used.
    pub fn begin(repo: &'r Repository, options: &Options) -> Result<Self, Error> {
        let state = repo.refresh()?;
        refuse_damaged_log(&state)?;
        let catalog = Catalog::survey(repo)?;
        let usage = measure(repo, &state, &catalog)?;
        let runs = Runs::survey(repo, &state, &catalog.listed)?;
        Ok(Self { repo, options: *options, head: state.head, catalog, runs, usage, copies: Copies::default() })
    }

    /// Comes to know what happened since.
    fn catch_up(&mut self, state: &State) -> Result<(), Error> {
        refuse_damaged_log(state)?;
        if state.head == self.head {
            return Ok(());
        }
        self.catalog = Catalog::survey(self.repo)?;
        if !self.usage.catch_up(state, &self.catalog)? {
            self.usage = measure(self.repo, state, &self.catalog)?;
        }
        self.runs = Runs::survey(self.repo, state, &self.catalog.listed)?;
        self.head = state.head;
        Ok(())
    }

    /// Decides, by what is known, and by what the copies are worth that are to stay.
    fn plan(&mut self, now: Time) -> Result<Plan, Error> {
        let state = self.repo.state();
        let mut plan = loop {
            let plan = plan::decide(self.facts(&state)?, &self.options.limits(), now);
            let leaving: Vec<Facts> = plan.condemn.iter().chain(&plan.repack).copied().collect();
            // Each time round some copy counts that was proven, or all copies of a chunk do: that comes to an end.
            if !self.prove_copies(&leaving)? {
                break plan;
            }
        };
        if plan::looks_lost(self.runs.lost_at().map(stored_at), now) {
            plan.lost = self.runs.lost().clone();
        }
        Ok(plan)
    }

    /// Opens the copies that stay when these packs go. `true`: other copies count than before.
    fn prove_copies(&mut self, leaving: &[Facts]) -> Result<bool, RepoError> {
        self.copies.prove(self.repo, &mut self.usage, leaving)
    }

    fn facts(&self, state: &State) -> Result<Vec<Facts>, Error> {
        let mut facts = Vec::new();
        for (id, info) in &self.catalog.listed {
            let standing = match state.fate(id) {
                // A run that still stores is alive, however long ago it stored its first packs.
                None => {
                    let last = self.runs.last_stored(id).unwrap_or(info.stored_at);
                    Standing::Unnamed { stored_at: stored_at(last), lost_at: self.runs.lost_at().map(stored_at) }
                }
                Some(Fate::Condemned { at, .. }) => Standing::Condemned { at },
                Some(Fate::Swept) => Standing::Swept,
                Some(Fate::Live) => Standing::Live,
            };
            facts.extend(self.facts_of(id, info.bytes, standing)?);
        }
        for (id, pack) in state.packs().filter(|(id, _)| !self.catalog.listed.contains_key(id)) {
            match pack.fate {
                Fate::Live => facts.extend(self.facts_of(id, 0, Standing::Live)?),
                Fate::Condemned { at, .. } => {
                    facts.extend(self.facts_of(id, 0, Standing::Condemned { at })?);
                }
                Fate::Swept => {}
            }
        }
        Ok(facts)
    }

    /// `None` for a live pack that is not sound, though it may be there: it is left alone.
    fn facts_of(&self, id: &PackId, bytes: u64, standing: Standing) -> Result<Option<Facts>, Error> {
        let row = {
            let index = self.repo.index();
            index.pack_number(id).and_then(|number| index.pack(number).cloned())
        };
        let kind = row.as_ref().map(|row| row.kind).or(self.repo.state().pack(id).map(|pack| pack.kind));
        let kind = kind.unwrap_or(crate::format::Kind::Data);
        let unneeded = Facts { id: *id, kind, bytes, chunks: 0, standing, needed: false, unused_bytes: bytes };
        match (standing, row) {
            (Standing::Live, Some(row)) if self.usage.counts(row.number) => {
                let used = self.usage.of(row.number)?;
                let needed = used.chunks > 0 || !self.usage.records(row.number).is_empty();
                // The directory is written again with what is used; with tiny chunks it is most of a pack.
                let unused_bytes = if needed { used.unused_bytes } else { bytes };
                Ok(Some(Facts { chunks: row.chunks.into(), needed, unused_bytes, ..unneeded }))
            }
            (Standing::Live, _) if self.is_lost(id)? => Ok(Some(Facts { standing: Standing::Lost, ..unneeded })),
            (Standing::Live, _) if self.is_ruined(id)? => Ok(Some(unneeded)),
            (Standing::Live, _) => Err(self.lost(id).into()),
            _ => Ok(Some(unneeded)),
        }
    }

    /// Whether a pack that is not listed as it should be really is not there: a listing alone proves nothing.
    fn is_lost(&self, id: &PackId) -> Result<bool, RepoError> {
        let bytes = self.repo.state().pack(id).map_or(0, |pack| pack.bytes);
        let Some(name) = ObjectName::new(objects::pack_name(id)) else { return Ok(false) };
        match self.repo.storage().get(&name, bytes.saturating_sub(1)..bytes) {
            Ok(_) => Ok(false),
            Err(error) if matches!(error.kind, ErrorKind::NotFound | ErrorKind::TooShort) => Ok(true),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether a pack is there and its front is damaged, so that nobody can find anything in it. Nothing kept needs it:
    /// that was measured without it. One of a newer version is not damaged for those who know it.
    fn is_ruined(&self, id: &PackId) -> Result<bool, RepoError> {
        let bytes = self.repo.state().pack(id).map_or(0, |pack| pack.bytes);
        match read_header(self.repo, id, bytes) {
            Err(RepoError::Newer { .. }) => Ok(false),
            Err(error) if error.is_damage() => Ok(true),
            Err(error @ RepoError::Storage(_)) => Err(error),
            _ => Ok(false),
        }
    }

    fn lost(&self, id: &PackId) -> RepoError {
        let fault = self.catalog.faults.iter().find(|fault| fault.0 == *id);
        let problem = fault.map_or_else(|| "not listed, though it is there".into(), |fault| fault.1.clone());
        RepoError::PackLost { pack: *id, problem }
    }
}

fn measure<'r>(repo: &'r Repository, state: &State, catalog: &Catalog) -> Result<Usage<'r>, Error> {
    usage::measure(repo, state, catalog, &|_| true).map_err(|error| match catalog.faults.first() {
        // The cause says more than what follows from it.
        Some((pack, problem)) if matches!(error, usage::Error::Damaged { .. }) => {
            RepoError::PackLost { pack: *pack, problem: problem.clone() }.into()
        }
        _ => error.into(),
    })
}

/// An entry that cannot be read may have said that something is live.
fn refuse_damaged_log(state: &State) -> Result<(), RepoError> {
    match state.problems.first() {
        Some(problem) => Err(RepoError::LogDamaged { seq: problem.seq, reason: problem.reason.clone() }),
        None => Ok(()),
    }
}

/// The storage's time as the repository's.
fn stored_at(time: SystemTime) -> Time {
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => Time { seconds: since.as_secs() as i64, nanos: since.subsec_nanos() },
        Err(_) => Time::default(),
    }
}

#[cfg(test)]
#[path = "prune_tests.rs"]
mod tests;
