//! Who is told how a run ended.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::process::Command;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use super::Shell;

/// Somebody who listens, and answers each request with the next of these statuses.
fn listening(statuses: &'static [u16]) -> (String, Receiver<(String, String)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (tell, told) = channel();
    thread::spawn(move || {
        for status in statuses {
            let (stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(stream);
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") {
                assert!(reader.read_line(&mut head).unwrap() > 0);
            }
            let length =
                head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
            let mut body = vec![0; length.unwrap_or(0)];
            reader.read_exact(&mut body).unwrap();
            let answer = format!("HTTP/1.1 {status} X\r\ncontent-length: 4\r\nconnection: close\r\n\r\nsaid");
            reader.get_mut().write_all(answer.as_bytes()).unwrap();
            tell.send((head, String::from_utf8(body).unwrap())).unwrap();
        }
    });
    (url, told)
}

/// A configuration with a folder, and whom to tell.
fn configured(notify: &str) -> Shell {
    let shell = Shell::bare();
    shell.types("init --timezone UTC --recovery-file recovery --quiet").sees(0, "", "");
    shell.write("data/one", "one\n");
    let here = shell.folder.path().display().to_string();
    let text = format!(
        "[repository]\npath = \"{here}/repository\"\nkey_file = \"{here}/key\"\n[status]\ndirectory = \"{here}\"\n\
         [source.files]\nkind = \"directory\"\npaths = [\"{here}/data\"]\n{notify}"
    );
    shell.write("larder.toml", &text);
    shell
}

fn break_it(shell: &Shell) {
    std::fs::rename(shell.path("data"), shell.path("moved")).unwrap();
}

fn mend_it(shell: &Shell) {
    std::fs::rename(shell.path("moved"), shell.path("data")).unwrap();
}

#[test]
fn a_failure_and_the_first_run_that_is_well_again_are_told() {
    let (url, told) = listening(&[200, 204]);
    let shell = configured(&format!("[notify.team]\nkind = \"slack\"\nurl = \"{url}/hook\"\n"));
    shell.types("run --quiet").sees(0, "", "");
    break_it(&shell);
    assert_eq!(shell.types("run").code, 1);
    let (head, body) = told.recv().unwrap();
    assert!(head.starts_with("POST /hook HTTP/1.1\r\n"), "{head}");
    let text = serde_json::from_str::<serde_json::Value>(&body).unwrap()["text"].as_str().unwrap().to_owned();
    assert!(text.contains(": failed\nfiles: failed: cannot find "), "{text}");
    mend_it(&shell);
    shell.types("run --quiet").sees(0, "", "");
    assert!(told.recv().unwrap().1.contains(": done"));
    // Well as before: nobody listens any more, and nobody is told.
    let report = shell.types("run --json").json();
    assert_eq!((report["status"].as_str(), report["told"].as_array().unwrap().len()), (Some("done"), 0));
}

#[test]
fn a_webhook_gets_the_whole_report_signed_and_again_when_it_was_out_of_order() {
    let (url, told) = listening(&[503, 200]);
    let notify = "[notify.hook]\nkind = \"webhook\"\nurl_env = \"HOOK\"\non = [\"success\"]\nsecret_env = \"SECRET\"\n";
    let shell = configured(notify).set("HOOK", &format!("{url}/s3cret-path")).set("SECRET", "s3cret");
    let report = shell.types("run --json").json();
    assert_eq!(report["told"][0]["error"], serde_json::Value::Null, "{report}");
    let (first, second) = (told.recv().unwrap(), told.recv().unwrap());
    assert_eq!(first.1, check_signature(&second.0, second.1.clone()));
    // Who heard the first one all the same knows that this is no other.
    let delivery =
        |head: &str| head.lines().find_map(|line| line.strip_prefix("x-larder-delivery: ").map(str::to_owned));
    assert!(delivery(&first.0).is_some_and(|id| id.len() == 32) && delivery(&first.0) == delivery(&second.0));
}

/// By another implementation.
fn check_signature(head: &str, body: String) -> String {
    let signed = head.lines().find_map(|line| line.strip_prefix("x-larder-signature: sha256=")).unwrap();
    let script = "import hmac, sys; print(hmac.new(b's3cret', sys.argv[1].encode(), 'sha256').hexdigest())";
    let output = Command::new("python3").args(["-c", script, &body]).output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap().trim(), signed);
    assert_eq!(serde_json::from_str::<serde_json::Value>(&body).unwrap()["sources"][0]["name"], "files");
    body
}

#[test]
fn a_backup_is_no_worse_because_nobody_can_be_told_and_no_secret_is_shown() {
    let (url, told) = listening(&[403]);
    let notify = "[notify.channel]\nkind = \"discord\"\nurl_env = \"HOOK\"\non = [\"success\"]\n";
    let shell = configured(notify).set("HOOK", &format!("{url}/s3cret-path?token=s3cret"));
    let seen = shell.types("run");
    assert_eq!(seen.code, 0, "{}", seen.stderr);
    assert!(seen.stderr.contains("warning: channel could not be told: the other side answered 403: said"));
    assert!(!format!("{}{}{}", seen.stdout, seen.stderr, shell.read("backup_report.json")).contains("s3cret"));
    assert!(shell.read("backup_report.json").contains("answered 403"));
    assert!(told.recv().unwrap().1.contains("\"content\""));
}

/// The path of a webhook is all that it takes to write to a channel, also where it stands in the configuration.
#[test]
fn the_path_of_an_address_is_never_shown() {
    for kind in ["webhook", "slack", "discord", "ping"] {
        let (url, _told) = listening(&[404, 404, 404]);
        let host = url.strip_prefix("http://").unwrap().to_owned();
        let notify =
            format!("[notify.team]\nkind = \"{kind}\"\nurl = \"{url}/T00/s3cret?token=s3cret\"\non = [\"success\"]\n");
        let shell = configured(&notify);
        let seen =
            [shell.types("run"), shell.types("notify test"), shell.types("notify test --json"), shell.types("doctor")];
        let said: String = seen.iter().map(|seen| format!("{}{}", seen.stdout, seen.stderr)).collect();
        assert_eq!(said.matches(&format!("{host} answered 404: said")).count(), 3, "{said}");
        let files = ["backup_report.json", "backup_summary.json", "webhook_payload.json"].map(|file| shell.read(file));
        assert!(files[0].contains(&format!("{host} answered 404")), "{}", files[0]);
        assert!(!format!("{said}{}", files.concat()).contains("s3cret"), "{said}");
        // Something that is no address at all.
        shell.write("larder.toml", &shell.read("larder.toml").replace(&url, "https://exa mple"));
        let seen = shell.types("notify test");
        assert!(seen.code == 1 && !format!("{}{}", seen.stdout, seen.stderr).contains("s3cret"), "{}", seen.stdout);
    }
}

#[test]
fn a_ping_is_sent_after_success_only_and_everything_can_be_tried() {
    let (url, told) = listening(&[200, 200]);
    let shell = configured(&format!("[notify.monitor]\nkind = \"ping\"\nurl = \"{url}/ping\"\n"));
    break_it(&shell);
    assert_eq!(shell.types("run --quiet").code, 1);
    mend_it(&shell);
    shell.types("run --quiet").sees(0, "", "");
    assert!(told.recv().unwrap().0.starts_with("GET /ping HTTP/1.1\r\n"));
    shell.types("notify test").sees(0, "monitor  told", "");
    told.recv().unwrap();
    // Nobody listens any more.
    let seen = shell.types("notify test monitor");
    assert!(seen.code == 1 && seen.stdout.contains("monitor  no answer from 127.0.0.1:"), "{}", seen.stdout);
    assert!(!seen.stdout.contains("/ping"), "{}", seen.stdout);
    shell.types("notify test nobody").sees(2, "", "error: nobody is called nobody\n  hint: there are: monitor");
}

/// A source that failed is not well again because another one is.
#[test]
fn a_recovery_is_told_only_when_all_that_failed_was_run_again() {
    let (url, told) = listening(&[200, 200]);
    let shell = configured(&format!(
        "[source.other]\nkind = \"command\"\ncommand = \"echo x\"\nfile = \"x\"\n[notify.team]\nkind = \"slack\"\nurl = \"{url}\"\n"
    ));
    break_it(&shell);
    assert_eq!(shell.types("run --quiet").code, 1);
    assert!(told.recv().unwrap().1.contains(": failed"));
    let report = shell.types("run other --json").json();
    assert_eq!((report["status"].as_str(), report["told"].as_array().unwrap().len()), (Some("done"), 0));
    mend_it(&shell);
    shell.types("run files --quiet").sees(0, "", "");
    assert!(told.recv().unwrap().1.contains(": done"));
}

/// From cron, every five minutes: once is enough.
#[test]
fn a_repository_that_cannot_be_opened_is_told_once_and_so_is_its_return() {
    let (url, told) = listening(&[200, 200]);
    let shell = configured(&format!("[notify.team]\nkind = \"slack\"\nurl = \"{url}/hook\"\n"));
    std::fs::rename(shell.path("repository"), shell.path("away")).unwrap();
    assert_eq!(shell.types("run").code, 10);
    assert!(told.recv().unwrap().1.contains("no repository at "));
    let report: serde_json::Value = serde_json::from_str(&shell.read("backup_report.json")).unwrap();
    assert_eq!((&report["run"], &report["status"]), (&"none".into(), &"failed".into()));
    let seen = shell.types("run");
    assert!(seen.code == 10 && !seen.stderr.contains("could not be told"), "{}", seen.stderr);
    std::fs::rename(shell.path("away"), shell.path("repository")).unwrap();
    shell.types("run --quiet").sees(0, "", "");
    assert!(told.recv().unwrap().1.contains(": done"));
}

/// Each configuration has its own people.
#[test]
fn an_outage_is_told_to_those_of_every_configuration_of_a_repository() {
    let (url, told) = listening(&[200; 4]);
    let shell = configured(&format!("[notify.team]\nkind = \"slack\"\nurl = \"{url}/one\"\n"));
    shell.write("other.toml", &shell.read("larder.toml").replace("/one\"", "/other\""));
    std::fs::rename(shell.path("repository"), shell.path("away")).unwrap();
    let heard = |state: &str, path: &str| {
        let (head, body) = told.recv().unwrap();
        assert!(head.starts_with(&format!("POST {path} ")) && body.contains(state), "{head}{body}");
    };
    for _ in 0..2 {
        assert_eq!((shell.types("run").code, shell.types("run --config other.toml").code), (10, 10));
    }
    heard("no repository at ", "/one");
    heard("no repository at ", "/other");
    std::fs::rename(shell.path("away"), shell.path("repository")).unwrap();
    shell.types("run --quiet").sees(0, "", "");
    heard(": done", "/one");
    shell.types("run --config other.toml --quiet").sees(0, "", "");
    heard(": done", "/other");
}

#[test]
fn doctor_says_what_is_missing_to_tell_somebody() {
    let shell = configured("");
    let here = shell.folder.path().display().to_string();
    shell.write("words", "tell nobody\n");
    shell.write("pem", "no certificates\n");
    let text = shell.read("larder.toml");
    let mail = "kind = \"email\"\nhost = \"localhost\"\nfrom = \"a@b.c\"\nto = [\"a@b.c\"]\nuser = \"a\"";
    shell.write(
        "larder.toml",
        &format!(
            "{text}[notify.channel]\nkind = \"slack\"\nurl_file = \"{here}/words\"\n\
             [notify.hook]\nkind = \"webhook\"\nurl_file = \"{here}/none\"\nsecret_file = \"{here}/nowhere\"\n\
             ca_file = \"{here}/pem\"\n[notify.letter]\n{mail}\npassword_file = \"{here}/none\"\n\
             ca_file = \"{here}/none\"\n[notify.well]\nkind = \"ping\"\nurl = \"http://localhost:1/\"\n"
        ),
    );
    let seen = shell.types("doctor");
    seen.sees(
        1,
        "[repository]  well
         [status] well
         [notify.channel] the address does not begin with http:// or https://
         hint: see `url_file`, `url_env` or `url_command` of [notify.channel]
         [notify.hook] no address: *none*
         hint: see `url_file`, `url_env` or `url_command` of [notify.hook]
         [notify.hook] no secret: *nowhere*
         hint: see `secret_file`, `secret_env` or `secret_command` of [notify.hook]
         [notify.hook] cannot read the certificates in */pem: *
         hint: see `ca_file` of [notify.hook]
         [notify.letter] no password: *none*
         hint: see `password_file`, `password_env` or `password_command` of [notify.letter]
         [notify.letter] cannot read the certificates in */none: *
         hint: see `ca_file` of [notify.letter]
         [notify.well] well
         files well
         6 things to mend",
        "",
    );
    let json = shell.types("doctor --json").json();
    assert_eq!(
        (json["notify"][1]["name"].as_str(), json["notify"][3]["troubles"].as_array().unwrap().len()),
        (Some("hook"), 0)
    );
}
