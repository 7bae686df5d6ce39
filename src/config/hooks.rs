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
    /// How long each may take.
    pub limit: Duration,
}

impl Default for Hooks {
    fn default() -> Self {
        Self { before: None, after: None, on_success: None, on_failure: None, limit: LIMIT }
    }
}

impl Hooks {
    /// Reads a table of hooks.
    pub fn read(section: Section<'_, '_>) -> Self {
        let words = |key| Words::read(&section, key);
        let hooks = Self {
            before: words("before"),
            after: words("after"),
            on_success: words("on_success"),
            on_failure: words("on_failure"),
            limit: section.parsed::<Length>("limit").map_or(LIMIT, Length::duration),
        };
        section.finish();
        hooks
    }
}
