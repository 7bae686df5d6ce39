//! A snapshot, as those who put it back see it.

use std::io::{self, Read, Write};
use std::ops::ControlFlow;
use std::path::Path;
use std::process::Command;
use std::thread;

use crate::child;
use crate::format::listing::{Entry, Node};
use crate::format::record::Record;
use crate::ops::browse::{self, Depth};
use crate::ops::cat::{self, cat};
use crate::ops::restore::{self, Existing, Extra, Mode, Options, Owners, Verify};
use crate::progress::Observer;
use crate::repo::Repository;
use crate::repo::error::Error as RepoError;
use crate::repo::listing::find;
use crate::run::World;
use crate::run::services::with_causes;

/// A snapshot that is to be put back.
pub struct Stored<'s> {
    /// The repository.
    pub repo: &'s Repository,
    /// What the snapshot is.
    pub record: &'s Record,
    /// Threads to use.
    pub threads: usize,
    /// Who watches.
    pub observer: &'s dyn Observer,
}

impl Stored<'_> {
    /// The files directly in the snapshot's root, by their names, and their bytes.
    pub fn files(&self) -> Result<Vec<(Vec<u8>, u64)>, String> {
        let mut files = Vec::new();
        let damaged = browse::ls(self.repo, &self.record.root, b"", Depth::Children, &mut |entry| {
            if let Node::File { bytes, .. } = &entry.node {
                files.push((entry.path.clone(), *bytes));
            }
            ControlFlow::Continue(())
        });
        match damaged.map_err(|error| with_causes(&error))?.first() {
            Some(error) => Err(with_causes(error)),
            None => Ok(files),
        }
    }

    /// Shows every entry, in order. Unlike a listing for the eyes, this one has all of them or fails.
    pub fn entries(&self, visit: &mut dyn FnMut(&Entry) -> Result<(), String>) -> Result<(), String> {
        let mut failed = Ok(());
        let damaged = browse::ls(self.repo, &self.record.root, b"", Depth::All, &mut |entry| {
            failed = visit(entry);
            if failed.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        failed?;
        match damaged.map_err(|error| with_causes(&error))?.first() {
            Some(error) => Err(with_causes(error)),
            None => Ok(()),
        }
    }

    /// The entry at a path.
    pub fn entry(&self, path: &[u8]) -> Result<Entry, String> {
        self.found(path)?.ok_or_else(|| format!("{} is not in the snapshot", String::from_utf8_lossy(path)))
    }

    fn found(&self, path: &[u8]) -> Result<Option<Entry>, String> {
        find(self.repo, &self.record.root, path).map_err(|error| with_causes(&error))
    }

    /// That there is a file at a path, for a service that takes nothing else.
    pub fn has(&self, path: &[u8]) -> Result<(), String> {
        match self.found(path)?.map(|entry| entry.node) {
            Some(Node::File { .. }) => Ok(()),
            _ => Err(format!("{}; restore it with --to", no_file(path))),
        }
    }

    /// The names of files in the snapshot's root that end so, as text and without that ending.
    pub fn names_ending(&self, ending: &str) -> Result<Vec<String>, String> {
        let names = self.files()?.into_iter().filter_map(|(name, _)| String::from_utf8(name).ok());
        Ok(names.filter_map(|name| name.strip_suffix(ending).map(str::to_owned)).collect())
    }

    /// The databases whose dumps the snapshot holds. `others` are no dumps of databases.
    pub fn dumps(&self, others: &[&str]) -> Result<Vec<String>, String> {
        let mut databases = self.names_ending(".sql")?;
        databases.retain(|name| !others.contains(&format!("{name}.sql").as_str()));
        Ok(databases)
    }

    /// The databases whose dumps are to be put back: those `wanted`, or else all. `others` are no dumps of databases.
    pub fn databases(&self, others: &[&str], wanted: &[String]) -> Result<Vec<String>, String> {
        let mut databases = self.dumps(others)?;
        let missing = wanted.iter().find(|name| !databases.contains(name));
        match missing {
            _ if databases.is_empty() => {
                Err("the snapshot holds no dump of a database; restore it with --to".to_owned())
            }
            Some(missing) => Err(format!(
                "the snapshot holds no dump of the database {missing}, but of {}: correct `database`, or restore it with \
                 --to",
                databases.join(", ")
            )),
            None => {
                databases.retain(|name| wanted.is_empty() || wanted.contains(name));
                Ok(databases)
            }
        }
    }

    /// Whether there is a file at a path, and no folder.
    pub fn is_file(&self, path: &[u8]) -> Result<bool, String> {
        Ok(matches!(self.entry(path)?.node, Node::File { .. }))
    }

    /// Whether there is a folder at a path.
    pub fn is_folder(&self, path: &[u8]) -> Result<bool, String> {
        Ok(self.found(path)?.is_some_and(|entry| matches!(entry.node, Node::Directory)))
    }

    /// Writes the content of a file.
    pub fn write(&self, path: &[u8], out: &mut dyn Write) -> Result<u64, String> {
        cat(self.repo, &self.record.root, path, out, self.threads).map_err(|error| with_causes(&error))
    }

    /// Gives the content of a file to a command.
    pub fn feed(&self, path: &[u8], command: Command) -> Result<(), String> {
        child::feed(command, |stdin| self.write(path, stdin).map(drop))
    }

    /// Makes a folder what is at a path. Folders of larder's own are never touched, and of an incomplete snapshot nothing is
    /// deleted: what could not be read then is in no snapshot, the one taken before this restore included.
    pub fn fill(
        &self,
        path: &[u8],
        target: &Path,
        extra: Extra,
        exclude: &[String],
        world: &World<'_>,
    ) -> Result<(), String> {
        let real = target.canonicalize().unwrap_or_else(|_| target.to_owned());
        if let Some(own) = world.own.iter().find(|own| real.starts_with(own)) {
            return Err(format!("{} lies in {}, which is larder's own", target.display(), own.display()));
        }
        let holds_own = world.own.iter().any(|own| own.starts_with(&real));
        let options = Options {
            existing: Existing::Changed,
            extra: if !self.record.complete || holds_own { Extra::Leave } else { extra },
            owners: Owners::AsStored,
            verify: Verify::No,
            mode: Mode::Write,
            include: Vec::new(),
            exclude: exclude.to_vec(),
            threads: self.threads,
        };
        self.restore(path, target, &options)
    }

    /// Puts everything into an empty folder, and reads it back.
    pub fn rehearse(&self, folder: &Path) -> Result<(), String> {
        let options = Options {
            existing: Existing::Refuse,
            extra: Extra::Leave,
            owners: Owners::AsStored,
            verify: Verify::Everything,
            mode: Mode::Write,
            include: Vec::new(),
            exclude: Vec::new(),
            threads: self.threads,
        };
        self.restore(b"", folder, &options)
    }

    /// Whether the repository does not give all of it. Reads everything and writes nothing; a storage that does not answer
    /// is no damage.
    pub fn is_damaged(&self) -> bool {
        let mut damaged = false;
        let listed = browse::ls(self.repo, &self.record.root, b"", Depth::All, &mut |entry| {
            if matches!(entry.node, Node::File { .. }) {
                let read = cat(self.repo, &self.record.root, &entry.path, &mut io::sink(), self.threads);
                damaged |= read.is_err_and(|error| error.is_damage());
            }
            if damaged { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        damaged
            || match listed {
                Ok(parts) => parts.iter().any(RepoError::is_damage),
                Err(browse::Error::Repo(error)) => error.is_damage(),
                Err(_) => false,
            }
    }

    /// Gives the content of a file and its length to what reads it: a request, say. What it makes of half a file, if the
    /// rest is lost, does not count.
    pub fn stream<T: Send>(
        &self,
        path: &[u8],
        take: impl FnOnce(&mut dyn Read, u64) -> Result<T, String> + Send,
    ) -> Result<T, String> {
        let bytes = self.bytes(path)?;
        let (mut reader, mut writer) = io::pipe().map_err(|error| format!("cannot make a pipe: {error}"))?;
        thread::scope(|scope| {
            // The reader goes with it, so that whoever writes does not wait for nobody.
            let taken = scope.spawn(move || take(&mut reader, bytes));
            let written = cat(self.repo, &self.record.root, path, &mut writer, self.threads);
            drop(writer);
            let taken = taken.join().map_err(|_| "reading it ended early".to_owned())?;
            match written {
                Ok(_) | Err(cat::Error::Write(_)) => taken,
                Err(error) => Err(with_causes(&error)),
            }
        })
    }

    /// The length of a file.
    pub fn bytes(&self, path: &[u8]) -> Result<u64, String> {
        match self.found(path)?.map(|entry| entry.node) {
            Some(Node::File { bytes, .. }) => Ok(bytes),
            _ => Err(no_file(path)),
        }
    }

    /// Puts what is at a path into a folder. Anything that is not put there as it should be is an error.
    fn restore(&self, path: &[u8], target: &Path, options: &Options) -> Result<(), String> {
        let report = restore::run(self.repo, &self.record.root, path, target, options, self.observer)
            .map_err(|error| with_causes(&error))?;
        match report.problems.first() {
            Some(first) => {
                // What is wrong with all of it has no path.
                let place = match first.path.as_slice() {
                    b"" => String::new(),
                    path => format!("{}: ", String::from_utf8_lossy(path)),
                };
                let more = match report.problems_total {
                    1 => String::new(),
                    total => format!(", and {} more", total - 1),
                };
                Err(format!("{place}{}{more}", first.message))
            }
            None => Ok(()),
        }
    }
}

fn no_file(path: &[u8]) -> String {
    format!("there is no file {} in the snapshot", String::from_utf8_lossy(path))
}
