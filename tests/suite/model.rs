//! Random sequences of everything that can be done to a repository, against a plain model in memory.
//!
//! After every step the live snapshots and their tags are those of the model; after every prune, crash and at the end
//! each of them restores byte for byte and `check` with all data finds nothing; at the end also through `restore`, into
//! one folder one after the other. What a prune reports is what its rehearsal, by a client without a cache, had said. A step during which the machine stops has happened or has not. A failure names its
//! seed: `LARDER_TEST_SEED=n` runs that one alone. Eight seeds by default, three hundred with `LARDER_TEST_ALL=1`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use larder::ops::backup;
use larder::ops::forget::{self, What};
use larder::ops::retention::Policy;
use larder::ops::tag::Error as TagError;
use larder::progress::Silent;
use larder::repo::Repository;
use larder::storage::Storage;
use larder::storage::memory::Memory;

use crate::support::crashing::{Crashing, Stop, Unsynced};
use crate::support::jobs::{add_tag, find, no_damage, prune, rehearse};
use crate::support::on_disk::restore_into;
use crate::support::repo::{Cache, Clock, DAY, HOUR, Known, TestRepo, assert_same, open_in, options};
use crate::support::tree::{Random, Tree, noise, text};
use crate::support::{exhaustive, told};
use plain::{Plain, TIERS};

mod plain;

const STEPS: usize = 30;

#[test]
fn random_sequences_agree_with_a_plain_model() {
    let one = std::env::var("LARDER_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let seeds = match one {
        Some(seed) => seed..seed + 1,
        None if exhaustive() => 0..300,
        None => 0..8,
    };
    for seed in seeds {
        let mut told_steps = Vec::new();
        told(&format!("seed {seed}"), || World::new(seed).run(&mut told_steps));
    }
}

/// Whether the machine stops in the middle of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Machine {
    Runs,
    Crashes,
}

/// What is done in a step.
#[derive(Debug, Clone)]
enum Step {
    Backup { series: usize, own: Vec<String> },
    ForgetByPolicy(BTreeMap<&'static str, usize>),
    Forget(usize),
    Tag { at: usize, word: String },
    Prune { grace_days: u64, max_unused_percent: u64 },
    Wait { seconds: i64 },
    LoseCache,
}

struct World {
    random: Random,
    memory: Memory,
    clock: Clock,
    cache: tempfile::TempDir,
    plain: Plain,
    known: Known,
    trees: [Tree; 2],
}

impl World {
    fn new(seed: u64) -> Self {
        let test = TestRepo::new();
        let cache = tempfile::tempdir().unwrap();
        let trees = [Tree::new(), Tree::new()];
        let (plain, known) = (Plain::default(), Known::default());
        Self { random: Random::new(seed), memory: test.memory, clock: test.clock, cache, plain, known, trees }
    }

    fn run(mut self, done: &mut Vec<String>) {
        for nth in 0..STEPS {
            let step = self.choose();
            let machine = if self.random.below(4) == 0 { Machine::Crashes } else { Machine::Runs };
            done.push(format!("{step:?}{}", if machine == Machine::Crashes { ", crashing" } else { "" }));
            told(&format!("step {nth}, after {}", done.join("; ")), || self.step(&step, machine));
        }
        told(&format!("at the end, after {}", done.join("; ")), || {
            self.look();
            self.look_closely();
            self.restore_one_after_the_other();
        });
    }

    /// Into one folder: what a snapshot has and the next has not must go, what both have may stay.
    fn restore_one_after_the_other(&self) {
        let repo = open_in(Arc::new(self.memory.clone()), &Cache::None).unwrap();
        let folder = tempfile::tempdir().unwrap();
        for snapshot in repo.state().live() {
            let name = repo.record(snapshot).unwrap().description;
            assert_same(&name, &restore_into(&repo, snapshot, folder.path()), self.known.get(&name));
        }
    }

    fn choose(&mut self) -> Step {
        let random = &mut self.random;
        let snapshots = self.plain.all.len();
        match random.below(20) {
            7..=8 => {
                let tiers = TIERS.iter().map(|tier| (*tier, random.below(4)));
                Step::ForgetByPolicy(tiers.collect())
            }
            9..=11 if snapshots > 0 => Step::Forget(random.below(snapshots)),
            12..=13 if snapshots > 0 => {
                let word = *random.pick(&["mine", "pre-upgrade", "weekly"]);
                Step::Tag { at: random.below(snapshots), word: word.to_owned() }
            }
            14..=16 => {
                Step::Prune { grace_days: *random.pick(&[0, 0, 1, 7]), max_unused_percent: *random.pick(&[0, 10, 100]) }
            }
            17..=18 => Step::Wait { seconds: *random.pick(&[HOUR, DAY, 8 * DAY, 40 * DAY]) },
            19 => Step::LoseCache,
            _ => {
                let own = if random.below(5) == 0 { vec!["keep-me".to_owned()] } else { Vec::new() };
                Step::Backup { series: random.below(2), own }
            }
        }
    }

    fn step(&mut self, step: &Step, machine: Machine) {
        self.clock.advance(61);
        match step {
            Step::Wait { seconds } => return self.clock.advance(*seconds),
            Step::LoseCache => {
                self.cache = tempfile::tempdir().unwrap();
                return;
            }
            Step::Backup { series, .. } => self.change_tree(*series),
            _ => {}
        }
        let before = self.plain.clone();
        let after = self.expect(step);
        let done = self.perform(step, machine);
        let state = self.live();
        if done || state == after.live() {
            self.plain = after;
        } else {
            self.plain = before;
            if matches!(step, Step::Prune { .. }) {
                self.plain.sweep();
            }
        }
        self.look();
        if machine == Machine::Crashes || matches!(step, Step::Prune { .. }) {
            self.look_closely();
        }
    }

    /// Some files come, some go, some change; few contents, so that much is shared.
    fn change_tree(&mut self, series: usize) {
        let now = self.clock.now().seconds;
        for _ in 0..=self.random.below(4) {
            let path = format!("{}/{}", self.random.pick(&["a", "b", "b/c"]), self.random.below(4));
            let (seed, len) = (self.random.below(8) as u64, 200 + self.random.below(2_500));
            let tree = std::mem::take(&mut self.trees[series]);
            self.trees[series] = match self.random.below(6) {
                0 => tree.without(&path),
                1 => tree.file(&path, noise(seed, len), now),
                2 => tree.symlink(&path, "somewhere", now),
                _ => tree.file(&path, text(seed, len), now),
            };
        }
    }

    fn next_name(&self) -> String {
        format!("snapshot {}", self.known.len())
    }

    /// The model after the step.
    fn expect(&mut self, step: &Step) -> Plain {
        let mut after = self.plain.clone();
        match step {
            Step::Backup { series, own } => {
                let name = self.next_name();
                after.back_up(&name, *series, self.clock.now().seconds, own);
            }
            Step::ForgetByPolicy(counts) => after.forget_by_policy(counts),
            Step::Forget(at) if !after.all[*at].tags.is_empty() && after.may_forget(*at) => after.forget(*at),
            Step::Tag { at, word } => drop(after.all[*at].tags.insert(word.clone())),
            Step::Prune { .. } => after.sweep(),
            _ => {}
        }
        after
    }

    /// Does it, and says whether success was reported. A crash leaves what a disk may show afterwards.
    fn perform(&mut self, step: &Step, machine: Machine) -> bool {
        if machine == Machine::Runs {
            return self.act(step, Arc::new(self.memory.clone()), machine);
        }
        let stop = Stop::AfterCalls(self.random.next() % 40);
        let crashing = Arc::new(Crashing::new(self.memory.clone(), stop));
        let done = self.act(step, crashing.clone(), machine);
        let seed = self.random.next();
        let unsynced =
            *self.random.pick(&[Unsynced::Kept, Unsynced::Lost, Unsynced::OnlyLast, Unsynced::Scattered(seed)]);
        self.memory.restore(crashing.survivors(unsynced).snapshot());
        done
    }

    fn act(&mut self, step: &Step, storage: Arc<dyn Storage>, machine: Machine) -> bool {
        let cache = if self.random.below(3) == 0 { Cache::None } else { Cache::In(self.cache.path().to_owned()) };
        let repo = match open_in(storage, &cache) {
            Ok(repo) => repo,
            Err(error) => {
                assert!(machine == Machine::Crashes, "{error}");
                if matches!(step, Step::Backup { .. }) {
                    self.remember_tree(step);
                }
                return false;
            }
        };
        match self.act_on(&repo, step) {
            Ok(done) => done,
            Err(error) => {
                assert!(machine == Machine::Crashes, "{error}");
                false
            }
        }
    }

    fn remember_tree(&mut self, step: &Step) -> String {
        let name = self.next_name();
        if let Step::Backup { series, .. } = step {
            self.known.put(&name, &self.trees[*series]);
        }
        name
    }

    fn act_on(&mut self, repo: &Repository, step: &Step) -> Result<bool, String> {
        let now = self.clock.now();
        match step {
            Step::Backup { series, own } => {
                let name = self.remember_tree(step);
                let mut options = options(&name);
                options.source = ["tree", "bush"][*series].into();
                options.tags.clone_from(own);
                let run = backup::run(repo, &self.trees[*series], &options, &|| now, &Silent);
                run.map(|_| true).map_err(|error| error.to_string())
            }
            Step::ForgetByPolicy(counts) => {
                let count = |tier: &str| counts[tier] as u32;
                let policy = Policy {
                    last: count("last"),
                    daily: count("daily"),
                    weekly: count("weekly"),
                    monthly: count("monthly"),
                    yearly: count("yearly"),
                    ..Policy::NOTHING
                };
                let what = What::Policy { policy, source: None };
                forget::apply(repo, &what, now).map(|_| true).map_err(|error| error.to_string())
            }
            Step::Forget(at) => {
                let taken = &self.plain.all[*at];
                let what = What::Ids(vec![find(repo, &taken.name)]);
                match forget::apply(repo, &what, now) {
                    Ok(_) => Ok(true),
                    Err(forget::Error::ForgottenAlready { .. }) if taken.tags.is_empty() => Ok(true),
                    Err(forget::Error::AlwaysStays(_)) if !self.plain.may_forget(*at) => Ok(true),
                    Err(error) => Err(error.to_string()),
                }
            }
            Step::Tag { at, word } => {
                let taken = &self.plain.all[*at];
                match add_tag(repo, &taken.name, word, &self.clock) {
                    Ok(_) => Ok(true),
                    // Not done, and rightly so.
                    Err(TagError::Gone { .. }) if taken.tags.is_empty() && taken.maybe_gone => Ok(false),
                    Err(error) => Err(error.to_string()),
                }
            }
            Step::Prune { grace_days, max_unused_percent } => {
                let grace = Duration::from_secs(grace_days * 24 * 3600);
                let somebody = open_in(Arc::new(self.memory.clone()), &Cache::None).unwrap();
                let foretold = rehearse(&somebody, grace, *max_unused_percent as f64, &self.clock);
                let done = prune(repo, grace, *max_unused_percent as f64, &self.clock)?;
                assert_eq!(done, foretold, "what a dry run says");
                Ok(true)
            }
            Step::Wait { .. } | Step::LoseCache => Ok(true),
        }
    }

    /// Names and tags of what is live, as somebody without a cache sees it.
    fn live(&self) -> Vec<(String, BTreeSet<String>)> {
        let repo = open_in(Arc::new(self.memory.clone()), &Cache::None).unwrap();
        let state = repo.state();
        let row = |s: &larder::repo::state::Snapshot| (repo.record(s).unwrap().description, s.tags.clone());
        state.live().map(row).collect()
    }

    fn look(&self) {
        assert_eq!(self.live(), self.plain.live(), "what is live, and its tags");
    }

    fn look_closely(&self) {
        let repo = open_in(Arc::new(self.memory.clone()), &Cache::None).unwrap();
        no_damage(&repo);
        self.known.check(&repo);
    }
}
