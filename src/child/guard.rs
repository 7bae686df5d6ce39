//! What must happen even if larder is killed: a stopped container is started again.
//!
//! Promise: the command runs exactly once, when it is asked for or when larder is gone, whatever ended it: a small shell
//! waits for the end of a pipe that only larder holds, and takes no notice of polite signals. What it undoes is done
//! first: a command that the guard was told of holds the pipe, too.
//! Left out on purpose: a machine that goes down meanwhile.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, PipeWriter, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use rustix::fs::{MemfdFlags, memfd_create};

use crate::child::{Heard, TAIL_BYTES_MAX, end, group_of, wait};

/// The shell. By its place: whatever the search path says, larder's own children must be on their leashes.
const SH: &str = "/bin/sh";
/// Waits for the last words or the end of its input, then becomes the command.
const SHELL: &str = "trap '' TERM INT HUP; read -r LARDER_STATUS LARDER_SNAPSHOT || LARDER_STATUS=failed; \
    export LARDER_STATUS LARDER_SNAPSHOT; exec \"$@\"";
/// Asks the group of this shell to end, and makes those to that are left after so many looks, ten in a second. Asked, the
/// shell itself takes no notice. It counts itself: where it does not, /proc is that of others, and there is only time to
/// go by. `kill` is the shell's own: the program of that name takes the small numbers of a container for signals.
const END_GROUP: &str = "kill -s TERM -- -$$; looks=$1; while [ $looks -gt 0 ]; do left=0; \
    for stat in /proc/[0-9]*/stat; do read -r all 2>/dev/null <$stat || continue; set -- ${all##*) }; \
    if [ \"$3\" = $$ ] && [ \"$1\" != Z ]; then left=$((left + 1)); fi; done; [ $left = 1 ] && break; \
    sleep 0.1 2>/dev/null || sleep 1; looks=$((looks - 1)); done; kill -s KILL -- -$$";
/// The same for one process.
const END_PROCESS: &str = "kill -s TERM -- $1; looks=$2; while kill -s 0 -- $1 2>/dev/null; do \
    read -r all 2>/dev/null </proc/$1/stat && case ${all##*) } in Z*) break; esac; \
    if [ $looks = 0 ]; then kill -s KILL -- $1; break; fi; \
    sleep 0.1 2>/dev/null || sleep 1; looks=$((looks - 1)); done";

/// A command that is bound to run.
pub struct Guard {
    child: Child,
    /// Its end is the sign.
    held: Option<ChildStdin>,
    /// Where it complains. No pipe: with nobody left to read from that, the command would die of its own words.
    said: File,
    name: String,
}

impl Guard {
    /// From now on the command is bound to run.
    pub fn new(program: &str, arguments: &[String], variables: &[(&str, String)]) -> io::Result<Self> {
        Self::with(Stdio::null(), program, arguments, variables)
    }

    /// Leads a process group, which is asked to end when larder is gone, and made to after a while. Whoever reads from the
    /// other end of the pipe sees no end of it before.
    pub(super) fn of_group(pipe: Option<&PipeWriter>, manners: Duration) -> io::Result<Self> {
        let stdout = pipe.map(PipeWriter::try_clone).transpose()?.map_or_else(Stdio::null, Stdio::from);
        Self::with(stdout, SH, &["-c", END_GROUP, "larder-leash", &looks(manners)].map(str::to_owned), &[])
    }

    /// The same for a process that is in larder's own group.
    pub(super) fn of_process(process: u32, manners: Duration) -> io::Result<Self> {
        let words = ["-c", END_PROCESS, "larder-leash", &process.to_string(), &looks(manners)].map(str::to_owned);
        Self::with(Stdio::null(), SH, &words, &[])
    }

    /// The process group that it leads.
    pub fn group(&self) -> i32 {
        group_of(&self.child)
    }

    fn with(stdout: Stdio, program: &str, arguments: &[String], variables: &[(&str, String)]) -> io::Result<Self> {
        let mut command = Command::new(SH);
        command.args(["-c", SHELL, "larder-guard", program]).args(arguments.iter().map(OsString::from));
        command.envs(variables.iter().map(|(name, value)| (name, value)));
        // A group of its own: what ends larder's group does not end it.
        let said = File::from(memfd_create("larder-guard", MemfdFlags::CLOEXEC)?);
        command.stdin(Stdio::piped()).stdout(stdout).stderr(said.try_clone()?).process_group(0);
        let mut child = command.spawn()?;
        let held = child.stdin.take();
        Ok(Self { child, held, said, name: program.to_owned() })
    }

    /// Runs a command that the bound one undoes, to its end, but no longer than the limit. If larder is killed
    /// meanwhile, it goes on and the bound one waits for it: that would come first otherwise, and find nothing to undo.
    pub fn run(&self, mut command: Command, limit: Duration) -> Result<(), String> {
        let shared = self.held.as_ref().map(|held| held.as_fd().try_clone_to_owned()).transpose();
        // Nobody reads from it: a pipe is held by whoever has its end.
        let stdin =
            shared.map_err(|error| format!("cannot share a pipe: {error}"))?.map_or_else(Stdio::null, Stdio::from);
        command.stdin(stdin).process_group(0);
        Heard::start(command)?.wait_to_the_end(limit, None)
    }

    /// Runs it now, to its end, but no longer than the limit.
    pub fn release(self, limit: Duration) -> Result<(), String> {
        self.release_saying("", "", limit)
    }

    /// The same; the command finds how it ended, and the snapshot, in `LARDER_STATUS` and `LARDER_SNAPSHOT`. When larder
    /// is killed it finds `failed` and none.
    pub fn release_saying(mut self, status: &str, snapshot: &str, limit: Duration) -> Result<(), String> {
        if let Some(mut held) = self.held.take() {
            let _the_end_says_as_much = writeln!(held, "{status} {snapshot}");
        }
        let name = &self.name;
        match wait(&mut self.child, limit) {
            Ok(Some(status)) if status.success() => Ok(()),
            Ok(Some(status)) => Err(format!("{name} failed: {status}\n{}", end_of(&self.said)).trim_end().to_owned()),
            Ok(None) => {
                let group = self.group();
                end(&mut self.child, group);
                Err(format!("{name} took longer than {} seconds and was ended", limit.as_secs()))
            }
            Err(error) => Err(format!("cannot tell how {name} ended: {error}")),
        }
    }
}

impl Guard {
    /// Takes it back: the command does not run any more. What remains is the number of the group.
    pub fn disarm(mut self) -> i32 {
        // First, while it holds its breath: a shell that is gone runs nothing.
        let _may_have_ended = self.child.kill();
        let _nothing_to_learn = self.child.wait();
        drop(self.held.take());
        self.group()
    }
}

/// How often the shell looks in this time.
fn looks(manners: Duration) -> String {
    (manners.as_millis() / 100).to_string()
}

/// The end of what is in a file, as text.
fn end_of(mut file: &File) -> String {
    let mut bytes = Vec::new();
    let read = file.metadata().and_then(|found| {
        file.seek(SeekFrom::Start(found.len().saturating_sub(TAIL_BYTES_MAX as u64)))?;
        file.take(TAIL_BYTES_MAX as u64).read_to_end(&mut bytes)
    });
    match read {
        Ok(_) => String::from_utf8_lossy(&bytes).trim().to_owned(),
        Err(error) => format!("what it said cannot be read: {error}"),
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // One that was taken back or released has let go already.
        if self.held.take().is_some() {
            let _nobody_to_tell = self.child.wait();
        }
    }
}

#[cfg(test)]
#[path = "guard_tests.rs"]
mod tests;
