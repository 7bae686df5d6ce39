//! Made-up packs, for tests and benches of the index and of what stands on it.
//!
//! Promise: the same number gives the same pack. Left out on purpose: seals. The directory lies open behind the
//! preamble, and [`PlainOpener`] vouches for it with a checksum only.

use std::sync::Arc;

use crate::format::packs::{BlockKind, Codec, Directory, PREAMBLE_BYTES, Preamble, TAG_BYTES};
use crate::format::{Kind, Reject};
use crate::id::{ChunkId, PackId, RepositoryId, WriterId};
use crate::index::{DirectoryOpener, Error, Index};

/// Chunks in a block of a made-up pack.
const CHUNKS_PER_BLOCK: usize = 256;
/// Length of a made-up chunk.
const CHUNK_BYTES: u32 = 16 << 10;

/// Opens the headers that [`header`] makes.
#[derive(Debug)]
pub struct PlainOpener;

impl DirectoryOpener for PlainOpener {
    fn open(&self, header: &[u8]) -> Result<Directory, Reject> {
        let preamble = Preamble::decode(header)?;
        let plain = &header[PREAMBLE_BYTES..];
        if blake3::hash(plain) != preamble.commitment {
            return Err(Reject::Broken("checksum"));
        }
        Directory::decode(preamble.kind, plain)
    }
}

/// The made-up chunk of a number.
pub fn chunk(number: u64) -> ChunkId {
    ChunkId::new(*blake3::hash(&number.to_le_bytes()).as_bytes())
}

/// The made-up pack of a number.
pub fn pack(number: u64) -> PackId {
    PackId::new(*blake3::keyed_hash(&[1; 32], &number.to_le_bytes()).as_bytes())
}

/// A directory of these chunks, in blocks.
pub fn directory(chunks: &[ChunkId]) -> Directory {
    let mut directory = Directory::default();
    for block in chunks.chunks(CHUNKS_PER_BLOCK) {
        let entries: Vec<(ChunkId, u32)> = block.iter().map(|&id| (id, CHUNK_BYTES)).collect();
        let raw = CHUNK_BYTES * entries.len() as u32;
        directory.push(BlockKind::Chunks, Codec::Raw, raw, raw + TAG_BYTES as u32, [0; 24], &entries);
    }
    directory
}

/// The header of a made-up pack.
pub fn header(repository: RepositoryId, kind: Kind, directory: &Directory) -> Vec<u8> {
    let plain = directory.encode();
    let preamble = Preamble {
        kind,
        directory_bytes: plain.len() as u32,
        body_bytes: (PREAMBLE_BYTES + plain.len()) as u64,
        repository,
        writer: WriterId::new([0; 16]),
        run_public: [0; 32],
        salt: [0; 24],
        commitment: *blake3::hash(&plain).as_bytes(),
    };
    [&preamble.encode()[..], &plain].concat()
}

/// Adds data packs to an index: pack `p` of so many holds `chunks_per_pack` chunks, from number
/// `p * chunks_per_pack` on.
pub fn fill(index: &mut Index, repository: RepositoryId, packs: u64, chunks_per_pack: u64) -> Result<(), Error> {
    for number in 0..packs {
        let first = number * chunks_per_pack;
        let ids: Vec<ChunkId> = (first..first + chunks_per_pack).map(chunk).collect();
        let directory = directory(&ids);
        let header = header(repository, Kind::Data, &directory);
        index.add_pack(pack(number), 32 << 20, &header, Arc::new(directory))?;
    }
    index.flush()
}
