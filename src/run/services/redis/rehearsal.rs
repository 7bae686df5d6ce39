//! A dump that is tried out: a server of the drill's own loads it, where there is a program for that.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use zeroize::Zeroizing;

use crate::child::Running;
use crate::ops::verify::Form;
use crate::run::room::Room;
use crate::run::services::Stored;
use crate::run::services::redis::{LOADING, LOADING_MAX, PAUSE, STARTING_MAX};
use crate::run::services::rehearsal::{Miss, Rehearsed, blamed, untried, well_formed};
use crate::source::client::{Client, Place};
use crate::source::redis::{DUMP, Server};

/// The program.
const PROGRAM: &str = "redis-server";
/// What it says of a dump that another Redis made, and would load: of a newer version, or with a module.
const OF_ANOTHER: [&str; 2] = ["Can't handle RDB format version", "no matching module type"];

/// Writes the dump into the room and lets a server load it, if there is one.
pub fn load(stored: &Stored<'_>, room: &Room) -> Result<Box<dyn Rehearsed>, Miss> {
    well_formed(stored, DUMP.as_bytes(), Form::Rdb, room)?;
    let path = room.folder.join(DUMP);
    let mut file = File::create(&path).map_err(untried("cannot make a file"))?;
    stored.write(DUMP.as_bytes(), &mut file).map_err(|error| blamed(error, stored, room))?;
    drop(file);
    let mut loaded =
        Loaded { path, socket: room.folder.join("s").display().to_string(), server: None, keys: String::new() };
    if has_program(PROGRAM) && has_program("redis-cli") {
        loaded.server = Some(start(room).map_err(untried("cannot start redis-server"))?);
        loaded.wait(room)?;
    }
    Ok(Box::new(loaded))
}

fn has_program(name: &str) -> bool {
    let mut asked = Command::new(name);
    asked.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    asked.status().is_ok_and(|status| status.success())
}

fn start(room: &Room) -> std::io::Result<Running> {
    let log = File::create(room.folder.join("log"))?;
    let mut command = Command::new(PROGRAM);
    // Reachable by its socket alone, and never writing over what it was given.
    let settings = ["--port", "0", "--unixsocketperm", "700", "--dbfilename", DUMP, "--save", "", "--appendonly", "no"];
    command.args(settings).arg("--unixsocket").arg(room.folder.join("s")).arg("--dir").arg(&room.folder);
    command.args(["--daemonize", "no"]).current_dir(&room.folder);
    command.stdout(log.try_clone()?).stderr(log);
    Running::start(command)
}

struct Loaded {
    path: PathBuf,
    socket: String,
    server: Option<Running>,
    keys: String,
}

impl Loaded {
    fn asked(&self, words: &[&str]) -> Result<String, String> {
        let place = Place { socket: Some(self.socket.clone()), ..Place::default() };
        Server { place, client: Client::default(), options: Vec::new() }.ask(words)
    }

    /// Waits until it has loaded everything.
    fn wait(&mut self, room: &Room) -> Result<(), Miss> {
        let (mut starting, mut loading) = (0, 0);
        loop {
            if self.server.as_mut().is_none_or(Running::has_ended) {
                let log = fs::read_to_string(room.folder.join("log")).unwrap_or_default();
                let last: Vec<&str> = log.lines().rev().take(3).collect();
                let said = last.into_iter().rev().collect::<Vec<_>>().join("\n");
                let said = format!("redis-server does not load the dump:\n{said}");
                let killed = self.server.as_mut().is_some_and(Running::was_killed);
                let tried = !killed && !OF_ANOTHER.iter().any(|words| log.contains(words));
                return Err(if tried { Miss::Failed(said) } else { Miss::Untried(said) });
            }
            let (tries, tries_max) = match self.asked(&["PING"]) {
                Ok(answer) if answer == "PONG" => break,
                Ok(answer) if answer.starts_with(LOADING) => (&mut loading, LOADING_MAX),
                _ => (&mut starting, STARTING_MAX),
            };
            *tries += 1;
            if *tries > tries_max {
                return Err(Miss::Untried("redis-server does not answer".to_owned()));
            }
            thread::sleep(PAUSE);
        }
        self.keys = self.asked(&["DBSIZE"]).unwrap_or_default();
        Ok(())
    }
}

impl Rehearsed for Loaded {
    fn place(&self) -> String {
        match &self.server {
            Some(_) => format!("a Redis of its own, {} keys in the first database", self.keys),
            None => "a file: there is no redis-server here to load it".to_owned(),
        }
    }

    fn path(&self) -> &Path {
        &self.path
    }

    fn answers(&mut self) -> Result<(), String> {
        if self.server.is_some() { self.asked(&["PING"]).map(drop) } else { Ok(()) }
    }

    fn variables(&self) -> Vec<(&'static str, Zeroizing<String>)> {
        let socket = self.server.as_ref().map(|_| ("LARDER_REDIS_SOCKET", Zeroizing::new(self.socket.clone())));
        socket.into_iter().collect()
    }
}
