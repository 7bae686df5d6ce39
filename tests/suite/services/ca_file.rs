//! HTTPS of services: with `ca_file` all goes well; without it, or with another authority's, nothing does, and that is said.
//!
//! Left out on purpose: exports over HTTP and whoever is told, which `telling/tls.rs` has.

use super::qdrant::{Qdrant, nothing_is_left_after_a_kill};
use super::rabbitmq::{self, Node};
use super::s3::server::{Gateway, with_configuration};
use super::telling::{Authority, Server};
use crate::support::binary::Larder;

/// HTTPS in front of a server, by a certificate that an authority vouches for.
struct Trusted {
    authority: Authority,
    other: Authority,
    terminator: Server,
}

impl Trusted {
    fn before(port: u16) -> Self {
        let authority = Authority::new("one");
        let (certificate, key) = authority.certificate("localhost");
        let words = [certificate.to_str().unwrap(), key.to_str().unwrap(), &port.to_string()];
        let terminator = Server::start("terminator.py", &words, &[]);
        Self { authority, other: Authority::new("other"), terminator }
    }

    fn url(&self) -> String {
        format!("https://localhost:{}", self.terminator.port)
    }

    /// The key that makes all go well.
    fn key(&self) -> String {
        format!("ca_file = \"{}\"\n", self.authority.file())
    }

    /// Keys with which nothing does, and what is said then.
    fn mistakes(&self, larder: &Larder) -> [(String, &'static str); 4] {
        let empty = larder.file("empty.pem", "");
        let named = |file: &str| format!("ca_file = \"{file}\"\n");
        [
            (String::new(), "UnknownIssuer"),
            (named(&self.other.file()), "UnknownIssuer"),
            (named(&empty), "empty.pem: there are none"),
            (named("/none"), "cannot read the certificates in /none"),
        ]
    }

    /// Whatever is wrong with the certificates: it is said, with the key that is to be corrected, and nothing is stored.
    fn decides(&self, larder: &Larder, source: &str, configure: &dyn Fn(&str)) {
        let before = larder.snapshots(source);
        for (keys, said) in self.mistakes(larder) {
            configure(&keys);
            let (error, troubles) = (larder.fails(source), larder.troubles(source));
            assert!(error.contains(said) && troubles.contains(said), "{keys}: {error}\n{troubles}");
            assert!(troubles.contains("`ca_file`"), "{keys}: {troubles}");
        }
        assert_eq!(larder.snapshots(source), before);
        configure(&self.key());
        assert_eq!(larder.troubles(source), "");
        larder.backs_up();
        assert_eq!(larder.snapshots(source), before + 1);
    }
}

#[test]
fn a_bucket_is_read_and_filled_by_https() {
    let (gateway, larder) = (Gateway::new("trusted"), Larder::new());
    let trusted = Trusted::before(gateway.address().port());
    let client = gateway.client();
    client.put("a", &Vec::new(), b"stored").unwrap();
    trusted.decides(&larder, "pail", &|keys| gateway.configure_at(&larder, &trusted.url(), keys));
    let stored = gateway.objects();
    client.put("a", &Vec::new(), b"changed").unwrap();
    let done = with_configuration(&larder, &["restore", "pail@latest", "--into", "pail", "--yes"]);
    assert_eq!(done.code, Some(0), "{done:?}");
    assert!(gateway.objects() == stored, "content and headers");
}

#[test]
fn collections_are_read_filled_and_cleared_up_by_https() {
    let (qdrant, larder) = (Qdrant::start(), Larder::new());
    qdrant.fill();
    let port = qdrant.web.url("").rsplit_once(':').unwrap().1.parse().unwrap();
    let trusted = Trusted::before(port);
    let configure =
        |keys: &str| larder.configure(&qdrant.keys(&larder, keys).replace(&qdrant.web.url(""), &trusted.url()));
    trusted.decides(&larder, "vectors", &configure);
    let stored = qdrant.has().collections.clone();
    qdrant.has().collections.insert("documents".into(), b"changed".to_vec());
    larder.puts("vectors@latest", "vectors");
    assert!(qdrant.has().collections == stored);
    // Who clears up after larder, and is another program, trusts the same file.
    configure(&(trusted.key() + "collections = [\"documents\"]"));
    nothing_is_left_after_a_kill(&qdrant, &larder);
}

/// What a node has comes and goes by HTTPS.
pub fn decides_about_a_node(node: &Node, larder: &Larder) {
    let trusted = Trusted::before(node.port);
    trusted.decides(larder, "rabbit", &|keys| larder.configure(&rabbitmq::source(larder, &trusted.url(), keys)));
    let stored = node.has();
    node.delete("users/app");
    larder.puts("rabbit@latest", "rabbit");
    assert_eq!(node.has(), stored);
}
