//! Commands around a run and around each of its sources.

use std::time::Duration;

use crate::config::reading::Section;
use crate::duration::Length;

/// How long a hook may take unless the configuration says otherwise.
const LIMIT: Duration = Duration::from_secs(10 * 60);

/// A command with its arguments; a text is one for the shell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words(pub Vec<String>);

impl Words {
    /// Reads a command: a list of words, or one text for `sh -c`.
    pub fn read(section: &Section<'_, '_>, key: &'static str) -> Option<Self> {
        let words = if section.is_list(key) {
            section.texts(key)?
        } else {
            vec!["sh".to_owned(), "-c".to_owned(), section.text(key)?]
        };
        if words.iter().all(String::is_empty) {
            section.mistake(key, "is empty");
            return None;
        }
        Some(Self(words))
    }

    /// Reads a command that need not be there.
    pub fn read_if_there(section: &Section<'_, '_>, key: &'static str) -> Option<Self> {
        section.has(key).then(|| Self::read(section, key)).flatten()
    }
}

/// What is run when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hooks {
    /// Before; when it fails, what it is before is not done.
    pub before: Option<Words>,
    /// After, whatever happened.
    pub after: Option<Words>,
    /// After success.
    pub on_success: Option<Words>,
    /// After a failure.
    pub on_failure: Option<Words>,
    /// Before something is put back: stops what uses the service.
    pub stop: Option<Words>,
    /// After something was put back, whatever came of it: starts what was stopped.
    pub start: Option<Words>,
    /// Whether all is well after something was put back.
    pub probe: Option<Words>,
    /// How long each may take.
    pub limit: Duration,
}

impl Default for Hooks {
    fn default() -> Self {
        Self {
            before: None,
            after: None,
            on_success: None,
            on_failure: None,
            stop: None,
            start: None,
            probe: None,
            limit: LIMIT,
        }
    }
}

impl Hooks {
    /// Reads the hooks around a run.
    pub fn of_runs(section: Section<'_, '_>) -> Self {
        let hooks = Self::around(&section);
        section.finish();
        hooks
    }

    /// Reads the hooks around a source, which can be put back, too.
    pub fn of_source(section: Section<'_, '_>) -> Self {
        let words = |key| Words::read_if_there(&section, key);
        let (stop, start, probe) = (words("stop"), words("start"), words("probe"));
        if stop.is_some() && start.is_none() {
            section.mistake("start", "is missing: what `stop` stops must be started again");
        }
        let hooks = Self { stop, start, probe, ..Self::around(&section) };
        section.finish();
        hooks
    }

    fn around(section: &Section<'_, '_>) -> Self {
        let words = |key| Words::read_if_there(section, key);
        Self {
            before: words("before"),
            after: words("after"),
            on_success: words("on_success"),
            on_failure: words("on_failure"),
            limit: section.parsed::<Length>("limit").map_or(LIMIT, Length::duration),
            ..Self::default()
        }
    }
}
