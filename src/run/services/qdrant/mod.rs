//! Collections of a Qdrant server: a snapshot of each is made there, read, and deleted there; put back, it is uploaded.

mod server;

use std::sync::Arc;

use serde_json::{Value, json};

use crate::config::sources::qdrant::Qdrant;
use crate::format::record::Record;
use crate::http::Error;
use crate::ops::verify::Form;
use crate::run::World;
use crate::run::room::Room;
use crate::run::services::qdrant::server::{Alias, Server, Trouble as Failure, aliases_in};
use crate::run::services::rehearsal::{Miss, Rehearsed, archive_has, blamed, document, into_folder, several};
use crate::run::services::{Prepared, Service, Stored, Trouble, fetch, with_causes};
use crate::source::opened::{OpenedSource, Pending, Stream};

/// The name of the file with the aliases, which no snapshot holds.
const ALIASES: &str = "aliases.json";
/// How the names of files with snapshots end.
const ENDING: &str = ".snapshot";
/// What every snapshot has in it: the settings of the collection.
const SETTINGS: &str = "config.json";

impl Service for Qdrant {
    fn prepare(&self, world: &World<'_>) -> Result<Prepared, String> {
        let server = self.server(world).map_err(|trouble| trouble.what)?;
        let said = |failure: Failure| failure.to_string();
        let known = server.collections().map_err(said)?;
        let collections = self.chosen(&known)?;
        let mut aliases = server.aliases().map_err(said)?;
        aliases.retain(|(_, collection)| collections.contains(collection));
        let mut streams: Vec<Pending> = collections.into_iter().map(|name| pending(&server, name)).collect();
        streams.push(stored_aliases(&aliases));
        let forms = streams.iter().map(|stream| {
            let form = if stream.name == ALIASES.as_bytes() { Form::Json } else { Form::Any };
            (stream.name.clone(), form)
        });
        let forms = forms.collect();
        let source = OpenedSource::new(streams, world.owner.clone(), (world.now)());
        let source = source.map_err(|error| with_causes(&error))?;
        Ok(Prepared { source: Box::new(source), forms, paths: Vec::new() })
    }

    fn troubles(&self, world: &World<'_>) -> Vec<Trouble> {
        let look = || {
            let known = self.server(world)?.collections().map_err(|failure| trouble(&failure))?;
            self.chosen(&known).map(drop).map_err(|what| Trouble::new(what, "check `url` and `collections`"))
        };
        look().err().into_iter().collect()
    }

    fn form_of(&self, name: &str) -> Option<Form> {
        Some(if name == ALIASES { Form::Json } else { Form::Any })
    }

    fn rehearse(&self, stored: &Stored<'_>, room: &Room, _: &World<'_>) -> Result<Box<dyn Rehearsed>, Miss> {
        let folder = into_folder(stored, room, &|name| self.form_of(name))?;
        let collections = stored.names_ending(ENDING).map_err(|error| blamed(error, stored, room))?;
        if collections.is_empty() {
            return Err(Miss::Failed("the snapshot holds no collection".to_owned()));
        }
        for name in &collections {
            archive_has(stored, &format!("{name}{ENDING}"), SETTINGS, room)?;
        }
        aliases_in(&document(stored, ALIASES, room)?)
            .ok_or_else(|| Miss::Failed(format!("{ALIASES} does not say aliases as Qdrant does")))?;
        Ok(folder.holding(several(collections.len(), "collection")))
    }

    fn plan(&self, _: &Record) -> Result<Vec<String>, String> {
        let which = match self.collections.as_slice() {
            [] => "every collection in the snapshot".to_owned(),
            some => format!("{} in the snapshot", some.join(", ")),
        };
        Ok(vec![
            format!("{which} replaces the collection of that name at {}, one after the other", self.url),
            "their aliases are set as they were; other collections and aliases stay".to_owned(),
        ])
    }

    fn fits(&self, stored: &Stored<'_>, _: &World<'_>) -> Result<(), String> {
        let chosen = self.chosen(&stored.names_ending(ENDING)?);
        chosen.map(drop).map_err(|error| format!("in the snapshot, {error}; restore it with --to"))
    }

    fn put_back(&self, stored: &Stored<'_>, world: &World<'_>) -> Result<(), String> {
        let collections =
            self.chosen(&stored.names_ending(ENDING)?).map_err(|error| format!("in the snapshot, {error}"))?;
        let server = self.server(world).map_err(|trouble| trouble.what)?;
        let mut file = Vec::new();
        stored.write(ALIASES.as_bytes(), &mut file)?;
        let parsed: Option<Value> = serde_json::from_slice(&file).ok();
        let mut aliases = parsed.as_ref().and_then(aliases_in).ok_or("the stored aliases make no sense")?;
        aliases.retain(|(_, collection)| collections.contains(collection));
        for collection in &collections {
            stored
                .stream(format!("{collection}{ENDING}").as_bytes(), |from, bytes| {
                    server.recover(collection, from, bytes).map_err(|failure| failure.to_string())
                })
                .map_err(|error| format!("collection {collection}: {error}"))?;
        }
        server.set_aliases(&aliases).map_err(|failure| format!("aliases: {failure}"))
    }
}

impl Qdrant {
    fn server(&self, world: &World<'_>) -> Result<Server, Trouble> {
        let key = self.api_key.as_ref().map(|from| fetch("API key", from, world)).transpose();
        let key = key.map_err(|error| Trouble::new(error, "see the api_key keys of the source"))?;
        Server::new(self, key).map_err(|error| trouble(&Failure::Http(error)))
    }

    /// Of these collections, the ones that are wanted, of which none may be missing.
    fn chosen(&self, known: &[String]) -> Result<Vec<String>, String> {
        if known.is_empty() {
            return Err("there are no collections".to_owned());
        }
        match self.collections.iter().find(|name| !known.contains(name)) {
            Some(missing) => Err(format!("there is no collection {missing:?}, but {}", known.join(", "))),
            None if self.collections.is_empty() => Ok(known.to_vec()),
            None => Ok(self.collections.clone()),
        }
    }
}

fn pending(server: &Server, collection: String) -> Pending {
    let (server, name) = (server.clone(), format!("{collection}{ENDING}").into_bytes());
    let open = move || server.snapshot(&collection).map(|snapshot| Box::new(snapshot) as Box<dyn Stream>);
    Pending { name, open: Arc::new(open) }
}

fn stored_aliases(aliases: &[Alias]) -> Pending {
    let one = |(alias, collection): &Alias| json!({"alias_name": alias, "collection_name": collection});
    let file = json!({"aliases": aliases.iter().map(one).collect::<Vec<_>>()}).to_string() + "\n";
    Pending::held(ALIASES, file.into_bytes().into())
}

fn trouble(failure: &Failure) -> Trouble {
    let hint = match failure {
        Failure::Http(Error::Refused { status: 401 | 403, .. }) => {
            "check the API key: it must be allowed to manage collections (api_key_file, _env or _command)"
        }
        Failure::Http(Error::Silent { .. }) => "check `url`, that Qdrant runs, and for https `ca_file`",
        Failure::Http(Error::Certificates { .. }) => "check `ca_file`: it must hold certificates as PEM",
        _ => "check that `url` is that of Qdrant's HTTP interface, usually on port 6333",
    };
    Trouble::new(failure.to_string(), hint)
}
