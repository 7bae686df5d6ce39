//! n8n in a running container, as somebody who is not root: a fixture of its program for every run of the tests, and the
//! real one for the exhaustive runs.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::PathBuf;

use serde_json::{Value, json};

use super::n8n::{SETTINGS, UP, fixture, installed, seen, things};
use crate::support::binary::{Done, Larder};
use crate::support::docker::Engine;
use crate::support::exhaustive;
use crate::support::hold::kill_when;
use crate::support::waiting::wait_for;

const IMAGE: &str = "larder/n8n";
const SHELL: &str = "larder/shell";
/// Who runs it, as in its own image.
const USER: u32 = 1000;
const HOME: &str = "/home/node";

/// An engine with an image of n8n, and a container of it.
struct Stage {
    engine: Engine,
    larder: Larder,
    /// What the image has from outside.
    mounts: Vec<String>,
}

impl Stage {
    fn fixture() -> Self {
        Self::with(&format!("exec python3 '{}' \"$@\"", fixture().display()), fixture())
    }

    fn real() -> Self {
        let folder = installed();
        Self::with(&format!("exec '{}/node_modules/.bin/n8n' \"$@\"", folder.display()), folder)
    }

    fn with(words: &str, programs: PathBuf) -> Self {
        let (engine, larder) = (Engine::start(), Larder::new());
        engine.import_shell_of_this_machine(SHELL);
        let root = engine.path("shell");
        let (home, program) = (root.join(&HOME[1..]), root.join("opt/n8n"));
        for folder in [&home, &root.join("opt")] {
            fs::create_dir_all(folder).unwrap();
        }
        chown(&home, Some(USER), Some(USER)).unwrap();
        fs::set_permissions(root.join("tmp"), fs::Permissions::from_mode(0o1777)).unwrap();
        fs::write(&program, format!("#!/bin/sh\nexport {SETTINGS}\n{words}\n")).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        engine.import(&root, IMAGE);
        let mounts = ["/usr".to_owned(), programs.display().to_string()];
        let stage = Self { engine, larder, mounts: mounts.map(|path| format!("{path}:{path}:ro")).to_vec() };
        stage.larder.configure("[source.flows]\nkind = \"n8n\"\ncontainer = \"flows\"\n");
        stage
    }

    /// Starts n8n as if for the first time, with a key or without.
    fn starts_anew(&self, key: Option<&str>) {
        self.engine.docker(&["rm", "--force", "flows"]);
        self.engine.docker(&["volume", "rm", "flows"]);
        let (user, home, volume) = (USER.to_string(), format!("HOME={HOME}"), format!("flows:{HOME}"));
        let mut words = vec!["run", "--detach", "--name", "flows", "--network", "none", "--user", &user];
        words.extend(["--env", "PATH=/opt:/usr/bin:/bin", "--env", &home, "--volume", &volume]);
        words.extend(self.mounts.iter().flat_map(|mount| ["--volume", mount]));
        let key = key.map(|key| format!("N8N_ENCRYPTION_KEY={key}"));
        words.extend(key.iter().flat_map(|key| ["--env", key]));
        words.extend([IMAGE, "n8n", "start"]);
        self.engine.ok(&words);
        wait_for("n8n starts", || {
            let told = self.engine.docker(&["logs", "flows"]);
            String::from_utf8_lossy(&told.stdout).contains(UP)
        });
    }

    /// A path in the folder that n8n keeps everything in, seen from outside.
    fn home(&self, name: &str) -> PathBuf {
        self.engine.mountpoint("flows").join(name)
    }

    fn import(&self, kind: &str, thing: &Value) {
        fs::write(self.home("thing.json"), json!([thing]).to_string()).unwrap();
        let command = ["exec", "flows", "n8n", &format!("import:{kind}"), &format!("--input={HOME}/thing.json")];
        self.engine.ok(&command);
    }

    /// What people see in it.
    fn has(&self, kind: &str) -> Vec<Value> {
        let (command, file) = (format!("export:{kind}"), format!("--output={HOME}/exported.json"));
        self.engine.ok(&["exec", "flows", "n8n", &command, "--all", "--decrypted", &file]);
        seen(&serde_json::from_slice(&fs::read(self.home("exported.json")).unwrap()).unwrap())
    }

    /// What is left of larder's in the container: files, as `mktemp` names them, and processes.
    fn left(&self) -> Vec<String> {
        let files = self.engine.ok(&["exec", "flows", "ls", "/tmp"]);
        let processes = self.engine.ok(&["top", "flows", "-o", "pid,args"]);
        let left = files.lines().filter(|line| line.starts_with("tmp."));
        left.chain(processes.lines().filter(|line| line.contains("port:"))).map(str::to_owned).collect()
    }

    fn larder(&self, words: &[&str]) -> Done {
        let configuration = self.larder.path("larder.toml").display().to_string();
        self.engine.larder(&self.larder, &[words, &["--config", &configuration]].concat())
    }

    fn ok(&self, words: &[&str]) -> Done {
        let done = self.larder(words);
        assert_eq!(done.code, Some(0), "{done:?}");
        done
    }

    fn puts_back(&self) -> Done {
        self.larder(&["restore", "flows@latest", "--into", "flows", "--yes", "--no-safety-snapshot", "--json"])
    }
}

fn all_comes_back_into_another_container(stage: &Stage) {
    stage.starts_anew(None);
    for (kind, thing) in things() {
        stage.import(kind, &thing);
    }
    stage.ok(&["doctor"]);
    let report = stage.ok(&["run", "--json"]).json();
    assert_eq!(report["sources"][0]["verified"].as_bool(), Some(true), "{report}");
    let key = stage.larder.ok(&["cat", "flows@latest:encryption_key"]).out;
    assert!(fs::read_to_string(stage.home(".n8n/config")).unwrap().contains(&key));

    // One with a key that it made up takes nothing; one that was given the key takes all.
    stage.starts_anew(None);
    let refused = stage.puts_back();
    assert!(refused.code == Some(1) && refused.err.contains("another encryption key"), "{refused:?}");
    stage.starts_anew(Some(&key));
    let done = stage.puts_back();
    assert_eq!((done.code, done.json()["restored"].as_bool()), (Some(0), Some(true)), "{done:?}");
    for (kind, thing) in things() {
        assert_eq!(stage.has(kind), seen(&json!([thing])), "{kind}");
    }
    assert_eq!(stage.engine.state("flows"), "running");
    assert_eq!(stage.left(), [""; 0]);
    stage.ok(&["run"]);

    stage.engine.ok(&["stop", "--time", "1", "flows"]);
    let done = stage.larder(&["run", "--json"]);
    let report = done.json();
    let error = report["sources"][0]["errors"][0].as_str().unwrap();
    assert!(done.code == Some(1) && error.contains("is not running"), "{report}");
    let hint = stage.larder(&["doctor", "--json"]).json()["sources"][0]["troubles"][0]["hint"].to_string();
    assert!(hint.contains("check that the container flows runs"), "{hint}");
}

#[test]
fn what_is_in_a_container_comes_back_into_another() {
    all_comes_back_into_another_container(&Stage::fixture());
}

/// Only with `LARDER_TEST_ALL=1`.
#[test]
fn what_the_real_n8n_has_in_a_container_comes_back_into_another() {
    if exhaustive() {
        all_comes_back_into_another_container(&Stage::real());
    }
}

/// Signals do not reach into a container: what runs there has to hear of it otherwise.
#[test]
fn an_export_in_a_container_ends_with_a_larder_that_is_killed() {
    let stage = Stage::fixture();
    stage.starts_anew(None);
    for (kind, thing) in things() {
        stage.import(kind, &thing);
    }
    fs::write(stage.home(".n8n/endless"), "").unwrap();
    let configuration = stage.larder.path("larder.toml").display().to_string();
    let mut command = stage.engine.larder_command(&stage.larder, &["run", "--config", &configuration]);
    kill_when(&mut command, || stage.home(".n8n/going").exists());
    wait_for("the export ends", || stage.left().is_empty());
    fs::remove_file(stage.home(".n8n/endless")).unwrap();
    stage.ok(&["run"]);
}
