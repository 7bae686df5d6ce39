//! The command line: one file per command, and what they share.
//!
//! Promise: the answer goes to standard output, everything else to standard error; the exit codes are those of
//! `report::Exit`. Help texts are the comments on the arguments.

mod backup;
mod init;
mod output;
mod progress;
mod report;
mod session;
mod unlock;

use std::io::Write as _;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::cli::output::Outcome;
use crate::cli::session::{Global, Session};

/// An encrypted, deduplicating backup repository
#[derive(Debug, Parser)]
#[command(name = "larder", version, max_term_width = 100, after_help = EXITS)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    global: Global,
}

const EXITS: &str = "\
Exit codes: 0 done; 1 error, nothing lost; 2 usage; 3 done, but some entries could not be read; 4 damage found;
10 no repository there; 11 repository busy or storage refused; 12 wrong password or newer format

SNAPSHOT is the beginning of an id, `latest`, or `SOURCE@latest`; PATH is a path in it, as `larder ls` shows it.";

#[derive(Debug, Subcommand)]
enum Command {
    Init(init::Arguments),
    Backup(backup::Arguments),
}

fn perform(session: &mut Session, command: &Command) -> Outcome {
    match command {
        Command::Init(arguments) => init::run(session, arguments),
        Command::Backup(arguments) => backup::run(session, arguments),
    }
}

/// Does what the arguments say, and says how it went.
pub fn run() -> ExitCode {
    let Arguments { command, global } = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let mut session = Session::new(global);
    let result = perform(&mut session, &command);
    let flushed = session.out.flush();
    match result.and_then(|exit| flushed.map(|()| exit)) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            let _ = std::io::stderr().write_all(failure.text().as_bytes());
            failure.exit().into()
        }
    }
}
