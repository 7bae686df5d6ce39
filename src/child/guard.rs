//! What must happen even if larder is killed: a stopped container is started again.
//!
//! Promise: the command runs exactly once, when it is asked for or when larder is gone, whatever ended it: a small shell
//! waits for the end of a pipe that only larder holds, and takes no notice of polite signals.
//! Left out on purpose: a machine that goes down meanwhile.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use crate::child::{Tail, end, wait};

/// Waits for the end of its input, then becomes the command.
const SHELL: &str = "trap '' TERM INT HUP; read -r _; exec \"$@\"";

/// A command that is bound to run.
pub struct Guard {
    child: Child,
    /// Its end is the sign.
    held: Option<ChildStdin>,
    said: Option<Tail>,
    name: String,
}

impl Guard {
    /// From now on the command is bound to run.
    pub fn new(program: &str, arguments: &[String], variables: &[(&str, String)]) -> io::Result<Self> {
        let mut command = Command::new("sh");
        command.args(["-c", SHELL, "larder-guard", program]).args(arguments.iter().map(OsString::from));
        command.envs(variables.iter().map(|(name, value)| (name, value)));
        // A group of its own: what ends larder's group does not end it.
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).process_group(0);
        let mut child = command.spawn()?;
        let (held, said) = (child.stdin.take(), child.stderr.take().map(Tail::of));
        Ok(Self { child, held, said, name: program.to_owned() })
    }

    /// Runs it now, to its end, but no longer than the limit.
    pub fn release(mut self, limit: Duration) -> Result<(), String> {
        drop(self.held.take());
        let name = &self.name;
        let said = || self.said.as_ref().map(Tail::text).unwrap_or_default();
        match wait(&mut self.child, limit) {
            Ok(Some(status)) if status.success() => Ok(()),
            Ok(Some(status)) => Err(format!("{name} failed: {status}\n{}", said()).trim_end().to_owned()),
            Ok(None) => {
                end(&mut self.child);
                Err(format!("{name} took longer than {} seconds and was ended", limit.as_secs()))
            }
            Err(error) => Err(format!("cannot tell how {name} ended: {error}")),
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if self.held.take().is_some() {
            let _nobody_to_tell = self.child.wait();
        }
    }
}

#[cfg(test)]
#[path = "guard_tests.rs"]
mod tests;
