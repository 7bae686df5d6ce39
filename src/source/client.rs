//! The programs of a service's client, which run here or in a container.
//!
//! Promise: a secret is handed over in the environment, never as an argument, which `ps` would show. What prints in a
//! container ends with the larder that reads it, as it does here, whatever ended that.
//! Left out on purpose: which programs there are, and what their arguments mean.

use std::ffi::OsString;
use std::process::Command;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::child;
use crate::source::command::{Entries, Input, Output, with_cause};

/// How long a program may take to tell about itself, or a server to answer what it knows by heart.
pub const ANSWER_LIMIT: Duration = Duration::from_secs(60);
/// How long a server may take to do something: to drop a large database, say.
pub const WORK_LIMIT: Duration = Duration::from_secs(15 * 60);
/// Longest answer.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// Runs a program in a container, as whose it ends. Signals do not reach in there, and an engine goes on to take what the
/// program prints when nobody reads it any more, but it ends the standard input. That is what is watched; the program
/// finds the end of it at once. An engine starts a process as the leader of a group: it is asked to end as a whole, but for
/// the shell, which stays to collect the others. The trap comes after the fork: what would inherit it could miss its end.
const WATCHED: &str = "exec 3<&0 </dev/null
(read -r nothing <&3; kill -s TERM -- -$$) >/dev/null 2>&1 &
watching=$!
trap : TERM
\"$@\" 3<&-
status=$?
exec 2>/dev/null
kill -s KILL $watching
wait $watching
exit $status
";

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
        let (input, watch) = match self.container {
            Some(_) => (Input::Held, &["sh", "-c", WATCHED, "larder"][..]),
            None => (Input::None, &[][..]),
        };
        let (program, arguments) = self.words(watch, program, words);
        let variables = self.secret.iter().map(|(variable, secret)| ((*variable).to_owned(), secret.clone())).collect();
        Output { name: name.as_bytes().to_vec(), program, arguments, variables, input, entries: Entries::None }
    }

    /// A program with its arguments, which is to be fed. In a container it sees the end of what it is fed if larder is
    /// killed: what it makes of half of it must not count before larder says so.
    pub fn fed(&self, program: &str, words: Vec<String>) -> Command {
        let (program, arguments) = self.words(&[], program, words);
        let mut command = Command::new(program);
        command.args(arguments).envs(self.secret.iter().map(|(variable, secret)| (variable, secret.as_str())));
        command
    }

    /// What is started, and its arguments: in a container with these before the program.
    fn words(&self, watch: &[&str], program: &str, words: Vec<String>) -> (OsString, Vec<OsString>) {
        let words = words.into_iter().map(OsString::from);
        let Some(container) = &self.container else { return (program.into(), words.collect()) };
        // Without a value: docker takes it from its own environment.
        let variable = self.secret.as_ref().map(|(variable, _)| ["--env", variable]);
        let mut all: Vec<&str> = ["exec", "--interactive"].into_iter().chain(variable.into_iter().flatten()).collect();
        all.push(container);
        all.extend(watch);
        all.push(program);
        ("docker".into(), all.into_iter().map(OsString::from).chain(words).collect())
    }

    /// The lines that a program prints; what it complains of, if it fails or takes longer than the limit.
    pub fn lines(&self, program: &str, words: Vec<String>, limit: Duration) -> Result<Vec<String>, String> {
        lines_of(self.output("", program, words).command(), limit)
    }
}

/// The lines that a command prints; what it complains of, if it fails or takes longer than the limit.
pub fn lines_of(command: Command, limit: Duration) -> Result<Vec<String>, String> {
    let printed = child::printed(command, ANSWER_BYTES_MAX, limit).map_err(with_cause)?;
    Ok(String::from_utf8_lossy(&printed).lines().map(str::to_owned).collect())
}
