//! Streams of a service as a source, each opened when somebody reads it.
//!
//! Promise: what a stream took at its service is given back, whatever came of it; one that cannot be opened, breaks off or
//! turns out not to be whole fails the whole backup. Several are open at a time, unless they are to be read in turn.
//! Left out on purpose: how a service is asked. Whoever knows it makes the streams.

use std::io::{self, Read};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use zeroize::Zeroizing;

use crate::format::Time;
use crate::format::listing::{Entry, Owner, compare_paths};
use crate::source::stream::{check_name, fill, set_length, stream_entry};
use crate::source::{Candidate, Content, Error, Found, Problem, Reader, Source, Verdict};

/// A stream of a service. Dropped early, it gives back what it took.
pub trait Stream: Read + Send {
    /// To be asked after the last byte: whether that was all.
    fn check(&mut self) -> Result<(), String>;

    /// Gives back what it took. An error is only worth a remark: what was read is what it is.
    fn give_back(self: Box<Self>) -> Result<(), String>;
}

/// Opens a stream.
pub type Open = dyn Fn() -> Result<Box<dyn Stream>, String> + Send + Sync;

/// A stream that is not open yet.
pub struct Pending {
    /// The name of the file that it becomes.
    pub name: Vec<u8>,
    /// Opens it.
    pub open: Arc<Open>,
}

impl Pending {
    /// One that is there already.
    pub fn held(name: &str, bytes: Zeroizing<Vec<u8>>) -> Self {
        let bytes = Arc::new(bytes);
        let open = move || Ok(Box::new(Held { bytes: bytes.clone(), at: 0 }) as Box<dyn Stream>);
        Self { name: name.into(), open: Arc::new(open) }
    }
}

/// What was asked for beforehand.
struct Held {
    bytes: Arc<Zeroizing<Vec<u8>>>,
    at: usize,
}

impl Read for Held {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = (&self.bytes[self.at..]).read(buffer)?;
        self.at += read;
        Ok(read)
    }
}

impl Stream for Held {
    fn check(&mut self) -> Result<(), String> {
        Ok(())
    }

    fn give_back(self: Box<Self>) -> Result<(), String> {
        Ok(())
    }
}

/// Streams, each stored under its name.
pub struct OpenedSource {
    streams: Vec<Pending>,
    owner: Owner,
    time: Time,
    in_turn: bool,
}

impl OpenedSource {
    /// These, which belong to `owner` and date from `time`.
    pub fn new(mut streams: Vec<Pending>, owner: Owner, time: Time) -> Result<Self, Error> {
        streams.sort_by(|a, b| compare_paths(&a.name, &b.name));
        for stream in &streams {
            check_name(&stream.name)?;
        }
        Ok(Self { streams, owner, time, in_turn: false })
    }

    /// Each is opened only when the one before has ended, in the order of their names.
    pub fn in_turn(self) -> Self {
        Self { in_turn: true, ..self }
    }
}

impl Source for OpenedSource {
    fn walk(&self, visit: &mut dyn FnMut(Found) -> ControlFlow<()>) -> Result<(), Error> {
        let mut before = None;
        for stream in &self.streams {
            let entry = stream_entry(&stream.name, &self.owner, self.time);
            let (ended, next) = channel();
            let before = before.replace(next).filter(|_| self.in_turn);
            let reader = Box::new(Ready { open: stream.open.clone(), before, ended });
            if visit(Found::Entry(Candidate { entry, reader })).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn replayable(&self) -> bool {
        true
    }
}

struct Ready {
    open: Arc<Open>,
    /// Ends with the stream before.
    before: Option<Receiver<()>>,
    /// Dropped when this one has ended, whatever came of it.
    ended: Sender<()>,
}

impl Reader for Ready {
    fn open(self: Box<Self>, _: &mut Entry) -> Result<Box<dyn Content>, Problem> {
        // Nothing is ever sent. No two wait for each other: what comes first in the listing is read first.
        let _the_one_before_has_ended = self.before.map(|before| before.recv());
        let (stream, flaw) = match (self.open)() {
            Ok(stream) => (Some(stream), None),
            Err(error) => (None, Some(error)),
        };
        Ok(Box::new(Opened { stream, flaw, _ended: self.ended }))
    }
}

struct Opened {
    stream: Option<Box<dyn Stream>>,
    flaw: Option<String>,
    _ended: Sender<()>,
}

impl Content for Opened {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(stream) = &mut self.stream else { return Ok(0) };
        fill(stream, buffer).inspect_err(|error| self.flaw = Some(format!("the stream broke off: {error}")))
    }

    fn finish(self: Box<Self>, entry: &mut Entry, bytes_read: u64) -> Verdict {
        set_length(entry, bytes_read);
        let Self { stream, mut flaw, _ended } = *self;
        let mut remark = None;
        if let Some(mut stream) = stream {
            flaw = flaw.or_else(|| stream.check().err());
            remark = stream.give_back().err();
        }
        match (flaw, remark) {
            (Some(flaw), Some(remark)) => Verdict::Failed(format!("{flaw}\n{remark}")),
            (Some(flaw), None) => Verdict::Failed(flaw),
            (None, Some(remark)) => Verdict::Remarked(remark),
            (None, None) => Verdict::Steady,
        }
    }
}

#[cfg(test)]
#[path = "opened_tests.rs"]
mod tests;
