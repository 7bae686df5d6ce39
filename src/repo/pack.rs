//! Building packs: blocks in, a finished object out.
//!
//! A block reserves its place (and nonce) once its packed length is known, is sealed outside the lock, and is handed
//! back; the pack is finished when it is full and every reserved block has come back.

use std::sync::Arc;

use crate::crypto::hash;
use crate::crypto::keys::Keys;
use crate::crypto::seal::{Reserved, Run, Sealer, seal_directory};
use crate::format::Kind;
use crate::format::packs::{BlockKind, Codec, Directory, PREAMBLE_BYTES, Preamble, TAG_BYTES};
use crate::id::{ChunkId, PackId, RepositoryId};
use crate::repo::error::Error;

/// A pack takes blocks until it is this long.
pub const PACK_BYTES: u64 = 16 << 20;
/// A pack takes no more chunks than this, so that its directory stays small.
const PACK_CHUNKS_MAX: usize = 65_536;

/// What a block is, for the directory.
#[derive(Debug)]
pub struct BlockInfo {
    /// What it holds.
    pub kind: BlockKind,
    /// How it is packed.
    pub codec: Codec,
    /// Length before packing.
    pub raw_bytes: u32,
    /// Length as stored.
    pub sealed_bytes: u32,
    /// Its chunks, in order.
    pub chunks: Vec<(ChunkId, u32)>,
}

/// A pack under construction.
#[derive(Debug)]
pub struct OpenPack {
    kind: Kind,
    sealer: Sealer,
    blocks: Vec<(BlockInfo, Option<Vec<u8>>)>,
    outstanding: usize,
    bytes: u64,
    chunks: usize,
}

/// A finished pack, ready to be stored.
#[derive(Debug)]
pub struct FinishedPack {
    /// Its name.
    pub id: PackId,
    /// What it holds.
    pub kind: Kind,
    /// Preamble and sealed directory.
    pub header: Vec<u8>,
    /// Its blocks.
    pub blocks: Vec<Vec<u8>>,
    /// What the directory says.
    pub directory: Arc<Directory>,
}

impl FinishedPack {
    /// Length of its body.
    pub fn bytes(&self) -> u64 {
        self.header.len() as u64 + self.directory.blocks_bytes()
    }

    /// The body, in parts.
    pub fn parts(&self) -> Vec<&[u8]> {
        std::iter::once(self.header.as_slice()).chain(self.blocks.iter().map(Vec::as_slice)).collect()
    }
}

impl OpenPack {
    /// An empty pack with a key of its own.
    pub fn new(kind: Kind, run: &Run) -> Result<Self, Error> {
        Ok(Self { kind, sealer: run.sealer()?, blocks: Vec::new(), outstanding: 0, bytes: 0, chunks: 0 })
    }

    /// Whether it should take no more.
    pub fn is_full(&self) -> bool {
        self.bytes >= PACK_BYTES || self.chunks >= PACK_CHUNKS_MAX
    }

    /// Length of its blocks so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// Whether blocks are still being sealed.
    pub fn is_waiting(&self) -> bool {
        self.outstanding > 0
    }

    /// Takes a place for a block.
    pub fn reserve(&mut self, info: BlockInfo) -> Result<Reserved, Error> {
        let reserved = self.sealer.reserve()?;
        self.bytes += u64::from(info.sealed_bytes);
        self.chunks += info.chunks.len();
        self.blocks.push((info, None));
        self.outstanding += 1;
        Ok(reserved)
    }

    /// Hands in a sealed block.
    pub fn deliver(&mut self, ordinal: u32, sealed: Vec<u8>) {
        if let Some((_, place)) = self.blocks.get_mut(ordinal as usize)
            && place.is_none()
        {
            *place = Some(sealed);
            self.outstanding -= 1;
        }
    }

    /// Makes the object. Every reserved block must have come back.
    pub fn finish(self, keys: &Keys, run: &Run, repository: RepositoryId) -> Result<FinishedPack, Error> {
        let mut directory = Directory::default();
        let mut blocks = Vec::with_capacity(self.blocks.len());
        for (info, sealed) in self.blocks {
            let sealed = sealed.filter(|sealed| sealed.len() == info.sealed_bytes as usize);
            blocks.push(sealed.ok_or(Error::SelfCheck { what: "pack" })?);
            directory.push(info.kind, info.codec, info.raw_bytes, info.sealed_bytes, &info.chunks);
        }
        let mut sealed = directory.encode();
        if Directory::decode(&sealed).as_ref() != Ok(&directory) {
            return Err(Error::SelfCheck { what: "pack directory" });
        }
        let directory_bytes = (sealed.len() + TAG_BYTES) as u32;
        let preamble = Preamble {
            kind: self.kind,
            directory_bytes,
            body_bytes: PREAMBLE_BYTES as u64 + u64::from(directory_bytes) + directory.blocks_bytes(),
            repository,
            writer: keys.writer(),
            run_public: run.public(),
            salt: self.sealer.salt(),
            commitment: self.sealer.commitment(),
        }
        .encode();
        seal_directory(keys, &self.sealer.salt(), &preamble, &mut sealed)?;
        let mut header = preamble.to_vec();
        header.append(&mut sealed);
        let parts: Vec<&[u8]> = std::iter::once(header.as_slice()).chain(blocks.iter().map(Vec::as_slice)).collect();
        let id = PackId::new(hash::plain_parts(&parts));
        Ok(FinishedPack { id, kind: self.kind, header, blocks, directory: Arc::new(directory) })
    }
}
