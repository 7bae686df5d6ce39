//! A real PostgreSQL: backed up while it is written to, restored into a new database, compared row by row.

use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::support::binary::{Done, Larder};

const PASSWORD: &str = "it's \"secret\"";

/// A server that listens on a socket only.
pub struct Server {
    folder: TempDir,
    programs: PathBuf,
}

/// The newest installed version; `scripts/test` installs one.
fn programs() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").expect("PostgreSQL is not installed: run scripts/test");
    let mut folders: Vec<PathBuf> = versions.map(|entry| entry.unwrap().path().join("bin")).collect();
    folders.retain(|folder| folder.join("initdb").exists());
    folders.sort();
    folders.pop().expect("no version of PostgreSQL has a server: run scripts/test")
}

impl Server {
    pub fn start() -> Self {
        // Short: the path of a socket may have 107 bytes.
        let server =
            Self { folder: tempfile::Builder::new().prefix("pg").tempdir_in("/tmp").unwrap(), programs: programs() };
        fs::write(server.path("password"), PASSWORD).unwrap();
        let user = uzers::get_user_by_name("postgres").expect("PostgreSQL's packages make this user");
        for path in [server.folder.path(), &server.path("password")] {
            chown(path, Some(user.uid()), Some(user.primary_group_id())).unwrap();
        }
        let text = |name: &str| server.path(name).display().to_string();
        let (data, password) = (text("data"), format!("--pwfile={}", text("password")));
        server.as_postgres(
            "initdb",
            &["-D", &data, "-A", "scram-sha-256", "-U", "app", &password, "-E", "UTF8", "--no-sync"],
        );
        let options =
            format!("-c listen_addresses= -c unix_socket_directories={} -c fsync=off", server.folder.path().display());
        server.as_postgres("pg_ctl", &["-D", &data, "-l", &text("log"), "-w", "-o", &options, "start"]);
        server
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn as_postgres(&self, program: &str, arguments: &[&str]) {
        let program = self.programs.join(program);
        let status =
            Command::new("runuser").args(["-u", "postgres", "--"]).arg(program).args(arguments).output().unwrap();
        assert!(status.status.success(), "{status:?}");
    }

    /// Runs SQL, and says what comes of it.
    pub fn sql(&self, database: &str, sql: &str) -> String {
        let output = self.psql(database).args(["-c", sql]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    pub fn psql(&self, database: &str) -> Command {
        let mut command = Command::new("psql");
        command.args(["-X", "-q", "-At", "-v", "ON_ERROR_STOP=1", "-U", "app", "-d", database]);
        command.arg("-h").arg(self.folder.path()).env("PGPASSWORD", PASSWORD);
        command
    }

    /// What a database holds, as a text to compare.
    fn content(&self, database: &str) -> String {
        self.sql(database, "SELECT * FROM items ORDER BY id; SELECT count(*), sum(id) FROM items")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let data = self.path("data").display().to_string();
        self.as_postgres("pg_ctl", &["-D", &data, "-m", "immediate", "-w", "stop"]);
    }
}

/// A configuration with the server as a source.
pub fn configure(larder: &Larder, server: &Server, more: &str) {
    fs::write(larder.path("secret"), format!("{PASSWORD}\n")).unwrap();
    let (host, secret) = (server.folder.path().display(), larder.path("secret").display().to_string());
    let text = format!(
        "[repository]\npath = \"{}\"\n[source.db]\nkind = \"postgres\"\nhost = \"{host}\"\nuser = \"app\"\n\
         password_file = \"{secret}\"\n{more}\n",
        larder.path("repository").display()
    );
    fs::write(larder.path("larder.toml"), text).unwrap();
}

pub fn run(larder: &Larder) -> Done {
    larder.run(&["run", "--json", "--config", text(&larder.path("larder.toml"))])
}

pub fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn restore(larder: &Larder, server: &Server, file: &str, database: &str) -> Output {
    let out = larder.path("out.sql");
    larder.ok(&["restore", "db@latest", "--to", text(&larder.path("out")), "--existing", "replace"]);
    fs::rename(larder.path("out").join(file), &out).unwrap();
    server.psql(database).arg("-f").arg(&out).output().unwrap()
}

#[test]
fn databases_come_back_row_by_row_after_a_backup_under_load() {
    let (server, larder) = (Server::start(), Larder::new());
    server.sql("postgres", "CREATE DATABASE \"it's a shop\"");
    server.sql("postgres", "CREATE ROLE reader LOGIN");
    server.sql("it's a shop", "CREATE TABLE items (id int PRIMARY KEY, name text, data bytea)");
    server.sql(
        "it's a shop",
        "INSERT INTO items SELECT n, 'item ' || n, sha256(n::text::bytea) FROM generate_series(1, 20000) n",
    );
    let before = server.content("it's a shop");
    configure(&larder, &server, "");
    // Written to meanwhile, in transactions that keep the sum as it was.
    let mut writer = server.psql("it's a shop");
    let script = "BEGIN; INSERT INTO items VALUES (-1, 'x', ''); SELECT pg_sleep(0.01); ROLLBACK; ";
    let mut writing = writer.args(["-c", &script.repeat(200)]).spawn().unwrap();
    let ended = run(&larder);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    writing.kill().unwrap();
    writing.wait().unwrap();
    let report = ended.json();
    assert_eq!(
        (report["sources"][0]["verified"].as_bool(), report["sources"][0]["files"].as_u64()),
        // Two databases, each with the list of its entries, and the globals.
        (Some(true), Some(5))
    );
    server.sql("postgres", "CREATE DATABASE back");
    let restored = restore(&larder, &server, "it's a shop.sql", "back");
    assert!(restored.status.success(), "{restored:?}");
    assert_eq!(server.content("back"), before);
    let globals = larder.ok(&["cat", "db@latest:globals.sql"]);
    assert!(globals.out.contains("CREATE ROLE reader"), "{}", globals.out);
}

#[test]
fn a_server_that_does_not_do_what_it_should_leaves_no_snapshot() {
    let (server, larder) = (Server::start(), Larder::new());
    server.sql("postgres", "CREATE DATABASE shop");
    server.sql("shop", "CREATE TABLE items (id int); CREATE ROLE guest LOGIN PASSWORD 'guest'");
    let none = |more: &str, said: &str| {
        configure(&larder, &server, more);
        let ended = run(&larder);
        let report = ended.json();
        let error = report["sources"][0]["errors"][0].as_str().unwrap().to_owned();
        assert_eq!((ended.code, report["sources"][0]["snapshot"].is_null()), (Some(1), true), "{ended:?}");
        assert!(error.contains(said) && !ended.out.contains(PASSWORD) && !ended.err.contains(PASSWORD), "{ended:?}");
    };
    none("database = \"nothing\"", "database \"nothing\" does not exist");
    none("databases = [\"shop\", \"nothing\"]", "database \"nothing\" does not exist");
    none("port = 5", "No such file or directory");
    fs::write(larder.path("wrong"), "wrong").unwrap();
    none("options = [\"--no-such-option\"]", "pg_dump");
    let text = fs::read_to_string(larder.path("larder.toml")).unwrap().replace("/secret\"", "/wrong\"");
    fs::write(larder.path("larder.toml"), text).unwrap();
    let report = run(&larder).json();
    assert!(report["sources"][0]["errors"][0].as_str().unwrap().contains("password authentication failed"), "{report}");
    assert_eq!(larder.ok(&["snapshots", "--json"]).json().as_array().unwrap().len(), 0);
}

#[test]
fn a_dump_that_is_cut_off_leaves_no_snapshot() {
    let (server, larder) = (Server::start(), Larder::new());
    server.sql("postgres", "CREATE DATABASE shop");
    server.sql("shop", "CREATE TABLE items (id int, text text); INSERT INTO items SELECT n, repeat('x', 1000) FROM generate_series(1, 50000) n");
    configure(&larder, &server, "database = \"shop\"\noptions = [\"--lock-wait-timeout=60000\"]");
    // Held, so that the dump is under way for as long as this needs.
    let mut holder = server.psql("shop");
    let lock = "BEGIN; LOCK TABLE items; SELECT pg_sleep(600)";
    let mut holding = holder.args(["-c", lock]).spawn().unwrap();
    while server.sql("shop", "SELECT count(*) FROM pg_locks WHERE relation = 'items'::regclass").trim() == "0" {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let ended = std::thread::scope(|scope| {
        let running = scope.spawn(|| run(&larder));
        while server.sql("postgres", "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pg_dump'").trim()
            == "0"
        {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        server.sql(
            "postgres",
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'pg_dump'",
        );
        running.join().unwrap()
    });
    holding.kill().unwrap();
    holding.wait().unwrap();
    assert_eq!((ended.code, ended.json()["sources"][0]["snapshot"].is_null()), (Some(1), true), "{ended:?}");
    assert_eq!(larder.ok(&["snapshots", "--json"]).json().as_array().unwrap().len(), 0);
}
