//! A real PostgreSQL: backed up while it is written to, restored into a new database, compared row by row.

use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

use crate::support::binary::{Done, Larder};
use crate::support::damage_repo::scratch;
use crate::support::disk::Disk;

pub const PASSWORD: &str = "it's \"secret\"";

/// A server that listens on a socket only.
pub struct Server {
    folder: TempDir,
    programs: PathBuf,
}

/// The newest installed version; `scripts/test` installs one.
pub fn programs() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").expect("PostgreSQL is not installed: run scripts/test");
    let mut folders: Vec<PathBuf> = versions.map(|entry| entry.unwrap().path().join("bin")).collect();
    folders.retain(|folder| folder.join("initdb").exists());
    folders.sort();
    folders.pop().expect("no version of PostgreSQL has a server: run scripts/test")
}

impl Server {
    pub fn start() -> Self {
        Self::start_after(|_| {})
    }

    /// The same; something is done with the folder of its data before.
    fn start_after(prepare: impl FnOnce(&Path)) -> Self {
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
        prepare(&server.path("data"));
        let options =
            format!("-c listen_addresses= -c unix_socket_directories={} -c fsync=off", server.folder.path().display());
        server.as_postgres("pg_ctl", &["-D", &data, "-l", &text("log"), "-w", "-o", &options, "start"]);
        server
    }

    /// The folder of its socket, which stands for a host.
    pub fn host(&self) -> String {
        self.folder.path().display().to_string()
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

    /// The databases but for the templates.
    pub fn databases(&self) -> Vec<String> {
        let names = self.sql("postgres", "SELECT datname FROM pg_database WHERE NOT datistemplate ORDER BY 1");
        names.lines().map(str::to_owned).collect()
    }

    /// What a database holds, as a text to compare.
    pub fn content(&self, database: &str) -> String {
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
    let (host, secret) = (server.host(), larder.path("secret").display().to_string());
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
fn a_server_that_dies_in_the_middle_of_a_dump_leaves_no_snapshot() {
    let (server, larder) = (Server::start(), Larder::new());
    server.sql("postgres", "CREATE DATABASE shop");
    server.sql("shop", "CREATE TABLE items (id int, text text); INSERT INTO items SELECT n, repeat('x', 1000) FROM generate_series(1, 50000) n");
    let other = "[source.other]\nkind = \"command\"\ncommand = \"echo fine\"\nfile = \"x\"";
    let more = format!("database = \"shop\"\noptions = [\"--lock-wait-timeout=60000\"]\n{other}");
    configure(&larder, &server, &more);
    // Held, so that the dump is under way for as long as this needs.
    let mut holder = server.psql("shop");
    let lock = "BEGIN; LOCK TABLE items; SELECT pg_sleep(600)";
    let mut holding = holder.args(["-c", lock]).stderr(Stdio::null()).spawn().unwrap();
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
        // As when its machine loses power, and comes up again.
        server.as_postgres(
            "pg_ctl",
            &["-D", text(&server.path("data")), "-m", "immediate", "-w", "-l", text(&server.path("log")), "restart"],
        );
        running.join().unwrap()
    });
    holding.wait().unwrap();
    let sources = &ended.json()["sources"];
    assert_eq!((ended.code, sources[0]["snapshot"].is_null()), (Some(1), true), "{ended:?}");
    assert!(sources[0]["errors"][0].as_str().unwrap().contains("pg_dump failed"), "{ended:?}");
    assert!(sources[1]["snapshot"].is_string(), "{ended:?}");
    assert_eq!(larder.ok(&["snapshots", "--json"]).json().as_array().unwrap().len(), 1);
    assert_eq!(run(&larder).code, Some(0));
    larder.ok(&["check"]);
}

/// The disk of the repository, which fills in the middle of the dump: nothing of it is a snapshot, and it is no worse later.
#[test]
fn a_repository_without_room_for_a_dump_keeps_what_it_has() {
    let disk = Disk::new(3 << 20);
    let server = Server::start();
    let larder = Larder::at(scratch(), disk.path().join("repository"));
    server.sql("postgres", "CREATE DATABASE shop");
    server.sql(
        "shop",
        "CREATE TABLE items AS SELECT n AS id, sha256(n::text::bytea) AS t FROM generate_series(1, 120000) n",
    );
    let files = larder.path("files");
    fs::create_dir(&files).unwrap();
    fs::write(files.join("one"), "one").unwrap();
    let more = format!("database = \"shop\"\n[source.a]\nkind = \"directory\"\npaths = [\"{}\"]", files.display());
    configure(&larder, &server, &more);
    let configuration = fs::read_to_string(larder.path("larder.toml")).unwrap();
    let place = [larder.path("repository"), disk.path().join("repository")].map(|path| path.display().to_string());
    fs::write(larder.path("larder.toml"), configuration.replace(&place[0], &place[1])).unwrap();
    let ended = larder.run(&["run", "a", "db", "--json", "--config", text(&larder.path("larder.toml"))]);
    let sources = &ended.json()["sources"];
    let of = |name: &str| sources.as_array().unwrap().iter().find(|one| one["name"] == name).unwrap().clone();
    assert_eq!((ended.code, of("a")["status"].as_str(), of("db")["snapshot"].is_null()), (Some(1), Some("done"), true));
    assert!(of("db")["errors"][0].as_str().unwrap().contains("No space left on device"), "{ended:?}");
    let dumping = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pg_dump'";
    assert_eq!(server.sql("postgres", dumping).trim(), "0");
    let checked = larder.ok(&["check", "--read-data"]);
    assert!(!checked.err.contains("records of snapshots"), "{checked:?}");
    larder.ok(&["restore", "a@latest", "--to", text(&larder.path("back"))]);
    assert_eq!(fs::read_to_string(larder.path("back/one")).unwrap(), "one");
    // With room, all is as if nothing had happened.
    disk.resize(30 << 20);
    let ended = run(&larder);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let stored = server.content("shop");
    server.sql("shop", "DROP TABLE items");
    let done = into(&larder, &[]);
    assert_eq!((done.code, server.content("shop") == stored), (Some(0), true), "{done:?}");
    larder.ok(&["check", "--read-data"]);
}

fn into(larder: &Larder, more: &[&str]) -> Done {
    let configuration = larder.path("larder.toml");
    let common = ["restore", "db@latest", "--into", "db", "--yes", "--config", text(&configuration)];
    larder.run(&[&common, more].concat())
}

#[test]
fn a_database_becomes_what_was_stored_while_programs_use_it() {
    let (server, larder) = (Server::start(), Larder::new());
    let name = "it's \"a\" shop";
    server.sql("postgres", "CREATE ROLE clerk LOGIN; CREATE ROLE helper; GRANT helper TO clerk");
    server.sql("postgres", "CREATE DATABASE \"it's \"\"a\"\" shop\" OWNER clerk");
    server.sql("postgres", "ALTER DATABASE \"it's \"\"a\"\" shop\" SET search_path = public, \"my schema\"");
    server.sql("postgres", "GRANT CONNECT ON DATABASE \"it's \"\"a\"\" shop\" TO helper");
    server.sql(name, "CREATE SCHEMA \"my schema\"; CREATE TABLE items (id serial PRIMARY KEY, name text)");
    server.sql(
        name,
        "ALTER TABLE items OWNER TO clerk; INSERT INTO items (name) SELECT n FROM generate_series(1, 5000) n",
    );
    configure(&larder, &server, "");
    assert_eq!(run(&larder).code, Some(0));
    let (before, settings) = (server.content(name), "SELECT setconfig FROM pg_db_role_setting");
    let (setting, rights) = (server.sql("postgres", settings), "SELECT datacl FROM pg_database ORDER BY datname");
    // Changed, with objects that the dump knows nothing of, and roles that are gone.
    server.sql(name, "DELETE FROM items WHERE id % 2 = 0; CREATE TABLE later (id int REFERENCES items)");
    server.sql(name, "ALTER TABLE items OWNER TO app; REASSIGN OWNED BY clerk TO app");
    server.sql("postgres", "REVOKE helper FROM clerk; DROP ROLE clerk");
    let granted = server.sql("postgres", rights);
    let mut user = server.psql(name).args(["-c", "SELECT pg_sleep(600)"]).spawn().unwrap();
    let done = into(&larder, &[]);
    assert_eq!(done.code, Some(0), "{done:?}");
    assert!(!user.wait().unwrap().success());
    assert_eq!(server.content(name), before);
    assert_eq!(server.sql(name, "SELECT to_regclass('later')").trim(), "");
    assert_eq!(server.sql("postgres", settings), setting);
    assert_eq!(server.sql("postgres", rights), granted);
    let member = "SELECT pg_has_role('clerk', 'helper', 'member'), tableowner FROM pg_tables WHERE tablename = 'items'";
    assert_eq!(server.sql(name, member).trim(), "t|clerk");
    // The serial goes on where it was.
    assert_eq!(server.sql(name, "INSERT INTO items (name) VALUES ('next') RETURNING id").trim(), "5001");
    assert_eq!(server.databases(), [name, "postgres"]);
}

#[test]
fn what_cannot_be_loaded_leaves_the_database_as_it_is() {
    let (server, larder) = (Server::start(), Larder::new());
    server.sql("postgres", "CREATE DATABASE shop");
    server.sql("shop", "CREATE TABLE items (id int, name text); INSERT INTO items VALUES (1, 'one')");
    configure(&larder, &server, "database = \"shop\"");
    let dump = larder.path("shop.sql");
    fs::write(&dump, "CREATE TABLE items (id int);\nSELECT no_such_function();\n").unwrap();
    larder.ok(&["backup", text(&dump), "--source", "db"]);
    let done = into(&larder, &[]);
    assert!(done.code == Some(1) && done.err.contains("no_such_function"), "{done:?}");
    assert!(done.out.contains("db is what it was before"), "{done:?}");
    assert_eq!(server.content("shop").trim(), "1|one\n1|1");
    assert_eq!(server.databases(), ["postgres", "shop"]);
    // A lost database is made.
    server.sql("shop", "INSERT INTO items VALUES (2, 'two')");
    assert_eq!(run(&larder).code, Some(0));
    server.sql("postgres", "DROP DATABASE shop");
    let done = into(&larder, &[]);
    assert!(done.code == Some(1) && done.err.contains("--no-safety-snapshot"), "{done:?}");
    let done = into(&larder, &["--no-safety-snapshot"]);
    assert_eq!(done.code, Some(0), "{done:?}");
    assert_eq!(server.content("shop").trim(), "1|one\n2|two\n2|3");
}

/// A subscription keeps its database from being dropped, and has the name of a slot on a server that nobody may ask here.
#[test]
fn a_database_with_a_subscription_is_replaced_and_so_is_what_an_earlier_try_left() {
    const SUBSCRIBE: &str = "CREATE SUBSCRIPTION \"the news\" CONNECTION 'host=/nowhere dbname=x' PUBLICATION p \
                             WITH (connect = false, slot_name = 'live')";
    let (server, larder) = (Server::start(), Larder::new());
    server.sql("postgres", "CREATE DATABASE shop");
    server.sql("shop", "CREATE TABLE items (id int, name text); INSERT INTO items VALUES (1, 'one')");
    server.sql("shop", SUBSCRIBE);
    configure(&larder, &server, "database = \"shop\"");
    assert_eq!(run(&larder).code, Some(0));
    let subscribed = || server.sql("shop", "SELECT subname, subslotname, subenabled FROM pg_subscription");
    server.sql("shop", "DELETE FROM items");
    // As a try leaves them that was killed.
    for left in ["shop_larder_new", "shop_larder_before"] {
        server.sql("postgres", &format!("CREATE DATABASE {left}"));
        server.sql(left, SUBSCRIBE);
    }
    let done = into(&larder, &[]);
    assert_eq!(done.code, Some(0), "{done:?}");
    assert_eq!(server.content("shop").trim(), "1|one\n1|1");
    assert_eq!((subscribed().trim(), server.databases()), ("the news|live|f", vec!["postgres".into(), "shop".into()]));
    // One that fails after it was subscribed.
    let dump = larder.path("shop.sql");
    fs::write(&dump, format!("{SUBSCRIBE};\nSELECT no_such_function();\n")).unwrap();
    larder.ok(&["backup", text(&dump), "--source", "db"]);
    let done = into(&larder, &[]);
    assert!(done.code == Some(1) && done.err.contains("no_such_function"), "{done:?}");
    assert!(!done.err.contains("left over") && done.out.contains("db is what it was before"), "{done:?}");
    assert_eq!((subscribed().trim(), server.databases()), ("the news|live|f", vec!["postgres".into(), "shop".into()]));
}

/// Killed in any phase: the database is the old one or the new one, and the next try clears up.
#[test]
fn a_restore_into_a_database_killed_at_any_moment_leaves_one_or_the_other() {
    let (server, larder) = (Server::start(), Larder::new());
    server.sql("postgres", "CREATE DATABASE shop");
    server.sql("shop", "CREATE TABLE items AS SELECT n AS id FROM generate_series(1, 60000) n");
    configure(&larder, &server, "database = \"shop\"");
    assert_eq!(run(&larder).code, Some(0));
    let stored = server.content("shop");
    let configuration = larder.path("larder.toml");
    let line = ["restore", "db@latest", "--into", "db", "--yes", "--config", text(&configuration)];
    server.sql("shop", "DELETE FROM items WHERE id > 10");
    let changed = server.content("shop");
    for millis in [1, 100, 200, 300, 400, 500, 700, 1000] {
        let mut child = larder.spawn(&line);
        std::thread::sleep(std::time::Duration::from_millis(millis));
        child.kill().unwrap();
        child.wait().unwrap();
        // What it had sent may still be at work; nothing is half done at the end of it.
        let found = server.content("shop");
        assert!(found == stored || found == changed, "{} lines", found.lines().count());
        server.sql("shop", "DELETE FROM items WHERE id > 10");
    }
    let done = into(&larder, &[]);
    assert_eq!(done.code, Some(0), "{done:?}");
    assert_eq!(server.content("shop"), stored);
    assert_eq!(server.databases(), ["postgres", "shop"]);
    assert_eq!(run(&larder).code, Some(0));
}

/// Its databases, not its journal, are on a disk that is soon full.
#[test]
fn a_disk_without_room_leaves_the_database_as_it_is() {
    let disk = Disk::new(80 << 20);
    let server = Server::start_after(|data| {
        let script = "cp -a \"$0/base\" \"$1\" && rm -r \"$0/base\" && ln -s \"$1/base\" \"$0/base\"";
        let moved = Command::new("sh").args(["-c", script]).arg(data).arg(disk.path()).status().unwrap();
        assert!(moved.success());
    });
    let larder = Larder::new();
    server.sql("postgres", "CREATE DATABASE shop");
    let rows = "SELECT n AS id, repeat('x', 1000) AS t FROM generate_series(1, 12000) n";
    server.sql("shop", &format!("CREATE TABLE items AS {rows}"));
    configure(&larder, &server, "database = \"shop\"");
    assert_eq!(run(&larder).code, Some(0));
    let content = || server.sql("shop", "SELECT count(*), sum(id) FROM items");
    let stored = content();
    server.sql("shop", "DROP TABLE items");
    server.sql("shop", "CREATE TABLE items AS SELECT 1 AS id, '' AS t");
    server.sql("shop", "CHECKPOINT");
    let changed = content();
    let room = rustix::fs::statvfs(disk.path()).unwrap();
    // Enough for a new database, and not for what comes into it.
    let junk = usize::try_from(room.f_bavail * room.f_frsize).unwrap() - (14 << 20);
    fs::write(disk.path().join("junk"), vec![1; junk]).unwrap();
    let done = into(&larder, &[]);
    assert!(done.code == Some(1) && done.err.contains("No space left on device"), "{done:?}");
    assert!(done.out.contains("db is what it was before"), "{done:?}");
    assert_eq!((content(), server.databases()), (changed, vec!["postgres".to_owned(), "shop".to_owned()]));
    fs::remove_file(disk.path().join("junk")).unwrap();
    let done = into(&larder, &[]);
    assert_eq!((done.code, content()), (Some(0), stored), "{done:?}");
    assert_eq!(run(&larder).code, Some(0));
}

#[test]
fn doctor_knows_the_troubles_of_a_server() {
    let (server, larder) = (Server::start(), Larder::new());
    configure(&larder, &server, "database = \"no-such\"");
    let doctor = || larder.run(&["doctor", "--config", text(&larder.path("larder.toml"))]);
    let seen = doctor();
    assert!(seen.code == Some(1) && seen.out.contains("there is no database \"no-such\""), "{seen:?}");
    assert!(seen.out.contains("hint: there are: postgres"), "{seen:?}");
    fs::write(larder.path("secret"), "wrong\n").unwrap();
    let seen = doctor();
    assert!(seen.code == Some(1) && seen.out.contains("password authentication failed"), "{seen:?}");
    assert!(!seen.out.contains("wrong\n"), "{seen:?}");
    drop(server);
    let seen = doctor();
    assert!(seen.code == Some(1) && seen.out.contains("check that the server runs"), "{seen:?}");
}
