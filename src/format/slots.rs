//! Key slots as stored. See "Key slots" in `format-spec/keys.md`.

use crate::crypto::slot::Stretch;
use crate::format::wire::{Reader, Writer};
use crate::format::{FORMAT_VERSION, Reject, Time};
use crate::id::{RepositoryId, SlotId};

/// Longest slot.
pub const SLOT_BYTES_MAX: u64 = 4096;
/// Most slots of a repository.
pub const SLOTS_MAX: usize = 64;
/// Most slot ids of which copies are read, so that a folder full of junk is not read to its end.
pub const SLOTS_READ_MAX: usize = 4096;
/// Longest label.
pub const LABEL_BYTES_MAX: u64 = 256;

const MAGIC: &[u8; 8] = b"LARDSLOT";

/// The root key, locked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// The repository.
    pub repository: RepositoryId,
    /// The slot's name.
    pub slot: SlotId,
    /// When it was made.
    pub created: Time,
    /// A remark for people.
    pub label: String,
    /// How the credential is stretched.
    pub stretch: Stretch,
    /// Salt of the stretching.
    pub salt: [u8; 32],
    /// Commits to the key.
    pub commitment: [u8; 32],
    /// Nonce of the seal.
    pub nonce: [u8; 24],
    /// The sealed root key: 32 bytes and the tag.
    pub sealed: [u8; 48],
}

impl Slot {
    /// Everything before the sealed key; bound into its seal.
    pub fn head(&self) -> Vec<u8> {
        let mut w = Writer::new();
        w.raw(MAGIC);
        w.u8(FORMAT_VERSION);
        w.raw(&[0; 7]);
        w.raw(self.repository.as_bytes());
        w.raw(self.slot.as_bytes());
        w.time(self.created);
        w.bytes(self.label.as_bytes());
        match self.stretch {
            Stretch::None => w.u8(0),
            Stretch::Argon2id { memory_kib, passes, lanes } => {
                w.u8(1);
                w.varint(memory_kib.into());
                w.varint(passes.into());
                w.varint(lanes.into());
            }
        }
        w.raw(&self.salt);
        w.raw(&self.commitment);
        w.raw(&self.nonce);
        w.finish()
    }

    /// As stored.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = self.head();
        bytes.extend_from_slice(&self.sealed);
        bytes
    }

    /// Reads a slot. Stretching beyond what is allowed is refused here, before it is tried.
    pub fn decode(bytes: &[u8]) -> Result<Self, Reject> {
        let mut r = Reader::new(bytes);
        if r.array::<8>()? != *MAGIC {
            return Err(Reject::Magic("key slot"));
        }
        let version = r.u8()?;
        if version != FORMAT_VERSION {
            return Err(Reject::Version(version));
        }
        if r.array::<7>()? != [0; 7] {
            return Err(Reject::Broken("reserved bytes are not zero"));
        }
        let slot = Self {
            repository: RepositoryId::new(r.array()?),
            slot: SlotId::new(r.array()?),
            created: r.time()?,
            label: r.text("label length", LABEL_BYTES_MAX)?,
            stretch: take_stretch(&mut r)?,
            salt: r.array()?,
            commitment: r.array()?,
            nonce: r.array()?,
            sealed: r.array()?,
        };
        r.end()?;
        Ok(slot)
    }
}

fn take_stretch(r: &mut Reader<'_>) -> Result<Stretch, Reject> {
    let limit = u32::MAX.into();
    let stretch = match r.u8()? {
        0 => Stretch::None,
        1 => Stretch::Argon2id {
            memory_kib: r.bounded("stretching memory", limit)? as u32,
            passes: r.bounded("stretching passes", limit)? as u32,
            lanes: r.bounded("stretching lanes", limit)? as u32,
        },
        other => return Err(Reject::Unknown { field: "stretching", value: other.into() }),
    };
    if stretch.allowed() { Ok(stretch) } else { Err(Reject::Broken("stretching parameters out of bounds")) }
}

#[cfg(test)]
#[path = "slots_tests.rs"]
mod tests;
