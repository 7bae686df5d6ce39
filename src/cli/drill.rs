//! `larder drill`

use clap::Args;

use larder::config::sources::Source;
use larder::ops::note::{Standing, Standings};
use larder::repo::Repository;
use larder::run::drill::{self, Drilled, Verdict};
use larder::run::{notify, status};

use crate::cli::config::Which;
use crate::cli::output::{self, Form, Outcome, escaped, plural, size};
use crate::cli::report::{Exit, Failure};
use crate::cli::session::{self, Session};

/// Restore the newest snapshot of each source into a throw-away place, and try what must hold of it
///
/// The verdict stands in the repository: larder snapshots shows it, and retention keeps the newest snapshot that is proven.
/// Ends with 4 if damage was met, with 1 if anything else is not well.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Sources, by their names in larder.toml; default: every one that is enabled and has no drill.enabled = false
    #[arg(value_name = "SOURCE")]
    sources: Vec<String>,
    #[command(flatten)]
    which: Which,
}

/// Drills them.
pub fn run(session: &mut Session, arguments: &Arguments) -> Outcome {
    let begun = session::now();
    let found = arguments.which.read()?;
    let named = found.chosen(&arguments.sources)?;
    let sources: Vec<&Source> = if arguments.sources.is_empty() { drill::of_all(&found.config) } else { named };
    let repo = found.open(session)?;
    let observer = session.observer();
    let world = found.world(session, observer.as_ref(), Some(&repo));
    let drills = drill::run(&repo, &found.config, &sources, &world);
    let well = drills.iter().all(Drilled::is_well);
    // That it went well is no news, and must not be taken for a run that did.
    let told = if well {
        Vec::new()
    } else {
        notify::tell(&found.config.notify, &drill::report("drill", begun, &drills, &world), None, &world)
    };
    let unwritten = status::files::refresh(&repo, &found.config, &world);
    let host = world.host.clone();
    drop(world);
    drop(observer);
    show(session, &drills)?;
    for failed in drills.iter().filter(|drilled| drilled.verdict == Verdict::Failed) {
        session.out.note(format!("{}: {}", escaped(failed.source.as_bytes()), proven(&repo, &failed.source, &host)));
    }
    for told in told {
        if let Some(error) = told.error {
            session.out.warning(format!("{} could not be told: {error}", told.name));
        }
    }
    if let Some(unwritten) = unwritten {
        session.out.warning(format!("[status] cannot write {}", escaped(unwritten.as_bytes())));
    }
    // A newer snapshot may be what the log does not give any more.
    let state = repo.state();
    for problem in &state.problems {
        session.out.warning(format!("log entry {}: {}", problem.seq, problem.reason));
    }
    Ok(if drills.iter().any(|drilled| drilled.damaged) || !state.problems.is_empty() {
        Exit::Damage
    } else if well {
        Exit::Done
    } else {
        Exit::Failed
    })
}

/// What there is to go back to, in words.
fn proven(repo: &Repository, source: &str, host: &str) -> String {
    let (state, series) = (repo.state(), repo.keys().series_id(source, host));
    let standings = Standings::of(&state);
    let mut newest_first = state.snapshots().iter().rev().filter(|one| one.series == series && !one.tags.is_empty());
    match newest_first.find(|one| standings.get(one) == Standing::Proven) {
        Some(one) => format!("the newest snapshot that is proven is {}, and stays", one.id.short()),
        None => "no snapshot of it is proven".to_owned(),
    }
}

fn show(session: &mut Session, drills: &[Drilled]) -> Result<(), Failure> {
    if drills.is_empty() {
        session.out.note("no source has a drill");
    }
    for drilled in drills {
        let name = escaped(drilled.source.as_bytes());
        for warning in &drilled.warnings {
            session.out.warning(format!("{name}: {warning}"));
        }
        for error in &drilled.errors {
            session.out.problem(format!("{name}: {error}"));
        }
    }
    if session.out.form() == Form::Json {
        return session.out.json(&drills);
    }
    let width = drills.iter().map(|drilled| drilled.source.len()).max().unwrap_or(0);
    for drilled in drills {
        let name = escaped(drilled.source.as_bytes());
        let short = drilled.snapshot.as_deref().map_or("no snapshot", |id| &id[..id.len().min(8)]);
        let took = output::elapsed(drilled.duration_seconds);
        session.out.say(match drilled.verdict {
            Verdict::Proven => format!(
                "{name:width$}  proven   snapshot {short}, {}, in {}; {}, in {took}",
                size(drilled.bytes),
                drilled.place,
                plural(drilled.checks as u64, "check"),
            ),
            Verdict::Failed => format!("{name:width$}  failed   snapshot {short}, in {took}"),
            Verdict::Untried => format!("{name:width$}  untried  {short}"),
        })?;
    }
    Ok(())
}
