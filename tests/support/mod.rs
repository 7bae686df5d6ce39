//! What several tests stand on: doubles of a storage, and a repository to try them on.

// Shared by the suite and the benches; each uses a part.
#![allow(dead_code)]

pub mod binary;
pub mod configured;
pub mod crashing;
pub mod damage_repo;
pub mod damage_samples;
pub mod days;
pub mod disk;
pub mod docker;
pub mod failing;
pub mod hold;
pub mod jobs;
pub mod meanwhile;
pub mod on_disk;
pub mod past;
pub mod peak;
pub mod recording;
pub mod repo;
pub mod schemas;
pub mod tree;
pub mod waiting;
pub mod web;

/// Whether everything is to be tried that is sampled otherwise.
pub fn exhaustive() -> bool {
    std::env::var_os("LARDER_TEST_ALL").is_some_and(|value| value == "1")
}

/// Says what was going on when an assertion fails.
pub fn told(what: &str, run: impl FnOnce()) {
    if let Err(cause) = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)) {
        let message = cause.downcast_ref::<String>().cloned();
        let message = message.or(cause.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        panic!("{what}: {}", message.unwrap_or_default());
    }
}

/// Which of a storage's calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CallKind {
    PutNew,
    Get,
    GetWhole,
    List,
    Delete,
    Barrier,
}

impl CallKind {
    /// Whether the call changes what is stored, or what survives.
    pub fn changes(self) -> bool {
        matches!(self, Self::PutNew | Self::Delete | Self::Barrier)
    }

    /// The word for it in an error of the storage.
    pub fn word(self) -> &'static str {
        match self {
            Self::PutNew => "write",
            Self::Get | Self::GetWhole => "read",
            Self::List => "list",
            Self::Delete => "delete",
            Self::Barrier => "sync",
        }
    }
}
