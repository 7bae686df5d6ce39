//! One at a time on this machine, whatever the configuration: what another run is at is not done at the same time.
//!
//! Promise: a lock is gone with its process, whatever ended that. Where no lock can be had, because there is no cache folder
//! or nothing can be written there, things are done all the same.
//! Left out on purpose: other machines, whose sources are others, and for which the repository is made.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use crate::crypto::hash;

/// Held as long as something is done.
#[derive(Debug)]
pub struct Alone {
    /// Locked, where that can be had.
    _file: Option<File>,
}

impl Alone {
    /// Waits until nobody is at it any more. `waits` is called if somebody is.
    pub fn at(memory: Option<&Path>, what: &str, waits: impl FnOnce()) -> Self {
        Self::unless_another(memory, what).unwrap_or_else(|| {
            waits();
            let file = memory.and_then(|memory| open(memory, what).ok());
            Self { _file: file.filter(|file| file.lock().is_ok()) }
        })
    }

    /// Nothing if somebody is at it.
    pub fn unless_another(memory: Option<&Path>, what: &str) -> Option<Self> {
        let Some(Ok(file)) = memory.map(|memory| open(memory, what)) else { return Some(Self { _file: None }) };
        match file.try_lock() {
            Err(fs::TryLockError::WouldBlock) => None,
            Ok(()) => Some(Self { _file: Some(file) }),
            Err(fs::TryLockError::Error(_)) => Some(Self { _file: None }),
        }
    }
}

/// The file that is locked. It stays: whoever waits for it must meet those who come later.
fn open(memory: &Path, what: &str) -> io::Result<File> {
    let folder = memory.with_file_name("alone");
    fs::create_dir_all(&folder)?;
    let name = hex::encode(&hash::plain(what.as_bytes())[..8]);
    File::options().read(true).write(true).create(true).truncate(false).open(folder.join(name))
}

#[cfg(test)]
#[path = "alone_tests.rs"]
mod tests;
