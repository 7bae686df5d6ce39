//! What a drill has restored, and can be asked about.

use std::error::Error;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use crate::ops::cat::stored::Stored as StoredFile;
use crate::ops::entries::{Error as NoEntries, Shape, archive, shape};
use crate::ops::verify::{Flaw, Form, verify};
use crate::run::room::Room;
use crate::run::services::{Stored, with_causes};

/// Why nothing is proven.
#[derive(Debug)]
pub enum Miss {
    /// It could not be tried, which says nothing of what is stored.
    Untried(String),
    /// It was tried, and failed.
    Failed(String),
}

impl Miss {
    /// What failed while nothing could be written in the room says nothing of what is stored.
    pub fn unless_excused(self, room: &Room) -> Self {
        match self {
            Miss::Failed(error) => match room.trouble() {
                Some(trouble) => Miss::Untried(format!("{error}\n{trouble}")),
                None => Miss::Failed(error),
            },
            untried @ Miss::Untried(_) => untried,
        }
    }
}

/// Whose fault it is that something did not come out of the repository into a room: only if the repository does not
/// give it, whatever is done with it, that says something of what is stored.
pub fn blamed(error: String, stored: &Stored<'_>, room: &Room) -> Miss {
    match Miss::Failed(error).unless_excused(room) {
        Miss::Failed(error) if stored.is_damaged() => Miss::Failed(error),
        Miss::Failed(error) | Miss::Untried(error) => Miss::Untried(error),
    }
}

/// What was restored. Dropped, it lets go of what it holds outside of its room.
pub trait Rehearsed {
    /// Where it is, in words for people.
    fn place(&self) -> String;

    /// The folder, or the file, for commands.
    fn path(&self) -> &Path;

    /// Variables for commands.
    fn variables(&self) -> Vec<(&'static str, Zeroizing<String>)> {
        Vec::new()
    }

    /// The lines that a query answers; fields have `|` between. Without the name of a database the only one is asked.
    fn ask(&self, _database: Option<&str>, _sql: &str) -> Result<Vec<String>, String> {
        Err("nothing here answers SQL".to_owned())
    }

    /// Whether what a failed check had asked is still there to answer.
    fn answers(&mut self) -> Result<(), String> {
        Ok(())
    }

    /// Lets go of what it holds outside of its room. An error says what is left over.
    fn end(&mut self) -> Result<(), String> {
        Ok(())
    }
}

/// Files in a folder.
pub struct Folder {
    path: PathBuf,
    holds: Option<String>,
}

impl Folder {
    /// The same, with what is in it, in words.
    pub fn holding(self, what: String) -> Box<dyn Rehearsed> {
        Box::new(Self { holds: Some(what), ..self })
    }
}

impl Rehearsed for Folder {
    fn place(&self) -> String {
        self.holds.as_ref().map_or_else(|| "a folder".to_owned(), |what| format!("a folder with {what}"))
    }

    fn path(&self) -> &Path {
        &self.path
    }
}

/// Restores everything into the room's folder, and reads it back. Streams, as `form_of` names them, must be well formed.
pub fn into_folder(stored: &Stored<'_>, room: &Room, form_of: &dyn Fn(&str) -> Option<Form>) -> Result<Folder, Miss> {
    let blame = |error| blamed(error, stored, room);
    stored.rehearse(&room.folder).map_err(blame)?;
    for (name, _) in stored.files().map_err(blame)? {
        if let Some(form) = form_of(&String::from_utf8_lossy(&name)) {
            well_formed(stored, &name, form, room)?;
        }
    }
    Ok(Folder { path: room.folder.clone(), holds: None })
}

/// Looks whether a stream has its form; an archive must be whole.
pub fn well_formed(stored: &Stored<'_>, name: &[u8], form: Form, room: &Room) -> Result<(), Miss> {
    let root = &stored.record.root;
    let about = |error: &dyn Error| format!("{} {}", String::from_utf8_lossy(name), with_causes(error));
    let blame = |error: &dyn Error| blamed(about(error), stored, room);
    if form != Form::Any {
        return verify(stored.repo, root, name, form, stored.threads).map_err(|flaw| match flaw {
            Flaw::Form(_) => Miss::Failed(about(&flaw)),
            Flaw::Unreadable(_) | Flaw::Staging(_) => blame(&flaw),
        });
    }
    let file = StoredFile::open(stored.repo, root, name).map_err(|error| blame(&error))?;
    let missed = |error| broken(&error, name, stored, room);
    if !matches!(shape(&file).map_err(missed)?, Some(Shape::Tar)) {
        return Ok(());
    }
    archive::whole(&file).map(drop).map_err(missed)
}

/// Looks whether a file is an archive, and has a member of this name.
#[cfg(feature = "services")]
pub fn archive_has(stored: &Stored<'_>, name: &str, member: &str, room: &Room) -> Result<(), Miss> {
    let blame = |error: &dyn Error| blamed(format!("{name} {}", with_causes(error)), stored, room);
    let file = StoredFile::open(stored.repo, &stored.record.root, name.as_bytes()).map_err(|error| blame(&error))?;
    let found = archive::find(&file, &[member.as_bytes()]);
    match found.map_err(|error| broken(&error, name.as_bytes(), stored, room))?.first() {
        Some(Some(_)) => Ok(()),
        _ => Err(Miss::Failed(format!("{name} is an archive without {member}"))),
    }
}

/// Whose fault it is that an archive cannot be listed.
fn broken(error: &NoEntries, name: &[u8], stored: &Stored<'_>, room: &Room) -> Miss {
    let about = format!("{}: {}", String::from_utf8_lossy(name), with_causes(error));
    match error {
        NoEntries::Archive { .. } | NoEntries::Dump(_) => Miss::Failed(about),
        NoEntries::Cat(_) | NoEntries::Write(_) => blamed(about, stored, room),
    }
}

/// Reads a JSON document as it comes; what is not as its source makes it fails.
pub fn document<T: DeserializeOwned + Send>(stored: &Stored<'_>, name: &str, room: &Room) -> Result<T, Miss> {
    let read = stored.stream(name.as_bytes(), |from, _| Ok(serde_json::from_reader(BufReader::new(from))));
    let parsed: Result<T, serde_json::Error> = read.map_err(|error| blamed(error, stored, room))?;
    parsed.map_err(|error| {
        // Other errors quote what is there, which may be a secret.
        let (said, line, column) = (error.to_string(), error.line(), error.column());
        let what = if said.starts_with("missing field") { said } else { format!("line {line} column {column}") };
        Miss::Failed(format!("{name} is not what it should be: {what}"))
    })
}

/// A number of things in words; more than one of a kind has an `s`.
pub fn several(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// What a place cannot be made for says nothing of the snapshot.
pub fn untried(what: &str) -> impl Fn(io::Error) -> Miss {
    let what = what.to_owned();
    move |error| Miss::Untried(format!("{what}: {error}"))
}

/// Removes a database of this name.
pub type Remove<'r> = dyn Fn(&str) -> Result<(), String> + 'r;

/// Databases of a drill's own. Dropped, they go.
pub struct Databases {
    /// By the names they had and those they have.
    names: Vec<(String, String)>,
    remove: Box<Remove<'static>>,
}

impl Databases {
    /// None yet. They go as `remove` says.
    pub fn new(remove: impl Fn(&str) -> Result<(), String> + 'static) -> Self {
        Self { names: Vec::new(), remove: Box::new(remove) }
    }

    /// There is one more.
    pub fn add(&mut self, had: &str, has: &str) {
        self.names.push((had.to_owned(), has.to_owned()));
    }

    /// What the database is called now that is the only one.
    pub fn only(&self) -> Option<&str> {
        if let [(_, only)] = self.names.as_slice() { Some(only) } else { None }
    }

    /// What the database is called now that had this name, or is the only one.
    pub fn chosen(&self, name: Option<&str>) -> Result<&str, String> {
        let names = || self.names.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ");
        match name {
            None => self.only().ok_or_else(|| format!("which database? give `database`: there are {}", names())),
            Some(name) => {
                let found = self.names.iter().find(|(had, _)| had == name);
                let found = found.map(|(_, has)| has.as_str());
                found.ok_or_else(|| format!("there is no database {name}: there are {}", names()))
            }
        }
    }

    /// Removes them. An error says which are left over; the others are gone.
    pub fn end(&mut self) -> Result<(), String> {
        let left = remove(self.names.iter().map(|(_, has)| has.as_str()), self.remove.as_ref());
        let said = said(&left);
        let left: Vec<String> = left.into_iter().map(|(has, _)| has.to_owned()).collect();
        self.names.retain(|(_, has)| left.contains(has));
        said
    }

    /// Removes those that an earlier drill left. An error says which are left over still.
    pub fn clear(names: &[String], remove_one: &Remove<'_>) -> Result<(), String> {
        said(&remove(names.iter().map(String::as_str), remove_one))
    }
}

/// Removes databases, the last first; one that stays keeps no other. Gives those that are left over, and why.
fn remove<'n>(names: impl DoubleEndedIterator<Item = &'n str>, remove: &Remove<'_>) -> Vec<(&'n str, String)> {
    names.rev().filter_map(|name| remove(name).err().map(|error| (name, error))).collect()
}

fn said(left: &[(&str, String)]) -> Result<(), String> {
    let lines = left.iter().map(|(name, error)| format!("the database {name} is left over: {error}"));
    if left.is_empty() { Ok(()) } else { Err(lines.collect::<Vec<_>>().join("\n")) }
}

impl Drop for Databases {
    fn drop(&mut self) {
        let _the_next_drill_removes_them = self.end();
    }
}

#[cfg(test)]
#[path = "rehearsal_tests.rs"]
mod tests;
