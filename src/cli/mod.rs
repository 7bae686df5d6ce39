//! The command line: one file per command, and what they share.
//!
//! Promise: the answer goes to standard output, everything else to standard error; the exit codes are those of
//! `report::Exit`. Help texts are the comments on the arguments.

mod backup;
mod cat;
mod check;
mod chosen;
mod completions;
mod config;
mod daemon;
mod diff;
mod doctor;
mod drill;
mod entries;
mod find;
mod forget;
mod init;
mod into;
mod key;
mod ls;
mod next;
mod notify;
mod outage;
mod output;
mod pick;
mod progress;
mod prune;
mod rebuild_index;
mod recover;
mod report;
mod restore;
mod run;
mod schedule;
mod session;
mod snapshots;
mod stats;
mod status;
mod tag;
mod terminal;
mod unlock;

use std::io::Write as _;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

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
Exit codes: 0 done; 1 error, nothing lost; 2 usage; 3 done, but some entries could not be read or put back; 4 damage \
found; 5 no snapshot as new as max_age wants it; 10 no repository there; 11 repository busy or storage refused; 12 wrong \
password or newer format

SNAPSHOT is the beginning of an id, `latest`, or `SOURCE@latest`; PATH is a path in it, as `larder ls` shows it.";

#[derive(Debug, Subcommand)]
enum Command {
    Init(init::Arguments),
    Backup(backup::Arguments),
    Run(run::Arguments),
    Daemon(daemon::Arguments),
    Next(next::Arguments),
    Doctor(doctor::Arguments),
    Drill(drill::Arguments),
    Snapshots(snapshots::Arguments),
    Ls(ls::Arguments),
    Find(find::Arguments),
    Diff(diff::Arguments),
    Restore(restore::Arguments),
    Cat(cat::Arguments),
    Tag(tag::Arguments),
    Forget(forget::Arguments),
    Prune(prune::Arguments),
    Check(check::Arguments),
    Stats(stats::Arguments),
    Status(status::Arguments),
    Key(key::Arguments),
    RebuildIndex(rebuild_index::Arguments),
    Recover(recover::Arguments),
    Config(config::Arguments),
    Notify(notify::Arguments),
    Schedule(schedule::Arguments),
    Completions(completions::Arguments),
}

fn perform(session: &mut Session, command: &Command) -> Outcome {
    match command {
        Command::Init(arguments) => init::run(session, arguments),
        Command::Backup(arguments) => backup::run(session, arguments),
        Command::Run(arguments) => run::run(session, arguments),
        Command::Daemon(arguments) => daemon::run(session, arguments),
        Command::Next(arguments) => next::run(session, arguments),
        Command::Doctor(arguments) => doctor::run(session, arguments),
        Command::Drill(arguments) => drill::run(session, arguments),
        Command::Snapshots(arguments) => snapshots::run(session, arguments),
        Command::Ls(arguments) => ls::run(session, arguments),
        Command::Find(arguments) => find::run(session, arguments),
        Command::Diff(arguments) => diff::run(session, arguments),
        Command::Restore(arguments) => restore::run(session, arguments),
        Command::Cat(arguments) => cat::run(session, arguments),
        Command::Tag(arguments) => tag::run(session, arguments),
        Command::Forget(arguments) => forget::run(session, arguments),
        Command::Prune(arguments) => prune::run(session, arguments),
        Command::Check(arguments) => check::run(session, arguments),
        Command::Stats(arguments) => stats::run(session, arguments),
        Command::Status(arguments) => status::run(session, arguments),
        Command::Key(arguments) => key::run(session, arguments),
        Command::RebuildIndex(arguments) => rebuild_index::run(session, arguments),
        Command::Recover(arguments) => recover::run(session, arguments),
        Command::Config(arguments) => config::run(session, arguments),
        Command::Notify(arguments) => notify::run(session, arguments),
        Command::Schedule(arguments) => schedule::run(session, arguments),
        Command::Completions(arguments) => completions::run(Arguments::command(), arguments),
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
