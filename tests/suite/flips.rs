//! Every bit of a small repository, flipped one at a time.
//!
//! Promise: whatever bit it is, what comes back is what went in or is reported with the object's name; a check that
//! reads data reports every flip; no flip keeps the repository from being opened; nothing panics. The first bytes of
//! every object and some bits more in the normal run, all of them with `LARDER_TEST_ALL=1`.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use larder::ops::check::{self, Depth, Part};
use larder::progress::Silent;
use larder::storage::ObjectName;

use crate::damage::cell::tokens_of;
use crate::support::damage_repo::{Made, chain, memory_of, open_memory, read_back};
use crate::support::damage_samples;

/// Bits flipped in each object in the normal run, beside every bit of its magic and of its version.
const SAMPLED: usize = 40;
/// Bits of the magic, of the version, and of the byte that follows: a kind, or reserved.
const ALWAYS: usize = 80;

/// What a flip led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    /// It does not open, and says why.
    Refused,
    /// Something did not come back, and was reported.
    Partial,
    /// All came back.
    Whole,
}

/// The bits of an object to try.
fn bits(bytes: usize) -> Vec<usize> {
    let all = bytes * 8;
    if std::env::var_os("LARDER_TEST_ALL").is_some() || all <= SAMPLED + ALWAYS {
        return (0..all).collect();
    }
    // One in each stretch, at another place in every stretch, so that no column of a table is always missed.
    let sampled = (0..SAMPLED).map(|n| n * all / SAMPLED + (n * 7919) % (all / SAMPLED));
    (0..ALWAYS).chain(sampled.filter(|&bit| bit >= ALWAYS)).collect()
}

#[test]
fn every_flipped_bit_is_harmless_or_reported_and_check_reports_all() {
    let made = damage_samples::tiny();
    let mut jobs: Vec<(ObjectName, usize)> = Vec::new();
    for (name, object) in &made.image {
        jobs.extend(bits(object.bytes.len()).into_iter().map(|bit| (name.clone(), bit)));
    }
    let (next, found) = (AtomicUsize::new(0), Mutex::new((BTreeMap::new(), Vec::new())));
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some((object, bit)) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let flip = catch_unwind(AssertUnwindSafe(|| try_flip(&made, object, *bit)));
                    let mut found = found.lock().unwrap();
                    let kind = kind_of(&made, object);
                    match flip.unwrap_or_else(|_| Err("panicked".into())) {
                        Ok(outcome) => *found.0.entry((kind, outcome)).or_insert(0usize) += 1,
                        Err(what) => found.1.push(format!("bit {bit} of {object}: {what}")),
                    }
                }
            });
        }
    });
    let (outcomes, broken) = found.into_inner().unwrap();
    assert!(broken.is_empty(), "{} of {}:\n{}", broken.len(), jobs.len(), broken.join("\n"));
    // One copy of a config or of a slot is never needed, so nothing of it is either.
    let whole = |kind: &str| outcomes.keys().filter(|key| key.0 == kind).all(|key| key.1 == Outcome::Whole);
    assert!(whole("config") && whole("slot"), "{outcomes:?}");
    assert!(outcomes.keys().all(|key| key.1 != Outcome::Refused), "{outcomes:?}");
}

fn kind_of(made: &Made, object: &ObjectName) -> &'static str {
    match object.as_str() {
        "config" | "config.copy" => "config",
        name if name.starts_with("keys/") => "slot",
        name if name.starts_with("log/") => "log",
        _ if made.image[object].bytes[9] == 1 => "data pack",
        _ => "tree pack",
    }
}

fn try_flip(made: &Made, object: &ObjectName, bit: usize) -> Result<Outcome, String> {
    let memory = memory_of(&made.image);
    memory.damage(object, |bytes| bytes[bit / 8] ^= 1 << (bit % 8));
    let tokens = tokens_of(made, object);
    let named = |said: &[String]| said.iter().any(|text| tokens.iter().any(|token| text.contains(token.as_str())));
    let repo = match open_memory(&memory, None) {
        Ok(repo) => repo,
        Err(error) => {
            let said = vec![chain(&error)];
            return if named(&said) { Ok(Outcome::Refused) } else { Err(format!("refused without a name: {said:?}")) };
        }
    };
    let mut said: Vec<String> = repo.oddities.clone();
    let state = repo.state();
    said.extend(state.problems.iter().map(|problem| format!("log entry {}: {}", problem.seq, problem.reason)));
    let mut outcome = Outcome::Whole;
    for (id, tree) in &made.live {
        let Some(snapshot) = state.snapshot(id) else {
            outcome = Outcome::Partial;
            continue;
        };
        let record = match repo.record(snapshot) {
            Ok(record) => record,
            Err(error) => return Err(format!("the record does not open though its entry does: {error}")),
        };
        let (found, faults) = read_back(&repo, &record.root);
        if let Some((path, leaf)) = found.iter().find(|(path, leaf)| tree.get(*path) != Some(leaf)) {
            return Err(format!("{path:?} came back wrong: {leaf:?}"));
        }
        if faults.is_empty() && found.len() != tree.len() {
            return Err("something is missing and nobody says so".into());
        }
        if !faults.is_empty() {
            outcome = Outcome::Partial;
        }
        said.extend(faults);
    }
    if outcome == Outcome::Partial && !named(&said) {
        return Err(format!("not named: {said:?}"));
    }
    let report = check::run(&repo, Depth::Data(Part::All), 1, &Silent).map_err(|error| chain(&error))?;
    let problems = report.problems.iter().map(|problem| format!("{}: {}", problem.object, problem.what));
    let problems: Vec<String> = problems.collect();
    if named(&problems) { Ok(outcome) } else { Err(format!("check does not report it: {problems:?}")) }
}
