//! Small repositories in memory, to be damaged; a source in memory; and a reader that is none of the product's verbs.
//!
//! Promise: what [`Made`] says was stored is what went in. Key files open them, so no password is stretched.
//! Left out on purpose: what damage should lead to. That is the tests' business.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error as StdError;
use std::io;
use std::ops::ControlFlow;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::sync::Arc;

use larder::chunking::Sizes;
use larder::crypto::keys::RootKey;
use larder::crypto::secret::Secret;
use larder::crypto::slot::Stretch;
use larder::format::content::Content as Contents;
use larder::format::listing::{Entry, Node, compare_paths};
use larder::format::log::{Action, TagAction, TagChange};
use larder::format::objects::WeekStart;
use larder::format::record::ListingRoot;
use larder::format::{Kind, Time};
use larder::id::SnapshotId;
use larder::ops::backup::{self, Mode, Options, Report};
use larder::progress::Silent;
use larder::repo::Repository;
use larder::repo::error::Error;
use larder::repo::listing::{Chunks, Entries};
use larder::repo::open::{NewRepository, create, open};
use larder::repo::slots::Credential;
use larder::source::{self, Candidate, Content, Found, NoContent, Problem, Reader, Source, Verdict};
use larder::storage::memory::{Image, Memory};
use larder::storage::{ObjectName, Storage};

/// When everything here happens.
pub const NOW: Time = Time { seconds: 1_750_000_000, nanos: 7 };
/// The key file of the first slot.
pub const KEY: [u8; 32] = [7; 32];
/// The key file of the second slot.
pub const SECOND_KEY: [u8; 32] = [9; 32];
/// Small, so that files of a few dozen KiB have many chunks.
pub const SIZES: Sizes = Sizes { min: 256, average: 1024, max: 4096 };

/// How the name of an unfinished file ends.
pub const PARTIAL: &[u8] = b".larder-partial";

/// What a path holds.
#[derive(Clone, PartialEq, Eq)]
pub enum Leaf {
    Folder,
    File(Arc<[u8]>),
    Link(Vec<u8>),
    /// A device or the like; never a source.
    Other(String),
}

impl std::fmt::Debug for Leaf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Leaf::Folder => f.write_str("folder"),
            Leaf::File(bytes) => write!(f, "file of {} bytes", bytes.len()),
            Leaf::Other(what) => f.write_str(what),
            Leaf::Link(target) => write!(f, "link to {}", String::from_utf8_lossy(target)),
        }
    }
}

/// A path, ordered as in a listing.
#[derive(Clone, PartialEq, Eq)]
pub struct ListedPath(pub Vec<u8>);

impl Ord for ListedPath {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        compare_paths(&self.0, &other.0)
    }
}

impl PartialOrd for ListedPath {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl std::fmt::Debug for ListedPath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

/// What is backed up, and what came back.
pub type Tree = BTreeMap<ListedPath, Leaf>;

/// A tree as a source.
pub struct TreeSource<'t>(pub &'t Tree);

impl Source for TreeSource<'_> {
    fn walk(&self, visit: &mut dyn FnMut(Found) -> ControlFlow<()>) -> Result<(), source::Error> {
        for (path, leaf) in self.0 {
            let entry = entry(&path.0, leaf);
            let reader: Box<dyn Reader> = match leaf {
                Leaf::File(bytes) => Box::new(Bytes { bytes: bytes.clone(), at: 0 }),
                _ => Box::new(Bytes { bytes: Arc::default(), at: 0 }),
            };
            if visit(Found::Entry(Candidate { entry, reader })).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn replayable(&self) -> bool {
        true
    }
}

/// A plain entry of a listing. Its inode follows from its content, so that a change shows.
pub fn entry(path: &[u8], leaf: &Leaf) -> Entry {
    let (node, inode) = match leaf {
        Leaf::Folder => (Node::Directory, 1),
        Leaf::File(bytes) => {
            let hash = blake3::hash(bytes);
            let inode = u64::from_le_bytes(*hash.as_bytes().first_chunk().unwrap());
            (Node::File { bytes: bytes.len() as u64, content: Contents::EMPTY, extents: None }, inode)
        }
        Leaf::Link(target) => (Node::Symlink { target: target.clone() }, 2),
        Leaf::Other(_) => (Node::Fifo, 3),
    };
    let long_ago = Time { seconds: 1_700_000_000, nanos: 123_456_789 };
    Entry { mtime: long_ago, ctime: long_ago, inode, device: 1, ..Entry::new(path.to_vec(), node, 0o755) }
}

struct Bytes {
    bytes: Arc<[u8]>,
    at: usize,
}

impl Reader for Bytes {
    fn open(self: Box<Self>, entry: &mut Entry) -> Result<Box<dyn Content>, Problem> {
        match entry.node {
            Node::File { .. } => Ok(self),
            _ => Ok(Box::new(NoContent)),
        }
    }
}

impl Content for Bytes {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let some = buffer.len().min(self.bytes.len() - self.at);
        buffer[..some].copy_from_slice(&self.bytes[self.at..][..some]);
        self.at += some;
        Ok(some)
    }

    fn finish(self: Box<Self>, _: &mut Entry, _: u64) -> Verdict {
        Verdict::Steady
    }
}

/// Random bytes that are the same in every run.
pub fn noise(seed: u64, len: usize) -> Arc<[u8]> {
    let mut out = vec![0; len];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut out);
    out.into()
}

/// Bytes that shrink when they are compressed, the same in every run, different for every seed.
pub fn prose(seed: u64, len: usize) -> Arc<[u8]> {
    let words = noise(seed, len / 4 + 4);
    let text: String = words.iter().map(|byte| format!("{} ", u32::from(*byte) * 7919)).collect();
    text.as_bytes()[..len].into()
}

/// A tree from its paths; folders above them are added.
pub fn tree(leaves: impl IntoIterator<Item = (String, Leaf)>) -> Tree {
    let mut tree = Tree::from([(ListedPath(Vec::new()), Leaf::Folder)]);
    for (path, leaf) in leaves {
        for (at, _) in path.match_indices('/') {
            tree.insert(ListedPath(path.as_bytes()[..at].to_vec()), Leaf::Folder);
        }
        tree.insert(ListedPath(path.into_bytes()), leaf);
    }
    tree
}

/// An unlocked repository's storage and what was stored in it.
#[derive(Clone, Default)]
pub struct Made {
    pub image: Image,
    /// Snapshots that a tag holds, oldest first.
    pub live: Vec<(SnapshotId, Tree)>,
    /// The data pack and the tree pack that came with each of them.
    pub packs: Vec<[ObjectName; 2]>,
    /// What the next backup of the series `docs` should store.
    pub next: Tree,
    /// Chunks and pages in each pack, by the pack's object name: other names under which its loss may be reported.
    pub inside: BTreeMap<ObjectName, BTreeSet<String>>,
}

/// The credential of a key file.
pub fn key_file(bytes: [u8; 32]) -> Credential {
    Credential::KeyFile(Secret::new(bytes))
}

/// Makes an empty repository, and returns its root key.
pub fn make(storage: &dyn Storage) -> RootKey {
    let new = NewRepository {
        time_zone: "UTC".into(),
        week_start: WeekStart::Monday,
        sizes: SIZES,
        credential: &key_file(KEY),
        stretch: Stretch::None,
        now: NOW,
    };
    create(storage, &new).unwrap().1
}

/// Opens a repository in memory with the first key file.
pub fn open_memory(memory: &Memory, caches: Option<&Path>) -> Result<Repository, Error> {
    open(Arc::new(memory.clone()), &key_file(KEY), caches).map(|opened| opened.0)
}

/// A storage of its own that holds what the image shows.
pub fn memory_of(image: &Image) -> Memory {
    Memory::from_image(image.clone())
}

/// Backs a tree up. `at` is the number of seconds since [`NOW`].
pub fn back_up(repo: &Repository, series: &str, tree: &Tree, at: i64) -> Result<Report, backup::Error> {
    let options = Options {
        source: series.into(),
        host: "host".into(),
        user: "user".into(),
        description: String::new(),
        tags: Vec::new(),
        paths: vec![b"/docs".to_vec()],
        mode: Mode::Store,
        threads: 1,
    };
    let now = Time { seconds: NOW.seconds + at, ..NOW };
    backup::run(repo, &TreeSource(tree), &options, &|| now, &Silent)
}

/// Takes all tags of a snapshot.
pub fn forget(repo: &Repository, snapshot: SnapshotId) {
    repo.append::<Error>(NOW, &mut |state| {
        let remove = state.snapshot(&snapshot).unwrap().tags.iter().cloned().collect();
        let changes = vec![TagChange { snapshot, add: Vec::new(), remove }];
        Ok(Some(Action::Untag(TagAction { changes, rescue: Vec::new() })))
    })
    .unwrap();
}

/// Everything that a listing leads to, and everything that went wrong on the way. Reads chunk by chunk, on purpose:
/// not as restore does.
pub fn read_back(repo: &Repository, root: &ListingRoot) -> (Tree, Vec<String>) {
    let (mut tree, mut faults) = (Tree::new(), Vec::new());
    for entry in Entries::new(repo, root) {
        match entry {
            Err(error) => faults.push(chain(&error)),
            Ok(entry) => match read_leaf(repo, &entry) {
                Ok(leaf) => drop(tree.insert(ListedPath(entry.path), leaf)),
                Err(error) => faults.push(format!("{}: {}", String::from_utf8_lossy(&entry.path), chain(&error))),
            },
        }
    }
    (tree, faults)
}

fn read_leaf(repo: &Repository, entry: &Entry) -> Result<Leaf, Error> {
    match &entry.node {
        Node::Directory => Ok(Leaf::Folder),
        Node::Symlink { target } => Ok(Leaf::Link(target.clone())),
        Node::File { content, .. } => {
            let mut bytes = Vec::new();
            for chunk in Chunks::new(repo, content) {
                bytes.extend(repo.chunk(Kind::Data, &chunk?)?);
            }
            Ok(Leaf::File(bytes.into()))
        }
        other => Ok(Leaf::Other(format!("{other:?}"))),
    }
}

/// What lies in a folder. What a restore could not complete is passed over: it must have been reported.
pub fn tree_on_disk(folder: &Path) -> Tree {
    let mut tree = Tree::from([(ListedPath(Vec::new()), Leaf::Folder)]);
    let mut ahead = vec![folder.to_owned()];
    while let Some(folder_now) = ahead.pop() {
        for found in std::fs::read_dir(&folder_now).unwrap() {
            let path = found.unwrap().path();
            let kind = path.symlink_metadata().unwrap().file_type();
            let leaf = match () {
                () if kind.is_dir() => Leaf::Folder,
                () if kind.is_symlink() => Leaf::Link(path.read_link().unwrap().into_os_string().into_vec()),
                () => Leaf::File(std::fs::read(&path).unwrap().into()),
            };
            if leaf == Leaf::Folder {
                ahead.push(path.clone());
            }
            let below = path.strip_prefix(folder).unwrap().as_os_str().as_bytes().to_vec();
            if !below.ends_with(PARTIAL) {
                tree.insert(ListedPath(below), leaf);
            }
        }
    }
    tree
}

/// An error with its causes.
pub fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// A folder that goes when it is dropped: in memory where that can be, because thousands of them are synced.
pub fn scratch() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap()
}

/// The names of all objects that begin so.
pub fn names(image: &Image, prefix: &str) -> Vec<ObjectName> {
    image.keys().filter(|name| name.as_str().starts_with(prefix)).cloned().collect()
}

/// An object's name.
pub fn name(text: impl Into<String>) -> ObjectName {
    ObjectName::new(text).unwrap()
}
