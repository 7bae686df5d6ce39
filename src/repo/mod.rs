//! Where a backup goes: opening a repository, its log, writing and reading packs.
//!
//! Promise: writes go packs, then log; deletes the other way round; each order exists once, in `repo/{write,commit}.rs`
//! and `repo/sweep.rs`.
//! Left out on purpose: the verbs (`ops`), which are functions over a [`Repository`].

pub mod catalog;
pub mod commit;
pub mod error;
pub mod listing;
pub mod log;
pub mod memory;
pub mod open;
pub mod pack;
pub mod pages;
mod pipeline;
pub mod read;
pub mod seal;
pub mod slots;
pub mod state;
pub mod sweep;
mod turns;
pub mod write;

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use crate::crypto::hash;
use crate::crypto::keys::Keys;
use crate::crypto::seal::Opener;
use crate::crypto::secret::Secret;
use crate::format::log::KEY_PURPOSE;
use crate::format::objects::Config;
use crate::index::Index;
use crate::repo::error::Error;
use crate::repo::read::BlockCache;
use crate::repo::seal::Level;
use crate::repo::state::State;
use crate::storage::{ObjectName, Storage};

/// An unlocked repository.
pub struct Repository {
    storage: Arc<dyn Storage>,
    config: Config,
    keys: Arc<Keys>,
    opener: Arc<Opener>,
    log_key: Secret,
    index: Arc<Mutex<Index>>,
    state: RwLock<Arc<State>>,
    blocks: BlockCache,
    /// Whether the index was made anew because it did not know a chunk.
    resurveyed: AtomicBool,
    /// Where the client remembers what it has seen: the folder of the index.
    memory: Option<PathBuf>,
    /// How hard new blocks are compressed.
    pub level: Level,
    /// What was odd at opening: a copy of the config or of a slot that had to stand in.
    pub oddities: Vec<String>,
}

impl Repository {
    /// What is fixed about it.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Its keys.
    pub fn keys(&self) -> &Arc<Keys> {
        &self.keys
    }

    /// Its objects.
    pub fn storage(&self) -> &Arc<dyn Storage> {
        &self.storage
    }

    /// What exists, as of the last look at the log.
    pub fn state(&self) -> Arc<State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The cache of packs and log.
    pub fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn log_key(keys: &Keys) -> Secret {
        Secret::new(hash::derive(KEY_PURPOSE, &[keys.structure().expose()]))
    }
}

/// An object's name that follows from the format, and so is one.
pub(in crate::repo) fn object(name: String) -> Result<ObjectName, Error> {
    ObjectName::new(name.clone()).ok_or(Error::Damaged { object: name, reason: "impossible name".into() })
}
