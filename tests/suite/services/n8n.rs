//! A fixture of n8n's program (`n8n_fixture.py`) for every run of the tests, and the real one for the exhaustive runs.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::binary::Larder;
use crate::support::exhaustive;

/// A path in the folder of the sources.
fn at_home(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// An n8n with a folder of its own.
pub struct N8n {
    folder: TempDir,
}

impl N8n {
    /// The fixture, with three workflows and a credential.
    pub fn fixture() -> Self {
        let fixture = at_home("tests/suite/services/n8n_fixture.py");
        let n8n = Self::with(&format!("exec python3 '{}' \"$@\"", fixture.display()));
        n8n.does(&["make"]);
        n8n
    }

    /// The real one, which takes 1.7 GB and minutes to install, and ten seconds for each command. Nothing is in it.
    pub fn real() -> Self {
        let program = at_home("target/n8n/node_modules/.bin/n8n");
        assert!(program.exists(), "n8n is not installed: run LARDER_TEST_ALL=1 scripts/test");
        Self::with(&format!("exec '{}' \"$@\"", program.display()))
    }

    /// An n8n whose program is this.
    fn with(words: &str) -> Self {
        let n8n = Self { folder: tempfile::tempdir().unwrap() };
        let search = std::env::var("PATH").unwrap();
        let settings =
            "N8N_DIAGNOSTICS_ENABLED=false N8N_VERSION_NOTIFICATIONS_ENABLED=false N8N_EXPRESSION_ENGINE=legacy";
        let script = format!("#!/bin/sh\nexport PATH='{search}' HOME=/nowhere {settings}\n{words}\n");
        fs::write(n8n.path("n8n"), script).unwrap();
        fs::set_permissions(n8n.path("n8n"), fs::Permissions::from_mode(0o755)).unwrap();
        n8n
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs its program.
    pub fn does(&self, words: &[&str]) -> String {
        let output = Command::new(self.path("n8n")).args(words).env("N8N_USER_FOLDER", self.folder.path()).output();
        let output = output.unwrap();
        assert!(output.status.success(), "{words:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    pub fn read(&self, name: &str) -> Value {
        serde_json::from_slice(&fs::read(self.path(".n8n").join(name)).unwrap()).unwrap()
    }

    pub fn write(&self, name: &str, what: &Value) {
        fs::write(self.path(".n8n").join(name), what.to_string()).unwrap();
    }

    fn keys(&self, more: &str) -> String {
        format!(
            "[source.flows]\nkind = \"n8n\"\nprogram = \"{}\"\nuser_folder = \"{}\"\n{more}\n",
            self.path("n8n").display(),
            self.folder.path().display()
        )
    }

    /// How often its program was asked to import.
    fn imports(&self) -> usize {
        let calls = fs::read_to_string(self.path(".n8n/calls")).unwrap_or_default();
        calls.lines().filter(|call| call.starts_with("import:")).count()
    }
}

#[test]
fn workflows_credentials_and_their_key_come_back() {
    let (n8n, larder) = (N8n::fixture(), Larder::new());
    larder.configure(&n8n.keys(""));
    let report = larder.backs_up();
    assert_eq!(report["sources"][0]["verified"].as_bool(), Some(true), "{report}");
    let stored = |name: &str| larder.ok(&["cat", &format!("flows@latest:{name}")]);
    assert_eq!(stored("workflows.json").json(), n8n.read("workflow.json"));
    assert_eq!(stored("credentials.json").json(), n8n.read("credentials.json"));
    let key = n8n.read("config")["encryptionKey"].as_str().unwrap().to_owned();
    assert_eq!(stored("encryption_key").out, key);

    n8n.write("workflow.json", &json!([{"id": "1", "name": "broken"}, {"id": "new", "name": "new"}]));
    n8n.write("credentials.json", &json!([]));
    let done = larder.puts_back("flows");
    assert_eq!(done.code, Some(0), "{done:?}");
    let flows = n8n.read("workflow.json");
    let names: Vec<&str> = flows.as_array().unwrap().iter().map(|flow| flow["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["flow 1", "new", "flow 0", "flow 2"]);
    assert!(n8n.does(&["open"]).contains("token of the shop"));
    assert!(!format!("{done:?}{report}").contains(&key));
    let left = fs::read_dir("/tmp").unwrap().flatten().filter(|entry| entry.path().join("said").exists()).count();
    assert_eq!(left, 0, "exports are left behind");
}

#[test]
fn another_encryption_key_is_said_before_anything_is_imported() {
    let (n8n, larder) = (N8n::fixture(), Larder::new());
    larder.configure(&n8n.keys(""));
    larder.backs_up();
    let key = n8n.read("config");
    // n8n was set up anew, and made up a key.
    n8n.write("config", &json!({"encryptionKey": "another"}));
    let done = larder.puts_back("flows");
    assert!(done.code == Some(1) && done.err.contains("another encryption key"), "{done:?}");
    assert!(done.err.contains("larder cat") && done.err.contains("nothing was changed"), "{done:?}");
    assert!(!done.err.contains(key["encryptionKey"].as_str().unwrap()));
    assert_eq!(n8n.imports(), 0);
    let stored = larder.ok(&["cat", "flows@latest:encryption_key"]).out;
    n8n.write("config", &json!({"encryptionKey": stored}));
    n8n.write("credentials.json", &json!([]));
    let done = larder.puts_back("flows");
    assert_eq!(done.code, Some(0), "{done:?}");
    assert!(n8n.imports() == 2 && n8n.does(&["open"]).contains("token of the shop"));
}

#[test]
fn a_key_from_elsewhere_must_be_the_one_that_n8n_uses() {
    let (n8n, larder) = (N8n::fixture(), Larder::new());
    let key = n8n.read("config")["encryptionKey"].as_str().unwrap().to_owned();
    let (right, wrong) = (larder.file("right", &key), larder.file("wrong", "wr0ng"));
    larder.configure(&n8n.keys(&format!("encryption_key_file = \"{right}\"")));
    larder.backs_up();
    larder.configure(&n8n.keys(&format!("encryption_key_file = \"{wrong}\"")));
    let said = format!("{}{}", larder.fails("flows"), larder.troubles("flows"));
    assert_eq!(said.matches("n8n uses another encryption key than the source says").count(), 2, "{said}");
    assert!(!said.contains("wr0ng") && !said.contains(&key));
    larder.configure(&n8n.keys(&format!("config_file = \"{}\"", n8n.path(".n8n/config").display())));
    larder.backs_up();
    larder.configure(&n8n.keys("config_file = \"/none\""));
    assert!(larder.troubles("flows").contains("its credentials are worthless"), "{}", larder.troubles("flows"));
    assert!(larder.fails("flows").contains("/none"));
    assert_eq!(larder.snapshots("flows"), 2);
}

#[test]
fn an_n8n_that_fails_or_is_empty_leaves_no_snapshot() {
    let (n8n, larder) = (N8n::fixture(), Larder::new());
    larder.configure(&n8n.keys(""));
    n8n.write("broken", &json!(1));
    let error = larder.fails("flows");
    assert!(error.contains("n8n export:workflow: ") && error.contains("SQLITE_CORRUPT"), "{error}");
    fs::remove_file(n8n.path(".n8n/broken")).unwrap();
    // Without credentials there may well be workflows; without workflows it is the wrong n8n.
    n8n.write("credentials.json", &json!([]));
    larder.backs_up();
    assert_eq!(larder.ok(&["cat", "flows@latest:credentials.json"]).json(), json!([]));
    n8n.write("workflow.json", &json!([]));
    assert!(larder.fails("flows").contains("n8n knows no workflows"));
    larder.configure(&n8n.keys("").replace("/n8n\"", "/n9n\""));
    let missing = larder.troubles("flows");
    assert!(missing.contains("there is no program") && missing.contains("install n8n"), "{missing}");
    larder.configure("[source.flows]\nkind = \"n8n\"\ncontainer = \"none\"\n");
    assert!(larder.troubles("flows").contains("check that the container none runs"));
    larder.configure("[source.flows]\nkind = \"n8n\"\ncontainer = \"c\"\nuser_folder = \"/x\"\n");
    assert!(larder.configured(&["run"]).err.contains("user_folder: is one too many"));
    assert_eq!(larder.snapshots("flows"), 1);
}

/// Killed between credentials and workflows: what is under way ends by itself, and all of it can be done again.
#[test]
fn a_restore_that_is_killed_can_be_done_again() {
    let (n8n, larder) = (N8n::fixture(), Larder::new());
    larder.configure(&n8n.keys(""));
    larder.backs_up();
    let names = || n8n.read("workflow.json").as_array().unwrap().iter().map(|one| one["name"].to_string()).collect();
    let stored: Vec<String> = names();
    let changed =
        json!([{"id": "0", "name": "changed"}, {"id": "1", "name": "changed"}, {"id": "2", "name": "changed"}]);
    n8n.write("workflow.json", &changed);
    n8n.write("slow", &json!(1));
    larder.puts_back_and_is_killed("flows", || n8n.imports() == 2);
    fs::remove_file(n8n.path(".n8n/slow")).unwrap();
    let done = || fs::read_to_string(n8n.path(".n8n/calls")).unwrap().lines().filter(|call| *call == "done").count();
    while done() < 2 {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    n8n.write("workflow.json", &changed);
    n8n.write("credentials.json", &json!([]));
    larder.puts("flows@latest", "flows");
    assert_eq!(names(), stored);
    assert!(n8n.does(&["open"]).contains("token of the shop"));
    larder.backs_up();
    larder.ok(&["check", "--read-data"]);
}

/// Only with `LARDER_TEST_ALL=1`.
#[test]
fn the_real_n8n_gives_and_takes_what_the_fixture_does() {
    if !exhaustive() {
        return;
    }
    let (n8n, larder) = (N8n::real(), Larder::new());
    let node = json!({"parameters": {}, "id": "a", "name": "Start", "type": "n8n-nodes-base.manualTrigger",
        "typeVersion": 1, "position": [0, 0]});
    let flow = json!([{"id": "flow1", "name": "orders ä", "nodes": [node], "connections": {}, "active": false,
        "settings": {}, "versionId": "v1"}]);
    let credential = json!([{"id": "cred1", "name": "shop", "type": "httpBasicAuth",
        "data": {"user": "u", "password": "t0ken of the shop"}}]);
    larder.configure(&n8n.keys(""));
    fs::write(n8n.path("flow.json"), flow.to_string()).unwrap();
    fs::write(n8n.path("credential.json"), credential.to_string()).unwrap();
    n8n.does(&["import:workflow", &format!("--input={}", n8n.path("flow.json").display())]);
    assert!(larder.troubles("flows").is_empty(), "{}", larder.troubles("flows"));
    larder.backs_up();
    assert_eq!(larder.ok(&["cat", "flows@latest:credentials.json"]).json(), json!([]));
    n8n.does(&["import:credentials", &format!("--input={}", n8n.path("credential.json").display())]);
    larder.backs_up();
    let stored = larder.ok(&["cat", "flows@latest:credentials.json"]);
    assert!(!stored.out.contains("t0ken") && stored.json()[0]["name"] == "shop", "{stored:?}");
    assert_eq!(larder.ok(&["cat", "flows@latest:workflows.json"]).json()[0]["name"], "orders ä");
    // Set up anew, with the key that was stored: nothing is there to be stored before.
    for file in ["database.sqlite", "database.sqlite-wal", "database.sqlite-shm"] {
        let _may_not_be_there = fs::remove_file(n8n.path(".n8n").join(file));
    }
    let arguments = ["restore", "flows@latest", "--into", "flows", "--yes", "--no-safety-snapshot"];
    let done = larder.configured(&arguments);
    assert_eq!(done.code, Some(0), "{done:?}");
    let decrypted = n8n.path("decrypted.json");
    n8n.does(&["export:credentials", "--all", "--decrypted", &format!("--output={}", decrypted.display())]);
    assert!(fs::read_to_string(decrypted).unwrap().contains("t0ken of the shop"));
    larder.backs_up();
    assert_eq!(larder.ok(&["cat", "flows@latest:workflows.json"]).json()[0]["name"], "orders ä");
}
