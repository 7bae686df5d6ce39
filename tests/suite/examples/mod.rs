//! The configurations in `examples/`, each run as it stands: a day of data is backed up, lost and put back, and what the
//! system that it replaces did for its users is done.
//!
//! Promise: nothing is set but variables, the command that makes the repository is that in the file, and what came back
//! is compared as the services themselves show it.
//! Left out on purpose: faults of single services, which `services/` has.

mod alan;
mod arasul;
mod data;
mod gofr_plot;
mod hoppybrew;
mod numbers;
mod schedgen;
mod thirty_days;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::binary::Done;
use crate::support::damage_repo::scratch;
use crate::support::docker::PATH;

/// Variables with their values.
type Variables = Vec<(&'static str, String)>;

/// The services of an example, and what is in them.
trait Stage {
    /// The name of the example.
    const NAME: &'static str;
    /// The source whose service can be broken.
    const BREAKS: &'static str;

    /// What the users of the example would set. The folder is theirs, with `password` and `status` in it.
    fn variables(&self, here: &Path) -> Variables;

    /// Lets the services be used for a day.
    fn live_a_day(&self, day: u32);

    /// What is in each source, by the words of its service.
    fn content(&self) -> BTreeMap<&'static str, String>;

    /// Loses all of it.
    fn destroy(&self);

    /// Breaks one service, whose backups fail then.
    fn break_one(&self);

    /// Makes it whole again.
    fn mend_it(&self);
}

/// Where somebody uses an example.
struct Site<S> {
    stage: S,
    folder: TempDir,
}

/// An example's file.
fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name).join("larder.toml")
}

impl<S: Stage> Site<S> {
    const PASSWORD: &'static str = "correct horse battery";

    /// With a repository, made as the file says.
    fn new(stage: S) -> Self {
        let site = Self { stage, folder: scratch() };
        fs::write(site.path("password"), format!("{}\n", Self::PASSWORD)).unwrap();
        fs::create_dir(site.path("status")).unwrap();
        let text = fs::read_to_string(file(S::NAME)).unwrap();
        // As it is, but where no other test runs it at the same time.
        fs::write(site.path("larder.toml"), &text).unwrap();
        let line = text.lines().find_map(|line| line.split_once("larder init")).expect("no word of larder init").1;
        let words: Vec<&str> = line.split('#').next().unwrap().split_whitespace().collect();
        let recovery = site.path("recovery").display().to_string();
        site.ok(&[&["init", "--recovery-file", &recovery], &words[..]].concat());
        site
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// larder with these words, as they are typed beside the example's file.
    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_larder"));
        command.args(words).env_clear().stdin(Stdio::null());
        command
            .env("PATH", PATH)
            .env("LARDER_CACHE", self.path("cache"))
            .env("LARDER_CONFIG", self.path("larder.toml"));
        // For the commands that know of no configuration.
        command.env("LARDER_REPO", self.path("larder")).env("LARDER_PASSWORD", Self::PASSWORD);
        command.envs(self.stage.variables(self.folder.path()));
        command
    }

    fn does(&self, words: &[&str]) -> Done {
        Done::of(self.command(words).output().unwrap(), words)
    }

    fn ok(&self, words: &[&str]) -> Done {
        let done = self.does(words);
        assert_eq!(done.code, Some(0), "{done:?}");
        done
    }

    /// Runs it, and every source must have a snapshot. The report.
    fn run(&self, more: &[&str]) -> Value {
        let report = self.ok(&[&["run", "--json"], more].concat()).json();
        let good = |source: &Value| source["status"] == "done" && source["snapshot"].is_string();
        assert!(report["sources"].as_array().unwrap().iter().all(good), "{report}");
        report
    }

    /// Loses everything, and puts these sources back.
    fn loses_and_puts_back(&self, sources: &[&str]) {
        self.stage.destroy();
        for source in sources {
            self.puts_back(source);
        }
    }

    /// Nothing is left that could be stored before.
    fn puts_back(&self, source: &str) {
        let newest = format!("{source}@latest");
        self.ok(&["restore", &newest, "--into", source, "--yes", "--no-safety-snapshot"]);
    }

    /// The snapshots of a source that tags hold, as `larder snapshots` shows them.
    fn snapshots(&self, source: &str) -> Vec<Value> {
        let listed = self.ok(&["snapshots", "--source", source, "--json"]).json();
        listed.as_array().unwrap().clone()
    }
}

/// The names of the sources in a report.
fn names(report: &Value) -> Vec<&str> {
    report["sources"].as_array().unwrap().iter().map(|source| source["name"].as_str().unwrap()).collect()
}
