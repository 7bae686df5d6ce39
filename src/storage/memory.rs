//! Objects in memory, for tests and measurements.
//!
//! Promise: behaves as any storage does; beyond that, tests may look at the bytes and damage them.
//! Left out on purpose: a clock (objects are stored at the time last told), and anything that outlives the process.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::storage::{Error, ErrorKind, ObjectInfo, ObjectName, Storage};

/// An object as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// Its bytes.
    pub bytes: Arc<[u8]>,
    /// When it was stored.
    pub stored_at: SystemTime,
}

/// Everything that is stored at one moment. Cheap to clone: bytes are shared.
pub type Image = BTreeMap<ObjectName, Object>;

/// A storage in memory. Clones are handles of the same storage.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    objects: Image,
    now: SystemTime,
}

impl Default for State {
    fn default() -> Self {
        Self { objects: Image::new(), now: UNIX_EPOCH }
    }
}

impl Memory {
    /// An empty storage.
    pub fn new() -> Self {
        Self::default()
    }

    /// A storage of its own, holding what an image shows.
    pub fn from_image(image: Image) -> Self {
        let memory = Self::new();
        memory.restore(image);
        memory
    }

    /// Tells the time that objects put from now on are stored at. The epoch until told.
    pub fn set_time(&self, now: SystemTime) {
        self.state().now = now;
    }

    /// What is stored at this moment.
    pub fn snapshot(&self) -> Image {
        self.state().objects.clone()
    }

    /// Replaces everything stored.
    pub fn restore(&self, image: Image) {
        self.state().objects = image;
    }

    /// An object as it is stored.
    pub fn object(&self, name: &ObjectName) -> Option<Object> {
        self.state().objects.get(name).cloned()
    }

    /// Stores an object, replacing one of that name.
    pub fn put_raw(&self, name: &ObjectName, bytes: &[u8]) {
        let mut state = self.state();
        let object = Object { bytes: bytes.into(), stored_at: state.now };
        state.objects.insert(name.clone(), object);
    }

    /// Changes the bytes of an object in place, and says whether there is one.
    pub fn damage(&self, name: &ObjectName, change: impl FnOnce(&mut Vec<u8>)) -> bool {
        let mut state = self.state();
        let Some(object) = state.objects.get_mut(name) else { return false };
        let mut bytes = object.bytes.to_vec();
        change(&mut bytes);
        object.bytes = bytes.into();
        true
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self, name: &ObjectName) -> Result<Arc<[u8]>, Error> {
        let object = self.object(name).map(|object| object.bytes);
        object.ok_or_else(|| failed(ErrorKind::NotFound, "read", name, "there is no such object"))
    }
}

impl Storage for Memory {
    fn put_new(&self, name: &ObjectName, parts: &[&[u8]]) -> Result<(), Error> {
        let mut state = self.state();
        if state.objects.contains_key(name) {
            return Err(failed(ErrorKind::AlreadyExists, "write", name, "there is one of that name"));
        }
        let object = Object { bytes: parts.concat().into(), stored_at: state.now };
        state.objects.insert(name.clone(), object);
        Ok(())
    }

    fn get(&self, name: &ObjectName, range: Range<u64>) -> Result<Vec<u8>, Error> {
        let bytes = self.read(name)?;
        if range.start > range.end {
            return Err(failed(ErrorKind::Other, "read", name, "the range ends before it begins"));
        }
        let ends = (usize::try_from(range.start), usize::try_from(range.end));
        let found = if let (Ok(start), Ok(end)) = ends { bytes.get(start..end) } else { None };
        Ok(found.ok_or_else(|| Error::too_short(name, &range, bytes.len() as u64))?.to_vec())
    }

    fn get_whole(&self, name: &ObjectName, limit: u64) -> Result<Vec<u8>, Error> {
        let bytes = self.read(name)?;
        if bytes.len() as u64 > limit {
            return Err(Error::too_long(name, limit, bytes.len() as u64));
        }
        Ok(bytes.to_vec())
    }

    fn list(&self, prefix: &str, each: &mut dyn FnMut(ObjectInfo)) -> Result<(), Error> {
        // Of a snapshot, so that the listener may call the storage.
        for (name, object) in self.snapshot() {
            if name.as_str().starts_with(prefix) {
                each(ObjectInfo { name, bytes: object.bytes.len() as u64, stored_at: object.stored_at });
            }
        }
        Ok(())
    }

    fn delete(&self, name: &ObjectName) -> Result<(), Error> {
        self.state().objects.remove(name);
        Ok(())
    }

    fn barrier(&self) -> Result<(), Error> {
        Ok(())
    }
}

fn failed(kind: ErrorKind, call: &'static str, name: &ObjectName, reason: &str) -> Error {
    Error { kind, call, object: name.to_string(), reason: reason.to_owned() }
}

#[cfg(test)]
#[path = "memory_tests.rs"]
mod tests;
