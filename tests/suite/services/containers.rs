//! A MariaDB and a Redis in containers, read by the clients in there and put back.

use std::fs;
use std::os::unix::fs::chown;
use std::path::PathBuf;
use std::process::Output;

use crate::support::binary::{Done, Larder};
use crate::support::docker::Engine;
use crate::support::waiting::wait_for;

const PASSWORD: &str = "it's \"secret\"";
const IMAGE: &str = "larder/shell";

/// Makes what is not there, and becomes the server.
const MARIADB: &str = "[ -d /data/db ] || mariadb-install-db --no-defaults --datadir=/data/db --tmpdir=/data \
                       --auth-root-authentication-method=normal --skip-test-db --innodb-log-file-size=8M; \
                       exec mariadbd --no-defaults --datadir=/data/db --tmpdir=/data --socket=/data/s --skip-networking \
                       --innodb-log-file-size=8M";
const REDIS: &str = "exec redis-server /data/conf";
const REDIS_CONF: &str = "dir /data\nsave 3600 1\nrepl-diskless-sync-delay 0\nrequirepass \"it's \\\"secret\\\"\"\n";

/// Starts a server in a container of its name, with a volume of its name. Says where the volume's content is.
fn start(engine: &Engine, name: &str, user: &str, [script, conf]: [&str; 2]) -> PathBuf {
    let volume = engine.volume(name, &[]);
    let owner = uzers::get_user_by_name(user).unwrap_or_else(|| panic!("{user} is not installed: run scripts/test"));
    // Before the container is made: an empty volume would be given the owner that the folder has in the image.
    fs::write(volume.join("conf"), conf).unwrap();
    for path in [&volume, &volume.join("conf")] {
        chown(path, Some(owner.uid()), Some(owner.primary_group_id())).unwrap();
    }
    let mount = format!("{name}:/data");
    let run = ["run", "--detach", "--name", name, "--network", "none", "--user", user];
    let more = ["--env", "PATH=/usr/sbin:/usr/bin:/bin", "--volume", "/usr:/usr:ro", "--volume", &mount];
    engine.ok(&[&run[..], &more, &[IMAGE, "sh", "-c", script]].concat());
    volume
}

fn sql(engine: &Engine, user: &str, sql: &str) -> Result<String, Output> {
    let password = format!("MYSQL_PWD={}", if user == "root" { "" } else { PASSWORD });
    let exec = ["exec", "--env", &password, "shop", "mariadb", "--no-defaults", "--socket=/data/s", "--user", user];
    let output = engine.docker(&[&exec[..], &["--batch", "--skip-column-names", "--execute", sql]].concat());
    if output.status.success() { Ok(String::from_utf8(output.stdout).unwrap()) } else { Err(output) }
}

fn ask(engine: &Engine, words: &[&str]) -> String {
    let password = format!("REDISCLI_AUTH={PASSWORD}");
    let output = engine.docker(&[&["exec", "--env", &password, "cache", "redis-cli"], words].concat());
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn configure(larder: &Larder, data: &str) {
    fs::write(larder.path("secret"), PASSWORD).unwrap();
    let (repository, secret) = (larder.path("repository"), larder.path("secret"));
    let text = format!(
        "[repository]\npath = \"{}\"\n\
         [source.cache]\nkind = \"redis\"\ncontainer = \"cache\"\npassword_file = \"{secret}\"\n\
         data_file = \"{data}/dump.rdb\"\n\
         [source.cache.hooks]\nstop = \"docker stop cache\"\nstart = \"docker start cache\"\n\
         [source.shop]\nkind = \"mariadb\"\ncontainer = \"shop\"\nsocket = \"/data/s\"\nuser = \"app\"\n\
         password_file = \"{secret}\"\n",
        repository.display(),
        secret = secret.display()
    );
    fs::write(larder.path("larder.toml"), text).unwrap();
}

#[test]
fn servers_in_containers_come_back_from_what_their_own_clients_gave() {
    let (engine, larder) = (Engine::start(), Larder::new());
    engine.import_shell_of_this_machine(IMAGE);
    let data = start(&engine, "cache", "redis", [REDIS, REDIS_CONF]);
    start(&engine, "shop", "mysql", [MARIADB, ""]);
    configure(&larder, data.to_str().unwrap());
    let does = |words: &[&str]| -> Done {
        let configuration = larder.path("larder.toml").display().to_string();
        engine.larder(&larder, &[words, &["--json", "--config", &configuration]].concat())
    };
    wait_for("Redis answers", || ask(&engine, &["PING"]) == "PONG");
    wait_for("MariaDB answers", || sql(&engine, "root", "SELECT 1").is_ok());
    ask(&engine, &["SET", "key", "stored"]);
    let account = "CREATE USER app@localhost IDENTIFIED BY 'it''s \"secret\"'; GRANT ALL ON *.* TO app@localhost";
    sql(&engine, "root", account).unwrap();
    let table = "CREATE DATABASE shop; USE shop; CREATE TABLE items SELECT seq AS id FROM seq_1_to_5000";
    sql(&engine, "app", table).unwrap();
    for words in [["doctor"], ["run"]] {
        let done = does(&words);
        assert_eq!(done.code, Some(0), "{done:?}");
    }

    ask(&engine, &["SET", "key", "changed"]);
    sql(&engine, "app", "DROP TABLE shop.items").unwrap();
    for source in ["cache", "shop"] {
        let came = does(&["restore", &format!("{source}@latest"), "--into", source, "--yes"]);
        assert_eq!((came.code, came.json()["restored"].as_bool()), (Some(0), Some(true)), "{came:?}");
    }
    assert_eq!(ask(&engine, &["GET", "key"]), "stored");
    assert_eq!(sql(&engine, "app", "SELECT COUNT(*), SUM(id) FROM shop.items").unwrap(), "5000\t12502500\n");

    engine.ok(&["stop", "cache", "shop"]);
    let done = does(&["run"]);
    for at in [0, 1] {
        let said = done.json()["sources"][at]["errors"][0].as_str().unwrap().to_owned();
        assert!(said.contains("is not running") && !done.out.contains(PASSWORD), "{done:?}");
    }
    for at in [0, 1] {
        let trouble = does(&["doctor"]).json()["sources"][at]["troubles"][0].clone();
        assert!(trouble["hint"].as_str().unwrap().contains("docker ps"), "{trouble}");
    }
}
