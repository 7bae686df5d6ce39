//! Databases of a PostgreSQL server.
//!
//! A dump is put back into a new database, which takes the place of the old one once all of it is there: what goes wrong
//! before changes nothing, and a dump needs not know how to clean up. The user must be allowed to create databases.

mod rehearsal;

use std::thread;
use std::time::Duration;

use crate::child;
use crate::config::drill::Place;
use crate::config::sources::postgres::Postgres;
use crate::format::record::Record;
use crate::ops::verify::Form;
use crate::run::World;
use crate::run::room::Room;
use crate::run::services::postgres::rehearsal::Trial;
use crate::run::services::rehearsal::{Miss, Rehearsed};
use crate::run::services::{Prepared, Service, Stored, Trouble, secret, streams, with_causes};
use crate::source::postgres::{GLOBALS, MAINTENANCE, Server};

/// Makes the new database, like the old one if there is one. What an earlier try left goes first.
const MAKE: &str = "\
DROP DATABASE IF EXISTS :\"new\";
DROP DATABASE IF EXISTS :\"before\";
SELECT format('CREATE DATABASE %I TEMPLATE template0 OWNER %I ENCODING %L LC_COLLATE %L LC_CTYPE %L', :'new',
    pg_get_userbyid(datdba), pg_encoding_to_char(encoding), datcollate, datctype)
    || CASE WHEN more->>'datlocprovider' = 'i' THEN format(' LOCALE_PROVIDER icu ICU_LOCALE %L',
        coalesce(more->>'daticulocale', more->>'datlocale')) ELSE '' END
FROM (SELECT d.*, to_jsonb(d) AS more FROM pg_database d WHERE datname = :'old') old \\gexec
SELECT format('CREATE DATABASE %I TEMPLATE template0', :'new')
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'old') \\gexec
";

/// Puts the new database in the place of the old one: both names change in one transaction.
const SWAP: &str = "\
SELECT FROM (SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname IN (:'old', :'new')) ended;
BEGIN;
SELECT format('ALTER DATABASE %I RENAME TO %I', :'old', :'before')
WHERE EXISTS (SELECT FROM pg_database WHERE datname = :'old') \\gexec
ALTER DATABASE :\"new\" RENAME TO :\"old\";
COMMIT;
";

const DROP: &str = "DROP DATABASE IF EXISTS :\"gone\";\n";
/// Lets a database go that has subscriptions, without a word to the server they are of: they carry the names of slots there
/// that others use.
const UNSUBSCRIBE: &str = "\
SELECT format(what, subname) FROM pg_subscription,
    unnest(ARRAY['ALTER SUBSCRIPTION %I DISABLE', 'ALTER SUBSCRIPTION %I SET (slot_name = NONE)', 'DROP SUBSCRIPTION %I'])
        WITH ORDINALITY steps (what, at)
WHERE subdbid = (SELECT oid FROM pg_database WHERE datname = current_database()) ORDER BY subname, at \\gexec
";

/// So many times the swap is tried: clients may come back between being sent away and the change of names.
const SWAPS_MAX: u32 = 20;
const PAUSE: Duration = Duration::from_millis(100);
/// Longest part of a name that another is made of: names have at most 63 bytes.
const STEM_BYTES_MAX: usize = 45;
/// Files of a snapshot that are no dumps of databases.
const NO_DUMPS: [&str; 1] = [GLOBALS];

impl Service for Postgres {
    fn prepare(&self, world: &World<'_>) -> Result<Prepared, String> {
        let server = self.server(world)?;
        let said = |error| with_causes(&error);
        let mut dumps = server.dumps(&self.databases, &self.options).map_err(said)?;
        dumps.extend(self.globals.then(|| server.globals()));
        streams(dumps, Form::Sql, world).map_err(said)
    }

    fn troubles(&self, world: &World<'_>) -> Vec<Trouble> {
        self.look(world).err().into_iter().collect()
    }

    fn plan(&self, _: &Record) -> Result<Vec<String>, String> {
        let host = self.host.as_deref().unwrap_or("this machine");
        let mut lines = vec![match self.databases.as_slice() {
            [] => format!("every database in the snapshot replaces the one of that name on {host}"),
            some => format!("the database {} on {host} is replaced", some.join(", ")),
        }];
        lines.push("programs that use it lose their connection for a moment when the new one is ready".to_owned());
        if self.globals {
            lines.push("roles that are not there are made; those that are there stay as they are".to_owned());
        }
        Ok(lines)
    }

    fn fits(&self, stored: &Stored<'_>, _: &World<'_>) -> Result<(), String> {
        stored.databases(&NO_DUMPS, &self.databases).map(drop)
    }

    fn put_back(&self, stored: &Stored<'_>, world: &World<'_>) -> Result<(), String> {
        let server = self.server(world)?;
        let databases = stored.databases(&NO_DUMPS, &self.databases)?;
        if self.globals && holds_globals(stored)? {
            make_roles(&server, stored)?;
        }
        databases.iter().try_for_each(|name| {
            put_back_one(&server, name, stored).map_err(|error| format!("database {name}: {error}"))
        })
    }

    fn room_bytes(&self, bytes: u64, place: Place) -> u64 {
        // With its indexes and its log; a service takes it elsewhere.
        if place == Place::Local { bytes.saturating_mul(2) } else { 0 }
    }

    fn rehearse(&self, stored: &Stored<'_>, room: &Room, world: &World<'_>) -> Result<Box<dyn Rehearsed>, Miss> {
        Ok(Box::new(Trial::of(stored, room, &|| self.server(world))?))
    }

    fn clear_rehearsal(&self, name: &str, world: &World<'_>) -> Result<(), String> {
        rehearsal::clear(&self.server(world)?, name)
    }
}

impl Postgres {
    fn server(&self, world: &World<'_>) -> Result<Server, String> {
        Ok(Server {
            host: self.host.clone(),
            port: self.port,
            user: self.user.clone(),
            password: secret(self.password.as_ref(), world)?,
            container: self.container.clone(),
        })
    }

    fn look(&self, world: &World<'_>) -> Result<(), Trouble> {
        let server = self.server(world).map_err(|error| Trouble::new(error, "see the password keys of the source"))?;
        let client = server.client_version("pg_dump").map_err(|error| match &self.container {
            Some(container) => {
                Trouble::new(error, format!("check that the container {container} runs, with docker ps, and has sh"))
            }
            None => Trouble::new(error, "install PostgreSQL's client programs, or give `container`"),
        })?;
        let version = server.server_version().map_err(|error| {
            Trouble::new(error, "check that the server runs, and `host`, `port`, `user` and the password")
        })?;
        if client < version {
            let what = format!("pg_dump is of version {client}, the server of {version}");
            return Err(Trouble::new(what, format!("install the client programs of version {version} or newer")));
        }
        let known = server.databases().map_err(|error| Trouble::new(with_causes(&error), "rename the database"))?;
        match self.databases.iter().find(|name| !known.contains(name)) {
            Some(missing) => {
                let hint = format!("there are: {}", known.join(", "));
                Err(Trouble::new(format!("there is no database {missing:?} that one can connect to"), hint))
            }
            None => Ok(()),
        }
    }
}

/// Runs a script in a database.
fn run_script(server: &Server, database: &str, variables: &[(&str, &str)], script: &str) -> Result<(), String> {
    let command = server.script(database, variables);
    child::feed(command, |stdin| stdin.write_all(script.as_bytes()).map_err(|error| error.to_string()))
}

/// Drops a database of larder's own, if it is there.
fn let_go(server: &Server, database: &str) -> Result<(), String> {
    let name = database.replace('\'', "''");
    let subscribed = format!(
        "SELECT subname FROM pg_subscription JOIN pg_database ON pg_database.oid = subdbid WHERE datname = '{name}'"
    );
    // Old servers know no subscriptions.
    if server.ask(MAINTENANCE, &subscribed).is_ok_and(|names| !names.is_empty()) {
        run_script(server, database, &[], UNSUBSCRIBE)?;
    }
    run_script(server, MAINTENANCE, &[("gone", database)], DROP)
}

fn put_back_one(server: &Server, name: &str, stored: &Stored<'_>) -> Result<(), String> {
    let stem = stem(name);
    // Nobody may be connected to what changes its name.
    let elsewhere = if name == MAINTENANCE { "template1" } else { MAINTENANCE };
    let (new, before) = (format!("{stem}_larder_new"), format!("{stem}_larder_before"));
    let variables = [("old", name), ("new", new.as_str()), ("before", before.as_str())];
    let run = |script: &str| run_script(server, elsewhere, &variables, script);
    // What an earlier try left, with what it is subscribed to.
    [&new, &before].into_iter().try_for_each(|left| let_go(server, left))?;
    run(MAKE)?;
    let replaced = (|| {
        stored.feed(format!("{name}.sql").as_bytes(), server.script(&new, &[]))?;
        let there = server.ask(elsewhere, "SELECT datname FROM pg_database")?.iter().any(|known| known == name);
        let properties = if there { server.properties(name)? } else { String::new() };
        let mut tries = 1;
        while let Err(error) = run(SWAP) {
            if tries == SWAPS_MAX {
                return Err(error);
            }
            tries += 1;
            thread::sleep(PAUSE);
        }
        run(&properties)
    })();
    match replaced {
        Ok(()) => let_go(server, &before),
        Err(error) => match let_go(server, &new) {
            Ok(()) => Err(error),
            Err(too) => Err(format!("{error}\nand the database {new} is left over: {too}")),
        },
    }
}

/// The beginning of a name.
fn stem(name: &str) -> &str {
    let mut end = name.len().min(STEM_BYTES_MAX);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    &name[..end]
}

/// Whether a snapshot holds roles.
fn holds_globals(stored: &Stored<'_>) -> Result<bool, String> {
    Ok(stored.files()?.iter().any(|(name, _)| name == GLOBALS.as_bytes()))
}

/// Makes the roles that are in the snapshot and not on the server. Those that are there keep their passwords and rights.
fn make_roles(server: &Server, stored: &Stored<'_>) -> Result<(), String> {
    let mut globals = Vec::new();
    stored.write(GLOBALS.as_bytes(), &mut globals)?;
    let known = server.ask(MAINTENANCE, "SELECT quote_ident(rolname) FROM pg_roles")?;
    let script = statements_of_missing(&String::from_utf8_lossy(&globals), &known);
    run_script(server, MAINTENANCE, &[], &script).map_err(|error| format!("roles: {error}"))
}

/// The statements of a dump of roles that make those which are not known, and what they are members of.
fn statements_of_missing(globals: &str, known: &[String]) -> String {
    let created = |line: &str| line.strip_prefix("CREATE ROLE ").map(|rest| rest.trim_end_matches(';').to_owned());
    let missing: Vec<String> = globals.lines().filter_map(created).filter(|role| !known.contains(role)).collect();
    let about = |line: &&str| {
        missing.iter().any(|role| {
            *line == format!("CREATE ROLE {role};")
                || line.starts_with(&format!("ALTER ROLE {role} "))
                || (line.starts_with("GRANT ")
                    && (line.contains(&format!(" TO {role} ")) || line.ends_with(&format!(" TO {role};"))))
        })
    };
    globals.lines().filter(about).map(|line| format!("{line}\n")).collect()
}

#[cfg(test)]
#[path = "postgres_tests.rs"]
mod tests;
