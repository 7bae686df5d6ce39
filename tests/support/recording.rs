//! A storage that writes down every call.
//!
//! Promise: the list has every call that returned, in the order of returning. Left out on purpose: the bytes.

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use larder::storage::{Error, ErrorKind, ObjectInfo, ObjectName, Storage};

use crate::support::CallKind;

/// One call as it happened. As text, to compare whole lists: `PutNew packs/ab 120`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    pub kind: CallKind,
    /// The object's name or the prefix; empty for a barrier.
    pub name: String,
    /// Where a read began; else 0.
    pub offset: u64,
    /// Bytes put or read, or objects listed; else 0.
    pub size: u64,
    pub failed: Option<ErrorKind>,
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.kind)?;
        match self.kind {
            CallKind::PutNew | CallKind::GetWhole | CallKind::List => write!(f, " {} {}", self.name, self.size)?,
            CallKind::Get => write!(f, " {} {}+{}", self.name, self.offset, self.size)?,
            CallKind::Delete => write!(f, " {}", self.name)?,
            CallKind::Barrier => {}
        }
        self.failed.map_or(Ok(()), |kind| write!(f, " {kind:?}"))
    }
}

/// Passes every call on, and writes it down.
pub struct Recording {
    inner: Arc<dyn Storage>,
    calls: Mutex<Vec<Call>>,
}

impl Recording {
    pub fn new(inner: Arc<dyn Storage>) -> Self {
        Self { inner, calls: Mutex::default() }
    }

    /// The calls until now.
    pub fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap().clone()
    }

    /// The calls until now, forgetting them.
    pub fn take(&self) -> Vec<Call> {
        std::mem::take(&mut self.calls.lock().unwrap())
    }

    /// The calls until now that change something, as text.
    pub fn changes(&self) -> Vec<String> {
        self.calls().iter().filter(|call| call.kind.changes()).map(Call::to_string).collect()
    }

    fn note<T>(&self, kind: CallKind, name: &str, offset: u64, size: u64, result: &Result<T, Error>) {
        let failed = result.as_ref().err().map(|error| error.kind);
        self.calls.lock().unwrap().push(Call { kind, name: name.to_owned(), offset, size, failed });
    }
}

impl Storage for Recording {
    fn put_new(&self, name: &ObjectName, parts: &[&[u8]]) -> Result<(), Error> {
        let result = self.inner.put_new(name, parts);
        let size = parts.iter().map(|part| part.len() as u64).sum();
        self.note(CallKind::PutNew, name.as_str(), 0, size, &result);
        result
    }

    fn get(&self, name: &ObjectName, range: Range<u64>) -> Result<Vec<u8>, Error> {
        let result = self.inner.get(name, range.clone());
        self.note(CallKind::Get, name.as_str(), range.start, range.end.saturating_sub(range.start), &result);
        result
    }

    fn get_whole(&self, name: &ObjectName, limit: u64) -> Result<Vec<u8>, Error> {
        let result = self.inner.get_whole(name, limit);
        let size = result.as_ref().map_or(0, |bytes| bytes.len() as u64);
        self.note(CallKind::GetWhole, name.as_str(), 0, size, &result);
        result
    }

    fn list(&self, prefix: &str, each: &mut dyn FnMut(ObjectInfo)) -> Result<(), Error> {
        let mut objects = 0;
        let result = self.inner.list(prefix, &mut |info| {
            objects += 1;
            each(info);
        });
        self.note(CallKind::List, prefix, 0, objects, &result);
        result
    }

    fn delete(&self, name: &ObjectName) -> Result<(), Error> {
        let result = self.inner.delete(name);
        self.note(CallKind::Delete, name.as_str(), 0, 0, &result);
        result
    }

    fn barrier(&self) -> Result<(), Error> {
        let result = self.inner.barrier();
        self.note(CallKind::Barrier, "", 0, 0, &result);
        result
    }
}
