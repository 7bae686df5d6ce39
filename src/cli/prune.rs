//! `larder prune`

use std::time::{Duration, SystemTime};

use clap::Args;
use serde::Serialize;

use larder::duration::Length;
use larder::ops::prune::plan::{Facts, Plan, Tally};
use larder::ops::prune::{self, Options, Report, rehearse};

use crate::cli::output::{Form, Outcome, plural, size};
use crate::cli::report::{Exit, Failure};
use crate::cli::session::{self, Session};

/// Temporary files of killed runs go once they are as old as this; a younger one may still be written.
const TEMPORARIES_AGE: Duration = Duration::from_secs(24 * 60 * 60);

/// Free the space of what no snapshot needs: condemn it, and delete what was condemned longer ago than the grace period
#[derive(Debug, Args)]
pub struct Arguments {
    /// Only say what would be freed, to the byte: what would be repacked is read and compressed, and stored nowhere
    #[arg(long, short = 'n')]
    dry_run: bool,
    /// How long what is condemned can still be had back: `7d`, `12h`; `0s` deletes it in this run
    #[arg(long, value_name = "DURATION", default_value = "7d")]
    grace: Length,
    /// Repack until no more than this share of the repository is unused
    #[arg(long, value_name = "PERCENT", default_value_t = Options::MAX_UNUSED_PERCENT, value_parser = percent)]
    max_unused: f64,
}

fn percent(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('%').unwrap_or(text).trim().parse().ok();
    number.filter(|number| (0.0..=100.0).contains(number)).ok_or_else(|| "not a number from 0 to 100".to_owned())
}

#[derive(Serialize)]
struct Sum {
    packs: u64,
    bytes: u64,
}

impl From<Tally> for Sum {
    fn from(tally: Tally) -> Self {
        Self { packs: tally.packs, bytes: tally.bytes }
    }
}

#[derive(Serialize)]
struct Pack {
    pack: String,
    kind: String,
    bytes: u64,
    unused_bytes: u64,
    fate: &'static str,
}

/// Of a dry run and of the run itself the same, but for the packs.
#[derive(Serialize)]
struct Figures<'a> {
    dry_run: bool,
    deleted: Sum,
    condemned: Sum,
    swept: Sum,
    repacked: Sum,
    new_packs: Sum,
    waiting: Sum,
    spared: Sum,
    kept: Sum,
    unused_bytes_left: u64,
    repack_failed: Option<&'a str>,
    notes: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    packs: Option<Vec<Pack>>,
}

/// Prunes.
pub fn run(session: &mut Session, arguments: &Arguments) -> Outcome {
    let options = Options {
        grace: arguments.grace.duration(),
        max_unused_percent: arguments.max_unused,
        threads: session::threads(),
    };
    let repo = session.open()?;
    if arguments.dry_run {
        let observer = session.observer();
        let result = rehearse::run(&repo, &options, session::now(), observer.as_ref());
        drop(observer);
        show(session, &result?, arguments)?;
        return Ok(Exit::Done);
    }
    let swept = session.storage()?.sweep_temporaries(TEMPORARIES_AGE, SystemTime::now())?;
    if swept > 0 {
        session.out.note(format!("deleted {} that killed runs left behind", plural(swept, "temporary file")));
    }
    let observer = session.observer();
    let result = prune::run(&repo, &options, &session::now, observer.as_ref());
    drop(observer);
    let report = result?;
    show(session, &report, arguments)?;
    Ok(if report.repack_failed.is_some() { Exit::Failed } else { Exit::Done })
}

fn packs(tally: Tally) -> String {
    format!("{}, {}", plural(tally.packs, "pack"), size(tally.bytes))
}

fn why_spared(plan: &Plan) -> &'static str {
    if plan.lost.is_empty() {
        "younger than a day, and perhaps of a backup under way"
    } else {
        "perhaps of snapshots that can be salvaged"
    }
}

fn fates(plan: &Plan) -> Vec<Pack> {
    let now = if plan.at_once { "delete" } else { "condemn" };
    let lists: [(&[Facts], &'static str); 6] = [
        (&plan.delete, "delete"),
        (&plan.sweep, "delete"),
        (&plan.condemn, now),
        (&plan.repack, "repack"),
        (&plan.waiting, "waiting"),
        (&plan.spared, "spared"),
    ];
    let pack = |facts: &Facts, fate| Pack {
        pack: facts.id.to_string(),
        kind: facts.kind.to_string(),
        bytes: facts.bytes,
        unused_bytes: facts.unused_bytes,
        fate,
    };
    lists.iter().flat_map(|(list, fate)| list.iter().map(move |facts| pack(facts, fate))).collect()
}

fn show(session: &mut Session, report: &Report, arguments: &Arguments) -> Result<(), Failure> {
    for note in &report.notes {
        session.out.warning(note);
    }
    if session.out.form() == Form::Json {
        return session.out.json(&figures(report, arguments));
    }
    for line in lines(report, arguments) {
        if arguments.dry_run { session.out.line(line) } else { session.out.say(line) }?;
    }
    if let Some(reason) = &report.repack_failed {
        session.out.warning(format!("repacking was given up: {reason}"));
    }
    Ok(())
}

fn figures<'a>(report: &'a Report, arguments: &Arguments) -> Figures<'a> {
    let plan = &report.plan;
    Figures {
        dry_run: arguments.dry_run,
        deleted: report.deleted.into(),
        condemned: report.condemned.into(),
        swept: report.swept.into(),
        repacked: report.repacked.into(),
        new_packs: report.new_packs.into(),
        waiting: Tally::of(&plan.waiting).into(),
        spared: Tally::of(&plan.spared).into(),
        kept: Tally::of(&plan.keep).into(),
        unused_bytes_left: plan.unused_left(),
        repack_failed: report.repack_failed.as_deref(),
        notes: &report.notes,
        packs: arguments.dry_run.then(|| fates(plan)),
    }
}

fn lines(report: &Report, arguments: &Arguments) -> Vec<String> {
    let Report { plan, deleted, condemned, repacked, new_packs, .. } = report;
    let (waiting, spared, kept) = (Tally::of(&plan.waiting), Tally::of(&plan.spared), Tally::of(&plan.keep));
    let (width, dry) = if arguments.dry_run { (15, "would ") } else { (11, "") };
    let verb = |would: &str, done: &str| format!("{dry}{}", if arguments.dry_run { would } else { done });
    let mut lines = Vec::new();
    let mut line = |what: &str, text: String| lines.push(format!("{what:<width$}{text}"));
    line(&verb("delete", "deleted"), packs(*deleted));
    if repacked.packs > 0 || new_packs.packs > 0 {
        line(&verb("repack", "repacked"), format!("{} into {}", packs(*repacked), packs(*new_packs)));
    }
    // What is condemned and swept in the same run is among the deleted.
    if condemned.packs > 0 && !arguments.grace.duration().is_zero() {
        let text = format!("{}: deleted by a prune in {} or later", packs(*condemned), arguments.grace);
        line(&verb("condemn", "condemned"), text);
    }
    if waiting.packs > 0 {
        line("waiting", format!("{}: condemned before, and the grace period is not over", packs(waiting)));
    }
    if spared.packs > 0 {
        line("spared", format!("{}: {}", packs(spared), why_spared(plan)));
    }
    if arguments.dry_run {
        line("would keep", format!("{}, of which {} are unused", packs(kept), size(plan.unused_left())));
    }
    lines
}
