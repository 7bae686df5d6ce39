//! What came of a run, for people and for programs.

use serde::{Deserialize, Serialize};

use crate::format::Time;
use crate::ops::backup;
use crate::ops::retention::Tier;
use crate::run::notify::Told;

/// What came of a run.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The run's own id, 16 hexadecimal digits.
    pub run: String,
    /// The machine.
    pub host: String,
    /// When it ended, in RFC 3339: how old a report is.
    pub timestamp: String,
    /// The coarsest tier that a snapshot of it has.
    #[serde(rename = "type")]
    pub tier: Option<&'static str>,
    /// When it began, in RFC 3339.
    pub started: String,
    /// When it ended, in RFC 3339.
    pub ended: String,
    /// How long it took, in seconds.
    pub duration_seconds: f64,
    /// Whether nothing was stored on purpose.
    pub dry_run: bool,
    /// How it ended: the worst that happened to any source.
    pub status: Status,
    /// Each source that was taken.
    pub sources: Vec<SourceReport>,
    /// What was done for the repository: prune, check and drills, where they were due.
    pub upkeep: Vec<Upkeep>,
    /// What went wrong beside these: hooks of the whole run.
    pub errors: Vec<String>,
    /// Who was told, or could not be; empty in what they are told.
    pub told: Vec<Told>,
    /// Files of `[status]` that could not be written, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unwritten: Vec<String>,
}

/// What was done for the repository.
#[derive(Debug, Clone, Serialize)]
pub struct Upkeep {
    /// `prune`, `check` or `drill`; of drills there is one for each source.
    pub what: &'static str,
    /// How long it took, in seconds.
    pub duration_seconds: f64,
    /// What came of it, for people.
    pub outcome: String,
    /// Why it failed; damage that a check found is such a reason.
    pub error: Option<String>,
    /// Problems that a check found; 1 for a drill that met damage.
    pub problems: u64,
}

/// How a source, or a run, ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// All is well.
    Done,
    /// There is a snapshot, but some entries could not be read.
    Incomplete,
    /// Something failed; `snapshot` says whether there is one nevertheless.
    Failed,
}

/// What came of a source.
#[derive(Debug, Clone, Serialize)]
pub struct SourceReport {
    /// Its name.
    pub name: String,
    /// The coarsest tier of its snapshot.
    #[serde(rename = "type")]
    pub tier: Option<&'static str>,
    /// How it ended.
    pub status: Status,
    /// When it was begun, in RFC 3339.
    pub started: String,
    /// How long it took, in seconds, hooks included.
    pub duration_seconds: f64,
    /// The snapshot, if there is one.
    pub snapshot: Option<String>,
    /// Its tags.
    pub tags: Vec<String>,
    /// Files in it.
    pub files: u64,
    /// Bytes in them.
    #[serde(rename = "size_bytes")]
    pub bytes: u64,
    /// Bytes that were not there before.
    pub new_bytes: u64,
    /// Bytes that these took in the repository.
    pub stored_bytes: u64,
    /// Whether what was stored was read back and is what it should be; null where nothing was looked at.
    pub verified: Option<bool>,
    /// How many older snapshots retention forgot; null where it was not asked.
    pub forgotten: Option<usize>,
    /// What went wrong.
    pub errors: Vec<String>,
    /// What is worth knowing.
    pub warnings: Vec<String>,
}

/// The coarsest tier among tags.
pub fn coarsest<'t>(tags: impl Iterator<Item = &'t str>) -> Option<&'static str> {
    tags.filter_map(Tier::of_tag).max().map(Tier::name)
}

impl Status {
    /// In a word, as the report has it.
    pub const fn word(self) -> &'static str {
        match self {
            Status::Done => "done",
            Status::Incomplete => "incomplete",
            Status::Failed => "failed",
        }
    }
}

impl Report {
    /// The report of no run, to try whether somebody can be told.
    pub fn of_a_test(now: Time) -> Self {
        let only = Self::without_a_run(now, "this is only a test".to_owned());
        Self { run: "test".to_owned(), dry_run: true, status: Status::Done, ..only }
    }

    /// The report of a run that had nothing to do.
    pub fn of_nothing(now: Time) -> Self {
        Self { status: Status::Done, errors: Vec::new(), ..Self::without_a_run(now, String::new()) }
    }

    /// The report of a run that could not begin.
    pub fn without_a_run(now: Time, error: String) -> Self {
        Self {
            run: "none".to_owned(),
            host: String::new(),
            timestamp: now.rfc3339(),
            tier: None,
            started: now.rfc3339(),
            ended: now.rfc3339(),
            duration_seconds: 0.0,
            dry_run: false,
            status: Status::Failed,
            sources: Vec::new(),
            upkeep: Vec::new(),
            errors: vec![error],
            told: Vec::new(),
            unwritten: Vec::new(),
        }
    }

    /// Notes when it ended, and what follows from that.
    pub fn end(&mut self, started: Time, ended: Time) {
        self.ended = ended.rfc3339();
        self.timestamp.clone_from(&self.ended);
        self.duration_seconds = ended.seconds_since(started);
        let tiers = self.sources.iter().filter_map(|source| source.tier);
        self.tier = coarsest(tiers);
    }
}

impl SourceReport {
    /// Nothing happened yet.
    pub fn new(name: &str, started: Time) -> Self {
        Self {
            name: name.to_owned(),
            tier: None,
            status: Status::Done,
            started: started.rfc3339(),
            duration_seconds: 0.0,
            snapshot: None,
            tags: Vec::new(),
            files: 0,
            bytes: 0,
            new_bytes: 0,
            stored_bytes: 0,
            verified: None,
            forgotten: None,
            errors: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// Notes a failure.
    pub fn fail(&mut self, message: impl Into<String>) {
        self.status = Status::Failed;
        self.errors.push(message.into());
    }

    /// Notes the tags that the snapshot has now.
    pub fn has_tags(&mut self, tags: Vec<String>) {
        self.tier = coarsest(tags.iter().map(String::as_str));
        self.tags = tags;
    }

    /// Notes what was stored.
    pub fn stored(&mut self, report: &backup::Report) {
        let counts = &report.counts;
        self.snapshot = report.snapshot.map(|id| id.to_string());
        self.has_tags(report.tags.clone());
        self.files = counts.files;
        self.bytes = counts.bytes;
        self.new_bytes = counts.new_raw_bytes;
        self.stored_bytes = counts.new_stored_bytes;
        self.warnings.extend(report.warnings.iter().cloned());
        self.warnings.extend(report.problems.iter().map(|problem| {
            let path = if problem.path.is_empty() { ".".into() } else { String::from_utf8_lossy(&problem.path) };
            format!("{path}: {}", problem.message)
        }));
        let unsaid = report.problems_total.saturating_sub(report.problems.len() as u64);
        if unsaid > 0 {
            self.warnings.push(format!("and {unsaid} more entries"));
        }
        if !report.complete {
            self.status = self.status.max(Status::Incomplete);
        }
    }
}
