use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;

use zeroize::Zeroizing;

use super::*;

/// A server for one connection, which answers each line with what is said here; what it was told until it hung up.
fn once(greeting: &'static str, answers: &'static [(&'static str, &'static str)]) -> (u16, thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let served = thread::spawn(move || {
        let mut reader = BufReader::new(listener.accept().unwrap().0);
        reader.get_mut().write_all(greeting.as_bytes()).unwrap();
        let (mut told, mut line) = (String::new(), String::new());
        while reader.read_line(&mut line).unwrap_or(0) > 0 {
            let answer =
                answers.iter().find(|(asked, _)| line.starts_with(asked)).map_or("250 fine\r\n", |found| found.1);
            told += &std::mem::take(&mut line);
            let _may_have_hung_up = reader.get_mut().write_all(answer.as_bytes());
        }
        told
    });
    (port, served)
}

fn server(port: u16, encryption: Encryption) -> Server {
    let login = Login { user: "backup".to_owned(), password: Zeroizing::new("s3cret".to_owned()) };
    let limit = Duration::from_secs(20);
    let (host, client) = ("127.0.0.1".to_owned(), "here".to_owned());
    Server { host, port, encryption, login: Some(login), certificates: None, client, limit }
}

fn letter() -> Letter {
    Letter {
        from: "Backups <backup@example.org>".to_owned(),
        to: vec!["admin@example.org".to_owned()],
        subject: "about it".to_owned(),
        text: "all is well\n".to_owned(),
        written: UNIX_EPOCH,
        id: "1".to_owned(),
    }
}

/// Tries once, and nobody must be told.
fn fails(server: &Server) -> Error {
    let sent = send(server, &letter(), &letter().to);
    assert_eq!((sent.refused, sent.left), (vec![], letter().to));
    sent.error.unwrap()
}

#[test]
fn a_server_that_hides_encryption_hears_nothing_but_hello() {
    let (port, served) = once("220 here\r\n", &[("EHLO", "250-here\r\n250-AUTH PLAIN LOGIN\r\n250 SMTPUTF8\r\n")]);
    let error = fails(&server(port, Encryption::Starttls));
    assert!(error.message.contains("does not offer STARTTLS") && error.again == Again::Useless, "{error}");
    assert_eq!(served.join().unwrap(), "EHLO here\r\n");
    // Nor one that offers it, and then refuses.
    let (port, served) = once(
        "220 here\r\n",
        &[("EHLO", "250-here\r\n250-STARTTLS\r\n250 AUTH PLAIN\r\n"), ("STARTTLS", "454 later\r\n")],
    );
    let error = fails(&server(port, Encryption::Starttls));
    assert!(error.message.contains("answered 454 later") && error.again == Again::MayHelp, "{error}");
    assert!(["", "QUIT\r\n"].contains(&served.join().unwrap().strip_prefix("EHLO here\r\nSTARTTLS\r\n").unwrap()));
}

#[test]
fn a_password_that_a_server_repeats_is_not_shown() {
    for answer in [
        "535 no: s3cret\r\n",
        "500 not understood: AUTH PLAIN AGJhY2t1cABzM2NyZXQ=\r\n",
        "535-no \u{1b}[2J\r\n535 czNjcmV0\r\n",
    ] {
        let answers: &'static [_] = vec![("EHLO", "250-here\r\n250 AUTH PLAIN\r\n"), ("AUTH", answer)].leak();
        let (port, served) = once("220 here\r\n", answers);
        let error = fails(&server(port, Encryption::None)).to_string();
        assert!(error.contains("the user \"backup\" cannot log in: ") && error.contains(" ..."), "{error}");
        for secret in ["s3cret", "AGJhY2t1cABzM2NyZXQ=", "czNjcmV0", "\u{1b}"] {
            assert!(!error.contains(secret), "{error}");
        }
        assert!(served.join().unwrap().contains("AUTH PLAIN AGJhY2t1cABzM2NyZXQ=\r\n"));
    }
}

#[test]
fn an_attempt_has_an_end_however_often_the_server_says_a_little() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let served = thread::spawn(move || {
        let mut stream = listener.accept().unwrap().0;
        // Ends when the other side is gone.
        while stream.write_all(b"220-x\r\n").is_ok() {
            thread::sleep(Duration::from_millis(50));
        }
    });
    let limit = Duration::from_secs(1);
    let error = fails(&Server { limit, ..server(port, Encryption::None) });
    assert!(
        error.message.ends_with("has not taken it within 1 s (`limit`)") && error.again == Again::MayHelp,
        "{error}"
    );
    // Nobody waits for that thread: the greeting is too long at last.
    drop(served);
}

#[test]
fn no_text_becomes_a_header_or_a_line_that_is_too_long() {
    let evil = "x\r\nBcc: all@example.org\r\n\r\nbody\u{0}\u{2028}ü".to_owned() + &"é".repeat(500);
    let letter = Letter { subject: evil.clone(), text: evil, id: "2".to_owned(), ..letter() };
    let formatted = String::from_utf8(message(&letter).unwrap().formatted()).unwrap();
    let (head, body) = formatted.split_once("\r\n\r\n").unwrap();
    let names = head.lines().filter(|line| !line.starts_with(' ')).map(|line| line.split(':').next().unwrap());
    let mut names: Vec<&str> = names.collect();
    names.sort_unstable();
    let expected =
        ["Auto-Submitted", "Content-Transfer-Encoding", "Content-Type", "Date", "From", "Message-ID", "Subject", "To"];
    assert_eq!(names.iter().filter(|name| **name != "MIME-Version").copied().collect::<Vec<_>>(), expected, "{head}");
    assert!(formatted.is_ascii() && body.lines().chain(head.lines()).all(|line| line.len() < 100), "{formatted}");
    for bad in ["a@b\r\nRCPT TO:<c@d>", "a b", "<a@b", "a@b, c@d", ""] {
        assert!(check_address(bad).is_err(), "{bad}");
    }
}

#[test]
fn a_clock_that_is_out_of_order_keeps_no_letter() {
    for written in [UNIX_EPOCH - Duration::from_secs(1), UNIX_EPOCH + LAST_SECOND + Duration::from_secs(1)] {
        assert!(message(&Letter { written, ..letter() }).is_ok());
    }
}

#[test]
fn hello_is_said_by_a_name_only_if_it_can_be_one() {
    assert_eq!(client_id("db-1.example.org").to_string(), "db-1.example.org");
    for name in ["", "a b", "a\r\nQUIT", "bücher"] {
        assert_eq!(client_id(name).to_string(), "[127.0.0.1]", "{name}");
    }
}
