//! Databases of a PostgreSQL server as a source: what pg_dump prints, as plain SQL, which deduplicates.
//!
//! Promise: `NAME.sql` for each database, with the list of its entries beside it, and `globals.sql` for roles and
//! tablespaces, streamed, nothing staged; each dump is consistent in itself.
//! Left out on purpose: a client of our own. The server's tools know its catalogues, we never shall.

use std::process::Command;

use zeroize::Zeroizing;

use crate::source::Error;
use crate::source::client::{ANSWER_LIMIT, Client, DRILL_PREFIX, WORK_LIMIT, lines_of};
use crate::source::command::{Entries, Output};

/// The name of the file with roles and tablespaces.
pub const GLOBALS: &str = "globals.sql";
/// The database that is there on every server, for questions about the others.
pub const MAINTENANCE: &str = "postgres";

/// A server, and how to get at it.
#[derive(Clone)]
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
    pub fn databases(&self) -> Result<Vec<String>, Error> {
        const QUERY: &str = "SELECT datname FROM pg_database WHERE datallowconn AND NOT datistemplate ORDER BY 1";
        let failed = |message: String| Error::Service { what: "the PostgreSQL server".to_owned(), message };
        let mut names = self.ask(MAINTENANCE, QUERY).map_err(failed)?;
        names.retain(|name| !name.starts_with(DRILL_PREFIX));
        match names.iter().find(|name| name.contains('/')) {
            Some(name) => Err(failed(format!("{name:?} cannot be the name of a file"))),
            None => Ok(names),
        }
    }

    /// The lines that a query answers.
    pub fn ask(&self, database: &str, query: &str) -> Result<Vec<String>, String> {
        let output = self.output("", "psql", words(&["-At", "-c", query]), &["--dbname", &quoted(database)]);
        lines_of(output.command(), ANSWER_LIMIT)
    }

    /// The lines that a query answers, which cannot change anything.
    pub fn ask_only(&self, database: &str, query: &str) -> Result<Vec<String>, String> {
        let harmless = ["--quiet", "-At", "-c", "SET default_transaction_read_only = on", "-c", query];
        lines_of(self.output("", "psql", words(&harmless), &["--dbname", &quoted(database)]).command(), WORK_LIMIT)
    }

    /// The databases whose names begin so.
    pub fn databases_named(&self, beginning: &str) -> Result<Vec<String>, String> {
        let names = self.ask(MAINTENANCE, "SELECT datname FROM pg_database ORDER BY 1")?;
        Ok(names.into_iter().filter(|name| name.starts_with(beginning)).collect())
    }

    /// A psql that runs what it is given on its standard input, up to the first error; `:"name"` and `:'name'` in it
    /// stand for the values of variables.
    pub fn script(&self, database: &str, variables: &[(&str, &str)]) -> Command {
        // As a file, the input has a name and numbers of lines, which errors are told with.
        let mut words = words(&["--quiet", "--file=-", "--set", "ON_ERROR_STOP=1"]);
        for (name, value) in variables {
            words.extend(["--set".to_owned(), format!("{name}={value}")]);
        }
        self.client().fed("psql", self.connected(words, &["--dbname", &quoted(database)]))
    }

    /// What makes a database as a whole what it is: its settings, rights and remark, as SQL.
    pub fn properties(&self, database: &str) -> Result<String, String> {
        let words = ["--create", "--schema-only", "--exclude-schema=*", "--no-password"].map(str::to_owned);
        let lines =
            lines_of(self.output("", "pg_dump", words.into(), &["--dbname", &quoted(database)]).command(), WORK_LIMIT)?;
        let wanted = |line: &&String| {
            let granted = line.starts_with("GRANT ") || line.starts_with("REVOKE ");
            line.starts_with("ALTER DATABASE ")
                || line.starts_with("COMMENT ON DATABASE ")
                || (line.starts_with("ALTER ROLE ") && line.contains(" IN DATABASE "))
                || (granted && line.contains(" ON DATABASE "))
        };
        Ok(lines.iter().filter(wanted).map(|line| format!("{line}\n")).collect())
    }

    /// The first part of the version of a program of the client.
    pub fn client_version(&self, program: &str) -> Result<u32, String> {
        // Without host, port and user: no connection is made.
        let alone = Self { host: None, port: None, user: None, password: None, container: self.container.clone() };
        let lines = lines_of(alone.output("", program, vec!["--version".to_owned()], &[]).command(), ANSWER_LIMIT)?;
        let version = lines.first().and_then(|line| line.split_whitespace().find_map(major));
        version.ok_or_else(|| format!("{program} does not tell its version"))
    }

    /// The first part of the server's version.
    pub fn server_version(&self) -> Result<u32, String> {
        let lines = self.ask(MAINTENANCE, "SHOW server_version")?;
        lines.first().and_then(|line| major(line)).ok_or_else(|| "the server does not tell its version".to_owned())
    }

    /// A command of the client.
    fn output(&self, name: &str, program: &str, words: Vec<String>, last: &[&str]) -> Output {
        self.client().output(name, program, self.connected(words, last))
    }

    fn client(&self) -> Client {
        let secret = self.password.as_ref().map(|password| ("PGPASSWORD", password.clone()));
        Client { container: self.container.clone(), secret }
    }

    fn connected(&self, words: Vec<String>, last: &[&str]) -> Vec<String> {
        let port = self.port.map(|port| port.to_string());
        let places = [("--host", &self.host), ("--port", &port), ("--username", &self.user)];
        let places = places.into_iter().filter_map(|(option, value)| Some([option.to_owned(), value.clone()?]));
        let last = last.iter().map(|&word| word.to_owned());
        places.flatten().chain(words).chain(last).collect()
    }
}

/// Arguments of a psql that nobody sits at, and what else is given.
fn words(more: &[&str]) -> Vec<String> {
    ["--no-psqlrc", "--no-password"].iter().chain(more).map(|&word| word.to_owned()).collect()
}

/// The number that a version begins with.
fn major(version: &str) -> Option<u32> {
    version.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// A database's name as a connection string, in which nothing in the name can mean anything else.
fn quoted(database: &str) -> String {
    format!("dbname='{}'", database.replace('\\', "\\\\").replace('\'', "\\'"))
}

#[cfg(test)]
#[path = "postgres_tests.rs"]
mod tests;
