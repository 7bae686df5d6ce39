//! A storage at one call of which something else happens first.
//!
//! Promise: the deed is done once, right before the first call that matches, in the thread that makes the call. So one
//! party's run stands still while another's goes on, without threads or waiting.

use std::ops::Range;
use std::sync::{Arc, Mutex};

use larder::storage::{Error, ObjectInfo, ObjectName, Storage};

use crate::support::CallKind;

/// When, and what.
struct Deed {
    kind: CallKind,
    prefix: &'static str,
    run: Box<dyn FnOnce() + Send>,
}

/// Passes calls on.
pub struct Meanwhile {
    inner: Arc<dyn Storage>,
    deeds: Mutex<Vec<Deed>>,
}

impl Meanwhile {
    pub fn new(inner: Arc<dyn Storage>) -> Self {
        Self { inner, deeds: Mutex::default() }
    }

    /// Before the next call of this kind on an object whose name begins so. Deeds wait for each other, in order.
    pub fn before(&self, kind: CallKind, prefix: &'static str, run: impl FnOnce() + Send + 'static) {
        self.deeds.lock().unwrap().push(Deed { kind, prefix, run: Box::new(run) });
    }

    /// Whether everything was done that was asked for.
    pub fn all_done(&self) -> bool {
        self.deeds.lock().unwrap().is_empty()
    }

    fn call(&self, kind: CallKind, name: &str) {
        let mut deeds = self.deeds.lock().unwrap();
        if deeds.first().is_some_and(|deed| deed.kind == kind && name.starts_with(deed.prefix)) {
            let deed = deeds.remove(0);
            drop(deeds);
            (deed.run)();
        }
    }
}

impl Storage for Meanwhile {
    fn put_new(&self, name: &ObjectName, parts: &[&[u8]]) -> Result<(), Error> {
        self.call(CallKind::PutNew, name.as_str());
        self.inner.put_new(name, parts)
    }

    fn get(&self, name: &ObjectName, range: Range<u64>) -> Result<Vec<u8>, Error> {
        self.call(CallKind::Get, name.as_str());
        self.inner.get(name, range)
    }

    fn get_whole(&self, name: &ObjectName, limit: u64) -> Result<Vec<u8>, Error> {
        self.call(CallKind::GetWhole, name.as_str());
        self.inner.get_whole(name, limit)
    }

    fn list(&self, prefix: &str, each: &mut dyn FnMut(ObjectInfo)) -> Result<(), Error> {
        self.call(CallKind::List, prefix);
        self.inner.list(prefix, each)
    }

    fn delete(&self, name: &ObjectName) -> Result<(), Error> {
        self.call(CallKind::Delete, name.as_str());
        self.inner.delete(name)
    }

    fn barrier(&self) -> Result<(), Error> {
        self.call(CallKind::Barrier, "");
        self.inner.barrier()
    }
}
