//! Drills against real servers: loaded somewhere else, asked, thrown away; and what they are of stays as it is.

mod faults;
mod kinds;
mod ordinary;

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::{mariadb, postgres, redis};
use crate::support::binary::{Done, Larder};
use crate::support::waiting::wait_for;

/// Adds lines to a configuration, and a place for drills.
fn add(larder: &Larder, more: &str) {
    let mut file = OpenOptions::new().append(true).open(larder.path("larder.toml")).unwrap();
    // The user of a PostgreSQL server must be able to get there.
    Command::new("chmod").arg("711").arg(larder.folder.path()).status().unwrap();
    let place = larder.path("place").display().to_string();
    fs::create_dir_all(&place).unwrap();
    write!(file, "[drill]\ndirectory = \"{place}\"\n{more}\n").unwrap();
}

fn drill(larder: &Larder) -> Done {
    larder.configured(&["drill", "--json"])
}

fn of(done: &Done, source: &str) -> Value {
    let drills = done.json();
    drills.as_array().unwrap().iter().find(|one| one["source"] == source).unwrap().clone()
}

/// The newest snapshot of a source is proven, and nothing of the drill is left. Where it was restored, in words.
pub fn proves(larder: &Larder, source: &str) -> String {
    let (place, configuration) = (larder.path("drills"), larder.path("larder.toml").display().to_string());
    fs::create_dir_all(&place).unwrap();
    let arguments = ["drill", source, "--json", "--config", &configuration];
    let done = Done::of(larder.command(&arguments).env("TMPDIR", &place).output().unwrap(), &arguments);
    let drilled = of(&done, source);
    assert_eq!((done.code, drilled["verdict"].as_str()), (Some(0), Some("proven")), "{done:?}");
    assert_eq!((fs::read_dir(&place).unwrap().count(), running_in(&place)), (0, vec![]), "{done:?}");
    drilled["place"].as_str().unwrap().to_owned()
}

/// Nothing is left, and nothing runs there.
#[track_caller]
fn nothing_is_left(larder: &Larder) {
    let place = larder.path("place");
    let left = Command::new("find").arg(&place).args(["-mindepth", "1"]).output().unwrap();
    assert_eq!((String::from_utf8_lossy(&left.stdout).as_ref(), running_in(&place)), ("", vec![]));
}

/// What runs in a folder: numbers of processes, and their titles.
fn running_in(place: &Path) -> Vec<(String, String)> {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let there = processes.filter(|one| fs::read_link(one.path().join("cwd")).is_ok_and(|cwd| cwd.starts_with(place)));
    let titled = there.map(|one| {
        let title = fs::read(one.path().join("cmdline")).unwrap_or_default();
        (one.file_name().to_string_lossy().into_owned(), String::from_utf8_lossy(&title).replace('\0', " "))
    });
    titled.collect()
}

/// Kills a drill of `db` in the middle of a check, which waits.
fn kill_in_a_check(larder: &Larder) {
    let configuration = larder.path("larder.toml").display().to_string();
    let mut child = larder.spawn(&["drill", "db", "--config", &configuration]);
    wait_for("the check", || larder.path("waits").exists());
    fs::remove_file(larder.path("waits")).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    wait_for("nothing runs any more", || running_in(&larder.path("place")).is_empty());
}

fn waiting(larder: &Larder) -> String {
    let here = larder.folder.path().display();
    format!("{{ command = \"[ -e {here}/go ] || {{ touch {here}/waits; sleep 600; }}\" }}")
}

fn shop(server: &postgres::Server) {
    server.sql("postgres", "CREATE ROLE \"the clerk\"; CREATE ROLE reader");
    server.sql("postgres", "CREATE DATABASE shop");
    server
        .sql("shop", "CREATE TABLE items (id serial PRIMARY KEY, name text); ALTER TABLE items OWNER TO \"the clerk\"");
    server.sql(
        "shop",
        "GRANT SELECT ON items TO reader; INSERT INTO items (name) SELECT n FROM generate_series(1, 5000) n",
    );
    // What belongs to superusers alone, and a subscription, which keeps its database from being dropped.
    server.sql("postgres", "CREATE ROLE boss SUPERUSER");
    server.sql(
        "shop",
        "CREATE FUNCTION watch() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'; \
         CREATE EVENT TRIGGER watched ON ddl_command_end EXECUTE FUNCTION watch(); ALTER EVENT TRIGGER watched OWNER TO boss",
    );
    server.sql(
        "shop",
        "CREATE SUBSCRIPTION \"the news\" CONNECTION 'host=/nowhere dbname=x' PUBLICATION p WITH (connect = false, slot_name = 'live')",
    );
}

/// Into a server of its own, which has no roles, and into the service.
#[test]
fn dumps_of_postgresql_are_loaded_elsewhere_and_asked() {
    let (server, larder) = (postgres::Server::start(), Larder::new());
    shop(&server);
    let configure = |place: &str, more: &str| {
        postgres::configure(&larder, &server, "database = \"shop\"");
        add(
            &larder,
            &format!(
                "[source.db.drill]\nplace = \"{place}\"\nchecks = [{{ sql = \"select count(*) from items\", expect = \"5000\" }}, \
                 {{ sql = \"select id, name from items where id = 7\", expect = \"7|7\" }}, \
                 {{ command = \"test $(psql -Atc 'select max(id) from items') = 5000\" }}, \
                 {{ file = \"shop.sql\", min_bytes = 1000 }}{more}]"
            ),
        );
    };
    configure("local", "");
    assert_eq!(postgres::run(&larder).code, Some(0));
    // What is there now is another matter.
    server.sql("shop", "DELETE FROM items");
    for (place, words) in [("local", "a PostgreSQL "), ("service", "a database of its own in the service")] {
        configure(place, "");
        let done = drill(&larder);
        let drilled = of(&done, "db");
        assert_eq!((done.code, drilled["verdict"].as_str()), (Some(0), Some("proven")), "{done:?}");
        assert!(drilled["place"].as_str().unwrap().starts_with(words), "{drilled}");
        assert_eq!(
            (server.databases(), server.sql("shop", "SELECT count(*) FROM items").trim()),
            (vec!["postgres".to_owned(), "shop".to_owned()], "0")
        );
        nothing_is_left(&larder);
        // A query cannot change anything.
        configure(place, ", { sql = \"delete from items returning 1\", min = 1 }");
        let done = drill(&larder);
        assert!(done.code == Some(1) && done.err.contains("read-only transaction"), "{done:?}");
        nothing_is_left(&larder);
    }
    // All databases, with their roles.
    postgres::configure(&larder, &server, "");
    add(
        &larder,
        "[source.db.drill]\nchecks = [{ sql = \"select 1\", expect = \"1\" }, \
        { sql = \"select pg_get_userbyid(relowner) from pg_class where relname = 'items'\", database = \"shop\", expect = \"the clerk\" }]",
    );
    assert_eq!(postgres::run(&larder).code, Some(0));
    let done = drill(&larder);
    assert!(done.code == Some(1) && done.err.contains("give `database`: there are postgres, shop"), "{done:?}");
    assert_eq!(done.err.matches("check:").count(), 1, "{done:?}");
}

#[test]
fn a_dump_that_cannot_be_loaded_fails_and_a_killed_drill_leaves_nothing() {
    let (server, larder) = (postgres::Server::start(), Larder::new());
    shop(&server);
    postgres::configure(&larder, &server, "database = \"shop\"");
    assert_eq!(postgres::run(&larder).code, Some(0));
    for place in ["local", "service"] {
        postgres::configure(&larder, &server, "database = \"shop\"");
        add(&larder, &format!("[source.db.drill]\nplace = \"{place}\"\nchecks = [{}]", waiting(&larder)));
        kill_in_a_check(&larder);
        // While a database of a drill is there, it is none to be backed up.
        if place == "service" {
            assert!(
                server.databases().iter().any(|name| name.starts_with("larder_drill_")),
                "{:?}",
                server.databases()
            );
        }
        fs::write(larder.path("go"), "").unwrap();
        let done = drill(&larder);
        assert_eq!(done.code, Some(0), "{done:?}");
        assert_eq!(server.databases(), ["postgres", "shop"]);
        nothing_is_left(&larder);
        fs::remove_file(larder.path("go")).unwrap();
    }
    let dump = larder.path("shop.sql");
    fs::write(&dump, "CREATE TABLE items (id int);\nSELECT no_such_function();\n").unwrap();
    larder.ok(&["backup", postgres::text(&dump), "--source", "db"]);
    for place in ["local", "service"] {
        postgres::configure(&larder, &server, "database = \"shop\"");
        add(&larder, &format!("[source.db.drill]\nplace = \"{place}\""));
        let done = drill(&larder);
        assert!(done.code == Some(1) && done.err.contains("no_such_function"), "{done:?}");
        assert_eq!((of(&done, "db")["verdict"].as_str(), server.databases().len()), (Some("failed"), 2), "{done:?}");
        nothing_is_left(&larder);
    }
    // A service that is down is no verdict.
    drop(server);
    let done = drill(&larder);
    assert_eq!((done.code, of(&done, "db")["verdict"].as_str()), (Some(1), Some("untried")), "{done:?}");
}

#[test]
fn dumps_of_mariadb_are_loaded_into_a_database_that_goes_again() {
    let (server, larder) = (mariadb::Server::start(), Larder::new());
    server.sql("", "CREATE DATABASE `my shop`; CREATE TABLE `my shop`.items AS SELECT seq AS id FROM (SELECT 1 AS seq UNION SELECT 2) s");
    let configure = |checks: &str| {
        mariadb::configure(&larder, &server, "");
        add(&larder, &format!("[source.db.drill]\nchecks = [{checks}]"));
    };
    let good = "{ sql = \"select count(*), max(id) from items\", expect = \"2|2\" }";
    configure(good);
    assert_eq!(mariadb::run(&larder).code, Some(0));
    server.sql("my shop", "DELETE FROM items");
    let done = drill(&larder);
    assert_eq!((done.code, of(&done, "db")["verdict"].as_str()), (Some(0), Some("proven")), "{done:?}");
    assert_eq!(
        (server.databases(), server.sql("my shop", "SELECT count(*) FROM items").trim()),
        (vec!["my shop".to_owned()], "0")
    );
    configure("{ sql = \"delete from items\", min = 0 }, { sql = \"drop table items\", min = 0 }");
    let done = drill(&larder);
    assert_eq!((done.code, done.err.matches("READ ONLY").count()), (Some(1), 2), "{done:?}");
    configure(&waiting(&larder));
    kill_in_a_check(&larder);
    assert_eq!(server.databases().len(), 2);
    // What is there of a drill is not backed up, and the next drill takes it away, of whatever source.
    let report = mariadb::run(&larder).json();
    assert!(report["sources"][0]["files"].as_u64() == Some(3), "{report}");
    let done = larder.configured(&["drill", "other"]);
    assert_eq!((done.code, server.databases().len()), (Some(0), 1), "{done:?}");
    nothing_is_left(&larder);
}

#[test]
fn a_dump_of_redis_is_loaded_by_a_server_of_its_own() {
    let (server, larder) = (redis::Server::start(""), Larder::new());
    server.fill();
    redis::configure(&larder, &redis::socket(&server), "");
    add(
        &larder,
        "[source.cache.drill]\nchecks = [{ command = \"test $(redis-cli -s $LARDER_REDIS_SOCKET get 'key 77') = 'value 77' || \
         redis-cli -s $LARDER_REDIS_SOCKET get 'key 77' | grep -x 'value 77'\" }]",
    );
    assert_eq!(redis::run(&larder).code, Some(0));
    server.ask(&["FLUSHALL"]);
    let done = drill(&larder);
    let drilled = of(&done, "cache");
    assert_eq!((done.code, drilled["verdict"].as_str()), (Some(0), Some("proven")), "{done:?}");
    assert!(drilled["place"].as_str().unwrap().contains("a Redis of its own, 50"), "{drilled}");
    assert_eq!(server.ask(&["DBSIZE"]), "0");
    nothing_is_left(&larder);
    // Of a version that is to come, without a checksum.
    let dump = larder.path("dump");
    fs::create_dir(&dump).unwrap();
    fs::write(dump.join("dump.rdb"), b"REDIS9999\xff\0\0\0\0\0\0\0\0").unwrap();
    larder.ok(&["backup", postgres::text(&dump), "--source", "cache"]);
    let done = drill(&larder);
    assert!(done.code == Some(1) && done.err.contains("Can't handle RDB format version"), "{done:?}");
    // That says something of the Redis here.
    assert_eq!(of(&done, "cache")["verdict"], "untried", "{done:?}");
    nothing_is_left(&larder);
}
