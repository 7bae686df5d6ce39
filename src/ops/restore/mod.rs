//! Restoring: what a path of a snapshot names is put into a target folder.
//!
//! Promise: nothing outside the target is touched; a file appears whole and verified, or as `<name>.larder-partial`
//! with its gaps reported, never with silent zeros; what cannot be restored never stops the rest. Memory does not grow
//! with the number of files or their sizes, beyond two bits per entry.
//! Left out on purpose: whether the target may lie where it does (inside the repository, say). The caller knows.

pub mod delete;
pub mod existing;
pub mod file;
pub mod finish;
pub mod later;
pub mod layout;
pub mod links;
pub mod locate;
pub mod marks;
pub mod plan;
pub mod report;
pub mod select;
pub mod verify;
pub mod window;
pub mod write;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::crypto::random;
use crate::format::record::ListingRoot;
use crate::ops::restore::plan::Planner;
use crate::ops::restore::report::{Report, Tally};
use crate::ops::restore::select::Filter;
use crate::ops::restore::window::Limits;
use crate::posix::apply::{self, ApplyOptions};
use crate::posix::beneath::{Made, Root};
use crate::posix::capture::Kind;
use crate::posix::place::TempNames;
use crate::progress::{Event, Observer};
use crate::repo::Repository;
use crate::repo::error::Error as RepoError;
use crate::repo::listing::find;
use crate::source;
use crate::sqlite;

/// What and how to restore.
#[derive(Debug, Clone)]
pub struct Options {
    /// What to do with what is in the target already.
    pub existing: Existing,
    /// What to do with what is in the target and not in the snapshot.
    pub extra: Extra,
    /// Who should own what is restored.
    pub owners: Owners,
    /// Whether to read back what was written.
    pub verify: Verify,
    /// Whether anything is written.
    pub mode: Mode,
    /// Patterns of what to restore; none means everything.
    pub include: Vec<String>,
    /// Patterns of what to leave out.
    pub exclude: Vec<String>,
    /// Threads that open blocks and write files.
    pub threads: usize,
}

/// What to do with what is in the target already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// Refuse a target that is not empty.
    Refuse,
    /// Leave it as it is.
    Keep,
    /// Replace files. Folders stay, with what else is in them.
    Replace,
    /// Replace only files that differ, reading from the repository only what differs.
    Changed,
}

/// What to do with what is in the target and not in the snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extra {
    /// Leave it.
    Leave,
    /// Delete it, unless a pattern says that it is none of our business.
    Delete,
}

/// Who should own what is restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owners {
    /// The stored owners, as far as our rights go.
    AsStored,
    /// Whoever restores.
    Ignore,
}

/// Whether to read back what was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verify {
    /// No.
    No,
    /// Every file restored, and every file found unchanged.
    Everything,
}

/// Whether anything is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Write.
    Write,
    /// Only say what would be done.
    DryRun,
}

/// Why a restore ended early, or did not begin.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The repository.
    #[error(transparent)]
    Repo(#[from] RepoError),
    /// A pattern means nothing.
    #[error(transparent)]
    Pattern(#[from] source::Error),
    /// The path is not in the snapshot.
    #[error("{path} is not in the snapshot")]
    NoSuchPath {
        /// The path.
        path: String,
    },
    /// The target holds something.
    #[error("{path} is not empty")]
    TargetNotEmpty {
        /// The target.
        path: PathBuf,
    },
    /// The target cannot be used, or not any longer: no space left, say.
    #[error("cannot write to {path}")]
    Target {
        /// The target.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The temporary table of hard links failed.
    #[error("cannot remember hard links")]
    Links(#[from] sqlite::Error),
}

/// What all parts of a restore share.
pub struct Context<'r> {
    /// Where everything comes from.
    pub repo: &'r Repository,
    /// The listing restored from.
    pub listing: ListingRoot,
    /// What of it.
    pub filter: Filter,
    /// How.
    pub options: &'r Options,
    /// Where to; `None` in a dry run into a target that is not there yet.
    pub root: Option<Root>,
    /// Whether the target had to be made.
    pub made: Made,
    /// The target as given, for messages.
    pub target: &'r Path,
    /// How metadata is put back.
    pub apply: ApplyOptions,
    /// Names for unfinished files.
    pub names: TempNames,
    /// So many bytes of each path lie above the target.
    pub strip: usize,
    /// What comes of it.
    pub tally: Tally<'r>,
    /// What may be held in memory.
    pub limits: &'r Limits,
}

impl Context<'_> {
    /// A path of the listing as a path below the target.
    pub fn below<'p>(&self, path: &'p [u8]) -> &'p [u8] {
        path.get(self.strip..).unwrap_or_default()
    }

    /// The target. Only a dry run can be without one.
    pub fn root(&self) -> io::Result<&Root> {
        self.root.as_ref().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

/// Restores what `path` names: the content of a folder goes directly into the target, anything else goes there under
/// its own name. The target is made if it is not there.
pub fn run(
    repo: &Repository,
    listing: &ListingRoot,
    path: &[u8],
    target: &Path,
    options: &Options,
    observer: &dyn Observer,
) -> Result<Report, Error> {
    run_within(repo, listing, path, target, options, observer, &Limits::STANDARD)
}

fn run_within(
    repo: &Repository,
    listing: &ListingRoot,
    path: &[u8],
    target: &Path,
    options: &Options,
    observer: &dyn Observer,
    limits: &Limits,
) -> Result<Report, Error> {
    let filter = Filter::new(path, &options.include, &options.exclude)?;
    let strip = strip_of(repo, listing, path)?;
    let (root, made) = open_target(target, options)?;
    let faults = repo.catch_up()?;
    let token = u64::from_le_bytes(random::bytes().map_err(RepoError::from)?);
    let context = Context {
        repo,
        listing: *listing,
        filter,
        options,
        root,
        made,
        target,
        apply: apply_options(options),
        names: TempNames::new(token),
        strip,
        tally: Tally::new(observer),
        limits,
    };
    for (pack, what) in faults {
        context.tally.warning(b"", &format!("pack {pack}: {what}"));
    }
    observer.event(Event::Phase { name: "restoring", total: None });
    let mut planner = Planner::new(&context)?;
    while let Some(mut window) = planner.next_window()? {
        write::run(&context, &mut window)?;
        planner.done(window)?;
    }
    let (marks, later) = planner.finish();
    finish::run(&context, &marks, later)?;
    if options.mode == Mode::Write {
        sync(&context)?;
        if options.verify == Verify::Everything {
            observer.event(Event::Phase { name: "verifying", total: None });
            verify::run(&context, &marks)?;
        }
    }
    Ok(context.tally.finish())
}

/// How many bytes of the paths to be restored lie above the target.
fn strip_of(repo: &Repository, listing: &ListingRoot, path: &[u8]) -> Result<usize, Error> {
    if path.is_empty() {
        return Ok(0);
    }
    let missing = || Error::NoSuchPath { path: String::from_utf8_lossy(path).into_owned() };
    let entry = find(repo, listing, path)?.ok_or_else(missing)?;
    Ok(match entry.node {
        crate::format::listing::Node::Directory => path.len() + 1,
        _ => path.iter().rposition(|&byte| byte == b'/').map_or(0, |slash| slash + 1),
    })
}

/// Makes the target if need be, and refuses one that is not empty if asked to.
fn open_target(target: &Path, options: &Options) -> Result<(Option<Root>, Made), Error> {
    let failed = |source| Error::Target { path: target.to_owned(), source };
    let made = match fs::read_dir(target) {
        Ok(mut names) => {
            if options.existing == Existing::Refuse && names.next().is_some() {
                return Err(Error::TargetNotEmpty { path: target.to_owned() });
            }
            Made::Existing
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound && options.mode == Mode::DryRun => {
            return Ok((None, Made::New));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            fs::create_dir_all(target).map_err(failed)?;
            Made::New
        }
        Err(error) => return Err(failed(error)),
    };
    Ok((Some(Root::open(target).map_err(failed)?), made))
}

fn apply_options(options: &Options) -> ApplyOptions {
    let owners = match options.owners {
        Owners::AsStored => apply::Owners::AsStored,
        Owners::Ignore => apply::Owners::Ignore,
    };
    let existing = match options.existing {
        Existing::Refuse | Existing::Keep => apply::Existing::Keep,
        Existing::Replace | Existing::Changed => apply::Existing::Replace,
    };
    ApplyOptions::new(owners, existing)
}

/// Once for everything: a sync per file would take many times as long.
fn sync(context: &Context<'_>) -> Result<(), Error> {
    let synced = context.root().and_then(|root| Ok(rustix::fs::syncfs(root.folder_to_set(b"")?)?));
    synced.map_err(|source| Error::Target { path: context.target.to_owned(), source })
}

/// Whether an error concerns the whole target rather than one file in it.
pub fn is_fatal(error: &io::Error) -> bool {
    use io::ErrorKind::{QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | ReadOnlyFilesystem)
}

/// Whether what is at a name in the target is of this kind.
pub fn is_kind(status: Option<&crate::posix::capture::Status>, kind: Kind) -> bool {
    status.is_some_and(|status| status.kind == kind)
}

#[cfg(test)]
#[path = "bench_tests.rs"]
pub mod bench;
#[cfg(test)]
#[path = "mod_tests.rs"]
mod tests;
