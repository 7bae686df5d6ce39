//! What goes wrong in the middle of a drill is no fault of the snapshot, leaves nothing, and does not last.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use super::{add, drill, mariadb, nothing_is_left, of, postgres, redis, running_in};
use crate::support::binary::{Done, Larder};
use crate::support::disk::Disk;
use crate::support::waiting::wait_for;

/// A table, and whatever comes then.
fn dump(larder: &Larder, more: &str) {
    let text = format!("CREATE TABLE items (id int);\nINSERT INTO items VALUES (1);\n{more}\n");
    larder.ok(&["backup", &larder.file("shop.sql", &text), "--source", "db"]);
}

/// A drill of one source, under way.
fn begun(larder: &Larder, source: &str) -> Child {
    let configuration = larder.path("larder.toml").display().to_string();
    let mut command = larder.command(&["drill", source, "--json", "--config", &configuration]);
    // Where a test may have put programs.
    command.env("PATH", format!("{}:/usr/bin:/bin", larder.path("programs").display()));
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn ended(child: Child, source: &str) -> Value {
    let done = Done::of(child.wait_with_output().unwrap(), &["drill"]);
    assert_eq!(done.code, Some(1), "{done:?}");
    of(&done, source)
}

fn untried(drilled: &Value, said: &str) {
    assert_eq!(drilled["verdict"], "untried", "{drilled}");
    assert!(drilled["errors"][0].as_str().unwrap().contains(said), "{said}: {drilled}");
}

/// The process in the place whose title has this in it, once there is one.
fn process(place: &Path, title: &str) -> String {
    let mut found = None;
    wait_for(title, || {
        found = running_in(place).into_iter().find(|(_, its)| its.contains(title)).map(|(number, _)| number);
        found.is_some()
    });
    found.unwrap()
}

fn kill(signal: &str, process: &str) {
    assert!(Command::new("kill").args(["-s", signal, process]).status().unwrap().success());
}

/// The server, the process that serves the load, or larder itself: whoever is killed while a dump is loaded.
#[test]
fn who_dies_while_a_dump_of_postgresql_is_loaded() {
    let (server, larder) = (postgres::Server::start(), Larder::new());
    postgres::configure(&larder, &server, "database = \"shop\"");
    add(&larder, "[source.db.drill]\nchecks = [{ sql = \"select id from items\", expect = \"1\" }]\n");
    // The title of the process that serves the load: nothing else that is asked begins so.
    let (place, loading) = (larder.path("place"), "] DO");
    dump(&larder, "DO $$ BEGIN PERFORM pg_sleep(600); END $$;");
    for victim in ["/postgres -D", loading] {
        let child = begun(&larder, "db");
        process(&place, loading);
        kill("KILL", &process(&place, victim));
        untried(&ended(child, "db"), "the dump cannot be loaded");
        nothing_is_left(&larder);
    }
    for signal in ["INT", "TERM", "KILL"] {
        let mut child = begun(&larder, "db");
        process(&place, loading);
        kill(signal, &child.id().to_string());
        assert!(!child.wait().unwrap().success());
        wait_for("nothing runs any more", || running_in(&place).is_empty());
    }
    // None of it was the snapshot's fault.
    let listed = larder.ok(&["snapshots", "--source", "db", "--json"]).json();
    assert_eq!(listed[0]["state"], "stored", "{listed}");
    // Nor is what this server lacks.
    dump(&larder, "CREATE EXTENSION nowhere;");
    untried(&of(&drill(&larder), "db"), "\"nowhere\" is not available");
    dump(&larder, "");
    let done = drill(&larder);
    assert_eq!(of(&done, "db")["verdict"], "proven", "{done:?}");
    nothing_is_left(&larder);
    assert_eq!(server.databases(), ["postgres"]);
}

#[test]
fn who_dies_while_a_dump_of_mariadb_is_loaded() {
    let (mut server, larder) = (mariadb::Server::start(), Larder::new());
    server.sql("", "CREATE DATABASE shop; CREATE TABLE shop.items AS SELECT 1 AS id");
    mariadb::configure(&larder, &server, "");
    add(&larder, "[source.db.drill]\nchecks = [{ sql = \"select id from items\", expect = \"1\" }]\n");
    assert_eq!(mariadb::run(&larder).code, Some(0));
    let stored = larder.path("stored");
    let backed_up = |slow: &str| {
        let good = larder.path("good.sql");
        if !good.exists() {
            larder.ok(&["restore", "db@latest", "--to", stored.to_str().unwrap()]);
            fs::copy(stored.join("shop.sql"), &good).unwrap();
        }
        fs::write(stored.join("shop.sql"), fs::read_to_string(&good).unwrap() + slow).unwrap();
        larder.ok(&["backup", stored.to_str().unwrap(), "--source", "db"]);
    };
    let loading = "SELECT id FROM information_schema.processlist WHERE info LIKE 'SELECT SLEEP(600)'";
    backed_up("SELECT SLEEP(600);\n");
    let child = begun(&larder, "db");
    server.until(loading);
    server.sql("", &format!("KILL {}", server.sql("", loading).trim()));
    untried(&ended(child, "db"), "the dump cannot be loaded");
    nothing_is_left(&larder);
    assert_eq!(server.databases(), ["shop"]);
    for signal in ["TERM", "KILL"] {
        let mut child = begun(&larder, "db");
        server.until(loading);
        kill(signal, &child.id().to_string());
        assert!(!child.wait().unwrap().success());
        wait_for("nothing runs any more", || running_in(&larder.path("place")).is_empty());
        // The server notices later that nobody listens.
        let serving = server.sql("", loading);
        serving.lines().for_each(|number| drop(server.sql("", &format!("KILL {number}"))));
    }
    backed_up("");
    assert_eq!(of(&drill(&larder), "db")["verdict"], "proven");
    assert_eq!(server.databases(), ["shop"]);
    backed_up("SELECT SLEEP(600);\n");
    let child = begun(&larder, "db");
    server.until(loading);
    server.kill();
    untried(&ended(child, "db"), "the server does not answer any more");
    nothing_is_left(&larder);
}

#[test]
fn who_dies_while_a_dump_of_redis_is_loaded() {
    let (server, larder) = (redis::Server::start(""), Larder::new());
    server.fill();
    redis::configure(&larder, &redis::socket(&server), "");
    add(&larder, "");
    assert_eq!(redis::run(&larder).code, Some(0));
    // The real one, that takes its time: 20 ms for each of 5000 keys.
    let program = larder.path("programs").join("redis-server");
    fs::create_dir(program.parent().unwrap()).unwrap();
    fs::write(&program, "#!/bin/sh\nexec /usr/bin/redis-server \"$@\" --key-load-delay 20000\n").unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let place = larder.path("place");
    let loads = || {
        let server = process(&place, "redis-server ");
        // It listens before it loads.
        let socket = || fs::read_dir(&place).unwrap().flatten().any(|one| has_socket(&one.path()));
        wait_for("it listens", socket);
        thread::sleep(Duration::from_millis(200));
        server
    };
    let child = begun(&larder, "cache");
    kill("KILL", &loads());
    untried(&ended(child, "cache"), "redis-server does not load the dump");
    nothing_is_left(&larder);
    for signal in ["TERM", "KILL"] {
        let mut child = begun(&larder, "cache");
        loads();
        kill(signal, &child.id().to_string());
        assert!(!child.wait().unwrap().success());
        wait_for("nothing runs any more", || running_in(&place).is_empty());
    }
    fs::remove_file(&program).unwrap();
    let done = drill(&larder);
    assert_eq!(of(&done, "cache")["verdict"], "proven", "{done:?}");
    nothing_is_left(&larder);
}

/// Whether there is a socket in a folder, at any depth.
fn has_socket(folder: &Path) -> bool {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.into_iter().any(|one| match one.file_type() {
        Ok(kind) if kind.is_dir() => has_socket(&one.path()),
        Ok(_) => one.file_name() == "s",
        Err(_) => false,
    })
}

/// Larger than anybody could tell beforehand: a dump of few bytes fills the disk.
#[test]
fn a_disk_that_fills_while_a_dump_is_loaded_is_no_fault_of_the_dump() {
    let disk = Disk::new(160 << 20);
    let larder = Larder::new();
    larder.configure("[source.db]\nkind = \"postgres\"\nhost = \"/nowhere\"\ndatabase = \"shop\"\n");
    add(&larder, "[source.db.drill]\nchecks = [{ sql = \"select id from items\", expect = \"1\" }]\n");
    let text = fs::read_to_string(larder.path("larder.toml")).unwrap();
    let place = larder.path("place").display().to_string();
    fs::write(larder.path("larder.toml"), text.replace(&place, &disk.path().display().to_string())).unwrap();
    fs::set_permissions(disk.path(), fs::Permissions::from_mode(0o711)).unwrap();
    dump(&larder, "CREATE TABLE long AS SELECT repeat(md5(n::text), 60) FROM generate_series(1, 1000000) n;");
    untried(&of(&drill(&larder), "db"), "53100: could not extend file");
    assert_eq!((fs::read_dir(disk.path()).unwrap().count(), running_in(disk.path())), (0, vec![]));
    dump(&larder, "");
    let done = drill(&larder);
    assert_eq!(of(&done, "db")["verdict"], "proven", "{done:?}");
    assert_eq!(fs::read_dir(disk.path()).unwrap().count(), 0);
}

/// It takes no notice of being asked to end, and what it started has left its group.
#[test]
fn a_check_that_hangs_fails_and_is_ended_with_all_that_it_started() {
    let larder = Larder::new();
    let here = larder.folder.path().display().to_string();
    larder.configure(&format!(
        "[source.files]\nkind = \"command\"\ncommand = \"echo fine\"\nfile = \"x\"\n[source.files.drill]\n\
         checks = [{{ command = \"trap '' TERM; setsid sh -c 'trap \\\"\\\" TERM; touch {here}/hangs; sleep 600; sleep 600' & \
         sleep 600; sleep 600\", timeout = \"1s\" }}]\n"
    ));
    add(&larder, "");
    larder.backs_up();
    let done = drill(&larder);
    let drilled = of(&done, "files");
    assert_eq!(drilled["verdict"], "failed", "{done:?}");
    assert!(drilled["errors"][0].as_str().unwrap().contains("took longer than 1 seconds"), "{drilled}");
    assert!(larder.path("hangs").exists());
    nothing_is_left(&larder);
}
