//! Key slots: the root key, locked with a password or a key file. See "Key slots" in `format-spec/keys.md`.

use argon2::{Algorithm, Argon2, Block, Params, Version};
use rayon::iter::{IntoParallelIterator, ParallelIterator};
use zeroize::Zeroizing;

use crate::crypto::Error;
use crate::crypto::hash;
use crate::crypto::secret::Secret;

/// How a credential becomes a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stretch {
    /// Argon2id, for what people remember.
    Argon2id {
        /// Memory in KiB.
        memory_kib: u32,
        /// Passes.
        passes: u32,
        /// Lanes.
        lanes: u32,
    },
    /// Nothing, for 32 random bytes in a key file.
    None,
}

impl Stretch {
    /// What a password is stretched with unless asked otherwise: RFC 9106's second recommendation.
    pub const PASSWORD: Self = Stretch::Argon2id { memory_kib: 64 << 10, passes: 3, lanes: 4 };
    /// For passwords that may be weak.
    pub const STRONG: Self = Stretch::Argon2id { memory_kib: 256 << 10, passes: 3, lanes: 4 };

    /// Whether the parameters, which come from the storage, are ones we are ready to spend.
    pub fn allowed(self) -> bool {
        match self {
            Stretch::None => true,
            Stretch::Argon2id { memory_kib, passes, lanes } => {
                (16 << 10..=1 << 20).contains(&memory_kib) && (1..=64).contains(&passes) && (1..=16).contains(&lanes)
            }
        }
    }
}

/// The two keys that follow from a credential: one locks, the other says whether it is the right one.
pub struct SlotKey {
    key: Secret,
    commitment: [u8; 32],
}

impl SlotKey {
    /// Stretches a credential.
    pub fn new(credential: &[u8], stretch: Stretch, salt: &[u8; 32]) -> Result<Self, Error> {
        if !stretch.allowed() {
            return Err(Error::BadParameters);
        }
        let mut material = Zeroizing::new([0; 32]);
        match stretch {
            Stretch::None => {
                *material = hash::derive("larder v1 key file", &[salt, credential]);
            }
            Stretch::Argon2id { memory_kib, passes, lanes } => {
                let params = Params::new(memory_kib, passes, lanes, Some(32)).map_err(|_| Error::BadParameters)?;
                // All threads touch the memory first: a quarter of the time would otherwise go into one thread's page faults.
                let mut memory: Vec<Block> = (0..params.block_count()).into_par_iter().map(|_| Block::new()).collect();
                Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
                    .hash_password_into_with_memory(credential, salt, material.as_mut_slice(), &mut memory)
                    .map_err(|_| Error::NoMemory)?;
            }
        }
        let both = Zeroizing::new(hash::derive::<64>("larder v1 slot", &[material.as_slice()]));
        let (mut key, mut commitment) = ([0; 32], [0; 32]);
        key.copy_from_slice(&both[..32]);
        commitment.copy_from_slice(&both[32..]);
        Ok(Self { key: Secret::new(key), commitment })
    }

    /// What the slot stores to tell a wrong password from damage.
    pub fn commitment(&self) -> [u8; 32] {
        self.commitment
    }

    /// The key that locks, once the commitment was compared.
    pub fn unlock(&self, commitment: &[u8; 32]) -> Result<&Secret, Error> {
        if self.commitment == *commitment { Ok(&self.key) } else { Err(Error::WrongKey) }
    }
}

#[cfg(test)]
#[path = "slot_tests.rs"]
mod tests;
