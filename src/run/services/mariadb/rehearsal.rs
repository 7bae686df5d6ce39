//! Dumps that are tried out: each is loaded into a database of the drill's own in the service, which goes again.

use std::path::{Path, PathBuf};

use crate::run::room::Room;
use crate::run::services::Stored;
use crate::run::services::mariadb::{drop_trial, load_for_trial, make_for_trial};
use crate::run::services::rehearsal::{Miss, Rehearsed, chosen};
use crate::source::mariadb::{DATABASES, Server, USERS};

/// Loads every dump of the snapshot.
pub fn load(server: Server, stored: &Stored<'_>, room: &Room) -> Result<Box<dyn Rehearsed>, Miss> {
    clear(&server, &room.name).map_err(Miss::Untried)?;
    let mut names = stored.names_ending(".sql").map_err(Miss::Failed)?;
    names.retain(|name| ![DATABASES, USERS].contains(&format!("{name}.sql").as_str()));
    if names.is_empty() {
        return Err(Miss::Failed("the snapshot holds no dump of a database".to_owned()));
    }
    let mut making = Vec::new();
    stored.write(DATABASES.as_bytes(), &mut making).map_err(Miss::Failed)?;
    let making = String::from_utf8_lossy(&making).into_owned();
    let mut trial = Trial { server, databases: Vec::new(), folder: room.folder.clone() };
    for (at, name) in names.into_iter().enumerate() {
        let new = format!("{}_{at}", room.name);
        make_for_trial(&trial.server, &new, &name, &making).map_err(Miss::Untried)?;
        trial.databases.push((name.clone(), new.clone()));
        load_for_trial(&trial.server, &new, &name, stored)
            .map_err(|error| Miss::Failed(format!("database {name}: the dump cannot be loaded: {error}")))?;
    }
    Ok(Box::new(trial))
}

/// Drops the databases of a drill of this name.
pub fn clear(server: &Server, name: &str) -> Result<(), String> {
    let left = server.databases_named(&format!("{name}_"))?;
    left.iter().try_for_each(|database| drop_trial(server, database))
}

/// Databases in the service, by the names they had and those they have.
struct Trial {
    server: Server,
    databases: Vec<(String, String)>,
    folder: PathBuf,
}

impl Rehearsed for Trial {
    fn place(&self) -> String {
        "a database of its own in the service".to_owned()
    }

    fn path(&self) -> &Path {
        &self.folder
    }

    fn ask(&self, database: Option<&str>, sql: &str) -> Result<Vec<String>, String> {
        let database = chosen(&self.databases, database)?;
        let lines = self.server.ask_only(database, sql)?;
        Ok(lines.into_iter().map(|line| line.replace('\t', "|")).collect())
    }

    fn end(&mut self) -> Result<(), String> {
        while let Some((_, database)) = self.databases.last() {
            drop_trial(&self.server, database)
                .map_err(|error| format!("the database {database} is left over: {error}"))?;
            self.databases.pop();
        }
        Ok(())
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        let _the_next_drill_drops_it = self.end();
    }
}
