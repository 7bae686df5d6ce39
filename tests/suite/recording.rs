//! The exact calls that change a repository, and their order: packs, barrier, log entry, barrier; deletes after that.

use std::sync::Arc;

use larder::repo::Repository;

use crate::support::recording::Recording;
use crate::support::repo::{Cache, HOUR, TestRepo, open_in};
use crate::support::tree::{Tree, noise, text};

struct Recorded {
    test: TestRepo,
    recording: Arc<Recording>,
    repo: Repository,
}

fn recorded() -> Recorded {
    let test = TestRepo::new();
    let recording = Arc::new(Recording::new(Arc::new(test.memory.clone())));
    let repo = open_in(recording.clone(), &Cache::None).unwrap();
    recording.take();
    Recorded { test, recording, repo }
}

impl Recorded {
    /// The changing calls of what is done: the kind of call and of object, `PutNew packs`.
    fn changes(&self, run: impl FnOnce(&TestRepo, &Repository)) -> Vec<String> {
        self.recording.take();
        run(&self.test, &self.repo);
        self.recording.changes().iter().map(|call| shape(call)).collect()
    }
}

/// A call without what differs from run to run.
fn shape(call: &str) -> String {
    let mut words = call.split(' ');
    let kind = words.next().unwrap_or_default();
    match words.next() {
        Some(name) => format!("{kind} {}", name.split('/').next().unwrap_or_default()),
        None => kind.to_owned(),
    }
}

fn tree() -> Tree {
    Tree::new().file("a/notes", text(1, 9000), 100).file("b/noise", noise(2, 5000), 100).symlink("c", "a/notes", 100)
}

#[test]
fn a_first_backup_puts_packs_barrier_log_entry_barrier_and_nothing_else() {
    let recorded = recorded();
    let changes = recorded.changes(|test, repo| {
        test.backup(repo, "first", &tree());
    });
    assert_eq!(changes, ["PutNew packs", "PutNew packs", "Barrier", "PutNew log", "Barrier"]);
}

#[test]
fn an_unchanged_rerun_writes_one_log_entry_and_the_record_alone_in_a_tree_pack() {
    let recorded = recorded();
    recorded.test.backup(&recorded.repo, "first", &tree());
    recorded.test.clock.advance(HOUR);
    let before = recorded.repo.state();
    let changes = recorded.changes(|test, repo| {
        test.backup(repo, "second", &tree());
    });
    assert_eq!(changes, ["PutNew packs", "Barrier", "PutNew log", "Barrier"]);
    let after = recorded.repo.state();
    let new: Vec<_> = after.packs().filter(|(id, _)| before.pack(id).is_none()).collect();
    assert_eq!(new.len(), 1);
    assert_eq!(new[0].1.kind, larder::format::Kind::Tree);
    let index = recorded.repo.index();
    let row = index.packs().find(|row| row.id == *new[0].0).unwrap();
    assert_eq!(row.chunks, 0, "the pack holds pages that were stored already");
}

#[test]
fn a_changed_file_adds_its_own_chunks_and_the_pages_that_name_it() {
    let recorded = recorded();
    recorded.test.backup(&recorded.repo, "first", &tree());
    recorded.test.clock.advance(HOUR);
    let changed = tree().file("a/notes", text(3, 4000), 200);
    let changes = recorded.changes(|test, repo| {
        test.backup(repo, "second", &changed);
    });
    assert_eq!(changes, ["PutNew packs", "PutNew packs", "Barrier", "PutNew log", "Barrier"]);
}

#[test]
fn a_dry_run_changes_nothing() {
    let recorded = recorded();
    let changes = recorded.changes(|test, repo| {
        let mut options = crate::support::repo::options("dry");
        options.mode = larder::ops::backup::Mode::DryRun;
        let now = || test.clock.now();
        let report = larder::ops::backup::run(repo, &tree(), &options, &now, &larder::progress::Silent).unwrap();
        assert_eq!(report.snapshot, None);
    });
    assert_eq!(changes, [""; 0]);
}

#[test]
fn opening_and_reading_change_nothing() {
    let recorded = recorded();
    recorded.test.backup(&recorded.repo, "first", &tree());
    recorded.recording.take();
    let repo = open_in(recorded.recording.clone(), &Cache::None).unwrap();
    let mut known = crate::support::repo::Known::default();
    known.put("first", &tree());
    assert_eq!(known.check(&repo), ["first"]);
    assert_eq!(recorded.recording.changes(), [""; 0]);
}
