//! Log entries: what exists, in order. See `format-spec/log.md`.

mod actions;

use crate::format::log::actions::{put_action, take_action};
use crate::format::wire::{Reader, Writer};
use crate::format::{FORMAT_VERSION, Kind, Reject, Time};
use crate::id::{PackId, RepositoryId, SeriesId, SlotId, SnapshotId, WriterId};

/// Length of the plain head of an entry.
pub const HEAD_BYTES: usize = 64;
/// Longest entry.
pub const ENTRY_BYTES_MAX: u64 = 16 << 20;
/// Most packs named in one list.
pub const PACKS_MAX: u64 = 262_144;
/// Most tags of a snapshot.
pub const TAGS_MAX: u64 = 64;
/// Longest tag.
pub const TAG_BYTES_MAX: u64 = 128;
/// Most snapshots in one change of tags.
pub const CHANGES_MAX: u64 = 65_536;
/// Longest sealed record.
pub const RECORD_BYTES_MAX: u64 = 1 << 20;
/// Longest note.
pub const NOTE_BYTES_MAX: u64 = 64 << 10;
/// Longest ignorable extension.
pub const EXTENSION_BYTES_MAX: u64 = 4096;

/// Purpose string of the key that seals entries.
pub const KEY_PURPOSE: &str = "larder v1 log entry";
/// Domain string of the signature.
pub const SIGNATURE_DOMAIN: &str = "larder v1 log signature";

const MAGIC: &[u8; 8] = b"LARDLOGE";

/// The plain head of an entry; authenticated as associated data of the sealed body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The repository.
    pub repository: RepositoryId,
    /// The entry's number, which is also in its name.
    pub seq: u64,
    /// The nonce of the seal.
    pub nonce: [u8; 24],
}

impl Head {
    /// The first bytes of the entry.
    pub fn encode(&self) -> [u8; HEAD_BYTES] {
        let mut out = [0; HEAD_BYTES];
        out[0..8].copy_from_slice(MAGIC);
        out[8] = FORMAT_VERSION;
        out[16..32].copy_from_slice(self.repository.as_bytes());
        out[32..40].copy_from_slice(&self.seq.to_le_bytes());
        out[40..64].copy_from_slice(&self.nonce);
        out
    }

    /// Reads the first bytes of an entry; the sealed body follows.
    pub fn decode(bytes: &[u8]) -> Result<Self, Reject> {
        let mut r = Reader::new(bytes);
        if r.array::<8>()? != *MAGIC {
            return Err(Reject::Magic("log entry"));
        }
        let version = r.u8()?;
        if version != FORMAT_VERSION {
            return Err(Reject::Version(version));
        }
        if r.array::<7>()? != [0; 7] {
            return Err(Reject::Broken("reserved bytes are not zero"));
        }
        Ok(Self { repository: RepositoryId::new(r.array()?), seq: r.u64()?, nonce: r.array()? })
    }
}

/// The sealed body of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Body {
    /// Hash of the entry before, as stored; zeros for the first.
    pub previous: [u8; 32],
    /// Random: tells one's own entry from another's after a lost reply.
    pub token: [u8; 16],
    /// Who wrote it.
    pub writer: WriterId,
    /// The writer's clock.
    pub time: Time,
    /// What happened.
    pub action: Action,
    /// Ignored by readers: writers put random bytes here, so that readers stay used to it.
    pub extension: Vec<u8>,
}

/// What an entry says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// A snapshot exists.
    Snapshot(SnapshotAction),
    /// Tags were set (and perhaps taken away); may bring a snapshot back.
    Tag(TagAction),
    /// Tags were taken away by `forget` (and places handed on).
    Untag(TagAction),
    /// A fact about a snapshot; holds nothing alive.
    Note {
        /// Which snapshot.
        snapshot: SnapshotId,
        /// Which fact.
        name: String,
        /// What of it.
        value: String,
    },
    /// These packs are no copies any more, and will be swept.
    Condemn {
        /// The packs.
        packs: Vec<PackId>,
    },
    /// These packs, condemned before, are gone for ever.
    Sweep {
        /// The packs.
        packs: Vec<PackId>,
    },
    /// What was alive in the condemned packs lies in the new ones too.
    Repack {
        /// The new packs.
        packs: Vec<PackUse>,
        /// The packs condemned.
        condemned: Vec<PackId>,
    },
    /// A key slot was added or removed: for the record.
    Key {
        /// The slot.
        slot: SlotId,
        /// Whether it was added.
        change: KeyChange,
    },
}

/// What happened to a key slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyChange {
    /// It was added.
    Added,
    /// It was removed.
    Removed,
}

/// A pack, as an entry names it for the first time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackUse {
    /// The pack.
    pub id: PackId,
    /// Length of its body.
    pub bytes: u64,
    /// What it holds.
    pub kind: Kind,
}

/// A new snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotAction {
    /// Its name.
    pub snapshot: SnapshotId,
    /// Its series.
    pub series: SeriesId,
    /// When it was begun.
    pub started: Time,
    /// Whether everything could be read.
    pub complete: bool,
    /// Its tags.
    pub tags: Vec<String>,
    /// Packs that no earlier entry names.
    pub packs: Vec<PackUse>,
    /// Condemned packs that this snapshot needs: they are not condemned any more.
    pub rescue: Vec<PackId>,
    /// The sealed record.
    pub record: Vec<u8>,
}

/// A change of tags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagAction {
    /// What changes for each snapshot.
    pub changes: Vec<TagChange>,
    /// Condemned packs that snapshots brought back need.
    pub rescue: Vec<PackId>,
}

/// A change of one snapshot's tags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagChange {
    /// Which snapshot.
    pub snapshot: SnapshotId,
    /// Tags it gets.
    pub add: Vec<String>,
    /// Tags it loses.
    pub remove: Vec<String>,
}

impl Action {
    /// The word for it, as the spec names the kind.
    pub fn name(&self) -> &'static str {
        match self {
            Action::Snapshot(_) => "snapshot",
            Action::Tag(_) => "tag",
            Action::Untag(_) => "untag",
            Action::Note { .. } => "note",
            Action::Condemn { .. } => "condemn",
            Action::Sweep { .. } => "sweep",
            Action::Repack { .. } => "repack",
            Action::Key { .. } => "key",
        }
    }
}

/// Whether a text may be a tag.
pub fn tag_allowed(tag: &str) -> bool {
    !tag.is_empty()
        && tag.len() as u64 <= TAG_BYTES_MAX
        && !tag.chars().any(|c| c.is_control() || c.is_whitespace() || c == ',')
}

impl Body {
    /// The bytes that are signed.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::new();
        w.raw(&self.previous);
        w.raw(&self.token);
        w.raw(self.writer.as_bytes());
        w.time(self.time);
        put_action(&mut w, &self.action);
        w.bytes(&self.extension);
        w.finish()
    }

    /// Reads the bytes that were signed.
    pub fn decode(bytes: &[u8]) -> Result<Self, Reject> {
        let mut r = Reader::new(bytes);
        let body = Self {
            previous: r.array()?,
            token: r.array()?,
            writer: WriterId::new(r.array()?),
            time: r.time()?,
            action: take_action(&mut r)?,
            extension: r.bytes("extension length", EXTENSION_BYTES_MAX)?.to_vec(),
        };
        r.end()?;
        Ok(body)
    }
}

#[cfg(test)]
#[path = "log_tests.rs"]
mod tests;
