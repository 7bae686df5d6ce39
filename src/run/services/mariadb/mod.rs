//! Databases of a MariaDB server.
//!
//! MariaDB cannot give a database another name, so none can take the place of another in one step. Each dump is loaded
//! into a new database first, to see that it can be; then the old one is dropped and the dump loaded in its place. The
//! user must be allowed to create and drop databases.

mod harmless;
mod rehearsal;

use std::io::Write as _;

use crate::child;
use crate::config::drill;
use crate::config::sources::mariadb::Mariadb;
use crate::format::record::Record;
use crate::ops::verify::Form;
use crate::run::World;
use crate::run::room::Room;
use crate::run::services::mariadb::harmless::Harmless;
use crate::run::services::rehearsal::{Miss, Rehearsed};
use crate::run::services::{Prepared, Service, Stored, Trouble, secret, streams, with_causes};
use crate::source::client::{Client, Place};
use crate::source::mariadb::{DATABASES, PASSWORD_VARIABLE, Server, USERS, quoted};

/// Files of a snapshot that are no dumps of databases.
const NO_DUMPS: [&str; 2] = [DATABASES, USERS];
/// Longest part of a name that another is made of: names have at most 64 characters.
const STEM_CHARACTERS_MAX: usize = 45;
/// In front of what drops a database: not to wait for a day for programs that use it, and not to be kept by rows of other
/// databases that refer to it.
const RESOLUTE: &str = "SET SESSION lock_wait_timeout = 60, foreign_key_checks = 0; ";

impl Service for Mariadb {
    fn prepare(&self, world: &World<'_>) -> Result<Prepared, String> {
        let server = self.server(world).map_err(|trouble| trouble.what)?;
        let databases = self.wanted(&server)?;
        if let Some((what, hint)) = self.unseen(&server, &databases) {
            return Err(format!("{what}\n{hint}"));
        }
        let mut outputs = server.dumps(&databases, &self.options);
        outputs.extend(self.users.then(|| server.users()));
        let mut prepared = streams(outputs, Form::Sql, world).map_err(|error| with_causes(&error))?;
        // Made by a query, which says nothing at its end.
        prepared.forms.retain(|(name, _)| name != DATABASES.as_bytes());
        Ok(prepared)
    }

    fn troubles(&self, world: &World<'_>) -> Vec<Trouble> {
        let found = self.look(world).and_then(|(server, databases)| match self.unseen(&server, &databases) {
            Some((what, hint)) => Err(Trouble::new(what, hint)),
            None => Ok(()),
        });
        found.err().into_iter().collect()
    }

    fn plan(&self, _: &Record) -> Result<Vec<String>, String> {
        let host = self.socket.as_deref().or(self.host.as_deref()).unwrap_or("this machine");
        let mut lines = vec![match self.databases.as_slice() {
            [] => format!("every database in the snapshot replaces the one of that name on {host}"),
            some => format!("the database {} on {host} is replaced", some.join(", ")),
        }];
        lines.push("each dump is loaded into a database NAME_larder_new first, to see that it can be".to_owned());
        lines.push("then the old one is dropped, and the dump loaded in its place".to_owned());
        lines.push("until that is done programs find it empty or in parts: stop them with the hook stop".to_owned());
        lines.push(format!("accounts and rights stay as they are; {USERS}, if stored, is to be put back by hand"));
        Ok(lines)
    }

    fn fits(&self, stored: &Stored<'_>, _: &World<'_>) -> Result<(), String> {
        stored.has(DATABASES.as_bytes())?;
        stored.databases(&NO_DUMPS, &self.databases).map(drop)
    }

    fn put_back(&self, stored: &Stored<'_>, world: &World<'_>) -> Result<(), String> {
        let server = self.server(world).map_err(|trouble| trouble.what)?;
        let databases = stored.databases(&NO_DUMPS, &self.databases)?;
        let mut making = Vec::new();
        stored.write(DATABASES.as_bytes(), &mut making)?;
        let making = String::from_utf8_lossy(&making);
        let within = |name: &String, error| format!("database {name}: {error}");
        // All of them before anything is changed.
        for name in &databases {
            try_out(&server, name, &making, stored).map_err(|error| within(name, error))?;
        }
        for name in &databases {
            replace(&server, name, &making, stored).map_err(|error| within(name, error))?;
        }
        Ok(())
    }

    fn room_bytes(&self, _: u64, _: drill::Place) -> u64 {
        // The server takes it.
        0
    }

    fn rehearse(&self, stored: &Stored<'_>, room: &Room, world: &World<'_>) -> Result<Box<dyn Rehearsed>, Miss> {
        let server = self.server(world).map_err(|trouble| Miss::Untried(trouble.what))?;
        rehearsal::load(server, stored, room)
    }

    fn clear_rehearsal(&self, name: &str, world: &World<'_>) -> Result<(), String> {
        rehearsal::clear(&self.server(world).map_err(|trouble| trouble.what)?, name)
    }

    fn probe(&self, world: &World<'_>) -> Result<(), String> {
        self.look(world).map(drop).map_err(|trouble| trouble.what)
    }
}

impl Mariadb {
    fn server(&self, world: &World<'_>) -> Result<Server, Trouble> {
        let password = secret(self.password.as_ref(), world)
            .map_err(|error| Trouble::new(error, "see the password keys of the source"))?;
        let place =
            Place { host: self.host.clone(), port: self.port, socket: self.socket.clone(), user: self.user.clone() };
        let secret = password.map(|password| (PASSWORD_VARIABLE, password));
        Server::new(place, Client { container: self.container.clone(), secret }).map_err(|error| {
            match &self.container {
                Some(container) => Trouble::new(
                    error,
                    format!("check that the container {container} runs, with docker ps, and has sh"),
                ),
                None => Trouble::new(error, "install MariaDB's client programs, or give `container`"),
            }
        })
    }

    /// The databases that are to be stored.
    fn wanted(&self, server: &Server) -> Result<Vec<String>, String> {
        if !self.databases.is_empty() {
            return Ok(self.databases.clone());
        }
        let known = server.databases().map_err(|error| with_causes(&error))?;
        if known.is_empty() { Err("there is no database but the server's own".to_owned()) } else { Ok(known) }
    }

    /// What a dump would leave out without a word, and what to do about it.
    fn unseen(&self, server: &Server, databases: &[String]) -> Option<(String, String)> {
        let unseen = server.unseen(databases, &self.options).into_iter().next()?;
        let what = format!("the user may not see whether the database {} has {}", unseen.database, unseen.what);
        let place = quoted(&unseen.database.replace('_', "\\_"));
        let hint = format!("GRANT {} ON {place}.* TO the user, or give `options` {:?}", unseen.right, unseen.option);
        Some((what, hint))
    }

    fn look(&self, world: &World<'_>) -> Result<(Server, Vec<String>), Trouble> {
        let server = self.server(world)?;
        let known = server.databases().map_err(|error| {
            let hint = "check that the server runs, and `host`, `port`, `socket`, `user` and the password";
            Trouble::new(with_causes(&error), hint)
        })?;
        if let Some(missing) = self.databases.iter().find(|name| !known.contains(name)) {
            let hint = format!("there are: {}", known.join(", "));
            return Err(Trouble::new(format!("there is no database {missing:?} that this user may see"), hint));
        }
        let databases = if self.databases.is_empty() { known } else { self.databases.clone() };
        Ok((server, databases))
    }
}

/// Loads a dump into a new database, which goes again.
fn try_out(server: &Server, name: &str, making: &str, stored: &Stored<'_>) -> Result<(), String> {
    let new = format!("{}_larder_new", name.chars().take(STEM_CHARACTERS_MAX).collect::<String>());
    make_for_trial(server, &new, name, making)?;
    match (load_for_trial(server, &new, name, stored), drop_trial(server, &new)) {
        (Ok(()), Ok(())) => Ok(()),
        (Ok(()), Err(error)) => Err(format!("the database {new} is left over: {error}")),
        (Err(error), Ok(())) => Err(format!("the dump cannot be loaded, and nothing was changed: {error}")),
        (Err(error), Err(too)) => Err(format!("{error}\nand the database {new} is left over: {too}")),
    }
}

/// Makes a new database like the one of this name. What an earlier try left goes first.
fn make_for_trial(server: &Server, new: &str, name: &str, making: &str) -> Result<(), String> {
    drop_trial(server, new)
        .and_then(|()| server.ask(&format!("CREATE DATABASE {}{}", quoted(new), manner(making, name))))
        .map(drop)
        .map_err(|error| format!("cannot make {new}, to try the dump out: {error}"))
}

fn drop_trial(server: &Server, new: &str) -> Result<(), String> {
    server.ask(&format!("{RESOLUTE}DROP DATABASE IF EXISTS {}", quoted(new))).map(drop)
}

/// Loads a dump where it does no harm.
fn load_for_trial(server: &Server, new: &str, name: &str, stored: &Stored<'_>) -> Result<(), String> {
    child::feed(server.script(new), |stdin| {
        let mut harmless = Harmless::new(stdin, name);
        stored.write(format!("{name}.sql").as_bytes(), &mut harmless)?;
        harmless.flush().map_err(|error| error.to_string())
    })
}

/// Drops a database and loads a dump in its place.
fn replace(server: &Server, name: &str, making: &str, stored: &Stored<'_>) -> Result<(), String> {
    let name_quoted = quoted(name);
    let manner = manner(making, name);
    server.ask(&format!("{RESOLUTE}DROP DATABASE IF EXISTS {name_quoted}; CREATE DATABASE {name_quoted}{manner}"))?;
    stored.feed(format!("{name}.sql").as_bytes(), server.script(name))
}

/// How a database is made: what its statement says after its name.
fn manner<'m>(making: &'m str, name: &str) -> &'m str {
    let head = format!("CREATE DATABASE IF NOT EXISTS {}", quoted(name));
    let mut tails = making.lines().filter_map(|line| line.strip_prefix(&head));
    tails.find(|tail| tail.starts_with(' ')).unwrap_or_default().trim_end_matches(';')
}

#[cfg(test)]
#[path = "mod_tests.rs"]
mod tests;
