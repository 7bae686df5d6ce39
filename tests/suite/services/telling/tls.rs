//! HTTPS: `ca_file` is what is trusted, for who is told and for what is backed up.

use super::{Authority, Server};
use crate::support::binary::Larder;

/// A server with a certificate for this name.
fn server(authority: &Authority, host: &str) -> Server {
    let (certificate, key) = authority.certificate(host);
    Server::start("https.py", &[certificate.to_str().unwrap(), key.to_str().unwrap()], &[])
}

/// A repository with an export of that server as a source, and a webhook there.
fn configure(larder: &Larder, port: u16, ca_file: Option<&str>) {
    let ca_file = ca_file.map_or(String::new(), |file| format!("ca_file = \"{file}\"\n"));
    larder.configure(&format!(
        "[source.export]\nkind = \"http\"\nurl = \"https://localhost:{port}/export\"\nfile = \"export.json\"\n{ca_file}\
         [notify.hook]\nkind = \"webhook\"\nurl = \"https://localhost:{port}/hook\"\non = [\"failure\", \"success\"]\n\
         {ca_file}"
    ));
}

#[test]
fn a_server_that_the_file_vouches_for_is_read_and_told() {
    let (larder, authority) = (Larder::new(), Authority::new("one"));
    let server = server(&authority, "localhost");
    configure(&larder, server.port, Some(&authority.file()));
    let report = larder.backs_up();
    assert!(report["told"][0]["error"].is_null() && report["sources"][0]["verified"] == true, "{report}");
    let (asked, told) = (server.next(), server.next());
    assert_eq!([&asked["what"], &told["what"]], ["GET /export", "POST /hook"]);
    assert!(told["body"].as_str().unwrap().contains("\"status\":\"done\""), "{told}");
    assert_eq!(larder.ok(&["cat", "export@latest:export.json"]).out, "{\"exported\": true}");
}

#[test]
fn a_server_that_nothing_vouches_for_or_of_another_name_is_neither_read_nor_told() {
    let (larder, authority, other) = (Larder::new(), Authority::new("one"), Authority::new("other"));
    let (here, elsewhere) = (server(&authority, "localhost"), server(&authority, "elsewhere.example"));
    for (server, ca_file, said) in [
        (&here, None, "UnknownIssuer"),
        (&here, Some(other.file()), "UnknownIssuer"),
        (&elsewhere, Some(authority.file()), "certificate not valid for name \"localhost\""),
    ] {
        configure(&larder, server.port, ca_file.as_deref());
        let done = larder.configured(&["run", "--json"]);
        let report = done.json();
        assert_eq!((done.code, report["status"].as_str()), (Some(1), Some("failed")), "{done:?}");
        for error in [&report["sources"][0]["errors"][0], &report["told"][0]["error"]] {
            assert!(error.as_str().unwrap().contains(said), "{report}\n  instead of\n{said}");
        }
        server.has_nothing();
    }
}

#[test]
fn a_file_without_certificates_is_said() {
    let (larder, authority) = (Larder::new(), Authority::new("one"));
    let server = server(&authority, "localhost");
    configure(&larder, server.port, Some(&larder.file("empty.pem", "")));
    let done = larder.configured(&["notify", "test"]);
    assert!(done.code == Some(1) && done.out.contains("empty.pem: there are none"), "{done:?}");
}
