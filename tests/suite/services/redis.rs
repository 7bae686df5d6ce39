//! A real Redis: backed up while it is written to, put back by a restart, compared key by key.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

use crate::support::binary::{Done, Larder};
use crate::support::disk::Disk;
use crate::support::hold::{Hold, packs};

pub const PASSWORD: &str = "it's \"secret\"";
const PAUSE: Duration = Duration::from_millis(20);

/// A server of its own, on a socket and on a free port; it is started by `start` in its folder, so that a hook can.
pub struct Server {
    folder: TempDir,
    port: u16,
    first: Child,
}

impl Server {
    pub fn start(more: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("rd").tempdir_in("/tmp").unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let here = folder.path().display();
        // Without a delay for further replicas, of which there are none.
        let configuration = format!(
            "dir {here}\nport {port}\nbind 127.0.0.1\nunixsocket {here}/s\npidfile {here}/pid\nlogfile {here}/log\n\
             requirepass \"it's \\\"secret\\\"\"\nrepl-diskless-sync-delay 0\nsave 3600 1\n{more}\n"
        );
        fs::write(folder.path().join("redis.conf"), configuration).unwrap();
        let first = Command::new("redis-server")
            .arg(folder.path().join("redis.conf"))
            .stdout(Stdio::null())
            .spawn()
            .expect("Redis is not installed: run scripts/test");
        let server = Self { folder, port, first };
        while server.ask(&["PING"]) != "PONG" {
            thread::sleep(PAUSE);
        }
        server
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn client(&self) -> Command {
        let mut command = Command::new("redis-cli");
        command.arg("-s").arg(self.path("s")).env("REDISCLI_AUTH", PASSWORD);
        command
    }

    pub fn ask(&self, words: &[&str]) -> String {
        let output = self.client().args(words).output().expect("Redis is not installed: run scripts/test");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Runs a script on the server, in one of its databases.
    fn script(&self, database: &str, script: &str) -> String {
        self.ask(&["-n", database, "EVAL", script, "0"])
    }

    /// Keys of all kinds, some of which end.
    pub fn fill(&self) {
        let script = "for n = 1, 5000 do redis.call('SET', 'key ' .. n, 'value ' .. n) end \
            redis.call('SET', 'binary', '\\0\\1\\255\\n') redis.call('RPUSH', 'list', 'a', 'b') \
            redis.call('HSET', 'hash', 'f', '1') redis.call('ZADD', 'set', 1.5, 'm') redis.call('XADD', 'stream', '1-1', 'f', 'v') \
            redis.call('SET', 'ends', 'later', 'PXAT', 4102444800000)";
        self.script("0", script);
        self.script("7", "redis.call('SET', 'far', 'away')");
        self.ask(&["FUNCTION", "LOAD", "#!lua name=lib\nredis.register_function('five', function() return 5 end)"]);
    }

    /// All there is in it, as a text to compare, but for the one that is written to.
    fn content(&self) -> String {
        let script = "local all = redis.call('KEYS', '*') table.sort(all) local out = {} for _, key in ipairs(all) do \
            if key ~= 'beat' then out[#out + 1] = key .. redis.sha1hex(redis.call('DUMP', key)) .. redis.call('PEXPIRETIME', key) end \
            end return redis.sha1hex(table.concat(out, ',')) .. ' ' .. #out";
        [self.script("0", script), self.script("7", script), self.ask(&["FUNCTION", "LIST"])].join("\n")
    }

    /// The number of the process that is running now.
    fn process(&self) -> Option<String> {
        fs::read_to_string(self.path("pid")).ok().map(|text| text.trim().to_owned())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // One that a hook started, or else the first.
        if let Some(process) = self.process() {
            let _may_have_ended = Command::new("kill").args(["-9", &process]).status();
        }
        let _may_have_ended = self.first.kill();
        let _nothing_to_learn = self.first.wait();
    }
}

/// A configuration with the server as a source, and another that must not suffer with it.
pub fn configure(larder: &Larder, place: &str, more: &str) {
    fs::write(larder.path("secret"), format!("{PASSWORD}\n")).unwrap();
    let text = format!(
        "[repository]\npath = \"{}\"\n[source.cache]\nkind = \"redis\"\n{place}\npassword_file = \"{}\"\n{more}\n\
         [source.other]\nkind = \"command\"\ncommand = \"echo fine\"\nfile = \"x\"\n",
        larder.path("repository").display(),
        larder.path("secret").display()
    );
    fs::write(larder.path("larder.toml"), text).unwrap();
}

pub fn socket(server: &Server) -> String {
    format!("socket = \"{}\"", server.path("s").display())
}

/// The keys of a source that can be put back.
fn way_back(server: &Server) -> String {
    let here = server.folder.path().display();
    format!(
        "data_file = \"{here}/dump.rdb\"\n[source.cache.hooks]\n\
         stop = \"kill $(cat {here}/pid) && while redis-cli -s {here}/s ping; do sleep 0.02; done\"\nstart = \"redis-server {here}/redis.conf --daemonize yes && while ! test -s {here}/pid; do sleep 0.02; done\"\n"
    )
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn does(larder: &Larder, line: &[&str]) -> Done {
    larder.run(&[line, &["--config", text(&larder.path("larder.toml"))]].concat())
}

pub fn run(larder: &Larder) -> Done {
    does(larder, &["run", "--json"])
}

fn into(larder: &Larder) -> Done {
    does(larder, &["restore", "cache@latest", "--into", "cache", "--yes"])
}

/// Runs it all; the server's source must fail and leave no snapshot, the other must not. Says why it failed.
fn fails(larder: &Larder) -> String {
    let ended = run(larder);
    let sources = ended.json()["sources"].clone();
    let error = sources[0]["errors"][0].as_str().unwrap_or_default().to_owned();
    assert_eq!((ended.code, sources[0]["snapshot"].is_null()), (Some(1), true), "{ended:?}");
    assert!(sources[1]["snapshot"].is_string() && !ended.out.contains(PASSWORD), "{ended:?}");
    assert!(larder.ok(&["snapshots", "--source", "cache", "--json"]).json().as_array().unwrap().is_empty());
    error
}

/// What redis-cli says of its progress is no warning.
fn warns_of_nothing(ended: &Done) {
    assert_eq!(ended.json()["sources"][0]["warnings"], serde_json::json!([]), "{ended:?}");
}

/// Backs up under load, changes everything, and puts it back.
fn there_and_back(server: &Server, place: &str) {
    let larder = Larder::new();
    server.fill();
    let stored = server.content();
    configure(&larder, place, &way_back(server));
    assert_eq!(does(&larder, &["doctor", "cache"]).code, Some(0));
    let mut writing =
        server.client().args(["-r", "-1", "-i", "0.001", "INCR", "beat"]).stdout(Stdio::null()).spawn().unwrap();
    while server.ask(&["GET", "beat"]).is_empty() {
        thread::sleep(PAUSE);
    }
    let ended = run(&larder);
    let wrote = writing.try_wait().unwrap();
    writing.kill().unwrap();
    writing.wait().unwrap();
    assert_eq!((ended.code, ended.json()["sources"][0]["verified"].as_bool()), (Some(0), Some(true)), "{ended:?}");
    assert!(wrote.is_none(), "{wrote:?}");
    warns_of_nothing(&ended);
    // As long as the server's own would be, without the mark that redis-cli writes along.
    let dump = server.path("got.rdb");
    fs::write(&dump, larder.command(&["cat", "cache@latest:dump.rdb"]).output().unwrap().stdout).unwrap();
    let checked = Command::new("redis-check-rdb").arg(&dump).output().unwrap();
    let said = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert!(said.contains(&format!("[offset {}] Checksum OK", dump.metadata().unwrap().len())), "{said}");
    server.ask(&["FLUSHALL"]);
    server.ask(&["SET", "new", "one"]);
    server.ask(&["FUNCTION", "FLUSH"]);
    let first = server.process();
    let done = into(&larder);
    assert_eq!(done.code, Some(0), "{done:?}");
    assert_eq!(server.content(), stored);
    assert_ne!(server.process(), first);
    // It stays so through another start, and what was there before can come back too.
    server.ask(&["SET", "key 1", "later"]);
    let done = does(&larder, &["restore", "cache.before-restore@latest", "--into", "cache", "--yes"]);
    assert_eq!(done.code, Some(0), "{done:?}");
    assert_eq!((server.ask(&["GET", "new"]), server.ask(&["DBSIZE"])), ("one".to_owned(), "1".to_owned()));
}

#[test]
fn a_server_holds_what_was_stored_after_a_backup_under_load() {
    let server = Server::start("");
    there_and_back(&server, &socket(&server));
}

#[test]
fn an_append_only_file_says_what_was_stored_too() {
    let server = Server::start("appendonly yes");
    there_and_back(&server, &format!("host = \"127.0.0.1\"\nport = {}", server.port));
    assert!(server.ask(&["INFO", "persistence"]).contains("aof_enabled:1"));
}

#[test]
fn a_dump_from_the_disk_of_the_server_needs_few_rights() {
    let (server, larder) = (Server::start("repl-diskless-sync no"), Larder::new());
    server.fill();
    let rights = ["+ping", "+info", "+config|get", "+replconf", "+sync"];
    server.ask(&[&["ACL", "SETUSER", "keeper", "on", &format!(">{PASSWORD}")], &rights[..]].concat());
    configure(&larder, &format!("{}\nuser = \"keeper\"", socket(&server)), "");
    let ended = run(&larder);
    assert_eq!((ended.code, ended.json()["sources"][0]["verified"].as_bool()), (Some(0), Some(true)), "{ended:?}");
    warns_of_nothing(&ended);
}

#[test]
fn what_cannot_be_put_back_leaves_what_there_is() {
    let (server, larder) = (Server::start(""), Larder::new());
    server.fill();
    let stored = server.content();
    configure(&larder, &socket(&server), "");
    assert_eq!(run(&larder).code, Some(0));
    // No way is given.
    let done = into(&larder);
    assert!(done.code == Some(1) && done.err.contains("give the source `data_file`"), "{done:?}");
    let missing = format!("data_file = \"{}/dump.rdb\"", server.folder.path().display());
    configure(&larder, &socket(&server), &missing);
    let done = into(&larder);
    assert!(done.code == Some(2) && done.err.contains("needs the hooks stop and start"), "{done:?}");
    // A hook that stops nothing.
    configure(&larder, &socket(&server), &way_back(&server).replace("kill $(", "exit 0; $("));
    let process = server.process();
    let done = into(&larder);
    assert!(done.code == Some(1) && done.err.contains("the server is not down"), "{done:?}");
    assert_eq!((server.content(), server.process()), (stored.clone(), process));
    // What is no dump is seen before anything is replaced.
    configure(&larder, &socket(&server), &way_back(&server));
    let dump = larder.path("dump");
    fs::create_dir(&dump).unwrap();
    fs::write(dump.join("dump.rdb"), "REDIS0010 no dump").unwrap();
    larder.ok(&["backup", text(&dump), "--source", "cache"]);
    let done = into(&larder);
    assert!(done.code == Some(1) && done.err.contains("no whole dump of Redis"), "{done:?}");
    assert!(done.out.contains("cache is what it was before"), "{done:?}");
    assert_eq!(server.content(), stored);
}

/// A dump of a version that is to come: the server does not start with it, and gets back what it had.
#[test]
fn a_dump_that_the_server_refuses_is_taken_back() {
    let (server, larder) = (Server::start(""), Larder::new());
    server.fill();
    let stored = server.content();
    let here = server.folder.path().display().to_string();
    let more = way_back(&server).replace("start = \"", &format!("start = \": >{here}/log; "));
    let probe = format!(
        "until redis-cli -s {here}/s ping | grep -q NOAUTH; do \
         grep -q 'handle RDB format' {here}/log && exit 1; sleep 0.1; done"
    );
    configure(&larder, &socket(&server), &format!("{more}probe = \"{probe}\"\nlimit = \"2min\"\n"));
    let dump = larder.path("dump");
    fs::create_dir(&dump).unwrap();
    // Its version is 9999; without a checksum.
    fs::write(dump.join("dump.rdb"), b"REDIS9999\xff\0\0\0\0\0\0\0\0").unwrap();
    larder.ok(&["backup", text(&dump), "--source", "cache"]);
    let done = into(&larder);
    assert!(done.code == Some(1) && done.out.contains("cache is what it was before"), "{done:?}");
    assert_eq!(server.content(), stored);
}

#[test]
fn a_server_that_dies_in_the_middle_leaves_no_snapshot() {
    let (mut server, larder) = (Server::start(""), Larder::new());
    server.fill();
    // So slowly that it is under way for as long as this needs.
    server.ask(&["CONFIG", "SET", "rdb-key-save-delay", "20000"]);
    configure(&larder, &socket(&server), "");
    let error = thread::scope(|scope| {
        let running = scope.spawn(|| fails(&larder));
        while !server.ask(&["INFO", "persistence"]).contains("rdb_bgsave_in_progress:1") {
            thread::sleep(PAUSE);
        }
        server.first.kill().unwrap();
        running.join().unwrap()
    });
    assert!(error.contains("redis-cli failed"), "{error}");
}

/// Killed while the server is down, which then runs again with what it had.
#[test]
fn a_restore_that_is_killed_can_be_done_again() {
    let (server, larder) = (Server::start(""), Larder::new());
    server.fill();
    let stored = server.content();
    configure(&larder, &socket(&server), &way_back(&server));
    assert_eq!(run(&larder).code, Some(0));
    // The dump: it is read again when the server has been stopped.
    let dump = packs(&larder.path("repository")).remove(0);
    server.ask(&["FLUSHALL"]);
    server.ask(&["SET", "new", "one"]);
    let (changed, before) = (server.content(), server.process());
    let hold = Hold::new(&[dump]);
    let safety = larder.puts_back_and_is_killed("cache", || hold.is_met());
    drop(hold);
    while server.ask(&["PING"]) != "PONG" {
        thread::sleep(PAUSE);
    }
    assert!(server.process() != before && server.content() == changed);
    larder.puts("cache@latest", "cache");
    assert_eq!(server.content(), stored);
    larder.puts(&safety, "cache");
    assert_eq!(server.content(), changed);
    assert_eq!(run(&larder).code, Some(0));
    larder.ok(&["check", "--read-data"]);
}

#[test]
fn a_disk_without_room_leaves_the_server_what_it_had() {
    let disk = Disk::new(1 << 20);
    let place = disk.path().display().to_string();
    let (server, larder) = (Server::start(&format!("dir {place}\nrdbcompression no")), Larder::new());
    server.fill();
    server.script("0", "for n = 1, 9 do redis.call('SET', 'large ' .. n, string.rep('x', 50000)) end");
    let way = way_back(&server);
    let way = way.replace(&format!("{}/dump.rdb", server.folder.path().display()), &format!("{place}/dump.rdb"));
    configure(&larder, &socket(&server), &way);
    let (stored, ended) = (server.content(), run(&larder));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    server.ask(&["FLUSHALL"]);
    server.ask(&["SET", "new", "one"]);
    let changed = server.content();
    fs::write(disk.path().join("junk"), vec![1; 700_000]).unwrap();
    let done = into(&larder);
    assert!(done.code == Some(1) && done.err.contains("No space left on device"), "{done:?}");
    assert!(done.out.contains("cache is what it was before"), "{done:?}");
    assert_eq!(server.content(), changed);
    fs::remove_file(disk.path().join("junk")).unwrap();
    let done = into(&larder);
    assert_eq!((done.code, server.content()), (Some(0), stored), "{done:?}");
}

#[test]
fn doctor_knows_the_troubles_of_a_server() {
    let (server, larder) = (Server::start("appendonly yes\nappenddirname elsewhere"), Larder::new());
    let sees = |what: &str, hint: &str| {
        let seen = does(&larder, &["doctor", "cache"]);
        assert!(seen.code == Some(1) && seen.out.contains(what) && seen.out.contains(hint), "{seen:?}");
        assert!(!seen.out.contains(PASSWORD), "{seen:?}");
    };
    let here = socket(&server);
    configure(&larder, &here, &way_back(&server));
    sees("reads its append only file, and there is none beside", "versions before 7");
    configure(&larder, &here, &way_back(&server).replace("dump.rdb", "other.rdb"));
    sees("the server's file is called dump.rdb, not", "correct `data_file`");
    configure(&larder, &here, &way_back(&server).replace("/dump.rdb", "/no/dump.rdb"));
    sees("there is no folder for", "correct `data_file`");
    configure(&larder, &here, "");
    assert_eq!(does(&larder, &["doctor", "cache"]).code, Some(0));
    server.ask(&["ACL", "SETUSER", "low", "on", &format!(">{PASSWORD}"), "~*", "+get"]);
    configure(&larder, &format!("{here}\nuser = \"low\""), "");
    sees("the server answers: NOPERM", "let the user run ping");
    assert!(fails(&larder).contains("NOPERM"));
    configure(&larder, &here, "");
    fs::write(larder.path("secret"), "wrong\n").unwrap();
    sees("the server answers: NOAUTH", "check `user` and the password");
    assert!(fails(&larder).contains("WRONGPASS"));
    configure(&larder, &here, "container = \"no-such\"");
    sees("docker", "with docker ps");
    configure(&larder, &here, "");
    drop(server);
    sees("Could not connect", "check that the server runs");
    assert!(fails(&larder).contains("Could not connect"));
}
