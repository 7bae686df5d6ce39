//! A PostgreSQL in a container: dumped and put back by the client in there, and the volume that it keeps everything in.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::process::{Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::binary::{Done, Larder};
use crate::support::docker::Engine;
use crate::support::waiting::wait_for;

const PASSWORD: &str = "it's \"secret\"";
const IMAGE: &str = "larder/postgres";

/// Makes what is not there, and becomes the server.
const SERVER: &str = "[ -d /data/db ] || initdb -D /data/db -A scram-sha-256 -U app --pwfile=/data/password -E UTF8 \
                      --no-sync; exec postgres -D /data/db -c listen_addresses= -c unix_socket_directories=/data \
                      -c fsync=off";

/// A container with the PostgreSQL of this machine: an image of next to nothing, and the programs from outside.
fn start(engine: &Engine) {
    engine.import_shell_of_this_machine(IMAGE);
    let volume = engine.volume("pgdata", &[]);
    let user = uzers::get_user_by_name("postgres").expect("PostgreSQL is not installed: run scripts/test");
    fs::write(volume.join("password"), PASSWORD).unwrap();
    for path in [&volume, &volume.join("password")] {
        chown(path, Some(user.uid()), Some(user.primary_group_id())).unwrap();
    }
    let programs = super::postgres::programs();
    // What lies in the volume takes the place of the real one.
    let path = format!("PATH=/data:{}:/usr/bin:/bin", programs.display());
    let run = ["run", "--detach", "--name", "pg", "--network", "none", "--user", "postgres", "--env", &path];
    let mounts = ["--volume", "/usr:/usr:ro", "--volume", "pgdata:/data"];
    engine.ok(&[&run[..], &mounts, &[IMAGE, "sh", "-c", SERVER]].concat());
    wait_for_server(engine);
}

fn psql(engine: &Engine, database: &str, sql: &str) -> Output {
    let environment = format!("PGPASSWORD={PASSWORD}");
    let exec = ["exec", "--env", &environment, "pg", "psql", "-X", "-q", "-At", "-v", "ON_ERROR_STOP=1"];
    engine.docker(&[&exec[..], &["-h", "/data", "-U", "app", "-d", database, "-c", sql]].concat())
}

fn sql(engine: &Engine, database: &str, sql: &str) -> String {
    let output = psql(engine, database, sql);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn wait_for_server(engine: &Engine) {
    wait_for("the server answers", || psql(engine, "postgres", "SELECT 1").status.success());
}

fn content(engine: &Engine) -> String {
    sql(engine, "shop", "SELECT * FROM items ORDER BY id; SELECT count(*), sum(id) FROM items")
}

fn configured(larder: &Larder) {
    fs::write(larder.path("secret"), PASSWORD).unwrap();
    let (repository, secret) = (larder.path("repository"), larder.path("secret"));
    let text = format!(
        "[repository]\npath = \"{}\"\n[source.db]\nkind = \"postgres\"\ncontainer = \"pg\"\nhost = \"/data\"\n\
         user = \"app\"\npassword_file = \"{}\"\n\
         [source.volume]\nkind = \"docker_volume\"\nvolume = \"pgdata\"\nwhile_running = \"stop\"\n",
        repository.display(),
        secret.display()
    );
    fs::write(larder.path("larder.toml"), text).unwrap();
}

fn larder_with(engine: &Engine, larder: &Larder, words: &[&str]) -> Done {
    let config = larder.path("larder.toml").display().to_string();
    engine.larder(larder, &[words, &["--json", "--config", &config]].concat())
}

/// What is left of larder's in the container.
fn left(engine: &Engine) -> Vec<String> {
    let processes = engine.ok(&["top", "pg", "-o", "pid,stat,args"]);
    let ours = |line: &&str| ["larder", "pg_dump", "yes", "defunct"].iter().any(|word| line.contains(word));
    processes.lines().filter(ours).map(str::to_owned).collect()
}

/// Starts a run and ends it by a signal once something runs in the container.
fn end_once(engine: &Engine, larder: &Larder, signal: Signal, so: &dyn Fn() -> bool) {
    let config = larder.path("larder.toml").display().to_string();
    let mut command = engine.larder_command(larder, &["run", "db", "--config", &config]);
    let mut run = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_for("the dump begins", || {
        assert!(run.try_wait().unwrap().is_none(), "it ended by itself");
        so()
    });
    kill_process(Pid::from_child(&run), signal).unwrap();
    assert!(!run.wait().unwrap().success());
    wait_for("the dump ends", || left(engine).is_empty());
}

/// A real dump that waits for a lock with its transaction open, then one that prints for ever.
#[test]
fn a_dump_in_a_container_ends_with_a_larder_that_is_ended() {
    let (engine, larder) = (Engine::start(), Larder::new());
    start(&engine);
    sql(&engine, "postgres", "CREATE DATABASE shop");
    sql(&engine, "shop", "CREATE TABLE items (id int)");
    configured(&larder);
    let environment = format!("PGPASSWORD={PASSWORD}");
    let exec = ["exec", "--env", &environment, "pg", "psql", "-X", "-h", "/data", "-U", "app", "-d", "shop", "-c"];
    let mut locker = engine.command(&exec);
    let mut locking = locker
        .arg("BEGIN; LOCK items; SELECT pg_sleep(3600)")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let waiting = "FROM pg_stat_activity WHERE application_name = 'pg_dump' AND wait_event_type = 'Lock'";
    let waits = || sql(&engine, "postgres", &format!("SELECT count(*) {waiting}")) == "1\n";
    for signal in [Signal::KILL, Signal::TERM] {
        end_once(&engine, &larder, signal, &waits);
        wait_for("the session ends", || !waits());
    }
    sql(&engine, "postgres", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'BEGIN; LOCK%'");
    assert!(!locking.wait().unwrap().success());

    let program = engine.mountpoint("pgdata").join("pg_dump");
    fs::write(&program, "#!/bin/sh\nyes\n").unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    for signal in [Signal::KILL, Signal::TERM] {
        end_once(&engine, &larder, signal, &|| left(&engine).iter().any(|line| line.trim_end().ends_with(" yes")));
    }
    fs::remove_file(program).unwrap();
    let done = larder_with(&engine, &larder, &["run", "db"]);
    assert_eq!((done.code, done.json()["sources"][0]["warnings"].to_string().as_str()), (Some(0), "[]"), "{done:?}");
    assert_eq!(left(&engine), [""; 0]);
}

#[test]
fn a_container_without_a_shell_is_told() {
    let (engine, larder) = (Engine::start(), Larder::new());
    let root = engine.path("bare");
    fs::create_dir_all(root.join("bin")).unwrap();
    fs::copy("/bin/busybox", root.join("bin/sleep")).unwrap();
    engine.import(&root, "larder/bare");
    engine.ok(&["run", "--detach", "--name", "pg", "--network", "none", "larder/bare", "/bin/sleep", "600"]);
    configured(&larder);
    let trouble = larder_with(&engine, &larder, &["doctor", "db"]).json()["sources"][0]["troubles"][0].clone();
    let [what, hint] = ["what", "hint"].map(|key| trouble[key].as_str().unwrap_or_default());
    assert!(what.contains("has no `sh`") && hint.contains("has sh"), "{trouble}");
    let done = larder_with(&engine, &larder, &["run", "db"]);
    let said = done.json()["sources"][0]["errors"][0].to_string();
    assert!(done.code == Some(1) && said.contains("has no `sh`"), "{done:?}");
    // The dump itself says it, too.
    let text = fs::read_to_string(larder.path("larder.toml")).unwrap();
    fs::write(larder.path("larder.toml"), text.replace("container = ", "database = \"shop\"\ncontainer = ")).unwrap();
    let done = larder_with(&engine, &larder, &["run", "db"]);
    let said = done.json()["sources"][0]["errors"][0].to_string();
    assert!(done.code == Some(1) && said.contains("has no `sh`"), "{done:?}");
}

#[test]
fn a_server_in_a_container_comes_back_from_its_dump_and_from_its_volume() {
    let (engine, larder) = (Engine::start(), Larder::new());
    start(&engine);
    sql(&engine, "postgres", "CREATE DATABASE shop");
    sql(&engine, "postgres", "CREATE ROLE reader LOGIN");
    sql(&engine, "shop", "CREATE TABLE items (id int PRIMARY KEY, name text)");
    sql(&engine, "shop", "INSERT INTO items SELECT n, 'item ' || n FROM generate_series(1, 20000) n");
    let before = content(&engine);
    configured(&larder);
    let fine = larder_with(&engine, &larder, &["doctor"]);
    assert_eq!(fine.code, Some(0), "{fine:?}");
    // Written to meanwhile, in transactions that leave nothing.
    let script = "BEGIN; INSERT INTO items VALUES (-1, 'x'); SELECT pg_sleep(0.01); ROLLBACK; ".repeat(300);
    let environment = format!("PGPASSWORD={PASSWORD}");
    let exec = ["exec", "--env", &environment, "pg", "psql", "-X", "-h", "/data", "-U", "app", "-d", "shop", "-c"];
    let mut writer = engine.command(&exec);
    let mut writing = writer.arg(&script).stdout(Stdio::null()).spawn().unwrap();
    let done = larder_with(&engine, &larder, &["run", "db"]);
    assert_eq!((done.code, done.json()["sources"][0]["verified"].as_bool()), (Some(0), Some(true)), "{done:?}");
    writing.kill().unwrap();
    writing.wait().unwrap();

    sql(&engine, "shop", "DELETE FROM items WHERE id % 2 = 0; UPDATE items SET name = 'lost'");
    let came = larder_with(&engine, &larder, &["restore", "db@latest", "--into", "db", "--yes"]);
    assert_eq!((came.code, came.json()["restored"].as_bool()), (Some(0), Some(true)), "{came:?}");
    assert!(content(&engine) == before);
    assert_eq!(left(&engine), [""; 0]);

    let done = larder_with(&engine, &larder, &["run", "volume"]);
    assert_eq!(done.code, Some(0), "{done:?}");
    wait_for_server(&engine);
    sql(&engine, "shop", "DROP TABLE items");
    fs::remove_dir_all(engine.mountpoint("pgdata").join("db/global")).unwrap();
    let came = larder_with(&engine, &larder, &["restore", "volume@latest", "--into", "volume", "--yes"]);
    assert_eq!((came.code, came.json()["restored"].as_bool()), (Some(0), Some(true)), "{came:?}");
    wait_for_server(&engine);
    assert!(content(&engine) == before);

    engine.ok(&["stop", "pg"]);
    let done = larder_with(&engine, &larder, &["run", "db"]);
    let said = done.json()["sources"][0]["errors"][0].as_str().unwrap().to_owned();
    assert!(done.code == Some(1) && said.contains("is not running") && !done.out.contains(PASSWORD), "{done:?}");
    let trouble = larder_with(&engine, &larder, &["doctor", "db"]).json()["sources"][0]["troubles"][0].clone();
    assert!(trouble["hint"].as_str().unwrap().contains("docker ps"), "{trouble}");
}
