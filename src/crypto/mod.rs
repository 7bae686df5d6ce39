//! Secrets and what is done with them: derive, name, seal, open, sign.
//!
//! Promise: no secret can be printed or cloned by accident, and no (key, nonce) pair is used twice: a sealer is
//! consumed by `finish`. Left out on purpose: what the sealed bytes mean, and where they are kept.

pub mod hash;
pub mod keys;
pub mod random;
pub mod seal;
pub mod secret;
pub mod sign;
pub mod slot;

/// A cryptographic step failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The bytes were changed, or sealed with another key or for another place.
    #[error("authentication failed: the bytes were changed or do not belong here")]
    Forged,
    /// The key does not match what the object commits to: it is the wrong key, not damage.
    #[error("the key does not match")]
    WrongKey,
    /// A public key that gives no shared secret.
    #[error("degenerate public key")]
    DegenerateKey,
    /// Key stretching parameters outside what is allowed.
    #[error("key stretching parameters out of bounds")]
    BadParameters,
    /// The operating system gave no randomness.
    #[error("no randomness from the operating system")]
    NoRandomness,
    /// There was not enough memory to stretch the password.
    #[error("not enough memory to stretch the password")]
    NoMemory,
}
