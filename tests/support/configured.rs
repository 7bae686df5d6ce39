//! A repository that `larder.toml` says how to fill.

use std::fs;

use serde_json::Value;

use crate::support::binary::{Done, Larder};
use crate::support::hold::kill_when;

impl Larder {
    /// Writes `larder.toml`: the repository, and these sources.
    pub fn configure(&self, sources: &str) {
        let repository = self.path("repository").display().to_string();
        let text = format!("[repository]\npath = \"{repository}\"\n{sources}\n");
        fs::write(self.path("larder.toml"), text).unwrap();
    }

    /// Runs a command with that configuration.
    pub fn configured(&self, arguments: &[&str]) -> Done {
        let file = self.path("larder.toml").display().to_string();
        let mut arguments = arguments.to_vec();
        arguments.extend(["--config", &file]);
        self.run(&arguments)
    }

    /// Runs every source, and all must go well.
    pub fn backs_up(&self) -> Value {
        let done = self.configured(&["run", "--json"]);
        assert_eq!(done.code, Some(0), "{done:?}");
        done.json()
    }

    /// Runs every source, of which one must fail without a snapshot. What is said about it.
    pub fn fails(&self, source: &str) -> String {
        let done = self.configured(&["run", "--json"]);
        assert_eq!(done.code, Some(1), "{done:?}");
        let report = done.json();
        let sources = report["sources"].as_array().unwrap();
        let one = sources.iter().find(|one| one["name"] == source).unwrap();
        assert!(one["snapshot"].is_null() && one["status"] == "failed", "{report}");
        // One that fails keeps no other from its turn.
        let others = sources.iter().filter(|one| one["name"] != source);
        assert!(others.into_iter().all(|one| one["status"] == "done"), "{report}");
        assert!(!one["errors"].as_array().unwrap().is_empty(), "{report}");
        one["errors"].as_array().unwrap().iter().map(|error| error.as_str().unwrap()).collect::<Vec<_>>().join("\n")
    }

    /// Puts the newest snapshot of a source back into it.
    pub fn puts_back(&self, source: &str) -> Done {
        let snapshot = format!("{source}@latest");
        self.configured(&["restore", &snapshot, "--into", source, "--yes", "--json"])
    }

    /// Begins to put the newest snapshot of a source back into it, and kills that once something is so. The safety
    /// snapshot, which must be there then.
    pub fn puts_back_and_is_killed(&self, source: &str, so: impl FnMut() -> bool) -> String {
        let (file, snapshot) = (self.path("larder.toml").display().to_string(), format!("{source}@latest"));
        kill_when(&mut self.command(&["restore", &snapshot, "--into", source, "--yes", "--config", &file]), so);
        let safeties = self.ok(&["snapshots", "--source", &format!("{source}.before-restore"), "--json"]).json();
        assert_eq!(safeties.as_array().unwrap().len(), 1, "{safeties}");
        safeties[0]["id"].as_str().unwrap().to_owned()
    }

    /// Puts this snapshot back into a source.
    pub fn puts(&self, snapshot: &str, source: &str) {
        let done = self.configured(&["restore", snapshot, "--into", source, "--yes", "--json"]);
        assert_eq!(done.code, Some(0), "{done:?}");
    }

    /// What `doctor` says of a source: what is wrong, and how to mend it.
    pub fn troubles(&self, source: &str) -> String {
        let answer = self.configured(&["doctor", source, "--json"]).json();
        let troubles = answer["sources"][0]["troubles"].as_array().unwrap();
        let text = |one: &Value| format!("{}; {}", one["what"].as_str().unwrap(), one["hint"].as_str().unwrap());
        troubles.iter().map(text).collect::<Vec<_>>().join("\n")
    }

    /// How many snapshots there are of a source.
    pub fn snapshots(&self, source: &str) -> usize {
        self.ok(&["snapshots", "--source", source, "--json"]).json().as_array().unwrap().len()
    }

    /// Writes a file beside the repository, and says where it is.
    pub fn file(&self, name: &str, content: &str) -> String {
        fs::write(self.path(name), content).unwrap();
        self.path(name).display().to_string()
    }
}
