//! Containers that are stopped or paused for a while.
//!
//! Promise: what ran before runs again afterwards, whatever ends larder: a guard is bound to that before the first one
//! is touched. They are stopped the newest first, and started the other way round.
//! Left out on purpose: whether what runs in them is well, which only a probe can tell.

use std::thread;
use std::time::Duration;

use crate::child::guard::Guard;
use crate::run::services::Held;
use crate::run::services::docker_volume::engine::{self, Container, docker};

/// How long one container may take to stop, or all of them to start. Their own time to stop is a part of it.
const LIMIT: Duration = Duration::from_secs(15 * 60);
/// How long containers are looked after once they were started: what cannot live with what it finds ends soon.
const SETTLING: Duration = Duration::from_secs(2);

/// How containers are held still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// Nothing in them runs.
    Paused,
    /// They are not there.
    Stopped,
}

/// Containers that stand still, or did.
pub struct Standstill {
    how: How,
    /// Their names, those to be stopped first at the front.
    names: Vec<String>,
    guard: Option<Guard>,
}

impl Standstill {
    /// Holds containers still. What cannot be is an error, and none is held then.
    pub fn begin(containers: &[Container], how: How) -> Result<Self, String> {
        if let Some(gone) = containers.iter().find(|container| how == How::Stopped && container.removes_itself()) {
            return Err(format!(
                "container {} is removed when it is stopped (--rm): it cannot be started again",
                gone.name()
            ));
        }
        let names = containers.iter().map(|container| container.name().to_owned()).collect();
        let mut standstill = Self { how, names, guard: None };
        standstill.again()?;
        Ok(standstill)
    }

    fn hold(&mut self) -> Result<(), String> {
        let (undo, hold) = match self.how {
            How::Paused => ("unpause", "pause"),
            How::Stopped => ("start", "stop"),
        };
        let words: Vec<String> = [undo.to_owned()].into_iter().chain(self.names.iter().rev().cloned()).collect();
        let guard = Guard::new("docker", &words, &[]).map_err(|error| format!("cannot start a guard: {error}"))?;
        let guard = self.guard.insert(guard);
        for name in &self.names {
            guard.run(docker(&[hold, name]), LIMIT).map_err(|error| format!("container {name}: {error}"))?;
        }
        Ok(())
    }

    /// Those that do not run, and why.
    fn down(&self) -> Vec<String> {
        let names: Vec<&str> = self.names.iter().map(String::as_str).collect();
        match engine::inspect(&names) {
            Ok(containers) => containers.iter().filter(|found| found.state.status != "running").map(said).collect(),
            Err(error) => vec![format!("whether {} runs again is not known: {error}", names.join(", "))],
        }
    }
}

/// What became of a container that should run.
fn said(container: &Container) -> String {
    let (name, state) = (container.name(), &container.state);
    let why = if state.error.is_empty() { format!("exit code {}", state.exit_code) } else { state.error.clone() };
    format!("container {name} does not run again: it is {} ({why})", state.status)
}

impl Held for Standstill {
    fn release(&mut self) -> Result<(), String> {
        let Some(guard) = self.guard.take() else { return Ok(()) };
        let undone = guard.release(LIMIT);
        let mut errors = self.down();
        if errors.is_empty() && self.how == How::Stopped {
            thread::sleep(SETTLING);
            errors = self.down();
        }
        // That all of them run is what counts, however it came about.
        if errors.is_empty() {
            return Ok(());
        }
        errors.extend(undone.err());
        Err(errors.join("\n"))
    }

    fn again(&mut self) -> Result<(), String> {
        if self.guard.is_some() || self.names.is_empty() {
            return Ok(());
        }
        self.hold().map_err(|error| match self.release() {
            Ok(()) => error,
            Err(too) => format!("{error}\n{too}"),
        })
    }
}
