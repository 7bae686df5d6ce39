//! `larder prune`

use std::time::{Duration, SystemTime};

use clap::Args;
use serde::Serialize;

use larder::duration::Length;
use larder::ops::prune::plan::{Facts, Plan, Tally};
use larder::ops::prune::{self, Options, Report};
use larder::ops::runs;

use crate::cli::output::{Form, Outcome, plural, size};
use crate::cli::report::{Exit, Failure};
use crate::cli::session::{self, Session};

/// Temporary files of killed runs go once they are as old as this; a younger one may still be written.
const TEMPORARIES_AGE: Duration = Duration::from_secs(24 * 60 * 60);

/// Free the space of what no snapshot needs: condemn it, and delete what was condemned longer ago than the grace period
#[derive(Debug, Args)]
pub struct Arguments {
    /// Only say what would be freed
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
struct Planned {
    dry_run: bool,
    delete: Sum,
    condemn: Sum,
    repack: Sum,
    rewritten_bytes: u64,
    waiting: Sum,
    spared: Sum,
    kept: Sum,
    unused_bytes_left: u64,
    notes: Vec<String>,
    packs: Vec<Pack>,
}

#[derive(Serialize)]
struct Pack {
    pack: String,
    kind: String,
    bytes: u64,
    unused_bytes: u64,
    fate: &'static str,
}

#[derive(Serialize)]
struct Done<'a> {
    dry_run: bool,
    deleted: Sum,
    condemned: Sum,
    swept: Sum,
    repacked: Sum,
    new_packs: Sum,
    unused_bytes_left: u64,
    repack_failed: Option<&'a str>,
    notes: &'a [String],
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
        let plan = prune::plan(&repo, &options, session::now())?;
        show_plan(session, &plan, arguments)?;
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

fn show_plan(session: &mut Session, plan: &Plan, arguments: &Arguments) -> Result<(), Failure> {
    let (delete, condemn) = (plan.deleted(), plan.condemned());
    let (repack, waiting) = (Tally::of(&plan.repack), Tally::of(&plan.waiting));
    let (spared, kept) = (Tally::of(&plan.spared), Tally::of(&plan.keep));
    let note = runs::tell_lost(&plan.lost);
    if let Some(note) = &note {
        session.out.warning(note);
    }
    if session.out.form() == Form::Json {
        return session.out.json(&Planned {
            dry_run: true,
            delete: delete.into(),
            condemn: condemn.into(),
            repack: repack.into(),
            rewritten_bytes: plan.rewritten_bytes(),
            waiting: waiting.into(),
            spared: spared.into(),
            kept: kept.into(),
            unused_bytes_left: plan.unused_left(),
            notes: note.into_iter().collect(),
            packs: fates(plan),
        });
    }
    let out = &mut session.out;
    out.line(format!("would delete   {}", packs(delete)))?;
    if repack.packs > 0 {
        out.line(format!(
            "would repack   {}: about {} of them written again",
            packs(repack),
            size(plan.rewritten_bytes())
        ))?;
    }
    if condemn.packs > 0 {
        out.line(format!("would condemn  {}: deleted by a prune in {} or later", packs(condemn), arguments.grace))?;
    }
    if waiting.packs > 0 {
        out.line(format!("waiting        {}: condemned before, and the grace period is not over", packs(waiting)))?;
    }
    if spared.packs > 0 {
        out.line(format!("spared         {}: {}", packs(spared), why_spared(plan)))?;
    }
    out.line(format!("would keep     {}, of which {} are unused", packs(kept), size(plan.unused_left())))
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
        return session.out.json(&Done {
            dry_run: false,
            deleted: report.deleted.into(),
            condemned: report.condemned.into(),
            swept: report.swept.into(),
            repacked: report.repacked.into(),
            new_packs: report.new_packs.into(),
            unused_bytes_left: report.plan.unused_left(),
            repack_failed: report.repack_failed.as_deref(),
            notes: &report.notes,
        });
    }
    let out = &mut session.out;
    out.say(format!("deleted    {}", packs(report.deleted)))?;
    if report.repacked.packs > 0 {
        out.say(format!("repacked   {} into {}", packs(report.repacked), packs(report.new_packs)))?;
    }
    // What is condemned and swept in the same run is among the deleted.
    if report.condemned.packs > 0 && !arguments.grace.duration().is_zero() {
        out.say(format!("condemned  {}: deleted by a prune in {} or later", packs(report.condemned), arguments.grace))?;
    }
    let (waiting, spared) = (Tally::of(&report.plan.waiting), Tally::of(&report.plan.spared));
    if waiting.packs > 0 {
        out.say(format!("waiting    {}: condemned before, and the grace period is not over", packs(waiting)))?;
    }
    if spared.packs > 0 {
        out.say(format!("spared     {}: {}", packs(spared), why_spared(&report.plan)))?;
    }
    if let Some(reason) = &report.repack_failed {
        out.warning(format!("repacking was given up: {reason}"));
    }
    Ok(())
}
