//! Log entries: what exists, in order. See `format-spec/log.md`.

use crate::format::packs::take_body_bytes;
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

fn put_action(w: &mut Writer, action: &Action) {
    match action {
        Action::Snapshot(snapshot) => {
            w.u8(1);
            put_snapshot(w, snapshot);
        }
        Action::Tag(tags) => {
            w.u8(2);
            put_tags(w, tags);
        }
        Action::Untag(tags) => {
            w.u8(3);
            put_tags(w, tags);
        }
        Action::Note { snapshot, name, value } => {
            w.u8(4);
            w.raw(snapshot.as_bytes());
            w.bytes(name.as_bytes());
            w.bytes(value.as_bytes());
        }
        Action::Condemn { packs } => {
            w.u8(5);
            put_packs(w, packs);
        }
        Action::Sweep { packs } => {
            w.u8(6);
            put_packs(w, packs);
        }
        Action::Repack { packs, condemned } => {
            w.u8(7);
            put_uses(w, packs);
            put_packs(w, condemned);
        }
        Action::Key { slot, change } => {
            w.u8(8);
            w.raw(slot.as_bytes());
            w.u8(match change {
                KeyChange::Added => 1,
                KeyChange::Removed => 2,
            });
        }
    }
}

fn take_action(r: &mut Reader<'_>) -> Result<Action, Reject> {
    Ok(match r.u8()? {
        1 => Action::Snapshot(take_snapshot(r)?),
        2 => Action::Tag(take_tags(r)?),
        3 => Action::Untag(take_tags(r)?),
        4 => Action::Note {
            snapshot: SnapshotId::new(r.array()?),
            name: r.text("note name length", NOTE_BYTES_MAX)?,
            value: r.text("note length", NOTE_BYTES_MAX)?,
        },
        5 => Action::Condemn { packs: take_packs(r)? },
        6 => Action::Sweep { packs: take_packs(r)? },
        7 => Action::Repack { packs: take_uses(r)?, condemned: take_packs(r)? },
        8 => Action::Key {
            slot: SlotId::new(r.array()?),
            change: match r.u8()? {
                1 => KeyChange::Added,
                2 => KeyChange::Removed,
                other => return Err(Reject::Unknown { field: "key change", value: other.into() }),
            },
        },
        other => return Err(Reject::Unknown { field: "log entry kind", value: other.into() }),
    })
}

fn put_snapshot(w: &mut Writer, snapshot: &SnapshotAction) {
    w.raw(snapshot.snapshot.as_bytes());
    w.raw(snapshot.series.as_bytes());
    w.time(snapshot.started);
    w.u8(snapshot.complete.into());
    put_texts(w, &snapshot.tags);
    put_uses(w, &snapshot.packs);
    put_packs(w, &snapshot.rescue);
    w.bytes(&snapshot.record);
}

fn take_snapshot(r: &mut Reader<'_>) -> Result<SnapshotAction, Reject> {
    Ok(SnapshotAction {
        snapshot: SnapshotId::new(r.array()?),
        series: SeriesId::new(r.array()?),
        started: r.time()?,
        complete: take_flag(r, "completeness")?,
        tags: take_texts(r)?,
        packs: take_uses(r)?,
        rescue: take_packs(r)?,
        record: r.bytes("record length", RECORD_BYTES_MAX)?.to_vec(),
    })
}

/// Reads a byte that is 0 or 1.
pub fn take_flag(r: &mut Reader<'_>, field: &'static str) -> Result<bool, Reject> {
    match r.u8()? {
        0 => Ok(false),
        1 => Ok(true),
        other => Err(Reject::Unknown { field, value: other.into() }),
    }
}

fn put_tags(w: &mut Writer, tags: &TagAction) {
    w.varint(tags.changes.len() as u64);
    for change in &tags.changes {
        w.raw(change.snapshot.as_bytes());
        put_texts(w, &change.add);
        put_texts(w, &change.remove);
    }
    put_packs(w, &tags.rescue);
}

fn take_tags(r: &mut Reader<'_>) -> Result<TagAction, Reject> {
    let count = r.count("number of changes", CHANGES_MAX)?;
    let mut changes = Vec::new();
    for _ in 0..count {
        changes.push(TagChange { snapshot: SnapshotId::new(r.array()?), add: take_texts(r)?, remove: take_texts(r)? });
    }
    Ok(TagAction { changes, rescue: take_packs(r)? })
}

fn put_texts(w: &mut Writer, texts: &[String]) {
    w.varint(texts.len() as u64);
    texts.iter().for_each(|text| w.bytes(text.as_bytes()));
}

fn take_texts(r: &mut Reader<'_>) -> Result<Vec<String>, Reject> {
    let count = r.count("number of tags", TAGS_MAX)?;
    let mut texts = Vec::new();
    for _ in 0..count {
        let tag = r.text("tag length", TAG_BYTES_MAX)?;
        if !tag_allowed(&tag) {
            return Err(Reject::Broken("impossible tag"));
        }
        texts.push(tag);
    }
    Ok(texts)
}

fn put_packs(w: &mut Writer, packs: &[PackId]) {
    w.varint(packs.len() as u64);
    packs.iter().for_each(|pack| w.raw(pack.as_bytes()));
}

fn take_packs(r: &mut Reader<'_>) -> Result<Vec<PackId>, Reject> {
    let count = r.count("number of packs", PACKS_MAX)?;
    (0..count).map(|_| Ok(PackId::new(r.array()?))).collect()
}

fn put_uses(w: &mut Writer, packs: &[PackUse]) {
    w.varint(packs.len() as u64);
    for pack in packs {
        w.raw(pack.id.as_bytes());
        w.varint(pack.bytes);
        w.u8(pack.kind.code());
    }
}

fn take_uses(r: &mut Reader<'_>) -> Result<Vec<PackUse>, Reject> {
    let count = r.count("number of packs", PACKS_MAX)?;
    (0..count)
        .map(|_| {
            let id = PackId::new(r.array()?);
            Ok(PackUse { id, bytes: take_body_bytes(r)?, kind: Kind::from_code(r.u8()?)? })
        })
        .collect()
}

#[cfg(test)]
#[path = "log_tests.rs"]
mod tests;
