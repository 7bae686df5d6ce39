//! A fixture of Qdrant, built from the documentation of its HTTP interface: the real server cannot be had in the tests.
//!
//! It knows collections (a configuration, and points that are bytes here), aliases and snapshots, which are real tar
//! files with a true checksum, and it checks methods, paths, the API key and the form of an upload.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::drill::proves;
use crate::support::binary::Larder;
use crate::support::damage_repo::noise;
use crate::support::web::{Asked, Reply, Web, nobody};

const KEY: &str = "k3y-of-qdrant";

/// What the fixture has.
#[derive(Default)]
pub struct Fixture {
    pub collections: BTreeMap<String, Vec<u8>>,
    pub aliases: BTreeMap<String, String>,
    snapshots: BTreeMap<(String, String), Vec<u8>>,
    made: usize,
    fault: Fault,
    /// Whether nobody is asked for a key.
    open: bool,
}

/// What goes wrong.
#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Fault {
    #[default]
    None,
    /// Without the fields that need not be there.
    Taciturn,
    DiskFull,
    CutDownload,
    NoDownload,
    /// Says nothing while it lasts.
    SlowDownload,
    WrongChecksum,
    WrongSize,
    KeepsSnapshots,
    RefusesUploads,
    /// Takes the second one for as long as it lasts.
    SlowUpload,
}

pub struct Qdrant {
    fixture: Arc<Mutex<Fixture>>,
    pub web: Web,
}

impl Qdrant {
    /// One that wants no key, as it is installed.
    pub fn open() -> Self {
        let qdrant = Self::start();
        qdrant.has().open = true;
        qdrant
    }

    pub fn start() -> Self {
        let fixture = Arc::new(Mutex::new(Fixture::default()));
        let served = fixture.clone();
        let web = Web::start(move |asked| {
            let download = asked.method == "GET" && asked.path.contains("/snapshots/");
            while download && served.lock().unwrap().fault == Fault::SlowDownload {
                thread::sleep(Duration::from_millis(20));
            }
            let upload = asked.path.starts_with("/collections/pictures") && asked.path.contains("/snapshots/upload");
            while upload && served.lock().unwrap().fault == Fault::SlowUpload {
                thread::sleep(Duration::from_millis(20));
            }
            answer(&mut served.lock().unwrap(), asked)
        });
        Self { web, fixture }
    }

    pub fn has(&self) -> MutexGuard<'_, Fixture> {
        self.fixture.lock().unwrap()
    }

    /// Two collections, one of them long, and an alias.
    pub fn fill(&self) {
        let mut fixture = self.has();
        fixture.collections.insert("documents".into(), noise(1, 2_500_000).to_vec());
        fixture.collections.insert("pictures of ä".into(), b"few".to_vec());
        fixture.aliases.insert("current".into(), "documents".into());
    }

    pub fn keys(&self, larder: &Larder, more: &str) -> String {
        let key = larder.file("api-key", KEY);
        format!(
            "[source.vectors]\nkind = \"qdrant\"\nurl = \"{}\"\napi_key_file = \"{key}\"\n{more}\n",
            self.web.url("")
        )
    }
}

/// What the server says, and for how long it took.
fn result(result: &Value) -> Reply {
    Reply::json(200, &json!({"time": 0.002, "status": "ok", "result": result}))
}

fn refused(status: u16, error: &str) -> Reply {
    Reply::json(status, &json!({"time": 0.0, "status": {"error": error}, "result": null}))
}

fn answer(fixture: &mut Fixture, asked: &Asked) -> Reply {
    match asked.header("api-key") {
        KEY => {}
        "" if fixture.open => {}
        "" => return Reply::new(401, "text/plain", "Must provide an API key or an Authorization bearer token"),
        _ => return Reply::new(403, "text/plain", "Invalid API key or JWT"),
    }
    let (path, query) = asked.path.split_once('?').unwrap_or((&asked.path, ""));
    let parts: Vec<String> = path.trim_start_matches('/').split('/').map(decoded).collect();
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    match (asked.method.as_str(), parts.as_slice()) {
        ("GET", ["collections"]) => {
            let names = fixture.collections.keys().map(|name| json!({"name": name})).collect::<Vec<_>>();
            result(&json!({"collections": names}))
        }
        ("GET", ["aliases"]) => {
            let pairs = fixture.aliases.iter();
            let pairs = pairs.map(|(alias, of)| json!({"alias_name": alias, "collection_name": of}));
            result(&json!({"aliases": pairs.collect::<Vec<_>>()}))
        }
        ("POST", ["collections", "aliases"]) => change_aliases(fixture, asked),
        ("POST", ["collections", name, "snapshots"]) => create(fixture, name, query),
        ("POST", ["collections", name, "snapshots", "upload"]) => recover(fixture, name, query, asked),
        ("GET", ["collections", name, "snapshots", snapshot]) => download(fixture, name, snapshot),
        ("DELETE", ["collections", name, "snapshots", snapshot]) => {
            if fixture.fault == Fault::KeepsSnapshots {
                return refused(500, "Service internal error: cannot remove");
            }
            match fixture.snapshots.remove(&((*name).to_owned(), (*snapshot).to_owned())) {
                Some(_) => result(&json!(true)),
                None => refused(404, "Not found: Snapshot"),
            }
        }
        _ => Reply::new(404, "text/plain", ""),
    }
}

/// A component of a path as it was meant.
fn decoded(part: &str) -> String {
    let (mut bytes, mut rest) = (Vec::new(), part.as_bytes());
    while let [first, after @ ..] = rest {
        let (byte, after) = match first {
            b'%' => (u8::from_str_radix(std::str::from_utf8(&after[..2]).unwrap(), 16).unwrap(), &after[2..]),
            _ => (*first, after),
        };
        bytes.push(byte);
        rest = after;
    }
    String::from_utf8(bytes).unwrap()
}

fn change_aliases(fixture: &mut Fixture, asked: &Asked) -> Reply {
    assert_eq!(asked.header("content-type"), "application/json");
    let body: Value = serde_json::from_slice(&asked.body).unwrap();
    for action in body["actions"].as_array().unwrap() {
        if let Some(deleted) = action["delete_alias"]["alias_name"].as_str() {
            fixture.aliases.remove(deleted);
        } else {
            let of = |key: &str| action["create_alias"][key].as_str().unwrap().to_owned();
            if !fixture.collections.contains_key(&of("collection_name")) {
                return refused(404, "Not found: Collection doesn't exist!");
            }
            fixture.aliases.insert(of("alias_name"), of("collection_name"));
        }
    }
    result(&json!(true))
}

fn create(fixture: &mut Fixture, name: &str, query: &str) -> Reply {
    assert!(query.is_empty() || query == "wait=true", "{query}");
    let Some(points) = fixture.collections.get(name) else {
        return refused(404, &format!("Not found: Collection `{name}` doesn't exist!"));
    };
    if fixture.fault == Fault::DiskFull {
        return refused(500, "Service internal error: No space left on device (os error 28)");
    }
    let mut tar = tar::Builder::new(Vec::new());
    for (file, bytes) in [("config.json", &b"{\"params\": {}}"[..]), ("0/points", points)] {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        tar.append_data(&mut header, file, bytes).unwrap();
    }
    let snapshot = tar.into_inner().unwrap();
    fixture.made += 1;
    let file = format!("{name}-1718281828-2026-11-26-02-00-{:02}.snapshot", fixture.made);
    let wrong = usize::from(fixture.fault == Fault::WrongSize);
    let mut description = json!({
        "name": file, "size": snapshot.len() + wrong, "creation_time": "2026-11-26T02:00:00",
        "checksum": hex::encode(Sha256::digest(&snapshot)),
    });
    match fixture.fault {
        Fault::Taciturn => {
            description["creation_time"] = Value::Null;
            description["checksum"] = Value::Null;
        }
        Fault::WrongChecksum => description["checksum"] = json!("00".repeat(32)),
        _ => {}
    }
    fixture.snapshots.insert((name.to_owned(), file), snapshot);
    result(&description)
}

fn download(fixture: &Fixture, name: &str, snapshot: &str) -> Reply {
    let Some(bytes) = fixture.snapshots.get(&(name.to_owned(), snapshot.to_owned())) else {
        return refused(404, "Not found: Snapshot");
    };
    let reply = Reply::new(200, "application/octet-stream", bytes.clone());
    match fixture.fault {
        Fault::CutDownload => reply.cut(bytes.len() / 2),
        Fault::NoDownload => refused(500, "Service internal error: too many open files"),
        _ => reply,
    }
}

fn recover(fixture: &mut Fixture, name: &str, query: &str, asked: &Asked) -> Reply {
    assert_eq!(query, "wait=true&priority=snapshot");
    let boundary = asked.header("content-type").strip_prefix("multipart/form-data; boundary=").unwrap();
    let head = asked.body.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap() + 4;
    let said = String::from_utf8(asked.body[..head].to_vec()).unwrap().to_lowercase();
    assert!(said.starts_with(&format!("--{boundary}\r\n")), "{said}");
    assert!(said.contains("content-disposition: form-data; name=\"snapshot\"; filename="), "{said}");
    let end = format!("\r\n--{boundary}--\r\n");
    let file = asked.body[head..].strip_suffix(end.as_bytes()).expect("the form is not ended");
    if fixture.fault == Fault::RefusesUploads && name.starts_with("pictures") {
        return refused(400, "Wrong input: Snapshot is not compatible");
    }
    let mut points = Vec::new();
    for entry in tar::Archive::new(file).entries().unwrap() {
        let mut entry = entry.unwrap();
        if entry.path().unwrap().ends_with("points") {
            entry.read_to_end(&mut points).unwrap();
        }
    }
    fixture.collections.insert(name.to_owned(), points);
    result(&json!(true))
}

#[test]
fn collections_and_aliases_come_back_and_no_snapshot_stays_on_the_server() {
    let (qdrant, larder) = (Qdrant::start(), Larder::new());
    qdrant.fill();
    larder.configure(&qdrant.keys(&larder, ""));
    let report = larder.backs_up();
    let source = &report["sources"][0];
    assert_eq!((source["files"].as_u64(), source["verified"].as_bool()), (Some(3), Some(true)), "{report}");
    assert!(source["warnings"].as_array().unwrap().is_empty(), "{report}");
    assert!(qdrant.has().made == 2 && qdrant.has().snapshots.is_empty());
    let listed = larder.ok(&["ls", "vectors@latest"]).out;
    assert!(["aliases.json", "documents.snapshot", "pictures of ä.snapshot"].iter().all(|name| listed.contains(name)));
    let asked = qdrant.web.asked().len();
    assert_eq!(proves(&larder, "vectors"), "a folder with 2 collections");
    assert_eq!(qdrant.web.asked().len(), asked, "a drill asks nobody");
    // One is lost, one is changed, one is new, and the alias has moved to it.
    {
        let mut fixture = qdrant.has();
        fixture.collections.remove("documents");
        fixture.collections.insert("pictures of ä".into(), b"other".to_vec());
        fixture.collections.insert("new".into(), b"new".to_vec());
        fixture.aliases.insert("current".into(), "new".into());
        fixture.aliases.insert("newest".into(), "new".into());
    }
    let done = larder.puts_back("vectors");
    assert_eq!(done.code, Some(0), "{done:?}");
    let fixture = qdrant.has();
    assert!(fixture.collections["documents"] == noise(1, 2_500_000)[..]);
    assert_eq!(
        (&fixture.collections["pictures of ä"][..], &fixture.collections["new"][..]),
        (&b"few"[..], &b"new"[..])
    );
    assert_eq!((fixture.aliases["current"].as_str(), fixture.aliases["newest"].as_str()), ("documents", "new"));
    assert!(fixture.snapshots.is_empty());
    assert!(!format!("{done:?}{report}").contains(KEY));
}

#[test]
fn named_collections_are_the_only_ones_that_are_touched() {
    let (qdrant, larder) = (Qdrant::start(), Larder::new());
    qdrant.fill();
    qdrant.has().fault = Fault::Taciturn;
    larder.configure(&qdrant.keys(&larder, "collections = [\"pictures of ä\"]"));
    let report = larder.backs_up();
    assert_eq!((report["sources"][0]["files"].as_u64(), qdrant.has().made), (Some(2), 1), "{report}");
    assert_eq!(larder.ok(&["cat", "vectors@latest:aliases.json"]).json(), json!({"aliases": []}));
    qdrant.has().collections = BTreeMap::from([("documents".into(), b"other".to_vec())]);
    // Nothing is left to store beforehand.
    let arguments = ["restore", "vectors@latest", "--into", "vectors", "--yes"];
    let refused = larder.configured(&arguments);
    assert!(refused.code == Some(1) && refused.err.contains("there is no collection \"pictures of ä\""), "{refused:?}");
    let done = larder.configured(&[&arguments[..], &["--no-safety-snapshot"]].concat());
    assert_eq!(done.code, Some(0), "{done:?}");
    let fixture = qdrant.has();
    assert_eq!(
        (&fixture.collections["documents"][..], &fixture.collections["pictures of ä"][..]),
        (&b"other"[..], &b"few"[..])
    );
}

#[test]
fn what_goes_wrong_leaves_no_snapshot_here_and_none_on_the_server() {
    let (qdrant, larder) = (Qdrant::start(), Larder::new());
    qdrant.fill();
    larder.configure(&qdrant.keys(&larder, ""));
    for (fault, said) in [
        (Fault::DiskFull, "collection documents: "),
        (
            Fault::DiskFull,
            "answered 500: {\"result\":null,\"status\":{\"error\":\"Service internal error: No space left",
        ),
        (Fault::CutDownload, "the stream broke off"),
        (Fault::NoDownload, "too many open files"),
        (Fault::WrongChecksum, "does not have the checksum that the server gave"),
        (Fault::WrongSize, "bytes instead of"),
    ] {
        qdrant.has().fault = fault;
        let error = larder.fails("vectors");
        assert!(error.contains(said), "{error}");
        assert!(qdrant.has().snapshots.is_empty(), "{said}: a snapshot stays on the server");
    }
    assert_eq!(larder.snapshots("vectors"), 0);
}

#[test]
fn larder_that_is_killed_leaves_no_snapshot_on_the_server_either() {
    let (qdrant, larder) = (Qdrant::start(), Larder::new());
    qdrant.fill();
    larder.configure(&qdrant.keys(&larder, "collections = [\"documents\"]"));
    nothing_is_left_after_a_kill(&qdrant, &larder);
}

/// A run that is killed while it reads a snapshot, and one after it.
pub fn nothing_is_left_after_a_kill(qdrant: &Qdrant, larder: &Larder) {
    qdrant.has().fault = Fault::SlowDownload;
    let began = qdrant.web.calls().len();
    let mut running = larder.spawn(&["run", "--config", larder.path("larder.toml").to_str().unwrap()]);
    let read = |call: &String| call.starts_with("GET /collections/documents/snapshots/");
    while !qdrant.web.calls()[began..].iter().any(read) {
        thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(qdrant.has().snapshots.len(), 1);
    running.kill().unwrap();
    running.wait().unwrap();
    let mut tries = 0;
    while !qdrant.has().snapshots.is_empty() {
        tries += 1;
        assert!(tries < 3000, "it is still there: is curl installed? run scripts/test");
        thread::sleep(Duration::from_millis(20));
    }
    qdrant.has().fault = Fault::None;
    larder.backs_up();
    assert!(qdrant.has().snapshots.is_empty());
}

#[test]
fn a_snapshot_that_cannot_be_deleted_on_the_server_is_named() {
    let (qdrant, larder) = (Qdrant::start(), Larder::new());
    qdrant.fill();
    qdrant.has().fault = Fault::KeepsSnapshots;
    larder.configure(&qdrant.keys(&larder, "collections = [\"documents\"]"));
    let report = larder.backs_up();
    let warning = report["sources"][0]["warnings"][0].as_str().unwrap().to_owned();
    let name = qdrant.has().snapshots.keys().next().unwrap().1.clone();
    assert!(warning.contains(&name) && warning.contains("stays on the server's disk"), "{warning}");
    assert_eq!(larder.snapshots("vectors"), 1);
}

/// Killed between two collections: the one is as it was stored, the other as it was.
#[test]
fn a_restore_that_is_killed_can_be_done_again() {
    let (qdrant, larder) = (Qdrant::start(), Larder::new());
    qdrant.fill();
    larder.configure(&qdrant.keys(&larder, ""));
    larder.backs_up();
    let stored = qdrant.has().collections.clone();
    let names = || qdrant.has().collections.keys().cloned().collect::<Vec<_>>();
    for name in names() {
        qdrant.has().collections.insert(name, b"changed".to_vec());
    }
    let changed = qdrant.has().collections.clone();
    qdrant.has().fault = Fault::SlowUpload;
    let asked =
        || qdrant.web.calls().iter().any(|call| call.contains("pictures") && call.contains("/snapshots/upload"));
    let safety = larder.puts_back_and_is_killed("vectors", asked);
    assert!(qdrant.has().collections["documents"] == stored["documents"]);
    qdrant.has().fault = Fault::None;
    larder.puts("vectors@latest", "vectors");
    assert!(qdrant.has().collections == stored);
    larder.puts(&safety, "vectors");
    assert!(qdrant.has().collections == changed && qdrant.has().snapshots.is_empty());
    larder.backs_up();
    larder.ok(&["check", "--read-data"]);
}

#[test]
fn an_upload_that_is_refused_leaves_what_was_there() {
    let (qdrant, larder) = (Qdrant::start(), Larder::new());
    qdrant.fill();
    larder.configure(&qdrant.keys(&larder, ""));
    larder.backs_up();
    qdrant.has().collections.insert("documents".into(), b"other".to_vec());
    qdrant.has().fault = Fault::RefusesUploads;
    let done = larder.puts_back("vectors");
    let error = done.json()["errors"][0].as_str().unwrap().to_owned();
    assert!(error.starts_with("collection pictures of ä: ") && error.contains("Snapshot is not compatible"), "{error}");
    assert_eq!((done.code, &qdrant.has().collections["documents"][..]), (Some(1), &b"other"[..]), "{done:?}");
}

#[test]
fn doctor_says_what_is_wrong_and_how_to_mend_it() {
    let (qdrant, larder) = (Qdrant::start(), Larder::new());
    let good = qdrant.keys(&larder, "");
    let said = |keys: &str| {
        larder.configure(keys);
        larder.troubles("vectors")
    };
    assert!(said(&good).contains("there are no collections; check `url`"));
    qdrant.fill();
    assert_eq!(said(&good), "");
    larder.file("wrong", "s3cret");
    let wrong = said(&good.replace("/api-key\"", "/wrong\""));
    assert!(wrong.contains("answered 403: Invalid API key or JWT; check the API key") && !wrong.contains("s3cret"));
    let none = good.lines().filter(|line| !line.starts_with("api_key")).collect::<Vec<_>>().join("\n");
    larder.configure(&good.replace("/api-key\"", "/wrong\""));
    assert!(larder.fails("vectors").contains("answered 403: Invalid API key or JWT"));
    assert!(said(&none).contains("answered 401: Must provide an API key"));
    assert!(said(&good.replace("/api-key\"", "/none\"")).contains("no API key: cannot read"));
    assert!(
        said(&(good.clone() + "collections = [\"x\"]"))
            .contains("there is no collection \"x\", but documents, pictures")
    );
    assert!(said(&good.replace(&qdrant.web.url(""), &nobody())).contains("check `url`, that Qdrant runs"));
    assert!(larder.fails("vectors").contains("no answer from"));
    let other = Web::start(|_| Reply::new(200, "text/html", "<h1>hello"));
    assert!(said(&good.replace(&qdrant.web.url(""), &other.url(""))).contains("Qdrant's HTTP interface"));
    let mistaken = good.clone() + "collections = [\"a/b\"]";
    larder.configure(&mistaken);
    assert!(larder.configured(&["run"]).err.contains("collections: \"a/b\" cannot be the name"));
}
