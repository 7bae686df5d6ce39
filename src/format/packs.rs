//! Packs: a plain preamble, a sealed directory, sealed blocks. See `format-spec/packs.md`.

use crate::format::wire::{Reader, Writer};
use crate::format::{FORMAT_VERSION, Kind, Reject, content};
use crate::id::{ChunkId, RepositoryId, WriterId};

/// Length of the preamble.
pub const PREAMBLE_BYTES: usize = 160;
/// Bytes that sealing adds: the authentication tag.
pub const TAG_BYTES: usize = 16;
/// Longest pack body.
pub const BODY_BYTES_MAX: u64 = 64 << 20;
/// Longest sealed directory.
pub const DIRECTORY_BYTES_MAX: u32 = 16 << 20;
/// Most blocks in a pack.
pub const BLOCKS_MAX: u64 = 65_536;
/// Most chunks in a pack.
pub const CHUNKS_MAX: u64 = 262_144;
/// Longest block before compression.
pub const BLOCK_RAW_BYTES_MAX: u32 = 16 << 20;
/// The directory's plaintext is padded with zeros to a multiple of this.
pub const DIRECTORY_PADDING: usize = 512;

const MAGIC: &[u8; 8] = b"LARDPACK";

/// The plain head of a pack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preamble {
    /// What the pack holds.
    pub kind: Kind,
    /// Length of the sealed directory.
    pub directory_bytes: u32,
    /// Length of the whole body: preamble, directory, blocks.
    pub body_bytes: u64,
    /// The repository it belongs to.
    pub repository: RepositoryId,
    /// Who wrote it.
    pub writer: WriterId,
    /// The run's public key: the pack's key follows from it and the repository's read key.
    pub run_public: [u8; 32],
    /// Makes the pack's key its own.
    pub salt: [u8; 24],
    /// Commits to the pack's key.
    pub commitment: [u8; 32],
}

impl Preamble {
    /// The bytes at the front of the pack.
    pub fn encode(&self) -> [u8; PREAMBLE_BYTES] {
        let mut out = [0; PREAMBLE_BYTES];
        out[0..8].copy_from_slice(MAGIC);
        out[8] = FORMAT_VERSION;
        out[9] = self.kind.code();
        out[12..16].copy_from_slice(&self.directory_bytes.to_le_bytes());
        out[16..24].copy_from_slice(&self.body_bytes.to_le_bytes());
        out[24..40].copy_from_slice(self.repository.as_bytes());
        out[40..56].copy_from_slice(self.writer.as_bytes());
        out[56..88].copy_from_slice(&self.run_public);
        out[88..112].copy_from_slice(&self.salt);
        out[112..144].copy_from_slice(&self.commitment);
        out
    }

    /// Reads the front of a pack; more bytes may follow.
    pub fn decode(bytes: &[u8]) -> Result<Self, Reject> {
        let mut r = Reader::new(bytes);
        if r.array::<8>()? != *MAGIC {
            return Err(Reject::Magic("pack"));
        }
        let version = r.u8()?;
        if version != FORMAT_VERSION {
            return Err(Reject::Version(version));
        }
        let kind = Kind::from_code(r.u8()?)?;
        if r.array::<2>()? != [0; 2] {
            return Err(Reject::Broken("unknown pack flags"));
        }
        let preamble = Self {
            kind,
            directory_bytes: r.u32()?,
            body_bytes: r.u64()?,
            repository: RepositoryId::new(r.array()?),
            writer: WriterId::new(r.array()?),
            run_public: r.array()?,
            salt: r.array()?,
            commitment: r.array()?,
        };
        if r.array::<16>()? != [0; 16] {
            return Err(Reject::Broken("reserved bytes are not zero"));
        }
        preamble.bound()?;
        Ok(preamble)
    }

    fn bound(&self) -> Result<(), Reject> {
        let limit = u64::from(DIRECTORY_BYTES_MAX);
        let value = u64::from(self.directory_bytes);
        if value > limit {
            return Err(Reject::TooLarge { field: "directory length", value, limit });
        }
        if self.body_bytes > BODY_BYTES_MAX {
            return Err(Reject::TooLarge { field: "body length", value: self.body_bytes, limit: BODY_BYTES_MAX });
        }
        if self.body_bytes < PREAMBLE_BYTES as u64 + value {
            return Err(Reject::Broken("body shorter than its directory"));
        }
        Ok(())
    }
}

/// Reads the length of a body where another object names it.
pub fn take_body_bytes(r: &mut Reader<'_>) -> Result<u64, Reject> {
    match r.bounded("body length", BODY_BYTES_MAX)? {
        0 => Err(Reject::Broken("body of length 0")),
        bytes => Ok(bytes),
    }
}

/// What a block holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockKind {
    /// Chunks of the pack's kind.
    Chunks,
    /// A snapshot's record (in tree packs only).
    Record,
}

/// How a block's bytes are packed before sealing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    /// As they are.
    Raw,
    /// One zstd frame.
    Zstd,
}

impl BlockKind {
    /// The byte on disk.
    pub const fn code(self) -> u8 {
        match self {
            BlockKind::Chunks => 0,
            BlockKind::Record => 1,
        }
    }
}

impl Codec {
    /// The byte on disk.
    pub const fn code(self) -> u8 {
        match self {
            Codec::Raw => 0,
            Codec::Zstd => 1,
        }
    }
}

/// One block of a pack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockEntry {
    /// What it holds.
    pub kind: BlockKind,
    /// How it is packed.
    pub codec: Codec,
    /// Length before packing.
    pub raw_bytes: u32,
    /// Length as stored, tag included.
    pub sealed_bytes: u32,
    /// The nonce it is sealed with.
    pub nonce: [u8; 24],
    /// Where it begins, from the end of the directory. Not stored: it follows from the blocks before.
    pub offset: u64,
    /// The first of its chunks in [`Directory::chunks`].
    pub first_chunk: u32,
    /// How many chunks it holds.
    pub chunk_count: u32,
}

/// One chunk of a pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkEntry {
    /// Its name.
    pub id: ChunkId,
    /// The block it lies in.
    pub block: u32,
    /// Where in the opened block it begins.
    pub offset: u32,
    /// Its length.
    pub bytes: u32,
}

/// What a pack holds, in order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Directory {
    /// The blocks, in the order in which they lie.
    pub blocks: Vec<BlockEntry>,
    /// The chunks of all blocks, in order.
    pub chunks: Vec<ChunkEntry>,
}

impl Directory {
    /// Appends a block and the chunks in it.
    pub fn push(
        &mut self,
        kind: BlockKind,
        codec: Codec,
        raw_bytes: u32,
        sealed_bytes: u32,
        nonce: [u8; 24],
        chunks: &[(ChunkId, u32)],
    ) {
        let block = self.blocks.len() as u32;
        let offset = self.blocks.last().map_or(0, |b| b.offset + u64::from(b.sealed_bytes));
        let first_chunk = self.chunks.len() as u32;
        let chunk_count = chunks.len() as u32;
        let mut at = 0;
        for &(id, bytes) in chunks {
            self.chunks.push(ChunkEntry { id, block, offset: at, bytes });
            at += bytes;
        }
        let place = BlockEntry { kind, codec, raw_bytes, sealed_bytes, nonce, offset, first_chunk, chunk_count };
        self.blocks.push(place);
    }

    /// The chunks of one block.
    pub fn chunks_of(&self, block: &BlockEntry) -> &[ChunkEntry] {
        &self.chunks[block.first_chunk as usize..][..block.chunk_count as usize]
    }

    /// Length of all blocks as stored.
    pub fn blocks_bytes(&self) -> u64 {
        self.blocks.last().map_or(0, |b| b.offset + u64::from(b.sealed_bytes))
    }

    /// The plaintext, padded.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::new();
        w.varint(self.blocks.len() as u64);
        for block in &self.blocks {
            w.u8(block.kind.code());
            w.u8(block.codec.code());
            w.varint(block.raw_bytes.into());
            w.varint(block.sealed_bytes.into());
            w.raw(&block.nonce);
            w.varint(block.chunk_count.into());
            for chunk in self.chunks_of(block) {
                w.raw(chunk.id.as_bytes());
                w.varint(chunk.bytes.into());
            }
        }
        let mut bytes = w.finish();
        bytes.resize(bytes.len().next_multiple_of(DIRECTORY_PADDING), 0);
        bytes
    }

    /// Reads the plaintext of the directory of a pack of this kind.
    pub fn decode(kind: Kind, bytes: &[u8]) -> Result<Self, Reject> {
        let mut r = Reader::new(bytes);
        let count = r.count("number of blocks", BLOCKS_MAX)?;
        let mut directory = Self { blocks: Vec::with_capacity(count), chunks: Vec::new() };
        for _ in 0..count {
            directory.take_block(kind, &mut r)?;
        }
        let padding = r.rest();
        if padding.len() >= DIRECTORY_PADDING || !bytes.len().is_multiple_of(DIRECTORY_PADDING) {
            return Err(Reject::Broken("directory not padded as it should be"));
        }
        if padding.iter().any(|&b| b != 0) {
            return Err(Reject::TrailingBytes(padding.len()));
        }
        Ok(directory)
    }

    fn take_block(&mut self, pack: Kind, r: &mut Reader<'_>) -> Result<(), Reject> {
        let kind = match r.u8()? {
            0 => BlockKind::Chunks,
            1 => BlockKind::Record,
            other => return Err(Reject::Unknown { field: "block kind", value: other.into() }),
        };
        let codec = match r.u8()? {
            0 => Codec::Raw,
            1 => Codec::Zstd,
            other => return Err(Reject::Unknown { field: "codec", value: other.into() }),
        };
        let raw_bytes = r.bounded("block length", BLOCK_RAW_BYTES_MAX.into())? as u32;
        let sealed_bytes = r.bounded("sealed block length", u64::from(BLOCK_RAW_BYTES_MAX) + 64)? as u32;
        if codec == Codec::Raw && u64::from(sealed_bytes) != u64::from(raw_bytes) + TAG_BYTES as u64 {
            return Err(Reject::Broken("raw block and sealed block differ in length"));
        }
        if (sealed_bytes as usize) < TAG_BYTES {
            return Err(Reject::Broken("sealed block shorter than its tag"));
        }
        let nonce = r.array()?;
        let first_chunk = self.chunks.len() as u32;
        let filled = self.take_chunks(pack, raw_bytes, r)?;
        let chunk_count = self.chunks.len() as u32 - first_chunk;
        match kind {
            BlockKind::Chunks if filled != raw_bytes => {
                return Err(Reject::Broken("chunks do not fill their block"));
            }
            BlockKind::Record if chunk_count != 0 => return Err(Reject::Broken("record block with chunks")),
            BlockKind::Record if pack == Kind::Data => return Err(Reject::Broken("record block in a data pack")),
            _ => {}
        }
        let offset = self.blocks_bytes();
        let entry = BlockEntry { kind, codec, raw_bytes, sealed_bytes, nonce, offset, first_chunk, chunk_count };
        self.blocks.push(entry);
        Ok(())
    }

    /// Reads the chunks of the next block; returns how much of it they fill.
    fn take_chunks(&mut self, pack: Kind, raw_bytes: u32, r: &mut Reader<'_>) -> Result<u32, Reject> {
        let limit = match pack {
            Kind::Data => content::CHUNK_BYTES_MAX,
            Kind::Tree => content::PAGE_BYTES_MAX,
        };
        let count = r.count("number of chunks", CHUNKS_MAX - self.chunks.len() as u64)?;
        let block = self.blocks.len() as u32;
        let mut offset = 0u32;
        for _ in 0..count {
            let id = ChunkId::new(r.array()?);
            let bytes = r.bounded("chunk length", limit.min(u64::from(raw_bytes - offset)))? as u32;
            if bytes == 0 {
                return Err(Reject::Broken("chunk of length 0"));
            }
            self.chunks.push(ChunkEntry { id, block, offset, bytes });
            offset += bytes;
        }
        Ok(offset)
    }
}

#[cfg(test)]
#[path = "packs_tests.rs"]
mod tests;
