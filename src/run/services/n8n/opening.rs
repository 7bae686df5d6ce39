//! Credentials of n8n, opened with its key.
//!
//! Promise: what comes out is looked at and wiped, and shown to nobody.
//! Left out on purpose: keys that n8n 2 can make up and keeps in its database, which no export has in it.

use aes::Aes256;
use aes::cipher::block_padding::Pkcs7;
use aes::cipher::{BlockModeDecrypt, KeyIvInit};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cbc::Decryptor;
use md5::{Digest, Md5};
use serde::de::IgnoredAny;
use zeroize::Zeroizing;

/// How what n8n encrypted begins, as `openssl enc` has it; the salt follows.
const BEGIN: &[u8] = b"Salted__";
const SALT_BYTES: usize = 8;
const HASH_BYTES: usize = 16;
/// Longest name of a key.
const ID_BYTES_MAX: usize = 36;
const KEY_BYTES: usize = 2 * HASH_BYTES;

/// What a key does for a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opening {
    /// It opens it: JSON comes out.
    Opens,
    /// It does not.
    Fails,
    /// It was encrypted with one that n8n keeps in its database.
    OfDatabase,
    /// Nobody here knows how that was encrypted.
    Unknown,
}

/// Whether n8n's key opens a credential.
pub fn opening(data: &str, key: &str) -> Opening {
    // The name of the key comes before what it encrypted. No base64 has a colon.
    if data.split_once(':').is_some_and(|(id, _)| is_id(id)) {
        return Opening::OfDatabase;
    }
    let sealed = STANDARD.decode(data).ok();
    let Some(rest) = sealed.as_ref().and_then(|sealed| sealed.strip_prefix(BEGIN)) else {
        return Opening::Unknown;
    };
    let Some((salt, sealed)) = rest.split_at_checked(SALT_BYTES) else {
        return Opening::Fails;
    };
    let derived = derived(key, salt);
    let (key, start) = derived.split_at(KEY_BYTES);
    let Ok(cipher) = Decryptor::<Aes256>::new_from_slices(key, start) else {
        return Opening::Fails;
    };
    let mut bytes = Zeroizing::new(sealed.to_vec());
    let opened = cipher.decrypt_padded::<Pkcs7>(&mut bytes).ok();
    match opened.map(serde_json::from_slice::<IgnoredAny>) {
        Some(Ok(_)) => Opening::Opens,
        _ => Opening::Fails,
    }
}

fn is_id(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (1..=ID_BYTES_MAX).contains(&text.len()) && text.bytes().all(fits)
}

/// The key and what the first block is mixed with: each hash is of the one before, the key and the salt
/// (`EVP_BytesToKey` with MD5, once).
fn derived(key: &str, salt: &[u8]) -> Zeroizing<[u8; KEY_BYTES + HASH_BYTES]> {
    // Of each character n8n takes the lower byte, as node.js does with `binary`.
    let key: Zeroizing<Vec<u8>> = Zeroizing::new(key.encode_utf16().map(|unit| unit.to_le_bytes()[0]).collect());
    let mut derived = Zeroizing::new([0; KEY_BYTES + HASH_BYTES]);
    for at in (0..derived.len()).step_by(HASH_BYTES) {
        let hash = Md5::new();
        let hash = hash.chain_update(&derived[at.saturating_sub(HASH_BYTES)..at]).chain_update(&*key);
        derived[at..at + HASH_BYTES].copy_from_slice(&hash.chain_update(salt).finalize());
    }
    derived
}

#[cfg(test)]
#[path = "opening_tests.rs"]
mod tests;
