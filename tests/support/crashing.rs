//! A storage whose machine stops after so many calls.
//!
//! Promise: what a barrier covered survives, and of what came after it exactly what [`Unsynced`] says. Every call
//! after the stop fails, as long as the program that makes them still runs.
//! Left out on purpose: half objects. A storage syncs an object before it gives it its name.

use std::ops::Range;
use std::sync::{Mutex, MutexGuard};

use larder::storage::memory::{Image, Memory, Object};
use larder::storage::{Error, ErrorKind, ObjectInfo, ObjectName, Storage};

use crate::support::CallKind;

/// When the machine stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    Never,
    /// After this many calls of any kind.
    AfterCalls(u64),
    /// After this many puts, deletes and barriers; reading calls go on until the next of them.
    AfterChanges(u64),
}

/// What becomes of changes that no barrier covered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsynced {
    /// All survive: the process was killed, the machine runs on.
    Kept,
    /// None survives.
    Lost,
    /// Only the last survives: what relies on order without a barrier breaks here first.
    OnlyLast,
    /// Each survives or not, by a coin that this seed throws.
    Scattered(u64),
}

/// Passes calls on to a storage in memory until the machine stops.
pub struct Crashing {
    volatile: Memory,
    stop: Stop,
    state: Mutex<State>,
}

struct State {
    durable: Image,
    unsynced: Vec<Change>,
    calls: u64,
    changes: u64,
    stopped: bool,
}

#[derive(Clone)]
enum Change {
    Put(ObjectName, Object),
    Deleted(ObjectName),
}

impl Crashing {
    /// What the memory holds already counts as synced.
    pub fn new(memory: Memory, stop: Stop) -> Self {
        let durable = memory.snapshot();
        let state = State { durable, unsynced: Vec::new(), calls: 0, changes: 0, stopped: false };
        Self { volatile: memory, stop, state: Mutex::new(state) }
    }

    /// How many calls were done.
    pub fn calls(&self) -> u64 {
        self.state().calls
    }

    /// How many of them were puts, deletes and barriers.
    pub fn changes(&self) -> u64 {
        self.state().changes
    }

    /// Whether a call came after the machine stopped.
    pub fn stopped(&self) -> bool {
        self.state().stopped
    }

    /// What the disk shows when the machine is up again, as a storage of its own. Also before it stopped: then it
    /// is what a stop at this moment would leave.
    pub fn survivors(&self, unsynced: Unsynced) -> Memory {
        let state = self.state();
        let mut image = state.durable.clone();
        let mut coin = match unsynced {
            Unsynced::Scattered(seed) => seed,
            _ => 0,
        };
        for (at, change) in state.unsynced.iter().enumerate() {
            let survives = match unsynced {
                Unsynced::Kept => true,
                Unsynced::Lost => false,
                Unsynced::OnlyLast => at + 1 == state.unsynced.len(),
                Unsynced::Scattered(_) => throw(&mut coin),
            };
            match change {
                _ if !survives => {}
                Change::Put(name, object) => drop(image.insert(name.clone(), object.clone())),
                Change::Deleted(name) => drop(image.remove(name)),
            }
        }
        Memory::from_image(image)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Counts a call, or refuses it. The guard is held while the call is done, so that the order of changes is known.
    fn enter(&self, kind: CallKind, object: &str) -> Result<MutexGuard<'_, State>, Error> {
        let mut state = self.state();
        let over = match self.stop {
            Stop::Never => false,
            Stop::AfterCalls(limit) => state.calls >= limit,
            Stop::AfterChanges(limit) => kind.changes() && state.changes >= limit,
        };
        if state.stopped || over {
            state.stopped = true;
            let reason = "the machine has stopped".to_owned();
            return Err(Error { kind: ErrorKind::Other, call: kind.word(), object: object.to_owned(), reason });
        }
        state.calls += 1;
        state.changes += u64::from(kind.changes());
        Ok(state)
    }
}

/// One bit of SplitMix64.
fn throw(coin: &mut u64) -> bool {
    *coin = coin.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*coin ^ (*coin >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (mixed ^ (mixed >> 31)) & 1 == 1
}

impl Storage for Crashing {
    fn put_new(&self, name: &ObjectName, parts: &[&[u8]]) -> Result<(), Error> {
        let mut state = self.enter(CallKind::PutNew, name.as_str())?;
        self.volatile.put_new(name, parts)?;
        let object = self.volatile.object(name).expect("it was put just now");
        state.unsynced.push(Change::Put(name.clone(), object));
        Ok(())
    }

    fn get(&self, name: &ObjectName, range: Range<u64>) -> Result<Vec<u8>, Error> {
        let _state = self.enter(CallKind::Get, name.as_str())?;
        self.volatile.get(name, range)
    }

    fn get_whole(&self, name: &ObjectName, limit: u64) -> Result<Vec<u8>, Error> {
        let _state = self.enter(CallKind::GetWhole, name.as_str())?;
        self.volatile.get_whole(name, limit)
    }

    fn list(&self, prefix: &str, each: &mut dyn FnMut(ObjectInfo)) -> Result<(), Error> {
        // Not held while listing: the listener may call the storage.
        drop(self.enter(CallKind::List, prefix)?);
        self.volatile.list(prefix, each)
    }

    fn delete(&self, name: &ObjectName) -> Result<(), Error> {
        let mut state = self.enter(CallKind::Delete, name.as_str())?;
        self.volatile.delete(name)?;
        state.unsynced.push(Change::Deleted(name.clone()));
        Ok(())
    }

    fn barrier(&self) -> Result<(), Error> {
        let mut state = self.enter(CallKind::Barrier, "")?;
        state.durable = self.volatile.snapshot();
        state.unsynced.clear();
        Ok(())
    }
}
