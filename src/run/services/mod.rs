//! What larder does with a source, kind by kind: reads it, looks whether it could, and puts it back.
//!
//! Promise: what is asked of a kind is asked through [`Service`]; nothing outside of this folder knows the kinds.
//! Left out on purpose: the keys of `larder.toml` (`config::sources`), and how a service's data is read (`source`).

mod command;
mod directory;
mod docker_volume;
#[cfg(feature = "services")]
mod http;
mod mariadb;
mod n8n;
mod postgres;
#[cfg(feature = "services")]
mod qdrant;
#[cfg(feature = "services")]
mod rabbitmq;
mod redis;
pub mod rehearsal;
#[cfg(feature = "services")]
mod s3;
mod sqlite;
mod stored;

use zeroize::Zeroizing;

use crate::config::drill::Place;
use crate::config::secret::SecretFrom;
use crate::config::sources::Kind;
use crate::format::record::Record;
use crate::ops::verify::Form;
use crate::run::World;
use crate::run::room::Room;
use crate::run::services::rehearsal::{Miss, Rehearsed, into_folder};
use crate::source::command::{CommandSource, Output};
use crate::source::{Error, Source};

pub use stored::Stored;

/// A source that can be read, and its files that have a form.
pub struct Prepared {
    /// The source.
    pub source: Box<dyn Source>,
    /// Files by their paths in the snapshot, and what they must be.
    pub forms: Vec<(Vec<u8>, Form)>,
    /// The paths, for the record.
    pub paths: Vec<Vec<u8>>,
}

/// Something that would keep a source from being backed up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// What is wrong.
    pub what: String,
    /// How to mend it.
    pub hint: String,
}

impl Trouble {
    /// Something, and how to mend it.
    pub fn new(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { what: what.into(), hint: hint.into() }
    }
}

/// What a service is held still for.
#[derive(Clone, Copy)]
pub enum Purpose<'r> {
    /// It is read.
    Backup,
    /// This snapshot is put back into it.
    PutBack(&'r Record),
}

/// Something that is held still. Dropped, it is let go too, even by a larder that is killed; but nobody hears how.
pub trait Held {
    /// Lets go, if it is held. An error says what is not again as it was before.
    fn release(&mut self) -> Result<(), String>;

    /// Holds again what was held before, if it was let go.
    fn again(&mut self) -> Result<(), String>;
}

/// One kind of source. All but `prepare`, `hold` and `put_back` change nothing that the service holds.
pub trait Service {
    /// A source that can be read: fetches secrets, asks the service for what it has.
    fn prepare(&self, world: &World<'_>) -> Result<Prepared, String>;

    /// Holds still what would change while it is read or put back, until it is released; by itself, nothing. An error
    /// means that all is as it was, or says what is not.
    fn hold(&self, _: Purpose<'_>, _: &World<'_>) -> Result<Option<Box<dyn Held>>, String> {
        Ok(None)
    }

    /// Whether the hooks `stop` and `start` run around reading the source, too: it is consistent only then.
    fn reads_stopped(&self) -> bool {
        false
    }

    /// What would keep a backup from working; empty if nothing would. Quick, whatever there is to back up.
    fn troubles(&self, world: &World<'_>) -> Vec<Trouble>;

    /// That there is nothing in it, which a backup with a floor of bytes refuses; `None` where that is not seen quickly.
    fn emptiness(&self) -> Option<String> {
        None
    }

    /// What `put_back` would do with this snapshot, a line each, for whoever has to agree.
    fn plan(&self, record: &Record) -> Result<Vec<String>, String>;

    /// Whether the service would take this snapshot, as far as that can be told before anything is changed.
    fn fits(&self, _: &Stored<'_>, _: &World<'_>) -> Result<(), String> {
        Ok(())
    }

    /// Makes the service what the snapshot holds. Where the service lets it, what there was stays until all is ready.
    fn put_back(&self, stored: &Stored<'_>, world: &World<'_>) -> Result<(), String>;

    /// What a file directly in a snapshot must look like, if this kind made it. Of people's own files nothing is asked.
    fn form_of(&self, _: &str) -> Option<Form> {
        None
    }

    /// About how many bytes it takes to restore so many into a room.
    fn room_bytes(&self, bytes: u64, _: Place) -> u64 {
        bytes
    }

    /// Restores a snapshot into a room; what the service holds is not touched.
    fn rehearse(&self, stored: &Stored<'_>, room: &Room, _: &World<'_>) -> Result<Box<dyn Rehearsed>, Miss> {
        Ok(Box::new(into_folder(stored, room, &|name| self.form_of(name))?))
    }

    /// Takes away what a drill of this name has left in the service when it was killed.
    fn clear_rehearsal(&self, _: &str, _: &World<'_>) -> Result<(), String> {
        Ok(())
    }

    /// Whether the service is well after something was put back: by itself, that nothing keeps a backup from working.
    fn probe(&self, world: &World<'_>) -> Result<(), String> {
        match self.troubles(world).first() {
            Some(trouble) => Err(trouble.what.clone()),
            None => Ok(()),
        }
    }
}

/// The service that a source is of.
pub fn service(kind: &Kind) -> &dyn Service {
    match kind {
        Kind::Command(command) => command,
        Kind::Directory(directory) => directory,
        Kind::DockerVolume(volumes) => volumes,
        #[cfg(feature = "services")]
        Kind::Http(http) => http,
        Kind::Mariadb(mariadb) => mariadb,
        Kind::N8n(n8n) => n8n,
        Kind::Postgres(postgres) => postgres,
        #[cfg(feature = "services")]
        Kind::Qdrant(qdrant) => qdrant,
        #[cfg(feature = "services")]
        Kind::Rabbitmq(rabbitmq) => rabbitmq,
        Kind::Redis(redis) => redis,
        #[cfg(feature = "services")]
        Kind::S3(bucket) => bucket,
        Kind::Sqlite(sqlite) => sqlite,
    }
}

/// An error and why.
pub fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(&format!(": {cause}"));
        next = cause.source();
    }
    text
}

/// Lets go of what is held, if anything is.
pub fn release(held: &mut Option<Box<dyn Held>>) -> Result<(), String> {
    held.as_mut().map_or(Ok(()), |held| held.release())
}

/// Fetches a secret, if one is configured.
fn secret(from: Option<&SecretFrom>, world: &World<'_>) -> Result<Option<Zeroizing<String>>, String> {
    from.map(|from| fetch("password", from, world)).transpose()
}

/// Fetches a secret. `what` it is stands in the error.
fn fetch(what: &str, from: &SecretFrom, world: &World<'_>) -> Result<Zeroizing<String>, String> {
    from.fetch(world.variables).map_err(|error| format!("no {what}: {error}"))
}

/// A source of what commands print, each of which must have the form.
fn streams(outputs: Vec<Output>, form: Form, world: &World<'_>) -> Result<Prepared, Error> {
    let forms = outputs.iter().map(|output| (output.name.clone(), form)).collect();
    let source = CommandSource::several(outputs, world.owner.clone(), (world.now)())?;
    Ok(Prepared { source: Box::new(source), forms, paths: Vec::new() })
}
