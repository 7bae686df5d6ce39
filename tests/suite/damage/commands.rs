//! The commands of the matrix, and how each is judged.

use std::path::Path;
use std::time::Duration;

use larder::format::Time;
use larder::format::record::ListingRoot;
use larder::id::SnapshotId;
use larder::ops::check::{self, Depth, Part};
use larder::ops::{prune, restore};
use larder::progress::Silent;
use larder::repo::Repository;
use larder::storage::memory::Memory;

use crate::support::damage_repo::{Made, NOW, Tree, back_up, chain, open_memory, read_back, scratch, tree_on_disk};

/// What came of a command.
#[derive(Debug, Default)]
pub struct Met {
    /// Everything it said: errors, warnings, problems.
    pub said: Vec<String>,
    /// It gave up.
    pub refused: bool,
    /// Something that should have come back did not, or will not.
    pub partial: bool,
    /// What must never be.
    pub wrong: Vec<String>,
    /// The snapshot it made.
    pub stored: Option<(SnapshotId, ())>,
}

impl Met {
    fn refused(error: &dyn std::error::Error) -> Self {
        Self { said: vec![chain(error)], refused: true, ..Self::default() }
    }
}

/// A command of the matrix.
pub struct Command {
    pub word: &'static str,
    pub run: fn(&Made, &Memory, Option<&Path>) -> Met,
}

/// The columns.
pub const COMMANDS: &[Command] = &[
    Command { word: "list", run: list },
    Command { word: "backup", run: backup },
    Command { word: "check", run: check_structure },
    Command { word: "check --read-data", run: check_data },
    Command { word: "read", run: read },
    Command { word: "restore", run: restore },
    Command { word: "prune", run: prune },
];

/// Opens it and says what is odd, as every command does.
fn opened(memory: &Memory, caches: Option<&Path>) -> Result<(Repository, Met), Met> {
    let repo = open_memory(memory, caches).map_err(|error| Met::refused(&error))?;
    let mut said = repo.oddities.clone();
    said.extend(repo.state().problems.iter().map(|problem| format!("log entry {}: {}", problem.seq, problem.reason)));
    Ok((repo, Met { said, ..Met::default() }))
}

/// Lists the snapshots, with their records.
fn list(made: &Made, memory: &Memory, caches: Option<&Path>) -> Met {
    let (repo, mut met) = match opened(memory, caches) {
        Ok(opened) => opened,
        Err(met) => return met,
    };
    let state = repo.state();
    for (id, _) in &made.live {
        match state.snapshot(id) {
            None => met.partial = true,
            Some(snapshot) => {
                if !snapshot.is_live() {
                    met.wrong.push(format!("snapshot {id} counts as forgotten"));
                }
                met.said.extend(repo.record(snapshot).err().map(|error| chain(&error)));
            }
        }
    }
    met
}

/// Backs up, then looks at the new snapshot with other eyes.
fn backup(made: &Made, memory: &Memory, caches: Option<&Path>) -> Met {
    let (repo, mut met) = match opened(memory, caches) {
        Ok(opened) => opened,
        Err(met) => return met,
    };
    let report = match back_up(&repo, "docs", &made.next, 1000) {
        Ok(report) => report,
        Err(error) => {
            met.said.push(chain(&error));
            met.refused = true;
            return met;
        }
    };
    met.said.extend(report.warnings);
    let id = report.snapshot.unwrap();
    met.stored = Some((id, ()));
    drop(repo);
    match open_memory(memory, None) {
        Err(error) => met.wrong.push(format!("after the backup it does not open: {}", chain(&error))),
        Ok(repo) => {
            let faults = compare(&repo, id, &made.next, &mut met.wrong);
            met.partial = !faults.is_empty();
        }
    }
    met
}

/// Checks the structure.
fn check_structure(_: &Made, memory: &Memory, caches: Option<&Path>) -> Met {
    check_to(memory, caches, Depth::Structure)
}

/// Checks every byte.
fn check_data(_: &Made, memory: &Memory, caches: Option<&Path>) -> Met {
    check_to(memory, caches, Depth::Data(Part::All))
}

fn check_to(memory: &Memory, caches: Option<&Path>, depth: Depth) -> Met {
    let repo = match open_memory(memory, caches) {
        Ok(repo) => repo,
        Err(error) => return Met::refused(&error),
    };
    match check::run(&repo, depth, 1, &Silent) {
        Ok(report) => {
            let said = report.problems.iter().map(|problem| format!("{}: {}", problem.object, problem.what));
            Met { said: said.collect(), ..Met::default() }
        }
        Err(error) => Met::refused(&error),
    }
}

/// Reads everything back, chunk by chunk.
fn read(made: &Made, memory: &Memory, caches: Option<&Path>) -> Met {
    let (repo, mut met) = match opened(memory, caches) {
        Ok(opened) => opened,
        Err(met) => return met,
    };
    for (id, tree) in &made.live {
        let faults = compare(&repo, *id, tree, &mut met.wrong);
        met.partial |= !faults.is_empty();
        met.said.extend(faults);
    }
    met
}

/// Restores everything with the product's own verb.
fn restore(made: &Made, memory: &Memory, caches: Option<&Path>) -> Met {
    let (repo, mut met) = match opened(memory, caches) {
        Ok(opened) => opened,
        Err(met) => return met,
    };
    for (id, tree) in &made.live {
        let faults = compare_with(&repo, *id, tree, &mut met.wrong, &restored);
        met.partial |= !faults.is_empty();
        met.said.extend(faults);
    }
    met
}

/// Restores into a folder and reads that.
fn restored(repo: &Repository, root: &ListingRoot) -> (Tree, Vec<String>) {
    let target = scratch();
    let options = restore::Options {
        existing: restore::Existing::Refuse,
        extra: restore::Extra::Leave,
        owners: restore::Owners::Ignore,
        verify: restore::Verify::No,
        mode: restore::Mode::Write,
        include: Vec::new(),
        exclude: Vec::new(),
        threads: 1,
    };
    let report = match restore::run(repo, root, b"", target.path(), &options, &Silent) {
        Ok(report) => report,
        Err(error) => return (Tree::new(), vec![chain(&error)]),
    };
    let said = report.problems.iter().chain(&report.warnings);
    let said = said.map(|message| format!("{}: {}", String::from_utf8_lossy(&message.path), message.message));
    (tree_on_disk(target.path()), said.collect())
}

/// Prunes at once. That nothing goes which is needed is seen afterwards, when the damage is healed.
fn prune(_: &Made, memory: &Memory, caches: Option<&Path>) -> Met {
    let (repo, mut met) = match opened(memory, caches) {
        Ok(opened) => opened,
        Err(met) => return met,
    };
    let options = prune::Options { grace: Duration::ZERO, max_unused_percent: 0.0, threads: 1 };
    let now = Time { seconds: NOW.seconds + 1_000_000, ..NOW };
    match prune::run(&repo, &options, &|| now, &Silent) {
        Ok(report) => met.said.extend(report.notes.into_iter().chain(report.repack_failed)),
        Err(error) => {
            met.said.push(chain(&error));
            met.refused = true;
        }
    }
    met
}

/// Compares a snapshot with what went in. What is missing must be in the faults.
fn compare(repo: &Repository, id: SnapshotId, tree: &Tree, wrong: &mut Vec<String>) -> Vec<String> {
    compare_with(repo, id, tree, wrong, &read_back)
}

/// Reads what a listing holds, and says what could not be had.
type ReadBack = dyn Fn(&Repository, &ListingRoot) -> (Tree, Vec<String>);

fn compare_with(
    repo: &Repository,
    id: SnapshotId,
    tree: &Tree,
    wrong: &mut Vec<String>,
    read: &ReadBack,
) -> Vec<String> {
    let state = repo.state();
    let Some(snapshot) = state.snapshot(&id) else {
        if state.problems.is_empty() {
            wrong.push(format!("snapshot {id} is gone and nobody says so"));
        }
        return state.problems.iter().map(|problem| format!("log entry {}: {}", problem.seq, problem.reason)).collect();
    };
    let record = match repo.record(snapshot) {
        Ok(record) => record,
        Err(error) => return vec![chain(&error)],
    };
    let (found, faults) = read(repo, &record.root);
    for (path, leaf) in &found {
        if tree.get(path) != Some(leaf) {
            wrong.push(format!("{path:?} of snapshot {id} came back wrong: {leaf:?}"));
        }
    }
    if faults.is_empty() && found.len() != tree.len() {
        wrong.push(format!("of snapshot {id} something is missing and nobody says so"));
    }
    faults
}
