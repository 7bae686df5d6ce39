//! What a run does for the repository: prune, and a check of one part after the other.
//!
//! Promise: nothing here keeps a backup from being made; what fails is said.

use crate::config::upkeep::{Check, Prune, Upkeep as Wanted};
use crate::format::Time;
use crate::ops::check::{self, Depth, Part};
use crate::ops::prune::{self, Options};
use crate::repo::Repository;
use crate::run::World;
use crate::run::due::is_due;
use crate::run::memory::Memory;
use crate::run::report::Upkeep;
use crate::run::services::with_causes;
use crate::size::size;

/// Does what is due.
pub fn run(repo: &Repository, wanted: &Wanted, memory: &mut Memory, world: &World<'_>) -> Vec<Upkeep> {
    let at = |seconds: Option<i64>| seconds.map(|seconds| Time { seconds, nanos: 0 });
    let mut done = Vec::new();
    if let Some(prune) =
        wanted.prune.as_ref().filter(|prune| is_due(&prune.timetable, at(memory.pruned), "prune", world))
    {
        memory.pruned = Some((world.now)().seconds);
        done.push(timed(world, |upkeep| free(repo, prune, world, upkeep)));
    }
    if let Some(check) =
        wanted.check.as_ref().filter(|check| is_due(&check.timetable, at(memory.checked), "check", world))
    {
        memory.checked = Some((world.now)().seconds);
        memory.part = memory.part % check.parts + 1;
        done.push(timed(world, |upkeep| prove(repo, check, memory.part, world, upkeep)));
    }
    done
}

fn timed(world: &World<'_>, work: impl FnOnce(&mut Upkeep)) -> Upkeep {
    let started = (world.now)();
    let mut upkeep = Upkeep { what: "", duration_seconds: 0.0, outcome: String::new(), error: None, problems: 0 };
    work(&mut upkeep);
    upkeep.duration_seconds = (world.now)().seconds_since(started);
    upkeep
}

fn free(repo: &Repository, prune: &Prune, world: &World<'_>, upkeep: &mut Upkeep) {
    upkeep.what = "prune";
    let max_unused_percent = prune.max_unused_percent.map_or(Options::MAX_UNUSED_PERCENT, |percent| percent as f64);
    let options = Options { grace: prune.grace, max_unused_percent, threads: world.threads };
    match prune::run(repo, &options, world.now, world.observer) {
        Ok(report) => {
            let bytes = report.deleted.bytes + report.swept.bytes;
            upkeep.outcome = format!("freed {}, condemned {} more", size(bytes), size(report.condemned.bytes));
            upkeep.error = report.repack_failed;
        }
        Err(error) => upkeep.error = Some(with_causes(&error)),
    }
}

fn prove(repo: &Repository, check: &Check, part: u64, world: &World<'_>, upkeep: &mut Upkeep) {
    upkeep.what = "check";
    let depth = Depth::Data(Part::Slice { n: part, of: check.parts });
    match check::run(repo, depth, world.threads, world.observer) {
        Ok(report) => {
            upkeep.outcome = format!("part {part} of {}: {} read", check.parts, size(report.bytes_read));
            upkeep.problems = report.problems_total;
            upkeep.error = report.problems.first().map(|first| {
                let more = match report.problems_total {
                    1 => String::new(),
                    total => format!(", and {} more; see larder check --read-data", total - 1),
                };
                format!("damaged: {}: {}{more}", first.object, first.what)
            });
        }
        Err(error) => upkeep.error = Some(with_causes(&error)),
    }
}
