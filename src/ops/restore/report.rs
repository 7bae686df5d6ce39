//! What came of a restore, counted in one place by all threads.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::posix::apply;
use crate::progress::{Event, Observer, Units};

/// Problems kept, warnings kept; all are counted.
pub const MESSAGES_MAX: usize = 1000;
/// Steps of a dry run that are kept.
pub const PLANNED_MAX: usize = 10_000;

/// What came of a restore. After a dry run, what would come of it.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Files written.
    pub files: u64,
    /// Folders made, or their metadata set.
    pub directories: u64,
    /// Links, pipes and devices made.
    pub others: u64,
    /// Names given to files written already.
    pub hard_links: u64,
    /// Length of the files written.
    pub bytes: u64,
    /// What was there already and stays: kept as asked, or as it should be.
    pub unchanged: u64,
    /// What was deleted.
    pub deleted: u64,
    /// Files read back.
    pub verified: u64,
    /// What could not be restored as stored; at most [`MESSAGES_MAX`].
    pub problems: Vec<Message>,
    /// How many problems there were.
    pub problems_total: u64,
    /// What is not quite as stored; at most [`MESSAGES_MAX`].
    pub warnings: Vec<Message>,
    /// How many warnings there were.
    pub warnings_total: u64,
    /// How many of the problems are damage in the repository or in what was read back.
    pub damaged: u64,
    /// What a dry run would do, in this order; at most [`PLANNED_MAX`].
    pub planned: Vec<Planned>,
}

impl Report {
    /// Whether there was nothing to restore.
    pub fn restored_nothing(&self) -> bool {
        let done = [self.files, self.directories, self.others, self.hard_links, self.unchanged];
        done.iter().all(|&count| count == 0) && self.problems_total == 0
    }
}

/// Something to be said about a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The path in the snapshot; empty if it is about all of them.
    pub path: Vec<u8>,
    /// What is to be said.
    pub message: String,
}

/// Something that would be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// What.
    pub action: Action,
    /// With which path: of the snapshot, even for what is only in the target.
    pub path: Vec<u8>,
}

/// What may be done with a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Make what is not there.
    Create,
    /// Put the stored one in the place of what is there.
    Replace,
    /// Set owner, mode or times of what is there.
    Metadata,
    /// Delete what is not in the snapshot.
    Delete,
}

/// The report while it grows.
pub struct Tally<'o> {
    report: Mutex<Report>,
    observer: &'o dyn Observer,
}

impl<'o> Tally<'o> {
    /// Nothing yet.
    pub fn new(observer: &'o dyn Observer) -> Self {
        Self { report: Mutex::default(), observer }
    }

    /// To count something.
    pub fn report(&self) -> MutexGuard<'_, Report> {
        self.report.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something could not be restored.
    pub fn problem(&self, path: &[u8], message: &str) {
        self.observer.event(Event::Problem { path: &String::from_utf8_lossy(path), message });
        let mut report = self.report();
        report.problems_total += 1;
        if report.problems.len() < MESSAGES_MAX {
            report.problems.push(Message { path: path.to_vec(), message: message.to_owned() });
        }
    }

    /// Something could not be restored because the repository is damaged.
    pub fn damage(&self, path: &[u8], message: &str) {
        self.report().damaged += 1;
        self.problem(path, message);
    }

    /// Something is not quite as stored.
    pub fn warning(&self, path: &[u8], message: &str) {
        let mut report = self.report();
        report.warnings_total += 1;
        if report.warnings.len() < MESSAGES_MAX {
            report.warnings.push(Message { path: path.to_vec(), message: message.to_owned() });
        }
    }

    /// What could not be set on a file.
    pub fn warnings(&self, warnings: &[apply::Warning]) {
        for warning in warnings {
            self.warning(&warning.path, &format!("cannot {}: {}", warning.what, warning.message));
        }
    }

    /// Something would be done.
    pub fn planned(&self, action: Action, path: &[u8]) {
        let mut report = self.report();
        if report.planned.len() < PLANNED_MAX {
            report.planned.push(Planned { action, path: path.to_vec() });
        }
    }

    /// Progress.
    pub fn advanced(&self, files: u64, bytes: u64) {
        self.observer.event(Event::Advanced(Units { files, bytes }));
    }

    /// The report.
    pub fn finish(self) -> Report {
        self.report.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}
