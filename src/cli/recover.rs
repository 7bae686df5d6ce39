//! `larder recover`

use std::path::PathBuf;

use clap::Args;

use larder::repo::slots::{self, Credential};

use crate::cli::init::Kdf;
use crate::cli::key::added;
use crate::cli::output::Outcome;
use crate::cli::session::{self, Session};
use crate::cli::unlock::{Recovery, recovery_key};

/// Unlock with the recovery key, and add a new password or key file
///
/// The new password comes from where passwords come from otherwise: LARDER_PASSWORD, --password-file,
/// --password-command or a prompt; --key-file adds a key file instead.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The recovery key; without one it comes from LARDER_RECOVERY_KEY or is asked for, which keeps it out of the
    /// list of processes
    #[arg(long, value_name = "KEY", num_args = 0..=1, conflicts_with = "recovery_file")]
    recovery_key: Option<Option<String>>,
    /// Read the recovery key from this file, as `larder init --recovery-file` wrote it
    #[arg(long, value_name = "FILE")]
    recovery_file: Option<PathBuf>,
    /// How much a password is stretched
    #[arg(long, value_name = "HOW", default_value = "standard")]
    kdf: Kdf,
}

/// Recovers.
pub fn run(session: &mut Session, arguments: &Arguments) -> Outcome {
    let storage = session.storage()?;
    let from = match (&arguments.recovery_file, &arguments.recovery_key) {
        (Some(file), _) => Recovery::File(file),
        (None, Some(Some(text))) => Recovery::Text(text),
        (None, _) => Recovery::Ask,
    };
    let root = recovery_key(&from)?;
    // Opened before a new password is asked for: a wrong recovery key is said first.
    let (repo, root) = session.open_with(storage, &Credential::Recovery(root))?;
    let credential = session.global.given.locking()?;
    let slot = slots::add(&repo, &root, &credential, arguments.kdf.stretch(), "recovered", session::now())?;
    added(session, &repo, slot)
}
