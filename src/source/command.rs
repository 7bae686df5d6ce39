//! The output of a command as a source.
//!
//! Promise: a listing of a single file; a command that cannot be started, or that ends with anything but success, fails
//! the whole backup and says why in its own words. Dropped early, the command is killed.
//! Left out on purpose: shells, and replaying. A command can be run again, but would give other bytes.

use std::ffi::OsString;
use std::io::{self, Read};
use std::ops::ControlFlow;
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crate::format::Time;
use crate::format::listing::{Entry, Owner};
use crate::source::stream::{check_name, fill, set_length, stream_entry};
use crate::source::{Candidate, Content, Error, Found, Problem, Reader, Source, Verdict};

/// How much of what a command writes to its error output is kept: the end of it.
pub const STDERR_BYTES_MAX: usize = 64 << 10;
/// How long to wait for the end of the error output once the command has ended. A daemon it left behind may hold it.
const STDERR_WAIT: Duration = Duration::from_secs(2);

/// A command whose output is stored under a name.
#[derive(Debug)]
pub struct CommandSource {
    name: Vec<u8>,
    owner: Owner,
    time: Time,
    program: OsString,
    arguments: Vec<OsString>,
}

impl CommandSource {
    /// A command, whose output is stored as the file `name`, which belongs to `owner` and dates from `time`.
    pub fn new(
        name: &[u8],
        owner: Owner,
        time: Time,
        program: OsString,
        arguments: Vec<OsString>,
    ) -> Result<Self, Error> {
        check_name(name)?;
        Ok(Self { name: name.to_vec(), owner, time, program, arguments })
    }
}

impl Source for CommandSource {
    fn walk(&self, visit: &mut dyn FnMut(Found) -> ControlFlow<()>) -> Result<(), Error> {
        let program = self.program.to_string_lossy().into_owned();
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let running =
            Running::start(command, &program).map_err(|source| Error::Spawn { program: program.clone(), source })?;
        let entry = stream_entry(&self.name, &self.owner, self.time);
        let _last_one_anyway = visit(Found::Entry(Candidate { entry, reader: Box::new(running) }));
        Ok(())
    }

    fn replayable(&self) -> bool {
        false
    }
}

/// A command under way.
struct Running {
    program: String,
    child: Child,
    stdout: Option<ChildStdout>,
    stderr: Arc<Mutex<Vec<u8>>>,
    stderr_ended: Receiver<()>,
    error: Option<String>,
    ended: bool,
}

impl Running {
    fn start(mut command: Command, program: &str) -> io::Result<Self> {
        let mut child = command.spawn()?;
        let stderr = Arc::new(Mutex::new(Vec::new()));
        let (ended, stderr_ended) = channel();
        if let Some(pipe) = child.stderr.take() {
            let tail = stderr.clone();
            thread::spawn(move || {
                keep_tail(pipe, &tail);
                let _nobody_may_wait = ended.send(());
            });
        }
        let stdout = child.stdout.take();
        Ok(Self { program: program.to_owned(), child, stdout, stderr, stderr_ended, error: None, ended: false })
    }

    fn stderr_text(&self) -> String {
        let _daemon_may_hold_it = self.stderr_ended.recv_timeout(STDERR_WAIT);
        let mut tail = lock(&self.stderr).clone();
        let surplus = tail.len().saturating_sub(STDERR_BYTES_MAX);
        tail.drain(..surplus);
        String::from_utf8_lossy(&tail).trim().to_owned()
    }
}

fn lock(bytes: &Mutex<Vec<u8>>) -> MutexGuard<'_, Vec<u8>> {
    bytes.lock().unwrap_or_else(PoisonError::into_inner)
}

fn keep_tail(mut pipe: ChildStderr, tail: &Mutex<Vec<u8>>) {
    let mut buffer = [0; 4096];
    while let Ok(bytes @ 1..) = fill_some(&mut pipe, &mut buffer) {
        let mut tail = lock(tail);
        tail.extend_from_slice(&buffer[..bytes]);
        if tail.len() >= 2 * STDERR_BYTES_MAX {
            let surplus = tail.len() - STDERR_BYTES_MAX;
            tail.drain(..surplus);
        }
    }
}

fn fill_some(pipe: &mut ChildStderr, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match pipe.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

impl Reader for Running {
    fn open(self: Box<Self>, _: &mut Entry) -> Result<Box<dyn Content>, Problem> {
        Ok(self)
    }
}

impl Content for Running {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(stdout) = &mut self.stdout else { return Ok(0) };
        fill(stdout, buffer).inspect_err(|error| self.error = Some(error.to_string()))
    }

    fn finish(mut self: Box<Self>, entry: &mut Entry, bytes_read: u64) -> Verdict {
        set_length(entry, bytes_read);
        // Closed first: a command that nobody listens to any more must not wait for us while we wait for it.
        drop(self.stdout.take());
        let status = match self.child.wait() {
            Ok(status) => status,
            Err(error) => return Verdict::Failed(format!("cannot tell how {} ended: {error}", self.program)),
        };
        self.ended = true;
        if status.success() && self.error.is_none() {
            return Verdict::Steady;
        }
        let mut message = match self.error.take() {
            Some(error) => format!("the output of {} broke off: {error}", self.program),
            None => format!("{} failed: {status}", self.program),
        };
        let stderr = self.stderr_text();
        if !stderr.is_empty() {
            message.push('\n');
            message.push_str(&stderr);
        }
        Verdict::Failed(message)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.ended {
            let _may_have_ended = self.child.kill();
            let _nothing_to_learn = self.child.wait();
        }
    }
}

#[cfg(test)]
#[path = "command_tests.rs"]
mod tests;
