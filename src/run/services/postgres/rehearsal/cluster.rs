//! A PostgreSQL server of a drill's own.
//!
//! Promise: it listens on a socket in its room alone, runs as nobody who could do harm, and knows nothing of larder's
//! secrets.

use std::fs::{self, DirBuilder, File};
use std::os::unix::fs::{DirBuilderExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use crate::child::Running;
use crate::run::room::Room;
use crate::source::client::{ANSWER_LIMIT, WORK_LIMIT, lines_of};
use crate::source::postgres::{MAINTENANCE, Server};

/// Where distributions put the programs of each version.
const PLACES: [&str; 3] = ["/usr/lib/postgresql", "/usr/local/lib/postgresql", "/opt/postgresql"];
/// The user that the server belongs to, if larder is root: it refuses to run as root.
const USER: &str = "postgres";
/// Its superuser: a name that no dump has.
const SUPERUSER: &str = "larder_drill";
const PORT: u16 = 5432;
const PAUSE: Duration = Duration::from_millis(100);
/// So many times it is asked whether it is up.
const TRIES_MAX: u32 = 600;
/// What is not safe here is never needed again.
const SETTINGS: [&str; 12] = [
    "listen_addresses=",
    "port=5432",
    "fsync=off",
    "full_page_writes=off",
    "synchronous_commit=off",
    "autovacuum=off",
    "wal_level=minimal",
    "max_wal_senders=0",
    "max_wal_size=256MB",
    "max_connections=10",
    "lc_messages=C",
    "dynamic_shared_memory_type=mmap",
];

/// The programs of one version.
pub struct Programs {
    folder: PathBuf,
    version: u32,
}

/// The oldest installed version that is no older than this one, if a server of it can run here.
pub fn programs(version: u32) -> Option<Programs> {
    user().ok()?;
    let versions = PLACES.iter().filter_map(|place| fs::read_dir(place).ok()).flatten();
    let folders = versions.filter_map(|entry| Some(entry.ok()?.path().join("bin")));
    let linked =
        ["/usr/bin/initdb", "/usr/local/bin/initdb"].into_iter().filter_map(|path| fs::canonicalize(path).ok());
    let folders = folders.chain(linked.filter_map(|path| Some(path.parent()?.to_owned())));
    let found = folders.filter(|folder| folder.join("initdb").exists()).filter_map(|folder| {
        let lines = lines_of(command(&folder.join("postgres"), None, &["--version"]), ANSWER_LIMIT).ok()?;
        let number = lines.first()?.split_whitespace().find_map(|word| word.split('.').next()?.parse().ok())?;
        Some(Programs { folder, version: number })
    });
    found.filter(|programs| programs.version >= version).min_by_key(|programs| programs.version)
}

/// A program without anything of larder's environment.
fn command(program: &Path, user: Option<(u32, u32)>, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).env_clear().env("PATH", "/usr/bin:/bin").env("LC_ALL", "C").current_dir("/");
    if let Some((user, group)) = user {
        command.uid(user).gid(group);
    }
    command.stdin(Stdio::null());
    command
}

/// A server that runs. Dropped, it is ended.
pub struct Cluster {
    /// Its version.
    pub version: u32,
    folder: PathBuf,
    running: Running,
}

impl Cluster {
    /// Makes one in a room and waits until it is up.
    pub fn start(programs: &Programs, room: &Room) -> Result<Self, String> {
        let cannot = |error: std::io::Error| format!("cannot make a PostgreSQL server: {error}");
        let user = user()?;
        let folder = room.folder.join("pg");
        room.let_pass().and_then(|()| room.holds_everything()).map_err(cannot)?;
        DirBuilder::new().mode(0o700).create(&folder).map_err(cannot)?;
        if let Some((user, group)) = user {
            chown(&folder, Some(user), Some(group)).map_err(cannot)?;
        }
        let data = folder.join("data").display().to_string();
        let make = ["-D", &data, "-U", SUPERUSER, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"];
        lines_of(command(&programs.folder.join("initdb"), user, &make), WORK_LIMIT)?;
        let log = File::create(room.folder.join("log")).map_err(cannot)?;
        let mut server = command(&programs.folder.join("postgres"), user, &["-D", &data]);
        for setting in SETTINGS {
            server.args(["-c", setting]);
        }
        server.arg("-c").arg(format!("unix_socket_directories={}", folder.display()));
        server.stdout(log.try_clone().map_err(cannot)?).stderr(log);
        let running = Running::start(server).map_err(cannot)?;
        let mut cluster = Self { version: programs.version, folder, running };
        cluster.wait(room)?;
        Ok(cluster)
    }

    fn wait(&mut self, room: &Room) -> Result<(), String> {
        let server = self.server();
        let mut last = String::new();
        for _ in 0..TRIES_MAX {
            if self.running.has_ended() {
                let log = fs::read_to_string(room.folder.join("log")).unwrap_or_default();
                return Err(format!("the PostgreSQL server does not start:\n{}", log.trim()));
            }
            match server.ask(MAINTENANCE, "SELECT 1") {
                Ok(_) => return Ok(()),
                Err(error) => last = error,
            }
            thread::sleep(PAUSE);
        }
        Err(format!("the PostgreSQL server does not answer: {last}"))
    }

    /// How to get at it.
    pub fn server(&self) -> Server {
        Server {
            host: Some(self.folder.display().to_string()),
            port: Some(PORT),
            user: Some(SUPERUSER.to_owned()),
            password: None,
            container: None,
        }
    }
}

/// Who the server is to belong to: larder's own user, unless that is root.
fn user() -> Result<Option<(u32, u32)>, String> {
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    let user = uzers::get_user_by_name(USER)
        .ok_or_else(|| format!("a PostgreSQL server cannot run as root, and there is no user {USER}"))?;
    Ok(Some((user.uid(), user.primary_group_id())))
}
