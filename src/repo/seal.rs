//! Blocks: packed, sealed, opened again and compared, before anything else sees them; and records as they stand in the
//! log.

use std::str::FromStr;

use zstd::bulk::{Compressor, Decompressor};
use zstd::zstd_safe::CParameter;

use crate::crypto::seal::{Fingerprint, PackKey, Place, Reserved, Run};
use crate::format::packs::{BlockEntry, BlockKind, Codec};
use crate::format::record::Envelope;
use crate::format::{Kind, Reject};
use crate::repo::Repository;
use crate::repo::error::Error;
use crate::repo::pack::SealedBlock;

/// How hard blocks are compressed. No reader needs to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Level(u8);

impl Level {
    /// The one that larder's own tables are for.
    pub const DEFAULT: Self = Self(3);
    /// The slowest.
    pub const MAX: Self = Self(19);

    /// A level from 1 to [`Self::MAX`].
    pub fn new(level: u64) -> Option<Self> {
        u8::try_from(level).ok().filter(|level| (1..=Self::MAX.0).contains(level)).map(Self)
    }
}

impl FromStr for Level {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let level = text.parse().ok().and_then(Self::new);
        level.ok_or_else(|| format!("{text:?} is no level of compression: 1 (fast) to {} (small)", Self::MAX.0))
    }
}

/// Size of the long-match table, as a power of two.
const HASH_LOG: u32 = 16;
/// Size of the short-match table, as a power of two.
const CHAIN_LOG: u32 = 15;
/// Largest window that a frame may ask for, as a power of two: one block.
const WINDOW_LOG_MAX: u32 = 24;

/// Whether bytes are worth compressing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Squeeze {
    /// Try.
    Yes,
    /// They look random: store them raw.
    No,
}

/// Compresses blocks, one after the other.
pub struct Packer {
    compressor: Compressor<'static>,
    unpacker: Unpacker,
    check: Vec<u8>,
}

/// A block, packed but not sealed yet.
#[derive(Debug)]
pub struct Packed {
    /// How.
    pub codec: Codec,
    /// The bytes, to be sealed in place.
    pub bytes: Vec<u8>,
}

impl Packer {
    /// With a compression level.
    pub fn new(level: Level) -> Result<Self, Error> {
        let mut compressor = Compressor::new(i32::from(level.0)).map_err(compression)?;
        if level == Level::DEFAULT {
            // Its tables, a half and a half of their size, stay in a core's own cache: a sixth faster, 1 % larger.
            compressor.set_parameter(CParameter::HashLog(HASH_LOG)).map_err(compression)?;
            compressor.set_parameter(CParameter::ChainLog(CHAIN_LOG)).map_err(compression)?;
        }
        compressor.set_parameter(CParameter::ContentSizeFlag(true)).map_err(compression)?;
        compressor.set_parameter(CParameter::ChecksumFlag(false)).map_err(compression)?;
        Ok(Self { compressor, unpacker: Unpacker::new()?, check: Vec::new() })
    }

    /// Packs a block: compressed, unless it would not shrink or is known not to.
    pub fn pack(&mut self, raw: &[u8], squeeze: Squeeze) -> Result<Packed, Error> {
        // Room for the tag, so that sealing does not move the bytes.
        let spare = crate::crypto::seal::TAG_BYTES;
        if squeeze == Squeeze::Yes {
            let mut bytes = Vec::with_capacity(zstd::zstd_safe::compress_bound(raw.len()) + spare);
            self.compressor.compress_to_buffer(raw, &mut bytes).map_err(compression)?;
            if bytes.len() < raw.len() {
                return Ok(Packed { codec: Codec::Zstd, bytes });
            }
        }
        let mut bytes = Vec::with_capacity(raw.len() + spare);
        bytes.extend_from_slice(raw);
        Ok(Packed { codec: Codec::Raw, bytes })
    }

    /// Seals a packed block in the place reserved for it, opens the result and compares.
    pub fn seal(
        &mut self,
        reserved: Reserved,
        place: Place,
        content: &Fingerprint,
        packed: Packed,
        raw: &[u8],
    ) -> Result<SealedBlock, Error> {
        let mut bytes = packed.bytes;
        let sealed = reserved.seal(place, content, &mut bytes)?;
        self.check.clear();
        self.check.extend_from_slice(&bytes);
        sealed.open(&mut self.check).map_err(|_| Error::SelfCheck { what: "block" })?;
        let same = match packed.codec {
            Codec::Raw => self.check == raw,
            Codec::Zstd => {
                self.unpacker.unpack(&self.check, raw.len()).map_err(|_| Error::SelfCheck { what: "block" })? == raw
            }
        };
        if same { Ok(SealedBlock { bytes, nonce: sealed.nonce() }) } else { Err(Error::SelfCheck { what: "block" }) }
    }
}

/// Spare buffers that an unpacker keeps: one for a block as stored, one for what is in it.
const SPARE_MAX: usize = 2;

/// Decompresses blocks, one after the other, into buffers that are used again: the system clears fresh ones, page by
/// page, which takes an eighth of the time of opening a block.
pub struct Unpacker {
    decompressor: Decompressor<'static>,
    out: Vec<u8>,
    spare: Vec<Vec<u8>>,
}

impl Unpacker {
    /// Bounded to what the format allows.
    pub fn new() -> Result<Self, Error> {
        let mut decompressor = Decompressor::new().map_err(compression)?;
        decompressor.set_parameter(zstd::zstd_safe::DParameter::WindowLogMax(WINDOW_LOG_MAX)).map_err(compression)?;
        Ok(Self { decompressor, out: Vec::new(), spare: Vec::new() })
    }

    /// A buffer with anything in it.
    pub fn buffer(&mut self) -> Vec<u8> {
        self.spare.pop().unwrap_or_default()
    }

    /// Takes back a buffer that is not needed any more.
    pub fn recycle(&mut self, buffer: Vec<u8>) {
        if self.spare.len() < SPARE_MAX {
            self.spare.push(buffer);
        }
    }

    fn unpack(&mut self, bytes: &[u8], raw_bytes: usize) -> Result<&[u8], Reject> {
        self.out.clear();
        self.out.reserve(raw_bytes);
        unpack_into(&mut self.decompressor, bytes, raw_bytes, &mut self.out)?;
        Ok(&self.out)
    }

    /// Opens and unpacks a block as stored.
    pub fn open(
        &mut self,
        key: &PackKey,
        kind: Kind,
        ordinal: u32,
        entry: &BlockEntry,
        mut sealed: Vec<u8>,
    ) -> Result<Vec<u8>, Reject> {
        if sealed.len() != entry.sealed_bytes as usize {
            return Err(Reject::Broken("block of another length"));
        }
        key.open(ordinal, &entry.nonce, place(kind, entry.kind, entry.codec, entry.raw_bytes), &mut sealed)
            .map_err(|_| Reject::Broken("block does not open: its bytes were changed"))?;
        match entry.codec {
            Codec::Raw => Ok(sealed),
            Codec::Zstd => {
                let mut raw = self.buffer();
                raw.clear();
                raw.reserve_exact(entry.raw_bytes as usize);
                unpack_into(&mut self.decompressor, &sealed, entry.raw_bytes as usize, &mut raw)?;
                self.recycle(sealed);
                Ok(raw)
            }
        }
    }
}

fn unpack_into(
    decompressor: &mut Decompressor<'_>,
    bytes: &[u8],
    raw_bytes: usize,
    out: &mut Vec<u8>,
) -> Result<(), Reject> {
    // One frame, of the length that the directory says: anything else was not written by larder.
    let stated = zstd::zstd_safe::get_frame_content_size(bytes).ok().flatten();
    if stated != Some(raw_bytes as u64) {
        return Err(Reject::Broken("frame states another length"));
    }
    if zstd::zstd_safe::find_frame_compressed_size(bytes) != Ok(bytes.len()) {
        return Err(Reject::Broken("not exactly one frame"));
    }
    // zstd itself asks for no window when all bytes are there at once; other readers would.
    if window_bytes(bytes) > 1 << WINDOW_LOG_MAX {
        return Err(Reject::Broken("frame needs a larger window"));
    }
    let written = decompressor.decompress_to_buffer(bytes, out).map_err(|_| Reject::Broken("frame does not unpack"))?;
    if written == raw_bytes && out.len() == raw_bytes { Ok(()) } else { Err(Reject::Broken("frame of another length")) }
}

/// The window that a frame states (RFC 8878, 3.1.1.1.2); none if its content is its window.
fn window_bytes(frame: &[u8]) -> u64 {
    const SINGLE_SEGMENT: u8 = 1 << 5;
    match frame {
        [_, _, _, _, descriptor, window, ..] if descriptor & SINGLE_SEGMENT == 0 => {
            let base = 1 << (10 + (window >> 3));
            base + base / 8 * u64::from(window & 7)
        }
        _ => 0,
    }
}

/// What is bound into the seal of a block.
pub fn place(kind: Kind, block: BlockKind, codec: Codec, raw_bytes: u32) -> Place {
    Place { pack_kind: kind.code(), block_kind: block.code(), codec: codec.code(), raw_bytes }
}

/// Seals a record for the log anew, for a snapshot whose entry is lost.
pub fn seal_for_log(repo: &Repository, record: &[u8]) -> Result<Vec<u8>, Error> {
    seal_record(&Run::new(&repo.keys, repo.config.repository)?, record)
}

/// Seals a record for the log, as if it were the only block of a pack.
pub fn seal_record(run: &Run, record: &[u8]) -> Result<Vec<u8>, Error> {
    let mut sealer = run.sealer()?;
    let (salt, commitment) = (sealer.salt(), sealer.commitment());
    let raw_bytes = record.len() as u32;
    let mut sealed = record.to_vec();
    let content = Fingerprint::of_bytes(record);
    let nonce = sealer.reserve()?.seal(record_place(raw_bytes), &content, &mut sealed)?.nonce();
    Ok(Envelope { run_public: run.public(), salt, commitment, nonce, raw_bytes, sealed }.encode())
}

/// What is bound into the seal of a record in the log. Pack kind 0 is no pack's, so none can stand in for the other.
pub fn record_place(raw_bytes: u32) -> Place {
    Place { pack_kind: 0, block_kind: BlockKind::Record.code(), codec: 0, raw_bytes }
}

fn compression(error: std::io::Error) -> Error {
    Error::Compression(error.to_string())
}
