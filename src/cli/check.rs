//! `larder check`

use std::str::FromStr;

use clap::Args;
use serde::Serialize;

use larder::crypto::random;
use larder::ops::check::{self, Depth, Part, Problem, Report};

use crate::cli::output::{self, Form, JsonPaths, Outcome, escaped, plural, size};
use crate::cli::report::{Exit, Failure};
use crate::cli::session::{self, Session};

/// What is shown to people of one problem, and of all; --json has everything.
const PATHS_SHOWN: usize = 20;
const SNAPSHOTS_SHOWN: usize = 100;
const PROBLEMS_SHOWN: usize = 1000;

/// Check that everything is there and is what it should be
#[derive(Debug, Args)]
pub struct Arguments {
    /// Open every block and compute every chunk's name again; or of a part only: about so many percent of the packs,
    /// chosen at random, or the Nth of M parts
    #[arg(long, value_name = "PERCENT|N/M", num_args = 0..=1, require_equals = true, default_missing_value = "100")]
    read_data: Option<Share>,
}

/// How much of the data to read.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Share {
    Percent(f64),
    Slice(u64, u64),
}

impl FromStr for Share {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some((n, of)) = text.split_once('/') {
            return match (n.parse(), of.parse()) {
                (Ok(n), Ok(of)) if 1 <= n && n <= of => Ok(Share::Slice(n, of)),
                _ => Err(format!("{text:?} is not N/M with N from 1 to M")),
            };
        }
        let percent = text.strip_suffix('%').unwrap_or(text).parse().ok();
        let percent = percent.filter(|percent| *percent > 0.0 && *percent <= 100.0);
        percent.map(Share::Percent).ok_or_else(|| format!("{text:?} is not a number above 0 and up to 100"))
    }
}

#[derive(Serialize)]
struct Answer<'a> {
    sound: bool,
    problems: Vec<Found<'a>>,
    problems_total: u64,
    notes: &'a [String],
    snapshots: u64,
    packs: u64,
    pages: u64,
    chunks: u64,
    blocks_read: u64,
    bytes_read: u64,
    duration_seconds: f64,
}

#[derive(Serialize)]
struct Found<'a> {
    object: &'a str,
    what: &'a str,
    snapshots: Vec<String>,
    snapshots_total: u64,
    #[serde(flatten)]
    paths: JsonPaths,
    paths_unnamed: u64,
}

/// Checks.
pub fn run(session: &mut Session, arguments: &Arguments) -> Outcome {
    let begun = session::now();
    let depth = match arguments.read_data {
        None => Depth::Structure,
        Some(Share::Percent(percent)) if percent >= 100.0 => Depth::Data(Part::All),
        Some(Share::Percent(percent)) => Depth::Data(Part::Percent { percent, seed: seed()? }),
        Some(Share::Slice(n, of)) => Depth::Data(Part::Slice { n, of }),
    };
    let repo = session.open()?;
    let observer = session.observer();
    let result = check::run(&repo, depth, session::threads(), observer.as_ref());
    drop(observer);
    let report = result?;
    show(session, &report, depth, output::seconds_between(begun, session::now()))?;
    Ok(if report.problems_total == 0 { Exit::Done } else { Exit::Damage })
}

fn seed() -> Result<u64, Failure> {
    let bytes = random::bytes().map_err(|error| Failure::new(Exit::Failed, error.to_string()))?;
    Ok(u64::from_le_bytes(bytes))
}

fn show(session: &mut Session, report: &Report, depth: Depth, seconds: f64) -> Result<(), Failure> {
    let out = &mut session.out;
    if out.form() == Form::Json {
        return out.json(&answer(report, seconds));
    }
    for note in &report.notes {
        out.note(note);
    }
    for problem in report.problems.iter().take(PROBLEMS_SHOWN) {
        out.line(format!("damaged: {}: {}", problem.object, what(problem)))?;
        if let Some(touched) = snapshots(problem) {
            out.line(format!("  in {touched}"))?;
        }
        for path in problem.paths.iter().take(PATHS_SHOWN) {
            out.line(format!("  {}", if path.is_empty() { ".".into() } else { escaped(path) }))?;
        }
        let unsaid = problem.paths.len().saturating_sub(PATHS_SHOWN) as u64;
        match problem.unnamed {
            0 if unsaid > 0 => out.line(format!("  and {}; --json names them", plural(unsaid, "more path")))?,
            0 => {}
            _ => out.line(format!("  and {} or more; --json names as many as it can", plural(unsaid, "more path")))?,
        }
    }
    let unsaid = report.problems_total.saturating_sub(PROBLEMS_SHOWN as u64);
    if unsaid > 0 {
        out.line(format!("and {}; --json names them", plural(unsaid, "more problem")))?;
    }
    let looked = [
        plural(report.snapshots, "snapshot"),
        plural(report.packs, "pack"),
        plural(report.pages, "page"),
        plural(report.chunks, "chunk"),
    ];
    out.say(format!("checked {} in {}", looked.join(", "), output::elapsed(seconds)))?;
    // Of a small repository a share may be nothing: that is to be seen, too.
    if depth != Depth::Structure {
        out.say(format!("  read {}, {}", plural(report.blocks_read, "block"), size(report.bytes_read)))?;
    }
    match report.problems_total {
        0 => out.say("no problems found"),
        total => out.line(format!("{} found", plural(total, "problem"))),
    }?;
    report.outlook().map_or(Ok(()), |outlook| out.say(outlook))
}

/// What is wrong, without the name of the object before it.
fn what(problem: &Problem) -> &str {
    let named = format!("{} is damaged: ", problem.object);
    problem.what.strip_prefix(&named).unwrap_or(&problem.what)
}

fn snapshots(problem: &Problem) -> Option<String> {
    if problem.snapshots.is_empty() {
        return None;
    }
    let names: Vec<String> = problem.snapshots.iter().take(SNAPSHOTS_SHOWN).map(|id| id.short()).collect();
    let unsaid = problem.snapshots_total.saturating_sub(names.len() as u64);
    let more = if unsaid > 0 { format!(" and {unsaid} more") } else { String::new() };
    let noun = if names.len() == 1 { "snapshot" } else { "snapshots" };
    Some(format!("{noun} {}{more}", names.join(", ")))
}

fn found(problem: &Problem) -> Found<'_> {
    Found {
        object: &problem.object,
        what: what(problem),
        snapshots: problem.snapshots.iter().map(ToString::to_string).collect(),
        snapshots_total: problem.snapshots_total,
        paths: JsonPaths::from(problem.paths.as_slice()),
        paths_unnamed: problem.unnamed,
    }
}

fn answer(report: &Report, seconds: f64) -> Answer<'_> {
    Answer {
        sound: report.problems_total == 0,
        problems: report.problems.iter().map(found).collect(),
        problems_total: report.problems_total,
        notes: &report.notes,
        snapshots: report.snapshots,
        packs: report.packs,
        pages: report.pages,
        chunks: report.chunks,
        blocks_read: report.blocks_read,
        bytes_read: report.bytes_read,
        duration_seconds: seconds,
    }
}
