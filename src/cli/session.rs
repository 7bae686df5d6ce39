//! What all commands share: which repository, which cache, how it is unlocked, and where the answer goes.

use std::env;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Args;
use clap::builder::{OsStringValueParser, TypedValueParser as _};

use larder::crypto::keys::RootKey;
use larder::format::Time;
use larder::format::listing::Owner;
use larder::format::objects::CONFIGS;
use larder::posix::owners::OwnerNames;
use larder::progress::Observer;
use larder::repo::Repository;
use larder::repo::error::Error as RepoError;
use larder::repo::open;
use larder::repo::slots::Credential;
use larder::storage::local::Local;

use crate::cli::config::Which;
use crate::cli::output::{Form, Output, Voice};
use crate::cli::progress;
use crate::cli::report::{Exit, Failure};
use crate::cli::unlock::Given;

/// Options of all commands.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Options of all commands")]
pub struct Global {
    /// The repository: a folder
    #[arg(long, value_name = "PATH", env = "LARDER_REPO", global = true)]
    #[arg(value_parser = OsStringValueParser::new().map(PathBuf::from))]
    pub repo: Option<PathBuf>,
    /// Answer with one JSON document
    #[arg(long, global = true)]
    pub json: bool,
    /// Say nothing but what was asked for, warnings and errors
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// Where the index is kept, which is a cache: default ~/.cache/larder
    #[arg(long, value_name = "DIR", env = "LARDER_CACHE", global = true)]
    #[arg(value_parser = OsStringValueParser::new().map(PathBuf::from))]
    pub cache: Option<PathBuf>,
    #[command(flatten)]
    pub given: Given,
}

/// A command under way.
pub struct Session {
    /// Options of all commands.
    pub global: Global,
    /// Where the answer goes.
    pub out: Output,
}

impl Session {
    /// Nothing opened yet.
    pub fn new(global: Global) -> Self {
        let form = if global.json { Form::Json } else { Form::Text };
        let voice = if global.quiet { Voice::Quiet } else { Voice::Normal };
        Self { global, out: Output::new(form, voice) }
    }

    /// Where the repository is, or is to be.
    pub fn place(&self) -> Result<&Path, Failure> {
        let missing = || {
            Failure::usage("which repository?")
                .hint("give --repo PATH, or set LARDER_REPO, or go where a larder.toml is")
        };
        self.global.repo.as_deref().filter(|path| !path.as_os_str().is_empty()).ok_or_else(missing)
    }

    /// The folder below which each repository has a cache of its own; `None` when there is nowhere to put it.
    pub fn caches(&self) -> Option<PathBuf> {
        let set = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let given = self.global.cache.clone().filter(|path| !path.as_os_str().is_empty());
        let standard = || set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache")));
        given.or_else(|| standard().map(|folder| folder.join("larder")))
    }

    /// The repository's objects.
    pub fn storage(&self) -> Result<Local, Failure> {
        let place = self.place()?;
        // A file in its place is no repository either.
        if fs::metadata(place).is_ok_and(|found| !found.is_dir()) {
            return Err(self.no_repository());
        }
        Ok(Local::open(place)?)
    }

    fn no_repository(&self) -> Failure {
        let place = self.global.repo.as_deref().unwrap_or(Path::new("")).display();
        Failure::new(Exit::NoRepository, format!("no repository at {place}"))
            .hint("check --repo or LARDER_REPO; larder init makes a new repository")
    }

    /// Opens the repository that the command line or its variables name, or else that of `larder.toml`.
    pub fn open(&mut self) -> Result<Repository, Failure> {
        self.open_of(&Which::default())
    }

    /// The same, with this `larder.toml`.
    pub fn open_of(&mut self, which: &Which) -> Result<Repository, Failure> {
        if self.place().is_err() && which.place().is_ok() {
            return which.read()?.open(self);
        }
        self.open_by(|| self.global.given.unlocking())
    }

    /// Opens the repository with a credential that is fetched once it is known that there is a repository.
    pub fn open_by(&self, credential: impl FnOnce() -> Result<Credential, Failure>) -> Result<Repository, Failure> {
        let storage = self.storage()?;
        // Before the password is asked for: nobody should type it for nothing.
        let missing = |name: &&str| {
            fs::symlink_metadata(storage.root().join(name)).is_err_and(|error| error.kind() == ErrorKind::NotFound)
        };
        if CONFIGS.iter().all(missing) {
            return Err(self.no_repository());
        }
        Ok(self.open_with(storage, &credential()?)?.0)
    }

    /// Opens the repository with this credential.
    pub fn open_with(&self, storage: Local, credential: &Credential) -> Result<(Repository, RootKey), Failure> {
        let (repo, root) =
            open::open(Arc::new(storage), credential, self.caches().as_deref()).map_err(|error| match error {
                RepoError::NotARepository => self.no_repository(),
                error => error.into(),
            })?;
        for oddity in &repo.oddities {
            self.out.warning(oddity);
        }
        if repo.index().degraded() || self.cache_of(&repo).is_none_or(|cache| !cache.is_dir()) {
            self.out.note("the cache folder cannot be used; this run makes a temporary index");
        }
        Ok((repo, root))
    }

    /// The folder in which what is known of a repository is kept.
    pub fn cache_of(&self, repo: &Repository) -> Option<PathBuf> {
        self.caches().map(|caches| caches.join(repo.config().repository.to_string()))
    }

    /// What watches long work.
    pub fn observer(&self) -> Box<dyn Observer> {
        progress::observer(self.out.voice())
    }
}

/// The name of this machine.
pub fn this_host() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").or_else(|_| fs::read_to_string("/etc/hostname"));
    let name = name.unwrap_or_default();
    if name.trim().is_empty() { "localhost".into() } else { name.trim().to_owned() }
}

/// Who runs this.
pub fn this_user() -> Owner {
    let ids = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    OwnerNames::new().owner(ids.0, ids.1)
}

/// How many threads to use.
pub fn threads() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// What the clock says.
pub fn now() -> Time {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => Time { seconds: since.as_secs() as i64, nanos: since.subsec_nanos() },
        Err(before) => Time { seconds: -(before.duration().as_secs() as i64), nanos: 0 },
    }
}

/// When this machine was started, if it says so.
pub fn booted() -> Option<Time> {
    let text = fs::read_to_string("/proc/stat").ok()?;
    let seconds = text.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
    Some(Time { seconds, nanos: 0 })
}

/// Device and inode number: the same folder whatever it is called.
pub fn identity(path: &Path) -> Option<(u64, u64)> {
    fs::metadata(path).ok().map(|found| (found.dev(), found.ino()))
}

/// Whether one path lies in another, or is the same, when all links are followed. What does not exist yet is judged by
/// the folder it would lie in.
pub fn lies_within(path: &Path, folder: &Path) -> bool {
    let Ok(folder) = fs::canonicalize(folder) else { return false };
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let existing = absolute.ancestors().find_map(|ancestor| fs::canonicalize(ancestor).ok());
    existing.is_some_and(|existing| existing.starts_with(&folder))
}
