//! E-mail, by a real server.

use std::fs;
use std::net::TcpListener;
use std::time::Instant;

use serde_json::Value;

use super::{Authority, Server};
use crate::support::binary::Larder;

const PASSWORD: &str = "s3cret wörd";

/// A mail server, and a repository whose runs it tells about.
struct Post {
    larder: Larder,
    authority: Authority,
    server: Server,
}

/// What a server is like.
struct Like {
    mode: &'static str,
    host: &'static str,
    login: bool,
    busy: &'static str,
}

const USUAL: Like = Like { mode: "starttls", host: "localhost", login: true, busy: "0" };

impl Post {
    fn new(like: &Like) -> Self {
        let authority = Authority::new("one");
        let (certificate, key) = authority.certificate(like.host);
        let login = format!("backup:{PASSWORD}");
        let variables = [("LOGIN", login.as_str())];
        let arguments =
            [like.mode, certificate.to_str().unwrap(), key.to_str().unwrap(), "gone@example.org", like.busy];
        let server = Server::start("smtp.py", &arguments, if like.login { &variables } else { &[] });
        Self { larder: Larder::new(), authority, server }
    }

    /// The keys that say how to reach it.
    fn keys(&self, encryption: &str) -> String {
        let password = self.larder.file("password", PASSWORD);
        format!(
            "host = \"localhost\"\nport = {}\nencryption = \"{encryption}\"\nca_file = \"{}\"\nuser = \"backup\"\n\
             password_file = \"{password}\"\n",
            self.server.port,
            self.authority.file()
        )
    }

    /// Tries whether these keys do; what is said about it otherwise.
    fn tries(&self, keys: &str) -> Option<String> {
        let to = if keys.contains("\nto =") { "" } else { "to = [\"admin@example.org\"]\n" };
        configure(&self.larder, "", &format!("{keys}from = \"larder <backup@example.org>\"\n{to}"));
        let done = self.larder.configured(&["notify", "test", "--json"]);
        assert!(!format!("{done:?}").contains(PASSWORD) && done.err.is_empty(), "{done:?}");
        let error = done.json()[0]["error"].as_str().map(str::to_owned);
        assert_eq!(done.code, Some(i32::from(error.is_some())), "{done:?}");
        error
    }

    /// Tries, and nobody must be told.
    #[track_caller]
    fn fails(&self, keys: &str, said: &str) {
        let error = self.tries(keys).expect("nobody could be told");
        assert!(error.contains(said), "{error}\n  instead of\n{said}");
        self.server.has_nothing();
    }
}

/// A source `files`, more of them, and somebody to write to.
fn configure(larder: &Larder, sources: &str, keys: &str) {
    let folder = larder.path("files");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("one"), "one").unwrap();
    let folder = folder.display();
    larder.configure(&format!(
        "[source.files]\nkind = \"directory\"\npaths = [\"{folder}\"]\n{sources}\n[notify.admin]\nkind = \"email\"\n{keys}"
    ));
}

#[test]
fn a_letter_goes_encrypted_to_whom_it_is_for_and_says_whose_it_is() {
    let post = Post::new(&USUAL);
    let keys = post.keys("starttls") + "to = [\"admin@example.org\", \"Zoë <zoe@example.org>\"]\n";
    assert_eq!(post.tries(&keys), None);
    let letters = [post.server.next(), post.server.next()];
    assert_eq!([&letters[0]["to"][0], &letters[1]["to"][0]], ["admin@example.org", "zoe@example.org"]);
    for letter in letters {
        assert_eq!((letter["over_tls"].as_bool(), letter["from"].as_str()), (Some(true), Some("backup@example.org")));
        let header = |name: &str| letter["headers"][name].as_str().unwrap_or_default().to_owned();
        assert_eq!(header("from"), "larder <backup@example.org>");
        assert_eq!(header("to"), "admin@example.org, Zoë <zoe@example.org>");
        assert_eq!(header("auto-submitted"), "auto-generated");
        assert!(header("subject").ends_with(": done: this is only a test"), "{letter}");
        assert!(header("message-id").ends_with("@example.org>") && !header("date").is_empty(), "{letter}");
        assert!(letter["text"].as_str().unwrap().contains("this is only a test\n"), "{letter}");
        assert_eq!(letter["defects"].as_array().unwrap().len(), 0, "{letter}");
    }
    post.server.has_nothing();
}

#[test]
fn what_a_letter_says_arrives_as_it_was_written() {
    let post = Post::new(&USUAL);
    let long = "x".repeat(1500);
    let script = format!("printf 'ошибка\\r\\nBcc: all@example.org\\n.\\n{long}\\n' >&2\nexit 3\n");
    let sources = format!(
        "[source.\"bücher\"]\nkind = \"command\"\ncommand = [\"sh\", \"{}\"]\nfile = \"books.txt\"\n",
        post.larder.file("fails.sh", &script)
    );
    let keys = post.keys("starttls") + "from = \"backup@example.org\"\nto = [\"admin@example.org\"]\n";
    configure(&post.larder, &sources, &keys);
    assert_eq!(post.larder.configured(&["run", "--quiet"]).code, Some(1));
    let letter = post.server.next();
    let subject = letter["headers"]["subject"].as_str().unwrap();
    assert!(subject.starts_with("larder on ") && subject.ends_with(": failed: bücher"), "{subject}");
    let text = letter["text"].as_str().unwrap();
    let (without, with) = text.split_once("\nwith a snapshot:\n  files: done, snapshot ").expect(text);
    assert!(without.contains("\nwithout a snapshot:\n  bücher: failed\n    ") && without.contains("ошибка"), "{text}");
    assert!(with.contains(" of 1 files, 3 bytes\n"), "{text}");
    assert!(without.contains(&"x".repeat(900)) && !without.contains(&"x".repeat(1001)), "{text}");
    // On its way every line is short and plain, and what was said has become no header.
    assert!(letter["ascii"].as_bool().unwrap() && letter["longest"].as_u64().unwrap() < 100, "{letter}");
    assert!(letter["headers"].get("bcc").is_none() && text.contains("Bcc: all@example.org"), "{letter}");
    assert_eq!(letter["to"].as_array().unwrap().len(), 1, "{letter}");
}

#[test]
fn a_server_may_be_encrypted_from_the_first_byte() {
    let post = Post::new(&Like { mode: "smtps", ..USUAL });
    assert_eq!(post.tries(&post.keys("smtps")), None);
    assert_eq!(post.server.next()["over_tls"].as_bool(), Some(true));
    let keys = post.keys("starttls") + "limit = \"1s\"\n";
    // It waits for the client's first word.
    post.fails(&keys, "has not taken it within 1 s (`limit`)");
}

#[test]
fn a_wrong_password_is_said_and_not_shown() {
    let post = Post::new(&USUAL);
    let keys = post.keys("starttls");
    post.larder.file("wrong", "n0t the s3cret wörd");
    let wrong = keys.replace("/password\"", "/wrong\"");
    let begun = Instant::now();
    post.fails(&wrong, "the user \"backup\" cannot log in: localhost:");
    post.fails(&wrong, " answered 535 5.7.8 Authentication credentials invalid");
    assert!(begun.elapsed().as_secs() < 60, "what cannot go better is tried once");
    let anonymous: String =
        keys.lines().filter(|line| !line.contains("user") && !line.contains("password")).collect::<Vec<_>>().join("\n");
    post.fails(&(anonymous + "\n"), " answered 530 5.7.0 Authentication required");
    post.fails(&keys.replace("/password\"", "/none\""), "no password: cannot read ");
}

#[test]
fn nothing_is_sent_in_plain_text_unless_that_was_asked_for() {
    let post = Post::new(&Like { mode: "plain", login: false, ..USUAL });
    let keys = post.keys("starttls");
    post.fails(&keys, "does not offer STARTTLS, and nothing is sent in plain text: try `encryption = \"smtps\"`");
    post.fails(&post.keys("smtps"), "is not trusted: ");
    post.fails(&post.keys("none"), "takes no user and password");
    let port = post.server.port;
    assert_eq!(post.tries(&format!("host = \"127.0.0.1\"\nport = {port}\nencryption = \"none\"\n")), None);
    assert_eq!(post.server.next()["over_tls"].as_bool(), Some(false));
}

#[test]
fn a_password_goes_unencrypted_to_this_machine_alone() {
    let post = Post::new(&Like { mode: "plain", ..USUAL });
    assert_eq!(post.tries(&post.keys("none")), None);
    post.server.next();
    let elsewhere = post.keys("none").replace("localhost", "mail.example.org");
    configure(&post.larder, "", &format!("{elsewhere}from = \"a@example.org\"\nto = [\"b@example.org\"]\n"));
    let done = post.larder.configured(&["config", "check"]);
    assert_eq!(done.code, Some(2), "{done:?}");
    assert!(
        done.err.contains("notify.admin.encryption: a password goes unencrypted to this machine alone"),
        "{done:?}"
    );
}

#[test]
fn a_server_is_what_its_certificate_says_or_hears_nothing() {
    let without =
        |keys: &str| keys.lines().filter(|line| !line.starts_with("ca_file")).collect::<Vec<_>>().join("\n") + "\n";
    for mode in ["starttls", "smtps"] {
        let post = Post::new(&Like { mode, host: "elsewhere.example", ..USUAL });
        let keys = post.keys(mode);
        post.fails(
            &without(&keys),
            "is not trusted: invalid peer certificate: UnknownIssuer; see `host`, `encryption` and `ca_file`",
        );
        post.fails(&keys, "certificate not valid for name \"localhost\"");
        let key = post.authority.file().replace("ca.pem", "ca.key");
        post.fails(&keys.replace(&post.authority.file(), &key), "ca.key: there are none");
        post.fails(&keys.replace("ca.pem", "none.pem"), "cannot read the certificates in ");
    }
}

#[test]
fn one_whom_the_server_does_not_know_takes_the_letter_from_nobody_else() {
    let post = Post::new(&Like { busy: "1", ..USUAL });
    let keys = post.keys("starttls") + "to = [\"one@example.org\", \"gone@example.org\", \"two@example.org\"]\n";
    let error = post.tries(&keys).unwrap();
    assert!(error.starts_with("gone@example.org: localhost:"), "{error}");
    assert!(error.ends_with(" answered 550 5.1.1 nobody of that name"), "{error}");
    // The server was out of order at first, and asked again later.
    assert_eq!(
        [post.server.next()["to"][0].clone(), post.server.next()["to"][0].clone()],
        ["one@example.org", "two@example.org"]
    );
    post.server.has_nothing();
}

/// A run of which nobody can be told: what its report says of them.
fn told_of_a_run(larder: &Larder) -> Vec<Value> {
    let status = larder.path("status");
    fs::create_dir_all(&status).unwrap();
    let done = larder.configured(&["run"]);
    assert_eq!(done.code, Some(0), "{done:?}");
    let report: Value = serde_json::from_slice(&fs::read(status.join("backup_report.json")).unwrap()).unwrap();
    assert_eq!((report["status"].as_str(), report["sources"][0]["status"].as_str()), (Some("done"), Some("done")));
    let told = report["told"].as_array().unwrap().clone();
    for one in &told {
        let (name, error) = (one["name"].as_str().unwrap(), one["error"].as_str().unwrap());
        assert!(done.err.contains(&format!("warning: {name} could not be told: {error}")), "{done:?}");
    }
    told
}

#[test]
fn a_backup_is_no_worse_when_webhook_and_mail_are_down_and_that_is_reported() {
    let larder = Larder::new();
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let status = larder.path("status").display().to_string();
    let sources = format!(
        "[status]\ndirectory = \"{status}\"\n[notify.hook]\nkind = \"webhook\"\non = [\"success\"]\n\
         url = \"http://127.0.0.1:{nobody}/hook\"\n"
    );
    let keys = format!(
        "host = \"127.0.0.1\"\nport = {nobody}\nfrom = \"a@example.org\"\nto = [\"b@example.org\", \"c@example.org\"]\n\
         on = [\"success\"]\n"
    );
    configure(&larder, &sources, &keys);
    let told = told_of_a_run(&larder);
    let errors: Vec<&str> = told.iter().map(|one| one["error"].as_str().unwrap()).collect();
    assert_eq!((told[0]["name"].as_str(), told[1]["name"].as_str()), (Some("admin"), Some("hook")));
    assert!(
        errors[0].starts_with(&format!("b@example.org, c@example.org: no answer from 127.0.0.1:{nobody}: ")),
        "{errors:?}"
    );
    assert!(errors[1].starts_with(&format!("no answer from 127.0.0.1:{nobody}: ")), "{errors:?}");
}

#[test]
fn a_backup_does_not_wait_for_who_never_answers() {
    let larder = Larder::new();
    // Connections stand, and nobody ever speaks.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let status = larder.path("status").display().to_string();
    let more = "on = [\"success\"]\nlimit = \"1s\"\n";
    let sources = format!(
        "[status]\ndirectory = \"{status}\"\n[notify.hook]\nkind = \"webhook\"\nurl = \"http://127.0.0.1:{port}/\"\n{more}"
    );
    let keys =
        format!("host = \"127.0.0.1\"\nport = {port}\nfrom = \"a@example.org\"\nto = [\"b@example.org\"]\n{more}");
    configure(&larder, &sources, &keys);
    let told = told_of_a_run(&larder);
    assert_eq!(told[0]["error"], format!("b@example.org: 127.0.0.1:{port} has not taken it within 1 s (`limit`)"));
    assert!(told[1]["error"].as_str().unwrap().contains("timeout"), "{told:?}");
}
