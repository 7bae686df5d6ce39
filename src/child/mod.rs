//! Child processes: the end of what they say, and an end to those that take too long.

pub mod guard;
pub mod printing;

use std::io::{self, ErrorKind, PipeWriter, Read, Write};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};
use zeroize::Zeroizing;

use crate::child::guard::Guard;

/// How much of what a child writes is kept: the end of it.
pub const TAIL_BYTES_MAX: usize = 64 << 10;
/// How long to wait for the end of its output once a child has ended. A daemon it left behind may hold it.
const TAIL_WAIT: Duration = Duration::from_secs(2);
/// How often a child with a time limit is looked after.
const PAUSE: Duration = Duration::from_millis(20);
/// How long a child may take to end once it was asked to.
const MANNERS: Duration = Duration::from_secs(5);

/// The end of a stream, read on a thread of its own so that whoever writes it never waits.
pub struct Tail {
    bytes: Arc<Mutex<Vec<u8>>>,
    ended: Receiver<()>,
}

impl Tail {
    /// Begins to read.
    pub fn of(stream: impl Read + Send + 'static) -> Self {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let (end, ended) = channel();
        let kept = bytes.clone();
        thread::spawn(move || {
            keep(stream, &kept);
            let _nobody_may_wait = end.send(());
        });
        Self { bytes, ended }
    }

    /// What was said last, as text.
    pub fn text(&self) -> String {
        let _daemon_may_hold_it = self.ended.recv_timeout(TAIL_WAIT);
        let mut tail = lock(&self.bytes).clone();
        let surplus = tail.len().saturating_sub(TAIL_BYTES_MAX);
        tail.drain(..surplus);
        String::from_utf8_lossy(&tail).trim().to_owned()
    }

    fn added_to(&self, message: String) -> String {
        match self.text() {
            said if said.is_empty() => message,
            said => format!("{message}\n{said}"),
        }
    }
}

fn lock(bytes: &Mutex<Vec<u8>>) -> MutexGuard<'_, Vec<u8>> {
    bytes.lock().unwrap_or_else(PoisonError::into_inner)
}

fn keep(mut stream: impl Read, tail: &Mutex<Vec<u8>>) {
    let mut buffer = [0; 4096];
    loop {
        let bytes = match stream.read(&mut buffer) {
            Ok(0) => return,
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(_) => return,
        };
        let mut tail = lock(tail);
        tail.extend_from_slice(&buffer[..bytes]);
        if tail.len() >= 2 * TAIL_BYTES_MAX {
            let surplus = tail.len() - TAIL_BYTES_MAX;
            tail.drain(..surplus);
        }
    }
}

/// What a shell command prints, which is no longer than so many bytes. What it complains of goes where larder complains.
pub fn output_of(command: &str, bytes_max: usize) -> Result<Zeroizing<Vec<u8>>, String> {
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(command).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit());
    let mut child = shell.spawn().map_err(|error| format!("cannot be run: {error}"))?;
    let mut printed = Zeroizing::new(Vec::new());
    let read = match child.stdout.take() {
        Some(stdout) => stdout.take(bytes_max as u64 + 1).read_to_end(&mut printed),
        None => Ok(0),
    };
    if printed.len() > bytes_max {
        let _may_have_ended = child.kill();
    }
    let status = child.wait();
    match (read, status) {
        _ if printed.len() > bytes_max => Err(format!("prints more than {bytes_max} bytes")),
        (Err(error), _) | (_, Err(error)) => Err(format!("broke off: {error}")),
        (Ok(_), Ok(status)) if status.success() => Ok(printed),
        (Ok(_), Ok(status)) => Err(format!("failed: {status}")),
    }
}

/// Runs a command to its end, but no longer than the limit; then it and all it started are asked to end, and made to.
/// What it says is kept for the error.
pub fn run(mut command: Command, limit: Duration) -> Result<(), String> {
    let leash = leashed(&mut command, None)?;
    command.stdin(Stdio::null());
    Heard::start(command)?.wait_to_the_end(limit, Some(leash))
}

/// A command that is going to be started is, with all that it will start, bound to end when larder is killed, from its
/// first moment on. `pipe`: whoever reads from it sees no end of it before.
pub fn leashed(command: &mut Command, pipe: Option<&PipeWriter>) -> Result<Guard, String> {
    let leash = Guard::of_group(pipe, MANNERS).map_err(|error| format!("cannot start a guard: {error}"))?;
    command.process_group(leash.group());
    Ok(leash)
}

/// Bound to end a process when larder is killed.
pub fn leash(process: u32) -> io::Result<Guard> {
    Guard::of_process(process, MANNERS)
}

/// What a command prints, which is no longer than so many bytes and takes no longer than the limit. What it complains of is
/// kept for the error. If larder is killed, it and all it started are ended, and its standard input, on which nothing ever
/// comes: whoever is out of reach of signals, in a container say, knows by that.
pub fn printed(mut command: Command, bytes_max: usize, limit: Duration) -> Result<Zeroizing<Vec<u8>>, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let leash = leashed(&mut command, None)?;
    let mut child = command.spawn().map_err(|error| format!("cannot start {name}: {error}"))?;
    // Taken: to wait for a child closes it otherwise.
    let _held = child.stdin.take();
    let tail = child.stderr.take().map(Tail::of);
    let (read, ended) = channel();
    if let Some(stdout) = child.stdout.take() {
        thread::spawn(move || {
            let mut bytes = Zeroizing::new(Vec::new());
            let broken = stdout.take(bytes_max as u64 + 1).read_to_end(&mut bytes).err();
            let _nobody_may_wait = read.send((bytes, broken));
        });
    }
    let printed = ended.recv_timeout(limit).ok();
    let many = printed.as_ref().is_some_and(|(bytes, _)| bytes.len() > bytes_max);
    let status = if printed.is_some() && !many { wait(&mut child, limit) } else { Ok(None) };
    let group = leash.disarm();
    if !matches!(status, Ok(Some(_))) {
        end(&mut child, group);
    }
    let said = |message: String| tail.map_or(message.clone(), |tail| tail.added_to(message));
    match (printed, status) {
        _ if many => Err(format!("{name} prints more than {bytes_max} bytes")),
        (Some((_, Some(error))), _) | (_, Err(error)) => Err(said(format!("the output of {name} broke off: {error}"))),
        (None, _) | (_, Ok(None)) => Err(said(took_too_long(&name, limit))),
        (Some((bytes, None)), Ok(Some(status))) if status.success() => Ok(bytes),
        (_, Ok(Some(status))) => Err(said(format!("{name} failed: {status}"))),
    }
}

/// Runs a command to its end and gives it on its standard input what `write` writes. What it says is kept for the error,
/// and counts more than that it did not read on.
///
/// It sees the end of its input only if all was written: when the rest cannot be had, or larder is killed, it and all it
/// started are ended before, so that half of something never passes for the whole.
pub fn feed(mut command: Command, write: impl FnOnce(&mut dyn Write) -> Result<(), String>) -> Result<(), String> {
    let (reader, stdin) = io::pipe().map_err(|error| format!("cannot make a pipe: {error}"))?;
    let leash = leashed(&mut command, Some(&stdin))?;
    command.stdin(reader);
    let Heard { mut child, name, tail } = Heard::start(command)?;
    let mut stdin = Listener { stdin, left: false };
    let written = write(&mut stdin);
    let broke_off = written.is_err() && !stdin.left;
    let group = leash.disarm();
    if broke_off {
        end(&mut child, group);
    }
    drop(stdin);
    match child.wait() {
        Ok(status) if broke_off || status.success() => written,
        Ok(status) => Err(tail.added_to(format!("{name} failed: {status}"))),
        Err(error) => Err(format!("cannot tell how {name} ended: {error}")),
    }
}

/// The standard input of a child that may not care for the rest.
struct Listener {
    stdin: PipeWriter,
    left: bool,
}

impl Write for Listener {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stdin.write(bytes).inspect_err(|error| self.left |= error.kind() == ErrorKind::BrokenPipe)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stdin.flush()
    }
}

fn took_too_long(name: &str, limit: Duration) -> String {
    format!("{name} took longer than {} seconds and was ended", limit.as_secs())
}

/// A child, and the end of all that it says.
struct Heard {
    child: Child,
    name: String,
    tail: Tail,
}

impl Heard {
    fn start(mut command: Command) -> Result<Self, String> {
        let name = command.get_program().to_string_lossy().into_owned();
        let started = (|| {
            let (reader, writer) = io::pipe()?;
            command.stdout(writer.try_clone()?).stderr(writer);
            let child = command.spawn()?;
            // The command holds the writing ends until it is gone.
            drop(command);
            Ok((child, Tail::of(reader)))
        })();
        let (child, tail) = started.map_err(|error: io::Error| format!("cannot start {name}: {error}"))?;
        Ok(Self { child, name, tail })
    }

    /// Waits for the end of a child, but no longer than the limit; then it and its group are ended.
    fn wait_to_the_end(mut self, limit: Duration, leash: Option<Guard>) -> Result<(), String> {
        let Self { child, name, tail } = &mut self;
        let status = wait(child, limit);
        let group = leash.map_or_else(|| group_of(child), Guard::disarm);
        match status {
            Ok(Some(status)) if status.success() => Ok(()),
            Ok(Some(status)) => Err(tail.added_to(format!("{name} failed: {status}"))),
            Ok(None) => {
                end(child, group);
                Err(tail.added_to(took_too_long(name, limit)))
            }
            Err(error) => {
                end(child, group);
                Err(format!("cannot tell how {name} ended: {error}"))
            }
        }
    }
}

/// A child that runs beside larder. Dropped while it runs, it and all it started are asked to end, and made to; what one
/// that ended by itself has left behind runs on.
pub struct Running(Child);

impl Running {
    /// Starts it.
    pub fn start(mut command: Command) -> io::Result<Self> {
        command.stdin(Stdio::null()).process_group(0).spawn().map(Self)
    }

    /// Whether it has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        self.0.try_wait().map_or(true, |status| status.is_some())
    }

    /// Whether a signal has ended it.
    pub fn was_killed(&mut self) -> bool {
        self.0.try_wait().is_ok_and(|status| status.is_some_and(|status| status.signal().is_some()))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.has_ended() {
            let group = group_of(&self.0);
            end(&mut self.0, group);
        }
    }
}

/// Waits for a child, up to the limit; `None` when it still runs.
fn wait(child: &mut Child, limit: Duration) -> io::Result<Option<std::process::ExitStatus>> {
    let mut waited = Duration::ZERO;
    loop {
        let status = child.try_wait()?;
        if status.is_some() || waited >= limit {
            return Ok(status);
        }
        thread::sleep(PAUSE);
        waited += PAUSE;
    }
}

/// The process group that a child leads.
fn group_of(child: &Child) -> i32 {
    i32::try_from(child.id()).unwrap_or(i32::MAX)
}

/// Ends a child and the process group that it is in: those that it left behind, too.
fn end(child: &mut Child, group: i32) {
    let Some(group) = Pid::from_raw(group) else { return };
    let _may_have_ended = kill_process_group(group, Signal::TERM);
    let mut waited = Duration::ZERO;
    while waited < MANNERS {
        // Until it is collected, the child itself counts for the group.
        let _ended = child.try_wait();
        if test_kill_process_group(group).is_err() {
            return;
        }
        thread::sleep(PAUSE);
        waited += PAUSE;
    }
    let _may_have_ended = kill_process_group(group, Signal::KILL);
    let _nothing_to_learn = child.wait();
}

#[cfg(test)]
#[path = "child_tests.rs"]
mod tests;
