//! Dumps that are tried out: loaded by a server of the drill's own, where this machine has one that is no older than
//! theirs, or else into databases of its own in the service.

mod cluster;
mod refusal;
mod scan;

use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::config::drill::Place;
use crate::run::room::Room;
use crate::run::services::Stored;
use crate::run::services::postgres::rehearsal::cluster::{Cluster, programs};
use crate::run::services::postgres::rehearsal::refusal::is_of_the_dump;
use crate::run::services::postgres::rehearsal::scan::Scan;
use crate::run::services::postgres::{MAKE, NO_DUMPS, holds_globals, let_go, make_roles, run_script};
use crate::run::services::rehearsal::{Databases, Miss, Rehearsed, blamed};
use crate::source::postgres::{MAINTENANCE, Server};

/// Makes the roles that a dump gives things to and that are in no `globals.sql`. In a server of its own alone: event
/// triggers, subscriptions and foreign data wrappers belong to nobody but superusers.
const MAKE_ROLE: &str = "\
SELECT format('CREATE ROLE %I SUPERUSER', :'role') WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'role') \\gexec
";

/// Databases that dumps were loaded into.
pub struct Trial {
    server: Server,
    databases: Databases,
    folder: PathBuf,
    /// None: they are in the service.
    cluster: Option<Cluster>,
}

impl Trial {
    /// Loads every dump of the snapshot.
    pub fn of(stored: &Stored<'_>, room: &Room, service: &dyn Fn() -> Result<Server, String>) -> Result<Self, Miss> {
        let blame = |error| blamed(error, stored, room);
        let names = stored.dumps(&NO_DUMPS).map_err(blame)?;
        if names.is_empty() {
            return Err(Miss::Failed("the snapshot holds no dump of a database".to_owned()));
        }
        let mut scan = Scan::default();
        for name in &names {
            stored.write(format!("{name}.sql").as_bytes(), &mut scan).map_err(blame)?;
        }
        let programs = if room.place == Place::Local { programs(scan.version()) } else { None };
        let mut trial = match programs {
            Some(programs) => {
                let cluster = Cluster::start(&programs, room).map_err(Miss::Untried)?;
                // Its databases go with it.
                let (server, databases) = (cluster.server(), Databases::new(|_| Ok(())));
                Self { server, databases, folder: room.folder.clone(), cluster: Some(cluster) }
            }
            None => {
                let server = service().map_err(Miss::Untried)?;
                clear(&server, &room.name).map_err(Miss::Untried)?;
                let of = server.clone();
                let databases = Databases::new(move |database| let_go(&of, database));
                Self { server, databases, folder: room.folder.clone(), cluster: None }
            }
        };
        if trial.cluster.is_some() {
            if holds_globals(stored).map_err(blame)? {
                make_roles(&trial.server, stored).map_err(|error| trial.blamed(error, stored, room))?;
            }
            for role in scan.roles() {
                run_script(&trial.server, MAINTENANCE, &[("role", role)], MAKE_ROLE).map_err(Miss::Untried)?;
            }
        }
        for (at, name) in names.iter().enumerate() {
            trial.load(name, &format!("{}_{at}", room.name), stored, room)?;
        }
        Ok(trial)
    }

    fn load(&mut self, name: &str, new: &str, stored: &Stored<'_>, room: &Room) -> Result<(), Miss> {
        // The old name is not taken in a server of its own: there it is made as a new one is.
        let before = format!("{new}_before");
        let variables = [("old", name), ("new", new), ("before", before.as_str())];
        run_script(&self.server, MAINTENANCE, &variables, MAKE).map_err(Miss::Untried)?;
        self.databases.add(name, new);
        stored
            .feed(format!("{name}.sql").as_bytes(), self.server.script(new, &[("VERBOSITY", "verbose")]))
            .map_err(|error| format!("database {name}: the dump cannot be loaded: {error}"))
            .map_err(|error| self.blamed(error, stored, room))
    }

    /// Whose fault it is that something was not loaded.
    fn blamed(&self, error: String, stored: &Stored<'_>, room: &Room) -> Miss {
        if let Err(gone) = self.server.ask(MAINTENANCE, "SELECT 1") {
            return Miss::Untried(format!("{error}\nand the server does not answer any more: {gone}"));
        }
        match is_of_the_dump(&error) {
            Some(true) => Miss::Failed(error),
            Some(false) => Miss::Untried(error),
            None => blamed(error, stored, room),
        }
    }
}

impl Rehearsed for Trial {
    fn place(&self) -> String {
        match &self.cluster {
            Some(cluster) => format!("a PostgreSQL {} of its own", cluster.version),
            None => "a database of its own in the service".to_owned(),
        }
    }

    fn path(&self) -> &Path {
        &self.folder
    }

    fn variables(&self) -> Vec<(&'static str, Zeroizing<String>)> {
        let only = self.databases.only().map(str::to_owned);
        let port = self.server.port.map(|port| port.to_string());
        let known = [
            ("PGHOST", self.server.host.clone()),
            ("PGPORT", port),
            ("PGUSER", self.server.user.clone()),
            ("PGDATABASE", only),
            ("PGPASSWORD", self.server.password.as_deref().cloned()),
        ];
        known.into_iter().filter_map(|(name, value)| Some((name, Zeroizing::new(value?)))).collect()
    }

    fn ask(&self, database: Option<&str>, sql: &str) -> Result<Vec<String>, String> {
        self.server.ask_only(self.databases.chosen(database)?, sql)
    }

    fn answers(&mut self) -> Result<(), String> {
        self.server.ask(MAINTENANCE, "SELECT 1").map(drop)
    }

    fn end(&mut self) -> Result<(), String> {
        self.cluster = None;
        self.databases.end()
    }
}

/// Drops the databases of a drill of this name.
pub fn clear(server: &Server, name: &str) -> Result<(), String> {
    Databases::clear(&server.databases_named(&format!("{name}_"))?, &|database| let_go(server, database))
}
