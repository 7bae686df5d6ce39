//! `larder schedule`

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf, absolute};
use std::{env, io};

use clap::{Args, Subcommand};
use jiff::tz::TimeZone;
use serde::Serialize;
use tempfile::NamedTempFile;

use larder::deploy::{self, Made, Runs, Setup, compose, cron, systemd, variables};
use larder::schedule::Zone;

use crate::cli::config::Which;
use crate::cli::output::{Form, Outcome};
use crate::cli::report::{Exit, Failure};
use crate::cli::session::{self, Session};

/// Make the files by which systemd, cron or Docker Compose start larder when something is due
///
/// They are printed, or put into a folder. Nothing is installed.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// A service and timers; or the daemon as a service
    Systemd(Systemd),
    /// A crontab
    Cron(Cron),
    /// A service beside those that it backs up, in a container
    Compose(Compose),
}

#[derive(Debug, Args)]
struct Systemd {
    #[command(flatten)]
    how: How,
    /// Let `larder daemon` run all the time instead of starting larder when something is due
    #[arg(long)]
    daemon: bool,
    /// Who runs it; the service may read everything. Default: root, for commands and hooks
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
}

#[derive(Debug, Args)]
struct Cron {
    #[command(flatten)]
    how: How,
    /// Whom cron mails warnings and errors to; default: who owns the crontab
    #[arg(long, value_name = "ADDRESS")]
    mail_to: Option<String>,
    /// The time zone that cron goes by; default: that of this machine
    #[arg(long, value_name = "ZONE")]
    timezone: Option<Zone>,
}

#[derive(Debug, Args)]
struct Compose {
    #[command(flatten)]
    how: How,
    /// The image, as the Dockerfile of larder makes it
    #[arg(long, value_name = "NAME", default_value = "larder")]
    image: String,
    /// Who runs it in the container, by numbers: must be able to read the sources and to write the repository
    #[arg(long, value_name = "UID:GID")]
    user: Option<String>,
}

#[derive(Debug, Args)]
struct How {
    #[command(flatten)]
    which: Which,
    /// Put the files there instead of printing them
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Replace files that are there and differ
    #[arg(long, requires = "output")]
    force: bool,
    /// The program that is to be started; default: this one
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
    /// A file of variables that larder.toml needs: lines of NAME=VALUE
    #[arg(long, value_name = "FILE")]
    env_file: Option<PathBuf>,
}

/// Makes them.
pub fn run(session: &mut Session, arguments: &Arguments) -> Outcome {
    match &arguments.command {
        Command::Systemd(given) => {
            let runs = if given.daemon { Runs::AsDaemon } else { Runs::WhenDue };
            make(session, &given.how, given.user.as_deref(), |setup| systemd::make(setup, runs))
        }
        Command::Cron(given) => {
            let here = TimeZone::system().iana_name().and_then(|name| name.parse().ok());
            let zone = given.timezone.clone().or(here);
            make(session, &given.how, None, |setup| cron::make(setup, zone.as_ref(), given.mail_to.as_deref()))
        }
        Command::Compose(given) => {
            make(session, &given.how, given.user.as_deref(), |setup| compose::make(setup, &given.image))
        }
    }
}

#[derive(Serialize)]
struct Said<'m> {
    name: &'m str,
    text: &'m str,
}

fn make(
    session: &mut Session,
    how: &How,
    user: Option<&str>,
    making: impl FnOnce(&Setup<'_>) -> Result<Made, deploy::Error>,
) -> Outcome {
    let found = how.which.read()?;
    let full = |path: &Path| absolute(path).map_err(|error| Failure::io("cannot tell the current folder", &error));
    let program = match &how.program {
        Some(program) => full(program)?,
        None => env::current_exe().map_err(|error| Failure::io("cannot tell where this program is", &error))?,
    };
    let (file, variables) = (full(&found.place)?, how.env_file.as_deref().map(full).transpose()?);
    if let Some(file) = &variables {
        look_at(session, file)?;
    }
    let host = session::this_host();
    let setup = Setup {
        config: &found.config,
        file: &file,
        program: &program,
        variables: variables.as_deref(),
        host: &host,
        user,
        now: session::now().timestamp(),
    };
    let made = making(&setup).map_err(failure)?;
    for warning in &made.warnings {
        session.out.warning(warning);
    }
    match &how.output {
        Some(folder) => put(session, folder, &made, how.force.into()),
        None => print(session, &made),
    }
}

/// Whether the file of variables is read alike by all, and by nobody else. It may be made later, or be another's.
fn look_at(session: &mut Session, file: &Path) -> Result<(), Failure> {
    let place = file.display();
    let looked = fs::metadata(file).and_then(|metadata| Ok((metadata.permissions().mode(), fs::read(file)?)));
    match looked {
        Ok((mode, bytes)) => {
            if mode & 0o077 != 0 {
                session.out.warning(format!("{place} is open to others than its owner: chmod 600 it"));
            }
            variables::check(&bytes).map_err(|flaw| {
                Failure::usage(format!("{place}: {flaw}")).hint(
                    "write NAME=VALUE, or NAME='VALUE' if there is more in it than letters, digits and _./:@%+,-=; \
                     a secret that has quotes, backslashes or ${ in it goes into a file of its own",
                )
            })
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            session.out.warning(format!("{place} is not there yet: larder cannot start without it"));
            Ok(())
        }
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            session.out.warning(format!("{place} cannot be read here, and was not looked at"));
            Ok(())
        }
        Err(error) => Err(Failure::io(format!("cannot read {place}"), &error)),
    }
}

fn failure(error: deploy::Error) -> Failure {
    let hint = match &error {
        deploy::Error::NoSchedule => "add a [schedule] with cron = \"0 2 * * *\" to larder.toml",
        deploy::Error::Relative { .. } => "write the full path in larder.toml: it is started in another folder",
        deploy::Error::Unwritable(_) => "give it another name, of letters and digits",
    };
    Failure::usage(error.to_string()).hint(hint)
}

fn print(session: &mut Session, made: &Made) -> Outcome {
    if session.out.form() == Form::Json {
        let files: Vec<Said<'_>> = made.files.iter().map(|file| Said { name: &file.name, text: &file.text }).collect();
        session.out.json(&files)?;
        return Ok(Exit::Done);
    }
    let several = made.files.len() > 1;
    for (at, file) in made.files.iter().enumerate() {
        if several {
            session.out.line(format!("{}##### {}", if at > 0 { "\n" } else { "" }, file.name))?;
        }
        session.out.line(file.text.trim_end())?;
    }
    Ok(Exit::Done)
}

/// What becomes of files that are there and differ.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Existing {
    Refuse,
    Replace,
}

impl From<bool> for Existing {
    fn from(force: bool) -> Self {
        if force { Self::Replace } else { Self::Refuse }
    }
}

/// Puts all into a folder, or none.
fn put(session: &mut Session, folder: &Path, made: &Made, existing: Existing) -> Outcome {
    for file in &made.files {
        let place = folder.join(&file.name);
        let differs = match fs::read(&place) {
            Ok(bytes) => bytes != file.text.as_bytes(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => return Err(Failure::io(format!("cannot read {}", place.display()), &error)),
        };
        if differs && existing == Existing::Refuse {
            return Err(Failure::usage(format!("{} is there already, and differs", place.display()))
                .hint("nothing was written; give --force to replace it"));
        }
    }
    fs::create_dir_all(folder).map_err(|error| Failure::io(format!("cannot make {}", folder.display()), &error))?;
    for file in &made.files {
        let place = folder.join(&file.name);
        write(folder, &place, &file.text)
            .map_err(|error| Failure::io(format!("cannot write {}", place.display()), &error))?;
        session.out.line(place.display())?;
    }
    Ok(Exit::Done)
}

/// All at once. What is in it is no secret.
fn write(folder: &Path, place: &Path, text: &str) -> io::Result<()> {
    let mut file = NamedTempFile::new_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.as_file().set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
    file.persist(place).map_err(|error| error.error)?;
    Ok(())
}
