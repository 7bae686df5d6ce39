//! `larder config`, and where `larder.toml` is found.

use std::env;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde::Serialize;

use larder::config::mistakes::Mistake;
use larder::config::sources::Source;
use larder::config::variables::Variables;
use larder::config::{self, Config, Unlock};
use larder::progress::Observer;
use larder::repo::Repository;
use larder::repo::error::Error as RepoError;
use larder::repo::slots::Credential;
use larder::run::{self, World};

use crate::cli::output::{Form, Outcome, escaped, plural};
use crate::cli::report::{Exit, Failure};
use crate::cli::session::{self, Session, identity, this_host, this_user};
use crate::cli::unlock::Given;

/// Longest configuration.
const CONFIG_BYTES_MAX: u64 = 1 << 20;
const NAME: &str = "larder.toml";

/// Check the configuration, or show an example
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Say everything that is wrong in larder.toml, with line and column
    Check(Which),
    /// Print an example with every table
    Example,
}

/// Which configuration.
#[derive(Debug, Default, Args)]
pub struct Which {
    /// The configuration: default ./larder.toml, then that of the user, then that of the system
    #[arg(long, value_name = "FILE", env = "LARDER_CONFIG")]
    config: Option<PathBuf>,
}

/// A configuration that was read.
pub struct Found {
    /// Where it is.
    pub place: PathBuf,
    /// The open file, which a run locks.
    pub file: File,
    /// What it says.
    pub config: Config,
    /// The variables it was read with.
    pub variables: Variables,
}

impl Found {
    /// The sources named, or every enabled one.
    pub fn chosen(&self, names: &[String]) -> Result<Vec<&Source>, Failure> {
        run::chosen(&self.config, names).map_err(|name| {
            let names: Vec<&str> = self.config.sources.iter().map(|source| source.name.as_str()).collect();
            Failure::usage(format!("there is no source {}", escaped(name.as_bytes())))
                .hint(format!("there are: {}", names.join(", ")))
        })
    }

    /// Whether its repository can be opened without asking anybody.
    pub fn unlocks(&self, session: &Session) -> Result<bool, Failure> {
        Ok(self.config.repository.unlock.is_some() || session.global.given.says()?)
    }

    /// Opens its repository.
    pub fn open(&self, session: &mut Session) -> Result<Repository, Failure> {
        session.global.repo = Some(self.config.repository.path.clone());
        let unlock = self.config.repository.unlock.as_ref();
        let given = &session.global.given;
        let opened = session.open_by(|| credential(unlock, given, &self.variables, Given::unlocking));
        let mut repo = opened.map_err(|failure| self.advised(failure, given))?;
        repo.level = self.config.repository.level;
        let weeks = repo.config().week_start;
        if let Some(wanted) = self.config.week_start.filter(|wanted| *wanted != weeks) {
            session.out.warning(format!(
                "weeks of this repository begin on {}, since it was made, and not on {}: see week_start of [retention]",
                weeks.name(),
                wanted.name()
            ));
        }
        Ok(repo)
    }

    /// What to do next is to look at what `larder.toml` says, where it is that which counts.
    fn advised(&self, failure: Failure, given: &Given) -> Failure {
        let place = self.place.display();
        match failure.exit() {
            Exit::NoRepository => failure.hint(format!(
                "[repository] path in {place} says where it is: is that right, and its disk mounted? larder init makes \
                 a new repository"
            )),
            Exit::Locked
                if failure.message() == RepoError::WrongKey.to_string()
                    && self.config.repository.unlock.is_some()
                    && !is_typed(given) =>
            {
                failure.hint(format!(
                    "check what [repository] in {place} unlocks it with; with the recovery key: larder recover"
                ))
            }
            _ => failure,
        }
    }

    /// What is to open its repository from now on.
    pub fn locking(&self, session: &Session) -> Result<Credential, Failure> {
        credential(self.config.repository.unlock.as_ref(), &session.global.given, &self.variables, Given::locking)
    }

    /// What a run needs of the world.
    pub fn world<'w>(&'w self, session: &Session, observer: &'w dyn Observer, repo: Option<&Repository>) -> World<'w> {
        let places = [Some(self.config.repository.path.clone()), session.caches()];
        let own: Vec<PathBuf> = places.into_iter().flatten().filter_map(|place| place.canonicalize().ok()).collect();
        World {
            now: &session::now,
            variables: &self.variables,
            host: this_host(),
            owner: this_user(),
            threads: session::threads(),
            booted: session::booted(),
            configuration: self.place.canonicalize().unwrap_or_else(|_| self.place.clone()).display().to_string(),
            memory: repo.and_then(|repo| session.cache_of(repo)).map(|cache| cache.join("upkeep.json")),
            skip: own.iter().filter_map(|place| identity(place)).collect(),
            own,
            observer,
        }
    }
}

impl Which {
    /// Whether somebody named one.
    pub fn is_given(&self) -> bool {
        self.config.as_ref().is_some_and(|path| !path.as_os_str().is_empty())
    }

    /// Finds the file.
    pub fn place(&self) -> Result<PathBuf, Failure> {
        let set = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let given = self.config.clone().filter(|path| !path.as_os_str().is_empty());
        // Commands that have no --config of their own know the variable.
        if let Some(path) = given.or_else(|| set("LARDER_CONFIG")) {
            return Ok(path);
        }
        let user = set("XDG_CONFIG_HOME").or_else(|| set("HOME").map(|home| home.join(".config")));
        let user = user.map(|folder| folder.join("larder").join(NAME));
        let places = [Some(PathBuf::from(NAME)), user, Some(Path::new("/etc/larder").join(NAME))];
        places.into_iter().flatten().find(|place| place.exists()).ok_or_else(|| {
            Failure::usage(format!("no {NAME} here, nor in the configuration folders of user and system"))
                .hint("give --config FILE, or set LARDER_CONFIG; larder config example prints one to start from")
        })
    }

    fn text(&self) -> Result<(PathBuf, File, String), Failure> {
        let place = self.place()?;
        let failed = |error: &std::io::Error| match error.kind() {
            ErrorKind::NotFound => Failure::usage(format!("there is no {}", place.display())),
            _ => Failure::io(format!("cannot read {}", place.display()), error),
        };
        let file = File::open(&place).map_err(|error| failed(&error))?;
        if file.metadata().is_ok_and(|found| found.len() > CONFIG_BYTES_MAX) {
            return Err(Failure::usage(format!("{} is longer than any configuration", place.display())));
        }
        let text = fs::read_to_string(&place).map_err(|error| failed(&error))?;
        Ok((place, file, text))
    }

    /// Reads it; with a mistake in it nothing is run.
    pub fn read(&self) -> Result<Found, Failure> {
        let (place, file, text) = self.text()?;
        let variables = variables();
        match config::read(&text, &variables) {
            Ok(config) => Ok(Found { place, file, config, variables }),
            Err(mistakes) => Err(refused(&place, &mistakes.0)),
        }
    }
}

fn refused(place: &Path, mistakes: &[Mistake]) -> Failure {
    let said = format!("{} in {}", plural(mistakes.len() as u64, "mistake"), place.display());
    let lines = mistakes.iter().map(|mistake| format!("{}:{mistake}", place.display()));
    lines.fold(Failure::usage(said), Failure::detail).hint("nothing was run")
}

/// Whether the command line says what opens the repository.
fn is_typed(given: &Given) -> bool {
    given.password_file.is_some() || given.password_command.is_some() || given.key_file.is_some()
}

/// What opens the repository: what is typed counts more than the configuration, and that more than variables.
fn credential(
    unlock: Option<&Unlock>,
    given: &Given,
    variables: &Variables,
    ask: fn(&Given) -> Result<Credential, Failure>,
) -> Result<Credential, Failure> {
    match unlock.filter(|_| !is_typed(given)) {
        None => ask(given),
        Some(Unlock::KeyFile(path)) => {
            let given = Given { key_file: Some(path.clone()), password_file: None, password_command: None };
            ask(&given)
        }
        Some(unlock @ Unlock::Password(_)) => unlock.credential(variables).map_err(|error| {
            Failure::new(Exit::Failed, "no password for the repository").detail(error).hint("see [repository]")
        }),
    }
}

/// The variables of this process, of which those that are no text count for nothing here.
fn variables() -> Variables {
    env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))).collect()
}

#[derive(Serialize)]
struct Answer {
    config: String,
    sources: Vec<String>,
    mistakes: Vec<Said>,
}

#[derive(Serialize)]
struct Said {
    line: Option<usize>,
    column: Option<usize>,
    key: String,
    message: String,
}

/// Checks, or shows.
pub fn run(session: &mut Session, arguments: &Arguments) -> Outcome {
    let which = match &arguments.command {
        Command::Check(which) => which,
        Command::Example => {
            session.out.line(config::EXAMPLE.trim_end())?;
            return Ok(Exit::Done);
        }
    };
    let (place, _, text) = which.text()?;
    let read = config::read(&text, &variables());
    if session.out.form() == Form::Text {
        let config = read.map_err(|mistakes| refused(&place, &mistakes.0))?;
        let names: Vec<&str> = config.sources.iter().map(|source| source.name.as_str()).collect();
        session.out.line(format!(
            "{}: no mistakes; {}: {}",
            place.display(),
            plural(names.len() as u64, "source"),
            names.join(", ")
        ))?;
        return Ok(Exit::Done);
    }
    let (sources, mistakes) = match read {
        Ok(config) => (config.sources.into_iter().map(|source| source.name).collect(), Vec::new()),
        Err(mistakes) => (Vec::new(), mistakes.0),
    };
    let exit = if mistakes.is_empty() { Exit::Done } else { Exit::Usage };
    let said = |Mistake { place, key, message }: Mistake| Said {
        line: place.map(|place| place.line),
        column: place.map(|place| place.column),
        key,
        message,
    };
    let config = place.display().to_string();
    session.out.json(&Answer { config, sources, mistakes: mistakes.into_iter().map(said).collect() })?;
    Ok(exit)
}
