//! The list of a dump's entries, stored beside it: made while the dump is read, known once it has ended.
//!
//! Promise: the dump is never read twice, and a dump without a list is stored as well; a list of a dump that failed is
//! never stored.
//!
//! Its reader waits for that of the dump. Readers take entries in the order of the listing, in which the dump comes first,
//! so whoever waits waits for one that is at work.

use std::io;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use crate::dump::{Scanner, sidecar};
use crate::format::listing::{Entry, check_path};
use crate::source::stream::set_length;
use crate::source::{Content, Problem, Reader, Severity, Verdict};

/// The list, or why there is none.
type Made = Result<Vec<u8>, String>;

/// The name of the list of the dump of this name, if it can have one.
pub fn name_beside(dump: &[u8]) -> Option<Vec<u8>> {
    let name = [dump, sidecar::SUFFIX].concat();
    check_path(&name).is_ok().then_some(name)
}

/// Where a list is made, and where it is stored.
pub fn pair() -> (Maker, Waiting) {
    let (sender, receiver) = sync_channel(1);
    (Maker { scanner: Scanner::new(), sender }, Waiting(receiver))
}

/// Makes a list of what a dump shows.
pub struct Maker {
    scanner: Scanner,
    sender: SyncSender<Made>,
}

impl Maker {
    /// The next bytes of the dump.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.scanner.feed(bytes);
    }

    /// The dump ended well. Without this there is no list.
    pub fn finish(self) {
        let list = match self.scanner.finish() {
            Ok(entries) => sidecar::encode(&entries).map_err(|error| error.to_string()),
            Err(flaw) => Err(flaw.to_string()),
        };
        // Nobody waits any more only when the backup has failed.
        let _ = self.sender.send(list);
    }
}

/// A list that is not made yet.
pub struct Waiting(Receiver<Made>);

impl Reader for Waiting {
    fn open(self: Box<Self>, entry: &mut Entry) -> Result<Box<dyn Content>, Problem> {
        match self.0.recv() {
            Ok(Ok(list)) => Ok(Box::new(List::Made { list, at: 0 })),
            Ok(Err(why)) => {
                let message = format!("there is no list of entries: the file {why}");
                Err(Problem { path: entry.path.clone(), severity: Severity::Vanished, message })
            }
            // Whoever made it is gone: the dump has failed, and said why.
            Err(_) => Ok(Box::new(List::Failed)),
        }
    }
}

enum List {
    Made { list: Vec<u8>, at: usize },
    Failed,
}

impl Content for List {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let List::Made { list, at } = self else { return Ok(0) };
        let len = buffer.len().min(list.len() - *at);
        buffer[..len].copy_from_slice(&list[*at..*at + len]);
        *at += len;
        Ok(len)
    }

    fn finish(self: Box<Self>, entry: &mut Entry, bytes_read: u64) -> Verdict {
        set_length(entry, bytes_read);
        match *self {
            List::Made { .. } => Verdict::Steady,
            List::Failed => Verdict::Failed("the dump did not end well".to_owned()),
        }
    }
}
