//! Names of objects, and the repository's config. See `format-spec/objects.md`.

use crate::chunking::Sizes;
use crate::format::wire::{Reader, Writer};
use crate::format::{FORMAT_VERSION, Reject, Time};
use crate::id::{PackId, RepositoryId, SlotId};

/// Both copies of the config.
pub const CONFIGS: [&str; 2] = ["config", "config.copy"];
/// Where key slots are.
pub const SLOTS: &str = "keys/";
/// Where log entries are.
pub const LOG: &str = "log/";
/// Where packs are.
pub const PACKS: &str = "packs/";
/// The highest number of a log entry.
pub const SEQ_MAX: u64 = 1 << 48;
/// Longest config.
pub const CONFIG_BYTES_MAX: u64 = 64 << 10;
/// Domain string of the config's signature.
pub const SIGNATURE_DOMAIN: &str = "larder v1 config signature";

const MAGIC: &[u8; 8] = b"LARDCONF";
const ZONE_BYTES_MAX: u64 = 128;
const EXTENSION_BYTES_MAX: u64 = 4096;

/// Name of a pack's object.
pub fn pack_name(pack: &PackId) -> String {
    let hex = pack.to_string();
    format!("{PACKS}{}/{hex}", &hex[..2])
}

/// The pack whose object has this name.
pub fn pack_of_name(name: &str) -> Option<PackId> {
    let (folder, hex) = name.strip_prefix(PACKS)?.split_once('/')?;
    let pack = hex.parse::<PackId>().ok()?;
    (folder == &hex[..2]).then_some(pack)
}

/// Name of a log entry's object.
pub fn log_name(seq: u64) -> String {
    format!("{LOG}{seq:016x}")
}

/// The number of the log entry of this name.
pub fn seq_of_name(name: &str) -> Option<u64> {
    let hex = name.strip_prefix(LOG)?;
    let seq = u64::from_str_radix(hex, 16).ok()?;
    ((1..=SEQ_MAX).contains(&seq) && log_name(seq) == name).then_some(seq)
}

/// Names of both copies of a key slot.
pub fn slot_names(slot: &SlotId) -> [String; 2] {
    [format!("{SLOTS}{slot}"), format!("{SLOTS}{slot}.copy")]
}

/// The slot of which this name is a copy.
pub fn slot_of_name(name: &str) -> Option<SlotId> {
    let rest = name.strip_prefix(SLOTS)?;
    rest.strip_suffix(".copy").unwrap_or(rest).parse().ok()
}

/// The day on which a week begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WeekStart {
    /// As in ISO 8601.
    Monday,
    /// As in many calendars.
    Sunday,
}

impl WeekStart {
    /// The day's name.
    pub const fn name(self) -> &'static str {
        match self {
            WeekStart::Monday => "monday",
            WeekStart::Sunday => "sunday",
        }
    }
}

/// What is public and fixed about a repository; signed by its owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Its name.
    pub repository: RepositoryId,
    /// When it was made.
    pub created: Time,
    /// The chunker's sizes.
    pub sizes: Sizes,
    /// IANA name of the time zone in which days begin.
    pub time_zone: String,
    /// When weeks begin.
    pub week_start: WeekStart,
    /// What everything is sealed to.
    pub read_public: [u8; 32],
    /// Checks the owner's signatures.
    pub owner_public: [u8; 32],
    /// Ignored by readers.
    pub extension: Vec<u8>,
}

impl Config {
    /// The bytes that are signed.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::new();
        w.raw(MAGIC);
        w.u8(FORMAT_VERSION);
        w.raw(&[0; 7]);
        w.raw(self.repository.as_bytes());
        w.time(self.created);
        w.varint(self.sizes.min.into());
        w.varint(self.sizes.average.into());
        w.varint(self.sizes.max.into());
        w.bytes(self.time_zone.as_bytes());
        w.u8(match self.week_start {
            WeekStart::Monday => 1,
            WeekStart::Sunday => 2,
        });
        w.raw(&self.read_public);
        w.raw(&self.owner_public);
        w.bytes(&self.extension);
        w.finish()
    }

    /// Reads the config and its signature, which the caller checks over all bytes but the last 64.
    pub fn decode(bytes: &[u8]) -> Result<(Self, [u8; 64]), Reject> {
        let mut r = Reader::new(bytes);
        if r.array::<8>()? != *MAGIC {
            return Err(Reject::Magic("larder config"));
        }
        let version = r.u8()?;
        if version != FORMAT_VERSION {
            return Err(Reject::Version(version));
        }
        if r.array::<7>()? != [0; 7] {
            return Err(Reject::Broken("reserved bytes are not zero"));
        }
        let config = Self {
            repository: RepositoryId::new(r.array()?),
            created: r.time()?,
            sizes: take_sizes(&mut r)?,
            time_zone: r.text("time zone length", ZONE_BYTES_MAX)?,
            week_start: match r.u8()? {
                1 => WeekStart::Monday,
                2 => WeekStart::Sunday,
                other => return Err(Reject::Unknown { field: "week start", value: other.into() }),
            },
            read_public: r.array()?,
            owner_public: r.array()?,
            extension: r.bytes("extension length", EXTENSION_BYTES_MAX)?.to_vec(),
        };
        let signature = r.array()?;
        r.end()?;
        Ok((config, signature))
    }
}

fn take_sizes(r: &mut Reader<'_>) -> Result<Sizes, Reject> {
    const IMPOSSIBLE: Reject = Reject::Broken("impossible chunk sizes");
    let mut size = || u32::try_from(r.varint()?).map_err(|_| IMPOSSIBLE);
    let sizes = Sizes { min: size()?, average: size()?, max: size()? };
    if sizes.allowed() { Ok(sizes) } else { Err(IMPOSSIBLE) }
}

#[cfg(test)]
#[path = "objects_tests.rs"]
mod tests;
