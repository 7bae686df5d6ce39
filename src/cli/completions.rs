//! `larder completions`

use std::io::Write as _;

use clap::{Args, Command};
use clap_complete::{Shell, generate};

use crate::cli::output::Outcome;
use crate::cli::report::Exit;

/// Print a completion script for a shell
#[derive(Debug, Args)]
pub struct Arguments {
    /// The shell
    shell: Shell,
}

/// Prints it.
pub fn run(mut command: Command, arguments: &Arguments) -> Outcome {
    // Into memory first: the generator takes no failing writer.
    let mut script = Vec::new();
    generate(arguments.shell, &mut command, "larder", &mut script);
    let _nobody_reads = std::io::stdout().write_all(&script);
    Ok(Exit::Done)
}
