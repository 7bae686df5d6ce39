//! A storage of which one call fails.
//!
//! Promise: calls are numbered from 0 in the order they come; the chosen one fails as asked, the others pass.
//! Left out on purpose: half a `put_new`, which no storage may do.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use larder::storage::{Error, ErrorKind, ObjectInfo, ObjectName, Storage};

use crate::support::CallKind;

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// The number of the call.
    pub at: u64,
    /// Which calls are numbered.
    pub of: Of,
    pub kind: ErrorKind,
    pub lasts: Lasts,
    pub moment: Moment,
}

/// Which calls count, and can fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Of {
    Every,
    /// Puts, deletes and barriers.
    Changes,
    Kind(CallKind),
}

/// How long the fault lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lasts {
    Once,
    FromThenOn,
}

/// Whether the call was done before it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    Before,
    /// The reply is lost: it was done, and says it failed.
    After,
}

/// Passes calls on, but for the one that fails.
pub struct Failing {
    inner: Arc<dyn Storage>,
    fault: Option<Fault>,
    calls: AtomicU64,
}

impl Failing {
    pub fn new(inner: Arc<dyn Storage>, fault: Fault) -> Self {
        Self { inner, fault: Some(fault), calls: AtomicU64::new(0) }
    }

    /// Fails nothing: counts the calls that a later run can let fail.
    pub fn never(inner: Arc<dyn Storage>) -> Self {
        Self { inner, fault: None, calls: AtomicU64::new(0) }
    }

    /// How many calls came that count.
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::SeqCst)
    }

    fn call<T>(&self, kind: CallKind, object: &str, call: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
        let counts = match self.fault.map_or(Of::Every, |fault| fault.of) {
            Of::Every => true,
            Of::Changes => kind.changes(),
            Of::Kind(one) => one == kind,
        };
        if !counts {
            return call();
        }
        let number = self.calls.fetch_add(1, Ordering::SeqCst);
        let fails = |fault: &Fault| match fault.lasts {
            Lasts::Once => number == fault.at,
            Lasts::FromThenOn => number >= fault.at,
        };
        let Some(fault) = self.fault.filter(fails) else { return call() };
        if fault.moment == Moment::After {
            call()?;
        }
        let reason = format!("call {number} was told to fail");
        Err(Error { kind: fault.kind, call: kind.word(), object: object.to_owned(), reason })
    }
}

impl Storage for Failing {
    fn put_new(&self, name: &ObjectName, parts: &[&[u8]]) -> Result<(), Error> {
        self.call(CallKind::PutNew, name.as_str(), || self.inner.put_new(name, parts))
    }

    fn get(&self, name: &ObjectName, range: Range<u64>) -> Result<Vec<u8>, Error> {
        self.call(CallKind::Get, name.as_str(), || self.inner.get(name, range))
    }

    fn get_whole(&self, name: &ObjectName, limit: u64) -> Result<Vec<u8>, Error> {
        self.call(CallKind::GetWhole, name.as_str(), || self.inner.get_whole(name, limit))
    }

    fn list(&self, prefix: &str, each: &mut dyn FnMut(ObjectInfo)) -> Result<(), Error> {
        self.call(CallKind::List, prefix, || self.inner.list(prefix, each))
    }

    fn delete(&self, name: &ObjectName) -> Result<(), Error> {
        self.call(CallKind::Delete, name.as_str(), || self.inner.delete(name))
    }

    fn barrier(&self) -> Result<(), Error> {
        self.call(CallKind::Barrier, "", || self.inner.barrier())
    }
}
