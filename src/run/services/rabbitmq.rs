//! A RabbitMQ node: its definitions, from the management API, and its data folder, read while it is stopped.

use std::io::{self, Read};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use serde::Deserialize;
use serde::de::IgnoredAny;
use zeroize::Zeroizing;

use crate::config::sources::rabbitmq::Rabbitmq;
use crate::format::record::Record;
use crate::http::{Answer, Body, Client, Error, Method, Redirects, Request, Settings, basic, component};
use crate::ops::json::Watched;
use crate::ops::restore::Extra;
use crate::ops::verify::Form;
use crate::run::World;
use crate::run::room::Room;
use crate::run::services::rehearsal::{Miss, Rehearsed, document, into_folder, several};
use crate::run::services::{Prepared, Service, Stored, Trouble, fetch, with_causes};
use crate::source::directory::{DirectorySource, Options};
use crate::source::joined::{Joined, Part};
use crate::source::opened::{OpenedSource, Pending, Stream};

/// The name of the file with the definitions.
const DEFINITIONS: &str = "definitions.json";
/// The name of the folder with the data: before the definitions in listing order.
const DATA: &str = "data";
/// Longest definitions where the node is stopped before anything is stored: they are held in memory until then.
const HELD_BYTES_MAX: u64 = 256 << 20;
/// Longest answer about a user.
const ANSWER_BYTES_MAX: u64 = 1 << 20;
/// The tag of users who may export and import definitions.
const TAG: &str = "administrator";
/// How often, and how far apart, a node that was just started is asked whether it is well.
const PROBES_MAX: u32 = 120;
const PAUSE: Duration = Duration::from_millis(500);

impl Service for Rabbitmq {
    fn prepare(&self, world: &World<'_>) -> Result<Prepared, String> {
        let said = |error| with_causes(&error);
        let api = self.api(world).map_err(|trouble| trouble.what)?;
        let definitions = match self.data_directory {
            Some(_) => Pending::held(DEFINITIONS, held(self.definitions(&api)?, HELD_BYTES_MAX)?),
            None => self.pending(api),
        };
        let name = definitions.name.clone();
        let stream = OpenedSource::new(vec![definitions], world.owner.clone(), (world.now)()).map_err(said)?;
        let mut parts = vec![Part { below: b"", source: Box::new(stream) }];
        if let Some(folder) = &self.data_directory {
            let options = Options { skip: world.skip.clone(), ..Options::default() };
            let source = DirectorySource::new(vec![folder.clone()], options).map_err(said)?;
            parts.insert(0, Part { below: DATA.as_bytes(), source: Box::new(source) });
        }
        let forms = vec![(name, Form::Json)];
        Ok(Prepared { source: Box::new(Joined::new(parts)), forms, paths: Vec::new() })
    }

    fn reads_stopped(&self) -> bool {
        self.data_directory.is_some()
    }

    fn troubles(&self, world: &World<'_>) -> Vec<Trouble> {
        let folder = self.data_directory.as_ref().and_then(|folder| {
            let what = format!("cannot read {}: {}", folder.display(), folder.read_dir().err()?);
            Some(Trouble::new(what, "correct `data_directory`, or let larder read it"))
        });
        self.look(world).err().into_iter().chain(folder).collect()
    }

    fn form_of(&self, name: &str) -> Option<Form> {
        (name == DEFINITIONS).then_some(Form::Json)
    }

    fn rehearse(&self, stored: &Stored<'_>, room: &Room, _: &World<'_>) -> Result<Box<dyn Rehearsed>, Miss> {
        let folder = into_folder(stored, room, &|name| self.form_of(name))?;
        Ok(folder.holding(document::<Defined>(stored, DEFINITIONS, room)?.words()))
    }

    fn plan(&self, _: &Record) -> Result<Vec<String>, String> {
        Ok(match &self.data_directory {
            Some(folder) => vec![format!(
                "{} becomes as it was stored, messages and all: what came later is gone; the node must be stopped meanwhile",
                folder.display()
            )],
            None => vec![
                format!(
                    "the definitions are imported at {}: what is missing is made, what differs is changed",
                    self.url
                ),
                "what is not in the snapshot stays; messages are not in it".to_owned(),
            ],
        })
    }

    fn fits(&self, stored: &Stored<'_>, _: &World<'_>) -> Result<(), String> {
        if self.data_directory.is_none() {
            return stored.has(DEFINITIONS.as_bytes());
        }
        if stored.is_folder(DATA.as_bytes())? {
            return Ok(());
        }
        Err("the snapshot has definitions only: leave out `data_directory` to import them".to_owned())
    }

    fn put_back(&self, stored: &Stored<'_>, world: &World<'_>) -> Result<(), String> {
        if self.data_directory.is_some() {
            return self.put_back_data(stored, world);
        }
        let api = self.api(world).map_err(|trouble| trouble.what)?;
        let said = |error: Error| error.to_string();
        if let Some(vhost) = &self.vhost {
            let path = format!("/api/vhosts/{}", component(vhost));
            match api.get(&path) {
                Err(Error::Refused { status: 404, .. }) => {
                    api.send(Method::PUT, &path, Body::Empty).map_err(said)?;
                }
                known => drop(known.map_err(said)?),
            }
        }
        stored.stream(DEFINITIONS.as_bytes(), |from, bytes| {
            api.send(Method::POST, &self.path(), Body::Stream { from, bytes }).map_err(|error| match error {
                Error::Refused { status: 400 | 413, ref said, .. } if said.contains("body size limit") => {
                    format!("{error}\nraise management.http.max_body_size of the node above {bytes}, in rabbitmq.conf")
                }
                error => said(error),
            })
        })
    }

    fn probe(&self, world: &World<'_>) -> Result<(), String> {
        let mut probes = 1;
        loop {
            match self.troubles(world).into_iter().next() {
                None => return Ok(()),
                // It was stopped, and takes its time to come up.
                Some(_) if self.data_directory.is_some() && probes < PROBES_MAX => thread::sleep(PAUSE),
                Some(trouble) => return Err(trouble.what),
            }
            probes += 1;
        }
    }
}

impl Rabbitmq {
    /// Where the definitions are.
    fn path(&self) -> String {
        match &self.vhost {
            Some(vhost) => format!("/api/definitions/{}", component(vhost)),
            None => "/api/definitions".to_owned(),
        }
    }

    fn api(&self, world: &World<'_>) -> Result<Api, Trouble> {
        let password = fetch("password", &self.password, world)
            .map_err(|error| Trouble::new(error, "see the password keys of the source"))?;
        let settings =
            Settings { certificates: self.ca_file.as_deref(), redirects: Redirects::Refuse, ..Settings::default() };
        let client = Client::with(&settings).map_err(|error| self.trouble(&error))?;
        Ok(Api { client, url: self.url.clone(), authorization: basic(&self.user, &password) })
    }

    /// The definitions, which are asked for when somebody reads them.
    fn pending(&self, api: Api) -> Pending {
        let source = self.clone();
        let open = move || source.definitions(&api).map(|definitions| Box::new(definitions) as Box<dyn Stream>);
        Pending { name: DEFINITIONS.into(), open: Arc::new(open) }
    }

    /// The definitions, as the server gives them.
    fn definitions(&self, api: &Api) -> Result<Definitions, String> {
        let answer = api.get(&self.path()).map_err(|error| self.trouble(&error).what)?;
        Ok(Definitions { url: self.url.clone(), json: Watched::new(answer.body)? })
    }

    /// Looks whether the user may do what it takes, and the virtual host is there.
    fn look(&self, world: &World<'_>) -> Result<(), Trouble> {
        let api = self.api(world)?;
        let said = |error: &Error| self.trouble(error);
        let answer = api.get("/api/whoami").map_err(|error| said(&error))?;
        let bytes = answer.bytes(ANSWER_BYTES_MAX).unwrap_or_default();
        let who: serde_json::Value = serde_json::from_slice(&bytes)
            .map_err(|_| Trouble::new(format!("{} is no management API of RabbitMQ", self.url), "check `url`"))?;
        if !is_administrator(&who["tags"]) {
            return Err(self.without_tag());
        }
        if let Some(vhost) = &self.vhost {
            api.get(&format!("/api/vhosts/{}", component(vhost))).map_err(|error| match error {
                Error::Refused { status: 404, .. } => {
                    Trouble::new(format!("there is no virtual host {vhost:?}"), "correct `vhost`, or leave it out")
                }
                error => said(&error),
            })?;
        }
        Ok(())
    }

    fn without_tag(&self) -> Trouble {
        let user = &self.user;
        let hint = format!("rabbitmqctl set_user_tags {user} {TAG}");
        Trouble::new(format!("user {user} has the right password, but not the tag {TAG} that this takes"), hint)
    }

    fn trouble(&self, error: &Error) -> Trouble {
        let hint = match error {
            Error::Refused { status: 401, said, .. }
                if said.contains("Not management") || said.contains("Not admin") =>
            {
                return self.without_tag();
            }
            Error::Refused { status: 401, .. } => "check `user` and the password",
            Error::Silent { .. } => {
                "check that the node runs, `url`, and for https `ca_file`; the management plugin must be on: \
                 rabbitmq-plugins enable rabbitmq_management"
            }
            Error::Certificates { .. } => "check `ca_file`: it must hold certificates as PEM",
            _ => "check `url` and `vhost`",
        };
        Trouble::new(error.to_string(), hint)
    }

    fn put_back_data(&self, stored: &Stored<'_>, world: &World<'_>) -> Result<(), String> {
        let folder = self.data_directory.as_ref().ok_or("there is no `data_directory`")?;
        self.fits(stored, world)?;
        stored.fill(DATA.as_bytes(), folder, Extra::Delete, &[], world)
    }
}

/// What definitions have to have, to be imported.
#[derive(Deserialize)]
struct Defined {
    exchanges: Vec<Named>,
    queues: Vec<Named>,
    #[serde(default)]
    bindings: Vec<Binding>,
    /// Of a virtual host alone, there are neither.
    #[serde(default)]
    users: Vec<Named>,
    #[serde(default)]
    vhosts: Vec<Named>,
}

#[derive(Deserialize)]
struct Named {
    #[serde(rename = "name")]
    _name: String,
}

#[derive(Deserialize)]
struct Binding {
    #[serde(rename = "source")]
    _source: String,
    #[serde(rename = "destination")]
    _destination: String,
}

impl Defined {
    fn words(&self) -> String {
        let counted = [
            several(self.vhosts.len(), "virtual host"),
            several(self.users.len(), "user"),
            several(self.exchanges.len(), "exchange"),
            several(self.bindings.len(), "binding"),
        ];
        format!("{} and {}", counted.join(", "), several(self.queues.len(), "queue"))
    }
}

/// The management API.
struct Api {
    client: Client,
    url: String,
    authorization: Zeroizing<String>,
}

impl Api {
    fn get(&self, path: &str) -> Result<Answer, Error> {
        self.request(Method::GET, path, Body::Empty)
    }

    fn send(&self, method: Method, path: &str, body: Body<'_>) -> Result<(), Error> {
        self.request(method, path, body).map(drop)
    }

    fn request(&self, method: Method, path: &str, body: Body<'_>) -> Result<Answer, Error> {
        let json = ("content-type", Zeroizing::new("application/json".to_owned()));
        let url = format!("{}{path}", self.url);
        let headers = vec![("authorization", self.authorization.clone()), json];
        self.client.request(&Request { method, url: &url, headers }, body)
    }
}

/// What of definitions must be there.
#[derive(Deserialize)]
struct Outline {
    queues: Option<IgnoredAny>,
    exchanges: Option<IgnoredAny>,
}

/// Definitions on their way.
struct Definitions {
    url: String,
    json: Watched<Box<dyn Read + Send>, Outline>,
}

impl Read for Definitions {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.json.read(buffer)
    }
}

impl Stream for Definitions {
    fn check(&mut self) -> Result<(), String> {
        let seen = self.json.seen().map_err(|why| broken(&self.url, &why))?;
        match seen.queues.and(seen.exchanges) {
            Some(_) => Ok(()),
            None => Err(broken(&self.url, "the answer has neither queues nor exchanges")),
        }
    }

    fn give_back(self: Box<Self>) -> Result<(), String> {
        Ok(())
    }
}

/// All of them, if they are no longer than this.
fn held(mut definitions: Definitions, bytes_max: u64) -> Result<Zeroizing<Vec<u8>>, String> {
    let mut bytes = Zeroizing::new(Vec::new());
    let read = definitions.by_ref().take(bytes_max + 1).read_to_end(&mut bytes);
    read.map_err(|error| broken(&definitions.url, &error.to_string()))?;
    if bytes.len() as u64 > bytes_max {
        let why = format!("they are longer than {bytes_max} bytes: leave out `data_directory`, and store that apart");
        return Err(broken(&definitions.url, &why));
    }
    definitions.check().map(|()| bytes)
}

fn broken(url: &str, why: &str) -> String {
    format!("no definitions from {url}: {why}")
}

/// Whether there is the tag among these: a list, or, from older versions, a text with commas.
fn is_administrator(tags: &serde_json::Value) -> bool {
    match tags {
        serde_json::Value::Array(tags) => tags.iter().any(|tag| tag == TAG),
        serde_json::Value::String(tags) => tags.split(',').any(|tag| tag == TAG),
        _ => false,
    }
}

#[cfg(test)]
#[path = "rabbitmq_tests.rs"]
mod tests;
