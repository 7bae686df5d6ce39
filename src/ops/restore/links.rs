//! Which files with several names have been restored, and under which name first.
//!
//! Promise: bounded memory. Left out on purpose: making links.

use crate::format::listing::Entry;
use crate::posix::capture::Identity;
use crate::sqlite::{self, SpillMap};

/// What became of the first name of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum First {
    /// It is on its way.
    Promised,
    /// It is there: which file it is, and its path in the snapshot.
    There(Identity, Vec<u8>),
    /// It could not be restored.
    Failed,
}

/// First names by the file they were names of at the source.
pub struct Links(SpillMap);

const PROMISED: u8 = 0;
const THERE: u8 = 1;
const FAILED: u8 = 2;

impl Links {
    /// Knows none yet.
    pub fn new(bytes_in_memory_max: usize) -> Self {
        Self(SpillMap::new(bytes_in_memory_max))
    }

    /// What became of the file that an entry is a name of; `None` if this is its first.
    pub fn first(&mut self, entry: &Entry) -> Result<Option<First>, sqlite::Error> {
        let Some(value) = self.0.get(&key(entry))? else { return Ok(None) };
        Ok(Some(decode(&value).unwrap_or(First::Failed)))
    }

    /// Notes what became of it.
    pub fn put(&mut self, entry: &Entry, first: &First) -> Result<(), sqlite::Error> {
        self.0.put(&key(entry), &encode(first))
    }
}

fn key(entry: &Entry) -> [u8; 16] {
    let mut key = [0; 16];
    key[..8].copy_from_slice(&entry.device.to_le_bytes());
    key[8..].copy_from_slice(&entry.inode.to_le_bytes());
    key
}

fn encode(first: &First) -> Vec<u8> {
    match first {
        First::Promised => vec![PROMISED],
        First::Failed => vec![FAILED],
        First::There(identity, path) => {
            [&[THERE][..], &identity.device.to_le_bytes(), &identity.inode.to_le_bytes(), path].concat()
        }
    }
}

fn decode(value: &[u8]) -> Option<First> {
    match value.split_first()? {
        (&PROMISED, _) => Some(First::Promised),
        (&THERE, rest) => {
            let (device, rest) = rest.split_first_chunk()?;
            let (inode, path) = rest.split_first_chunk()?;
            let identity = Identity { device: u64::from_le_bytes(*device), inode: u64::from_le_bytes(*inode) };
            Some(First::There(identity, path.to_vec()))
        }
        _ => Some(First::Failed),
    }
}
