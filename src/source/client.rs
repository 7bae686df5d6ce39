//! The programs of a service's client, which run here or in a container.
//!
//! Promise: a secret is handed over in the environment, never as an argument, which `ps` would show.
//! Left out on purpose: which programs there are, and what their arguments mean.

use std::ffi::OsString;
use std::process::Command;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::child;
use crate::source::command::{Entries, Output};

/// How long a program may take to tell about itself, or a server to answer what it knows by heart.
pub const ANSWER_LIMIT: Duration = Duration::from_secs(60);
/// How long a server may take to do something: to drop a large database, say.
pub const WORK_LIMIT: Duration = Duration::from_secs(15 * 60);
/// Longest answer.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// What the names of databases begin with that drills make in a service. They are nobody's data.
pub const DRILL_PREFIX: &str = "larder_drill_";

/// Where a server is, and who asks.
#[derive(Clone, Default)]
pub struct Place {
    /// Host.
    pub host: Option<String>,
    /// Port.
    pub port: Option<u16>,
    /// The server's socket.
    pub socket: Option<String>,
    /// User.
    pub user: Option<String>,
}

impl Place {
    /// These options with their values, for whatever is known.
    pub fn words(&self, [host, port, socket, user]: [&str; 4]) -> Vec<String> {
        let number = self.port.map(|port| port.to_string());
        let places = [(host, &self.host), (port, &number), (socket, &self.socket), (user, &self.user)];
        let known = places.into_iter().filter_map(|(option, value)| Some([option.to_owned(), value.clone()?]));
        known.flatten().collect()
    }
}

/// Where the programs run, and what they log in with.
#[derive(Clone, Default)]
pub struct Client {
    /// The container that they run in.
    pub container: Option<String>,
    /// The variable that they take the password from, and the password.
    pub secret: Option<(&'static str, Zeroizing<String>)>,
}

impl Client {
    /// A program with its arguments, whose output is to be stored under a name.
    pub fn output(&self, name: &str, program: &str, words: Vec<String>) -> Output {
        let mut arguments: Vec<OsString> = Vec::new();
        if let Some(container) = &self.container {
            arguments.extend(["exec", "--interactive"].map(OsString::from));
            // Without a value: docker takes it from its own environment.
            let variable = self.secret.as_ref().map(|(variable, _)| ["--env", variable]);
            arguments.extend(variable.into_iter().flatten().map(OsString::from));
            arguments.extend([container, program].map(OsString::from));
        }
        arguments.extend(words.into_iter().map(OsString::from));
        let program = if self.container.is_some() { "docker" } else { program };
        let variables = self.secret.iter().map(|(variable, secret)| ((*variable).to_owned(), secret.clone())).collect();
        let (name, program) = (name.as_bytes().to_vec(), program.into());
        Output { name, program, arguments, variables, entries: Entries::None }
    }

    /// A program with its arguments.
    pub fn command(&self, program: &str, words: Vec<String>) -> Command {
        self.output("", program, words).command()
    }

    /// The lines that a program prints; what it complains of, if it fails or takes longer than the limit.
    pub fn lines(&self, program: &str, words: Vec<String>, limit: Duration) -> Result<Vec<String>, String> {
        lines_of(self.command(program, words), limit)
    }
}

/// The lines that a command prints; what it complains of, if it fails or takes longer than the limit.
pub fn lines_of(command: Command, limit: Duration) -> Result<Vec<String>, String> {
    let printed = child::printed(command, ANSWER_BYTES_MAX, limit)?;
    Ok(String::from_utf8_lossy(&printed).lines().map(str::to_owned).collect())
}
