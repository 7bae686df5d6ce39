//! Logs in which something lies that does not belong there, and listings that do not show all.
//!
//! Promise: whatever lies under `log/`, nothing panics, no snapshot is lost, the next backup finds a number, and what is
//! in the way is named. A listing that lags behind is no damage.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use larder::format::Time;
use larder::format::log::{Action, KeyChange};
use larder::format::objects::{SEQ_MAX, log_name};
use larder::id::SlotId;
use larder::ops::check::{self, Depth};
use larder::ops::prune;
use larder::progress::Silent;
use larder::repo::Repository;
use larder::repo::error::Error;
use larder::repo::open::open;
use larder::storage::memory::Memory;
use larder::storage::{self, ObjectInfo, ObjectName, Storage};

use crate::support::damage_repo::{
    KEY, Made, NOW, back_up, key_file, memory_of, name, names, open_memory, read_back, scratch,
};
use crate::support::damage_samples;

/// Passes calls on, but leaves names out of listings.
struct Hiding {
    inner: Memory,
    hidden: Mutex<BTreeSet<String>>,
}

impl Hiding {
    fn new(inner: &Memory, hidden: impl IntoIterator<Item = u64>) -> Arc<Self> {
        let hidden = Mutex::new(hidden.into_iter().map(log_name).collect());
        Arc::new(Self { inner: inner.clone(), hidden })
    }
}

impl Storage for Hiding {
    fn put_new(&self, name: &ObjectName, parts: &[&[u8]]) -> Result<(), storage::Error> {
        self.inner.put_new(name, parts)
    }

    fn get(&self, name: &ObjectName, range: Range<u64>) -> Result<Vec<u8>, storage::Error> {
        self.inner.get(name, range)
    }

    fn get_whole(&self, name: &ObjectName, limit: u64) -> Result<Vec<u8>, storage::Error> {
        self.inner.get_whole(name, limit)
    }

    fn list(&self, prefix: &str, each: &mut dyn FnMut(ObjectInfo)) -> Result<(), storage::Error> {
        let hidden = self.hidden.lock().unwrap().clone();
        self.inner.list(prefix, &mut |info| {
            if !hidden.contains(info.name.as_str()) {
                each(info);
            }
        })
    }

    fn delete(&self, name: &ObjectName) -> Result<(), storage::Error> {
        self.inner.delete(name)
    }

    fn barrier(&self) -> Result<(), storage::Error> {
        self.inner.barrier()
    }
}

/// The newest entry of a sound log.
fn head_of(made: &Made) -> u64 {
    names(&made.image, "log/").len() as u64
}

fn with_junk(made: &Made, names: &[String]) -> Memory {
    let memory = memory_of(&made.image);
    names.iter().for_each(|junk| memory.put_raw(&name(junk.as_str()), b"junk"));
    memory
}

/// Every live snapshot comes back, and one more can be made: returns the number of its entry.
fn works(made: &Made, memory: &Memory) -> u64 {
    let repo = open_memory(memory, None).unwrap();
    let next = back_up(&repo, "docs", &made.next, 1000).unwrap().snapshot.unwrap();
    let repo = open_memory(memory, None).unwrap();
    let state = repo.state();
    for (id, tree) in made.live.iter().map(|(id, tree)| (*id, tree)).chain([(next, &made.next)]) {
        let record = repo.record(state.snapshot(&id).unwrap()).unwrap();
        let (found, faults) = read_back(&repo, &record.root);
        assert!(found == *tree && faults.is_empty(), "{faults:?}");
    }
    state.snapshot(&next).unwrap().seq
}

fn prune_at_once(repo: &Repository) -> Result<prune::Report, prune::Error> {
    let options = prune::Options { grace: Duration::ZERO, max_unused_percent: 0.0, threads: 1 };
    let now = Time { seconds: NOW.seconds + 1_000_000, ..NOW };
    prune::run(repo, &options, &|| now, &Silent)
}

fn checked(memory: &Memory) -> (Vec<String>, Vec<String>) {
    let report = check::run(&open_memory(memory, None).unwrap(), Depth::Structure, 1, &Silent).unwrap();
    (report.problems.into_iter().map(|problem| format!("{}: {}", problem.object, problem.what)).collect(), report.notes)
}

fn note_keys(repo: &Repository, times: u64) {
    for _ in 0..times {
        let action = Action::Key { slot: SlotId::new([1; 16]), change: KeyChange::Added };
        repo.append::<Error>(NOW, &mut |_| Ok(Some(action.clone()))).unwrap();
    }
}

#[test]
fn an_object_that_is_no_entry_uses_up_no_number_and_check_notes_it() {
    let made = damage_samples::tiny();
    let head = head_of(&made);
    for seq in [u64::MAX, u64::MAX - 1, SEQ_MAX + 1, SEQ_MAX, SEQ_MAX - 1, head + 1025] {
        let memory = with_junk(&made, &[log_name(seq)]);
        let repo = open_memory(&memory, None).unwrap();
        assert_eq!((repo.state().head, repo.state().problems.as_slice()), (head, [].as_slice()), "{seq:x}");
        let (problems, notes) = checked(&memory);
        assert_eq!(problems, [] as [String; 0]);
        assert!(notes.iter().any(|note| note.contains(&log_name(seq)) && note.contains("ignored")), "{notes:?}");
        prune_at_once(&repo).unwrap();
        // Beside it, what is no number at all.
        memory.put_raw(&name("log/readme"), b"junk");
        assert_eq!(works(&made, &memory), open_memory(&memory, None).unwrap().state().head);
        assert!(memory.object(&name(log_name(seq))).is_some(), "nobody deletes what is not ours");
    }
}

/// It may be the newest entry, with others before it lost: then it may have said that something is needed.
#[test]
fn junk_a_little_beyond_the_head_is_a_problem_until_it_goes_and_no_number_is_lost() {
    let made = damage_samples::tiny();
    let head = head_of(&made);
    for ahead in [2, 5, 1024] {
        let memory = with_junk(&made, &[log_name(head + ahead)]);
        let repo = open_memory(&memory, None).unwrap();
        let state = repo.state();
        assert_eq!(state.head, head);
        assert_eq!(state.problems.iter().map(|problem| problem.seq).collect::<Vec<_>>(), [head + ahead]);
        assert!(state.problems[0].reason.contains("entries before it are missing"), "{:?}", state.problems);
        assert!(prune_at_once(&repo).is_err(), "nothing may go while it is there");
        let (problems, _) = checked(&memory);
        assert!(problems.iter().any(|problem| problem.contains(&log_name(head + ahead))), "{problems:?}");
        assert_eq!(works(&made, &memory), head + 1);
        memory.delete(&name(log_name(head + ahead))).unwrap();
        let repo = open_memory(&memory, None).unwrap();
        assert_eq!(repo.state().problems, []);
        prune_at_once(&repo).unwrap();
    }
}

#[test]
fn a_log_grows_past_what_lies_in_its_way() {
    let made = damage_samples::tiny();
    let head = head_of(&made);
    let memory = with_junk(&made, &[log_name(head + 3), log_name(head + 4), log_name(head + 2000)]);
    let repo = open_memory(&memory, None).unwrap();
    note_keys(&repo, 2);
    // The two pieces of junk have been reached: they are damaged entries, and the next is written after them.
    assert_eq!(repo.state().head, head + 4);
    note_keys(&repo, 1);
    for state in [repo.state(), open_memory(&memory, None).unwrap().state()] {
        assert_eq!(state.head, head + 5);
        assert_eq!(state.problems.iter().map(|problem| problem.seq).collect::<Vec<_>>(), [head + 3, head + 4]);
    }
    assert_eq!(works(&made, &memory), head + 6);
}

#[test]
fn entries_after_a_long_gap_count_and_the_gap_is_named() {
    let made = damage_samples::tiny();
    let head = head_of(&made);
    let memory = memory_of(&made.image);
    note_keys(&open_memory(&memory, None).unwrap(), 1100);
    let last = works(&made, &memory);
    assert_eq!(last, head + 1101);
    (head + 1..last).for_each(|seq| memory.delete(&name(log_name(seq))).unwrap());
    // Junk in the gap is read rather than called missing.
    memory.put_raw(&name(log_name(last - 2)), b"junk");
    let state = open_memory(&memory, None).unwrap().state();
    assert_eq!((state.head, state.live().count()), (last, made.live.len() + 1));
    assert_eq!(state.problems.len(), 1024 + 3);
    let reason = |seq| state.problems.iter().find(|problem| problem.seq == seq).map(|problem| problem.reason.as_str());
    assert_eq!(reason(head + 1), Some("missing"));
    assert_eq!(reason(last - 3), Some("missing, with 73 before it"));
    assert!(reason(last - 2).is_some_and(|reason| reason.contains("damaged")), "{:?}", reason(last - 2));
    assert_eq!(works(&made, &memory), last + 1);
}

/// Two entries were appended while the listing was made: it shows the second and not the first.
#[test]
fn an_entry_that_a_listing_leaves_out_is_asked_for_by_name() {
    let made = damage_samples::rich();
    let head = head_of(&made);
    for hidden in [vec![head - 1], vec![1], (1..head).collect(), vec![2, head - 1]] {
        let memory = memory_of(&made.image);
        let (repo, _) = open(Hiding::new(&memory, hidden.clone()), &key_file(KEY), None).unwrap();
        let state = repo.state();
        assert_eq!((state.head, state.problems.as_slice()), (head, [].as_slice()), "{hidden:?}");
        assert_eq!(state.snapshots().len(), made.live.len() + 1);
        prune_at_once(&repo).unwrap();
    }
}

#[test]
fn a_writer_whose_listing_lags_behind_still_finds_its_number() {
    let made = damage_samples::tiny();
    let head = head_of(&made);
    let memory = memory_of(&made.image);
    let hiding = Hiding::new(&memory, head + 1..head + 9);
    let (behind, _) = open(hiding, &key_file(KEY), None).unwrap();
    note_keys(&open_memory(&memory, None).unwrap(), 3);
    note_keys(&behind, 2);
    for state in [behind.state(), open_memory(&memory, None).unwrap().state()] {
        assert_eq!((state.head, state.problems.as_slice()), (head + 5, [].as_slice()));
    }
}

#[test]
fn a_listing_without_the_newest_entry_is_no_rollback() {
    let made = damage_samples::tiny();
    let head = head_of(&made);
    let memory = memory_of(&made.image);
    let caches = scratch();
    drop(open_memory(&memory, Some(caches.path())).unwrap());
    let (repo, _) = open(Hiding::new(&memory, [head]), &key_file(KEY), Some(caches.path())).unwrap();
    assert_eq!((repo.state().head, repo.state().problems.as_slice()), (head, [].as_slice()));
    // One that is really gone is, also when junk far away makes the log look longer.
    memory.delete(&name(log_name(head))).unwrap();
    memory.put_raw(&name(log_name(head + 5000)), b"junk");
    assert!(matches!(open_memory(&memory, Some(caches.path())), Err(Error::RolledBack { .. })));
}
