//! Why a repository could not do what was asked.

use std::path::PathBuf;

use crate::crypto;
use crate::format::{FORMAT_VERSION, Kind, Reject};
use crate::id::{ChunkId, PackId, SnapshotId};
use crate::index;
use crate::storage;

/// Why a repository could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no config.
    #[error("there is no repository here")]
    NotARepository,
    /// The repository is of a newer format, as its config says.
    #[error("{object} has format version {version}, which this larder does not know")]
    Newer {
        /// The copy of the config.
        object: String,
        /// Its version.
        version: u8,
    },
    /// No key slot opens with this password or key file.
    #[error("wrong password or key")]
    WrongKey,
    /// Every key slot is damaged or missing.
    #[error("no usable key slot: {reason}")]
    NoSlot {
        /// What is wrong with them.
        reason: String,
    },
    /// No more slots may be added, or the last may not go.
    #[error("{0}")]
    SlotRefused(&'static str),
    /// An object is not what it should be.
    #[error("{object} is damaged: {reason}")]
    Damaged {
        /// Its name.
        object: String,
        /// What is wrong.
        reason: String,
    },
    /// A chunk is in no pack that counts.
    #[error("{kind} chunk {id} is missing")]
    MissingChunk {
        /// Its kind.
        kind: Kind,
        /// Its name.
        id: ChunkId,
    },
    /// What was just sealed could not be opened to the same bytes.
    #[error("a freshly sealed {what} did not read back as it was: bad memory, or a bug")]
    SelfCheck {
        /// What it was.
        what: &'static str,
    },
    /// The storage failed.
    #[error(transparent)]
    Storage(#[from] storage::Error),
    /// The index failed.
    #[error(transparent)]
    Index(#[from] index::Error),
    /// A cryptographic step failed.
    #[error(transparent)]
    Crypto(#[from] crypto::Error),
    /// Compression failed.
    #[error("compression failed: {0}")]
    Compression(String),
    /// The repository is older than what this client has seen.
    #[error("the repository went back in time: log entry {expected} was seen here, and {found}")]
    RolledBack {
        /// The newest entry seen.
        expected: u64,
        /// What is there instead.
        found: String,
        /// Where the client's memory is.
        memory: PathBuf,
    },
    /// Others were faster too many times.
    #[error("the log kept growing: {attempts} attempts to append lost their slot")]
    Busy {
        /// How many.
        attempts: u32,
    },
    /// Something this run needed was deleted while it ran.
    #[error("pack {pack} was pruned while this ran")]
    PackSwept {
        /// The pack.
        pack: PackId,
    },
    /// What is asked for may be in an entry of the log that cannot be read.
    #[error("there is no such snapshot in what can be read of the log, and entry {seq} cannot be ({reason})")]
    LogUnread {
        /// Its number.
        seq: u64,
        /// What is wrong.
        reason: String,
    },
    /// The log has entries that cannot be read, so nothing may be deleted.
    #[error("log entry {seq} cannot be read ({reason}), so nothing may be deleted")]
    LogDamaged {
        /// Its number.
        seq: u64,
        /// What is wrong.
        reason: String,
    },
    /// A pack that is needed is not in the storage as it should be.
    #[error("pack {pack}: {problem}")]
    PackLost {
        /// The pack.
        pack: PackId,
        /// `missing` or of the wrong length.
        problem: String,
    },
    /// No such snapshot.
    #[error("snapshot {0} is not in the log")]
    NoSnapshot(SnapshotId),
    /// A worker thread died.
    #[error("a worker thread stopped unexpectedly")]
    Worker,
}

impl Error {
    /// An object that its decoder refused. The config says of which version a repository is, so that another version
    /// in any other object is damage.
    pub fn reject(object: impl Into<String>, reject: Reject) -> Self {
        Error::Damaged { object: object.into(), reason: reject.to_string() }
    }

    /// A copy of the config that its decoder refused.
    pub fn reject_config(object: impl Into<String>, reject: Reject) -> Self {
        match reject {
            Reject::Version(version) if version > FORMAT_VERSION => Error::Newer { object: object.into(), version },
            other => Self::reject(object, other),
        }
    }

    /// An object that did not open.
    pub fn forged(object: impl Into<String>, error: crypto::Error) -> Self {
        Error::Damaged { object: object.into(), reason: error.to_string() }
    }

    /// Whether it tells of damage in the repository rather than of a call that failed.
    pub fn is_damage(&self) -> bool {
        match self {
            Error::Damaged { .. } | Error::MissingChunk { .. } | Error::PackLost { .. } | Error::Newer { .. } => true,
            Error::Storage(error) => error.is_damage(),
            _ => false,
        }
    }
}
