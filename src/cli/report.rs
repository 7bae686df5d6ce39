//! What went wrong, in words for people: a message, where it was, what to do next, and the exit code.
//!
//! Promise: the one place that decides what an error of the library means to whoever typed the command (`meanings`).

mod meanings;

use std::error::Error as StdError;
use std::fmt::Write as _;
use std::process::ExitCode;

pub use meanings::{no_such_path, some_of};

use crate::cli::output::harmless;

/// How a command ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Done,
    /// An error; nothing is lost.
    Failed,
    /// Something is wrong with what was typed.
    Usage,
    /// Done, but some entries could not be read.
    Incomplete,
    /// Something in the repository, or in what was restored, is damaged.
    Damage,
    /// A source has no snapshot as new as it should have.
    Missed,
    /// There is no repository.
    NoRepository,
    /// The repository is busy, or its storage refused.
    Refused,
    /// Wrong password or key, or a newer format.
    Locked,
}

impl Exit {
    /// The number that scripts see. Fixed for ever.
    pub const fn code(self) -> u8 {
        match self {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::Incomplete => 3,
            Exit::Damage => 4,
            Exit::Missed => 5,
            Exit::NoRepository => 10,
            Exit::Refused => 11,
            Exit::Locked => 12,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit.code())
    }
}

/// Why a command did not do what it should.
#[derive(Debug)]
pub struct Failure {
    message: String,
    details: Vec<String>,
    hint: Option<String>,
    exit: Exit,
}

impl Failure {
    /// An error without a hint.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { message: message.into(), details: Vec::new(), hint: None, exit }
    }

    /// Something is wrong with what was typed.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// An error of the operating system.
    pub fn io(doing: impl Into<String>, error: &std::io::Error) -> Self {
        Self::new(Exit::Failed, format!("{}: {error}", doing.into()))
    }

    /// With one line more on what it was.
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.details.push(detail.into());
        self
    }

    /// With what to do next.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// With the causes of an error as details.
    fn causes(mut self, error: &dyn StdError) -> Self {
        let mut next = error.source();
        while let Some(cause) = next {
            self.details.push(cause.to_string());
            next = cause.source();
        }
        self
    }

    /// How the command ends.
    pub fn exit(&self) -> Exit {
        self.exit
    }

    /// What went wrong, in full.
    pub fn message(&self) -> String {
        [&self.message].into_iter().chain(&self.details).map(String::as_str).collect::<Vec<_>>().join(": ")
    }

    /// What to do next.
    pub fn advice(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// As printed.
    pub fn text(&self) -> String {
        let mut text = format!("error: {}\n", harmless(&self.message));
        for detail in &self.details {
            let _ = writeln!(text, "  {}", harmless(detail).replace('\n', "\n  "));
        }
        if let Some(hint) = &self.hint {
            let _ = writeln!(text, "  hint: {}", harmless(hint));
        }
        text
    }
}
