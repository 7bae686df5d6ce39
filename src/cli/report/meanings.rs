//! What each error of the library means: which exit code, and what to do next.

use std::io;

use larder::format::log::TAG_BYTES_MAX;
use larder::ops::backup;
use larder::ops::browse;
use larder::ops::cat;
use larder::ops::entries;
use larder::ops::forget;
use larder::ops::prune;
use larder::ops::restore;
use larder::ops::retention::CalendarError;
use larder::ops::select;
use larder::ops::tag;
use larder::ops::usage;
use larder::repo;
use larder::source;
use larder::storage::{self, ErrorKind};

use crate::cli::output::escaped;
use crate::cli::report::{Exit, Failure};

/// Most names that a message lists.
const NAMED_MAX: usize = 20;

const DAMAGED: &str = "larder check says what is damaged and which snapshots it touches";
const PACK_LOST: &str = "larder check names the snapshots it touches: put the pack back from a copy of the repository, or \
                         back up what they hold again and forget them";
const PRUNED: &str = "run the backup again, and give larder prune a --grace longer than it takes; \
                      nothing stored before is affected";
const WHICH: &str = "larder snapshots lists them; give at least 4 digits of an id, latest, or SOURCE@latest";
const STAYS: &str = "make a newer snapshot first: the newest complete one of a source always stays";

impl From<repo::error::Error> for Failure {
    fn from(error: repo::error::Error) -> Self {
        use repo::error::Error;
        let message = error.to_string();
        match error {
            Error::Storage(error) => error.into(),
            Error::NotARepository => no_repository(message),
            Error::Newer { .. } => Self::new(Exit::Locked, message).hint("use a newer larder"),
            Error::WrongKey => Self::new(Exit::Locked, message)
                .hint("check LARDER_PASSWORD, --password-file or --key-file; with the recovery key: larder recover"),
            Error::NoSlot { .. } => Self::new(Exit::Locked, message)
                .hint("the recovery key still opens the repository: larder recover --recovery-key"),
            Error::SlotRefused(_) => Self::new(Exit::Failed, message),
            Error::Damaged { .. } | Error::MissingChunk { .. } => Self::new(Exit::Damage, message).hint(DAMAGED),
            Error::PackLost { .. } => Self::new(Exit::Damage, message).hint(PACK_LOST),
            Error::LogDamaged { .. } | Error::LogUnread { .. } => Self::new(Exit::Damage, message)
                .hint("larder check says more; larder rebuild-index --salvage brings back what can be had"),
            Error::RolledBack { ref memory, .. } => {
                let hint = format!(
                    "if you put back an old copy of the repository yourself, delete {}; another copy of it, kept elsewhere, \
                     needs a cache of its own: --cache",
                    memory.display()
                );
                Self::new(Exit::Damage, message).hint(hint)
            }
            Error::Busy { .. } => Self::new(Exit::Refused, message).hint("others write a lot just now; try again"),
            Error::PackSwept { .. } => {
                Self::new(Exit::Failed, message).hint("run it again; nothing stored before is affected")
            }
            Error::NoSnapshot(_) => Self::new(Exit::Failed, message).hint("larder snapshots lists what there is"),
            Error::SelfCheck { .. } => Self::new(Exit::Failed, message)
                .hint("nothing was committed; test this machine's memory before you try again"),
            Error::Index(ref source) => Self::new(Exit::Failed, message)
                .causes(source)
                .hint("the index is a cache: larder rebuild-index makes it anew"),
            Error::Crypto(_) | Error::Compression(_) | Error::Worker => Self::new(Exit::Failed, message),
        }
    }
}

fn no_repository(message: String) -> Failure {
    Failure::new(Exit::NoRepository, message).hint("check --repo or LARDER_REPO; larder init makes a new repository")
}

impl From<storage::Error> for Failure {
    fn from(error: storage::Error) -> Self {
        let message = error.to_string();
        if let Some(advice) = error.advice() {
            return Self::new(Exit::Refused, message).hint(advice);
        }
        match error.kind {
            ErrorKind::NotFound if error.call == "open" => no_repository(format!("no repository at {}", error.object)),
            ErrorKind::NotFound | ErrorKind::TooShort | ErrorKind::TooLong => {
                Self::new(Exit::Damage, message).hint(DAMAGED)
            }
            ErrorKind::AlreadyExists if error.call == "create" => {
                Self::new(Exit::Failed, format!("{} is not empty", error.object))
                    .hint("a new repository needs a new or an empty folder")
            }
            _ => Self::new(Exit::Failed, message),
        }
    }
}

impl From<source::Error> for Failure {
    fn from(error: source::Error) -> Self {
        let message = error.to_string();
        match error {
            source::Error::Pattern { .. } | source::Error::Name { .. } => Self::usage(message),
            source::Error::Start { .. }
            | source::Error::Service { .. }
            | source::Error::Database { .. }
            | source::Error::Spent => Self::new(Exit::Failed, message).causes(&error).hint("nothing was stored"),
        }
    }
}

impl From<backup::Error> for Failure {
    fn from(error: backup::Error) -> Self {
        let message = error.to_string();
        match error {
            backup::Error::Repo(error) => error.into(),
            backup::Error::Source(error) => error.into(),
            backup::Error::Failed(said) => {
                let mut lines = said.lines();
                let first = lines.next().unwrap_or("the stream ended badly").to_owned();
                let failure = Self::new(Exit::Failed, first).hint("no snapshot was made");
                lines.fold(failure, Self::detail)
            }
            backup::Error::Unfit(_) => {
                Self::usage(message).hint("give a folder above them instead of each path, or shorter names")
            }
            backup::Error::Tags(error) => error.into(),
            backup::Error::Lost => Self::new(Exit::Failed, message).hint(PRUNED),
            backup::Error::Starved { .. } => Self::new(Exit::Refused, message).hint(PRUNED),
            backup::Error::Calendar(error) => error.into(),
        }
    }
}

impl From<CalendarError> for Failure {
    fn from(error: CalendarError) -> Self {
        Self::new(Exit::Failed, error.to_string())
            .causes(&error)
            .hint("a newer larder knows more zones, and so does a newer time zone database (tzdata)")
    }
}

impl From<select::Error> for Failure {
    fn from(error: select::Error) -> Self {
        let failure = Self::new(Exit::Failed, error.to_string());
        match error {
            select::Error::Repo(error) => error.into(),
            select::Error::NoneYet => failure.hint("larder backup makes one"),
            select::Error::Unknown { .. } | select::Error::TooShort { .. } => failure.hint(WHICH),
            select::Error::Forgotten { snapshot } => {
                let command = format!("larder tag {} --add TAG", snapshot.short());
                failure.hint(format!("{command} brings it back until a prune sweeps it"))
            }
            select::Error::Ambiguous { matches, .. } => {
                let named = matches.iter().take(NAMED_MAX).map(ToString::to_string);
                named.fold(failure, Self::detail).hint("give more digits of the id")
            }
            select::Error::UnknownSource { known, .. } => unknown_source(failure, &known),
        }
    }
}

fn unknown_source(failure: Failure, known: &[String]) -> Failure {
    if known.is_empty() {
        return failure.hint("there is no snapshot yet");
    }
    failure.hint(format!("there are {}", some_of(known)))
}

/// Names, but not more than a message can hold.
pub fn some_of(known: &[String]) -> String {
    let names: Vec<String> = known.iter().take(NAMED_MAX).map(|name| escaped(name.as_bytes())).collect();
    names.join(", ")
}

/// A path that a snapshot does not have.
pub fn no_such_path(message: String) -> Failure {
    Failure::new(Exit::Failed, message).hint("larder ls SNAPSHOT shows what is in it, larder find NAME where a file is")
}

impl From<browse::Error> for Failure {
    fn from(error: browse::Error) -> Self {
        let message = error.to_string();
        match error {
            browse::Error::Repo(error) => error.into(),
            browse::Error::NoSuchPath { path } => no_such_path(format!("{} is not in the snapshot", escaped(&path))),
            browse::Error::Pattern { .. } => Self::usage(message),
        }
    }
}

impl From<cat::Error> for Failure {
    fn from(error: cat::Error) -> Self {
        let message = error.to_string();
        match error {
            cat::Error::Repo(error) => error.into(),
            cat::Error::NoSuchPath { .. } => no_such_path(message),
            cat::Error::NotAFile { .. } => Self::new(Exit::Failed, message)
                .hint("larder ls shows folders and links, larder restore brings them back"),
            cat::Error::Lost { ref source, .. } => Self::new(Exit::Damage, message)
                .detail(source.to_string())
                .hint("what came before was written; another snapshot may have the whole file: larder find"),
            cat::Error::Write(ref source) => Self::io("cannot write to standard output", source),
        }
    }
}

impl From<entries::Error> for Failure {
    fn from(error: entries::Error) -> Self {
        let message = error.to_string();
        match error {
            entries::Error::Cat(error) => error.into(),
            entries::Error::Dump(_) => Self::new(Exit::Failed, message).hint("larder cat gives all of it"),
            entries::Error::Archive { .. } => Self::new(Exit::Failed, message)
                .causes(&error)
                .hint("it was stored like this: larder cat SNAPSHOT:PATH | tar -t says what tar makes of it"),
            entries::Error::Write(ref source) => Self::io("cannot write to standard output", source),
        }
    }
}

impl From<restore::Error> for Failure {
    fn from(error: restore::Error) -> Self {
        let message = error.to_string();
        match error {
            restore::Error::Repo(error) => error.into(),
            restore::Error::Pattern(error) => error.into(),
            restore::Error::NoSuchPath { .. } => no_such_path(message),
            restore::Error::TargetNotEmpty { .. } => Self::new(Exit::Failed, message)
                .hint("choose another folder, or say what to do with what is there: --existing keep|replace|changed"),
            restore::Error::Target { ref source, .. } => {
                Self::new(Exit::Failed, message).causes(&error).hint(target_hint(source.kind()))
            }
            restore::Error::Links(_) => Self::new(Exit::Failed, message).causes(&error),
        }
    }
}

fn target_hint(kind: io::ErrorKind) -> &'static str {
    use io::ErrorKind::{AlreadyExists, NotADirectory, PermissionDenied, ReadOnlyFilesystem};
    match kind {
        NotADirectory | AlreadyExists => "the target is a folder: choose one, or a name that is free",
        PermissionDenied | ReadOnlyFilesystem => "choose a folder that this user may write to",
        _ => "what was restored before is whole; --existing changed goes on where this ended",
    }
}

impl From<tag::Error> for Failure {
    fn from(error: tag::Error) -> Self {
        let message = error.to_string();
        match error {
            tag::Error::Repo(error) => error.into(),
            tag::Error::BadTag { .. } => Self::usage(message)
                .hint(format!("a tag has 1 to {TAG_BYTES_MAX} bytes, and neither spaces nor commas")),
            tag::Error::Calendar(error) => error.into(),
            tag::Error::TooMany => {
                Self::usage(message).hint("leave some out, or take some away: larder tag SNAPSHOT --remove TAG")
            }
            tag::Error::AlwaysStays { .. } => Self::new(Exit::Failed, message).hint(STAYS),
            tag::Error::Gone { .. } => {
                Self::new(Exit::Failed, message).hint("larder snapshots --forgotten lists what can still come back")
            }
        }
    }
}

impl From<forget::Error> for Failure {
    fn from(error: forget::Error) -> Self {
        let message = error.to_string();
        match error {
            forget::Error::Repo(error) => error.into(),
            forget::Error::AlwaysStays(_) => Self::new(Exit::Failed, message).hint(STAYS),
            forget::Error::Calendar(error) => error.into(),
            forget::Error::UnknownSource { known, .. } => unknown_source(Self::new(Exit::Failed, message), &known),
            forget::Error::ForgottenAlready { .. } => {
                Self::new(Exit::Failed, message).hint("larder prune frees its space once the grace period is over")
            }
        }
    }
}

impl From<usage::Error> for Failure {
    fn from(error: usage::Error) -> Self {
        let message = error.to_string();
        match error {
            usage::Error::Repo(error) => error.into(),
            usage::Error::Damaged { .. } => Self::new(Exit::Damage, message).causes(&error).hint(DAMAGED),
        }
    }
}

impl From<prune::Error> for Failure {
    fn from(error: prune::Error) -> Self {
        let message = error.to_string();
        match error {
            prune::Error::Repo(error) => error.into(),
            prune::Error::Usage(error) => Self::from(error).detail("nothing was deleted"),
            prune::Error::WouldLose { .. } => Self::new(Exit::Damage, message).causes(&error).hint(DAMAGED),
        }
    }
}

#[cfg(test)]
#[path = "meanings_tests.rs"]
mod tests;
