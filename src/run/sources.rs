//! From a source as the configuration has it to one that can be read, and to what its snapshot must look like.

use crate::config::secret::SecretFrom;
use crate::config::sources::{Directory, Kind, Postgres};
use crate::ops::verify::Form;
use crate::run::World;
use crate::source::command::{CommandSource, Entries, Output};
use crate::source::directory::{Caches, DirectorySource, FileSystems, Options};
use crate::source::postgres::Server;
use crate::source::sqlite::SqliteSource;
use crate::source::{Error, Source};

/// A source that can be read, and its files that have a form.
pub struct Prepared {
    /// The source.
    pub source: Box<dyn Source>,
    /// Files by their paths in the snapshot, and what they must be.
    pub forms: Vec<(Vec<u8>, Form)>,
    /// The paths, for the record.
    pub paths: Vec<Vec<u8>>,
}

/// Prepares a source: fetches its secrets, asks a service for what it has.
pub fn prepare(kind: &Kind, world: &World<'_>) -> Result<Prepared, String> {
    let said = |error: Error| with_causes(&error);
    match kind {
        Kind::Directory(directory) => folders(directory, world).map_err(said),
        Kind::Command(command) => {
            let (program, words) = command.words.0.split_first().ok_or("the command is empty")?;
            let (program, words) = (program.into(), words.iter().map(Into::into).collect());
            let entries = if command.form == Form::Sql { Entries::Beside } else { Entries::None };
            let name = command.file.clone().into();
            let output = Output { name, program, arguments: words, variables: Vec::new(), entries };
            streams(vec![output], command.form, world).map_err(said)
        }
        Kind::Postgres(postgres) => {
            let server = server(postgres, world)?;
            let mut dumps = server.dumps(&postgres.databases, &postgres.options).map_err(said)?;
            dumps.extend(postgres.globals.then(|| server.globals()));
            streams(dumps, Form::Sql, world).map_err(said)
        }
        Kind::Sqlite(path) => {
            let source = SqliteSource::new(path.clone(), world.owner.clone(), (world.now)());
            let forms = vec![(source.name(), Form::Sqlite)];
            Ok(Prepared { source: Box::new(source), forms, paths: Vec::new() })
        }
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

fn folders(directory: &Directory, world: &World<'_>) -> Result<Prepared, Error> {
    use std::os::unix::ffi::OsStrExt as _;
    let options = Options {
        exclude: directory.exclude.clone(),
        caches: if directory.exclude_caches { Caches::Exclude } else { Caches::Include },
        file_systems: if directory.one_file_system { FileSystems::One } else { FileSystems::All },
        skip: world.skip.clone(),
        ..Options::default()
    };
    let source = DirectorySource::new(directory.paths.clone(), options)?;
    let paths = directory.paths.iter().map(|path| path.as_os_str().as_bytes().to_vec()).collect();
    Ok(Prepared { source: Box::new(source), forms: Vec::new(), paths })
}

fn streams(outputs: Vec<Output>, form: Form, world: &World<'_>) -> Result<Prepared, Error> {
    let forms = outputs.iter().map(|output| (output.name.clone(), form)).collect();
    let source = CommandSource::several(outputs, world.owner.clone(), (world.now)())?;
    Ok(Prepared { source: Box::new(source), forms, paths: Vec::new() })
}

fn server(postgres: &Postgres, world: &World<'_>) -> Result<Server, String> {
    let fetch = |secret: &SecretFrom| secret.fetch(world.variables).map_err(|error| format!("no password: {error}"));
    Ok(Server {
        host: postgres.host.clone(),
        port: postgres.port,
        user: postgres.user.clone(),
        password: postgres.password.as_ref().map(fetch).transpose()?,
        container: postgres.container.clone(),
    })
}
