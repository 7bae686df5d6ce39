//! What can happen to an object, and the objects it can happen to.

use std::ops::Range;

use larder::crypto::keys::{Keys, RootKey};
use larder::crypto::secret::Secret;
use larder::format::Kind;
use larder::format::listing::Node;
use larder::format::objects::{self, Config, SIGNATURE_DOMAIN};
use larder::format::packs::{PREAMBLE_BYTES, Preamble};
use larder::id::RepositoryId;
use larder::repo::catalog::Catalog;
use larder::repo::listing::{self, Chunks};
use larder::repo::slots::{Credential, lock_root, store_slot};
use larder::storage::memory::{Image, Memory, Object};
use larder::storage::{ObjectName, Storage};

use crate::support::damage_repo::{KEY, Made, NOW, back_up, key_file, memory_of, name, names, open_memory};
use crate::support::damage_samples;

/// Which object is harmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    Config,
    ConfigCopy,
    Slot,
    SlotCopy,
    /// The first entry: the oldest snapshot.
    FirstEntry,
    /// The entry of a snapshot that is forgotten by now.
    MiddleEntry,
    /// The entry that forgot it.
    NewestEntry,
    /// The data pack of the oldest snapshot, which the newest shares.
    DataPack,
    /// The tree pack of the newest snapshot.
    TreePack,
}

/// What happens to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Damage {
    Delete,
    Empty,
    Halve,
    LoseLastByte,
    FlipFirst,
    FlipMiddle,
    FlipLast,
    /// Says that it is of version 2.
    VersionTwo,
    /// Says that it is of version 0.
    VersionZero,
    /// Changes places with another of its kind in this repository.
    Swap,
    Zero,
    /// Another repository's, of the same kind.
    Foreign,
    /// One of the same kind from a repository that has the same keys and another name.
    Twin,
    Append,
    /// It is there once more, under another name of its kind.
    Duplicate,
    /// An object of another kind has its name.
    OtherKind,
}

impl Damage {
    pub const ALL: [Self; 16] = [
        Self::Delete,
        Self::Empty,
        Self::Halve,
        Self::LoseLastByte,
        Self::FlipFirst,
        Self::FlipMiddle,
        Self::FlipLast,
        Self::VersionTwo,
        Self::VersionZero,
        Self::Swap,
        Self::Zero,
        Self::Foreign,
        Self::Twin,
        Self::Append,
        Self::Duplicate,
        Self::OtherKind,
    ];

    pub fn word(self) -> &'static str {
        match self {
            Self::Delete => "delete",
            Self::Empty => "empty",
            Self::Halve => "halve",
            Self::LoseLastByte => "shorten",
            Self::FlipFirst => "flip-first",
            Self::FlipMiddle => "flip-mid",
            Self::FlipLast => "flip-last",
            Self::VersionTwo => "version-2",
            Self::VersionZero => "version-0",
            Self::Swap => "swap",
            Self::Zero => "zero",
            Self::Foreign => "foreign",
            Self::Twin => "twin",
            Self::Append => "append",
            Self::Duplicate => "duplicate",
            Self::OtherKind => "other-kind",
        }
    }
}

/// Repositories from which objects are taken.
pub struct Others {
    foreign: Image,
    twin: Image,
}

impl Others {
    pub fn of(made: &Made) -> Self {
        Self { foreign: damage_samples::rich().image, twin: twin(&made.image) }
    }
}

/// A repository with the keys of another. Nothing larder does makes one; somebody with the recovery key could.
fn twin(image: &Image) -> Image {
    let memory = memory_of(image);
    let (_, root) = larder::repo::open::open(std::sync::Arc::new(memory), &key_file(KEY), None).unwrap();
    let root = RootKey::new(Secret::new(*root.expose()));
    let keys = Keys::new(&root);
    let (config, _) = Config::decode(&image[&name("config")].bytes).unwrap();
    let config = Config { repository: RepositoryId::new([0x77; 16]), ..config };
    let mut bytes = config.encode();
    bytes.extend_from_slice(&keys.signer().sign(SIGNATURE_DOMAIN, &[&config.encode()]));
    let memory = Memory::new();
    let credential: Credential = key_file(KEY);
    let slot = lock_root(config.repository, &root, &credential, larder::crypto::slot::Stretch::None, "twin", NOW);
    store_slot(&memory, &slot.unwrap()).unwrap();
    for name in objects::CONFIGS {
        memory.put_new(&self::name(name), &[&bytes]).unwrap();
    }
    let repo = open_memory(&memory, None).unwrap();
    for at in 0..6 {
        let tree = crate::support::damage_repo::tree([(
            format!("twin-{at}"),
            crate::support::damage_repo::Leaf::File(crate::support::damage_repo::noise(900 + at, 2000)),
        )]);
        back_up(&repo, "docs", &tree, at as i64).unwrap();
    }
    memory.snapshot()
}

/// Where every kind of object has its version byte.
const VERSION_AT: usize = 8;

/// A damaged repository.
pub struct Harmed {
    pub image: Image,
    /// The objects that are not as they should be.
    pub objects: Vec<ObjectName>,
}

impl Harmed {
    /// `None` where the damage makes no sense.
    pub fn new(made: &Made, others: &Others, target: Target, damage: Damage) -> Option<Self> {
        let object = find(made, target);
        let mut harmed = Self { image: made.image.clone(), objects: vec![object.clone()] };
        let bytes = made.image[&object].bytes.to_vec();
        match damage {
            Damage::Delete => drop(harmed.image.remove(&object)),
            Damage::Empty => harmed.put(&object, &[]),
            Damage::Halve => harmed.put(&object, &bytes[..bytes.len() / 2]),
            Damage::LoseLastByte => harmed.put(&object, &bytes[..bytes.len() - 1]),
            Damage::FlipFirst => harmed.flip(&object, 0),
            Damage::FlipMiddle => harmed.flip(&object, middle(&part_to_flip(made, target, bytes.len()))),
            Damage::FlipLast => harmed.flip(&object, part_to_flip(made, target, bytes.len()).end - 1),
            Damage::VersionTwo => harmed.set(&object, VERSION_AT, 2),
            Damage::VersionZero => harmed.set(&object, VERSION_AT, 0),
            Damage::Zero => harmed.put(&object, &vec![0; bytes.len()]),
            Damage::Append => harmed.put(&object, &[&bytes[..], b"more"].concat()),
            Damage::Foreign => harmed.put(&object, &counterpart(&others.foreign, made, target)),
            Damage::Twin => harmed.put(&object, &counterpart(&others.twin, made, target)),
            Damage::Swap => {
                let other = partner(made, target)?;
                let theirs = made.image[&other].bytes.to_vec();
                harmed.put(&object, &theirs);
                harmed.put(&other, &bytes);
                harmed.objects.push(other);
            }
            Damage::Duplicate => {
                let other = free_name(made, target)?;
                harmed.put(&other, &bytes);
                harmed.objects = vec![other];
            }
            Damage::OtherKind => {
                let strange = if matches!(target, Target::DataPack) { Target::FirstEntry } else { Target::DataPack };
                harmed.put(&object, &made.image[&find(made, strange)].bytes);
            }
        }
        Some(harmed)
    }

    fn put(&mut self, object: &ObjectName, bytes: &[u8]) {
        let stored_at = self.image.values().next().unwrap().stored_at;
        self.image.insert(object.clone(), Object { bytes: bytes.into(), stored_at });
    }

    fn flip(&mut self, object: &ObjectName, at: usize) {
        self.set(object, at, self.image[object].bytes[at] ^ 0x10);
    }

    fn set(&mut self, object: &ObjectName, at: usize, byte: u8) {
        let mut bytes = self.image[object].bytes.to_vec();
        bytes[at] = byte;
        self.put(object, &bytes);
    }
}

fn find(made: &Made, target: Target) -> ObjectName {
    let nth = |prefix: &str, nth: usize| names(&made.image, prefix)[nth].clone();
    match target {
        Target::Config => name("config"),
        Target::ConfigCopy => name("config.copy"),
        Target::Slot => first_slot(made),
        Target::SlotCopy => name(format!("{}.copy", first_slot(made))),
        Target::FirstEntry => nth("log/", 0),
        Target::MiddleEntry => nth("log/", 2),
        Target::NewestEntry => names(&made.image, "log/").pop().unwrap(),
        Target::DataPack => made.packs[0][0].clone(),
        Target::TreePack => made.packs.last().unwrap()[1].clone(),
    }
}

/// What the later flips are to hit: of a data pack the block that holds the first note, which every backup shares.
/// Keys are random, so chance decides which chunks the middle and the end of a pack hold.
fn part_to_flip(made: &Made, target: Target, len: usize) -> Range<usize> {
    if target != Target::DataPack {
        return 0..len;
    }
    let memory = memory_of(&made.image);
    let repo = open_memory(&memory, None).unwrap();
    Catalog::survey(&repo).unwrap();
    let record = repo.record(repo.state().snapshot(&made.live[0].0).unwrap()).unwrap();
    let note = listing::find(&repo, &record.root, b"notes/2024/note-00.txt").unwrap().unwrap();
    let Node::File { content, .. } = note.node else { panic!("a note is a file") };
    let chunk = Chunks::new(&repo, &content).next().unwrap().unwrap();
    let location = repo.locate(Kind::Data, &chunk.id).unwrap();
    let directory = repo.index().directory(location.pack).unwrap();
    let block = &directory.blocks[location.block as usize];
    let object = &made.image[&find(made, target)].bytes;
    let blocks_at = PREAMBLE_BYTES + Preamble::decode(object).unwrap().directory_bytes as usize;
    let start = blocks_at + block.offset as usize;
    start..start + block.sealed_bytes as usize
}

fn middle(part: &Range<usize>) -> usize {
    part.start.midpoint(part.end)
}

/// The slot of the key file that the tests open with.
fn first_slot(made: &Made) -> ObjectName {
    let slots = names(&made.image, "keys/").into_iter().filter(|name| !name.as_str().ends_with(".copy"));
    let label = |name: &ObjectName| larder::format::slots::Slot::decode(&made.image[name].bytes).unwrap().label;
    slots.into_iter().find(|name| label(name) == "first").unwrap()
}

/// Another object of the same kind in the same repository.
fn partner(made: &Made, target: Target) -> Option<ObjectName> {
    let object = find(made, target);
    match target {
        // Both copies are equal.
        Target::Config | Target::ConfigCopy => None,
        Target::Slot | Target::SlotCopy => {
            let copy = object.as_str().ends_with(".copy");
            let own = object.as_str().trim_end_matches(".copy").to_owned();
            let other =
                |name: &&ObjectName| !name.as_str().starts_with(&own) && name.as_str().ends_with(".copy") == copy;
            names(&made.image, "keys/").iter().find(other).cloned()
        }
        // The entry of a key slot: shorter than any of the others, so that the cache cannot take it for one of them.
        Target::FirstEntry | Target::MiddleEntry | Target::NewestEntry => Some(names(&made.image, "log/")[1].clone()),
        Target::DataPack => Some(made.packs.last().unwrap()[0].clone()),
        Target::TreePack => Some(made.packs[0][1].clone()),
    }
}

/// The object that plays the same part elsewhere.
fn counterpart(image: &Image, made: &Made, target: Target) -> Vec<u8> {
    let object = find(made, target);
    // Of another length, so that it does not depend on chance whether the cache can be right about it.
    let other = |prefix: &str, kind: Option<u8>| {
        let mut found = names(image, prefix).into_iter();
        let length = made.image[&object].bytes.len();
        found.find(|name| image[name].bytes.len() != length && kind.is_none_or(|kind| image[name].bytes[9] == kind))
    };
    let theirs = match target {
        Target::Config | Target::ConfigCopy => object,
        Target::Slot | Target::SlotCopy => names(image, "keys/").remove(0),
        Target::FirstEntry | Target::MiddleEntry | Target::NewestEntry => other("log/", None).unwrap(),
        Target::DataPack => other("packs/", Some(1)).unwrap(),
        Target::TreePack => other("packs/", Some(2)).unwrap(),
    };
    image[&theirs].bytes.to_vec()
}

/// A name of the same kind that nobody has yet.
fn free_name(made: &Made, target: Target) -> Option<ObjectName> {
    match target {
        Target::Config | Target::ConfigCopy => None,
        Target::Slot | Target::SlotCopy => Some(name(format!("keys/{}", "5".repeat(32)))),
        Target::FirstEntry | Target::MiddleEntry | Target::NewestEntry => {
            Some(name(objects::log_name(names(&made.image, "log/").len() as u64 + 1)))
        }
        Target::DataPack | Target::TreePack => Some(name(format!("packs/55/{}", "5".repeat(64)))),
    }
}
