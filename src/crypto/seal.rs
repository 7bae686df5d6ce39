//! Sealing and opening. Content is sealed one way: to the repository's read key, with a key of its own for each pack
//! and a nonce of its own for each block, which is stored beside it. See "Sealing" in `format-spec/keys.md`.
//!
//! Promise: no nonce is used twice under a key for different content, even on a machine that was cloned in the middle
//! of a run, or whose randomness repeats: see "Nonces" there, which also says what is not promised.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use chacha20poly1305::XChaCha20Poly1305;
use chacha20poly1305::aead::inout::InOutBuf;
use chacha20poly1305::aead::{AeadInOut, KeyInit};
use x25519_dalek::{PublicKey, SharedSecret, StaticSecret};
use zeroize::Zeroizing;

use crate::crypto::Error;
use crate::crypto::hash;
use crate::crypto::keys::Keys;
use crate::crypto::random;
use crate::crypto::secret::Secret;
use crate::id::{ChunkId, RepositoryId};

/// Bytes that sealing adds.
pub const TAG_BYTES: usize = 16;
/// Bytes that sealing a directory adds: its nonce in front, its tag behind.
pub const DIRECTORY_SEAL_BYTES: usize = 24 + TAG_BYTES;

/// A nonce as it is stored.
pub type Nonce = [u8; 24];

/// Run keys remembered by an [`Opener`]: one a run, so a repository has as many as it has runs.
const RUN_KEYS_MAX: usize = 4096;

/// The ephemeral key of one run; makes the sealers of its packs.
#[derive(Debug)]
pub struct Run {
    public: [u8; 32],
    key: Secret,
    repository: RepositoryId,
}

impl Run {
    /// Begins a run.
    pub fn new(keys: &Keys, repository: RepositoryId) -> Result<Self, Error> {
        Self::from_secret(keys, repository, &Secret::random()?)
    }

    /// A run whose ephemeral key is given: for vectors.
    pub fn from_secret(keys: &Keys, repository: RepositoryId, secret: &Secret) -> Result<Self, Error> {
        let secret = StaticSecret::from(*secret.expose());
        let public = PublicKey::from(&secret).to_bytes();
        let shared = secret.diffie_hellman(&PublicKey::from(keys.read_public()));
        let key = run_key(&shared, &public, keys, repository)?;
        Ok(Self { public, key, repository })
    }

    /// The public key that goes into the preamble of every pack of the run.
    pub fn public(&self) -> [u8; 32] {
        self.public
    }

    /// A sealer with a key of its own.
    pub fn sealer(&self) -> Result<Sealer, Error> {
        // A clone of this machine may get the same salt, and goes on with the salts that it has: what keeps its blocks
        // apart from ours are their nonces, not this.
        let fresh: [u8; 32] = random::bytes()?;
        let salt = hash::derive("larder v1 pack salt", &[self.key.expose(), &fresh]);
        Ok(Sealer { key: Arc::new(PackKey::new(&self.key, self.repository, salt)), next: 0 })
    }
}

fn run_key(shared: &SharedSecret, public: &[u8; 32], keys: &Keys, repository: RepositoryId) -> Result<Secret, Error> {
    if !shared.was_contributory() {
        return Err(Error::DegenerateKey);
    }
    let material: [&[u8]; 5] =
        [shared.as_bytes(), keys.shared().expose(), public, &keys.read_public(), repository.as_bytes()];
    Ok(Secret::new(hash::derive("larder v1 run", &material)))
}

/// The key of one pack.
#[derive(Debug)]
pub struct PackKey {
    key: Secret,
    commitment: [u8; 32],
    salt: [u8; 24],
    repository: RepositoryId,
}

impl PackKey {
    fn new(run_key: &Secret, repository: RepositoryId, salt: [u8; 24]) -> Self {
        let both = Zeroizing::new(hash::derive::<64>("larder v1 pack", &[run_key.expose(), &salt]));
        let (mut key, mut commitment) = ([0; 32], [0; 32]);
        key.copy_from_slice(&both[..32]);
        commitment.copy_from_slice(&both[32..]);
        Self { key: Secret::new(key), commitment, salt, repository }
    }

    fn associated(&self, ordinal: u32, place: Place) -> Vec<u8> {
        let mut data = Vec::with_capacity(80);
        data.extend_from_slice(b"larder v1 block\0");
        data.extend_from_slice(self.repository.as_bytes());
        data.extend_from_slice(&self.salt);
        data.extend_from_slice(&ordinal.to_le_bytes());
        data.extend_from_slice(&[place.pack_kind, place.block_kind, place.codec]);
        data.extend_from_slice(&place.raw_bytes.to_le_bytes());
        data
    }

    fn seal(&self, ordinal: u32, place: Place, content: &Fingerprint, bytes: &mut Vec<u8>) -> Result<Nonce, Error> {
        self.seal_with(&random::bytes()?, ordinal, place, content, bytes)
    }

    fn seal_with(
        &self,
        fresh: &[u8; 32],
        ordinal: u32,
        place: Place,
        content: &Fingerprint,
        bytes: &mut Vec<u8>,
    ) -> Result<Nonce, Error> {
        let data = self.associated(ordinal, place);
        let packed_bytes = (bytes.len() as u64).to_le_bytes();
        let nonce = hedged_nonce("larder v1 block nonce", &self.key, fresh, &[&data, &packed_bytes, &content.0]);
        seal_in_place(&self.key, &nonce, &data, bytes)?;
        Ok(nonce)
    }

    /// Opens a block in place: `bytes` loses its tag.
    pub fn open(&self, ordinal: u32, nonce: &Nonce, place: Place, bytes: &mut Vec<u8>) -> Result<(), Error> {
        open_in_place(&self.key, nonce, &self.associated(ordinal, place), bytes)
    }
}

/// A nonce that is random where the machine's randomness is good, and where it repeats still another for another
/// message: `message` is all that is sealed and bound into the seal, or stands for it.
fn fresh_nonce(purpose: &str, key: &Secret, message: &[&[u8]]) -> Result<Nonce, Error> {
    Ok(hedged_nonce(purpose, key, &random::bytes()?, message))
}

fn hedged_nonce(purpose: &str, key: &Secret, fresh: &[u8; 32], message: &[&[u8]]) -> Nonce {
    let mut material: Vec<&[u8]> = vec![key.expose(), fresh];
    material.extend_from_slice(message);
    hash::derive(purpose, &material)
}

/// Stands for the content of a block: other content, another fingerprint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// Of chunks, by their names. These are hashes already, so no byte of content is hashed again.
    pub fn of_chunks(chunks: &[(ChunkId, u32)]) -> Self {
        let mut hasher = hash::Hasher::default();
        for (id, bytes) in chunks {
            hasher.update(id.as_bytes());
            hasher.update(&bytes.to_le_bytes());
        }
        Self(hasher.finish())
    }

    /// Of bytes that have no names.
    pub fn of_bytes(bytes: &[u8]) -> Self {
        Self(hash::plain(bytes))
    }
}

/// What a sealed block is, bound into its seal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Code of the pack's kind.
    pub pack_kind: u8,
    /// Code of the block's kind.
    pub block_kind: u8,
    /// Code of the block's codec.
    pub codec: u8,
    /// Length of the block before packing.
    pub raw_bytes: u32,
}

/// Hands out the ordinals of one pack, each once.
#[derive(Debug)]
pub struct Sealer {
    key: Arc<PackKey>,
    next: u32,
}

impl Sealer {
    /// The pack's salt, for its preamble.
    pub fn salt(&self) -> [u8; 24] {
        self.key.salt
    }

    /// The pack's commitment, for its preamble.
    pub fn commitment(&self) -> [u8; 32] {
        self.key.commitment
    }

    /// The next ordinal, to be used once.
    pub fn reserve(&mut self) -> Result<Reserved, Error> {
        let ordinal = self.next;
        self.next = ordinal.checked_add(1).ok_or(Error::BadParameters)?;
        Ok(Reserved { key: self.key.clone(), ordinal })
    }
}

/// One place in one pack. Sealing uses it up.
#[derive(Debug)]
pub struct Reserved {
    key: Arc<PackKey>,
    ordinal: u32,
}

impl Reserved {
    /// The block's place in its pack.
    pub fn ordinal(&self) -> u32 {
        self.ordinal
    }

    /// Seals the block in place. What comes back can only open it, to compare.
    pub fn seal(self, place: Place, content: &Fingerprint, bytes: &mut Vec<u8>) -> Result<Sealed, Error> {
        let nonce = self.key.seal(self.ordinal, place, content, bytes)?;
        Ok(Sealed { key: self.key, ordinal: self.ordinal, place, nonce })
    }
}

/// A block that was sealed a moment ago.
#[derive(Debug)]
pub struct Sealed {
    key: Arc<PackKey>,
    ordinal: u32,
    place: Place,
    nonce: Nonce,
}

impl Sealed {
    /// The nonce, to be stored beside the block.
    pub fn nonce(&self) -> Nonce {
        self.nonce
    }

    /// Opens a copy of the sealed bytes in place.
    pub fn open(&self, bytes: &mut Vec<u8>) -> Result<(), Error> {
        self.key.open(self.ordinal, &self.nonce, self.place, bytes)
    }
}

/// Finds the keys of packs. Remembers the key of each run it met, because finding one costs a curve operation.
pub struct Opener {
    keys: Arc<Keys>,
    repository: RepositoryId,
    runs: Mutex<HashMap<[u8; 32], Arc<Secret>>>,
}

impl Opener {
    /// For one repository.
    pub fn new(keys: Arc<Keys>, repository: RepositoryId) -> Self {
        Self { keys, repository, runs: Mutex::default() }
    }

    /// The key of a pack, from what its preamble says.
    pub fn pack_key(&self, run_public: [u8; 32], salt: [u8; 24], commitment: &[u8; 32]) -> Result<PackKey, Error> {
        let key = PackKey::new(&*self.run_key(run_public)?, self.repository, salt);
        if key.commitment == *commitment { Ok(key) } else { Err(Error::WrongKey) }
    }

    fn run_key(&self, public: [u8; 32]) -> Result<Arc<Secret>, Error> {
        let mut runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = runs.get(&public) {
            return Ok(key.clone());
        }
        let shared = self.keys.read().diffie_hellman(&PublicKey::from(public));
        let key = run_key(&shared, &public, &self.keys, self.repository)?;
        if runs.len() >= RUN_KEYS_MAX {
            runs.clear();
        }
        let key = Arc::new(key);
        runs.insert(public, key.clone());
        Ok(key)
    }
}

impl std::fmt::Debug for Opener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Opener(..)")
    }
}

/// Seals a pack's directory under the structure key. In front of the sealed bytes stands their nonce.
pub fn seal_directory(keys: &Keys, salt: &[u8; 24], preamble: &[u8], bytes: &[u8]) -> Result<Vec<u8>, Error> {
    let key = directory_key(keys, salt);
    let nonce = fresh_nonce("larder v1 directory nonce", &key, &[preamble, bytes])?;
    let mut sealed = bytes.to_vec();
    seal_in_place(&key, &nonce, preamble, &mut sealed)?;
    Ok([&nonce, sealed.as_slice()].concat())
}

/// Opens a pack's directory.
pub fn open_directory(keys: &Keys, salt: &[u8; 24], preamble: &[u8], sealed: &[u8]) -> Result<Vec<u8>, Error> {
    let (nonce, sealed) = sealed.split_first_chunk().ok_or(Error::Forged)?;
    let mut bytes = sealed.to_vec();
    open_in_place(&directory_key(keys, salt), nonce, preamble, &mut bytes)?;
    Ok(bytes)
}

fn directory_key(keys: &Keys, salt: &[u8; 24]) -> Secret {
    Secret::new(hash::derive("larder v1 directory", &[keys.structure().expose(), salt]))
}

/// A nonce for one small object.
pub fn object_nonce(key: &Secret, message: &[u8]) -> Result<Nonce, Error> {
    fresh_nonce("larder v1 object nonce", key, &[message])
}

/// Seals one small object under a key with a nonce that is used for nothing else.
pub fn seal_object(key: &Secret, nonce: &Nonce, associated: &[u8], bytes: &mut Vec<u8>) -> Result<(), Error> {
    seal_in_place(key, nonce, associated, bytes)
}

/// Opens one small object.
pub fn open_object(key: &Secret, nonce: &Nonce, associated: &[u8], bytes: &mut Vec<u8>) -> Result<(), Error> {
    open_in_place(key, nonce, associated, bytes)
}

fn seal_in_place(key: &Secret, nonce: &Nonce, associated: &[u8], bytes: &mut Vec<u8>) -> Result<(), Error> {
    let tag = XChaCha20Poly1305::new(key.expose().into())
        .encrypt_inout_detached(&(*nonce).into(), associated, InOutBuf::from(bytes.as_mut_slice()))
        .map_err(|_| Error::BadParameters)?;
    bytes.extend_from_slice(&tag);
    Ok(())
}

fn open_in_place(key: &Secret, nonce: &Nonce, associated: &[u8], bytes: &mut Vec<u8>) -> Result<(), Error> {
    let len = bytes.len().checked_sub(TAG_BYTES).ok_or(Error::Forged)?;
    let mut tag = chacha20poly1305::Tag::default();
    tag.copy_from_slice(&bytes[len..]);
    bytes.truncate(len);
    XChaCha20Poly1305::new(key.expose().into())
        .decrypt_inout_detached(&(*nonce).into(), associated, InOutBuf::from(bytes.as_mut_slice()), &tag)
        .map_err(|_| Error::Forged)
}

#[cfg(test)]
#[path = "seal_tests.rs"]
mod tests;
