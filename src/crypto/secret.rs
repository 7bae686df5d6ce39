//! A secret of 32 bytes: wiped when dropped, never printed, never cloned by accident.

use std::fmt;

use zeroize::Zeroizing;

use crate::crypto::Error;
use crate::crypto::random;

/// 32 secret bytes.
pub struct Secret(Zeroizing<[u8; 32]>);

impl Secret {
    /// Takes the bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Fresh random bytes.
    pub fn random() -> Result<Self, Error> {
        Ok(Self::new(random::bytes()?))
    }

    /// The bytes, for those who compute with them.
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// A second holder of the same secret, said aloud.
    pub fn duplicate(&self) -> Self {
        Self::new(*self.0)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}
