//! Building packs: blocks in, a finished object out.
//!
//! A block reserves its place (and nonce) once its packed length is known, is sealed outside the lock, and is handed
//! back; the pack is finished when it is full and every reserved block has come back.

use std::sync::Arc;

use crate::crypto::hash;
use crate::crypto::keys::Keys;
use crate::crypto::seal::{DIRECTORY_SEAL_BYTES, Fingerprint, Nonce, Reserved, Run, Sealer, seal_directory};
use crate::format::Kind;
use crate::format::packs::{BlockKind, Codec, Directory, PREAMBLE_BYTES, Preamble};
use crate::id::{ChunkId, PackId, RepositoryId};
use crate::repo::error::Error;

/// A pack takes blocks until it is this long.
pub const PACK_BYTES: u64 = 16 << 20;
/// A pack takes no more chunks than this, so that its directory stays small.
pub const PACK_CHUNKS_MAX: usize = 65_536;

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

impl BlockInfo {
    /// What its nonce is made of, among others.
    pub fn fingerprint(&self, raw: &[u8]) -> Fingerprint {
        match self.kind {
            BlockKind::Chunks => Fingerprint::of_chunks(&self.chunks),
            BlockKind::Record => Fingerprint::of_bytes(raw),
        }
    }
}

/// A block as it will be stored.
#[derive(Debug)]
pub struct SealedBlock {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Its nonce, for the directory.
    pub nonce: Nonce,
}

/// A pack under construction.
#[derive(Debug)]
pub struct OpenPack {
    kind: Kind,
    sealer: Sealer,
    blocks: Vec<(BlockInfo, Option<SealedBlock>)>,
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
    pub fn deliver(&mut self, ordinal: u32, sealed: SealedBlock) {
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
            let sealed = sealed.filter(|sealed| sealed.bytes.len() == info.sealed_bytes as usize);
            let SealedBlock { bytes, nonce } = sealed.ok_or(Error::SelfCheck { what: "pack" })?;
            blocks.push(bytes);
            directory.push(info.kind, info.codec, info.raw_bytes, info.sealed_bytes, nonce, &info.chunks);
        }
        let plain = directory.encode();
        if Directory::decode(self.kind, &plain).as_ref() != Ok(&directory) {
            return Err(Error::SelfCheck { what: "pack directory" });
        }
        let directory_bytes = (plain.len() + DIRECTORY_SEAL_BYTES) as u32;
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
        let sealed = seal_directory(keys, &self.sealer.salt(), &preamble, &plain)?;
        let header = [&preamble, sealed.as_slice()].concat();
        let parts: Vec<&[u8]> = std::iter::once(header.as_slice()).chain(blocks.iter().map(Vec::as_slice)).collect();
        let id = PackId::new(hash::plain_parts(&parts));
        Ok(FinishedPack { id, kind: self.kind, header, blocks, directory: Arc::new(directory) })
    }
}
