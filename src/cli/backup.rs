//! `larder backup`

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use larder::format::record::{Counts, TEXT_BYTES_MAX};
use larder::ops::backup::{self, Mode, Options, Report};
use larder::ops::tag;
use larder::repo::Repository;
use larder::repo::seal::Level;
use larder::source::command::CommandSource;
use larder::source::directory::{self, Caches, DirectorySource, FileSystems};
use larder::source::stream::StreamSource;
use larder::source::{Severity, Source};

use crate::cli::output::{self, Form, JsonPath, Outcome, count, escaped, plural, size};
use crate::cli::report::{Exit, Failure};
use crate::cli::session::{self, Session, identity, lies_within, this_host, this_user};

/// What makes a snapshot of one stream.
const STREAMS: [&str; 2] = ["stdin", "command"];
/// What means something with folders only.
const OF_FOLDERS: [&str; 4] = ["exclude", "exclude_file", "exclude_caches", "one_file_system"];

/// Back up folders and files, standard input, or what a command prints
///
/// One PATH: a folder becomes the root of the snapshot. Several: each lies under its full path.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Folders and files
    #[arg(value_name = "PATH", required_unless_present_any = STREAMS, conflicts_with_all = STREAMS)]
    paths: Vec<PathBuf>,
    /// Back up standard input as a file of this name
    #[arg(long, value_name = "NAME", conflicts_with_all = OF_FOLDERS, conflicts_with = "command")]
    stdin: Option<OsString>,
    /// Back up what the command after `--` prints, as a file of this name; if it fails there is no snapshot
    #[arg(long, value_name = "NAME", conflicts_with_all = OF_FOLDERS, requires = "words")]
    command: Option<OsString>,
    /// The command and its arguments
    #[arg(value_name = "CMD", last = true, requires = "command")]
    words: Vec<OsString>,
    /// The name of the series: default the last component of PATH (of several, joined by +), or NAME. Without it, a
    /// folder elsewhere with the same last component is refused
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// The name of this machine: default what the system says
    #[arg(long, value_name = "NAME")]
    host: Option<String>,
    /// A tag that holds the snapshot until it is removed; the name of a tier forces that tier. May be given again
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,
    /// A remark
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    description: String,
    /// Leave out what matches: a name, or a path with `/`, `*`, `?`, `**`. May be given again
    #[arg(long, value_name = "GLOB")]
    exclude: Vec<String>,
    /// Leave out what matches a line of this file; empty lines and lines with # in front do not count
    #[arg(long, value_name = "FILE")]
    exclude_file: Vec<PathBuf>,
    /// Leave out what is in folders marked with a CACHEDIR.TAG
    #[arg(long)]
    exclude_caches: bool,
    /// Do not go into other file systems
    #[arg(long, short = 'x')]
    one_file_system: bool,
    /// How hard new data are compressed: 1 (fast) to 19 (small, and many times slower)
    #[arg(long, value_name = "N", default_value = "3")]
    compression_level: Level,
    /// Read and compare everything, store nothing
    #[arg(long, short = 'n')]
    dry_run: bool,
}

/// Makes a snapshot.
pub fn run(session: &mut Session, arguments: &Arguments) -> Outcome {
    let begun = session::now();
    let options = options(arguments)?;
    // What is wrong with what was typed is said before the password is asked for.
    let mut exclude = arguments.exclude.clone();
    for file in &arguments.exclude_file {
        exclude.extend(read_patterns(file)?);
    }
    let exclude = exclude.into_iter().flat_map(|pattern| from_the_root(pattern, &options.paths)).collect();
    let source = source(session, arguments, exclude)?;
    let mut repo = session.open()?;
    repo.level = arguments.compression_level;
    if arguments.source.is_none() {
        expect_same_paths(&repo, &options)?;
    }
    if matches!(session.out.form(), Form::Text) && arguments.paths.is_empty() && arguments.dry_run {
        session.out.note("a dry run reads the stream to its end, and stores nothing");
    }
    let observer = session.observer();
    let result = backup::run(&repo, source.as_ref(), &options, &session::now, observer.as_ref());
    drop(observer);
    let report = result?;
    let seconds = output::seconds_between(begun, session::now());
    remarks(session, &repo, &report);
    if arguments.paths.is_empty() && report.counts.bytes == 0 {
        session.out.warning("the stream was empty");
    }
    show(session, &options, &report, seconds)?;
    Ok(if report.complete { Exit::Done } else { Exit::Incomplete })
}

fn options(arguments: &Arguments) -> Result<Options, Failure> {
    if !arguments.words.is_empty() && arguments.command.is_none() {
        return Err(Failure::usage("what stands after -- is a command, and nothing here runs it")
            .hint("larder backup --command NAME -- CMD ARG..."));
    }
    let name = arguments.stdin.as_ref().or(arguments.command.as_ref());
    if name.is_some_and(|name| name.as_bytes().contains(&b'/')) {
        return Err(Failure::usage("the name of a stream is that of one file, without /")
            .hint("--source names what it belongs to"));
    }
    let source = match (&arguments.source, name) {
        (Some(source), _) => source.clone(),
        (None, Some(name)) => name.to_string_lossy().into_owned(),
        (None, None) => series_of(&arguments.paths),
    };
    let host = arguments.host.clone().unwrap_or_else(this_host);
    let texts = [("--source", &source), ("--host", &host), ("--description", &arguments.description)];
    for (flag, text) in texts {
        if text.len() as u64 > TEXT_BYTES_MAX {
            return Err(Failure::usage(format!("{flag} is longer than {TEXT_BYTES_MAX} bytes")));
        }
    }
    if let Some((flag, _)) = texts[..2].iter().find(|(_, text)| text.chars().any(char::is_control)) {
        return Err(Failure::usage(format!("{flag} has a line break or another control character in it")));
    }
    if source.is_empty() || host.is_empty() {
        return Err(Failure::usage("neither --source nor --host may be empty"));
    }
    tag::check(&arguments.tags)?;
    let absolute = |path: &PathBuf| std::path::absolute(path).unwrap_or_else(|_| path.clone());
    Ok(Options {
        source,
        host,
        user: String::from_utf8_lossy(&this_user().user).into_owned(),
        description: arguments.description.clone(),
        tags: arguments.tags.clone(),
        paths: arguments.paths.iter().map(|path| absolute(path).as_os_str().as_bytes().to_vec()).collect(),
        mode: if arguments.dry_run { Mode::DryRun } else { Mode::Store },
        threads: session::threads(),
    })
}

/// A name that nobody chose must not make one series of two folders: the policy for one would forget the other.
fn expect_same_paths(repo: &Repository, options: &Options) -> Result<(), Failure> {
    let state = repo.state();
    let newest = state.newest_of(repo.keys().series_id(&options.source, &options.host));
    let Some(record) = newest.and_then(|snapshot| repo.record(snapshot).ok()) else { return Ok(()) };
    let sorted = |paths: &[Vec<u8>]| paths.iter().map(|path| escaped(path)).collect::<BTreeSet<_>>();
    let (before, now) = (sorted(&record.paths), sorted(&options.paths));
    if before == now {
        return Ok(());
    }
    let list = |paths: BTreeSet<String>| match paths.into_iter().collect::<Vec<_>>().join(", ") {
        paths if paths.is_empty() => "a stream".to_owned(),
        paths => paths,
    };
    let source = escaped(options.source.as_bytes());
    Err(Failure::usage(format!("the source {source} has been {}, and this is {}", list(before), list(now)))
        .hint(format!("--source NAME gives this one a name of its own; --source {source} goes on with that one")))
}

/// A pattern that was written as a full path, as a path from the snapshot's root: with one folder that is not the same.
/// One that begins with the folder's own name (`data/build` for `data`) means what is below it, too.
fn from_the_root(pattern: String, paths: &[Vec<u8>]) -> Vec<String> {
    let [root] = paths else { return vec![pattern] };
    let below = pattern.as_bytes().strip_prefix(root.as_slice()).filter(|rest| rest.len() > 1 && rest[0] == b'/');
    if let Some(rest) = below.and_then(|rest| std::str::from_utf8(rest).ok()).filter(|_| root.len() > 1) {
        return vec![rest.to_owned()];
    }
    let overlaps = pattern.match_indices('/').filter(|&(at, _)| at > 0 && at + 1 < pattern.len());
    let overlaps = overlaps.filter(|&(at, _)| {
        let above = root.strip_suffix(&pattern.as_bytes()[..at]);
        above.is_some_and(|above| above.ends_with(b"/"))
    });
    let rooted: Vec<String> = overlaps.map(|(at, _)| pattern[at..].to_owned()).collect();
    std::iter::once(pattern).chain(rooted).collect()
}

/// The name of the series, when none is given: what the paths are called.
fn series_of(paths: &[PathBuf]) -> String {
    let name = |path: &PathBuf| {
        let ends_in_name = path.file_name().is_some() && !path.as_os_str().as_bytes().ends_with(b"/.");
        let full = if ends_in_name { std::path::absolute(path) } else { fs::canonicalize(path) };
        let full = full.unwrap_or_else(|_| path.clone());
        full.file_name().map_or_else(|| "root".into(), |name| name.to_string_lossy().into_owned())
    };
    paths.iter().map(name).collect::<Vec<_>>().join("+")
}

fn read_patterns(file: &Path) -> Result<Vec<String>, Failure> {
    let text = fs::read_to_string(file).map_err(|error| {
        Failure::io(format!("cannot read the patterns in {}", file.display()), &error).hint("nothing was stored")
    })?;
    let lines = text.lines().map(str::trim_end).filter(|line| !line.is_empty() && !line.starts_with('#'));
    Ok(lines.map(str::to_owned).collect())
}

fn source(session: &Session, arguments: &Arguments, exclude: Vec<String>) -> Result<Box<dyn Source>, Failure> {
    if let Some(name) = &arguments.stdin {
        let stdin = Box::new(io::stdin());
        return Ok(Box::new(StreamSource::new(name.as_bytes(), this_user(), session::now(), stdin)?));
    }
    if let Some(name) = &arguments.command
        && let Some((program, words)) = arguments.words.split_first()
    {
        let (program, words) = (program.clone(), words.to_vec());
        return Ok(Box::new(CommandSource::new(name.as_bytes(), this_user(), session::now(), program, words)?));
    }
    for path in arguments.paths.iter().filter(|path| path.is_symlink()) {
        let path = path.display();
        session.out.note(format!("{path} is a symbolic link, and is stored as one; {path}/ is what it leads to"));
    }
    let options = directory::Options {
        exclude,
        caches: if arguments.exclude_caches { Caches::Exclude } else { Caches::Include },
        file_systems: if arguments.one_file_system { FileSystems::One } else { FileSystems::All },
        skip: skipped(session, &arguments.paths)?,
        ..directory::Options::default()
    };
    Ok(Box::new(DirectorySource::new(arguments.paths.clone(), options)?))
}

/// The repository and the cache change while they are used, and would only make the snapshot larger.
fn skipped(session: &Session, paths: &[PathBuf]) -> Result<Vec<(u64, u64)>, Failure> {
    let repository = session.place()?.to_owned();
    let mut skip = Vec::new();
    let caches = session.caches().map(|folder| ("cache", folder));
    for (what, folder) in [("repository", repository)].into_iter().chain(caches) {
        let Some(identity) = identity(&folder) else { continue };
        skip.push(identity);
        for path in paths {
            if what == "repository" && lies_within(path, &folder) && path.exists() {
                return Err(Failure::usage(format!("{} lies in the repository itself", path.display()))
                    .hint("back up what is worth keeping, not the backup"));
            }
            if lies_within(&folder, path) {
                session.out.note(format!("the {what} {} lies in {} and is left out", folder.display(), path.display()));
            }
        }
    }
    Ok(skip)
}

fn remarks(session: &Session, repo: &Repository, report: &Report) {
    // Those of the opening were said then.
    for warning in report.warnings.iter().filter(|warning| !repo.oddities.contains(warning)) {
        session.out.warning(warning);
    }
    for problem in &report.problems {
        let path = if problem.path.is_empty() { ".".into() } else { escaped(&problem.path) };
        session.out.warning(format!("{path}: {}", problem.message));
    }
    let unsaid = report.problems_total.saturating_sub(report.problems.len() as u64);
    if unsaid > 0 {
        session.out.warning(format!("and {} more", plural(unsaid, "entry")));
    }
}

#[derive(Serialize)]
struct Answer<'a> {
    id: Option<String>,
    parent: Option<String>,
    dry_run: bool,
    source: &'a str,
    host: &'a str,
    tags: Vec<&'a str>,
    complete: bool,
    files: u64,
    directories: u64,
    others: u64,
    unchanged_files: u64,
    bytes: u64,
    new_bytes: u64,
    stored_bytes: u64,
    unreadable: u64,
    unstable: u64,
    duration_seconds: f64,
    problems: Vec<JsonProblem<'a>>,
    problems_total: u64,
    warnings: &'a [String],
}

#[derive(Serialize)]
struct JsonProblem<'a> {
    #[serde(flatten)]
    path: JsonPath,
    unreadable: bool,
    message: &'a str,
}

fn show(session: &mut Session, options: &Options, report: &Report, seconds: f64) -> Result<(), Failure> {
    if session.out.form() == Form::Json {
        return session.out.json(&answer(options, report, seconds));
    }
    let counts = &report.counts;
    let out = &mut session.out;
    match &report.snapshot {
        Some(id) => out.say(format!("snapshot {} of {} on {}", id.short(), options.source, options.host))?,
        None => out.say(format!("dry run of {} on {}: nothing was stored", options.source, options.host))?,
    }
    out.say(format!("  {}", contents(counts, report.unchanged_files)))?;
    let (stored, new) = (size(counts.new_stored_bytes), size(counts.new_raw_bytes));
    let seconds = output::elapsed(seconds);
    match &report.snapshot {
        Some(_) => out.say(format!("  stored {stored} ({new} new before compression) in {seconds}"))?,
        // How far it would compress is known only to who compresses it.
        None => out.say(format!("  {new} new, before compression, in {seconds}"))?,
    }
    if !report.tags.is_empty() {
        out.say(format!("  tags: {}", output::tags(&report.tags)))?;
    }
    if counts.unstable > 0 {
        out.say(format!("  {} changed or vanished while being read", plural(counts.unstable, "file")))?;
    }
    if counts.unreadable > 0 {
        out.say(format!("  incomplete: {} could not be read", plural(counts.unreadable, "entry")))?;
    }
    Ok(())
}

fn contents(counts: &Counts, unchanged: u64) -> String {
    let mut parts = vec![plural(counts.files, "file")];
    if unchanged > 0 {
        parts[0] += &format!(" ({} unchanged)", count(unchanged));
    }
    if counts.directories > 0 {
        parts.push(plural(counts.directories, "folder"));
    }
    if counts.others > 0 {
        parts.push(format!("{} links and others", count(counts.others)));
    }
    parts.push(size(counts.bytes));
    parts.join(", ")
}

fn answer<'a>(options: &'a Options, report: &'a Report, seconds: f64) -> Answer<'a> {
    let counts = &report.counts;
    let problems = report.problems.iter().map(|problem| JsonProblem {
        path: JsonPath::from(problem.path.as_slice()),
        unreadable: problem.severity == Severity::Unreadable,
        message: &problem.message,
    });
    Answer {
        id: report.snapshot.map(|id| id.to_string()),
        parent: report.parent.map(|id| id.to_string()),
        dry_run: options.mode == Mode::DryRun,
        source: &options.source,
        host: &options.host,
        tags: output::sorted_tags(&report.tags),
        complete: report.complete,
        files: counts.files,
        directories: counts.directories,
        others: counts.others,
        unchanged_files: report.unchanged_files,
        bytes: counts.bytes,
        new_bytes: counts.new_raw_bytes,
        stored_bytes: counts.new_stored_bytes,
        unreadable: counts.unreadable,
        unstable: counts.unstable,
        duration_seconds: seconds,
        problems: problems.collect(),
        problems_total: report.problems_total,
        warnings: &report.warnings,
    }
}
