//! `larder init`

use std::fs;
use std::path::{Path, PathBuf, absolute};

use clap::{Args, ValueEnum};
use jiff::tz::TimeZone;
use serde::Serialize;

use larder::chunking::Sizes;
use larder::crypto::slot::Stretch;
use larder::format::objects::WeekStart;
use larder::format::objects::{CONFIGS, SLOTS};
use larder::ops::retention::Calendar;
use larder::repo::open::{NewRepository, create};
use larder::repo::slots::recovery_text;
use larder::storage::local::Local;

use crate::cli::config::{Found, Which};
use crate::cli::output::{Form, Outcome};
use crate::cli::report::{Exit, Failure};
use crate::cli::session::{self, Session};
use crate::cli::unlock::write_private;

/// Make a repository in a new or empty folder
#[derive(Debug, Args)]
pub struct Arguments {
    /// Write the recovery key into this new file instead of printing it
    #[arg(long, value_name = "FILE")]
    recovery_file: Option<PathBuf>,
    /// The time zone in which days, weeks, months and years begin: default that of [schedule] in larder.toml, or this machine's
    #[arg(long, value_name = "ZONE")]
    timezone: Option<String>,
    /// The day on which weeks begin: default [retention] week_start, or monday
    #[arg(long, value_name = "DAY")]
    week_start: Option<Day>,
    /// How much a password is stretched: `strong` is slower to guess and to unlock
    #[arg(long, value_name = "HOW", default_value = "standard")]
    kdf: Kdf,
    #[command(flatten)]
    which: Which,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Day {
    Monday,
    Sunday,
}

/// How much a password is stretched.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Kdf {
    /// 64 MiB of memory
    Standard,
    /// 256 MiB of memory
    Strong,
}

impl Kdf {
    /// As the library has it.
    pub const fn stretch(self) -> Stretch {
        match self {
            Kdf::Standard => Stretch::PASSWORD,
            Kdf::Strong => Stretch::STRONG,
        }
    }
}

#[derive(Serialize)]
struct Answer<'a> {
    repository: String,
    path: String,
    time_zone: &'a str,
    week_start: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    recovery_key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    recovery_file: Option<String>,
}

/// What larder.toml says, if it was named or nothing else says where the repository is to be.
fn found(session: &mut Session, arguments: &Arguments) -> Result<Option<Found>, Failure> {
    let named = session.place().ok().map(Path::to_owned);
    if !arguments.which.is_given() && (named.is_some() || arguments.which.place().is_err()) {
        return Ok(None);
    }
    let found = arguments.which.read()?;
    let wanted = found.config.repository.path.clone();
    if let Some(named) = named.filter(|named| absolute(named).ok() != absolute(&wanted).ok()) {
        return Err(Failure::usage(format!(
            "two places for the repository: {} and, by {}, {}",
            named.display(),
            found.place.display(),
            wanted.display()
        ))
        .hint("leave out --repo (LARDER_REPO) or --config (LARDER_CONFIG)"));
    }
    session.global.repo = Some(wanted);
    Ok(Some(found))
}

/// Makes the repository.
pub fn run(session: &mut Session, arguments: &Arguments) -> Outcome {
    let found = found(session, arguments)?;
    let place = session.place()?.to_owned();
    let week_start = match arguments.week_start {
        None => found.as_ref().and_then(|found| found.config.week_start).unwrap_or(WeekStart::Monday),
        Some(Day::Monday) => WeekStart::Monday,
        Some(Day::Sunday) => WeekStart::Sunday,
    };
    let timetable = found.as_ref().and_then(|found| found.config.timetable.as_ref());
    let scheduled = timetable.map(|timetable| timetable.zone.name().to_owned());
    let time_zone = arguments.timezone.clone().or(scheduled).unwrap_or_else(system_zone);
    Calendar::new(&time_zone, week_start).map_err(|error| {
        Failure::usage(error.to_string().replace("the repository's time zone", "the time zone"))
            .hint("use a name such as Europe/Vienna, or UTC")
    })?;
    // Both before the password is asked for.
    is_free(&place)?;
    if let Some(file) = &arguments.recovery_file
        && fs::symlink_metadata(file).is_ok()
    {
        return Err(Failure::new(Exit::Failed, format!("{} exists already", file.display()))
            .hint("nothing is ever written over; choose another name for the recovery file"));
    }
    let credential = match &found {
        Some(found) => found.locking(session)?,
        None => session.global.given.locking()?,
    };
    let storage = Local::create(&place)?;
    let new = NewRepository {
        time_zone: time_zone.clone(),
        week_start,
        sizes: Sizes::DEFAULT,
        credential: &credential,
        stretch: arguments.kdf.stretch(),
        now: session::now(),
    };
    let (repository, root) = create(&storage, &new)?;
    let recovery = recovery_text(&root);
    if let Some(file) = &arguments.recovery_file {
        let text = format!("recovery key of larder repository {repository}:\n{}\n", *recovery);
        if let Err(failure) = write_private(file, text.as_bytes()) {
            // It exists nowhere else.
            session.out.line(format!("recovery key, shown this once: {}", *recovery))?;
            return Err(failure);
        }
    }
    let answer = Answer {
        repository: repository.to_string(),
        path: place.display().to_string(),
        time_zone: &time_zone,
        week_start: week_start.name(),
        recovery_key: arguments.recovery_file.is_none().then_some(recovery.as_str()),
        recovery_file: arguments.recovery_file.as_ref().map(|file| file.display().to_string()),
    };
    show(session, &answer)?;
    Ok(Exit::Done)
}

fn show(session: &mut Session, answer: &Answer<'_>) -> Result<(), Failure> {
    let out = &mut session.out;
    if out.form() == Form::Json {
        return out.json(answer);
    }
    out.say(format!("made repository {} at {}", &answer.repository[..8], answer.path))?;
    out.say(format!("days begin in {}, weeks on {}", answer.time_zone, answer.week_start))?;
    if let Some(file) = &answer.recovery_file {
        out.say(format!("the recovery key is in {file}: keep it somewhere else, it opens everything"))?;
    }
    if let Some(key) = answer.recovery_key {
        // Said even when quiet: it is shown once and never again.
        out.line("recovery key, shown this once; keep it somewhere safe and away from here, it opens everything:")?;
        out.line(format!("  {key}"))?;
    }
    Ok(())
}

/// Refuses a place at which there is something.
fn is_free(place: &Path) -> Result<(), Failure> {
    if fs::metadata(place).is_ok_and(|found| !found.is_dir()) {
        return Err(Failure::new(Exit::Failed, format!("{} is no folder", place.display()))
            .hint("a new repository needs a new or an empty folder"));
    }
    let empty = fs::read_dir(place).map_or(true, |mut entries| entries.next().is_none());
    if empty { Ok(()) } else { Err(not_empty(place)) }
}

fn not_empty(place: &Path) -> Failure {
    if CONFIGS.iter().any(|name| place.join(name).is_file()) && place.join(SLOTS).is_dir() {
        return Failure::new(Exit::Failed, format!("there is a repository already: {}", place.display()))
            .hint("use it as it is; a new repository needs a new or an empty folder");
    }
    Failure::new(Exit::Failed, format!("{} is not empty", place.display()))
        .hint("a new repository needs a new or an empty folder")
}

/// The name of this machine's time zone; UTC when it has none.
fn system_zone() -> String {
    let zone = TimeZone::try_system().ok();
    zone.and_then(|zone| zone.iana_name().map(str::to_owned)).unwrap_or_else(|| "UTC".into())
}
