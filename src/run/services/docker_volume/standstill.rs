//! Containers that are stopped or paused for a while.
//!
//! Promise: what ran before runs again afterwards, whatever ends larder: a guard is bound to that before the first one
//! is touched. They are stopped the newest first, and started the other way round.
//! Left out on purpose: whether what runs in them is well, which only a probe can tell.

use std::thread;
use std::time::Duration;

use crate::child::guard::Guard;
use crate::run::services::Held;
use crate::run::services::docker_volume::engine::{Container, Engine};

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

impl How {
    /// What `docker` is told to let them go.
    fn undo(self) -> &'static str {
        match self {
            Self::Paused => "unpause",
            Self::Stopped => "start",
        }
    }
}

/// Containers that stand still, or did.
pub struct Standstill<'p> {
    engine: Engine<'p>,
    how: How,
    /// Their names, and how long each may take; those to be stopped first at the front.
    containers: Vec<(String, Duration)>,
    guard: Option<Guard>,
}

impl<'p> Standstill<'p> {
    /// Holds containers still. What cannot be is an error, and none is held then.
    pub fn begin(engine: Engine<'p>, containers: &[Container], how: How) -> Result<Self, String> {
        if let Some(gone) = containers.iter().find(|container| how == How::Stopped && container.removes_itself()) {
            return Err(format!(
                "container {} is removed when it is stopped (--rm): it cannot be started again",
                gone.name()
            ));
        }
        let with_limit = |container: &Container| {
            let own = if how == How::Stopped { container.stopping() } else { Duration::ZERO };
            (container.name().to_owned(), own + engine.limit)
        };
        let containers = containers.iter().map(with_limit).collect();
        let mut standstill = Self { engine, how, containers, guard: None };
        standstill.again()?;
        Ok(standstill)
    }

    fn hold(&mut self) -> Result<(), String> {
        let hold = match self.how {
            How::Paused => "pause",
            How::Stopped => "stop",
        };
        let words: Vec<String> =
            [self.how.undo().to_owned()].into_iter().chain(self.names().rev().map(str::to_owned)).collect();
        let guard =
            Guard::new(self.engine.program, &words, &[]).map_err(|error| format!("cannot start a guard: {error}"))?;
        let guard = self.guard.insert(guard);
        for (name, limit) in &self.containers {
            let held = guard.run(self.engine.docker(&[hold, name]), *limit);
            held.map_err(|error| format!("container {name}: docker {hold}: {error}"))?;
        }
        Ok(())
    }

    fn names(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.containers.iter().map(|(name, _)| name.as_str())
    }

    /// Those that do not run, and why.
    fn down(&self) -> Vec<String> {
        let names: Vec<&str> = self.names().collect();
        match self.engine.inspect(&names) {
            Ok(containers) => containers.iter().filter(|found| found.state.status != "running").map(said).collect(),
            Err(error) => {
                let (undo, names) = (self.how.undo(), names.join(" "));
                vec![format!(
                    "nobody can say what runs again; once the engine does, then: docker {undo} {names}\n{error}"
                )]
            }
        }
    }
}

/// What became of a container that should run.
fn said(container: &Container) -> String {
    let (name, state) = (container.name(), &container.state);
    let why = if state.error.is_empty() { format!("exit code {}", state.exit_code) } else { state.error.clone() };
    format!("container {name} does not run again: it is {} ({why})", state.status)
}

impl Held for Standstill<'_> {
    fn release(&mut self) -> Result<(), String> {
        let Some(guard) = self.guard.take() else { return Ok(()) };
        // One after the other, at the most.
        let undone = guard.release(self.containers.iter().map(|_| self.engine.limit).sum());
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
        if self.guard.is_some() || self.containers.is_empty() {
            return Ok(());
        }
        self.hold().map_err(|error| match self.release() {
            Ok(()) => error,
            Err(too) => format!("{error}\n{too}"),
        })
    }
}

#[cfg(test)]
#[path = "standstill_tests.rs"]
mod tests;
