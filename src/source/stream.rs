//! One stream as a source: standard input, or anything else that can be read.
//!
//! Promise: a listing of a single file, as long as the stream turns out to be. A read error fails the whole backup:
//! half a stream is worth nothing.
//! Left out on purpose: replaying. What has been read is gone.

use std::io::{self, Read};
use std::ops::ControlFlow;
use std::sync::{Mutex, PoisonError};

use crate::format::Time;
use crate::format::content::Content as Bytes;
use crate::format::listing::{Entry, Node, Owner, check_path};
use crate::source::{Candidate, Content, Error, Found, Problem, Reader, Source, Verdict};

/// Who may read a stream once it is restored as a file.
const MODE: u32 = 0o600;

/// A stream under a name.
pub struct StreamSource {
    name: Vec<u8>,
    owner: Owner,
    time: Time,
    stream: Mutex<Option<Box<dyn Read + Send>>>,
}

impl StreamSource {
    /// A stream, stored as the file `name`, which belongs to `owner` and dates from `time`.
    pub fn new(name: &[u8], owner: Owner, time: Time, stream: Box<dyn Read + Send>) -> Result<Self, Error> {
        check_name(name)?;
        Ok(Self { name: name.to_vec(), owner, time, stream: Mutex::new(Some(stream)) })
    }
}

impl Source for StreamSource {
    fn walk(&self, visit: &mut dyn FnMut(Found) -> ControlFlow<()>) -> Result<(), Error> {
        let stream = self.stream.lock().unwrap_or_else(PoisonError::into_inner).take().ok_or(Error::Spent)?;
        let reader = Box::new(StreamReader { stream });
        let entry = stream_entry(&self.name, &self.owner, self.time);
        let _last_one_anyway = visit(Found::Entry(Candidate { entry, reader }));
        Ok(())
    }

    fn replayable(&self) -> bool {
        false
    }
}

/// Whether a stream can be stored under a name: that of a single file, or a path.
pub fn check_name(name: &[u8]) -> Result<(), Error> {
    let error = |reason: String| Error::Name { name: String::from_utf8_lossy(name).into_owned(), reason };
    if name.is_empty() {
        return Err(error("it is empty".to_owned()));
    }
    check_path(name).map_err(|reject| error(reject.to_string()))
}

/// The entry of a stream whose length nobody knows yet.
pub fn stream_entry(name: &[u8], owner: &Owner, time: Time) -> Entry {
    Entry {
        owner: owner.clone(),
        mtime: time,
        ctime: time,
        ..Entry::new(name.to_vec(), Node::File { bytes: 0, content: Bytes::EMPTY, extents: None }, MODE)
    }
}

/// Sets the length of a stream's entry once it is known.
pub fn set_length(entry: &mut Entry, bytes_read: u64) {
    if let Node::File { bytes, .. } = &mut entry.node {
        *bytes = bytes_read;
    }
}

/// Fills a buffer from a stream, which may give less at a time.
pub fn fill(stream: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match stream.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(bytes) => filled += bytes,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

struct StreamReader {
    stream: Box<dyn Read + Send>,
}

impl Reader for StreamReader {
    fn open(self: Box<Self>, _: &mut Entry) -> Result<Box<dyn Content>, Problem> {
        Ok(Box::new(StreamContent { stream: self.stream, error: None }))
    }
}

struct StreamContent {
    stream: Box<dyn Read + Send>,
    error: Option<String>,
}

impl Content for StreamContent {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        fill(&mut *self.stream, buffer).inspect_err(|error| self.error = Some(error.to_string()))
    }

    fn finish(self: Box<Self>, entry: &mut Entry, bytes_read: u64) -> Verdict {
        set_length(entry, bytes_read);
        match self.error {
            Some(error) => Verdict::Failed(format!("the stream broke off: {error}")),
            None => Verdict::Steady,
        }
    }
}

#[cfg(test)]
#[path = "stream_tests.rs"]
mod tests;
