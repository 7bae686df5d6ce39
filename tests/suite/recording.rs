//! The exact calls that change a repository, and their order: packs, barrier, log entry, barrier; deletes after that.

use std::sync::Arc;
use std::time::Duration;

use larder::ops::forget::{self, What};
use larder::repo::Repository;
use larder::repo::catalog::Catalog;
use larder::repo::seal::Squeeze;
use larder::repo::write::{Mode, Writer};

use crate::support::CallKind;
use crate::support::jobs::{add_tag, drop_tags, find, prune, rehearse};
use crate::support::meanwhile::Meanwhile;
use crate::support::past::{MONDAY, OTHER, TUESDAY, monday, other, tuesday};
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

/// What cannot be stored for want of room leaves no record that says it was.
#[test]
fn the_pack_with_the_record_is_put_last() {
    // By chance it would be so half of the time.
    for _ in 0..8 {
        let recorded = recorded();
        recorded.test.backup(&recorded.repo, "first", &tree());
        let changes = recorded.recording.changes();
        let last = changes.iter().rfind(|call| call.starts_with("PutNew packs/")).unwrap();
        let state = recorded.repo.state();
        let kind = |id: &larder::id::PackId| state.pack(id).unwrap().kind;
        let of_last: Vec<_> = state.packs().map(|(id, _)| *id).filter(|id| last.contains(&id.to_string())).collect();
        assert_eq!(of_last.iter().map(kind).collect::<Vec<_>>(), [larder::format::Kind::Tree], "{changes:?}");
    }
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

/// A repository in which `other` was forgotten and `monday` shares something with what stays.
fn partly_forgotten() -> Recorded {
    let recorded = recorded();
    for (name, tree) in [(OTHER, other()), (MONDAY, monday()), (TUESDAY, tuesday())] {
        recorded.test.clock.advance(HOUR);
        recorded.test.backup(&recorded.repo, name, &tree);
    }
    for name in [OTHER, MONDAY] {
        drop_tags(&recorded.repo, name, &recorded.test.clock).unwrap();
    }
    recorded
}

#[test]
fn a_prune_deletes_after_the_sweep_entry_and_its_barrier() {
    let recorded = partly_forgotten();
    let changes = recorded.changes(|test, repo| {
        prune(repo, Duration::ZERO, 100.0, &test.clock).unwrap();
    });
    // Data and pages of `other`, and the pages of `monday`. One barrier more, should the sweep be another's.
    let (condemn, sweep) = (["PutNew log", "Barrier"], ["PutNew log", "Barrier"]);
    let deletes = ["Barrier", "Delete packs", "Delete packs", "Delete packs", "Barrier"];
    assert_eq!(changes, [&condemn[..], &sweep, &deletes].concat());
}

#[test]
fn a_prune_with_grace_writes_one_entry_and_deletes_nothing() {
    let recorded = partly_forgotten();
    let changes = recorded.changes(|test, repo| {
        prune(repo, Duration::from_secs(3600), 100.0, &test.clock).unwrap();
    });
    assert_eq!(changes, ["PutNew log", "Barrier"]);
}

#[test]
fn a_repack_puts_packs_barrier_and_one_entry_before_it_sweeps_and_deletes() {
    let recorded = partly_forgotten();
    prune(&recorded.repo, Duration::ZERO, 100.0, &recorded.test.clock).unwrap();
    let before = recorded.repo.state().head;
    let changes = recorded.changes(|test, repo| {
        prune(repo, Duration::ZERO, 0.0, &test.clock).unwrap();
    });
    let repack = ["PutNew packs", "Barrier", "PutNew log", "Barrier"];
    let sweep = ["PutNew log", "Barrier", "Barrier", "Delete packs", "Barrier"];
    assert_eq!(changes, [&repack[..], &sweep].concat());
    assert_eq!(recorded.repo.state().head, before + 2, "one entry to repack, one to sweep");
}

#[test]
fn a_prune_that_finds_nothing_changes_nothing() {
    let recorded = recorded();
    recorded.test.backup(&recorded.repo, "first", &tree());
    let changes = recorded.changes(|test, repo| {
        prune(repo, Duration::ZERO, 0.0, &test.clock).unwrap();
    });
    assert_eq!(changes, [""; 0]);
}

#[test]
fn the_rehearsal_of_a_prune_that_would_repack_and_delete_changes_nothing() {
    let recorded = partly_forgotten();
    for grace in [Duration::ZERO, Duration::from_secs(3600)] {
        let changes = recorded.changes(|test, repo| {
            let report = rehearse(repo, grace, 0.0, &test.clock);
            assert!(report.condemned.packs > report.repacked.packs && report.new_packs.packs > 0, "{report:?}");
        });
        assert_eq!(changes, [""; 0]);
    }
}

#[test]
fn a_tag_and_a_forgetting_write_one_entry_each() {
    let recorded = recorded();
    recorded.test.backup(&recorded.repo, "first", &tree());
    recorded.test.clock.advance(HOUR);
    recorded.test.backup(&recorded.repo, "second", &tree());
    let tag = recorded.changes(|test, repo| drop(add_tag(repo, "first", "mine", &test.clock).unwrap()));
    assert_eq!(tag, ["PutNew log", "Barrier"]);
    let again = recorded.changes(|test, repo| drop(add_tag(repo, "first", "mine", &test.clock).unwrap()));
    assert_eq!(again, [""; 0]);
    let forget = recorded.changes(|test, repo| {
        forget::apply(repo, &What::Ids(vec![find(repo, "first")]), test.clock.now()).unwrap();
    });
    assert_eq!(forget, ["PutNew log", "Barrier"]);
}

/// What a run says it stored goes into the record, so it is counted before the last packs are stored: those that wait
/// for a slow storage were left out.
#[test]
fn packs_that_wait_for_the_storage_count_as_stored() {
    let test = TestRepo::new();
    let slow = Arc::new(Meanwhile::new(Arc::new(test.memory.clone())));
    let repo = open_in(slow.clone(), &Cache::None).unwrap();
    let (open_the_gate, gate) = std::sync::mpsc::channel::<()>();
    slow.before(CallKind::PutNew, "packs/", move || gate.recv().unwrap());
    let catalog = Catalog::survey(&repo).unwrap();
    let mut writer = Writer::new(&repo, &catalog, 1, Mode::Store).unwrap();
    // So many chunks that the first pack is full, and some more.
    for nth in 0..65_600_u32 {
        let bytes = [nth.to_le_bytes(); 4].concat();
        writer.data(repo.keys().data_id(&bytes), &bytes, Squeeze::No).unwrap();
    }
    let drained = writer.drain().unwrap();
    let said = drained.stored_bytes();
    open_the_gate.send(()).unwrap();
    let packs = drained.finish(None).unwrap().packs;
    let stored: u64 = packs.iter().map(|pack| pack.bytes).sum();
    assert!(packs.len() > 1, "the first pack was never full");
    // But for the head of the last pack, which is yet to be made.
    assert!(said <= stored && stored - said < 16 << 10, "said {said}, stored {stored}");
}
