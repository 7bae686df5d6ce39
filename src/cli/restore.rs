//! `larder restore`

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde::Serialize;

use larder::ops::restore::report::{Action, Message, Report};
use larder::ops::restore::{self, Existing, Extra, Mode, Options, Owners, Verify};
use larder::ops::retention::flaw;
use larder::repo::state::Snapshot;

use crate::cli::chosen::{Chosen, ended};
use crate::cli::config::Which;
use crate::cli::into;
use crate::cli::output::{self, Form, JsonPath, Outcome, count, escaped, plural, size};
use crate::cli::pick::{self, Wanted};
use crate::cli::report::{Exit, Failure};
use crate::cli::session::{self, Session, lies_within};

/// Put a snapshot, or a path of it, into a folder; or a whole snapshot back into the service it is of
///
/// Of a folder, what is in it goes directly into the target; anything else goes there under its own name. With --entry, a
/// part of one file: a table of a dump becomes TABLE.sql there, a member of a tar archive a file.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The snapshot, and a path in it
    #[arg(value_name = "SNAPSHOT[:PATH]", required_unless_present = "interactive")]
    pub what: Option<OsString>,
    #[command(flatten)]
    pub destination: Destination,
    /// Only this table, view or function of a dump, or this member of a tar archive. May be given again
    #[arg(long, value_name = "NAME", conflicts_with_all = ["into", "include", "exclude", "dry_run", "delete", "verify", "no_owner"])]
    entry: Vec<OsString>,
    /// Only what matches: a name, or a path with `/`, `*`, `?`, `**`. May be given again
    #[arg(long, value_name = "GLOB")]
    include: Vec<String>,
    /// Leave out what matches. May be given again
    #[arg(long, value_name = "GLOB")]
    exclude: Vec<String>,
    /// Only say what would be done
    #[arg(long, short = 'n')]
    pub dry_run: bool,
    /// What to do with what is in the target already; without this only an empty target is taken
    #[arg(long, value_name = "HOW")]
    existing: Option<How>,
    /// Delete what is in the target and not in the snapshot
    #[arg(long, requires = "existing")]
    delete: bool,
    /// Read back everything and compare
    #[arg(long)]
    verify: bool,
    /// Let everything belong to whoever restores
    #[arg(long)]
    no_owner: bool,
}

/// Where to.
#[derive(Debug, Args)]
pub struct Destination {
    /// The target; made if it does not exist. With --entry, - is standard output
    #[arg(long, value_name = "DIR", required_unless_present_any = ["into", "interactive"])]
    pub to: Option<PathBuf>,
    /// The source in larder.toml whose service gets it back; what it holds now is stored first
    #[arg(long, value_name = "SOURCE", conflicts_with_all = ["to", "include", "exclude", "existing", "delete", "verify", "no_owner"])]
    pub into: Option<String>,
    /// With --into: choose the snapshot from a list
    #[arg(long, conflicts_with = "what")]
    pub interactive: bool,
    /// With --into: do not ask
    #[arg(long, short = 'y', requires = "into")]
    pub yes: bool,
    /// With --into: do not store first what is there now
    #[arg(long, requires = "into")]
    pub no_safety_snapshot: bool,
    #[command(flatten)]
    pub which: Which,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum How {
    /// Leave it as it is
    Keep,
    /// Replace files
    Replace,
    /// Replace only what differs: in length or time, with --verify in content
    Changed,
}

/// Restores.
pub fn run(session: &mut Session, arguments: &Arguments) -> Outcome {
    if let Some(source) = &arguments.destination.into {
        return into::run(session, arguments, source);
    }
    let (Some(what), Some(to)) = (&arguments.what, &arguments.destination.to) else {
        return Err(Failure::usage("--interactive goes with --into alone").hint(
            "larder restore --into SOURCE --interactive; into a folder: larder restore SNAPSHOT --to DIR, \
             and larder snapshots lists them",
        ));
    };
    let begun = session::now();
    let options = options(arguments);
    let wanted = wanted(arguments, to)?;
    let repo = session.open_of(&arguments.destination.which)?;
    if !wanted.as_ref().is_some_and(Wanted::to_stdout) {
        check_target(session, arguments, to)?;
    }
    let chosen = Chosen::new(session, &repo, what)?;
    if let Some(wanted) = wanted {
        return Ok(ended(&chosen.selected, pick::restore(session, &repo, &chosen, &wanted)?));
    }
    if !chosen.selected.snapshot.complete {
        let id = chosen.selected.snapshot.id.short();
        session.out.warning(format!("snapshot {id} is incomplete: some entries could not be read when it was made"));
    }
    warn_of_flaw(session, &chosen.selected.snapshot);
    let observer = session.observer();
    let result = restore::run(&repo, chosen.root(), &chosen.path, to, &options, observer.as_ref());
    drop(observer);
    let report = result?;
    let seconds = output::seconds_between(begun, session::now());
    if !arguments.include.is_empty() && report.restored_nothing() {
        session.out.warning("nothing in the snapshot matches --include");
    }
    show(session, arguments, to, &report, seconds)?;
    let exit = match (report.damaged, report.problems_total) {
        (0, 0) => Exit::Done,
        (0, _) => Exit::Incomplete,
        _ => Exit::Damage,
    };
    Ok(ended(&chosen.selected, exit))
}

/// Says what is known to be wrong with a snapshot.
pub fn warn_of_flaw(session: &mut Session, snapshot: &Snapshot) {
    if let Some(flaw) = flaw(snapshot) {
        session.out.warning(format!(
            "snapshot {} failed its verification: {}",
            snapshot.id.short(),
            escaped(flaw.as_bytes())
        ));
    }
}

fn options(arguments: &Arguments) -> Options {
    Options {
        existing: match arguments.existing {
            None => Existing::Refuse,
            Some(How::Keep) => Existing::Keep,
            Some(How::Replace) => Existing::Replace,
            Some(How::Changed) => Existing::Changed,
        },
        extra: if arguments.delete { Extra::Delete } else { Extra::Leave },
        owners: if arguments.no_owner { Owners::Ignore } else { Owners::AsStored },
        verify: if arguments.verify { Verify::Everything } else { Verify::No },
        mode: if arguments.dry_run { Mode::DryRun } else { Mode::Write },
        include: arguments.include.clone(),
        exclude: arguments.exclude.clone(),
        threads: session::threads(),
    }
}

/// The entries that are wanted of a file.
fn wanted<'a>(arguments: &'a Arguments, to: &'a Path) -> Result<Option<Wanted<'a>>, Failure> {
    if arguments.entry.is_empty() {
        return Ok(None);
    }
    let existing = match arguments.existing {
        None => pick::Existing::Refuse,
        Some(How::Replace) => pick::Existing::Replace,
        Some(How::Keep | How::Changed) => {
            return Err(
                Failure::usage("with --entry, --existing can only be replace").hint("leave it out to replace nothing")
            );
        }
    };
    Ok(Some(Wanted { names: &arguments.entry, to, existing }))
}

/// Neither may a restore write into the repository, nor may it delete it.
fn check_target(session: &Session, arguments: &Arguments, target: &Path) -> Result<(), Failure> {
    let place = session.place()?;
    if lies_within(target, place) {
        return Err(Failure::usage(format!("the target {} lies in the repository", target.display()))
            .hint("choose a folder outside of it"));
    }
    if arguments.delete && lies_within(place, target) {
        return Err(Failure::usage(format!("the repository lies in the target {}", target.display()))
            .hint("with --delete it could be deleted; leave that out, or choose another folder"));
    }
    if let Some(caches) = session.caches()
        && arguments.delete
        && lies_within(&caches, target)
    {
        session.out.note(format!("the cache {} lies in the target and may be deleted with it", caches.display()));
    }
    Ok(())
}

#[derive(Serialize)]
struct Answer<'a> {
    target: String,
    dry_run: bool,
    files: u64,
    directories: u64,
    others: u64,
    hard_links: u64,
    bytes: u64,
    unchanged: u64,
    deleted: u64,
    verified: u64,
    damaged: u64,
    problems: Vec<Said<'a>>,
    problems_total: u64,
    warnings: Vec<Said<'a>>,
    warnings_total: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    planned: Option<Vec<Planned>>,
    duration_seconds: f64,
}

#[derive(Serialize)]
struct Said<'a> {
    #[serde(flatten)]
    path: JsonPath,
    message: &'a str,
}

#[derive(Serialize)]
struct Planned {
    action: &'static str,
    #[serde(flatten)]
    path: JsonPath,
}

const fn word(action: Action) -> &'static str {
    match action {
        Action::Create => "create",
        Action::Replace => "replace",
        Action::Metadata => "metadata",
        Action::Delete => "delete",
    }
}

fn said(messages: &[Message]) -> Vec<Said<'_>> {
    messages
        .iter()
        .map(|message| Said { path: JsonPath::from(message.path.as_slice()), message: &message.message })
        .collect()
}

fn show(session: &mut Session, arguments: &Arguments, to: &Path, report: &Report, seconds: f64) -> Result<(), Failure> {
    if session.out.form() == Form::Json {
        return session.out.json(&answer(arguments, to, report, seconds));
    }
    for planned in &report.planned {
        let path = if planned.path.is_empty() { ".".to_owned() } else { escaped(&planned.path) };
        session.out.line(format!("{:<9}{path}", word(planned.action)))?;
    }
    remarks(session, "warning", &report.warnings, report.warnings_total);
    remarks(session, "problem", &report.problems, report.problems_total);
    let done = if arguments.dry_run { "would restore" } else { "restored" };
    let out = &mut session.out;
    out.say(format!("{done} {} to {} in {}", contents(report), shown(to), output::elapsed(seconds)))?;
    let mut more = Vec::new();
    for (number, text) in [
        (report.unchanged, "there already"),
        (report.deleted, if arguments.dry_run { "to delete" } else { "deleted" }),
        (report.verified, "read back and equal"),
    ] {
        if number > 0 {
            more.push(format!("{} {text}", count(number)));
        }
    }
    if !more.is_empty() {
        out.say(format!("  {}", more.join(", ")))?;
    }
    if report.problems_total > 0 {
        let damaged =
            format!("  {}, {} because of damage", plural(report.problems_total, "problem"), count(report.damaged));
        out.say(damaged)?;
    }
    Ok(())
}

fn shown(path: &Path) -> String {
    use std::os::unix::ffi::OsStrExt as _;
    escaped(path.as_os_str().as_bytes())
}

fn contents(report: &Report) -> String {
    let mut parts = vec![plural(report.files, "file")];
    for (number, one) in [(report.directories, "folder"), (report.hard_links, "hard link"), (report.others, "other")] {
        if number > 0 {
            parts.push(plural(number, one));
        }
    }
    parts.push(size(report.bytes));
    parts.join(", ")
}

fn remarks(session: &Session, kind: &str, messages: &[Message], total: u64) {
    for message in messages {
        let path = escaped(&message.path);
        session.out.warning(if path.is_empty() {
            message.message.clone()
        } else {
            format!("{path}: {}", message.message)
        });
    }
    let unsaid = total.saturating_sub(messages.len() as u64);
    if unsaid > 0 {
        session.out.warning(format!("and {} more", plural(unsaid, kind)));
    }
}

fn answer<'a>(arguments: &Arguments, to: &Path, report: &'a Report, seconds: f64) -> Answer<'a> {
    let planned = report
        .planned
        .iter()
        .map(|planned| Planned { action: word(planned.action), path: JsonPath::from(planned.path.as_slice()) });
    Answer {
        target: shown(to),
        dry_run: arguments.dry_run,
        files: report.files,
        directories: report.directories,
        others: report.others,
        hard_links: report.hard_links,
        bytes: report.bytes,
        unchanged: report.unchanged,
        deleted: report.deleted,
        verified: report.verified,
        damaged: report.damaged,
        problems: said(&report.problems),
        problems_total: report.problems_total,
        warnings: said(&report.warnings),
        warnings_total: report.warnings_total,
        planned: arguments.dry_run.then(|| planned.collect()),
        duration_seconds: seconds,
    }
}
