//! Ed25519 signatures, each over a domain string and the message.

use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};

use crate::crypto::Error;
use crate::crypto::secret::Secret;

/// Length of a signature.
pub const SIGNATURE_BYTES: usize = 64;

/// Signs as one writer.
pub struct Signer(SigningKey);

impl Signer {
    /// From the secret seed.
    pub fn new(seed: &Secret) -> Self {
        Self(SigningKey::from_bytes(seed.expose()))
    }

    /// The public key.
    pub fn public(&self) -> [u8; 32] {
        self.0.verifying_key().to_bytes()
    }

    /// Signs a message for a purpose.
    pub fn sign(&self, domain: &str, message: &[&[u8]]) -> [u8; SIGNATURE_BYTES] {
        self.0.sign(&joined(domain, message)).to_bytes()
    }
}

/// Checks a signature for a purpose.
pub fn verify(
    public: &[u8; 32],
    domain: &str,
    message: &[&[u8]],
    signature: &[u8; SIGNATURE_BYTES],
) -> Result<(), Error> {
    let key = VerifyingKey::from_bytes(public).map_err(|_| Error::DegenerateKey)?;
    key.verify_strict(&joined(domain, message), &Signature::from_bytes(signature)).map_err(|_| Error::Forged)
}

fn joined(domain: &str, message: &[&[u8]]) -> Vec<u8> {
    let mut bytes = domain.as_bytes().to_vec();
    bytes.push(0);
    message.iter().for_each(|part| bytes.extend_from_slice(part));
    bytes
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Signer(..)")
    }
}
