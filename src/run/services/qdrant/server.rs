//! What a Qdrant server is asked for.

use std::io::{self, Cursor, Read};
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::child::guard::Guard;
use crate::config::sources::qdrant::Qdrant;
use crate::http::{Answer, Body, Client, Error, Method, Redirects, Request, Settings, component};
use crate::source::opened::Stream;

/// How long a server may be silent: it makes a snapshot of a whole collection, or takes one in, before it says anything.
const SILENCE: Duration = Duration::from_secs(60 * 60);
/// Longest answer that is not a snapshot.
const ANSWER_BYTES_MAX: u64 = 64 << 20;
/// Deletes an address. The key goes there on the standard input, where nobody else sees it.
const DELETE: &str = "url=$1; shift; printf 'header = \"api-key: %s\"\\n' \"$LARDER_QDRANT_KEY\" | \
    curl --silent --max-time 600 --request DELETE --config - \"$@\" \"$url\"";
/// Goes between the parts of a form. Random enough that no snapshot has it.
const BOUNDARY_BYTES: usize = 16;

/// A server.
#[derive(Clone)]
pub struct Server {
    client: Client,
    url: String,
    key: Option<Zeroizing<String>>,
    certificates: Option<PathBuf>,
}

/// A name, and the collection that it stands for.
pub type Alias = (String, String);

impl Server {
    /// The server of a source.
    pub fn new(source: &Qdrant, key: Option<Zeroizing<String>>) -> Result<Self, Error> {
        let certificates = source.ca_file.as_deref();
        let client =
            Client::with(&Settings { certificates, redirects: Redirects::Refuse, silence: SILENCE, limit: None })?;
        Ok(Self { client, url: source.url.clone(), key, certificates: source.ca_file.clone() })
    }

    /// The names of its collections.
    pub fn collections(&self) -> Result<Vec<String>, Trouble> {
        let result = self.ask(Method::GET, "/collections", Body::Empty)?;
        let names = result["collections"].as_array().ok_or_else(|| self.strange("collections"))?;
        names.iter().map(|one| text(&one["name"]).ok_or_else(|| self.strange("collections"))).collect()
    }

    /// Its aliases.
    pub fn aliases(&self) -> Result<Vec<Alias>, Trouble> {
        let result = self.ask(Method::GET, "/aliases", Body::Empty)?;
        aliases_in(&result).ok_or_else(|| self.strange("aliases"))
    }

    /// Makes aliases stand for what these say, in one step. Others stay.
    pub fn set_aliases(&self, aliases: &[Alias]) -> Result<(), Trouble> {
        if aliases.is_empty() {
            return Ok(());
        }
        let delete = |(alias, _): &Alias| json!({"delete_alias": {"alias_name": alias}});
        let create =
            |(alias, collection): &Alias| json!({"create_alias": {"collection_name": collection, "alias_name": alias}});
        let actions: Vec<Value> = aliases.iter().map(delete).chain(aliases.iter().map(create)).collect();
        let body = json!({ "actions": actions }).to_string();
        self.confirmed(self.ask(Method::POST, "/collections/aliases", Body::Bytes(body.as_bytes()))?)
    }

    /// Makes a snapshot of a collection, and begins to read it. It is deleted there when the stream is given back.
    pub fn snapshot(&self, collection: &str) -> Result<Snapshot, String> {
        let place = format!("/collections/{}/snapshots", component(collection));
        let of = |error: Trouble| format!("collection {collection}: {error}");
        let made = self.ask(Method::POST, &format!("{place}?wait=true"), Body::Empty).map_err(of)?;
        let name = text(&made["name"]).ok_or_else(|| of(self.strange("the new snapshot")))?;
        let place = format!("{place}/{}", component(&name));
        let download = place.clone();
        let place = format!("{place}?wait=true");
        let leftover = Leftover { heir: self.heir(&place), server: self.clone(), place, name, there: true };
        match self.request(Method::GET, &download, Body::Empty, None) {
            Ok(answer) => Ok(Snapshot {
                body: answer.body,
                bytes: 0,
                expected: made["size"].as_u64(),
                hash: Sha256::new(),
                checksum: text(&made["checksum"]),
                leftover,
            }),
            Err(error) => {
                let error = of(Trouble::Http(error));
                Err(leftover.remove().err().map_or(error.clone(), |remark| format!("{error}\n{remark}")))
            }
        }
    }

    /// Deletes what is at a place if larder is killed before it does so itself; where there is no curl, it stays.
    fn heir(&self, place: &str) -> Option<Guard> {
        let mut words = ["-c", DELETE, "larder-qdrant", &format!("{}{place}", self.url)].map(str::to_owned).to_vec();
        let certificates =
            self.certificates.iter().flat_map(|path| ["--cacert".to_owned(), path.display().to_string()]);
        words.extend(certificates);
        let key = self.key.as_ref().map_or(String::new(), |key| key.to_string());
        Guard::new("sh", &words, &[("LARDER_QDRANT_KEY", key)]).ok()
    }

    /// Makes a collection what a snapshot holds: so many bytes from this stream.
    pub fn recover(&self, collection: &str, from: &mut dyn Read, bytes: u64) -> Result<(), Trouble> {
        let random = crate::crypto::random::bytes::<BOUNDARY_BYTES>();
        let boundary = hex::encode(random.map_err(|error| Trouble::Strange(error.to_string()))?);
        let before = format!(
            "--{boundary}\r\ncontent-disposition: form-data; name=\"snapshot\"; filename=\"larder.snapshot\"\r\n\
             content-type: application/octet-stream\r\n\r\n"
        );
        let after = format!("\r\n--{boundary}--\r\n");
        let length = before.len() as u64 + bytes + after.len() as u64;
        let mut form = Cursor::new(before).chain(from).chain(Cursor::new(after));
        let path = format!("/collections/{}/snapshots/upload?wait=true&priority=snapshot", component(collection));
        let body = Body::Stream { from: &mut form, bytes: length };
        let content_type = format!("multipart/form-data; boundary={boundary}");
        let answer = self.request(Method::POST, &path, body, Some(content_type)).map_err(Trouble::Http)?;
        self.confirmed(self.result(answer)?)
    }

    /// What the server answers, which is JSON, as its `result`.
    fn ask(&self, method: Method, path: &str, body: Body<'_>) -> Result<Value, Trouble> {
        let content_type = matches!(body, Body::Bytes(_)).then(|| "application/json".to_owned());
        let answer = self.request(method, path, body, content_type).map_err(Trouble::Http)?;
        self.result(answer)
    }

    fn result(&self, answer: Answer) -> Result<Value, Trouble> {
        let broken =
            |reason: String| Trouble::Strange(format!("no answer that makes sense from {}: {reason}", self.url));
        let bytes = answer.bytes(ANSWER_BYTES_MAX).map_err(|error| broken(error.to_string()))?;
        let mut whole: Value = serde_json::from_slice(&bytes).map_err(|error| broken(error.to_string()))?;
        Ok(whole["result"].take())
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        body: Body<'_>,
        content_type: Option<String>,
    ) -> Result<Answer, Error> {
        let url = format!("{}{path}", self.url);
        let key = self.key.iter().map(|key| ("api-key", key.clone()));
        let headers = key.chain(content_type.map(|text| ("content-type", Zeroizing::new(text)))).collect();
        self.client.request(&Request { method, url: &url, headers }, body)
    }

    fn strange(&self, what: &str) -> Trouble {
        Trouble::Strange(format!("{} does not say {what} as Qdrant does", self.url))
    }

    fn confirmed(&self, result: Value) -> Result<(), Trouble> {
        if result == Value::Bool(true) { Ok(()) } else { Err(self.strange("that it is done")) }
    }
}

/// Why a server did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// It refused, or said nothing.
    #[error(transparent)]
    Http(Error),
    /// What it said makes no sense.
    #[error("{0}")]
    Strange(String),
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

/// The aliases that an answer, or a stored file, lists.
pub fn aliases_in(result: &Value) -> Option<Vec<Alias>> {
    let pair = |one: &Value| Some((text(&one["alias_name"])?, text(&one["collection_name"])?));
    result["aliases"].as_array()?.iter().map(pair).collect()
}

/// A snapshot that is being read.
pub struct Snapshot {
    body: Box<dyn Read + Send>,
    bytes: u64,
    expected: Option<u64>,
    hash: Sha256,
    checksum: Option<String>,
    leftover: Leftover,
}

impl Read for Snapshot {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.body.read(buffer)?;
        self.hash.update(&buffer[..read]);
        self.bytes += read as u64;
        Ok(read)
    }
}

impl Stream for Snapshot {
    fn check(&mut self) -> Result<(), String> {
        let name = &self.leftover.name;
        if let Some(expected) = self.expected.filter(|expected| *expected != self.bytes) {
            return Err(format!("snapshot {name} has {} bytes instead of {expected}", self.bytes));
        }
        let found = hex::encode(std::mem::take(&mut self.hash).finalize());
        match &self.checksum {
            Some(checksum) if !checksum.eq_ignore_ascii_case(&found) => {
                Err(format!("snapshot {name} does not have the checksum that the server gave: {found}"))
            }
            _ => Ok(()),
        }
    }

    fn give_back(self: Box<Self>) -> Result<(), String> {
        self.leftover.remove()
    }
}

/// A snapshot on the server's disk, which must not stay there.
struct Leftover {
    server: Server,
    place: String,
    name: String,
    there: bool,
    /// Who deletes it if nobody else does.
    heir: Option<Guard>,
}

impl Leftover {
    fn remove(mut self) -> Result<(), String> {
        self.delete()
    }

    fn delete(&mut self) -> Result<(), String> {
        self.there = false;
        let deleted = self.server.request(Method::DELETE, &self.place, Body::Empty, None);
        // One that could not be deleted will not be deleted by asking in another way.
        if let Some(heir) = self.heir.take() {
            heir.disarm();
        }
        deleted.map(drop).map_err(|error| {
            format!(
                "snapshot {} stays on the server's disk; delete it there (DELETE {}): {error}",
                self.name, self.place
            )
        })
    }
}

impl Drop for Leftover {
    fn drop(&mut self) {
        if self.there {
            let _nobody_to_tell = self.delete();
        }
    }
}
