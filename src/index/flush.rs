//! Writing the batch, and going on when the file lets us down.
//!
//! Promise: packs, headers, chunk rows and filter change in one transaction, so a pack that is listed has all its
//! rows. A file that is locked for too long, full or gone is copied to a temporary database; one that is damaged is
//! made anew and [`Error::Reset`] tells the caller to fill it. Left out on purpose: any retry beyond that one.

use std::collections::HashMap;

use rusqlite::{Connection, Transaction, TransactionBehavior};

use crate::index::filter::Filter;
use crate::index::packs::{PackNumber, Packs, State};
use crate::index::pending::Pending;
use crate::index::store::{self, Store, StoredPack};
use crate::index::{Error, Index};
use crate::sqlite::{self, Fault};

/// Rows of packs long gone are swept when they are more than a quarter of the others, and more than this.
const ORPHANS_MIN: u64 = 65_536;

impl Index {
    /// Writes what was added and removed.
    pub fn flush(&mut self) -> Result<(), Error> {
        if self.pending.is_empty() && self.store.bad_rows.is_empty() {
            return Ok(());
        }
        let Err(first) = self.write() else { return Ok(()) };
        // Once more, into the new file or into the copy. After that the batch goes, and with it only knowledge.
        let verdict = self.failed(first);
        if !matches!(verdict, Err(Error::Unusable(_)))
            && let Err(second) = self.write()
        {
            self.forget_pending();
            return Err(second.into());
        }
        verdict
    }

    /// Writes what was added and removed, where that the database proved damaged is no failure: at the end of a run, and
    /// when a batch is full. What it knew is gone, the batch is in the new one, and [`Index::times_emptied`] tells.
    pub fn flush_last(&mut self) -> Result<(), Error> {
        match self.flush() {
            Err(Error::Reset) => Ok(()),
            result => result,
        }
    }

    /// Empties the index: a new file, no packs, no log.
    pub fn clear(&mut self) -> Result<(), Error> {
        self.forget_pending();
        self.remake().map_err(Error::from)
    }

    /// Reads, and reads again if that failed and the database could be replaced by one that holds the same.
    pub(crate) fn read<T>(&mut self, call: impl Fn(&Store) -> Result<T, sqlite::Error>) -> Result<T, Error> {
        match call(&self.store) {
            Ok(value) => Ok(value),
            Err(error) => {
                self.failed(error)?;
                Ok(call(&self.store)?)
            }
        }
    }

    /// Loads the filter, or makes it from the rows if what is saved is no good.
    pub(crate) fn load_filter(&mut self) -> Result<(), Error> {
        let loaded = load_filter(&self.store.connection, &self.pending);
        self.filter = Some(match loaded {
            Ok(filter) => filter,
            Err(error) => {
                self.failed(error)?;
                load_filter(&self.store.connection, &self.pending)?
            }
        });
        Ok(())
    }

    /// Sees to it that there is a database that works. `Ok`: one that holds the same as before.
    fn failed(&mut self, error: sqlite::Error) -> Result<(), Error> {
        if error.fault() != Fault::Damaged && self.copy_to_temporary().is_ok() {
            return Ok(());
        }
        self.remake()?;
        Err(Error::Reset)
    }

    fn copy_to_temporary(&mut self) -> Result<(), sqlite::Error> {
        let path = self.store.path().ok_or(rusqlite::Error::InvalidQuery)?;
        let mut copy = Store::temporary(&self.repository)?;
        copy.copy_from(path)?;
        copy.bad_rows = std::mem::take(&mut self.store.bad_rows);
        self.store = copy;
        self.degraded = true;
        Ok(())
    }

    /// Starts with an empty database. What is pending stays pending.
    fn remake(&mut self) -> Result<(), sqlite::Error> {
        // The old file must be closed before it is deleted.
        self.store = Store::temporary(&self.repository)?;
        if let (Some(dir), false) = (&self.dir, self.degraded) {
            match store::set_aside(dir).map(|()| Store::open(dir, &self.repository)) {
                Ok(Ok(store)) => self.store = store,
                _ => self.degraded = true,
            }
        }
        self.times_emptied += 1;
        self.packs.reload(&[]);
        self.pending.spare_all();
        self.filter = None;
        Ok(())
    }

    fn forget_pending(&mut self) {
        for (number, _) in self.pending.headers() {
            self.packs.set_state(number, State::Absent);
        }
        self.pending.clear();
    }

    /// Everything pending, in one transaction.
    fn write(&mut self) -> Result<(), sqlite::Error> {
        let Index { store, packs, pending, filter, .. } = self;
        let transaction = Transaction::new_unchecked(&store.connection, TransactionBehavior::Immediate)?;
        for &row in pending.doomed().iter().chain(&store.bad_rows) {
            store::delete_pack(&transaction, row)?;
        }
        let data_version = store::data_version(&transaction)?;
        if data_version != store.data_version {
            // Others have written: their packs are new to us, and their bits are missing in our filter.
            packs.reload(&store::read_packs(&transaction)?.good);
            *filter = None;
            store.data_version = data_version;
        }
        let mut now = match filter.take() {
            Some(filter) => filter,
            None => load_filter(&transaction, pending)?,
        };
        let new_rows = write_packs(&transaction, packs, pending)?;
        write_log(&transaction, pending)?;
        let live = packs.live_chunks();
        let orphans_many = now.rows() > live + live / 4 + ORPHANS_MIN;
        if orphans_many {
            store::sweep_chunks(&transaction)?;
        }
        if orphans_many || now.is_full() {
            drop(now);
            now = Filter::rebuild(&transaction, 0)?;
        }
        now.save(&transaction)?;
        transaction.commit()?;
        now.saved();
        *filter = Some(now);
        store.bad_rows.clear();
        new_rows.into_iter().for_each(|(number, row)| packs.set_state(number, State::Stored(row)));
        pending.clear();
        Ok(())
    }
}

/// The filter over the stored rows and the pending ones.
fn load_filter(connection: &Connection, pending: &Pending) -> Result<Filter, sqlite::Error> {
    let mut filter = match Filter::load(connection)? {
        Some(filter) => filter,
        None => Filter::rebuild(connection, pending.rows().len() as u64)?,
    };
    pending.rows().for_each(|(prefix, _)| filter.insert(prefix));
    Ok(filter)
}

/// Writes the packs pending and their chunk rows. Returns where they are now.
fn write_packs(
    connection: &Connection,
    packs: &Packs,
    pending: &Pending,
) -> Result<HashMap<PackNumber, i64>, sqlite::Error> {
    let mut new_rows = HashMap::new();
    for (number, header) in pending.headers() {
        // One that is stored by now was added by another process, rows and all.
        let Some(slot) = packs.get(number).filter(|slot| slot.state == State::Pending) else { continue };
        let row = &slot.row;
        let (id, kind, bytes, chunks) = (row.id, row.kind, row.bytes, row.chunks);
        let pack = StoredPack { row: 0, id, kind, bytes, chunks, header_hash: slot.header_hash };
        new_rows.insert(number, store::insert_pack(connection, &pack, header)?);
    }
    let mut rows: Vec<(u64, i64)> =
        pending.rows().filter_map(|(prefix, number)| Some((prefix, *new_rows.get(&number)?))).collect();
    // In the order of the table (which is that of signed numbers), so that each page is visited once.
    rows.sort_unstable_by_key(|&(prefix, row)| (prefix as i64, row));
    store::insert_chunks(connection, &rows)?;
    Ok(new_rows)
}

fn write_log(connection: &Connection, pending: &Pending) -> Result<(), sqlite::Error> {
    let (first_gone, entries) = pending.log();
    if let Some(first) = first_gone {
        store::delete_log(connection, first)?;
    }
    for (seq, entry) in entries {
        store::insert_log_entry(connection, seq, entry)?;
    }
    Ok(())
}
