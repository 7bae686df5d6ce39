//! Commands around a run and around its sources.

use std::process::Command;

use crate::child;
use crate::child::guard::Guard;
use crate::config::hooks::{Hooks, Words};
use crate::run::report::Status;

/// What a hook finds in its environment.
pub struct Facts<'f> {
    /// The run.
    pub run: &'f str,
    /// The source; empty around the whole run.
    pub source: &'f str,
    /// How it ended; none before.
    pub status: Option<Status>,
    /// The snapshot; empty if there is none.
    pub snapshot: &'f str,
}

impl Facts<'_> {
    /// As variables.
    pub fn variables(&self) -> [(&'static str, String); 4] {
        [
            ("LARDER_RUN", self.run.to_owned()),
            ("LARDER_SOURCE", self.source.to_owned()),
            ("LARDER_STATUS", self.status.map_or("", Status::word).to_owned()),
            ("LARDER_SNAPSHOT", self.snapshot.to_owned()),
        ]
    }
}

/// Runs a hook, if there is one. An error names the hook.
pub fn run(hooks: &Hooks, name: &str, words: Option<&Words>, facts: &Facts<'_>) -> Result<(), String> {
    let Some((program, arguments)) = words.and_then(|words| words.0.split_first()) else { return Ok(()) };
    let mut command = Command::new(program);
    command.args(arguments).envs(facts.variables());
    child::run(command, hooks.limit).map_err(|error| format!("hook {name}: {error}"))
}

/// The hooks around something. From `begin` on, `after` is bound to run, even if larder is killed.
pub struct Around<'h> {
    hooks: &'h Hooks,
    after: Option<Guard>,
}

impl<'h> Around<'h> {
    /// Runs `before`. When that fails, what it stands before is not done, but `end` is due all the same.
    pub fn begin(hooks: &'h Hooks, facts: &Facts<'_>) -> (Self, Result<(), String>) {
        match bound("after", hooks.after.as_ref(), facts) {
            Ok(after) => (Self { hooks, after }, run(hooks, "before", hooks.before.as_ref(), facts)),
            Err(error) => (Self { hooks, after: None }, Err(error)),
        }
    }

    /// Runs `on_success` or `on_failure`, then `after`. Errors name the hooks.
    pub fn end(self, facts: &Facts<'_>) -> Vec<String> {
        let (name, words) = match facts.status {
            Some(Status::Failed) => ("on_failure", &self.hooks.on_failure),
            _ => ("on_success", &self.hooks.on_success),
        };
        let status = facts.status.map_or("", Status::word);
        let release = |guard: Guard| guard.release_saying(status, facts.snapshot, self.hooks.limit);
        let ended = run(self.hooks, name, words.as_ref(), facts);
        let after = self.after.map_or(Ok(()), release).map_err(|error| format!("hook after: {error}"));
        [ended, after].into_iter().filter_map(Result::err).collect()
    }
}

/// A hook that is bound to run, if there is one.
pub fn bound(name: &str, words: Option<&Words>, facts: &Facts<'_>) -> Result<Option<Guard>, String> {
    let Some((program, arguments)) = words.and_then(|words| words.0.split_first()) else { return Ok(None) };
    let guard = Guard::new(program, arguments, &facts.variables());
    guard.map(Some).map_err(|error| format!("hook {name}: {error}"))
}

/// What came of something that was done while what `stop` stops was stopped.
pub struct Stopped<T> {
    /// That.
    pub done: Result<T, String>,
    /// Whether what was stopped was started again.
    pub started: Result<(), String>,
}

/// Runs `stop`, does something, and runs `start`, which is bound to run from the beginning.
pub fn while_stopped<T>(hooks: &Hooks, facts: &Facts<'_>, work: impl FnOnce() -> Result<T, String>) -> Stopped<T> {
    let guard = match bound("start", hooks.start.as_ref(), facts) {
        Ok(guard) => guard,
        Err(error) => return Stopped { done: Err(error), started: Ok(()) },
    };
    let done = run(hooks, "stop", hooks.stop.as_ref(), facts).and_then(|()| work());
    // Whatever came of it.
    let started = guard.map_or(Ok(()), |guard| guard.release(hooks.limit));
    Stopped { done, started: started.map_err(|error| format!("hook start: {error}")) }
}
