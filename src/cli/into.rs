//! `larder restore --into`: back into the service.

use serde::Serialize;

use larder::ops::select::{self, Forgotten, Selected};
use larder::ops::snapshots::{self, Filter};
use larder::repo::Repository;
use larder::run::into::{self, Outcome as Came, Safety};

use crate::cli::chosen::{ended, warn_of_lost};
use crate::cli::output::{self, Form, Outcome, escaped, size};
use crate::cli::report::{Exit, Failure};
use crate::cli::restore::{Arguments, Destination, warn_of_flaw};
use crate::cli::session::{self, Session};
use crate::cli::terminal;

/// Puts a snapshot back into a source.
pub fn run(session: &mut Session, arguments: &Arguments, source: &str) -> Outcome {
    let begun = session::now();
    let Destination { which, yes, no_safety_snapshot, .. } = &arguments.destination;
    let found = which.read()?;
    let sources = found.chosen(&[source.to_owned()])?;
    let Some(source) = sources.first() else { return Err(Failure::usage("which source?")) };
    let repo = found.open(session)?;
    let selected = selected(session, &repo, arguments, &source.name)?;
    let safety = if *no_safety_snapshot { Safety::Skip } else { Safety::Take };
    let refused = |error| Failure::new(Exit::Failed, format!("cannot put it back into {}", source.name)).detail(error);
    let observer = session.observer();
    let world = found.world(session, observer.as_ref(), None);
    let plan = into::plan(&repo, source, &selected.record, safety, &world)
        .map_err(|error| refused(error).hint("nothing was changed"))?;
    drop(world);
    drop(observer);
    describe(session, &selected, &source.name, &plan)?;
    if arguments.dry_run {
        return Ok(ended(&selected, Exit::Done));
    }
    if !yes {
        agree()?;
    }
    let observer = session.observer();
    let world = found.world(session, observer.as_ref(), Some(&repo));
    let came = into::put_back(&repo, source, &selected.record, safety, &world).map_err(|error| {
        refused(error).hint("nothing was changed; if there is nothing left to store, add --no-safety-snapshot")
    })?;
    drop(world);
    drop(observer);
    show(session, &source.name, &selected, &came, output::seconds_between(begun, session::now()))
}

/// The snapshot that is meant, or chosen from a list.
fn selected(
    session: &mut Session,
    repo: &Repository,
    arguments: &Arguments,
    source: &str,
) -> Result<Selected, Failure> {
    let text = match &arguments.what {
        Some(what) => what.to_str().ok_or_else(|| Failure::usage("which snapshot?"))?.to_owned(),
        None if arguments.destination.interactive => choose(session, repo, source)?,
        None => return Err(Failure::usage("which snapshot?").hint("SOURCE@latest, an id, or --interactive")),
    };
    let (snapshot, path) = select::split(&text);
    if !path.is_empty() {
        return Err(Failure::usage("only a whole snapshot goes back into a service")
            .hint("restore the path with --to, and put it back by hand"));
    }
    let selected = select::snapshot(repo, &snapshot, Forgotten::Refuse)?;
    warn_of_lost(session, &selected);
    Ok(selected)
}

/// Lets a person choose one of the source's snapshots, the newest first.
fn choose(session: &mut Session, repo: &Repository, source: &str) -> Result<String, Failure> {
    let filter = Filter { source: Some(source.to_owned()), ..Filter::default() };
    let safeties = Filter { source: Some(into::safety_series(source)), ..Filter::default() };
    let mut rows = snapshots::list(repo, &filter, std::time::Duration::ZERO)?.rows;
    rows.extend(snapshots::list(repo, &safeties, std::time::Duration::ZERO)?.rows);
    rows.sort_by_key(|row| std::cmp::Reverse(row.record.started));
    if rows.is_empty() {
        return Err(Failure::usage(format!("there is no snapshot of {}", escaped(source.as_bytes()))));
    }
    for (number, row) in rows.iter().enumerate() {
        let tags: Vec<&str> = row.tags.iter().map(String::as_str).collect();
        let (time, bytes) = (output::local_time(row.record.started), size(row.record.counts.bytes));
        let text = format!("{:>3}  {}  {time}  {bytes:>10}  {}", number + 1, row.id.short(), tags.join(", "));
        session.out.line(format!("{text}  {}", escaped(row.record.description.as_bytes())).trim_end())?;
    }
    session.out.flush()?;
    let answer = ask(&format!("which one (1 to {})? ", rows.len()), "name the snapshot instead")?;
    let row = answer.parse::<usize>().ok().and_then(|number| rows.get(number.checked_sub(1)?));
    row.map(|row| row.id.to_string()).ok_or_else(|| Failure::usage("none was chosen").hint("nothing was changed"))
}

fn describe(session: &mut Session, selected: &Selected, source: &str, plan: &[String]) -> Result<(), Failure> {
    if session.out.form() == Form::Json {
        return Ok(());
    }
    let record = &selected.record;
    let (id, from) = (selected.snapshot.id.short(), escaped(record.source.as_bytes()));
    let time = output::local_time(record.started);
    session.out.say(format!("snapshot {id} of {from}, {time}, goes back into {source}:"))?;
    if !selected.snapshot.complete {
        session.out.warning(format!("snapshot {id} is incomplete: some entries could not be read when it was made"));
    }
    warn_of_flaw(session, &selected.snapshot);
    for line in plan {
        session.out.say(format!("  {}", escaped(line.as_bytes())))?;
    }
    session.out.flush()
}

fn agree() -> Result<(), Failure> {
    match ask("go on? type yes: ", "give --yes to agree beforehand")?.as_str() {
        "yes" => Ok(()),
        _ => Err(Failure::new(Exit::Failed, "not agreed: nothing was changed")),
    }
}

fn ask(question: &str, otherwise: &str) -> Result<String, Failure> {
    let answer = terminal::ask_aloud(question)
        .map_err(|error| Failure::usage(format!("there is no terminal to ask on: {error}")).hint(otherwise))?;
    Ok(answer.unwrap_or_default())
}

#[derive(Serialize)]
struct Answer<'a> {
    source: &'a str,
    snapshot: String,
    safety_snapshot: Option<String>,
    restored: bool,
    put_back: Option<bool>,
    errors: &'a [String],
    warnings: &'a [String],
    duration_seconds: f64,
}

fn show(session: &mut Session, source: &str, selected: &Selected, came: &Came, seconds: f64) -> Outcome {
    let restored = came.errors.is_empty();
    if session.out.form() == Form::Json {
        session.out.json(&Answer {
            source,
            snapshot: selected.snapshot.id.to_string(),
            safety_snapshot: came.safety.map(|id| id.to_string()),
            restored,
            put_back: came.put_back,
            errors: &came.errors,
            warnings: &came.warnings,
            duration_seconds: seconds,
        })?;
    } else {
        for warning in &came.warnings {
            session.out.warning(escaped(warning.as_bytes()));
        }
        for error in &came.errors {
            session.out.problem(error);
        }
        let id = selected.snapshot.id.short();
        let took = output::elapsed(seconds);
        session.out.say(match (restored, came.put_back) {
            (true, _) => format!("restored snapshot {id} into {source} in {took}"),
            (false, Some(true)) => format!("failed: {source} is what it was before"),
            (false, Some(false)) => format!("failed, and {source} may be in pieces: see the errors above"),
            (false, None) => format!("failed: {source} may be in pieces, and what was there before was not stored"),
        })?;
        if let Some(safety) = came.safety {
            session.out.say(format!("what was there before is snapshot {}", safety.short()))?;
        }
    }
    Ok(if restored { ended(selected, Exit::Done) } else { Exit::Failed })
}
