//! Commands around a run and around its sources.

use std::process::Command;

use crate::child;
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

/// Runs what comes after: `on_success` or `on_failure`, then `after`. Errors name the hooks.
pub fn run_after(hooks: &Hooks, facts: &Facts<'_>) -> Vec<String> {
    let (name, words) = match facts.status {
        Some(Status::Failed) => ("on_failure", &hooks.on_failure),
        _ => ("on_success", &hooks.on_success),
    };
    let results = [run(hooks, name, words.as_ref(), facts), run(hooks, "after", hooks.after.as_ref(), facts)];
    results.into_iter().filter_map(Result::err).collect()
}
