//! Exports over HTTP, from a server in the test: stored as they come, sent back, and never stored by half.

use std::fs;
use std::sync::{Arc, Mutex};

use super::drill::proves;
use crate::support::binary::Larder;
use crate::support::damage_repo::noise;
use crate::support::web::{Asked, Reply, Web, nobody};

const PASSWORD: &str = "pa:ss wörd";
/// `app` with that password.
const BASIC: &str = "Basic YXBwOnBhOnNzIHfDtnJk";

/// A service that holds one document, which whoever has the password may read and replace.
pub fn service(document: &Arc<Mutex<Vec<u8>>>, fit: impl Fn(&[u8]) -> bool + Send + Sync + 'static) -> Web {
    let document = document.clone();
    Web::start(move |asked| {
        if asked.header("authorization") != BASIC {
            return Reply::new(401, "text/plain", "who are you?");
        }
        match (asked.method.as_str(), asked.path.as_str()) {
            ("GET", "/export?all=1") => Reply::new(200, "application/octet-stream", document.lock().unwrap().clone()),
            ("PUT", "/import") if fit(&asked.body) => {
                document.lock().unwrap().clone_from(&asked.body);
                Reply::new(204, "text/plain", "")
            }
            ("PUT", "/import") => {
                // Half of it is done when it fails.
                document.lock().unwrap().clone_from(&asked.body[..asked.body.len() / 2].to_vec());
                Reply::new(422, "text/plain", "that is not for me")
            }
            _ => Reply::new(404, "text/plain", "nothing here"),
        }
    })
}

/// A repository with that service as the source `export`, and a folder as another.
pub fn configure(larder: &Larder, more: &str) {
    let folder = larder.path("files");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("one"), "one").unwrap();
    larder.configure(&format!(
        "[source.files]\nkind = \"directory\"\npaths = [\"{}\"]\n[source.export]\nkind = \"http\"\n{more}",
        folder.display()
    ));
}

/// Keys that ask the service.
pub fn keys(larder: &Larder, web: &Web) -> String {
    let password = larder.file("password", PASSWORD);
    format!(
        "url = \"{}\"\nuser = \"app\"\npassword_file = \"{password}\"\nfile = \"export.bin\"\n\
         restore_url = \"{}\"\nrestore_method = \"PUT\"\nheaders = {{ x-why = \"backup\" }}\n",
        web.url("/export?all=1"),
        web.url("/import")
    )
}

#[test]
fn an_export_is_stored_and_sent_back_and_what_was_there_is_stored_before() {
    let larder = Larder::new();
    let document = Arc::new(Mutex::new(noise(1, 3_000_000).to_vec()));
    let web = service(&document, |_| true);
    configure(&larder, &keys(&larder, &web));
    let report = larder.backs_up();
    assert_eq!(report["sources"][0]["size_bytes"].as_u64(), Some(3_000_000), "{report}");
    assert_eq!(proves(&larder, "export"), "a folder");
    let first = document.lock().unwrap().clone();
    *document.lock().unwrap() = noise(2, 1000).to_vec();
    let second = document.lock().unwrap().clone();
    let done = larder.puts_back("export");
    assert_eq!(done.code, Some(0), "{done:?}");
    assert!(*document.lock().unwrap() == first, "what was sent back is not what was stored");
    let asked = web.asked();
    let put: &Asked = asked.iter().find(|asked| asked.method == "PUT").unwrap();
    assert_eq!((put.header("content-type"), put.header("x-why")), ("application/octet-stream", "backup"));
    let safety = done.json()["safety_snapshot"].as_str().unwrap().to_owned();
    larder.ok(&["restore", &safety, "--to", larder.path("out").to_str().unwrap()]);
    assert!(fs::read(larder.path("out/export.bin")).unwrap() == second);
    assert!(!format!("{done:?}").contains(PASSWORD));
}

#[test]
fn what_a_service_refuses_to_take_back_leaves_what_was_there() {
    let larder = Larder::new();
    let document = Arc::new(Mutex::new(b"first".to_vec()));
    let web = service(&document, |body| body != b"first");
    configure(&larder, &keys(&larder, &web));
    larder.backs_up();
    *document.lock().unwrap() = b"second".to_vec();
    let done = larder.puts_back("export");
    assert_eq!((done.code, done.json()["put_back"].as_bool()), (Some(1), Some(true)), "{done:?}");
    assert!(done.out.contains("/import answered 422: that is not for me"), "{done:?}");
    assert_eq!(*document.lock().unwrap(), b"second");
}

#[test]
fn a_token_or_a_header_says_who_asks_and_stays_a_secret() {
    let larder = Larder::new();
    let web = Web::start(|asked| match (asked.header("authorization"), asked.header("x-api-key")) {
        ("Bearer t0ken", "") | ("", "k3y") if asked.method == "POST" && asked.body == b"{\"all\": true}" => {
            Reply::new(201, "application/json; charset=utf-8", "[1, 2]").chunked()
        }
        _ => Reply::new(403, "text/plain", format!("not for {:?}", asked.headers.keys())),
    });
    let (token, key) = (larder.file("token", "t0ken\n"), larder.file("api-key", "k3y"));
    let keys = format!(
        "url = \"{}\"\nmethod = \"POST\"\nbody = '{{\"all\": true}}'\nfile = \"export.json\"\n\
         expect_status = 201\nexpect_content_type = \"application/json\"\n",
        web.url("/")
    );
    for auth in
        [format!("token_file = \"{token}\""), format!("auth_header = \"X-Api-Key\"\nauth_command = \"cat {key}\"")]
    {
        configure(&larder, &(keys.clone() + &auth));
        let report = larder.backs_up();
        assert_eq!(report["sources"][0]["verified"].as_bool(), Some(true), "{report}");
        assert_eq!(larder.ok(&["cat", "export@latest:export.json"]).out, "[1, 2]");
    }
    configure(&larder, &(keys.clone() + &format!("token_file = \"{key}\"")));
    let said = larder.fails("export");
    assert!(said.contains("answered 403: not for") && said.contains("expected 201"), "{said}");
    assert!(!said.contains("k3y"), "{said}");
    let refused = larder.puts_back("export");
    assert!(refused.code == Some(1) && refused.err.contains("give the source a `restore_url`"), "{refused:?}");
}

#[test]
fn an_answer_that_is_not_whole_or_not_right_leaves_no_snapshot() {
    let larder = Larder::new();
    let body = noise(3, 400_000).to_vec();
    let web = Web::start(move |asked| match asked.path.split('?').next().unwrap() {
        "/fails" => Reply::new(500, "text/html", "<h1>out of memory</h1>"),
        "/cut" => Reply::new(200, "application/octet-stream", body.clone()).cut(300_000),
        "/cut-chunks" => Reply::new(200, "application/octet-stream", body.clone()).chunked().cut(300_000),
        "/login" => Reply::new(200, "text/html", "<form>please log in"),
        "/moved" => Reply::new(302, "text/plain", "").with("location", "/login?for=s3cret"),
        "/empty" => Reply::new(200, "text/plain", ""),
        _ => Reply::new(404, "text/plain", "nothing here"),
    });
    let fails = |path: &str, more: &str, said: &str| {
        configure(&larder, &format!("url = \"{}\"\nfile = \"x\"\n{more}", web.url(path)));
        let error = larder.fails("export");
        assert!(error.contains(said) && !error.contains("s3cret"), "{path}: {error}");
    };
    fails("/fails", "", "/fails answered 500: <h1>out of memory</h1>");
    fails("/none?token=s3cret", "", "/none answered 404: nothing here");
    fails("/cut", "", "the stream broke off");
    fails("/cut-chunks", "", "the stream broke off");
    fails("/login", "expect_status = 204", "/login answered 200: <form>please log in (expected 204)");
    fails(
        "/login",
        "expect_content_type = \"application/json\"",
        "content type text/html, not application/json: <form>please",
    );
    fails("/moved", "", "/moved answered 302: it has moved to /login");
    configure(&larder, &format!("url = \"{}/\"\nfile = \"x\"", nobody()));
    assert!(larder.fails("export").contains("no answer from http://127.0.0.1:"));
    assert_eq!((larder.snapshots("export"), larder.snapshots("files")), (0, 8));
    // Where that is wanted, it is asked for elsewhere.
    configure(&larder, &format!("url = \"{}\"\nfile = \"x\"\nfollow_redirects = true", web.url("/moved")));
    larder.backs_up();
    assert_eq!(larder.ok(&["cat", "export@latest:x"]).out, "<form>please log in");
}

#[test]
fn an_answer_that_does_not_have_its_form_is_a_failure_with_a_snapshot() {
    let larder = Larder::new();
    let web = Web::start(|_| Reply::new(200, "application/json", "[1, "));
    configure(&larder, &format!("url = \"{}\"\nfile = \"x.json\"", web.url("/")));
    let done = larder.configured(&["run", "export"]);
    assert!(done.code == Some(1) && done.err.contains("x.json is no JSON"), "{done:?}");
    assert_eq!(larder.snapshots("export"), 1);
}

#[test]
fn doctor_says_what_is_wrong_and_how_to_mend_it() {
    let larder = Larder::new();
    let document = Arc::new(Mutex::new(b"first".to_vec()));
    let web = service(&document, |_| true);
    let good = keys(&larder, &web);
    let said = |keys: &str| {
        configure(&larder, keys);
        larder.troubles("export")
    };
    assert_eq!(said(&good), "");
    let wrong = larder.file("wrong", "wrong");
    let said_wrong = said(&good.replace("/password\"", "/wrong\""));
    assert!(said_wrong.contains("answered 401: who are you?; check the user and password"), "{said_wrong} {wrong}");
    assert!(said(&good.replace("/password\"", "/none\"")).contains("no password: cannot read"));
    assert!(said(&good.replace("/export", "/exprot")).contains("answered 404: nothing here; check `url`"));
    assert!(said(&(good.clone() + "ca_file = \"/none\"")).contains("cannot read the certificates in /none"));
    let away = good.replace(&web.url(""), &nobody());
    assert!(said(&away).contains("check `url`, that the service runs"), "{}", said(&away));
    // What a POST does, nobody knows.
    let calls = web.calls().len();
    assert_eq!(said(&(good.clone() + "method = \"POST\"")), "");
    assert_eq!(web.calls()[calls..], ["HEAD /export?all=1"]);
}

#[test]
fn mistakes_in_the_keys_are_said() {
    let larder = Larder::new();
    let said = |keys: &str| {
        configure(&larder, keys);
        larder.configured(&["config", "check"]).out + &larder.configured(&["run"]).err
    };
    for (keys, expected) in [
        ("file = \"x\"", "source.export.url: is missing"),
        ("url = \"app/x\"\nfile = \"x\"", "source.export.url: is no address"),
        ("url = \"http://u:p@app/x\"\nfile = \"x\"", "url: must not hold a user or a password"),
        ("url = \"http://app\"\nfile = \"x\"\nuser = \"u\"", "user: and a password belong together"),
        ("url = \"http://app\"\nfile = \"x\"\nheaders = { Cookie = \"a=b\" }", "headers: Cookie holds a secret"),
        ("url = \"http://app\"\nfile = \"x\"\nheaders = { accept = 7 }", "headers: must hold texts"),
        ("url = \"http://app\"\nfile = \"x\"\nexpect_status = 700", "expect_status: 700 is no status"),
        ("url = \"http://app\"\nfile = \"x\"\nrestore_method = \"PUT\"", "restore_url: is missing"),
        (
            "url = \"http://app\"\nfile = \"x\"\ntoken_env = \"T\"\nauth_env = \"A\"",
            "says in more than one way who asks",
        ),
        (
            "url = \"http://app\"\nfile = \"x\"\nauth_env = \"A\"\nfollow_redirects = true",
            "follow_redirects: would tell other servers",
        ),
        ("url = \"http://app\"\nfile = \"x\"\nauth_header = \"a\"", "auth_header: has no value"),
    ] {
        assert!(said(keys).contains(expected), "{keys}: {}", said(keys));
    }
}
