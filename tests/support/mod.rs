//! What several tests stand on: doubles of a storage.

// Shared by the suite and the benches; each uses a part.
#![allow(dead_code)]

pub mod crashing;
pub mod failing;
pub mod recording;

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
