//! What a Redis server holds.
//!
//! A server reads a dump only when it starts. So it is stopped by the hook `stop`, its file is replaced, and the hook
//! `start` lets it read that; nothing here stops a server by itself.

mod files;
mod rehearsal;

use std::thread;
use std::time::Duration;

use crate::config::sources::redis::Redis;
use crate::format::record::Record;
use crate::ops::verify::{Form, verify};
use crate::run::World;
use crate::run::room::Room;
use crate::run::services::rehearsal::{Miss, Rehearsed};
use crate::run::services::{Prepared, Service, Stored, Trouble, secret, with_causes};
use crate::source::client::{Client, Place};
use crate::source::redis::{DUMP, PASSWORD_VARIABLE, Server};

/// How often a server is asked whether it is down, or up again.
const PAUSE: Duration = Duration::from_millis(100);
/// So many times it may still be up after the hook `stop`.
const STOPPING_MAX: u32 = 100;
/// So many times it may not be up yet after the hook `start`.
const STARTING_MAX: u32 = 300;
/// So many times it may still be loading what it was given.
const LOADING_MAX: u32 = 36_000;
/// What a server answers while it loads.
const LOADING: &str = "LOADING";

impl Service for Redis {
    fn prepare(&self, world: &World<'_>) -> Result<Prepared, String> {
        let server = self.server(world)?;
        let source = server.dump(world.owner.clone(), (world.now)()).map_err(|error| with_causes(&error))?;
        let forms = vec![(DUMP.as_bytes().to_vec(), Form::Rdb)];
        Ok(Prepared { source: Box::new(source), forms, paths: Vec::new() })
    }

    fn troubles(&self, world: &World<'_>) -> Vec<Trouble> {
        self.look(world).err().into_iter().collect()
    }

    fn plan(&self, _: &Record) -> Result<Vec<String>, String> {
        let path = self.data_file.as_ref().ok_or(
            "Redis reads a dump only when it starts: give the source `data_file`, and the hooks `stop` and `start`",
        )?;
        Ok(vec![
            format!(
                "{} is replaced while the server is down, and with it the append only file beside it",
                path.display()
            ),
            "the server then holds what is stored and nothing else".to_owned(),
        ])
    }

    fn fits(&self, stored: &Stored<'_>, _: &World<'_>) -> Result<(), String> {
        stored.has(DUMP.as_bytes())
    }

    fn put_back(&self, stored: &Stored<'_>, world: &World<'_>) -> Result<(), String> {
        let path = self.data_file.as_ref().ok_or("the source has no `data_file`")?;
        let name = DUMP.as_bytes();
        // First of all: what fails after that starts it again, which must not meet the one that is still going down.
        wait_until_down(&self.server(world)?)?;
        verify(stored.repo, &stored.record.root, name, Form::Rdb, stored.threads)
            .map_err(|flaw| format!("{DUMP} {}", with_causes(&flaw)))?;
        files::put(path, &mut |file| stored.write(name, file).map(drop))?;
        files::refill_append_only(path)
    }

    fn rehearse(&self, stored: &Stored<'_>, room: &Room, _: &World<'_>) -> Result<Box<dyn Rehearsed>, Miss> {
        rehearsal::load(stored, room)
    }

    fn probe(&self, world: &World<'_>) -> Result<(), String> {
        let (mut starting, mut loading) = (0, 0);
        while let Err(trouble) = self.look(world) {
            let (tries, tries_max) = if trouble.what.contains(LOADING) {
                (&mut loading, LOADING_MAX)
            } else {
                (&mut starting, STARTING_MAX)
            };
            *tries += 1;
            if *tries > tries_max {
                return Err(trouble.what);
            }
            thread::sleep(PAUSE);
        }
        Ok(())
    }
}

impl Redis {
    fn server(&self, world: &World<'_>) -> Result<Server, String> {
        let secret = secret(self.password.as_ref(), world)?.map(|password| (PASSWORD_VARIABLE, password));
        let place =
            Place { host: self.host.clone(), port: self.port, socket: self.socket.clone(), user: self.user.clone() };
        let client = Client { container: self.container.clone(), secret };
        Ok(Server { place, client, options: self.options.clone() })
    }

    fn look(&self, world: &World<'_>) -> Result<(), Trouble> {
        let server = self.server(world).map_err(|error| Trouble::new(error, "see the password keys of the source"))?;
        server.client_version().map_err(|error| match &self.container {
            Some(container) => {
                Trouble::new(error, format!("check that the container {container} runs, with docker ps, and has sh"))
            }
            None => Trouble::new(error, "install redis-cli (redis-tools), or give `container`"),
        })?;
        let answer = server
            .ask(&["PING"])
            .map_err(|error| Trouble::new(error, "check that the server runs, and `host`, `port` and `socket`"))?;
        if answer != "PONG" {
            let hint = match answer.split(' ').next() {
                Some("NOPERM") => "let the user run ping, info, config|get, replconf and sync, with ACL SETUSER",
                Some(LOADING) => "wait until it has loaded its data",
                _ => "check `user` and the password",
            };
            return Err(Trouble::new(format!("the server answers: {answer}"), hint));
        }
        match &self.data_file {
            Some(path) => self.look_at_file(&server, path),
            None => Ok(()),
        }
    }

    /// Whether the server would read the file, as far as it tells.
    fn look_at_file(&self, server: &Server, path: &std::path::Path) -> Result<(), Trouble> {
        let hint = "correct `data_file`: the path that it has on this machine";
        if !path.parent().is_some_and(std::path::Path::is_dir) {
            return Err(Trouble::new(format!("there is no folder for {}", path.display()), hint));
        }
        let answer = server.ask(&["CONFIG", "GET", "dbfilename"]).unwrap_or_default();
        let own = answer.strip_prefix("dbfilename\n");
        if let Some(own) = own.filter(|own| path.file_name().is_none_or(|name| name != *own)) {
            return Err(Trouble::new(format!("the server's file is called {own}, not {}", path.display()), hint));
        }
        let persistence = server.ask(&["INFO", "persistence"]).unwrap_or_default();
        if persistence.lines().any(|line| line.trim() == "aof_enabled:1") && files::manifest(path).is_none() {
            let what = format!("the server reads its append only file, and there is none beside {}", path.display());
            return Err(Trouble::new(what, "correct `data_file`; versions before 7 need appendonly no to be put back"));
        }
        Ok(())
    }
}

/// A server that runs would write what it holds over the file when it ends.
fn wait_until_down(server: &Server) -> Result<(), String> {
    let mut tries = 0;
    loop {
        let answer = match server.ask(&["PING"]) {
            Err(error) if is_down(&error) => return Ok(()),
            Err(error) => error,
            Ok(answer) => format!("it answers {answer}"),
        };
        tries += 1;
        if tries > STOPPING_MAX {
            return Err(format!("the server is not down: the hook `stop` has to end it\n{answer}"));
        }
        thread::sleep(PAUSE);
    }
}

/// Whether an error says that there is nobody to ask.
fn is_down(error: &str) -> bool {
    ["Could not connect", "is not running", "No such container"].iter().any(|words| error.contains(words))
}
