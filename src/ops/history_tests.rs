//! Several snapshots of several sources and times, with the tags that a backup gives, for the tests of the verbs that
//! work on tags.

use std::ops::Range;
use std::sync::{Arc, Mutex};

use crate::format::log::Action;
use crate::format::objects::WeekStart;
use crate::format::record::Record;
use crate::format::{Kind, Time};
use crate::id::{PackId, SnapshotId};
use crate::ops::retention::{Calendar, tags_for_new};
use crate::ops::sample::{Sample, credential, noise, open_memory, store_as};
use crate::repo::Repository;
use crate::repo::commit::{Draft, commit};
use crate::repo::error::Error;
use crate::repo::open;
use crate::repo::state::Fate;
use crate::repo::sweep::delete_swept;
use crate::storage::memory::Memory;
use crate::storage::{self, ObjectInfo, ObjectName, Storage};

pub const HOUR: i64 = 3600;
pub const DAY: i64 = 24 * HOUR;

/// Seconds after 2026-01-05 00:00 UTC, a Monday.
pub fn at(seconds: i64) -> Time {
    Time { seconds: 1_767_571_200 + seconds, nanos: 0 }
}

/// A repository whose time zone is UTC, and the storage below it.
pub struct History {
    pub memory: Memory,
    pub repo: Repository,
}

/// What to back up, and as what.
pub struct Backup<'a> {
    pub source: &'a str,
    pub started: Time,
    pub complete: bool,
    pub tags: &'a [&'a str],
    /// Names of files, in order; the content follows from the name, and a long name has many chunks.
    pub files: &'a [&'a str],
}

impl Default for Backup<'_> {
    fn default() -> Self {
        Self { source: "files", started: at(0), complete: true, tags: &[], files: &["a"] }
    }
}

impl History {
    pub fn new() -> Self {
        let Sample { memory, repo } = Sample::new();
        Self { memory, repo }
    }

    /// Another client of the same repository.
    pub fn another(&self) -> Self {
        Self { memory: self.memory.clone(), repo: open_memory(&self.memory) }
    }

    /// A client that is overtaken: right before it appends its first log entry, another one does this.
    pub fn overtaken_by(&self, rival: impl FnOnce(&Self) + Send + 'static) -> Self {
        let other = self.another();
        let hook: Hook = Box::new(move || rival(&other));
        let storage = Overtaken { memory: self.memory.clone(), hook: Mutex::new(Some(hook)) };
        let repo = open::open(Arc::new(storage), &credential(), None).unwrap().0;
        Self { memory: self.memory.clone(), repo }
    }

    pub fn back_up(&self, backup: &Backup<'_>) -> SnapshotId {
        let repo = &self.repo;
        let Backup { source, started, complete, .. } = *backup;
        let seed = |name: &str| name.bytes().fold(0u64, |seed, byte| seed.wrapping_mul(31).wrapping_add(byte.into()));
        let content = |name: &str| noise(seed(name), if name.len() > 20 { 1 << 20 } else { 5000 });
        let files: Vec<(&str, Vec<u8>)> = backup.files.iter().map(|&name| (name, content(name))).collect();
        let (bytes, written) = store_as(repo, &self.memory, 0, &files, &|record: &mut Record| {
            record.source = source.into();
            (record.started, record.ended, record.complete) = (started, started, complete);
            record.unique = crate::crypto::random::bytes().unwrap();
        });
        let (snapshot, series) = (repo.keys().snapshot_id(&bytes), repo.keys().series_id(source, "here"));
        let draft = Draft { snapshot, series, started, complete, parent: None };
        let calendar = Calendar::new("UTC", WeekStart::Monday).unwrap();
        let given: Vec<String> = backup.tags.iter().map(|&tag| tag.to_owned()).collect();
        let tags = |state: &_| tags_for_new(state, &calendar, &draft, &given);
        commit(repo, &written, &draft, started, &tags).unwrap();
        snapshot
    }

    /// Complete ones of the same source and files, begun at these times.
    pub fn back_up_at(&self, times: &[i64]) -> Vec<SnapshotId> {
        times.iter().map(|&time| self.back_up(&Backup { started: at(time), ..Backup::default() })).collect()
    }

    pub fn append(&self, now: Time, action: &Action) {
        self.repo.append(now, &mut |_| Ok::<_, Error>(Some(action.clone()))).unwrap();
    }

    /// All packs of one kind that are not swept.
    pub fn packs(&self, kind: Kind) -> Vec<PackId> {
        let state = self.repo.refresh().unwrap();
        let there = state.packs().filter(|(_, pack)| pack.kind == kind && pack.fate != Fate::Swept);
        let mut packs: Vec<PackId> = there.map(|(id, _)| *id).collect();
        packs.sort();
        packs
    }

    pub fn condemn(&self, packs: &[PackId], now: Time) {
        self.append(now, &Action::Condemn { packs: packs.to_vec() });
    }

    /// Sweeps condemned packs and deletes them.
    pub fn sweep(&self, packs: &[PackId]) {
        self.append(at(0), &Action::Sweep { packs: packs.to_vec() });
        delete_swept(&self.repo, packs).unwrap();
    }

    pub fn tags(&self, snapshot: SnapshotId) -> String {
        let state = self.repo.refresh().unwrap();
        let tags: Vec<&str> = state.snapshot(&snapshot).unwrap().tags.iter().map(String::as_str).collect();
        tags.join(" ")
    }
}

type Hook = Box<dyn FnOnce() + Send>;

struct Overtaken {
    memory: Memory,
    hook: Mutex<Option<Hook>>,
}

impl Storage for Overtaken {
    fn put_new(&self, name: &ObjectName, parts: &[&[u8]]) -> Result<(), storage::Error> {
        if name.as_str().starts_with("log/")
            && let Some(hook) = self.hook.lock().unwrap().take()
        {
            hook();
        }
        self.memory.put_new(name, parts)
    }

    fn get(&self, name: &ObjectName, range: Range<u64>) -> Result<Vec<u8>, storage::Error> {
        self.memory.get(name, range)
    }

    fn get_whole(&self, name: &ObjectName, limit: u64) -> Result<Vec<u8>, storage::Error> {
        self.memory.get_whole(name, limit)
    }

    fn list(&self, prefix: &str, each: &mut dyn FnMut(ObjectInfo)) -> Result<(), storage::Error> {
        self.memory.list(prefix, each)
    }

    fn delete(&self, name: &ObjectName) -> Result<(), storage::Error> {
        self.memory.delete(name)
    }

    fn barrier(&self) -> Result<(), storage::Error> {
        self.memory.barrier()
    }
}
