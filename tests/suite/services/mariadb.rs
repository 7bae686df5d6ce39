//! A real MariaDB: backed up while it is written to, put back, compared row by row.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

use crate::support::binary::{Done, Larder};
use crate::support::disk::Disk;

pub const PASSWORD: &str = "it's \"secret\\";
const PAUSE: Duration = Duration::from_millis(20);

/// Where everything lies: tables in one folder, and what is written before it comes into them beside it. The folder for
/// temporary files is its own: a server that starts clears up there, others' too.
fn options(folder: &Path) -> Vec<String> {
    let folder = folder.display();
    let mut options = vec![format!("--datadir={folder}/data")];
    options.extend(
        ["tmpdir", "innodb-data-home-dir", "innodb-log-group-home-dir"].map(|name| format!("--{name}={folder}")),
    );
    options.extend(["--innodb-log-file-size=8M", "--innodb-flush-method=nosync"].map(str::to_owned));
    options
}

/// A server of its own, on a socket and on a free port.
pub struct Server {
    folder: TempDir,
    pub port: u16,
    running: Child,
}

impl Server {
    pub fn start() -> Self {
        Self::start_after(|_| {})
    }

    /// A server whose data, when it has been made, is moved elsewhere, say.
    fn start_after(then: impl FnOnce(&Path)) -> Self {
        // Short: the path of a socket may have 107 bytes.
        let folder = tempfile::Builder::new().prefix("my").tempdir_in("/tmp").unwrap();
        let user = uzers::get_user_by_name("mysql").expect("MariaDB is not installed: run scripts/test");
        chown(folder.path(), Some(user.uid()), Some(user.primary_group_id())).unwrap();
        let made = Command::new("mariadb-install-db")
            .args(["--no-defaults", "--user=mysql", "--auth-root-authentication-method=normal", "--skip-test-db"])
            .args(options(folder.path()))
            .output()
            .expect("MariaDB is not installed: run scripts/test");
        assert!(made.status.success(), "{made:?}");
        then(&folder.path().join("data"));
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let running = Self::begin(folder.path(), port);
        let mut server = Self { folder, port, running };
        server.is_up();
        let account = "CREATE USER app@localhost IDENTIFIED BY 'it''s \"secret\\\\'; \
            GRANT ALL ON *.* TO app@localhost WITH GRANT OPTION";
        let made = server.as_user("root", "", "").args(["-e", account]).output().unwrap();
        assert!(made.status.success(), "{made:?}");
        server
    }

    fn begin(folder: &Path, port: u16) -> Child {
        let file = |name: &str| folder.join(name).display().to_string();
        let mut command = Command::new("mariadbd");
        command.args(["--no-defaults", "--user=mysql", "--bind-address=127.0.0.1", "--event-scheduler=ON"]);
        command.args(options(folder)).arg("--innodb-buffer-pool-size=64M");
        command.args([
            format!("--port={port}"),
            format!("--socket={}", file("s")),
            format!("--pid-file={}", file("pid")),
        ]);
        command.arg(format!("--log-error={}", file("log.err")));
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    fn is_up(&mut self) {
        while !self.as_user("root", "", "").args(["-e", ""]).output().unwrap().status.success() {
            let ended = self.running.try_wait().unwrap();
            assert!(ended.is_none(), "{ended:?}: {}", fs::read_to_string(self.path("log.err")).unwrap_or_default());
            thread::sleep(PAUSE);
        }
    }

    /// Starts it again if it has ended.
    fn runs_again(&mut self) {
        if self.running.try_wait().unwrap().is_some() {
            self.running = Self::begin(self.folder.path(), self.port);
            self.is_up();
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn as_user(&self, user: &str, password: &str, database: &str) -> Command {
        let mut command = Command::new("mariadb");
        command.args(["--no-defaults", "--batch", "--raw", "--skip-column-names", "--default-character-set=utf8mb4"]);
        command.arg(format!("--socket={}", self.path("s").display())).arg(format!("--user={user}"));
        command.arg(format!("--database={database}")).env("MYSQL_PWD", password);
        command
    }

    /// Runs SQL, and says what comes of it.
    pub fn sql(&self, database: &str, sql: &str) -> String {
        let output = self.client(database).args(["-e", sql]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn client(&self, database: &str) -> Command {
        self.as_user("app", PASSWORD, database)
    }

    pub fn databases(&self) -> Vec<String> {
        let own = ["information_schema", "mysql", "performance_schema", "sys"];
        let all = self.sql("", "SHOW DATABASES");
        all.lines().filter(|name| !own.contains(name)).map(str::to_owned).collect()
    }

    /// As a machine that loses its power.
    pub fn kill(&mut self) {
        self.running.kill().unwrap();
        self.running.wait().unwrap();
    }

    /// Waits until a query answers anything but nothing or 0.
    pub fn until(&self, query: &str) {
        while matches!(self.sql("", query).trim(), "" | "0") {
            thread::sleep(PAUSE);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _may_have_ended = self.running.kill();
        let _nothing_to_learn = self.running.wait();
    }
}

/// A configuration with the server as a source, and another that must not suffer with it.
pub fn configure(larder: &Larder, server: &Server, more: &str) {
    fs::write(larder.path("secret"), format!("{PASSWORD}\n")).unwrap();
    let (socket, secret) = (server.path("s").display().to_string(), larder.path("secret").display().to_string());
    let text = format!(
        "[repository]\npath = \"{}\"\n[source.db]\nkind = \"mariadb\"\nsocket = \"{socket}\"\nuser = \"app\"\n\
         password_file = \"{secret}\"\n{more}\n[source.other]\nkind = \"command\"\ncommand = \"echo fine\"\nfile = \"x\"\n",
        larder.path("repository").display()
    );
    fs::write(larder.path("larder.toml"), text).unwrap();
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

pub fn run(larder: &Larder) -> Done {
    larder.run(&["run", "--json", "--config", text(&larder.path("larder.toml"))])
}

fn into(larder: &Larder, more: &[&str]) -> Done {
    let configuration = larder.path("larder.toml");
    let common = ["restore", "db@latest", "--into", "db", "--yes", "--config", text(&configuration)];
    larder.run(&[&common, more].concat())
}

fn doctor(larder: &Larder) -> Done {
    larder.run(&["doctor", "db", "--config", text(&larder.path("larder.toml"))])
}

/// Runs it all; the server's source must fail and leave no snapshot, the other must not. Says why it failed.
fn fails(larder: &Larder) -> String {
    let ended = run(larder);
    let sources = ended.json()["sources"].clone();
    let error = sources[0]["errors"][0].as_str().unwrap_or_default().to_owned();
    assert_eq!((ended.code, sources[0]["snapshot"].is_null()), (Some(1), true), "{ended:?}");
    assert!(sources[1]["snapshot"].is_string() && !ended.out.contains(PASSWORD), "{ended:?}");
    assert!(larder.ok(&["snapshots", "--source", "db", "--json"]).json().as_array().unwrap().is_empty());
    error
}

const SHOP: &str = "my `shöp";

/// A database with one of everything, whose character set was changed after its trigger and its routines were made.
fn open_shop(server: &Server) {
    server.sql("", "CREATE DATABASE `my ``shöp` CHARACTER SET utf8mb4 COLLATE utf8mb4_bin; CREATE DATABASE stock");
    let script = "\
        CREATE TABLE items (id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(80), data LONGBLOB,
            n INT DEFAULT 3, twice INT AS (n * 2) STORED) CHARACTER SET utf8mb4;
        INSERT INTO items (name, data) SELECT CONCAT('item 😀 \\'', seq), UNHEX(SHA2(seq, 256)) FROM seq_1_to_5000;
        INSERT INTO items (name, data, n) VALUES (NULL, REPEAT('\\0\\'\\\\\\n', 100000), NULL);
        CREATE TABLE parts (id INT PRIMARY KEY, item INT, FOREIGN KEY (item) REFERENCES items (id) ON DELETE CASCADE);
        INSERT INTO parts SELECT id, id FROM items WHERE id <= 50;
        CREATE TABLE money (id INT PRIMARY KEY, amount INT); INSERT INTO money SELECT seq, 100 FROM seq_1_to_100;
        CREATE VIEW a_view AS SELECT id, name FROM items WHERE id < 10;
        CREATE SEQUENCE numbers START 7;
        CREATE TRIGGER mark BEFORE INSERT ON items FOR EACH ROW SET NEW.name = CONCAT(NEW.name, '!');
        CREATE FUNCTION five() RETURNS INT DETERMINISTIC RETURN 5;
        CREATE EVENT tidy ON SCHEDULE EVERY 1 DAY DO DELETE FROM parts WHERE id < 0;
        ALTER DATABASE CHARACTER SET latin1 COLLATE latin1_swedish_ci";
    server.sql(SHOP, script);
    server.sql("stock", "CREATE TABLE boxes (id INT PRIMARY KEY); INSERT INTO boxes VALUES (1), (2), (3)");
}

/// All there is in it, as a text to compare.
fn shop(server: &Server) -> String {
    let rows = server.sql(
        SHOP,
        "CHECKSUM TABLE items, parts EXTENDED; SELECT COUNT(*), SUM(id), SUM(twice), SUM(CRC32(name)), SUM(CRC32(data)) \
         FROM items; SELECT * FROM a_view; SELECT five(); SELECT SUM(amount) FROM money",
    );
    let code = "SHOW CREATE DATABASE `my ``shöp`; SHOW CREATE TABLE items; SHOW CREATE TABLE parts; SHOW CREATE VIEW a_view; \
        SHOW CREATE FUNCTION five; SHOW CREATE EVENT tidy; SELECT trigger_name, action_statement, definer, database_collation \
        FROM information_schema.triggers WHERE trigger_schema = DATABASE(); SELECT NEXTVAL(numbers) > 6";
    rows + &server.sql(SHOP, code)
}

#[test]
fn databases_come_back_row_by_row_after_a_backup_under_load() {
    let (server, larder) = (Server::start(), Larder::new());
    open_shop(&server);
    configure(&larder, &server, "users = true");
    let stored = shop(&server);
    // Written to meanwhile, in transactions that keep the sum as it is.
    let script = larder.path("script");
    let move_some = "BEGIN; UPDATE money SET amount = amount - 1 WHERE id = 1; DO SLEEP(0.002);
        UPDATE money SET amount = amount + 1 WHERE id = 2; COMMIT;\n";
    fs::write(&script, move_some.repeat(20_000)).unwrap();
    let mut writing = server.client(SHOP).stdin(fs::File::open(&script).unwrap()).spawn().unwrap();
    server.until("SELECT amount < 100 FROM `my ``shöp`.money WHERE id = 1");
    let ended = run(&larder);
    let wrote = writing.try_wait().unwrap();
    writing.kill().unwrap();
    writing.wait().unwrap();
    let report = &ended.json()["sources"][0];
    assert_eq!((ended.code, report["verified"].as_bool(), report["files"].as_u64()), (Some(0), Some(true), Some(6)));
    assert!(wrote.is_none(), "the backup took longer than the writer");
    let users = larder.ok(&["cat", "db@latest:_users.sql"]).out;
    assert!(users.contains("CREATE USER IF NOT EXISTS `app`@`localhost` IDENTIFIED BY PASSWORD"), "{users}");
    let entries = larder.ok(&["ls", "--entries", "db@latest:stock.sql"]).out;
    assert!(entries.lines().any(|line| line == "boxes"), "{entries}");
    // One is lost, one changed, with something that no dump knows.
    server.sql("", "DROP DATABASE `my ``shöp`");
    server.sql("stock", "DELETE FROM boxes WHERE id > 1; CREATE TABLE later (id INT)");
    let done = into(&larder, &[]);
    assert_eq!(done.code, Some(0), "{done:?}");
    assert_eq!(shop(&server), stored);
    assert_eq!(server.sql("stock", "SHOW TABLES; SELECT * FROM boxes"), "boxes\n1\n2\n3\n");
    assert_eq!(server.databases(), [SHOP, "stock"]);
    // The trigger fires, keys count on, and the foreign key holds.
    server.sql(SHOP, "INSERT INTO items (name) VALUES ('new'); DELETE FROM items WHERE id = 1");
    let after = "SELECT name FROM items ORDER BY id DESC LIMIT 1; SELECT COUNT(*) FROM parts";
    assert_eq!(server.sql(SHOP, after), "new!\n49\n");
    // Unchanged, it is the same dump, and nothing new is stored of it.
    assert_eq!(run(&larder).code, Some(0));
    let first = run(&larder).json()["sources"][0]["snapshot"].as_str().unwrap().to_owned();
    let second = run(&larder).json()["sources"][0]["snapshot"].as_str().unwrap().to_owned();
    let dumps = [first, second].map(|id| larder.ok(&["cat", &format!("{id}:stock.sql")]).out);
    assert_eq!(dumps[0], dumps[1]);
}

#[test]
fn what_cannot_be_loaded_leaves_the_database_as_it_is() {
    let (server, larder) = (Server::start(), Larder::new());
    server.sql("", "CREATE DATABASE shop");
    server.sql("shop", "CREATE TABLE items (id INT, name TEXT); INSERT INTO items VALUES (1, 'one')");
    configure(&larder, &server, "database = \"shop\"");
    let dump = larder.path("dump");
    fs::create_dir(&dump).unwrap();
    fs::write(dump.join("_databases.sql"), "").unwrap();
    let secret = "INSERT INTO items VALUES ('private', 2)";
    fs::write(dump.join("shop.sql"), format!("CREATE TABLE items (id INT);\n{secret};\n")).unwrap();
    larder.ok(&["backup", text(&dump), "--source", "db"]);
    for more in [&["--no-safety-snapshot"][..], &[]] {
        let done = into(&larder, more);
        assert!(done.code == Some(1) && done.err.contains("Column count doesn't match"), "{done:?}");
        assert!(done.err.contains("nothing was changed") && !done.err.contains("private"), "{done:?}");
        assert_eq!(server.sql("shop", "SELECT * FROM items"), "1\tone\n");
        assert_eq!(server.databases(), ["shop"]);
    }
    // A lost database is made, as it was.
    server.sql("shop", "INSERT INTO items VALUES (2, 'two'); ALTER DATABASE CHARACTER SET latin2");
    assert_eq!(run(&larder).code, Some(0));
    server.sql("", "DROP DATABASE shop");
    let done = into(&larder, &[]);
    assert!(done.code == Some(1) && done.err.contains("--no-safety-snapshot"), "{done:?}");
    let done = into(&larder, &["--no-safety-snapshot"]);
    assert_eq!(done.code, Some(0), "{done:?}");
    assert_eq!(server.sql("shop", "SELECT @@character_set_database; SELECT * FROM items"), "latin2\n1\tone\n2\ttwo\n");
}

/// It could be made in the try and not in the place of the old one: a program has it open and does not let go.
#[test]
fn a_database_that_cannot_be_dropped_stays() {
    let (server, larder) = (Server::start(), Larder::new());
    server.sql("", "CREATE DATABASE shop; CREATE DATABASE stock");
    server.sql("shop", "CREATE TABLE items (id INT); INSERT INTO items VALUES (1)");
    configure(&larder, &server, "database = \"shop\"");
    let configuration = fs::read_to_string(larder.path("larder.toml")).unwrap();
    fs::write(larder.path("larder.toml"), configuration.replace("\"app\"", "\"keeper\"")).unwrap();
    // May do all but drop it.
    server.sql(
        "",
        "CREATE USER keeper@localhost IDENTIFIED BY 'it''s \"secret\\\\'; GRANT ALL ON `shop\\_larder\\_new`.* TO \
         keeper@localhost; GRANT SELECT, INSERT, CREATE, ALTER, LOCK TABLES, SHOW VIEW, TRIGGER, EVENT, EXECUTE ON shop.* TO \
         keeper@localhost",
    );
    assert_eq!(run(&larder).code, Some(0));
    server.sql("shop", "INSERT INTO items VALUES (2)");
    let done = into(&larder, &[]);
    assert!(done.code == Some(1) && done.err.contains("Access denied"), "{done:?}");
    assert_eq!(server.sql("shop", "SELECT * FROM items"), "1\n2\n");
    assert_eq!(server.databases(), ["shop", "stock"]);
    server.sql("", "GRANT ALL ON shop.* TO keeper@localhost");
    let done = into(&larder, &["--no-safety-snapshot"]);
    assert_eq!((done.code, server.sql("shop", "SELECT * FROM items").as_str()), (Some(0), "1\n"), "{done:?}");
    assert_eq!(
        larder.ok(&["snapshots", "--source", "db.before-restore", "--json"]).json().as_array().unwrap().len(),
        1
    );
}

#[test]
fn a_server_that_does_not_do_what_it_should_leaves_no_snapshot() {
    let (server, larder) = (Server::start(), Larder::new());
    let none = |more: &str, said: &str| {
        configure(&larder, &server, more);
        let error = fails(&larder);
        assert!(error.contains(said), "{error}");
    };
    none("", "there is no database but the server's own");
    server.sql("", "CREATE DATABASE shop");
    server.sql("shop", "CREATE TABLE items (id INT)");
    none("database = \"nothing\"", "Unknown database 'nothing'");
    none("databases = [\"shop\", \"nothing\"]", "Unknown database 'nothing'");
    none("options = [\"--no-such-option\"]", "unknown option '--no-such-option'");
    // Triggers and routines that a user cannot see are missing in a dump without a word.
    server.sql(
        "",
        "CREATE USER reader@localhost IDENTIFIED BY 'it''s \"secret\\\\'; \
         GRANT SELECT, SHOW VIEW, LOCK TABLES, EVENT ON shop.* TO reader@localhost",
    );
    configure(&larder, &server, "options = [\"--skip-routines\"]");
    let as_reader = fs::read_to_string(larder.path("larder.toml")).unwrap().replace("\"app\"", "\"reader\"");
    fs::write(larder.path("larder.toml"), &as_reader).unwrap();
    let error = fails(&larder);
    assert!(error.contains("may not see whether the database shop has triggers\nGRANT TRIGGER ON `shop`.*"), "{error}");
    server.sql("", "GRANT TRIGGER ON shop.* TO reader@localhost");
    fs::write(larder.path("larder.toml"), as_reader.replace("--skip-routines", "--quick")).unwrap();
    let error = fails(&larder);
    assert!(error.contains("may not see whether the database shop has routines"), "{error}");
    let seen = doctor(&larder);
    assert!(seen.code == Some(1) && seen.out.contains("hint: GRANT EXECUTE ON `shop`.*"), "{seen:?}");
    fs::write(larder.path("larder.toml"), as_reader).unwrap();
    assert_eq!((doctor(&larder).code, run(&larder).code), (Some(0), Some(0)));
    // Stored, but half a dump.
    configure(&larder, &server, "options = [\"--skip-comments\"]");
    let ended = run(&larder);
    assert!(ended.code == Some(1) && ended.out.contains("shop.sql is no whole dump"), "{ended:?}");
}

#[test]
fn a_server_that_dies_in_the_middle_of_a_dump_leaves_no_snapshot() {
    let (mut server, larder) = (Server::start(), Larder::new());
    server.sql("", "CREATE DATABASE shop");
    server.sql("shop", "CREATE TABLE a (t TEXT); INSERT INTO a SELECT REPEAT('x', 1000) FROM seq_1_to_20000");
    server.sql("shop", "CREATE TABLE z (id INT)");
    configure(&larder, &server, "database = \"shop\"");
    // Held, so that the dump is under way for as long as this needs: everything before this table is through.
    let mut holder = server.client("shop");
    let mut holding = holder.args(["-e", "LOCK TABLES z WRITE; DO SLEEP(600)"]).stderr(Stdio::null()).spawn().unwrap();
    let state = |like: &str| {
        format!(
            "SELECT COUNT(*) FROM information_schema.processlist WHERE db = 'shop' AND {like} AND id <> CONNECTION_ID()"
        )
    };
    server.until(&state("info LIKE 'DO SLEEP%'"));
    let error = thread::scope(|scope| {
        let running = scope.spawn(|| fails(&larder));
        server.until(&state("state LIKE 'Waiting for table metadata lock%'"));
        server.running.kill().unwrap();
        running.join().unwrap()
    });
    holding.wait().unwrap();
    assert!(error.contains("mariadb-dump failed") && error.contains("z"), "{error}");
    let seen = doctor(&larder);
    assert!(seen.code == Some(1) && seen.out.contains("hint: check that the server runs"), "{seen:?}");
    assert!(fails(&larder).contains("Can't connect"));
}

/// Killed in any phase: what was there is a snapshot of its own, and the next try clears up.
#[test]
fn a_restore_killed_at_any_moment_can_be_done_again() {
    let (server, larder) = (Server::start(), Larder::new());
    server.sql("", "CREATE DATABASE shop");
    server.sql("shop", "CREATE TABLE items AS SELECT seq AS id, REPEAT('x', 200) AS t FROM seq_1_to_60000");
    configure(&larder, &server, "database = \"shop\"");
    assert_eq!(run(&larder).code, Some(0));
    let content = "SELECT COUNT(*), SUM(id) FROM items";
    let stored = server.sql("shop", content);
    server.sql("shop", "DELETE FROM items WHERE id > 10");
    let changed = server.sql("shop", content);
    let configuration = larder.path("larder.toml");
    let line =
        ["restore", "db@latest", "--into", "db", "--yes", "--no-safety-snapshot", "--config", text(&configuration)];
    assert_eq!(run(&larder).code, Some(0));
    let small = larder.ok(&["snapshots", "--source", "db", "--json"]).json()[1]["id"].as_str().unwrap().to_owned();
    let large = larder.ok(&["snapshots", "--source", "db", "--json"]).json()[0]["id"].as_str().unwrap().to_owned();
    for millis in [1, 200, 400, 600, 800, 1200] {
        let mut child = larder.spawn(&[&["restore", &large], &line[2..]].concat());
        thread::sleep(Duration::from_millis(millis));
        child.kill().unwrap();
        child.wait().unwrap();
        // What it had sent may still be at work.
        server.until("SELECT COUNT(*) = 1 FROM information_schema.processlist WHERE user = 'app'");
    }
    for (id, content_then) in [(&small, &changed), (&large, &stored)] {
        let done = larder.run(&[&["restore", id.as_str()], &line[2..]].concat());
        assert_eq!(done.code, Some(0), "{done:?}");
        assert_eq!(&server.sql("shop", content), content_then);
        assert_eq!(server.databases(), ["shop"]);
    }
}

/// Killed when the old database is gone and half of the new one there: both ways out that the documentation names.
#[test]
fn a_restore_killed_between_the_drop_and_the_end_of_loading_has_two_ways_out() {
    let (server, larder) = (Server::start(), Larder::new());
    server.sql("", "CREATE DATABASE shop");
    server.sql("shop", "CREATE TABLE items (id INT); INSERT INTO items VALUES (1), (2)");
    configure(&larder, &server, "database = \"shop\"");
    assert_eq!(run(&larder).code, Some(0));
    let good = larder.ok(&["snapshots", "--source", "db", "--json"]).json()[0]["id"].as_str().unwrap().to_owned();
    server.sql("shop", "INSERT INTO items VALUES (40)");
    // Stays in the middle, but not where it is tried out.
    let dump = larder.path("dump");
    fs::create_dir(&dump).unwrap();
    fs::write(dump.join("_databases.sql"), "").unwrap();
    let halting =
        "CREATE TABLE half (id INT);\nSELECT IF(DATABASE() = 'shop', SLEEP(600), 0);\nCREATE TABLE rest (id INT);\n";
    fs::write(dump.join("shop.sql"), halting).unwrap();
    larder.ok(&["backup", text(&dump), "--source", "db"]);
    let sleeping = "SELECT COALESCE(MAX(id), 0) FROM information_schema.processlist WHERE info LIKE '%SLEEP(600)%' \
        AND db = 'shop' AND id <> CONNECTION_ID()";
    let sleeper = || server.sql("", sleeping).trim().to_owned();
    let safety = larder.puts_back_and_is_killed("db", || sleeper() != "0");
    // The server notices only at the end of the query that nobody is there any more.
    server.sql("", &format!("KILL {}", sleeper()));
    server.until("SELECT COUNT(*) = 1 FROM information_schema.processlist WHERE user = 'app'");
    assert_eq!(server.sql("shop", "SHOW TABLES"), "half\n");
    let items = || server.sql("shop", "SELECT * FROM items");
    larder.puts(&safety, "db");
    assert_eq!(items(), "1\n2\n40\n");
    larder.puts(&good, "db");
    assert_eq!(items(), "1\n2\n");
    assert_eq!((server.databases(), run(&larder).code), (vec!["shop".to_owned()], Some(0)));
    larder.ok(&["check", "--read-data"]);
}

#[test]
fn doctor_knows_the_troubles_of_a_server() {
    let (server, larder) = (Server::start(), Larder::new());
    server.sql("", "CREATE DATABASE shop");
    configure(&larder, &server, "database = \"no-such\"");
    let seen = doctor(&larder);
    assert!(seen.code == Some(1) && seen.out.contains("there is no database \"no-such\""), "{seen:?}");
    assert!(seen.out.contains("hint: there are: shop"), "{seen:?}");
    configure(&larder, &server, "");
    assert_eq!(doctor(&larder).code, Some(0));
    fs::write(larder.path("secret"), "wrong\n").unwrap();
    let seen = doctor(&larder);
    assert!(seen.code == Some(1) && seen.out.contains("Access denied for user 'app'"), "{seen:?}");
    assert!(!seen.out.contains("wrong\n") && fails(&larder).contains("Access denied for user 'app'"), "{seen:?}");
    configure(&larder, &server, "container = \"no-such\"");
    let seen = doctor(&larder);
    assert!(seen.code == Some(1) && seen.out.contains("with docker ps"), "{seen:?}");
    drop(server);
    let said = larder.run(&["config", "check", "--config", text(&larder.path("larder.toml"))]);
    assert_eq!(said.code, Some(0), "{said:?}");
}

#[test]
fn a_server_is_reached_over_the_network() {
    let (server, larder) = (Server::start(), Larder::new());
    server.sql("", "CREATE DATABASE shop; CREATE USER net@'127.0.0.1' IDENTIFIED BY 'it''s \"secret\\\\'");
    server.sql("shop", "CREATE TABLE items (id INT); GRANT ALL ON shop.* TO net@'127.0.0.1'");
    configure(&larder, &server, "database = \"shop\"");
    let configuration = fs::read_to_string(larder.path("larder.toml")).unwrap();
    let socket = format!("socket = \"{}\"\nuser = \"app\"", server.path("s").display());
    let place = format!("host = \"127.0.0.1\"\nport = {}\nuser = \"net\"", server.port);
    fs::write(larder.path("larder.toml"), configuration.replace(&socket, &place)).unwrap();
    let ended = run(&larder);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    // Whoever may not make the database to try a dump out in is told so, and changes nothing.
    let done = into(&larder, &["--no-safety-snapshot"]);
    assert!(done.code == Some(1) && done.err.contains("cannot make shop_larder_new"), "{done:?}");
}

/// Its tables, not its journal, are on a disk that is soon full: what is to be loaded does not fit beside what there is.
/// The server may survive that, or end when it has no room to take back a part of a load either; nothing was dropped.
#[test]
fn a_disk_without_room_leaves_the_database_as_it_is() {
    let disk = Disk::new(120 << 20);
    let mut server = Server::start_after(|data| {
        let script = "cp -a \"$0/.\" \"$1\" && chmod --reference \"$0\" \"$1\" && chown --reference \"$0\" \"$1\" && \
                      rm -r \"$0\" && ln -s \"$1\" \"$0\"";
        let moved = Command::new("sh").args(["-c", script]).arg(data).arg(disk.path()).status().unwrap();
        assert!(moved.success());
    });
    let larder = Larder::new();
    server.sql("", "CREATE DATABASE shop");
    let rows = "SELECT seq AS id, REPEAT('x', 1000) AS t FROM seq_1_to_20000";
    server.sql("shop", &format!("CREATE TABLE items AS {rows}"));
    configure(&larder, &server, "database = \"shop\"");
    assert_eq!(run(&larder).code, Some(0));
    let content = |server: &Server| server.sql("shop", "SELECT COUNT(*), SUM(id) FROM items");
    let stored = content(&server);
    server.sql("shop", "DROP TABLE items; CREATE TABLE items AS SELECT 1 AS id, '' AS t");
    let changed = content(&server);
    let room = rustix::fs::statvfs(disk.path()).unwrap();
    // Enough for a new database, and not for what comes into it.
    let junk = usize::try_from(room.f_bavail * room.f_frsize).unwrap() - (8 << 20);
    fs::write(disk.path().join("junk"), vec![1; junk]).unwrap();
    let done = larder.configured(&["restore", "db@latest", "--into", "db", "--yes"]);
    assert!(done.code == Some(1) && done.out.contains("what was there before is snapshot"), "{done:?}");
    let said = ["The table 'items' is full", "Lost connection to server"].map(|words| done.err.contains(words));
    assert_ne!(said, [false; 2], "{done:?}");
    // Put back, or, where the server has ended of it, never touched.
    fs::remove_file(disk.path().join("junk")).unwrap();
    server.runs_again();
    assert_eq!(content(&server), changed);
    larder.puts("db@latest", "db");
    assert_eq!((content(&server), server.databases()), (stored, vec!["shop".to_owned()]));
    assert_eq!(run(&larder).code, Some(0));
}
