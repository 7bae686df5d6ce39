//! BLAKE3 in its three modes. Every use has a purpose string of its own.

use crate::crypto::secret::Secret;

/// The hash of some bytes.
pub fn plain(bytes: &[u8]) -> [u8; 32] {
    *blake3::hash(bytes).as_bytes()
}

/// The hash of several parts, one after the other.
pub fn plain_parts(parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(part);
    }
    *hasher.finalize().as_bytes()
}

/// The keyed hash of some bytes.
pub fn keyed(key: &Secret, bytes: &[u8]) -> [u8; 32] {
    *blake3::keyed_hash(key.expose(), bytes).as_bytes()
}

/// `N` bytes derived from key material for a purpose.
pub fn derive<const N: usize>(purpose: &str, material: &[&[u8]]) -> [u8; N] {
    let mut hasher = blake3::Hasher::new_derive_key(purpose);
    for part in material {
        hasher.update(part);
    }
    let mut out = [0; N];
    hasher.finalize_xof().fill(&mut out);
    out
}

/// The hash of bytes that come piece by piece.
#[derive(Debug, Default)]
pub struct Hasher(blake3::Hasher);

impl Hasher {
    /// The next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The hash of all of them.
    pub fn finish(&self) -> [u8; 32] {
        *self.0.finalize().as_bytes()
    }
}
