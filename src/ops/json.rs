//! A look at JSON that passes by on its way into a snapshot or out of one.
//!
//! Promise: it is never held as a whole; what is kept of it is what the type keeps.
//! Left out on purpose: stopping it. Whoever lets it pass asks at the end what was seen.

use std::io::{self, BufReader, PipeWriter, Read, Write};
use std::thread::{self, JoinHandle};

use serde::de::{DeserializeOwned, IgnoredAny};

/// A list, of which only the length counts.
pub type List = Vec<IgnoredAny>;

/// JSON on its way, read by a thread of its own.
pub struct Passing<T> {
    /// Given up when nobody reads on: it is no JSON then.
    pipe: Option<PipeWriter>,
    reading: Option<JoinHandle<Result<T, serde_json::Error>>>,
}

impl<T: DeserializeOwned + Send + 'static> Passing<T> {
    /// Nothing of it has come yet.
    pub fn new() -> Result<Self, String> {
        let (reader, writer) = io::pipe().map_err(|error| format!("cannot make a pipe: {error}"))?;
        let reading = thread::spawn(move || serde_json::from_reader(BufReader::new(reader)));
        Ok(Self { pipe: Some(writer), reading: Some(reading) })
    }

    /// Takes the next bytes.
    fn feed(&mut self, bytes: &[u8]) {
        if self.pipe.as_mut().is_some_and(|pipe| pipe.write_all(bytes).is_err()) {
            self.pipe = None;
        }
    }

    /// What was seen, after the last byte; an error says why it is not that.
    pub fn seen(&mut self) -> Result<T, String> {
        drop(self.pipe.take());
        let reading = self.reading.take().ok_or("it was asked for twice")?;
        let seen = reading.join().map_err(|_| "it cannot be looked through".to_owned())?;
        seen.map_err(|error| error.to_string())
    }
}

impl<T: DeserializeOwned + Send + 'static> Write for Passing<T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.feed(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// JSON that is read from somewhere, and looked at on the way.
pub struct Watched<R, T> {
    /// Where it comes from.
    pub from: R,
    passing: Passing<T>,
}

impl<R, T: DeserializeOwned + Send + 'static> Watched<R, T> {
    /// Nothing of it has been read yet.
    pub fn new(from: R) -> Result<Self, String> {
        Ok(Self { from, passing: Passing::new()? })
    }

    /// What was seen, after the last byte; an error says why it is not that.
    pub fn seen(&mut self) -> Result<T, String> {
        self.passing.seen()
    }
}

impl<R: Read, T: DeserializeOwned + Send + 'static> Read for Watched<R, T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(buffer)?;
        self.passing.feed(&buffer[..read]);
        Ok(read)
    }
}

#[cfg(test)]
#[path = "json_tests.rs"]
mod tests;
