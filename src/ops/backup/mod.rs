//! Backing up: one source becomes one snapshot.
//!
//! Promise: what is reported as stored can be restored; what could not be read is in the report. Memory does not grow
//! with the number of files or their sizes. Left out on purpose: walking file systems (`source`) and sealing (`repo`).

pub mod assemble;
pub mod buffers;
pub mod compare;
pub mod fit;
pub mod random;
pub mod reading;

use std::ops::ControlFlow;

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::crypto::random as entropy;
use crate::format::record::{Counts, Record};
use crate::format::{Reject, Time};
use crate::id::SnapshotId;
use crate::ops::backup::assemble::Assembler;
use crate::ops::backup::compare::Parent;
use crate::ops::backup::reading::{Job, Limits, Reading};
use crate::ops::retention::{self, Calendar};
use crate::ops::tag;
use crate::progress::{Event, Observer};
use crate::repo::Repository;
use crate::repo::catalog::Catalog;
use crate::repo::commit::{Draft, commit};
use crate::repo::error::Error as RepoError;
use crate::repo::state::Snapshot;
use crate::repo::write::{Mode as WriteMode, Writer};
use crate::source::{self, Candidate, Found, Problem, Severity, Source};

/// How often a backup reads again because what it needs was pruned meanwhile.
const ATTEMPTS_MAX: u32 = 5;
/// Problems kept for the report; all are counted.
pub const PROBLEMS_MAX: usize = 1000;

/// What to back up as.
#[derive(Debug, Clone)]
pub struct Options {
    /// The name of the series.
    pub source: String,
    /// This machine.
    pub host: String,
    /// Who runs it.
    pub user: String,
    /// A remark.
    pub description: String,
    /// Tags given by hand.
    pub tags: Vec<String>,
    /// The paths given, for the record.
    pub paths: Vec<Vec<u8>>,
    /// Whether anything is stored.
    pub mode: Mode,
    /// Threads that read, and as many that seal.
    pub threads: usize,
}

/// Whether anything is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Store.
    Store,
    /// Read and compare everything, store nothing.
    DryRun,
}

/// What came of it.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// The new snapshot; none after a dry run.
    pub snapshot: Option<SnapshotId>,
    /// The snapshot it was compared with.
    pub parent: Option<SnapshotId>,
    /// The tags it got.
    pub tags: Vec<String>,
    /// What was counted.
    pub counts: Counts,
    /// Files whose content was taken over from the parent without opening them.
    pub unchanged_files: u64,
    /// What could not be had, at most [`PROBLEMS_MAX`] of them.
    pub problems: Vec<Problem>,
    /// How many problems there were.
    pub problems_total: u64,
    /// What is odd about the repository.
    pub warnings: Vec<String>,
    /// Whether everything could be read.
    pub complete: bool,
}

/// Why there is no snapshot.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The repository.
    #[error(transparent)]
    Repo(#[from] RepoError),
    /// The source.
    #[error(transparent)]
    Source(#[from] source::Error),
    /// A stream or a command did not end well.
    #[error("{0}")]
    Failed(String),
    /// Packs that a stream had stored, or that it shares with older snapshots, were pruned while it was read.
    #[error("what this stream needs was pruned while it ran, and a stream cannot be read again")]
    Lost,
    /// What was given does not fit into a snapshot's record or log entry. Nothing was read yet.
    #[error("what is given does not fit into a snapshot: {0}")]
    Unfit(Reject),
    /// The tags given.
    #[error(transparent)]
    Tags(#[from] tag::Error),
    /// Every attempt lost something to a prune.
    #[error("what this backup needs was pruned while it ran, {attempts} times in a row")]
    Starved {
        /// How many.
        attempts: u32,
    },
    /// The repository's time zone is not known here.
    #[error(transparent)]
    Calendar(#[from] retention::CalendarError),
}

/// Backs up one source as one snapshot.
pub fn run(
    repo: &Repository,
    source: &dyn Source,
    options: &Options,
    now: &dyn Fn() -> Time,
    observer: &dyn Observer,
) -> Result<Report, Error> {
    let calendar = Calendar::new(&repo.config().time_zone, repo.config().week_start)?;
    let started = now();
    fit::check(options, started)?;
    let mut attempt = 1;
    loop {
        match attempt_once(repo, source, options, &calendar, started, now, observer) {
            // The parent was forgotten, or a pack was swept, between the look at it and the commit.
            Err(Error::Repo(RepoError::NoSnapshot(_) | RepoError::PackSwept { .. })) => {
                if !source.replayable() {
                    return Err(Error::Lost);
                }
                if attempt == ATTEMPTS_MAX {
                    return Err(Error::Starved { attempts: attempt });
                }
                attempt += 1;
                observer.event(Event::Note("what this backup needs was pruned meanwhile; reading again"));
                repo.refresh()?;
            }
            result => return result,
        }
    }
}

fn attempt_once(
    repo: &Repository,
    source: &dyn Source,
    options: &Options,
    calendar: &Calendar,
    started: Time,
    now: &dyn Fn() -> Time,
    observer: &dyn Observer,
) -> Result<Report, Error> {
    let catalog = Catalog::survey(repo)?;
    let series = repo.keys().series_id(&options.source, &options.host);
    let parent = find_parent(repo, &catalog, series)?;
    let mode = match options.mode {
        Mode::Store => WriteMode::Store,
        Mode::DryRun => WriteMode::Count,
    };
    let writer = Writer::new(repo, &catalog, options.threads, mode)?;
    let reading = Reading::new(repo);
    let mut assembler = Assembler::new(repo, writer, &reading.buffers, observer);
    observer.event(Event::Phase { name: "reading", total: None });
    read_all(repo, &reading, source, options, parent.as_ref(), &mut assembler)?;
    let (drained, root, mut report) = assembler.finish()?;
    report.warnings = warnings(repo, &catalog);
    report.parent = parent.as_ref().map(|(snapshot, _)| snapshot.id);
    report.counts.new_raw_bytes = drained.new_raw_bytes;
    report.counts.new_stored_bytes = drained.stored_bytes();
    if options.mode == Mode::DryRun {
        return Ok(report);
    }
    let grease: [u8; 8] = entropy::bytes().map_err(RepoError::from)?;
    let record = Record {
        ended: now(),
        complete: report.complete,
        parent: report.parent,
        root,
        counts: report.counts,
        unique: entropy::bytes().map_err(RepoError::from)?,
        extension: grease[..usize::from(grease[0] % 8)].to_vec(),
        ..fit::draft(options, started)
    };
    let bytes = record.encode();
    if Record::decode(&bytes).as_ref() != Ok(&record) {
        return Err(RepoError::SelfCheck { what: "snapshot record" }.into());
    }
    let snapshot = repo.keys().snapshot_id(&bytes);
    let written = drained.finish(Some(&bytes))?;
    // Only what was taken over without a look at its chunks needs the parent to stay.
    let parent = report.parent.filter(|_| report.unchanged_files > 0);
    let draft = Draft { snapshot, series, started, complete: report.complete, parent };
    let state = commit(repo, &written, &draft, now(), &|state| {
        retention::tags_for_new(state, calendar, &draft, &options.tags)
    })?;
    report.tags = state.snapshot(&snapshot).map(|s| s.tags.iter().cloned().collect()).unwrap_or_default();
    report.snapshot = Some(snapshot);
    Ok(report)
}

fn warnings(repo: &Repository, catalog: &Catalog) -> Vec<String> {
    let mut warnings = repo.oddities.clone();
    warnings.extend(repo.state().problems.iter().map(|p| format!("log entry {}: {}", p.seq, p.reason)));
    warnings.extend(catalog.faults.iter().map(|(pack, what)| format!("pack {pack}: {what}")));
    let damaged = "a check found it damaged; what is still at the source is read and stored again";
    warnings.extend(catalog.distrusted.iter().map(|pack| format!("pack {pack}: {damaged}")));
    warnings
}

/// The newest live snapshot of the series, unless the repository is damaged: then nothing is taken on trust, and what
/// is missing is stored again.
fn find_parent(
    repo: &Repository,
    catalog: &Catalog,
    series: crate::id::SeriesId,
) -> Result<Option<(Snapshot, Record)>, Error> {
    let state = repo.state();
    if !state.problems.is_empty() || !catalog.faults.is_empty() || !catalog.distrusted.is_empty() {
        return Ok(None);
    }
    let Some(snapshot) = state.newest_of(series) else { return Ok(None) };
    let record = repo.record(snapshot)?;
    if repo.contradiction(snapshot, &record).is_some() {
        // Its entry is damaged, which check says: whoever wrote it so is not to be relied on.
        return Ok(None);
    }
    Ok(Some((snapshot.clone(), record)))
}

/// An entry on its way, in the order of the listing.
pub enum Slot {
    /// Taken over from the parent as it is.
    Unchanged(Box<crate::format::listing::Entry>),
    /// Being read.
    Reading(Receiver<reading::Piece>),
    /// Not to be had.
    Problem(Problem),
}

/// Walks, reads and assembles, each in threads of its own.
fn read_all(
    repo: &Repository,
    reading: &Reading<'_>,
    source: &dyn Source,
    options: &Options,
    parent: Option<&(Snapshot, Record)>,
    assembler: &mut Assembler<'_>,
) -> Result<(), Error> {
    let readers = options.threads.max(1);
    let (slots, ordered) = bounded::<Vec<Slot>>(Limits::BATCHES);
    let (jobs, queue) = bounded::<Job>(Limits::JOBS);
    std::thread::scope(|scope| {
        for _ in 0..readers {
            let queue = queue.clone();
            scope.spawn(move || reading::read_jobs(reading, &queue));
        }
        drop(queue);
        let walker = scope.spawn(move || {
            let parent = parent.map(|(_, record)| Parent::new(repo, record));
            Walker { slots, jobs, batch: Vec::new(), batch_bytes: 0, parent }.walk(source)
        });
        let mut result = Ok(());
        for batch in &ordered {
            result = batch.into_iter().try_for_each(|slot| assembler.take(slot));
            if result.is_err() {
                break;
            }
        }
        drop(ordered);
        let walked = walker.join().map_err(|_| RepoError::Worker)?;
        result.and(walked)
    })
}

/// Sends what the walk finds to the readers, and its place in the order to the assembler.
struct Walker<'r> {
    slots: Sender<Vec<Slot>>,
    jobs: Sender<Job>,
    batch: Vec<Slot>,
    batch_bytes: u64,
    parent: Option<Parent<'r>>,
}

impl Walker<'_> {
    fn walk(mut self, source: &dyn Source) -> Result<(), Error> {
        let mut failure = None;
        source.walk(&mut |found| match self.found(found) {
            Ok(flow) => flow,
            Err(error) => {
                failure = Some(error);
                ControlFlow::Break(())
            }
        })?;
        if let Some(error) = failure {
            return Err(error);
        }
        // A closed channel means that the assembler failed, and its error is the one to report.
        let _ = self.flush();
        Ok(())
    }

    fn found(&mut self, found: Found) -> Result<ControlFlow<()>, Error> {
        let Candidate { mut entry, reader } = match found {
            Found::Entry(candidate) => candidate,
            Found::Problem(problem) => return Ok(self.slot(Slot::Problem(problem), 0)),
        };
        if let Some(parent) = &mut self.parent
            && parent.take_over(&mut entry)?
        {
            return Ok(self.slot(Slot::Unchanged(Box::new(entry)), 0));
        }
        let expected = reading::expected_bytes(&entry);
        let (pieces, receiver) = bounded(Limits::PIECES);
        let job = Job { entry, reader, pieces };
        // Before waiting for a reader, everything must be on its way to the assembler: a reader may be waiting for it.
        match self.jobs.try_send(job) {
            Ok(()) => {}
            Err(crossbeam_channel::TrySendError::Disconnected(_)) => return Ok(ControlFlow::Break(())),
            Err(crossbeam_channel::TrySendError::Full(job)) => {
                if self.flush().is_break() || self.jobs.send(job).is_err() {
                    return Ok(ControlFlow::Break(()));
                }
            }
        }
        Ok(self.slot(Slot::Reading(receiver), expected))
    }

    fn slot(&mut self, slot: Slot, bytes: u64) -> ControlFlow<()> {
        self.batch.push(slot);
        self.batch_bytes += bytes;
        let full = self.batch.len() >= Limits::BATCH_SLOTS || self.batch_bytes >= Limits::BATCH_BYTES;
        if full { self.flush() } else { ControlFlow::Continue(()) }
    }

    fn flush(&mut self) -> ControlFlow<()> {
        self.batch_bytes = 0;
        let batch = std::mem::replace(&mut self.batch, Vec::with_capacity(Limits::BATCH_SLOTS));
        if batch.is_empty() || self.slots.send(batch).is_ok() {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    }
}

/// Whether a problem makes the snapshot incomplete.
pub fn is_fatal(problem: &Problem) -> bool {
    problem.severity == Severity::Unreadable
}
