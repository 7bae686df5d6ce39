//! Randomness, from the operating system only.

use crate::crypto::Error;

/// Fresh random bytes.
pub fn bytes<const N: usize>() -> Result<[u8; N], Error> {
    let mut out = [0; N];
    getrandom::fill(&mut out).map_err(|_| Error::NoRandomness)?;
    Ok(out)
}
