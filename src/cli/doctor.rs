//! `larder doctor`

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::Args;
use rustix::fs::{Access, access};
use rustix::io::Errno;
use serde::Serialize;

use larder::run::doctor::{self, Finding, Listener, Said};

use crate::cli::config::{Found, Which};
use crate::cli::output::{Form, Outcome, escaped, plural};
use crate::cli::report::{Exit, Failure};
use crate::cli::session::Session;

/// Look whether everything in larder.toml could be backed up now and everybody told, and say how to mend what could not
///
/// Changes nothing anywhere. Ends with 1 if something is wrong.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Sources, by their names in larder.toml; default: every enabled one
    #[arg(value_name = "SOURCE")]
    sources: Vec<String>,
    #[command(flatten)]
    which: Which,
}

#[derive(Serialize)]
struct Answer {
    repository: Vec<Said>,
    status: Vec<Said>,
    notify: Vec<Listener>,
    sources: Vec<Finding>,
}

/// Looks.
pub fn run(session: &mut Session, arguments: &Arguments) -> Outcome {
    let found = arguments.which.read()?;
    let sources = found.chosen(&arguments.sources)?;
    let repository = match found.open(session) {
        Ok(repo) => {
            let place = &found.config.repository.path;
            let places = ["", "packs", "log"].map(|folder| place.join(folder));
            let hint = "make it writable for whoever runs larder; read-only mounts: mount -o remount,rw";
            unwritable(&places, hint).into_iter().chain(forgetful(session.cache_of(&repo))).collect()
        }
        Err(failure) => vec![said(&failure)],
    };
    let observer = session.observer();
    let world = found.world(session, observer.as_ref(), None);
    let answer = Answer {
        repository,
        status: status(&found),
        notify: doctor::listeners(&found.config.notify, &world),
        sources: doctor::look(&sources, &world),
    };
    drop(world);
    drop(observer);
    let rows = rows(&answer, &found);
    let wrong = rows.iter().map(|(_, troubles)| troubles.len()).sum();
    show(session, &answer, &rows, wrong)?;
    Ok(if wrong == 0 { Exit::Done } else { Exit::Failed })
}

/// The first place that this user cannot write to; what is not there is not looked at.
fn unwritable(places: &[PathBuf], hint: &str) -> Option<Said> {
    places.iter().find_map(|place| {
        let error = access(place, Access::WRITE_OK).err().filter(|error| *error != Errno::NOENT)?;
        let what = format!("cannot write into {}: {error}", place.display());
        Some(Said { what, hint: hint.to_owned() })
    })
}

/// Whether nothing could be kept between runs: the index, and when prune, check and drills ran.
fn forgetful(cache: Option<PathBuf>) -> Option<Said> {
    const HINT: &str = "without a cache every run makes the index anew, and prunes, checks and drills: let whoever runs larder \
                        write there, or give another folder (--cache, LARDER_CACHE)";
    match cache {
        None => Some(Said { what: "there is no folder for a cache".to_owned(), hint: HINT.to_owned() }),
        Some(folder) if folder.is_dir() => unwritable(&[folder], HINT),
        Some(folder) => {
            Some(Said { what: format!("cannot make the folder {}", folder.display()), hint: HINT.to_owned() })
        }
    }
}

fn said(failure: &Failure) -> Said {
    Said { what: failure.message(), hint: failure.advice().unwrap_or("see [repository]").to_owned() }
}

/// Whether reports and metrics could be put where they belong.
fn status(found: &Found) -> Vec<Said> {
    let wanted = &found.config.status;
    let metrics = wanted.metrics.as_deref().and_then(Path::parent);
    let folders: BTreeSet<&Path> = [wanted.directory.as_deref(), metrics].into_iter().flatten().collect();
    let tried = folders.into_iter().map(|folder| (folder, tempfile::tempfile_in(folder)));
    let failed = tried.filter_map(|(folder, tried)| Some((folder, tried.err()?)));
    let said = |(folder, error): (&Path, std::io::Error)| Said {
        what: format!("cannot write into {}: {error}", folder.display()),
        hint: "make the folder of [status], writable for whoever runs larder".to_owned(),
    };
    failed.map(said).collect()
}

/// What was looked at, and what is wrong with it.
fn rows<'a>(answer: &'a Answer, found: &Found) -> Vec<(String, &'a [Said])> {
    let mut rows = vec![("[repository]".to_owned(), answer.repository.as_slice())];
    if found.config.status.directory.is_some() || found.config.status.metrics.is_some() {
        rows.push(("[status]".to_owned(), &answer.status));
    }
    let listeners = answer.notify.iter();
    rows.extend(listeners.map(|one| (format!("[notify.{}]", escaped(one.name.as_bytes())), one.troubles.as_slice())));
    let sources = answer.sources.iter();
    rows.extend(sources.map(|finding| (escaped(finding.source.as_bytes()), finding.troubles.as_slice())));
    rows
}

fn show(session: &mut Session, answer: &Answer, rows: &[(String, &[Said])], wrong: usize) -> Result<(), Failure> {
    if session.out.form() == Form::Json {
        return session.out.json(answer);
    }
    let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    for (name, troubles) in rows {
        if troubles.is_empty() {
            session.out.line(format!("{name:width$}  well"))?;
        }
        for Said { what, hint } in *troubles {
            session.out.line(format!("{name:width$}  {}", what.replace('\n', "\n    ")))?;
            session.out.line(format!("{:width$}  hint: {hint}", ""))?;
        }
    }
    session.out.say(match wrong {
        0 => "nothing is wrong".to_owned(),
        wrong => format!("{} to mend", plural(wrong as u64, "thing")),
    })
}
