//! Which places a run reads and writes.

use std::path::{Path, PathBuf};

use crate::config::Config;
use crate::config::hooks::Words;
use crate::config::sources::{Kind, Source};
use crate::deploy::{Error, text_of};

/// The places of a run.
#[derive(Debug, Default)]
pub struct Places {
    /// Read only.
    pub reads: Vec<PathBuf>,
    /// Folders of databases in use: SQLite keeps what readers and writers share beside the database.
    pub databases: Vec<PathBuf>,
    /// Written.
    pub writes: Vec<PathBuf>,
    /// Files that hold secrets and the like.
    pub files: Vec<PathBuf>,
}

impl Places {
    /// Those of a configuration.
    pub fn of(config: &Config) -> Result<Self, Error> {
        full(config)?;
        let mut places = Self::default();
        places.writes.push(config.repository.path.clone());
        let metrics = config.status.metrics.as_deref().and_then(Path::parent);
        let status = config.status.directory.as_deref();
        let written = status.into_iter().chain(metrics).chain(config.drill.directory.as_deref());
        places.writes.extend(written.map(Path::to_owned));
        places.files.extend(config.needs.files.iter().cloned());
        for source in config.sources.iter().filter(|source| source.enabled) {
            match &source.kind {
                Kind::Directory(directory) => places.reads.extend(directory.paths.iter().cloned()),
                #[cfg(feature = "services")]
                Kind::Rabbitmq(rabbitmq) => places.reads.extend(rabbitmq.data_directory.clone()),
                Kind::Sqlite(sqlite) => places.databases.extend(sqlite.path.parent().map(Path::to_owned)),
                _ => {}
            }
        }
        places.all().try_for_each(|path| text_of(path).map(drop))?;
        for paths in [&mut places.reads, &mut places.databases, &mut places.writes, &mut places.files] {
            paths.sort();
            paths.dedup();
        }
        Ok(places)
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &PathBuf> {
        self.reads.iter().chain(&self.databases).chain(&self.writes).chain(&self.files)
    }
}

/// Refuses what is no full path: whoever starts larder does it in another folder. The other keys take no such paths.
pub fn full(config: &Config) -> Result<(), Error> {
    let one = |key: &str, path: Option<&PathBuf>| path.map(|path| (key.to_owned(), path.clone()));
    let written = [
        one("[repository] path", Some(&config.repository.path)),
        one("[status] directory", config.status.directory.as_ref()),
        one("[status] metrics", config.status.metrics.as_ref()),
    ];
    let files = config.needs.files.iter().map(|path| ("a file that larder.toml names".to_owned(), path.clone()));
    let databases = config.sources.iter().filter(|source| source.enabled).filter_map(|source| match &source.kind {
        Kind::Sqlite(sqlite) => Some((format!("[source.{}] path", source.name), sqlite.path.clone())),
        _ => None,
    });
    let mut named = written.into_iter().flatten().chain(files).chain(databases);
    match named.find(|(_, path)| !path.is_absolute()) {
        Some((what, path)) => Err(Error::Relative { what, path }),
        None => Ok(()),
    }
}

/// The program that a source needs beside larder.
pub fn program_of(source: &Source) -> Option<&str> {
    let hooks = &source.hooks;
    let hooks = [&hooks.before, &hooks.after, &hooks.on_success, &hooks.on_failure];
    match &source.kind {
        Kind::Command(command) => first(&command.words),
        Kind::DockerVolume(_) => Some("docker"),
        Kind::Mariadb(_) => Some("mariadb-dump"),
        Kind::N8n(n8n) => Some(&n8n.program),
        Kind::Postgres(_) => Some("pg_dump"),
        Kind::Redis(_) => Some("redis-cli"),
        _ => hooks.into_iter().flatten().find_map(first),
    }
}

/// The host of the server that a source asks. `None` if it asks none, or by other means.
pub fn host_of(source: &Source) -> Option<&str> {
    let (host, elsewhere) = match &source.kind {
        Kind::Mariadb(mariadb) => (&mariadb.host, mariadb.socket.is_some() || mariadb.container.is_some()),
        Kind::Postgres(postgres) => (&postgres.host, postgres.container.is_some()),
        Kind::Redis(redis) => (&redis.host, redis.socket.is_some() || redis.container.is_some()),
        #[cfg(feature = "services")]
        Kind::Http(http) => return host_in(&http.url),
        #[cfg(feature = "services")]
        Kind::Qdrant(qdrant) => return host_in(&qdrant.url),
        #[cfg(feature = "services")]
        Kind::Rabbitmq(rabbitmq) => return host_in(&rabbitmq.url),
        #[cfg(feature = "services")]
        Kind::S3(s3) => return host_in(s3.endpoint.as_deref()?),
        _ => return None,
    };
    // What their own programs take when they are told nothing.
    (!elsewhere).then(|| host.as_deref().unwrap_or("localhost"))
}

/// The host in an address, without its port.
#[cfg(feature = "services")]
fn host_in(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let place = rest.split(['/', '?', '#']).next()?;
    let place = place.rsplit('@').next()?;
    match place.find(']') {
        Some(end) => place.get(..=end),
        None => place.split(':').next(),
    }
}

fn first(words: &Words) -> Option<&str> {
    words.0.first().map(String::as_str)
}
