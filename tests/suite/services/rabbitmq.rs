//! A real RabbitMQ: its definitions leave and come back, and with its data folder its messages do, too.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::ops::Deref;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use larder::http::{Body, Client, Error, Method, Request, basic};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::drill::proves;
use crate::support::binary::Larder;
use crate::support::damage_repo::noise;
use crate::support::disk::Disk;
use crate::support::peak::peak_bytes;
use crate::support::web::{Reply, Web, nobody};

pub const PASSWORD: &str = "guest's 1";

/// A node of its own, with a port mapper of its own, run by whoever runs the test.
pub struct Node {
    folder: TempDir,
    management: Management,
    mapper: Child,
}

/// What a node is asked and told.
pub struct Management {
    pub port: u16,
    log: PathBuf,
}

/// The scripts of the server itself; those in `/usr/sbin` insist on a user.
fn programs() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/rabbitmq/lib").expect("RabbitMQ is not installed: run scripts/test");
    let mut folders: Vec<PathBuf> = versions.map(|entry| entry.unwrap().path().join("sbin")).collect();
    folders.retain(|folder| folder.join("rabbitmq-server").exists());
    folders.pop().expect("RabbitMQ has no server: run scripts/test")
}

/// Ports that nobody listens on.
fn ports<const N: usize>() -> [u16; N] {
    let listeners = [(); N].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}

impl Node {
    pub fn start() -> Self {
        let node = Self::prepared();
        let started = Command::new(node.path("start")).output().unwrap();
        assert!(started.status.success(), "{started:?}");
        node.is_up();
        node
    }

    /// All that a node needs to be started: by the script `start`, or by `serve`, which becomes the node, in a container
    /// that has the folder, this machine's programs and its network.
    pub fn prepared() -> Self {
        let [amqp, port, between, at] = ports();
        // Begun here, since the one that a node begins outlives it.
        let mut mapper = Command::new("epmd");
        mapper.args(["-address", "127.0.0.1", "-port", &at.to_string()]).stderr(Stdio::null());
        let mapper = mapper.spawn().expect("Erlang is not installed: run scripts/test");
        let folder = tempfile::Builder::new().prefix("rabbit").tempdir_in("/tmp").unwrap();
        let management = Management { port, log: folder.path().join("log/larder@localhost.log") };
        let node = Self { folder, management, mapper };
        let (here, programs) = (node.folder.path().display(), programs());
        fs::write(node.path("enabled_plugins"), "[rabbitmq_management].").unwrap();
        let listen = format!(
            "listeners.tcp.1 = 127.0.0.1:{amqp}\nmanagement.tcp.ip = 127.0.0.1\nmanagement.tcp.port = {port}\n\
             default_user = root\ndefault_pass = {PASSWORD}\n"
        );
        fs::write(node.path("rabbitmq.conf"), listen).unwrap();
        let environment = format!(
            "export PATH={sbin}:/usr/sbin:/usr/bin:/sbin:/bin HOME={here} LANG=C.UTF-8 RABBITMQ_NODENAME=larder@localhost \
             RABBITMQ_MNESIA_BASE={here}/data RABBITMQ_LOG_BASE={here}/log RABBITMQ_SCHEMA_DIR={here}/schema \
             RABBITMQ_GENERATED_CONFIG_DIR={here}/generated RABBITMQ_CONFIG_FILE={here}/rabbitmq.conf \
             RABBITMQ_ADVANCED_CONFIG_FILE={here}/none RABBITMQ_CONF_ENV_FILE={here}/none \
             RABBITMQ_ENABLED_PLUGINS_FILE={here}/enabled_plugins RABBITMQ_PID_FILE={here}/pid \
             RABBITMQ_DIST_PORT={between} ERL_EPMD_PORT={at} ERL_EPMD_ADDRESS=127.0.0.1 \
             RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS='-kernel inet_dist_use_interface {{127,0,0,1}} +S 1:1 +sbwt none'\n",
            sbin = programs.display()
        );
        let stop = format!("exec timeout 120 rabbitmqctl stop {here}/pid");
        // A pid of a container means somebody else out here.
        let serve = format!("RABBITMQ_PID_FILE={here}/pid-in-there exec rabbitmq-server");
        for (name, words) in [("start", "exec rabbitmq-server -detached"), ("stop", &stop), ("serve", &serve)] {
            fs::write(node.path(name), format!("#!/bin/sh\n{environment}{words}\n")).unwrap();
            fs::set_permissions(node.path(name), fs::Permissions::from_mode(0o755)).unwrap();
        }
        while TcpStream::connect(("127.0.0.1", at)).is_err() {
            thread::sleep(Duration::from_millis(20));
        }
        node
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Ends it at once.
    pub fn ends(&self) {
        if let Ok(pid) = fs::read_to_string(self.path("pid")) {
            let _may_be_gone = Command::new("kill").args(["-9", pid.trim()]).output();
        }
    }
}

impl Deref for Node {
    type Target = Management;

    fn deref(&self) -> &Management {
        &self.management
    }
}

impl Management {
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, Error> {
        let url = format!("{}/api/{path}", self.url());
        let json = ("content-type", "application/json".to_owned().into());
        let request = Request { method, url: &url, headers: vec![("authorization", basic("root", PASSWORD)), json] };
        let text = body.map(Value::to_string).unwrap_or_default();
        let body = if body.is_some() { Body::Bytes(text.as_bytes()) } else { Body::Empty };
        let bytes = Client::new(None).unwrap().request(&request, body)?.bytes(10 << 20).unwrap();
        Ok(if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes).unwrap() })
    }

    fn get(&self, path: &str) -> Value {
        self.ask(Method::GET, path, None).unwrap()
    }

    pub fn put(&self, path: &str, body: &Value) {
        self.ask(Method::PUT, path, Some(body)).unwrap();
    }

    pub fn post(&self, path: &str, body: &Value) -> Value {
        self.ask(Method::POST, path, Some(body)).unwrap()
    }

    pub fn delete(&self, path: &str) {
        self.ask(Method::DELETE, path, None).unwrap();
    }

    /// Waits until the node answers.
    pub fn is_up(&self) {
        let mut tries = 0;
        while let Err(error) = self.ask(Method::GET, "overview", None) {
            tries += 1;
            let log = || fs::read_to_string(&self.log).unwrap_or_default();
            assert!(tries < 1200, "{error}\n{}", log());
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// A virtual host with a user, a quorum queue that a topic exchange is bound to, and a policy.
    pub fn fill(&self) {
        self.put("vhosts/shop%2Feu", &json!({}));
        self.put("users/app", &json!({"password": "it's", "tags": "monitoring"}));
        let all = json!({"configure": ".*", "write": ".*", "read": ".*"});
        self.put("permissions/shop%2Feu/app", &all);
        self.put("permissions/shop%2Feu/root", &all);
        let queue = json!({"durable": true, "arguments": {"x-queue-type": "quorum"}});
        self.put("queues/shop%2Feu/orders", &queue);
        self.put("exchanges/shop%2Feu/events", &json!({"type": "topic", "durable": true}));
        self.post("bindings/shop%2Feu/e/events/q/orders", &json!({"routing_key": "order.#"}));
        let policy = json!({"pattern": "^amq", "definition": {"max-length": 7}, "apply-to": "queues"});
        self.put("policies/shop%2Feu/short", &policy);
    }

    /// What the node is told to have, but for the queues that are made meanwhile.
    pub fn has(&self) -> Value {
        let mut definitions = self.get("definitions");
        definitions["queues"].as_array_mut().unwrap().retain(|queue| queue["vhost"] != "/");
        for kind in ["users", "permissions", "vhosts"] {
            definitions[kind].as_array_mut().unwrap().sort_by_key(Value::to_string);
        }
        definitions
    }

    /// Puts a message into the queue.
    pub fn publish(&self, text: &str) {
        let message = json!({"properties": {"delivery_mode": 2}, "routing_key": "order.new",
            "payload": text, "payload_encoding": "string"});
        self.post("exchanges/shop%2Feu/events/publish", &message);
    }

    /// The messages of the queue, which stay there.
    pub fn messages(&self) -> Vec<String> {
        let how = json!({"count": 10, "ackmode": "ack_requeue_true", "encoding": "auto"});
        for _ in 0..300 {
            // A quorum queue elects a leader before it gives anything.
            let got = self.ask(Method::POST, "queues/shop%2Feu/orders/get", Some(&how)).unwrap_or_else(|_| json!([]));
            let payloads =
                got.as_array().unwrap().iter().map(|message| message["payload"].as_str().unwrap().to_owned());
            let texts: Vec<String> = payloads.collect();
            if !texts.is_empty() {
                return texts;
            }
            thread::sleep(Duration::from_millis(100));
        }
        Vec::new()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.ends();
        let _may_be_gone = self.mapper.kill();
        let _nothing_to_learn = self.mapper.wait();
    }
}

/// The keys of a source with the data folder of a node, which is stopped and started.
pub fn with_data(larder: &Larder, node: &Node) -> String {
    let program = |name| node.path(name).display().to_string();
    let more = format!(
        "data_directory = \"{}\"\n[source.rabbit.hooks]\nstop = [\"{}\"]\nstart = [\"{}\"]\n",
        program("data"),
        program("stop"),
        program("start")
    );
    source(larder, &node.url(), &more)
}

/// The keys of a source.
pub fn source(larder: &Larder, url: &str, more: &str) -> String {
    let password = larder.file("password", PASSWORD);
    format!(
        "[source.rabbit]\nkind = \"rabbitmq\"\nurl = \"{url}\"\nuser = \"root\"\npassword_file = \"{password}\"\n{more}\n"
    )
}

#[test]
fn definitions_come_back_after_a_backup_while_queues_are_made() {
    let (node, larder) = (Node::start(), Larder::new());
    node.fill();
    let before = node.has();
    larder.configure(&source(&larder, &node.url(), ""));
    let report = thread::scope(|scope| {
        let made = scope.spawn(|| {
            for number in 0..30 {
                node.put(&format!("queues/%2F/meanwhile-{number}"), &json!({"durable": true}));
            }
        });
        let report = larder.backs_up();
        made.join().unwrap();
        report
    });
    assert_eq!(report["sources"][0]["verified"].as_bool(), Some(true), "{report}");
    let place = proves(&larder, "rabbit");
    assert!(place.starts_with("a folder with 2 virtual hosts, 2 users, 1 exchange, 1 binding and "), "{place}");
    node.delete("vhosts/shop%2Feu");
    node.delete("users/app");
    assert!(node.has() != before);
    let done = larder.puts_back("rabbit");
    assert_eq!(done.code, Some(0), "{done:?}");
    assert_eq!(node.has(), before);
    // What has no data folder cannot become one, which is said before anything is stopped.
    let hooks = "data_directory = \"/data\"\n[source.rabbit.hooks]\nstop = \"exit 1\"\nstart = \"exit 1\"\n";
    larder.configure(&source(&larder, &node.url(), hooks));
    let refused = larder.puts_back("rabbit");
    assert!(refused.code == Some(1) && refused.err.contains("leave out `data_directory`"), "{refused:?}");
    super::ca_file::decides_about_a_node(&node, &larder);
    one_virtual_host_alone(&node, &larder);
    more_than_the_node_takes(&node);
    refuses_who_may_not(&node, &larder);
}

/// Nothing of users is stored, and the host itself is made where it is gone.
fn one_virtual_host_alone(node: &Node, larder: &Larder) {
    larder.configure(&source(larder, &node.url(), "vhost = \"shop/eu\""));
    larder.backs_up();
    let stored = larder.ok(&["cat", "rabbit@latest:definitions.json"]).json();
    assert!(stored["users"].is_null() && stored["queues"][0]["name"] == "orders", "{stored}");
    assert!(proves(larder, "rabbit").ends_with(" 0 users, 1 exchange, 1 binding and 1 queue"));
    node.delete("vhosts/shop%2Feu");
    assert!(larder.troubles("rabbit").contains("there is no virtual host \"shop/eu\""));
    let refused = larder.puts_back("rabbit");
    assert!(refused.code == Some(1) && refused.err.contains("no-safety-snapshot"), "{refused:?}");
    let arguments = ["restore", "rabbit@latest", "--into", "rabbit", "--yes", "--no-safety-snapshot"];
    let done = larder.configured(&arguments);
    assert_eq!(done.code, Some(0), "{done:?}");
    let again = node.get("definitions/shop%2Feu");
    assert_eq!((&again["queues"], &again["policies"]), (&stored["queues"], &stored["policies"]));
}

/// A node takes 10 MiB at once, unless it is told otherwise, though it gives as much as it has.
fn more_than_the_node_takes(node: &Node) {
    let larder = Larder::new();
    let definitions = json!({"queues": [], "exchanges": [], "global_parameters": ["x".repeat(16 << 20)]});
    let web = Web::start(move |_| Reply::json(200, &definitions));
    larder.configure(&source(&larder, &web.url(""), ""));
    larder.backs_up();
    larder.configure(&source(&larder, &node.url(), ""));
    let refused = larder.puts_back("rabbit");
    let said = "raise management.http.max_body_size of the node above 167";
    assert!(refused.code == Some(1) && refused.out.contains(said), "{refused:?}");
}

/// Users that may not do it are told apart, and leave no snapshot.
fn refuses_who_may_not(node: &Node, larder: &Larder) {
    let snapshots = larder.snapshots("rabbit");
    larder.file("wrong", "s3cret");
    larder.file("its", "it's");
    let said = |user: &str, password: &str, expected: &str| {
        let keys = source(larder, &node.url(), "").replace("\"root\"", &format!("\"{user}\""));
        larder.configure(&keys.replace("/password\"", &format!("/{password}\"")));
        let (error, troubles) = (larder.fails("rabbit"), larder.troubles("rabbit"));
        assert!(error.contains(expected) && troubles.contains(expected), "{user}: {error}\n{troubles}");
        assert!(!format!("{error}{troubles}").contains("s3cret"));
        troubles
    };
    assert!(said("root", "wrong", "answered 401").contains("check `user` and the password"));
    let hint = "rabbitmqctl set_user_tags app administrator";
    for tags in ["monitoring", ""] {
        node.put("users/app", &json!({"password": "it's", "tags": tags}));
        assert!(said("app", "its", "not the tag administrator").contains(hint));
    }
    assert_eq!(larder.snapshots("rabbit"), snapshots);
}

#[test]
fn a_node_that_is_away_or_breaks_off_leaves_no_snapshot_and_is_started_again() {
    let larder = Larder::new();
    let away = nobody();
    larder.configure(&source(&larder, &away, ""));
    assert!(larder.fails("rabbit").contains("no answer from http://127.0.0.1:"));
    assert!(larder.troubles("rabbit").contains("rabbitmq-plugins enable rabbitmq_management"));
    let half = json!({"queues": [], "exchanges": ["x".repeat(5000)]});
    let web = Web::start(move |asked| match asked.path.as_str() {
        "/cut/api/definitions" => Reply::json(200, &half).cut(3000),
        "/other/api/definitions" => Reply::json(200, &json!({"hello": "there"})),
        _ => Reply::json(200, &json!({"queues": [], "exchanges": []})),
    });
    larder.configure(&source(&larder, &web.url("/cut"), ""));
    assert!(larder.fails("rabbit").contains("broke off"));
    larder.configure(&source(&larder, &web.url("/other"), ""));
    assert!(larder.fails("rabbit").contains("neither queues nor exchanges"));

    // What was stopped is started again when reading the folder fails.
    let log = larder.path("log").display().to_string();
    let hooks = format!(
        "data_directory = \"/no/such/folder\"\n[source.rabbit.hooks]\nstop = \"echo stop >>{log}\"\n\
         start = \"echo start >>{log}\"\n"
    );
    larder.configure(&source(&larder, &web.url(""), &hooks));
    assert!(larder.fails("rabbit").contains("cannot find /no/such/folder"));
    assert_eq!(fs::read_to_string(&log).unwrap(), "stop\nstart\n");
    assert!(larder.troubles("rabbit").contains("cannot read /no/such/folder"));
    // A dry run stops nothing.
    larder.configured(&["run", "--dry-run"]);
    assert_eq!(fs::read_to_string(&log).unwrap(), "stop\nstart\n");
    assert_eq!(larder.snapshots("rabbit"), 0);
    // What cannot be started again is a failure, with the snapshot that was made.
    let folder = larder.path("data");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("messages"), "first").unwrap();
    let hooks = hooks.replace("/no/such/folder", &folder.display().to_string()).replace("echo start", "false");
    larder.configure(&source(&larder, &web.url(""), &hooks));
    let done = larder.configured(&["run"]);
    assert!(done.code == Some(1) && done.err.contains("hook start: sh failed"), "{done:?}");
    assert_eq!(larder.ok(&["cat", "rabbit@latest:data/messages"]).out, "first");
}

/// A fixture of a node whose disk has no room: it takes no definitions, and its folder does not take what was stored.
#[test]
fn a_disk_without_room_leaves_what_was_there_and_the_node_started() {
    let (disk, larder) = (Disk::new(2 << 20), Larder::new());
    let full = Arc::new(AtomicBool::new(false));
    let refuses = full.clone();
    let web = Web::start(move |asked| match asked.method.as_str() {
        "POST" if refuses.load(Ordering::SeqCst) => {
            Reply::json(500, &json!({"error": "Internal Server Error", "reason": "{file_error, enospc}"}))
        }
        "POST" => Reply::new(204, "text/plain", ""),
        _ => Reply::json(200, &json!({"tags": ["administrator"], "queues": [], "exchanges": [{"name": "e"}]})),
    });
    larder.configure(&source(&larder, &web.url(""), ""));
    larder.backs_up();
    full.store(true, Ordering::SeqCst);
    let done = larder.puts_back("rabbit");
    let report = done.json();
    assert_eq!((done.code, report["put_back"].as_bool()), (Some(1), Some(false)), "{done:?}");
    assert!(report["errors"].to_string().contains("/api/definitions answered 500") && done.out.contains("enospc"));
    let safety = report["safety_snapshot"].as_str().unwrap();
    assert_eq!(larder.ok(&["cat", &format!("{safety}:definitions.json")]).json()["exchanges"][0]["name"], "e");
    full.store(false, Ordering::SeqCst);
    larder.puts("rabbit@latest", "rabbit");

    let (messages, log) = (disk.path().join("messages"), larder.path("log").display().to_string());
    fs::write(&messages, noise(1, 1_000_000)).unwrap();
    fs::write(disk.path().join("other"), "stored").unwrap();
    let hooks = format!(
        "data_directory = \"{}\"\n[source.rabbit.hooks]\nstop = \"echo stop >>{log}\"\nstart = \"echo start >>{log}\"\n",
        disk.path().display()
    );
    larder.configure(&source(&larder, &web.url(""), &hooks));
    larder.backs_up();
    fs::write(&messages, "few").unwrap();
    fs::write(disk.path().join("other"), "changed").unwrap();
    disk.resize(500_000);
    fs::remove_file(&log).unwrap();
    let done = larder.puts_back("rabbit");
    let report = done.json();
    assert_eq!((done.code, report["put_back"].as_bool()), (Some(1), Some(true)), "{done:?}");
    assert!(report["errors"][0].as_str().unwrap().contains("No space left on device"), "{done:?}");
    let there = ["messages", "other"].map(|name| fs::read_to_string(disk.path().join(name)).unwrap());
    assert_eq!(there, ["few", "changed"]);
    // For the safety snapshot, for what was stored, and for what was there.
    assert_eq!(fs::read_to_string(&log).unwrap(), "stop\nstart\n".repeat(3));
    disk.resize(2 << 20);
    larder.puts("rabbit@latest", "rabbit");
    assert!(fs::read(&messages).unwrap()[..] == noise(1, 1_000_000)[..]);
}

/// Definitions of 32 MiB, and their way back, take no more memory than small ones.
#[test]
fn definitions_are_not_held_in_memory() {
    let larder = Larder::new();
    // A MiB, and always the same one: what is stored already takes no memory on its way.
    let part = hex::encode(noise(1, 1 << 19));
    let definitions = |parts: usize| json!({"queues": vec![part.as_str(); parts], "exchanges": []});
    let (small, large) = (definitions(1), definitions(32));
    let taken = Arc::new(Mutex::new(Vec::new()));
    let takes = taken.clone();
    let web = Web::start(move |asked| match (asked.method.as_str(), asked.path.as_str()) {
        ("GET", "/small/api/definitions") => Reply::json(200, &small),
        ("GET", "/large/api/definitions") => Reply::json(200, &large),
        ("GET", _) => Reply::json(200, &json!({"tags": ["administrator"]})),
        _ => {
            takes.lock().unwrap().push(asked.body.len());
            Reply::new(204, "text/plain", "")
        }
    });
    let file = larder.path("larder.toml").display().to_string();
    let peaks = ["/small", "/large"].map(|path| {
        larder.configure(&source(&larder, &web.url(path), ""));
        let back = ["restore", "rabbit@latest", "--into", "rabbit", "--yes", "--no-safety-snapshot", "--config", &file];
        [&["run", "--config", &file][..], &back].map(|words| peak_bytes(&mut larder.command(words)))
    });
    for (small, large) in peaks[0].into_iter().zip(peaks[1]) {
        assert!(large < small + (16 << 20), "{small} {large}");
    }
    assert!(taken.lock().unwrap()[1] > 32 << 20);
}

#[test]
fn mistakes_in_the_keys_are_said() {
    let larder = Larder::new();
    for (more, expected) in [
        ("data_directory = \"/data\"", "data_directory: is consistent only while the node is stopped"),
        ("data_directory = \"data\"", "data_directory: must be a full path"),
        ("data_directory = \"/data\"\nvhost = \"x\"", "vhost: is one too many"),
        ("pasword_env = \"x\"", "did you mean password_env?"),
    ] {
        larder.configure(&source(&larder, "http://node", more));
        let said = larder.configured(&["run"]).err;
        assert!(said.contains(expected), "{more}: {said}");
    }
    larder.configure("[source.rabbit]\nkind = \"rabbitmq\"\n");
    let said = larder.configured(&["run"]).err;
    assert!(said.contains("rabbit.user: is missing") && said.contains("rabbit.password_file: is missing"), "{said}");
}
