//! The output of commands as a source.
//!
//! Promise: a listing of one file for each; a command that cannot be started, or that ends with anything but success, fails
//! the whole backup and says why in its own words. Dropped early, or when larder is killed, it is ended. Of a dump, the
//! list of its entries is a file beside it.
//! Left out on purpose: shells, and replaying. A command can be run again, but would give other bytes.

use std::ffi::OsString;
use std::io;
use std::ops::ControlFlow;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use zeroize::Zeroizing;

use crate::child::guard::Guard;
use crate::child::{Tail, leash, leashed};
use crate::format::Time;
use crate::format::listing::{Entry, Owner, compare_paths};
use crate::source::sidecar::{self, Maker};
use crate::source::stream::{check_name, fill, set_length, stream_entry};
use crate::source::{Candidate, Content, Error, Found, Problem, Reader, Source, Verdict};

/// So many lines of what a command says that succeeds are shown.
const LINES_SHOWN: usize = 10;

/// A command, and the name under which what it prints is stored.
pub struct Output {
    /// The name of the file.
    pub name: Vec<u8>,
    /// The program.
    pub program: OsString,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// What it finds in its environment beside what larder finds: secrets mostly, which nothing here prints.
    pub variables: Vec<(String, Zeroizing<String>)>,
    /// What it finds on its standard input.
    pub input: Input,
    /// Whether a list of what is in it is stored beside it.
    pub entries: Entries,
}

/// What a command finds on its standard input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// Its end.
    None,
    /// Nothing, and its end when larder reads no more, whatever ended that: for whoever is out of reach of signals.
    Held,
}

/// Whether a list of what is in a dump is stored beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entries {
    /// `NAME.entries` is.
    Beside,
    /// It is not.
    None,
}

impl Output {
    /// The command, with its arguments and variables.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments);
        command.envs(self.variables.iter().map(|(name, value)| (name, value.as_str())));
        command
    }
}

/// Commands whose outputs are stored, each under its name.
pub struct CommandSource {
    outputs: Vec<Output>,
    group: Group,
    owner: Owner,
    time: Time,
}

/// To which processes a command belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Group {
    /// To larder's: it may ask for a password on the terminal.
    Ours,
    /// To one of its own, which is ended as a whole: nobody sits at a terminal.
    Own,
}

impl CommandSource {
    /// A command that somebody typed, whose output is stored as the file `name`, which belongs to `owner` and dates from `time`.
    pub fn new(
        name: &[u8],
        owner: Owner,
        time: Time,
        program: OsString,
        arguments: Vec<OsString>,
    ) -> Result<Self, Error> {
        let output = Output {
            name: name.to_vec(),
            program,
            arguments,
            variables: Vec::new(),
            input: Input::None,
            entries: Entries::None,
        };
        Ok(Self { group: Group::Ours, ..Self::several(vec![output], owner, time)? })
    }

    /// Several commands, at which nobody sits. When one of them fails, nothing is stored of the others either.
    pub fn several(mut outputs: Vec<Output>, owner: Owner, time: Time) -> Result<Self, Error> {
        outputs.sort_by(|a, b| compare_paths(&a.name, &b.name));
        for output in &outputs {
            check_name(&output.name)?;
        }
        if let Some(pair) = outputs.windows(2).find(|pair| pair[0].name == pair[1].name) {
            let name = String::from_utf8_lossy(&pair[0].name).into_owned();
            return Err(Error::Name { name, reason: "there are two of it".to_owned() });
        }
        Ok(Self { outputs, group: Group::Own, owner, time })
    }
}

impl CommandSource {
    /// The name of the list beside an output, unless something else has it.
    fn list_of(&self, output: &Output) -> Option<Vec<u8>> {
        let name = sidecar::name_beside(&output.name).filter(|_| output.entries == Entries::Beside)?;
        self.outputs.iter().all(|other| other.name != name).then_some(name)
    }
}

impl Source for CommandSource {
    fn walk(&self, visit: &mut dyn FnMut(Found) -> ControlFlow<()>) -> Result<(), Error> {
        let mut readers: Vec<(Vec<u8>, Box<dyn Reader>)> = Vec::new();
        for output in &self.outputs {
            let (mut ready, name) = (Ready::new(output, self.group), self.list_of(output));
            if let Some(name) = name {
                let (maker, waiting) = sidecar::pair();
                ready.maker = Some(maker);
                readers.push((name, Box::new(waiting)));
            }
            readers.push((output.name.clone(), Box::new(ready)));
        }
        // A list need not follow its dump at once: `app.sql-old` comes between.
        readers.sort_by(|a, b| compare_paths(&a.0, &b.0));
        for (name, reader) in readers {
            let entry = stream_entry(&name, &self.owner, self.time);
            if visit(Found::Entry(Candidate { entry, reader })).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn replayable(&self) -> bool {
        false
    }
}

/// A command that is started once somebody reads it, so that of many only a few run at a time.
struct Ready {
    program: String,
    command: Command,
    group: Group,
    maker: Option<Maker>,
}

impl Ready {
    fn new(output: &Output, group: Group) -> Self {
        let mut command = output.command();
        let stdin = match output.input {
            Input::None => Stdio::null(),
            Input::Held => Stdio::piped(),
        };
        command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self { program: output.program.to_string_lossy().into_owned(), command, group, maker: None }
    }
}

impl Reader for Ready {
    fn open(self: Box<Self>, _: &mut Entry) -> Result<Box<dyn Content>, Problem> {
        let Self { program, command, group, maker } = *self;
        Ok(match Running::start(command, &program, group, maker) {
            Ok(running) => Box::new(running),
            Err(error) => Box::new(NotStarted(format!("cannot start {program}\n{error}"))),
        })
    }
}

/// A command that could not be started: found out too late for anything but the verdict.
struct NotStarted(String);

impl Content for NotStarted {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Ok(0)
    }

    fn finish(self: Box<Self>, _: &mut Entry, _: u64) -> Verdict {
        Verdict::Failed(self.0)
    }
}

/// A command under way.
struct Running {
    program: String,
    child: Child,
    /// Held: nothing is ever written to it.
    held: Option<ChildStdin>,
    stdout: Option<ChildStdout>,
    stderr: Option<Tail>,
    error: Option<String>,
    /// Ends it if larder does not live to see its end.
    leash: Option<Guard>,
    ended: bool,
    maker: Option<Maker>,
}

impl Running {
    fn start(mut command: Command, program: &str, group: Group, maker: Option<Maker>) -> io::Result<Self> {
        let guarded = match group {
            Group::Ours => None,
            Group::Own => Some(leashed(&mut command, None).map_err(io::Error::other)?),
        };
        let mut child = command.spawn()?;
        let stderr = child.stderr.take().map(Tail::of);
        let (held, stdout) = (child.stdin.take(), child.stdout.take());
        let program = program.to_owned();
        let mut running = Self { program, child, held, stdout, stderr, error: None, leash: None, ended: false, maker };
        running.leash = Some(guarded.map_or_else(|| leash(running.child.id()), Ok)?);
        Ok(running)
    }
}

impl Running {
    /// The end of what it wrote to its standard error.
    fn said(&self) -> String {
        self.stderr.as_ref().map(Tail::text).unwrap_or_default()
    }
}

/// What becomes of a failure in a container of which nothing more is known: why an engine could not start something it
/// says where the output is expected.
pub fn with_cause(failure: String) -> String {
    match failure.strip_prefix("docker failed: exit status: ") {
        Some("126" | "127") => format!("{failure}\nthe container has no `sh`, or it cannot be started there"),
        _ => failure,
    }
}

/// The last lines of a text, as many as a warning should have.
fn last_lines(text: &str) -> &str {
    let cut = text.rmatch_indices('\n').nth(LINES_SHOWN - 1).map_or(0, |(at, _)| at + 1);
    &text[cut..]
}

impl Content for Running {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(stdout) = &mut self.stdout else { return Ok(0) };
        let filled = fill(stdout, buffer).inspect_err(|error| self.error = Some(error.to_string()))?;
        if let Some(maker) = &mut self.maker {
            maker.feed(&buffer[..filled]);
        }
        Ok(filled)
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
        if let Some(leash) = self.leash.take() {
            leash.disarm();
        }
        if status.success() && self.error.is_none() {
            self.maker.take().into_iter().for_each(Maker::finish);
            return match last_lines(&self.said()) {
                "" => Verdict::Steady,
                said => Verdict::Remarked(format!("{} said: {said}", self.program)),
            };
        }
        let mut message = match self.error.take() {
            Some(error) => format!("the output of {} broke off: {error}", self.program),
            None => format!("{} failed: {status}", self.program),
        };
        let stderr = self.said();
        if !stderr.is_empty() {
            message.push('\n');
            message.push_str(&stderr);
        }
        Verdict::Failed(if self.held.is_some() { with_cause(message) } else { message })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.ended {
            // All of its group, if it has one, and surely itself.
            drop(self.leash.take());
            let _may_have_ended = self.child.kill();
            let _nothing_to_learn = self.child.wait();
        }
    }
}

#[cfg(test)]
#[path = "command_tests.rs"]
mod tests;
