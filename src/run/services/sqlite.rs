//! An SQLite database. It is put back with SQLite's own backup, the other way round: programs that have it open see the
//! old database or the new one, never a mixture.

use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::config::sources::sqlite::Sqlite;
use crate::format::record::Record;
use crate::ops::verify::Form;
use crate::run::World;
use crate::run::room::Room;
use crate::run::services::rehearsal::{Miss, Rehearsed, blamed, untried};
use crate::run::services::{Prepared, Service, Stored, Trouble};
use crate::source::sqlite::SqliteSource;
use crate::sqlite::online;

impl Service for Sqlite {
    fn prepare(&self, world: &World<'_>) -> Result<Prepared, String> {
        let source = SqliteSource::new(self.path.clone(), world.owner.clone(), (world.now)());
        let forms = vec![(source.name(), Form::Sqlite)];
        Ok(Prepared { source: Box::new(source), forms, paths: Vec::new() })
    }

    fn troubles(&self, _: &World<'_>) -> Vec<Trouble> {
        match online::look(&self.path) {
            Ok(()) => Vec::new(),
            Err(error) => {
                let what = format!("{}: {error}", self.path.display());
                vec![Trouble::new(what, "check `path`, and that larder may read the file and its folder")]
            }
        }
    }

    fn plan(&self, _: &Record) -> Result<Vec<String>, String> {
        let path = self.path.display();
        Ok(vec![format!("the database {path} becomes the stored one, in one step; programs may keep it open")])
    }

    fn fits(&self, stored: &Stored<'_>, _: &World<'_>) -> Result<(), String> {
        stored.has(&self.own_name())
    }

    fn put_back(&self, stored: &Stored<'_>, _: &World<'_>) -> Result<(), String> {
        let name = self.own_name();
        let folder = self.path.parent().ok_or("the path has no folder")?;
        fs::create_dir_all(folder).map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
        let staging = TempDir::new_in(folder).map_err(|error| format!("cannot stage it: {error}"))?;
        let copy = staging.path().join("copy.db");
        let mut file = File::create(&copy).map_err(|error| format!("cannot stage it: {error}"))?;
        stored.write(&name, &mut file)?;
        drop(file);
        match online::flaws(&copy) {
            Ok(flaws) if flaws.is_empty() => {}
            Ok(flaws) => return Err(format!("what is stored is a damaged database: {}", flaws.join("; "))),
            Err(error) => return Err(format!("what is stored is no database: {error}")),
        }
        online::replace(&copy, &self.path).map_err(|error| format!("{}: {error}", self.path.display()))
    }

    fn rehearse(&self, stored: &Stored<'_>, room: &Room, _: &World<'_>) -> Result<Box<dyn Rehearsed>, Miss> {
        let blame = |error| blamed(error, stored, room);
        let files = stored.files().map_err(blame)?;
        let own = self.own_name();
        // Called otherwise, when the path was another then.
        let found = files.iter().find(|(name, _)| *name == own).or(files.first());
        let (name, _) = found.ok_or_else(|| Miss::Failed("the snapshot holds no file".to_owned()))?;
        let path = room.folder.join("restored.db");
        let mut file = File::create(&path).map_err(untried("cannot make a file"))?;
        stored.write(name, &mut file).map_err(blame)?;
        drop(file);
        match online::flaws(&path) {
            Ok(flaws) if flaws.is_empty() => Ok(Box::new(Restored(path))),
            Ok(flaws) => Err(Miss::Failed(format!("is a damaged database: {}", flaws.join("; ")))),
            Err(error) if error.is_of_the_content() => Err(Miss::Failed(format!("is no database: {error}"))),
            Err(error) => Err(Miss::Untried(format!("cannot look through the database: {error}"))),
        }
    }
}

impl Sqlite {
    /// What the file is called in a snapshot.
    fn own_name(&self) -> Vec<u8> {
        self.path.file_name().map(|name| name.as_bytes().to_vec()).unwrap_or_default()
    }
}

/// A database in a file.
struct Restored(PathBuf);

impl Rehearsed for Restored {
    fn place(&self) -> String {
        "a file, which passes integrity_check".to_owned()
    }

    fn path(&self) -> &Path {
        &self.0
    }

    fn ask(&self, _: Option<&str>, sql: &str) -> Result<Vec<String>, String> {
        online::ask(&self.0, sql).map_err(|error| error.to_string())
    }
}
