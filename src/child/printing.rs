//! What a command prints, read as it comes.
//!
//! Promise: it is ended, with all that it started, when it says nothing for too long, when nobody reads it to its end,
//! and when larder is killed. Its standard input, on which nothing ever comes, ends then, too. Whether it was all is known
//! only after the last byte, and must be asked.
//! Left out on purpose: what it prints.

use std::io::{self, ErrorKind, Read};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::child::guard::Guard;
use crate::child::{Tail, end, leashed, took_too_long, wait};

/// A command under way.
pub struct Printing {
    name: String,
    child: Child,
    /// For whoever is out of reach of signals, in a container say.
    _stdin: Option<ChildStdin>,
    stdout: Option<ChildStdout>,
    complaints: Option<Tail>,
    /// Taken once it has ended.
    leash: Option<Guard>,
    silence: Duration,
}

impl Printing {
    /// Starts it. It may be silent for so long.
    pub fn start(mut command: Command, silence: Duration) -> Result<Self, String> {
        let name = command.get_program().to_string_lossy().into_owned();
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let leash = Some(leashed(&mut command, None)?);
        let mut child = command.spawn().map_err(|error| format!("cannot start {name}: {error}"))?;
        let (_stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let complaints = child.stderr.take().map(Tail::of);
        Ok(Self { name, child, _stdin, stdout, complaints, leash, silence })
    }

    /// To be asked after the last byte: whether it succeeded, or what it complains of.
    pub fn ended(&mut self) -> Result<(), String> {
        drop(self.stdout.take());
        let status = wait(&mut self.child, self.silence);
        if let Ok(Some(_)) = status {
            let _group = self.leash.take().map(Guard::disarm);
        }
        let what = match status {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(status)) => format!("{} failed: {status}", self.name),
            Ok(None) => took_too_long(&self.name, self.silence),
            Err(error) => return Err(format!("cannot tell how {} ended: {error}", self.name)),
        };
        Err(self.complaints.as_ref().map_or(what.clone(), |complaints| complaints.added_to(what)))
    }
}

impl Read for Printing {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(stdout) = &mut self.stdout else { return Ok(0) };
        let limit = Timespec::try_from(self.silence).map_err(io::Error::other)?;
        let ready = loop {
            match poll(&mut [PollFd::new(stdout, PollFlags::IN)], Some(&limit)) {
                Err(Errno::INTR) => {}
                ready => break ready?,
            }
        };
        if ready == 0 {
            let message = format!("{} said nothing for {} seconds and was ended", self.name, self.silence.as_secs());
            return Err(io::Error::new(ErrorKind::TimedOut, message));
        }
        stdout.read(buffer)
    }
}

impl Drop for Printing {
    fn drop(&mut self) {
        if let Some(leash) = self.leash.take() {
            end(&mut self.child, leash.disarm());
        }
    }
}

#[cfg(test)]
#[path = "printing_tests.rs"]
mod tests;
