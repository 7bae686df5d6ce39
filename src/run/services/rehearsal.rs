//! What a drill has restored, and can be asked about.

use std::error::Error;
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::ops::cat::stored::Stored as StoredFile;
use crate::ops::entries::{Shape, archive, shape};
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
struct Folder(PathBuf);

impl Rehearsed for Folder {
    fn place(&self) -> String {
        "a folder".to_owned()
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

/// Restores everything into the room's folder, and reads it back. Streams, as `form_of` names them, must be well formed.
pub fn into_folder(
    stored: &Stored<'_>,
    room: &Room,
    form_of: &dyn Fn(&str) -> Option<Form>,
) -> Result<Box<dyn Rehearsed>, Miss> {
    let blame = |error| blamed(error, stored, room);
    stored.rehearse(&room.folder).map_err(blame)?;
    for (name, _) in stored.files().map_err(blame)? {
        if let Some(form) = form_of(&String::from_utf8_lossy(&name)) {
            well_formed(stored, &name, form, room)?;
        }
    }
    Ok(Box::new(Folder(room.folder.clone())))
}

/// Looks whether a stream has its form; an archive must list to its end.
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
    if !matches!(shape(&file).map_err(|error| blame(&error))?, Some(Shape::Tar)) {
        return Ok(());
    }
    archive::members(&file, &mut |_| ControlFlow::Continue(())).map_err(|error| Miss::Failed(about(&error)))
}

/// What a place cannot be made for says nothing of the snapshot.
pub fn untried(what: &str) -> impl Fn(io::Error) -> Miss {
    let what = what.to_owned();
    move |error| Miss::Untried(format!("{what}: {error}"))
}

/// What the database is called now that had this name, or is the only one.
pub fn chosen<'d>(databases: &'d [(String, String)], name: Option<&str>) -> Result<&'d str, String> {
    let names = || databases.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ");
    match (name, databases) {
        (None, [(_, only)]) => Ok(only),
        (None, _) => Err(format!("which database? give `database`: there are {}", names())),
        (Some(name), all) => {
            let found = all.iter().find(|(known, _)| known == name);
            found
                .map(|(_, now)| now.as_str())
                .ok_or_else(|| format!("there is no database {name}: there are {}", names()))
        }
    }
}
