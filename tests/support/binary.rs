//! The real binary on a repository in a folder, as users run it.
//!
//! Left out on purpose: what its output looks like, beyond JSON and exit codes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use tempfile::TempDir;

use crate::support::damage_repo::{noise, scratch};

/// A repository in a folder, and what goes with it.
pub struct Larder {
    pub folder: TempDir,
    repository: PathBuf,
    cache: &'static str,
}

impl Larder {
    /// A new repository, opened by a key file.
    pub fn new() -> Self {
        let folder = scratch();
        let repository = folder.path().join("repository");
        Self::at(folder, repository)
    }

    /// A new repository at this place.
    pub fn at(folder: TempDir, repository: PathBuf) -> Self {
        let larder = Self { folder, repository, cache: "cache" };
        let key = larder.path("recovery");
        larder.ok(&["init", "--timezone", "UTC", "--recovery-file", key.to_str().unwrap()]);
        larder
    }

    /// A place beside the repository.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The same repository for a client that has a cache of its own.
    pub fn client(&self, cache: &'static str) -> Client<'_> {
        Client { larder: self, cache }
    }

    /// The binary with these arguments.
    pub fn command(&self, arguments: &[&str]) -> Command {
        self.client(self.cache).command(arguments)
    }

    /// Runs it to its end.
    pub fn run(&self, arguments: &[&str]) -> Done {
        Done::of(self.command(arguments).output().unwrap(), arguments)
    }

    /// Runs it, and it must succeed.
    pub fn ok(&self, arguments: &[&str]) -> Done {
        let done = self.run(arguments);
        assert_eq!(done.code, Some(0), "{done:?}");
        done
    }

    /// Begins to run it.
    pub fn spawn(&self, arguments: &[&str]) -> Child {
        self.command(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }
}

/// A client with a cache of its own.
#[derive(Clone, Copy)]
pub struct Client<'l> {
    larder: &'l Larder,
    cache: &'static str,
}

impl Client<'_> {
    /// The binary with these arguments.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_larder"));
        command.args(arguments).env_clear();
        command.env("LARDER_REPO", &self.larder.repository);
        command.env("LARDER_CACHE", self.larder.path(self.cache));
        command.env("LARDER_KEY_FILE", self.larder.path("key"));
        command.stdin(Stdio::null());
        command
    }

    /// Runs it to its end.
    pub fn run(&self, arguments: &[&str]) -> Done {
        Done::of(self.command(arguments).output().unwrap(), arguments)
    }
}

/// Gives the arguments, variables and folder of a command to another.
pub fn carry(from: &Command, to: &mut Command) {
    to.args(from.get_args());
    for (name, value) in from.get_envs() {
        match value {
            Some(value) => to.env(name, value),
            None => to.env_remove(name),
        };
    }
    if let Some(folder) = from.get_current_dir() {
        to.current_dir(folder);
    }
}

/// How a run ended.
#[derive(Debug)]
pub struct Done {
    pub arguments: Vec<String>,
    /// `None`: killed by a signal.
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Done {
    pub fn of(output: Output, arguments: &[&str]) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Self {
            arguments: arguments.iter().map(|&argument| argument.to_owned()).collect(),
            code: output.status.code(),
            out: text(output.stdout),
            err: text(output.stderr),
        }
    }

    /// The answer, if it was asked for with `--json`.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// Writes the files of one day into a folder: most stay, some change with the day.
pub fn write_day(folder: &Path, day: u64, files: u64, bytes: usize) {
    fs::create_dir_all(folder.join("stay")).unwrap();
    fs::create_dir_all(folder.join("change")).unwrap();
    for file in 0..files {
        let stay = folder.join(format!("stay/{file}"));
        if !stay.exists() {
            fs::write(stay, noise(file, bytes)).unwrap();
        }
        if file % 4 == 0 {
            fs::write(folder.join(format!("change/{file}")), noise(1_000_000 * (day + 1) + file, bytes)).unwrap();
        }
    }
    fs::write(folder.join("day"), day.to_string()).unwrap();
}

/// Asserts that a folder holds what [`write_day`] wrote on one day, and says on which.
pub fn day_in(folder: &Path, files: u64, bytes: usize) -> u64 {
    let day: u64 = fs::read_to_string(folder.join("day")).unwrap().parse().unwrap();
    for file in 0..files {
        let stay = fs::read(folder.join(format!("stay/{file}"))).unwrap();
        assert!(stay[..] == noise(file, bytes)[..], "stay/{file} of day {day}");
        if file % 4 == 0 {
            let change = fs::read(folder.join(format!("change/{file}"))).unwrap();
            assert!(change[..] == noise(1_000_000 * (day + 1) + file, bytes)[..], "change/{file} of day {day}");
        }
    }
    day
}
