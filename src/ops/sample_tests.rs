//! A small repository in memory, made with the real writers, for the tests of several verbs.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use crate::chunking::Sizes;
use crate::crypto::secret::Secret;
use crate::crypto::slot::Stretch;
use crate::format::content::ChunkRef;
use crate::format::listing::{Entry, Node};
use crate::format::log::{Action, TagAction, TagChange};
use crate::format::objects::WeekStart;
use crate::format::record::{Counts, Record};
use crate::format::{Time, objects};
use crate::id::{PackId, SnapshotId};
use crate::repo::Repository;
use crate::repo::catalog::Catalog;
use crate::repo::commit::{Draft, commit};
use crate::repo::error::Error;
use crate::repo::listing::{Chunks, Entries};
use crate::repo::open::{self, NewRepository};
use crate::repo::pages::{ContentWriter, ListingWriter};
use crate::repo::seal::Squeeze;
use crate::repo::slots::Credential;
use crate::repo::write::{Mode, Writer, Written};
use crate::storage::memory::Memory;
use crate::storage::{ObjectName, Storage};

/// Length of the chunks that contents are cut into.
pub const CHUNK_BYTES: usize = 4096;

pub struct Sample {
    pub memory: Memory,
    pub repo: Repository,
}

/// The time of a test's day.
pub fn day(number: i64) -> Time {
    Time { seconds: 1_000_000_000 + number * 86_400, nanos: 0 }
}

/// Bytes that do not compress, the same for the same seed.
pub fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

pub fn credential() -> Credential {
    Credential::KeyFile(Secret::new([7; 32]))
}

pub fn open_memory(memory: &Memory) -> Repository {
    open::open(Arc::new(memory.clone()), &credential(), None).unwrap().0
}

impl Sample {
    pub fn new() -> Self {
        let memory = Memory::new();
        let sizes = Sizes { min: 2 << 10, average: 16 << 10, max: 64 << 10 };
        let new = NewRepository {
            time_zone: "UTC".into(),
            week_start: WeekStart::Monday,
            sizes,
            credential: &credential(),
            stretch: Stretch::None,
            now: day(0),
        };
        open::create(&memory, &new).unwrap();
        let repo = open_memory(&memory);
        Self { memory, repo }
    }

    /// Another client, with an empty index.
    pub fn reopen(&mut self) {
        self.repo = open_memory(&self.memory);
    }

    /// Makes a snapshot of files, each by name and content, in the order of names.
    pub fn back_up(&self, number: i64, files: &[(&str, Vec<u8>)]) -> SnapshotId {
        back_up(&self.repo, &self.memory, number, files)
    }

    pub fn forget(&self, number: i64, snapshot: SnapshotId) {
        let remove: Vec<String> = self.repo.state().snapshot(&snapshot).unwrap().tags.iter().cloned().collect();
        let changes = vec![TagChange { snapshot, add: Vec::new(), remove }];
        let action = Action::Untag(TagAction { changes, rescue: Vec::new() });
        self.repo.append::<Error>(day(number), &mut |_| Ok(Some(action.clone()))).unwrap();
    }

    /// Names and contents of a snapshot, read anew.
    pub fn contents(&self, snapshot: SnapshotId) -> Result<Vec<(String, Vec<u8>)>, Error> {
        contents(&self.repo, snapshot)
    }

    pub fn packs(&self) -> Vec<PackId> {
        let mut packs: Vec<PackId> = Catalog::list(&self.repo).unwrap().into_keys().collect();
        packs.sort();
        packs
    }

    pub fn bytes(&self) -> u64 {
        Catalog::list(&self.repo).unwrap().values().map(|info| info.bytes).sum()
    }
}

pub fn contents(repo: &Repository, snapshot: SnapshotId) -> Result<Vec<(String, Vec<u8>)>, Error> {
    let state = repo.refresh()?;
    let record = repo.record(state.snapshot(&snapshot).unwrap())?;
    let mut files = Vec::new();
    for entry in Entries::new(repo, &record.root) {
        let entry = entry?;
        let Node::File { content, .. } = &entry.node else { continue };
        let mut bytes = Vec::new();
        for chunk in Chunks::new(repo, content) {
            bytes.extend(repo.chunk(crate::format::Kind::Data, &chunk?)?);
        }
        files.push((String::from_utf8(entry.path.clone()).unwrap(), bytes));
    }
    Ok(files)
}

pub fn back_up(repo: &Repository, memory: &Memory, number: i64, files: &[(&str, Vec<u8>)]) -> SnapshotId {
    let (bytes, written) = store(repo, memory, number, files);
    commit_stored(repo, number, &bytes, &written).unwrap()
}

pub fn commit_stored(repo: &Repository, number: i64, bytes: &[u8], written: &Written) -> Result<SnapshotId, Error> {
    let record = Record::decode(bytes).unwrap();
    let snapshot = repo.keys().snapshot_id(bytes);
    let series = repo.keys().series_id(&record.source, &record.host);
    let draft = Draft { snapshot, series, started: day(number), complete: true, parent: None };
    commit(repo, written, &draft, day(number), &|_| vec!["last".into()])?;
    Ok(snapshot)
}

/// What a run leaves that was killed before it stored its record: a data pack and a tree pack.
pub fn begin(repo: &Repository, memory: &Memory, number: i64, seed: u64) -> Written {
    memory.set_time(UNIX_EPOCH + Duration::from_secs(day(number).seconds as u64));
    repo.refresh().unwrap();
    let catalog = Catalog::survey(repo).unwrap();
    let mut writer = Writer::new(repo, &catalog, 1, Mode::Store).unwrap();
    for chunk in noise(seed, 3 * CHUNK_BYTES).chunks(CHUNK_BYTES) {
        writer.data(repo.keys().data_id(chunk), chunk, Squeeze::No).unwrap();
    }
    writer.page(&noise(seed, 500)).unwrap();
    let written = writer.drain().unwrap().finish(None).unwrap();
    assert_eq!(written.packs.len(), 2);
    written
}

/// All of a backup but the log entry: as a run leaves it that was killed right before that.
pub fn store(repo: &Repository, memory: &Memory, number: i64, files: &[(&str, Vec<u8>)]) -> (Vec<u8>, Written) {
    store_as(repo, memory, number, files, &|_| {})
}

/// The same, with something different in the record.
pub fn store_as(
    repo: &Repository,
    memory: &Memory,
    number: i64,
    files: &[(&str, Vec<u8>)],
    change: &dyn Fn(&mut Record),
) -> (Vec<u8>, Written) {
    memory.set_time(UNIX_EPOCH + Duration::from_secs(day(number).seconds as u64));
    repo.refresh().unwrap();
    let catalog = Catalog::survey(repo).unwrap();
    let mut writer = Writer::new(repo, &catalog, 1, Mode::Store).unwrap();
    let mut listing = ListingWriter::new();
    let mut counts = Counts::default();
    for (name, bytes) in files {
        let mut content = ContentWriter::new();
        for chunk in bytes.chunks(CHUNK_BYTES) {
            let id = repo.keys().data_id(chunk);
            writer.data(id, chunk, Squeeze::No).unwrap();
            content.push(&mut writer, ChunkRef { id, bytes: chunk.len() as u32 }).unwrap();
        }
        let content = content.finish(&mut writer).unwrap();
        counts.files += 1;
        counts.bytes += bytes.len() as u64;
        listing.push(repo, &mut writer, &file(name, bytes.len() as u64, content)).unwrap();
    }
    let root = listing.finish(&mut writer).unwrap();
    let mut record = Record {
        source: "sample".into(),
        host: "here".into(),
        user: String::new(),
        paths: Vec::new(),
        description: String::new(),
        started: day(number),
        ended: day(number),
        complete: true,
        parent: None,
        root,
        counts,
        unique: [number as u8; 16],
        program: String::new(),
        extension: Vec::new(),
    };
    change(&mut record);
    let bytes = record.encode();
    let written = writer.drain().unwrap().finish(Some(&bytes)).unwrap();
    (bytes, written)
}

fn file(name: &str, bytes: u64, content: crate::format::content::Content) -> Entry {
    Entry {
        mtime: day(0),
        ctime: day(0),
        ..Entry::new(name.as_bytes().to_vec(), Node::File { bytes, content, extents: None }, 0o644)
    }
}

/// The name of a pack's object.
pub fn name_of(pack: &PackId) -> ObjectName {
    ObjectName::new(objects::pack_name(pack)).unwrap()
}

/// Puts another object in an object's place.
pub fn replace(memory: &Memory, name: &ObjectName, bytes: &[u8]) {
    memory.delete(name).unwrap();
    memory.put_new(name, &[bytes]).unwrap();
}
