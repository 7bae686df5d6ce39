//! `larder run`

use std::fs::File;

use clap::Args;
use rustix::fs::{FlockOperation, flock};

use larder::ops::tag;
use larder::run::agenda::{self, What};
use larder::run::report::{Report, SourceReport, Status};
use larder::run::{self, Request, Why};

use crate::cli::config::Which;
use crate::cli::outage;
use crate::cli::output::{self, Form, Outcome, escaped, plural, size};
use crate::cli::report::{Exit, Failure};
use crate::cli::session::{self, Session};

/// Back up what larder.toml says: the sources named, or every enabled one
///
/// A source that fails does not keep the others from their turn: the run goes on, and ends with 1.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Sources, by their names in larder.toml
    #[arg(value_name = "SOURCE")]
    sources: Vec<String>,
    #[command(flatten)]
    which: Which,
    /// Only those that their schedule says are due
    #[arg(long)]
    due: bool,
    /// A tag for the snapshots; the name of a tier forces that tier. May be given again
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,
    /// A remark
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    description: String,
    /// Read and compare everything, store nothing, run no hooks
    #[arg(long, short = 'n')]
    dry_run: bool,
    /// Wait for another run of this configuration instead of ending with 11
    #[arg(long)]
    wait: bool,
}

/// Runs them.
pub fn run(session: &mut Session, arguments: &Arguments) -> Outcome {
    tag::check(&arguments.tags)?;
    let found = arguments.which.read()?;
    let mut sources = found.chosen(&arguments.sources)?;
    let how = if arguments.wait { FlockOperation::LockExclusive } else { FlockOperation::NonBlockingLockExclusive };
    alone(&found.file, how)?;
    let repo = match found.open(session) {
        Ok(repo) => repo,
        Err(failure) => {
            outage::begins(session, &found, &failure);
            return Err(failure);
        }
    };
    let observer = session.observer();
    let world = found.world(session, observer.as_ref(), Some(&repo));
    outage::ends(session, &found, &world);
    if arguments.due {
        let due = agenda::due(&found.config, &repo, &world);
        sources.retain(|source| due.contains(&What::Source(source.name.clone())));
        // What is due may be sources that nobody named.
        if sources.is_empty() && !due.iter().any(|what| matches!(what, What::Upkeep(_))) {
            session.out.note("nothing is due");
            if session.out.form() == Form::Json {
                session.out.json(&Report::of_nothing(session::now()))?;
            }
            return Ok(Exit::Done);
        }
    } else if sources.is_empty() {
        session.out.note("no source is enabled");
    }
    let request = Request {
        tags: arguments.tags.clone(),
        description: arguments.description.clone(),
        dry_run: arguments.dry_run,
        why: if arguments.due { Why::Due } else { Why::Asked },
    };
    let report = run::run(&repo, &found.config, &sources, &request, &world)
        .map_err(|error| Failure::new(Exit::Failed, error.to_string()))?;
    drop(world);
    drop(observer);
    show(session, &report)?;
    if report.upkeep.iter().any(|upkeep| upkeep.problems > 0) {
        return Ok(Exit::Damage);
    }
    Ok(match report.status {
        Status::Done => Exit::Done,
        Status::Incomplete => Exit::Incomplete,
        Status::Failed => Exit::Failed,
    })
}

/// Makes sure that this is the only run of its configuration, for as long as the file is open.
pub fn alone(file: &File, how: FlockOperation) -> Result<(), Failure> {
    flock(file, how).map_err(|error| match error {
        rustix::io::Errno::WOULDBLOCK => Failure::new(Exit::Refused, "another run of this configuration is under way")
            .hint("wait for it, or give --wait"),
        error => Failure::io("cannot lock the configuration", &error.into()),
    })
}

fn show(session: &mut Session, report: &Report) -> Result<(), Failure> {
    if session.out.form() == Form::Json {
        return session.out.json(report);
    }
    let width = report.sources.iter().map(|source| source.name.len()).max().unwrap_or(0);
    for source in &report.sources {
        let name = escaped(source.name.as_bytes());
        session.out.say(format!("{name:width$}  {:<10}  {}", source.status.word(), summary(report, source)))?;
        for warning in &source.warnings {
            // What a command said has lines.
            let lines: Vec<String> = warning.lines().map(|line| escaped(line.as_bytes())).collect();
            session.out.warning(format!("{name}: {}", lines.join("\n  ")));
        }
        for error in &source.errors {
            session.out.problem(format!("{name}: {error}"));
        }
    }
    for upkeep in &report.upkeep {
        match &upkeep.error {
            Some(error) => session.out.problem(format!("{}: {error}", upkeep.what)),
            None => session.out.say(format!("{:width$}  done        {}", upkeep.what, upkeep.outcome))?,
        }
    }
    for error in &report.errors {
        session.out.problem(error);
    }
    for told in &report.told {
        if let Some(error) = &told.error {
            session.out.warning(format!("{} could not be told: {error}", told.name));
        }
    }
    for unwritten in &report.unwritten {
        session.out.warning(format!("[status] cannot write {}", escaped(unwritten.as_bytes())));
    }
    let with_snapshot = report.sources.iter().filter(|source| source.snapshot.is_some()).count();
    let seconds = output::elapsed(report.duration_seconds);
    let sources = plural(report.sources.len() as u64, "source");
    session.out.say(match report.dry_run {
        true => format!("dry run of {sources}: nothing was stored"),
        false => format!("run {} of {sources}: {with_snapshot} with a snapshot, in {seconds}", report.run),
    })
}

/// What came of a source, in a line.
pub fn summary(report: &Report, source: &SourceReport) -> String {
    let mut parts = Vec::new();
    match &source.snapshot {
        Some(id) => parts.push(format!("snapshot {}", &id[..id.len().min(8)])),
        None if !report.dry_run => return "no snapshot".to_owned(),
        None => {}
    }
    parts.push(format!("{}, {}", plural(source.files, "file"), size(source.bytes)));
    parts.push(if report.dry_run {
        format!("{} new", size(source.new_bytes))
    } else {
        format!("stored {}", size(source.stored_bytes))
    });
    if source.verified == Some(true) {
        parts.push("verified".to_owned());
    }
    if let Some(forgotten @ 1..) = source.forgotten {
        parts.push(format!("{} forgotten", plural(forgotten as u64, "older snapshot")));
    }
    parts.join(", ")
}
