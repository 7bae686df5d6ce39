//! Databases of a MariaDB server as a source: what its dump program prints, as plain SQL, which deduplicates.
//!
//! Promise: `NAME.sql` for each database, with the list of its entries beside it, and `_databases.sql` with what makes
//! them, streamed, nothing staged; each dump is consistent in itself as far as its tables know transactions.
//! Left out on purpose: a client of our own. The server's programs know its tables, we never shall.

use std::process::Command;

use crate::source::Error;
use crate::source::client::{ANSWER_LIMIT, Client, DRILL_PREFIX, Place, WORK_LIMIT};
use crate::source::command::{Entries, Output};

/// The databases that are the server's own.
pub const SYSTEM: [&str; 4] = ["information_schema", "mysql", "performance_schema", "sys"];
/// The name of the file with the statements that make the databases.
pub const DATABASES: &str = "_databases.sql";
/// The name of the file with accounts and rights.
pub const USERS: &str = "_users.sql";

/// What the client takes the password from. A file of options would have to lie where the client runs, which may be a
/// container, and standard input is what a dump comes back through.
pub const PASSWORD_VARIABLE: &str = "MYSQL_PWD";

/// What a dump is made with. Rows of one statement stand on lines of their own, but where statements end moves with every
/// row that comes or goes: longer statements mean fewer places that differ from day to day. A quarter of what a server
/// takes at once by default.
const DUMP: [&str; 9] = [
    "--single-transaction",
    "--quick",
    "--routines",
    "--triggers",
    "--events",
    "--hex-blob",
    "--skip-dump-date",
    "--net-buffer-length=4194304",
    "--max-allowed-packet=1073741824",
];

/// For each database whether its triggers and its routines can be seen by this user: without the rights, a dump is
/// made without them, and nobody is told.
const RIGHTS: &str = "\
WITH mine AS (
    SELECT CONCAT('''', LEFT(CURRENT_USER(), CHAR_LENGTH(CURRENT_USER()) - LOCATE('@', REVERSE(CURRENT_USER()))),
        '''@''', SUBSTRING_INDEX(CURRENT_USER(), '@', -1), '''') AS grantee
    UNION SELECT CONCAT('''', role_name, '''@''''') FROM information_schema.enabled_roles WHERE role_name IS NOT NULL
    UNION SELECT '''PUBLIC''@'''''
), rights AS (
    SELECT privilege_type AS may, '%' AS place FROM information_schema.user_privileges JOIN mine USING (grantee)
    UNION SELECT privilege_type, table_schema FROM information_schema.schema_privileges JOIN mine USING (grantee)
    UNION SELECT privilege_type, table_schema FROM information_schema.table_privileges JOIN mine USING (grantee)
)
SELECT HEX(CONVERT(schema_name USING utf8mb4)),
    EXISTS (SELECT 1 FROM rights WHERE may = 'TRIGGER' AND schema_name LIKE place),
    EXISTS (SELECT 1 FROM rights WHERE may = 'SELECT' AND 'mysql' LIKE place
        OR may IN ('EXECUTE', 'ALTER ROUTINE', 'SHOW CREATE ROUTINE') AND schema_name LIKE place)
FROM information_schema.schemata";

/// A server, and how to get at it.
#[derive(Clone)]
pub struct Server {
    place: Place,
    client: Client,
    dumping: &'static str,
    asking: &'static str,
}

impl Server {
    /// Finds the programs of the client, under the names they have now or had before.
    pub fn new(place: Place, client: Client) -> Result<Self, String> {
        let [dumping, asking] =
            programs(|program| client.lines(program, words(&["--version"]), ANSWER_LIMIT).map(drop))?;
        Ok(Self { place, client, dumping, asking })
    }

    /// What is printed of these databases.
    pub fn dumps(&self, databases: &[String], options: &[String]) -> Vec<Output> {
        let mut outputs: Vec<Output> = databases.iter().map(|database| self.dump(database, options)).collect();
        outputs.push(self.client.output(DATABASES, self.asking, self.query(&making(databases))));
        outputs
    }

    /// The accounts and their rights.
    pub fn users(&self) -> Output {
        let words = words(&["--system=users", "--insert-ignore", "--skip-dump-date"]);
        self.client.output(USERS, self.dumping, self.connected(words))
    }

    fn dump(&self, database: &str, options: &[String]) -> Output {
        let mut words = words(&DUMP);
        words.extend(options.iter().cloned());
        // As a name, never as an option.
        words.extend(["--".to_owned(), database.to_owned()]);
        let output = self.client.output(&format!("{database}.sql"), self.dumping, self.connected(words));
        Output { entries: Entries::Beside, ..output }
    }

    /// The names of the databases, without the server's own and without what only looks like one.
    pub fn databases(&self) -> Result<Vec<String>, Error> {
        const QUERY: &str = "SELECT HEX(CONVERT(schema_name USING utf8mb4)) FROM information_schema.schemata \
            WHERE schema_name NOT LIKE '#mysql50#%' ORDER BY schema_name";
        let failed = |message: String| Error::Service { what: "the MariaDB server".to_owned(), message };
        let lines = self.ask(QUERY).map_err(failed)?;
        let mut names = lines.iter().map(|line| named(line)).collect::<Result<Vec<_>, _>>().map_err(failed)?;
        names.retain(|name| !SYSTEM.contains(&name.as_str()) && !name.starts_with(DRILL_PREFIX));
        match names.iter().find(|name| name.contains('/')) {
            Some(name) => Err(failed(format!("{name:?} cannot be the name of a file"))),
            None => Ok(names),
        }
    }

    /// What this user cannot see of these databases, and would be missing in their dumps without a word. Nothing where
    /// the server cannot say.
    pub fn unseen(&self, databases: &[String], options: &[String]) -> Vec<Unseen> {
        let rows = self.ask(RIGHTS).unwrap_or_default();
        let mut unseen = Vec::new();
        for row in &rows {
            let mut fields = row.split('\t');
            let name = named(fields.next().unwrap_or_default()).unwrap_or_default();
            for (what, right, option) in
                [("triggers", "TRIGGER", "--skip-triggers"), ("routines", "EXECUTE", "--skip-routines")]
            {
                let hidden = fields.next() == Some("0") && !options.iter().any(|given| given == option);
                if hidden && databases.contains(&name) {
                    unseen.push(Unseen { database: name.clone(), what, right, option });
                }
            }
        }
        unseen
    }

    /// The lines that a query answers, field by field with tabs between.
    pub fn ask(&self, query: &str) -> Result<Vec<String>, String> {
        self.client.lines(self.asking, self.query(query), WORK_LIMIT)
    }

    /// The lines that a query answers in a database, which it cannot change.
    pub fn ask_only(&self, database: &str, query: &str) -> Result<Vec<String>, String> {
        let mut words = self.query(&format!("SET SESSION TRANSACTION READ ONLY; {query}"));
        words.push(format!("--database={database}"));
        self.client.lines(self.asking, words, WORK_LIMIT)
    }

    /// The databases whose names begin so.
    pub fn databases_named(&self, beginning: &str) -> Result<Vec<String>, String> {
        let lines = self.ask("SELECT HEX(CONVERT(schema_name USING utf8mb4)) FROM information_schema.schemata")?;
        let names = lines.iter().map(|line| named(line)).collect::<Result<Vec<_>, _>>()?;
        Ok(names.into_iter().filter(|name| name.starts_with(beginning)).collect())
    }

    fn query(&self, query: &str) -> Vec<String> {
        self.connected(words(&["--batch", "--raw", "--skip-column-names", "--connect-timeout=30", "--execute", query]))
    }

    /// A client that runs what it is given on its standard input in a database, up to the first error, which it tells
    /// without the data it stumbled over.
    pub fn script(&self, database: &str) -> Command {
        let mut words = words(&[
            "--batch",
            "--skip-reconnect",
            "--loose-skip-print-query-on-error",
            "--max-allowed-packet=1073741824",
            "--connect-timeout=30",
        ]);
        words.push(format!("--database={database}"));
        self.client.fed(self.asking, self.connected(words))
    }

    fn connected(&self, words: Vec<String>) -> Vec<String> {
        let mut all = self.place.words(["--host", "--port", "--socket", "--user"]);
        all.push("--default-character-set=utf8mb4".to_owned());
        all.extend(words);
        all
    }
}

/// Something that would be missing in a dump without a word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unseen {
    /// The database.
    pub database: String,
    /// What of it.
    pub what: &'static str,
    /// The right that is missing.
    pub right: &'static str,
    /// The option that says that it need not be there.
    pub option: &'static str,
}

/// The names of the programs: one that dumps, one that asks.
fn programs(version: impl Fn(&str) -> Result<(), String>) -> Result<[&'static str; 2], String> {
    match version("mariadb-dump") {
        Ok(()) => Ok(["mariadb-dump", "mariadb"]),
        Err(error) => version("mysqldump").map(|()| ["mysqldump", "mysql"]).map_err(|_| error),
    }
}

/// The query for the statements that make these databases.
fn making(databases: &[String]) -> String {
    let name = |name: &String| format!("CONVERT(x'{}' USING utf8mb4)", hex::encode(name));
    let names: Vec<String> = databases.iter().map(name).collect();
    format!(
        "SELECT CONCAT('CREATE DATABASE IF NOT EXISTS `', REPLACE(schema_name, '`', '``'), '` CHARACTER SET ', \
         default_character_set_name, ' COLLATE ', default_collation_name, ';') FROM information_schema.schemata \
         WHERE schema_name IN ({}) ORDER BY schema_name",
        names.join(", ")
    )
}

/// A name as a statement has it.
pub fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// A name that was asked for in a form in which no character means anything else.
fn named(digits: &str) -> Result<String, String> {
    let name = hex::decode(digits).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    name.ok_or_else(|| format!("{digits:?} is no name"))
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

#[cfg(test)]
#[path = "mariadb_tests.rs"]
mod tests;
