//! Names of user and group ids, and ids of names.
//!
//! Promise: the system is asked once per id or name, however many files there are.
//! Left out on purpose: any idea of when a stored name should win over a stored number.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::hash::Hash;
use std::os::unix::ffi::OsStrExt;
use std::sync::{Arc, Mutex, PoisonError};

use crate::format::listing::{OWNER_BYTES_MAX, Owner};

/// How many ids or names are remembered; a file system with more is asked for more than once.
const CACHED_MAX: usize = 65_536;

/// Names by id, for backup.
#[derive(Debug, Default)]
pub struct OwnerNames {
    users: Cache<u32, Arc<[u8]>>,
    groups: Cache<u32, Arc<[u8]>>,
}

impl OwnerNames {
    /// Knows nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The ids with their names; a name that is unknown or too long for a listing is empty.
    pub fn owner(&self, uid: u32, gid: u32) -> Owner {
        let user = self.users.get(uid, || name_of(uzers::get_user_by_uid(uid).as_ref().map(uzers::User::name)));
        let group = self.groups.get(gid, || name_of(uzers::get_group_by_gid(gid).as_ref().map(uzers::Group::name)));
        Owner { uid, gid, user, group }
    }
}

fn name_of(name: Option<&OsStr>) -> Arc<[u8]> {
    name.map(OsStr::as_bytes).filter(|name| name.len() as u64 <= OWNER_BYTES_MAX).unwrap_or_default().into()
}

/// Ids by name, for restore.
#[derive(Debug, Default)]
pub struct OwnerIds {
    users: Cache<Arc<[u8]>, Option<u32>>,
    groups: Cache<Arc<[u8]>, Option<u32>>,
}

impl OwnerIds {
    /// Knows nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// User and group id here: those of the names where they exist on this system, else the numbers.
    pub fn ids(&self, owner: &Owner) -> (u32, u32) {
        let user = self
            .users
            .get(owner.user.clone(), || uzers::get_user_by_name(OsStr::from_bytes(&owner.user)).map(|user| user.uid()));
        let group = self.groups.get(owner.group.clone(), || {
            uzers::get_group_by_name(OsStr::from_bytes(&owner.group)).map(|group| group.gid())
        });
        (user.unwrap_or(owner.uid), group.unwrap_or(owner.gid))
    }
}

#[derive(Debug)]
struct Cache<K, V>(Mutex<HashMap<K, V>>);

impl<K, V> Default for Cache<K, V> {
    fn default() -> Self {
        Self(Mutex::new(HashMap::new()))
    }
}

impl<K: Hash + Eq, V: Clone> Cache<K, V> {
    fn get(&self, key: K, look_up: impl FnOnce() -> V) -> V {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(value) = known.get(&key) {
            return value.clone();
        }
        if known.len() >= CACHED_MAX {
            known.clear();
        }
        let value = look_up();
        known.insert(key, value.clone());
        value
    }
}

#[cfg(test)]
#[path = "owners_tests.rs"]
mod tests;
