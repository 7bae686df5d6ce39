//! Dumps that are tried out: each is loaded into a database of the drill's own in the service, which goes again.

use std::path::{Path, PathBuf};

use crate::run::room::Room;
use crate::run::services::Stored;
use crate::run::services::mariadb::{NO_DUMPS, drop_trial, load_for_trial, make_for_trial};
use crate::run::services::rehearsal::{Databases, Miss, Rehearsed, blamed};
use crate::source::mariadb::{DATABASES, Server};

/// Errors of the server that are not about what it was told: no space, memory or connections left, no rights, locked, shut
/// down, interrupted, read-only. Those of the client, which lost the server, are the two thousands.
const OF_THE_SERVER: [u32; 28] = [
    3, 5, 20, 28, 1020, 1021, 1026, 1030, 1037, 1038, 1040, 1041, 1044, 1045, 1053, 1114, 1142, 1143, 1203, 1205, 1213,
    1226, 1227, 1290, 1317, 1370, 1410, 1419,
];

/// Whose fault it is that a dump was not loaded.
fn missed(error: String, server: &Server, stored: &Stored<'_>, room: &Room) -> Miss {
    if let Err(gone) = server.ask("SELECT 1") {
        return Miss::Untried(format!("{error}\nand the server does not answer any more: {gone}"));
    }
    match number(&error) {
        Some(2000..3000) => Miss::Untried(error),
        Some(number) if OF_THE_SERVER.contains(&number) => Miss::Untried(error),
        Some(_) => Miss::Failed(error),
        None => blamed(error, stored, room),
    }
}

/// The number in a line such as `ERROR 1064 (42000) at line 3: ...`.
fn number(error: &str) -> Option<u32> {
    let lines = error.lines().filter_map(|line| line.strip_prefix("ERROR ")?.split_once(" ("));
    lines.filter_map(|(number, _)| number.parse().ok()).next_back()
}

/// Loads every dump of the snapshot.
pub fn load(server: Server, stored: &Stored<'_>, room: &Room) -> Result<Box<dyn Rehearsed>, Miss> {
    clear(&server, &room.name).map_err(Miss::Untried)?;
    let blame = |error| blamed(error, stored, room);
    let names = stored.dumps(&NO_DUMPS).map_err(blame)?;
    if names.is_empty() {
        return Err(Miss::Failed("the snapshot holds no dump of a database".to_owned()));
    }
    let mut making = Vec::new();
    stored.write(DATABASES.as_bytes(), &mut making).map_err(blame)?;
    let making = String::from_utf8_lossy(&making).into_owned();
    let service = server.clone();
    let databases = Databases::new(move |database| drop_trial(&service, database));
    let mut trial = Trial { server, databases, folder: room.folder.clone() };
    for (at, name) in names.into_iter().enumerate() {
        let new = format!("{}_{at}", room.name);
        make_for_trial(&trial.server, &new, &name, &making).map_err(Miss::Untried)?;
        trial.databases.add(&name, &new);
        load_for_trial(&trial.server, &new, &name, stored)
            .map_err(|error| format!("database {name}: the dump cannot be loaded: {error}"))
            .map_err(|error| missed(error, &trial.server, stored, room))?;
    }
    Ok(Box::new(trial))
}

/// Drops the databases of a drill of this name.
pub fn clear(server: &Server, name: &str) -> Result<(), String> {
    Databases::clear(&server.databases_named(&format!("{name}_"))?, &|database| drop_trial(server, database))
}

/// Databases in the service.
struct Trial {
    server: Server,
    databases: Databases,
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
        let lines = self.server.ask_only(self.databases.chosen(database)?, sql)?;
        Ok(lines.into_iter().map(|line| line.replace('\t', "|")).collect())
    }

    fn answers(&mut self) -> Result<(), String> {
        self.server.ask("SELECT 1").map(drop)
    }

    fn end(&mut self) -> Result<(), String> {
        self.databases.end()
    }
}

#[cfg(test)]
#[path = "rehearsal_tests.rs"]
mod tests;
