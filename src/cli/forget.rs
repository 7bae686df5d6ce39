//! `larder forget`

use std::collections::BTreeMap;

use clap::Args;
use serde::Serialize;

use larder::duration::Length;
use larder::id::SnapshotId;
use larder::ops::forget::{self, Plan, SeriesPlan, What};
use larder::ops::retention::Policy;
use larder::ops::retention::verdict::Verdict;
use larder::ops::select::{self, Forgotten};
use larder::ops::tag;
use larder::repo::Repository;

use crate::cli::output::{Form, Outcome, escaped, local_time, plural, rfc3339};
use crate::cli::report::{Exit, Failure};
use crate::cli::session::{self, Session};

/// Take tags away: of the snapshots named, or of all that a policy does not keep. What no tag holds is forgotten
///
/// Each --keep option governs one tier; the tiers not named count as 0. The newest complete snapshot of a source always
/// stays, and so do tags that people named. Until a prune sweeps it, `larder tag` brings a forgotten snapshot back.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Snapshots to forget, with all their tags
    #[arg(value_name = "SNAPSHOT", conflicts_with_all = KEEP, conflicts_with = "source")]
    snapshots: Vec<String>,
    /// Keep `last` on the newest N that have it: every snapshot, until a policy without this drops it
    #[arg(long, value_name = "N")]
    keep_last: Option<u32>,
    /// Keep the newest N daily ones
    #[arg(long, value_name = "N")]
    keep_daily: Option<u32>,
    /// Keep the newest N weekly ones
    #[arg(long, value_name = "N")]
    keep_weekly: Option<u32>,
    /// Keep the newest N monthly ones
    #[arg(long, value_name = "N")]
    keep_monthly: Option<u32>,
    /// Keep the newest N yearly ones
    #[arg(long, value_name = "N")]
    keep_yearly: Option<u32>,
    /// Keep all that were begun so shortly before the newest: `7d`, `3m`
    #[arg(long, value_name = "DURATION")]
    keep_within: Option<Length>,
    /// Keep all that have this tag. May be given again
    #[arg(long, value_name = "TAG")]
    keep_tag: Vec<String>,
    /// Only of this source
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// Only say what would be forgotten
    #[arg(long, short = 'n')]
    dry_run: bool,
}

const KEEP: [&str; 7] =
    ["keep_last", "keep_daily", "keep_weekly", "keep_monthly", "keep_yearly", "keep_within", "keep_tag"];

#[derive(Serialize)]
struct Answer<'a> {
    dry_run: bool,
    kept: usize,
    forgotten: usize,
    snapshots: Vec<Judged<'a>>,
}

#[derive(Serialize)]
struct Judged<'a> {
    id: String,
    time: String,
    source: &'a str,
    host: &'a str,
    complete: bool,
    stays: bool,
    keeps: Vec<Said<'a>>,
    drops: Vec<Said<'a>>,
    gains: &'a [String],
}

#[derive(Serialize)]
struct Said<'a> {
    tag: &'a str,
    rule: String,
}

/// Forgets.
pub fn run(session: &mut Session, arguments: &Arguments) -> Outcome {
    tag::check(&arguments.keep_tag)?;
    let policy = policy(arguments);
    if policy.is_none() && arguments.snapshots.is_empty() {
        return Err(Failure::usage("forget what?")
            .hint("name snapshots, or say what to keep: --keep-last, --keep-daily, --keep-weekly and the like"));
    }
    let repo = session.open()?;
    let what = match policy {
        Some(policy) => What::Policy { policy, source: arguments.source.clone() },
        None => What::Ids(ids(&repo, &arguments.snapshots)?),
    };
    // As of before: afterwards, records of what is forgotten can still be read, but need not be.
    let names = names(&repo);
    let plan =
        if arguments.dry_run { forget::plan(&repo, &what)? } else { forget::apply(&repo, &what, session::now())? };
    show(session, arguments, &plan, &names)?;
    for problem in &repo.state().problems {
        session.out.warning(format!("log entry {}: {}", problem.seq, problem.reason));
    }
    for (snapshot, reason) in &plan.unreadable {
        let id = snapshot.short();
        session.out.warning(format!("snapshot {id} stays as it is: {reason}; larder forget {id} forgets it by name"));
    }
    let sound = plan.unreadable.is_empty() && repo.state().problems.is_empty();
    Ok(if sound { Exit::Done } else { Exit::Damage })
}

fn policy(arguments: &Arguments) -> Option<Policy> {
    let counts = [
        arguments.keep_last,
        arguments.keep_daily,
        arguments.keep_weekly,
        arguments.keep_monthly,
        arguments.keep_yearly,
    ];
    let given = counts.iter().any(Option::is_some) || arguments.keep_within.is_some() || !arguments.keep_tag.is_empty();
    let [last, daily, weekly, monthly, yearly] = counts.map(Option::unwrap_or_default);
    let within = arguments.keep_within.map(Length::span);
    let keep_tags = arguments.keep_tag.clone();
    given.then_some(Policy { last, daily, weekly, monthly, yearly, within, keep_tags, max_count: None })
}

fn ids(repo: &Repository, texts: &[String]) -> Result<Vec<SnapshotId>, Failure> {
    let id = |text: &String| Ok(select::named(repo, text, Forgotten::Refuse)?.id);
    texts.iter().map(id).collect()
}

/// Source and host of each snapshot.
type Names = BTreeMap<SnapshotId, (String, String)>;

fn names(repo: &Repository) -> Names {
    let state = repo.state();
    let record = |snapshot| repo.record(snapshot).ok();
    state.live().filter_map(|snapshot| record(snapshot).map(|r| (snapshot.id, (r.source, r.host)))).collect()
}

fn show(session: &mut Session, arguments: &Arguments, plan: &Plan, names: &Names) -> Result<(), Failure> {
    let forgotten = plan.forgotten().count();
    let kept = plan.verdicts().count() - forgotten;
    if session.out.form() == Form::Json {
        let snapshots = plan.verdicts().map(|verdict| judged(verdict, names)).collect();
        return session.out.json(&Answer { dry_run: arguments.dry_run, kept, forgotten, snapshots });
    }
    for series in &plan.series {
        show_series(session, series, names)?;
    }
    let would = if arguments.dry_run { "would forget" } else { "forgot" };
    session.out.say(format!("{would} {}", plural(forgotten as u64, "snapshot")))?;
    if forgotten > 0 && !arguments.dry_run {
        session.out.say("  larder prune frees their space; until then larder tag brings them back")?;
    }
    Ok(())
}

fn show_series(session: &mut Session, series: &SeriesPlan, names: &Names) -> Result<(), Failure> {
    if let Some((source, host)) = series.verdicts.iter().find_map(|verdict| names.get(&verdict.snapshot)) {
        session.out.say(format!("{} on {}", escaped(source.as_bytes()), escaped(host.as_bytes())))?;
    }
    for verdict in &series.verdicts {
        let fate = if verdict.stays() { "keep  " } else { "forget" };
        let incomplete = if verdict.complete { "" } else { "  (incomplete)" };
        let head = format!("  {fate} {}  {}{incomplete}", verdict.snapshot.short(), local_time(verdict.started));
        let mut parts = grouped(verdict.keeps.iter().map(|kept| (kept.tag.as_str(), kept.rule.to_string())), "");
        parts.extend(grouped(verdict.gains.iter().map(|tag| (tag.as_str(), "takes the place over".into())), "gains "));
        let drops = verdict.drops.iter().map(|gone| (gone.tag.as_str(), gone.reason.to_string()));
        parts.extend(grouped(drops, "loses "));
        session.out.say(format!("{head}  {}", parts.join("; ")))?;
    }
    Ok(())
}

/// Tags with the same rule stand together: `last, daily (among the newest 7)`.
fn grouped<'a>(tags: impl Iterator<Item = (&'a str, String)>, verb: &str) -> Vec<String> {
    let mut groups: Vec<(String, Vec<&str>)> = Vec::new();
    for (tag, rule) in tags {
        match groups.iter_mut().find(|group| group.0 == rule) {
            Some(group) => group.1.push(tag),
            None => groups.push((rule, vec![tag])),
        }
    }
    groups.iter().map(|(rule, tags)| format!("{verb}{} ({rule})", tags.join(", "))).collect()
}

fn judged<'a>(verdict: &'a Verdict, names: &'a Names) -> Judged<'a> {
    let (source, host) = names.get(&verdict.snapshot).map_or(("", ""), |(source, host)| (source, host));
    Judged {
        id: verdict.snapshot.to_string(),
        time: rfc3339(verdict.started),
        source,
        host,
        complete: verdict.complete,
        stays: verdict.stays(),
        keeps: verdict.keeps.iter().map(|kept| Said { tag: &kept.tag, rule: kept.rule.to_string() }).collect(),
        drops: verdict.drops.iter().map(|gone| Said { tag: &gone.tag, rule: gone.reason.to_string() }).collect(),
        gains: &verdict.gains,
    }
}
