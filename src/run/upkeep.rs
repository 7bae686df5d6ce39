//! What a run does for the repository: prune, and a check of one part after the other.
//!
//! Promise: nothing here keeps a backup from being made; what fails is said. What another run of this machine is at is
//! left to that. Where nobody could remember that it was done, it is not done, and that is said: it would be done again
//! by each run.

use std::io::{self, ErrorKind};
use std::path::Path;

use crate::config::Timetable;
use crate::config::upkeep::{Check, Prune, Upkeep as Wanted};
use crate::format::Time;
use crate::ops::check::{self, Depth, Part};
use crate::ops::prune::{self, Options};
use crate::repo::Repository;
use crate::run::World;
use crate::run::alone::Alone;
use crate::run::due::is_due;
use crate::run::memory::Memory;
use crate::run::report::Upkeep;
use crate::run::services::with_causes;
use crate::size::size;

/// Does what is due.
pub fn run(repo: &Repository, wanted: &Wanted, world: &World<'_>) -> Vec<Upkeep> {
    let mut done = Vec::new();
    if let Some(prune) = &wanted.prune {
        let duty = Duty { what: "prune", alone: "prune", timetable: &prune.timetable, last: |memory, _| memory.pruned };
        done.extend(duty.once(world, |_, began| {
            let upkeep = timed(world, |upkeep| free(repo, prune, world, upkeep));
            (vec![upkeep], move |memory: &mut Memory| memory.pruned = Some(began))
        }));
    }
    if let Some(check) = &wanted.check {
        let duty =
            Duty { what: "check", alone: "check", timetable: &check.timetable, last: |memory, _| memory.checked };
        done.extend(duty.once(world, |memory, began| {
            let part = memory.part % check.parts + 1;
            let upkeep = timed(world, |upkeep| prove(repo, check, part, world, upkeep));
            let remember = move |memory: &mut Memory| (memory.checked, memory.part) = (Some(began), part);
            (vec![upkeep], remember)
        }));
    }
    done
}

/// Something that is done for the repository when it is due.
pub struct Duty<'d> {
    /// Its name.
    pub what: &'static str,
    /// When.
    pub timetable: &'d Timetable,
    /// What is done by one run at a time, and left to that.
    pub alone: &'d str,
    /// When it was done last, as far as is remembered.
    pub last: fn(&Memory, &World<'_>) -> Option<i64>,
}

impl Duty<'_> {
    /// Does it if it is due, nobody else is at it, and it can be remembered. `work` gets what is remembered and the time,
    /// and says what is to be remembered.
    pub fn once<L: FnOnce(&mut Memory)>(
        &self,
        world: &World<'_>,
        work: impl FnOnce(&Memory, i64) -> (Vec<Upkeep>, L),
    ) -> Vec<Upkeep> {
        let place = world.memory.as_deref();
        if !self.is_due(&Memory::read(place), world) {
            return Vec::new();
        }
        let Some(_alone) = Alone::unless_another(place, self.alone) else { return Vec::new() };
        // Another run may have ended it just now.
        let (memory, written) = Memory::change(place, |_| ());
        if !self.is_due(&memory, world) {
            return Vec::new();
        }
        // A prune may make the room that is missing.
        let full = |error: &io::Error| matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded);
        if let Err(error) = written
            && !(self.what == "prune" && full(&error))
        {
            return vec![self.not_done(place, &error)];
        }
        let began = (world.now)().seconds;
        let (done, learn) = work(&memory, began);
        let (_, _done_once_more) = Memory::change(place, learn);
        done
    }

    fn is_due(&self, memory: &Memory, world: &World<'_>) -> bool {
        let last = (self.last)(memory, world).map(|seconds| Time { seconds, nanos: 0 });
        is_due(self.timetable, last, self.what, world)
    }

    fn not_done(&self, place: Option<&Path>, error: &io::Error) -> Upkeep {
        let why = match place.and_then(Path::parent) {
            // Which of its files it was helps nobody.
            Some(cache) => {
                let (cache, kind) = (cache.display(), error.kind());
                format!("cannot write into the cache folder {cache} ({kind}); --cache or LARDER_CACHE gives another")
            }
            None => error.to_string(),
        };
        let error = format!("due, but not done, because it could not be remembered that it was: {why}");
        Upkeep { what: self.what, duration_seconds: 0.0, outcome: String::new(), error: Some(error), problems: 0 }
    }
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
            let (freed, condemned) = (report.deleted.bytes, report.condemned.bytes);
            upkeep.outcome = format!("freed {}, condemned {} more", size(freed), size(condemned));
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
                let outlook = report.outlook().map_or(String::new(), |outlook| format!("; {outlook}"));
                format!("damaged: {}: {}{more}{outlook}", first.object, first.what)
            });
        }
        Err(error) => upkeep.error = Some(with_causes(&error)),
    }
}
