//! Databases of a PostgreSQL server as a source: what pg_dump prints, as plain SQL, which deduplicates.
//!
//! Promise: `NAME.sql` for each database, with the list of its entries beside it, and `globals.sql` for roles and
//! tablespaces, streamed, nothing staged; each dump is consistent in itself.
//! Left out on purpose: a client of our own. The server's tools know its catalogues, we never shall.

use std::ffi::OsString;
use std::process::{Command, Stdio};

use zeroize::Zeroizing;

use crate::source::Error;
use crate::source::command::{Entries, Output};

/// The name of the file with roles and tablespaces.
pub const GLOBALS: &str = "globals.sql";

/// A server, and how to get at it.
pub struct Server {
    /// Host, or a folder with a socket.
    pub host: Option<String>,
    /// Port.
    pub port: Option<u16>,
    /// User.
    pub user: Option<String>,
    /// Password.
    pub password: Option<Zeroizing<String>>,
    /// The container that the client runs in.
    pub container: Option<String>,
}

impl Server {
    /// The dumps of these databases, or of all there are.
    pub fn dumps(&self, databases: &[String], options: &[String]) -> Result<Vec<Output>, Error> {
        let all = if databases.is_empty() { self.databases()? } else { databases.to_vec() };
        Ok(all.iter().map(|database| self.dump(database, options)).collect())
    }

    /// The roles and tablespaces.
    pub fn globals(&self) -> Output {
        let arguments = ["--globals-only", "--no-password"].map(str::to_owned);
        self.output(GLOBALS, "pg_dumpall", arguments.into(), &[])
    }

    fn dump(&self, database: &str, options: &[String]) -> Output {
        let words = ["--format=plain".to_owned(), "--no-password".to_owned()];
        let options = words.into_iter().chain(options.iter().cloned()).collect();
        // As a name, never as an option or a connection string.
        let output = self.output(&format!("{database}.sql"), "pg_dump", options, &["--dbname", &quoted(database)]);
        Output { entries: Entries::Beside, ..output }
    }

    /// The names of the databases that can be connected to, without the templates.
    fn databases(&self) -> Result<Vec<String>, Error> {
        const QUERY: &str = "SELECT datname FROM pg_database WHERE datallowconn AND NOT datistemplate ORDER BY 1";
        let words = ["--no-psqlrc", "--no-password", "-At", "-c", QUERY].map(str::to_owned);
        let output = self.output("", "psql", words.into(), &["--dbname", "dbname=postgres"]);
        let failed = |message: String| Error::Service { what: "the PostgreSQL server".to_owned(), message };
        let mut command = Command::new(&output.program);
        command.args(&output.arguments).stdin(Stdio::null());
        command.envs(output.variables.iter().map(|(name, value)| (name, value.as_str())));
        let told = command.output().map_err(|error| failed(format!("cannot start psql: {error}")))?;
        if !told.status.success() {
            return Err(failed(String::from_utf8_lossy(&told.stderr).trim().to_owned()));
        }
        let names = String::from_utf8_lossy(&told.stdout).lines().map(str::to_owned).collect::<Vec<_>>();
        match names.iter().find(|name| name.contains('/')) {
            Some(name) => Err(failed(format!("{name:?} cannot be the name of a file"))),
            None => Ok(names),
        }
    }

    /// A command of the client.
    fn output(&self, name: &str, program: &str, words: Vec<String>, last: &[&str]) -> Output {
        let mut arguments: Vec<OsString> = Vec::new();
        if let Some(container) = &self.container {
            // Without a value: docker takes it from its own environment, where `ps` does not show it.
            let password = self.password.as_ref().map(|_| ["--env", "PGPASSWORD"]);
            arguments.push("exec".into());
            arguments.extend(password.into_iter().flatten().map(OsString::from));
            arguments.extend([container, program].map(OsString::from));
        }
        let port = self.port.map(|port| port.to_string());
        let places = [("--host", &self.host), ("--port", &port), ("--username", &self.user)];
        for (option, value) in
            places.into_iter().filter_map(|(option, value)| value.as_ref().map(|value| (option, value)))
        {
            arguments.extend([option, value].map(OsString::from));
        }
        arguments.extend(words.into_iter().map(OsString::from));
        arguments.extend(last.iter().map(OsString::from));
        let program = if self.container.is_some() { "docker" } else { program };
        let variables = self.password.iter().map(|password| ("PGPASSWORD".to_owned(), password.clone())).collect();
        let (name, program) = (name.as_bytes().to_vec(), program.into());
        Output { name, program, arguments, variables, entries: Entries::None }
    }
}

/// A database's name as a connection string, in which nothing in the name can mean anything else.
fn quoted(database: &str) -> String {
    format!("dbname='{}'", database.replace('\\', "\\\\").replace('\'', "\\'"))
}

#[cfg(test)]
#[path = "postgres_tests.rs"]
mod tests;
