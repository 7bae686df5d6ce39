//! Writers and pruners at the same time, each with a repository handle and a cache of its own on one storage.
//!
//! Most cases stop one party right before one of its storage calls and let the other run, so that the order is the
//! worst one and always the same; the last lets threads run freely.

use std::io::Cursor;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use larder::format::Time;
use larder::format::listing::Owner;
use larder::ops::backup::{self, Error as BackupError};
use larder::ops::tag::Error as TagError;
use larder::repo::Repository;
use larder::repo::catalog::Catalog;
use larder::repo::seal::Squeeze;
use larder::repo::state::{Fate, State};
use larder::repo::write::{Mode, Writer};
use larder::source::stream::StreamSource;

use crate::support::CallKind;
use crate::support::crashing::{Crashing, Stop};
use crate::support::jobs::{add_tag, drop_tags, no_damage, prune};
use crate::support::meanwhile::Meanwhile;
use crate::support::past::{MONDAY, OTHER, TUESDAY, monday, other, tuesday};
use crate::support::repo::{Cache, Clock, DAY, HOUR, Known, TestRepo, backup, open_in};
use crate::support::tree::{Tree, noise, text};

const GRACE: Duration = Duration::from_secs(7 * 24 * 3600);

/// A repository with two writers to be: one that is interrupted, one that comes in between.
struct Scene {
    test: Arc<TestRepo>,
    meanwhile: Arc<Meanwhile>,
    slow: Repository,
    known: Known,
}

/// `other` was forgotten, `monday` is live.
fn scene() -> Scene {
    let test = Arc::new(TestRepo::new());
    let mut known = Known::default();
    let repo = test.open();
    for (name, tree) in [(OTHER, other()), (MONDAY, monday())] {
        known.put(name, &tree);
        test.clock.advance(HOUR);
        test.backup(&repo, name, &tree);
    }
    drop_tags(&repo, OTHER, &test.clock).unwrap();
    test.clock.advance(HOUR);
    known.put("back", &other());
    known.put("stream", &stream_tree());
    known.put(TUESDAY, &tuesday());
    let meanwhile = Arc::new(Meanwhile::new(Arc::new(test.memory.clone())));
    let slow = open_in(meanwhile.clone(), &Cache::None).unwrap();
    Scene { test, meanwhile, slow, known }
}

impl Scene {
    /// Right before the slow party's next call of this kind, somebody else does something.
    fn before(&self, kind: CallKind, prefix: &'static str, run: impl FnOnce(&TestRepo, &Repository) + Send + 'static) {
        let test = self.test.clone();
        self.meanwhile.before(kind, prefix, move || run(&test, &test.open()));
    }

    fn before_commit(&self, run: impl FnOnce(&TestRepo, &Repository) + Send + 'static) {
        self.before(CallKind::PutNew, "log/", run);
    }

    /// Everything that was to happen did, nothing is damaged, and these are live and restore, also after another
    /// prune that spares nothing.
    fn ends_with(&self, names: &[&str]) {
        assert!(self.meanwhile.all_done(), "the slow party never came to the call it was to be stopped at");
        let repo = self.test.open();
        no_damage(&repo);
        assert_eq!(self.known.check(&repo), names);
        self.test.clock.advance(9 * DAY);
        prune(&repo, Duration::ZERO, 0.0, &self.test.clock).unwrap();
        let repo = self.test.open();
        no_damage(&repo);
        assert_eq!(self.known.check(&repo), names);
    }
}

fn condemned(state: &State) -> usize {
    state.packs().filter(|(_, pack)| matches!(pack.fate, Fate::Condemned { .. })).count()
}

/// A prune by somebody whose clock says that nothing is young any more, not even what could be salvaged.
fn prune_later(test: &TestRepo, repo: &Repository, grace: Duration) {
    let clock = test.clock.of(&larder::storage::memory::Memory::new());
    clock.advance(31 * DAY);
    let report = prune(repo, grace, 100.0, &clock).unwrap();
    assert!(report.condemned.packs > 0, "nothing to condemn: {report:?}");
}

const STREAM: &str = "dump";

fn stream_bytes() -> Vec<u8> {
    // What the file of the forgotten snapshot holds, and something new.
    [text(7, 3_000), noise(9, 1_000)].concat()
}

fn stream_tree() -> Tree {
    Tree::new().file(STREAM, stream_bytes(), 5)
}

fn back_up_stream(repo: &Repository, clock: &Clock) -> Result<backup::Report, BackupError> {
    let time = Time { seconds: 5, nanos: 0 };
    let bytes = Box::new(Cursor::new(stream_bytes()));
    let source = StreamSource::new(STREAM.as_bytes(), Owner::default(), time, bytes).unwrap();
    backup(repo, "stream", &source, clock)
}

#[test]
fn a_commit_rescues_what_was_condemned_while_it_ran() {
    let scene = scene();
    scene.before_commit(|test, repo| prune_later(test, repo, GRACE));
    let attempts = backup(&scene.slow, "back", &other(), &scene.test.clock).unwrap();
    assert!(attempts.snapshot.is_some());
    assert_eq!(condemned(&scene.slow.state()), 0, "what the snapshot needs is still condemned");
    scene.ends_with(&[MONDAY, "back"]);
}

#[test]
fn what_was_swept_while_a_backup_ran_is_read_again() {
    let scene = scene();
    scene.before_commit(|test, repo| prune_later(test, repo, Duration::ZERO));
    backup(&scene.slow, "back", &other(), &scene.test.clock).unwrap();
    scene.ends_with(&[MONDAY, "back"]);
}

#[test]
fn what_was_swept_before_the_last_look_at_the_storage_is_read_again() {
    for at in [CallKind::List, CallKind::Barrier] {
        let scene = scene();
        let pause = move |scene: &Scene| {
            let test = scene.test.clone();
            scene.meanwhile.before(at, "", move || prune_later(&test, &test.open(), Duration::ZERO));
        };
        if at == CallKind::List {
            // The listing of the gate comes after the first pack.
            scene.meanwhile.before(CallKind::PutNew, "packs/", || {});
        }
        pause(&scene);
        let outcome = backup(&scene.slow, "back", &other(), &scene.test.clock);
        let names: &[&str] = if outcome.is_ok() { &[MONDAY, "back"] } else { &[MONDAY] };
        assert!(outcome.is_ok(), "before {at:?}: {outcome:?}");
        scene.ends_with(names);
    }
}

#[test]
fn a_stream_whose_data_was_swept_fails_and_commits_nothing() {
    let scene = scene();
    scene.before_commit(|test, repo| prune_later(test, repo, Duration::ZERO));
    let outcome = back_up_stream(&scene.slow, &scene.test.clock);
    assert!(matches!(outcome, Err(BackupError::Lost)), "{outcome:?}");
    scene.ends_with(&[MONDAY]);
}

#[test]
fn a_stream_whose_data_was_condemned_rescues_it() {
    let scene = scene();
    scene.before_commit(|test, repo| prune_later(test, repo, GRACE));
    back_up_stream(&scene.slow, &scene.test.clock).unwrap();
    scene.ends_with(&[MONDAY, "stream"]);
}

#[test]
fn a_stream_does_not_need_the_snapshot_before_it() {
    let scene = scene();
    scene.before_commit(|test, repo| drop_tags(repo, MONDAY, &test.clock).unwrap());
    back_up_stream(&scene.slow, &scene.test.clock).unwrap();
    scene.ends_with(&["stream"]);
}

#[test]
fn a_backup_whose_parent_was_forgotten_and_swept_reads_everything_again() {
    let scene = scene();
    scene.before_commit(|test, repo| {
        drop_tags(repo, MONDAY, &test.clock).unwrap();
        prune_later(test, repo, Duration::ZERO);
    });
    let report = backup(&scene.slow, TUESDAY, &tuesday(), &scene.test.clock).unwrap();
    assert_eq!(report.parent, None);
    scene.ends_with(&[TUESDAY]);
}

#[test]
fn a_backup_whose_parent_was_forgotten_and_brought_back_commits() {
    let scene = scene();
    scene.before_commit(|test, repo| {
        drop_tags(repo, MONDAY, &test.clock).unwrap();
        test.backup(repo, MONDAY, &monday());
    });
    backup(&scene.slow, TUESDAY, &tuesday(), &scene.test.clock).unwrap();
    scene.ends_with(&[MONDAY, TUESDAY]);
}

/// A writer slower than a prune spares its packs: no entry names them yet.
#[test]
fn a_writers_own_packs_are_rescued_or_written_again() {
    for grace in [GRACE, Duration::ZERO] {
        let scene = scene();
        scene.before_commit(move |test, repo| {
            prune_later(test, repo, GRACE);
            assert!(condemned(&repo.state()) >= 4, "the writer's own packs were to be condemned as well");
            if grace.is_zero() {
                test.clock.advance(1);
                prune(repo, grace, 100.0, &test.clock).unwrap();
            }
        });
        backup(&scene.slow, TUESDAY, &tuesday(), &scene.test.clock).unwrap();
        scene.ends_with(&[MONDAY, TUESDAY]);
    }
}

/// A prune without a grace period takes its packs before each commit.
#[test]
fn a_backup_that_is_starved_says_so_and_leaves_nothing_behind() {
    let scene = scene();
    for _ in 0..5 {
        scene.before_commit(|test, repo| prune_later(test, repo, Duration::ZERO));
    }
    let outcome = backup(&scene.slow, TUESDAY, &tuesday(), &scene.test.clock);
    assert!(matches!(outcome, Err(BackupError::Starved { attempts: 5 })), "{outcome:?}");
    scene.ends_with(&[MONDAY]);
}

/// Its packs are stored, and then it is killed.
fn be_killed_before_the_log_entry(test: &TestRepo, name: &str, tree: &Tree) {
    let storage = Crashing::new(test.memory.clone(), Stop::AfterChanges(3));
    let killed = open_in(Arc::new(storage), &Cache::None).unwrap();
    backup(&killed, name, tree, &test.clock).unwrap_err();
}

/// The threads of a run that had failed were still storing, and held the index open, when the next run began.
#[test]
fn a_writer_that_is_given_up_leaves_no_thread_behind() {
    let test = TestRepo::new();
    let storage = Arc::new(test.memory.clone());
    let repo = open_in(storage.clone(), &Cache::None).unwrap();
    let catalog = Catalog::survey(&repo).unwrap();
    let handles = Arc::strong_count(&storage);
    let mut writer = Writer::new(&repo, &catalog, 2, Mode::Store).unwrap();
    for seed in 0..6 {
        let chunk = noise(seed, 1 << 20);
        writer.data(repo.keys().data_id(&chunk), &chunk, Squeeze::Yes).unwrap();
    }
    drop(writer);
    assert_eq!(Arc::strong_count(&storage), handles);
}

/// A killed run left packs; a writer takes from them while a prune condemns them.
#[test]
fn what_a_killed_run_left_can_be_relied_on_in_spite_of_a_prune() {
    for grace in [GRACE, Duration::ZERO] {
        let scene = scene();
        be_killed_before_the_log_entry(&scene.test, TUESDAY, &tuesday());
        scene.before_commit(move |test, repo| prune_later(test, repo, grace));
        backup(&scene.slow, TUESDAY, &tuesday(), &scene.test.clock).unwrap();
        scene.ends_with(&[MONDAY, TUESDAY]);
    }
}

#[test]
fn of_two_commits_on_one_day_one_is_daily() {
    let scene = scene();
    scene.test.clock.advance(40 * DAY);
    scene.before_commit(|test, repo| drop(test.backup(repo, MONDAY, &monday()).to_string()));
    let report = backup(&scene.slow, TUESDAY, &tuesday(), &scene.test.clock).unwrap();
    assert_eq!(report.tags, ["last"]);
    let state = scene.test.open().state();
    let fast = state.live().rev().nth(1).unwrap();
    let tags: Vec<&str> = fast.tags.iter().map(String::as_str).collect();
    assert_eq!(tags, ["daily", "last", "monthly", "weekly", "yearly"]);
    scene.ends_with(&[MONDAY, MONDAY, TUESDAY]);
}

/// The pruner is the slow one: before each of its log entries a writer takes what it was about to let go.
#[test]
fn a_prune_that_loses_its_slot_decides_again() {
    for (entries_before, grace) in [(0, Duration::ZERO), (0, GRACE), (1, Duration::ZERO), (2, Duration::ZERO)] {
        let scene = scene();
        for _ in 0..entries_before {
            scene.meanwhile.before(CallKind::PutNew, "log/", || {});
        }
        scene.before_commit(|test, repo| drop(backup(repo, "back", &other(), &test.clock).unwrap()));
        backup(&scene.test.open(), TUESDAY, &tuesday(), &scene.test.clock).unwrap();
        drop_tags(&scene.test.open(), MONDAY, &scene.test.clock).unwrap();
        prune(&scene.slow, grace, 0.0, &scene.test.clock).unwrap();
        scene.ends_with(&[TUESDAY, "back"]);
    }
}

#[test]
fn two_prunes_at_once_let_no_chunk_go_twice() {
    for entries_before in 0..3 {
        let scene = scene();
        backup(&scene.test.open(), TUESDAY, &tuesday(), &scene.test.clock).unwrap();
        drop_tags(&scene.test.open(), MONDAY, &scene.test.clock).unwrap();
        for _ in 0..entries_before {
            scene.meanwhile.before(CallKind::PutNew, "log/", || {});
        }
        scene.before_commit(|test, repo| drop(prune(repo, Duration::ZERO, 0.0, &test.clock).unwrap()));
        prune(&scene.slow, Duration::ZERO, 0.0, &scene.test.clock).unwrap();
        scene.ends_with(&[TUESDAY]);
    }
}

#[test]
fn a_tag_rescues_what_was_condemned_before_it_or_while_it_ran() {
    for condemned_before in [true, false] {
        let scene = scene();
        if condemned_before {
            prune_later(&scene.test, &scene.test.open(), GRACE);
        } else {
            scene.before_commit(|test, repo| prune_later(test, repo, GRACE));
        }
        let report = add_tag(&scene.slow, OTHER, "mine", &scene.test.clock).unwrap();
        assert!(report.brought_back && report.rescued > 0, "{report:?}");
        scene.ends_with(&[OTHER, MONDAY]);
    }
}

#[test]
fn a_tag_of_what_was_swept_before_it_or_while_it_ran_is_refused() {
    for swept_before in [true, false] {
        let scene = scene();
        if swept_before {
            prune_later(&scene.test, &scene.test.open(), Duration::ZERO);
        } else {
            scene.before_commit(|test, repo| prune_later(test, repo, Duration::ZERO));
        }
        let refused = add_tag(&scene.slow, OTHER, "mine", &scene.test.clock);
        assert!(matches!(refused, Err(TagError::Gone { .. })), "{refused:?}");
        scene.ends_with(&[MONDAY]);
    }
}

/// A killed run has written again what was condemned. No entry names those packs, and a tag entry names none.
#[test]
fn a_tag_rescues_although_a_killed_run_left_copies() {
    let scene = scene();
    prune_later(&scene.test, &scene.test.open(), GRACE);
    be_killed_before_the_log_entry(&scene.test, "back", &other());
    add_tag(&scene.slow, OTHER, "mine", &scene.test.clock).unwrap();
    scene.ends_with(&[OTHER, MONDAY]);
}

/// What the forgotten snapshot shares with live ones moves to another pack while the tag is about to be set.
#[test]
fn a_tag_follows_what_was_repacked_while_it_ran() {
    let scene = scene();
    backup(&scene.slow, TUESDAY, &tuesday(), &scene.test.clock).unwrap();
    // Everything that monday needs is needed by its twin, too.
    backup(&scene.slow, MONDAY, &monday(), &scene.test.clock).unwrap();
    drop_tags(&scene.slow, MONDAY, &scene.test.clock).unwrap();
    scene.before_commit(|test, repo| {
        let report = prune(repo, Duration::ZERO, 0.0, &test.clock).unwrap();
        assert!(report.condemned.packs > 0, "{report:?}");
    });
    let slow = open_in(scene.meanwhile.clone(), &Cache::None).unwrap();
    add_tag(&slow, MONDAY, "mine", &scene.test.clock).unwrap();
    scene.ends_with(&[MONDAY, TUESDAY, MONDAY]);
}

/// What a writer of the free run backs up in its nth round: most of it was there before.
fn round(writer: usize, n: usize) -> (String, Tree) {
    let (n, writer) = (n as u64, writer as u64);
    let tree = Tree::new()
        .file("shared", text(n / 2, 2_000), n as i64)
        .file("own", text(writer * 100 + n, 1_500), (writer * 100 + n) as i64)
        .file("comes and goes", text(n % 3, 2_500), n as i64);
    (format!("{writer}/{n}"), tree)
}

#[test]
fn two_writers_and_a_pruner_in_threads_lose_nothing() {
    const ROUNDS: usize = 12;
    let test = TestRepo::new();
    let writing = AtomicBool::new(true);
    let mut known = Known::default();
    (0..2).for_each(|writer| (0..ROUNDS).map(|n| round(writer, n)).for_each(|(name, tree)| known.put(&name, &tree)));
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..2)
            .map(|writer| {
                let test = &test;
                scope.spawn(move || {
                    let cache = tempfile::tempdir().unwrap();
                    let repo = test.open_with(&Cache::In(cache.path().to_owned()));
                    for n in 0..ROUNDS {
                        let (name, tree) = round(writer, n);
                        let busy = (0..20).take_while(|_| backup(&repo, &name, &tree, &test.clock).is_err()).count();
                        assert!(busy < 20, "{name} never got through");
                        if n >= 2 {
                            drop_tags(&repo, &round(writer, n - 2).0, &test.clock).unwrap();
                        }
                    }
                })
            })
            .collect();
        let (test, writing) = (&test, &writing);
        let pruner = scope.spawn(move || {
            let repo = test.open();
            // Its clock is a month ahead, so it spares nobody's packs.
            let clock = test.clock.of(&larder::storage::memory::Memory::new());
            clock.advance(31 * DAY);
            while writing.load(Ordering::SeqCst) {
                prune(&repo, Duration::ZERO, 10.0, &clock).unwrap();
            }
        });
        let written: Vec<_> = writers.into_iter().map(|writer| writer.join()).collect();
        writing.store(false, Ordering::SeqCst);
        pruner.join().unwrap();
        written.into_iter().for_each(|result| result.unwrap());
    });
    let repo = test.open();
    no_damage(&repo);
    let mut live = known.check(&repo);
    live.sort();
    live.dedup();
    assert_eq!(live, ["0/10", "0/11", "1/10", "1/11"]);
}
