//! A fixture of n8n's program (`n8n_fixture.py`) for every run of the tests, and the real one for the exhaustive runs.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::drill::proves;
use crate::support::binary::Larder;
use crate::support::damage_repo::noise;
use crate::support::disk::Disk;
use crate::support::exhaustive;
use crate::support::peak::peak_bytes;
use crate::support::waiting::wait_for;

/// What keeps n8n from asking elsewhere, and from what of it does not run everywhere.
pub const SETTINGS: &str = "N8N_DIAGNOSTICS_ENABLED=false N8N_VERSION_NOTIFICATIONS_ENABLED=false \
                            N8N_EXPRESSION_ENGINE=legacy N8N_RUNNERS_ENABLED=false N8N_LISTEN_ADDRESS=127.0.0.1";
/// What it says when it is up.
pub const UP: &str = "Editor is now accessible";

/// The fixture of its program.
pub fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/suite/services/n8n_fixture.py")
}

/// The folder with the real one, which takes 1.7 GB and minutes to install, and ten seconds for each command.
pub fn installed() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/n8n");
    assert!(folder.join("ready").exists(), "n8n is not installed: run LARDER_TEST_ALL=1 scripts/test");
    folder.canonicalize().unwrap()
}

/// An n8n with a folder of its own.
pub struct N8n {
    folder: TempDir,
    /// The folder with its program.
    pub programs: PathBuf,
}

impl N8n {
    /// The fixture, with three workflows and a credential.
    pub fn fixture() -> Self {
        let fixture = fixture();
        let words = format!("exec python3 '{}' \"$@\"", fixture.display());
        let n8n = Self::with(&words, fixture.parent().unwrap().to_owned());
        n8n.does(&["make"]);
        n8n
    }

    /// The real one. Nothing is in it.
    pub fn real() -> Self {
        let folder = installed();
        Self::with(&format!("exec '{}/node_modules/.bin/n8n' \"$@\"", folder.display()), folder)
    }

    /// An n8n whose program is this.
    fn with(words: &str, programs: PathBuf) -> Self {
        let n8n = Self { folder: tempfile::tempdir().unwrap(), programs };
        let search = std::env::var("PATH").unwrap();
        let script = format!("#!/bin/sh\nexport PATH='{search}' HOME=/nowhere {SETTINGS}\n{words}\n");
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
    assert_eq!(proves(&larder, "flows"), "a folder with 3 workflows and 1 credential, which its key opens");
    assert_eq!(n8n.imports(), 0);

    n8n.write("workflow.json", &json!([{"id": "1", "name": "broken"}, {"id": "new", "name": "new"}]));
    n8n.write("credentials.json", &json!([]));
    let done = larder.puts_back("flows");
    assert_eq!(done.code, Some(0), "{done:?}");
    let flows = n8n.read("workflow.json");
    let names: Vec<&str> = flows.as_array().unwrap().iter().map(|flow| flow["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["flow 1", "new", "flow 0", "flow 2"]);
    assert!(n8n.does(&["open"]).contains("token of the shop"));
    assert!(!format!("{done:?}{report}").contains(&key));
    // Nothing is left behind. In a folder of its own: others export meanwhile.
    let (own, file) = (larder.path("temporary"), larder.path("larder.toml").display().to_string());
    fs::create_dir(&own).unwrap();
    for line in
        [&["run", "--config", &file][..], &["restore", "flows@latest", "--into", "flows", "--yes", "--config", &file]]
    {
        assert!(larder.command(line).env("TMPDIR", &own).output().unwrap().status.success());
        assert_eq!(fs::read_dir(&own).unwrap().count(), 0);
    }
    let calls = fs::read_to_string(n8n.path(".n8n/calls")).unwrap();
    assert!(calls.lines().rev().nth(1).unwrap().contains(own.to_str().unwrap()), "{calls}");
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
    assert!(error.contains("n8n export:credentials: ") && error.contains("SQLITE_CORRUPT"), "{error}");
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

/// An export of 32 MiB, and its way back, take no more memory than a small one.
#[test]
fn exports_are_not_held_in_memory() {
    let (n8n, larder) = (N8n::fixture(), Larder::new());
    larder.configure(&n8n.keys(""));
    let file = larder.path("larder.toml").display().to_string();
    let peaks = || {
        let back = ["restore", "flows@latest", "--into", "flows", "--yes", "--no-safety-snapshot", "--config", &file];
        [&["run", "--config", &file][..], &back].map(|words| peak_bytes(&mut larder.command(words)))
    };
    let small = peaks();
    // A MiB, and always the same one: what is stored already takes no memory on its way.
    let notes = hex::encode(noise(1, 1 << 19));
    let flows: Vec<Value> = (0..32).map(|id| json!({"id": id.to_string(), "notes": notes})).collect();
    n8n.write("workflow.json", &json!(flows));
    for (small, large) in small.into_iter().zip(peaks()) {
        assert!(large < small + (16 << 20), "{small} {large}");
    }
    assert_eq!(n8n.read("workflow.json").as_array().unwrap().len(), 32);
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

/// Its database is on a disk that is soon full: the workflows do not fit, and what was there is put back.
#[test]
fn a_disk_without_room_leaves_what_was_there() {
    let disk = Disk::new(2 << 20);
    let (n8n, larder) = (N8n::fixture(), Larder::new());
    for file in ["config", "workflow.json", "credentials.json"] {
        fs::copy(n8n.path(".n8n").join(file), disk.path().join(file)).unwrap();
    }
    fs::remove_dir_all(n8n.path(".n8n")).unwrap();
    std::os::unix::fs::symlink(disk.path(), n8n.path(".n8n")).unwrap();
    larder.configure(&n8n.keys(""));
    let stored = json!([{"id": "0", "name": "large", "active": false, "notes": "x".repeat(700_000)}]);
    n8n.write("workflow.json", &stored);
    larder.backs_up();
    let changed = json!([{"id": "0", "name": "small", "active": false}]);
    n8n.write("workflow.json", &changed);
    fs::write(disk.path().join("junk"), vec![1; 1_600_000]).unwrap();
    let done = larder.puts_back("flows");
    let report = done.json();
    assert_eq!((done.code, report["put_back"].as_bool()), (Some(1), Some(true)), "{done:?}");
    let error = report["errors"][0].as_str().unwrap();
    assert!(error.contains("n8n import:workflow") && error.contains("database or disk is full"), "{error}");
    assert_eq!(n8n.read("workflow.json"), changed);
    fs::remove_file(disk.path().join("junk")).unwrap();
    larder.puts("flows@latest", "flows");
    assert_eq!(n8n.read("workflow.json"), stored);
    larder.backs_up();
}

/// A workflow and a credential, as people make them.
pub fn things() -> [(&'static str, Value); 2] {
    let node = json!({"parameters": {}, "id": "a", "name": "Start", "type": "n8n-nodes-base.manualTrigger",
        "typeVersion": 1, "position": [0, 0]});
    let flow = json!({"id": "flow1", "name": "orders ä", "nodes": [node], "connections": {}, "active": false,
        "settings": {}, "versionId": "v1"});
    let credential = json!({"id": "cred1", "name": "shop", "type": "httpBasicAuth",
        "data": {"user": "u", "password": "t0ken of the shop"}});
    [("workflow", flow), ("credentials", credential)]
}

/// What people see of what was exported: nothing that an import changes.
pub fn seen(exported: &Value) -> Vec<Value> {
    let fields = ["id", "name", "nodes", "connections", "settings", "type", "data"];
    let seen = |thing: &Value| fields.iter().map(|field| (*field, thing[*field].clone())).collect();
    exported.as_array().unwrap().iter().map(seen).collect()
}

/// An n8n that runs.
struct Server(Child);

impl Server {
    fn start(n8n: &N8n, key: Option<&str>) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let log = fs::File::create(n8n.path("log")).unwrap();
        let mut command = Command::new(n8n.path("n8n"));
        command.arg("start").env("N8N_USER_FOLDER", n8n.folder.path()).env("N8N_PORT", port.to_string());
        command.envs(key.map(|key| ("N8N_ENCRYPTION_KEY", key))).stdin(Stdio::null());
        let server = Self(command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap());
        wait_for("n8n starts", || fs::read_to_string(n8n.path("log")).unwrap().contains(UP));
        server
    }

    fn runs(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _may_have_ended = self.0.kill();
        let _nothing_to_learn = self.0.wait();
    }
}

/// Only with `LARDER_TEST_ALL=1`. n8n runs whenever something is backed up or put back.
#[test]
fn the_real_n8n_gives_and_takes_while_it_runs_what_the_fixture_does() {
    if !exhaustive() {
        return;
    }
    let (n8n, larder) = (N8n::real(), Larder::new());
    larder.configure(&n8n.keys(""));
    let mut server = Server::start(&n8n, None);
    let key = n8n.read("config")["encryptionKey"].as_str().unwrap().to_owned();
    assert_eq!(larder.troubles("flows"), "");
    assert!(larder.fails("flows").contains("n8n knows no workflows"));
    let export = |kind: &str| {
        let file = n8n.path("exported.json");
        n8n.does(&[&format!("export:{kind}"), "--all", "--decrypted", &format!("--output={}", file.display())][..]);
        serde_json::from_slice::<Value>(&fs::read(file).unwrap()).unwrap()
    };
    for (kind, thing) in things() {
        fs::write(n8n.path("thing.json"), json!([thing]).to_string()).unwrap();
        n8n.does(&[&format!("import:{kind}"), &format!("--input={}", n8n.path("thing.json").display())]);
        if kind == "workflow" {
            larder.backs_up();
            assert_eq!(larder.ok(&["cat", "flows@latest:credentials.json"]).json(), json!([]));
        }
    }
    larder.backs_up();
    assert_eq!(larder.ok(&["cat", "flows@latest:encryption_key"]).out, key);
    assert!(!larder.ok(&["cat", "flows@latest:credentials.json"]).out.contains("t0ken"));
    assert_eq!(proves(&larder, "flows"), "a folder with 1 workflow and 1 credential, which its key opens");
    assert!(server.runs());
    drop(server);

    // Set up anew, with a key that it made up: nothing is taken. With the one that was stored, all is.
    let put_back =
        || larder.configured(&["restore", "flows@latest", "--into", "flows", "--yes", "--no-safety-snapshot"]);
    fs::remove_dir_all(n8n.path(".n8n")).unwrap();
    let server = Server::start(&n8n, None);
    let refused = put_back();
    assert!(refused.code == Some(1) && refused.err.contains("another encryption key"), "{refused:?}");
    drop(server);
    fs::remove_dir_all(n8n.path(".n8n")).unwrap();
    let mut server = Server::start(&n8n, Some(&key));
    let done = put_back();
    assert_eq!(done.code, Some(0), "{done:?}");
    for (kind, thing) in things() {
        assert_eq!(seen(&export(kind)), seen(&json!([thing])), "{kind}");
    }
    assert!(server.runs());
    larder.backs_up();
}
