//! `larder cat`

use std::ffi::OsString;
use std::io;

use clap::Args;

use larder::ops::cat;

use crate::cli::chosen::{Chosen, ended};
use crate::cli::output::Outcome;
use crate::cli::report::{Exit, Failure};
use crate::cli::session::{self, Session};

/// Write one file of a snapshot to standard output
#[derive(Debug, Args)]
pub struct Arguments {
    /// The snapshot, and the path of a file in it
    #[arg(value_name = "SNAPSHOT:PATH")]
    what: OsString,
}

/// Writes it.
pub fn run(session: &mut Session, arguments: &Arguments) -> Outcome {
    let repo = session.open()?;
    let chosen = Chosen::new(session, &repo, &arguments.what)?;
    if chosen.path.is_empty() {
        return Err(Failure::usage("which file?").hint("SNAPSHOT:PATH, with a path as larder ls shows it"));
    }
    let mut out = io::stdout().lock();
    match cat::cat(&repo, chosen.root(), &chosen.path, &mut out, session::threads()) {
        // Whoever read has seen enough.
        Err(cat::Error::Write(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Exit::Done),
        result => Ok(result.map(|_| ended(&chosen.selected, Exit::Done))?),
    }
}
