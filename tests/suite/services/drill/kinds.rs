//! Snapshots that are whole, and yet not what their source gives: a drill says so without the service.

use std::fs;

use super::{add, nothing_is_left, of};
use crate::support::binary::Larder;

/// An archive with one member.
fn archive(member: &str) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(2);
    tar.append_data(&mut header, member, &b"{}"[..]).unwrap();
    tar.into_inner().unwrap()
}

/// Files by their names.
type Files<'f> = Vec<(&'f str, &'f [u8])>;

fn rabbit(definitions: &str) -> (&str, Files<'_>) {
    ("rabbit", vec![("definitions.json", definitions.as_bytes())])
}

fn flows<'f>(workflows: &'f str, credentials: &'f str, key: &'f str) -> (&'f str, Files<'f>) {
    let files = [("workflows.json", workflows), ("credentials.json", credentials), ("encryption_key", key)];
    ("flows", files.map(|(name, text)| (name, text.as_bytes())).into())
}

fn vectors<'f>(snapshot: &'f [u8], aliases: &'f str) -> (&'f str, Files<'f>) {
    ("vectors", vec![("a.snapshot", snapshot), ("aliases.json", aliases.as_bytes())])
}

const SEALED: &str = "[{\"id\": \"new\", \"name\": \"a\", \"data\": \"x\"}, {\"id\": \"shop\", \"name\": \"b\", \"data\": \
    \"U2FsdGVkX1/pyp7eBhD87cQmkkJtAz14OuvCooqgo/aKeFios5nHnTUOTZ0xpZB7xCZuAz1ncs25XPJ89Hk9Cw==\"}]";

#[test]
fn what_a_service_would_not_take_back_fails() {
    let larder = Larder::new();
    let password = larder.file("password", "x");
    larder.configure(&format!(
        "[source.rabbit]\nkind = \"rabbitmq\"\nurl = \"http://127.0.0.1:9\"\nuser = \"x\"\npassword_file = \"{password}\"\n\
         [source.vectors]\nkind = \"qdrant\"\nurl = \"http://127.0.0.1:9\"\n\
         [source.flows]\nkind = \"n8n\"\nuser_folder = \"/nowhere\"\n"
    ));
    add(&larder, "");
    let (good, aliases) = (archive("./config.json"), "{\"aliases\": []}");
    let (flow, secret) = ("[{\"name\": \"a\"}]", "[{\"name\": \"a\", \"data\": \"x\"}]");
    let other = archive("points");
    // "": it is proven.
    for ((source, files), said) in [
        (rabbit("{\"queues\": [{\"name\": \"q\"}], \"exchanges\": [], \"more\": 1}"), ""),
        (
            rabbit("{\"queues\": [{\"name\": \"q\"}]}"),
            "definitions.json is not what it should be: missing field `exchanges`",
        ),
        (rabbit("{\"queues\": [{\"nam\": \"q\"}], \"exchanges\": []}"), "missing field `name`"),
        (rabbit("{\"queues\": [], \"exchanges\": []"), "definitions.json is no JSON"),
        (vectors(&good, aliases), ""),
        (("vectors", vec![("aliases.json", aliases.as_bytes())]), "the snapshot holds no collection"),
        (vectors(&other, aliases), "a.snapshot is an archive without config.json"),
        (vectors(&good[..513], aliases), "a.snapshot: the archive cannot be read on"),
        (vectors(b"<html>502 Bad Gateway</html>", aliases), "a.snapshot"),
        (vectors(&good, "{}"), "aliases.json does not say aliases"),
        (flows(flow, secret, "k"), ""),
        (flows("[]", secret, "k"), "workflows.json holds no workflows"),
        (flows("{\"name\": \"a\"}", secret, "k"), "workflows.json is not what it should be"),
        (
            flows(flow, "[{\"name\": \"a\", \"data\": {\"user\": \"in the clear\"}}]", "k"),
            "credentials.json is not what",
        ),
        (flows(flow, "[\"in the clear\"]", "k"), "credentials.json is not what it should be: line 1 column"),
        (flows(flow, secret, ""), "encryption_key: it is empty"),
        (flows(flow, secret, &"k".repeat(70_000)), "encryption_key is longer than any key"),
        // Made by n8n itself, with the key `Zt3kq+key of n8n/==`, and with one of its database.
        (flows(flow, SEALED, "Zt3kq+key of n8n/=="), ""),
        (
            flows(flow, SEALED, "another"),
            "encryption_key does not open 1 of 2 credentials (id shop): n8n needs another key",
        ),
        (
            flows(flow, "[{\"id\": 7, \"name\": \"a\", \"data\": \"k_1:AAEC\"}]", "k"),
            "encryption_key does not open 1 of 1 credential (id 7): n8n has their key in its database alone",
        ),
    ] {
        let folder = larder.path("tree");
        fs::create_dir(&folder).unwrap();
        files.iter().for_each(|(name, content)| fs::write(folder.join(name), content).unwrap());
        larder.ok(&["backup", folder.to_str().unwrap(), "--source", source]);
        fs::remove_dir_all(&folder).unwrap();
        let done = larder.configured(&["drill", source, "--json"]);
        let drilled = of(&done, source);
        if said.is_empty() {
            assert_eq!(drilled["verdict"], "proven", "{done:?}");
        } else {
            assert_eq!(drilled["verdict"], "failed", "{said}: {done:?}");
            assert!(drilled["errors"][0].as_str().unwrap().contains(said), "{said}: {done:?}");
        }
        assert!(!done.err.contains("in the clear"), "{done:?}");
        nothing_is_left(&larder);
    }
}
