//! `larder status`

use clap::Args;

use larder::run::memory::Memory;
use larder::run::report::Status;
use larder::run::status::objective::Objective;
use larder::run::status::{SourceStanding, Standing, stand};

use crate::cli::config::Which;
use crate::cli::output::{Align, Form, Outcome, Table, count, escaped, local_time, plural, size, zone};
use crate::cli::report::{Exit, Failure};
use crate::cli::session::Session;

/// Show how each source stands: its last success, its next run, and whether its snapshots are as new as they should be
///
/// Ends with 5 when the newest complete snapshot of a source is older than its max_age, or there is none.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Sources, by their names in larder.toml; default: every enabled one
    #[arg(value_name = "SOURCE")]
    sources: Vec<String>,
    #[command(flatten)]
    which: Which,
}

/// Looks.
pub fn run(session: &mut Session, arguments: &Arguments) -> Outcome {
    let found = arguments.which.read()?;
    let sources = found.chosen(&arguments.sources)?;
    let repo = found.open(session)?;
    let observer = session.observer();
    let world = found.world(session, observer.as_ref(), Some(&repo));
    let memory = Memory::read(world.memory.as_deref());
    let standing = stand(&repo, &found.config, &sources, &memory, &world);
    match session.out.form() {
        Form::Json => session.out.json(&standing)?,
        Form::Text => show(session, &standing)?,
    }
    for problem in &repo.state().problems {
        session.out.warning(format!("log entry {}: {}", problem.seq, problem.reason));
    }
    Ok(if standing.objective == Objective::Missed { Exit::Missed } else { Exit::Done })
}

fn show(session: &mut Session, standing: &Standing) -> Result<(), Failure> {
    if standing.sources.is_empty() {
        return session.out.aside("no source is enabled");
    }
    let mut table = Table::new(&[
        ("source", Align::Left),
        ("last success", Align::Left),
        ("age", Align::Right),
        ("at most", Align::Right),
        ("objective", Align::Left),
        ("next run", Align::Left),
        ("last run", Align::Left),
        ("last drill", Align::Left),
        ("size", Align::Right),
        ("snapshots", Align::Right),
    ]);
    for source in &standing.sources {
        table.row(row(source));
    }
    for line in table.lines() {
        session.out.line(line)?;
    }
    for source in &standing.sources {
        if let Some(reason) = &source.reason {
            let (name, word) = (escaped(source.name.as_bytes()), source.objective.word());
            session.out.warning(format!("{name}: {word}: {reason}"));
        }
        if source.last_drill.as_ref().is_some_and(|drill| !drill.proven) {
            let name = escaped(source.name.as_bytes());
            session.out.warning(format!("{name}: the last restore that was tried failed: larder drill says why"));
        }
    }
    let check = match (standing.last_check, standing.last_check_problems) {
        (Some(time), Some(problems)) => format!("last check {}: {}", local_time(time), plural(problems, "problem")),
        (Some(time), None) => format!("last check {}", local_time(time)),
        (None, _) => "no check by a run of this machine yet".to_owned(),
    };
    let repository = &standing.repository;
    let packs = plural(repository.packs, "pack");
    session.out.say(format!("repository {} in {packs}; {check}; times are in {}", size(repository.bytes), zone()))
}

fn row(source: &SourceStanding) -> Vec<String> {
    let next = match (source.due, source.next_run) {
        (true, _) => "due now".to_owned(),
        (false, Some(time)) => local_time(time),
        (false, None) => "-".to_owned(),
    };
    let drill = source.last_drill.as_ref().map(|drill| {
        let verdict = if drill.proven { "proven" } else { "failed" };
        format!("{verdict} {}", local_time(drill.time))
    });
    vec![
        escaped(source.name.as_bytes()),
        source.last_success.map_or("never".to_owned(), local_time),
        source.age_seconds.map_or("-".to_owned(), length),
        source.max_age_seconds.map_or("-".to_owned(), |age| length(age.as_secs_f64())),
        source.objective.word().to_owned(),
        next,
        source.last_run.as_ref().map_or("-", |run| Status::word(run.status)).to_owned(),
        drill.unwrap_or_else(|| "-".to_owned()),
        source.content.as_ref().map_or("-".to_owned(), |content| size(content.bytes)),
        count(source.snapshots),
    ]
}

/// A length of time in its two largest units.
fn length(seconds: f64) -> String {
    let seconds = seconds as u64;
    let (minutes, rest) = (seconds / 60, seconds % 60);
    let (days, hours, minutes) = (minutes / (24 * 60), minutes / 60 % 24, minutes % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{rest}s"),
        (0, 0, _) if rest > 0 => format!("{minutes}min {rest:02}s"),
        (0, 0, _) => format!("{minutes}min"),
        (0, _, _) => format!("{hours}h {minutes:02}min"),
        _ => format!("{days}d {hours:02}h"),
    }
}
