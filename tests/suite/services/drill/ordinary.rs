//! Drills by somebody who is not root.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use super::{add, nothing_is_left, of, running_in, shop, waiting};
use super::{postgres, redis};
use crate::support::binary::{Done, Larder, carry};
use crate::support::waiting::wait_for;

const NOBODY: u32 = 65_534;

/// larder, started by nobody, who is given all that there is.
fn by_nobody(larder: &Larder, more: &[&str]) -> Command {
    let program = larder.path("larder");
    // The build folder may be out of reach. By another process: none of this one's may hold it open for writing.
    let copied = Command::new("cp").arg(env!("CARGO_BIN_EXE_larder")).arg(&program).status();
    assert!(copied.unwrap().success());
    // Something may go while it is given away.
    let owner = format!("{NOBODY}:{NOBODY}");
    let give = || Command::new("chown").args(["-R", &owner]).arg(larder.folder.path()).status().unwrap().success();
    wait_for("all is given away", give);
    let configuration = larder.path("larder.toml").display().to_string();
    let mut command = Command::new(program);
    command.env_clear().stdin(Stdio::null()).uid(NOBODY).gid(NOBODY);
    carry(&larder.command(&[&["drill", "--json", "--config", &configuration], more].concat()), &mut command);
    command
}

/// A server of one's own runs as oneself; what belongs to others is restored all the same.
#[test]
fn an_ordinary_user_drills_with_servers_of_its_own() {
    let (server, cache, larder) = (postgres::Server::start(), redis::Server::start(""), Larder::new());
    shop(&server);
    cache.fill();
    let files = larder.path("files");
    fs::create_dir(&files).unwrap();
    fs::write(files.join("theirs"), "theirs").unwrap();
    chown(files.join("theirs"), Some(1234), Some(5678)).unwrap();
    fs::set_permissions(files.join("theirs"), fs::Permissions::from_mode(0o4711)).unwrap();
    postgres::configure(&larder, &server, "");
    let (secret, who) = (larder.file("redis-secret", redis::PASSWORD), format!("test $(id -u) = {NOBODY}"));
    add(
        &larder,
        &format!(
            "[source.db.drill]\nchecks = [{{ sql = \"select count(*) from items\", database = \"shop\", expect = \"5000\" }}, \
             {{ command = \"{who} && test $(psql -d postgres -Atc 'show data_directory' | xargs stat -c %u) = {NOBODY}\" }}]\n\
             [source.cache]\nkind = \"redis\"\n{}\npassword_file = \"{secret}\"\n\
             [source.cache.drill]\nchecks = [{{ command = \"test $(redis-cli -s $LARDER_REDIS_SOCKET dbsize) -gt 5000\" }}]\n\
             [source.files]\nkind = \"directory\"\npaths = [\"{}\"]\n\
             [source.files.drill]\nchecks = [{{ command = \"grep theirs theirs\" }}]\n",
            redis::socket(&cache),
            files.display()
        ),
    );
    larder.backs_up();
    // Neither is needed any more.
    drop((server, cache));
    let done = Done::of(by_nobody(&larder, &[]).output().unwrap(), &[]);
    for (source, place) in [("db", "a PostgreSQL "), ("cache", "a Redis of its own"), ("files", "a folder")] {
        let drilled = of(&done, source);
        assert_eq!(drilled["verdict"], "proven", "{done:?}");
        assert!(drilled["place"].as_str().unwrap().starts_with(place), "{drilled}");
    }
    assert_eq!(done.code, Some(0), "{done:?}");
    nothing_is_left(&larder);
    // Killed, it leaves nothing either.
    let text = fs::read_to_string(larder.path("larder.toml")).unwrap();
    let text =
        text.replace("[source.db.drill]\nchecks = [", &format!("[source.db.drill]\nchecks = [{}, ", waiting(&larder)));
    fs::write(larder.path("larder.toml"), text).unwrap();
    for signal in ["KILL", "TERM"] {
        let mut child = by_nobody(&larder, &["db"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        wait_for("the check", || larder.path("waits").exists());
        fs::remove_file(larder.path("waits")).unwrap();
        assert!(Command::new("kill").args(["-s", signal, &child.id().to_string()]).status().unwrap().success());
        assert!(!child.wait().unwrap().success());
        wait_for("nothing runs any more", || running_in(&larder.path("place")).is_empty());
        let next = by_nobody(&larder, &["files"]).output().unwrap();
        assert!(next.status.success() && of(&Done::of(next, &[]), "files")["warnings"] == serde_json::json!([]));
        nothing_is_left(&larder);
    }
}
