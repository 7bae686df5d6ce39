use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::thread;

use super::*;

/// A server that answers one request with these bytes, and says what it was sent: the head, and so many bytes after it.
fn once(answer: &'static [u8], body_bytes: usize) -> (String, thread::JoinHandle<(String, Vec<u8>)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let served = thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            reader.read_line(&mut head).unwrap();
        }
        let mut body = vec![0; body_bytes];
        reader.read_exact(&mut body).unwrap();
        reader.get_mut().write_all(answer).unwrap();
        (head, body)
    });
    (url, served)
}

fn secret(text: &str) -> Zeroizing<String> {
    Zeroizing::new(text.to_owned())
}

#[test]
fn a_body_of_known_length_is_streamed_and_headers_arrive() {
    let (url, served) = once(b"HTTP/1.1 201 Created\r\netag: \"x\"\r\ncontent-length: 2\r\n\r\nok", 300_000);
    let mut from = io::repeat(7).take(300_000);
    let headers = vec![("authorization", secret("Bearer s3cret"))];
    let request = Request { method: Method::PUT, url: &url, headers };
    let body = Body::Stream { from: &mut from, bytes: 300_000 };
    let answer = Client::new(None).unwrap().request(&request, body).unwrap();
    assert_eq!((answer.status, answer.headers["etag"].to_str().unwrap()), (201, "\"x\""));
    assert_eq!(answer.bytes(2).unwrap(), b"ok");
    let (head, body) = served.join().unwrap();
    assert!(head.to_lowercase().contains("content-length: 300000\r\n"), "{head}");
    assert!(head.contains("Bearer s3cret") && !head.to_lowercase().contains("chunked"), "{head}");
    assert!(body.iter().all(|&byte| byte == 7));
}

#[test]
fn errors_say_what_the_server_said_and_no_secret() {
    let (url, served) = once(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 9\r\n\r\nno access", 0);
    let url = format!("{}/path?token=s3cret", url.replace("http://", "http://user:s3cret@"));
    let request = Request { method: Method::GET, url: &url, headers: vec![("x-key", secret("s3cret"))] };
    let error = Client::new(None).unwrap().request(&request, Body::Empty).map(|_| ()).unwrap_err();
    served.join().unwrap();
    let text = error.to_string();
    assert!(text.contains("/path answered 403: no access"), "{text}");
    assert!(!format!("{text} {error:?}").contains("s3cret"), "{text} {error:?}");
}

#[test]
fn a_body_that_breaks_off_is_an_error_and_one_that_is_too_long_too() {
    let (url, served) = once(b"HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\nhalf", 0);
    let request = Request { method: Method::GET, url: &url, headers: Vec::new() };
    let answer = Client::new(None).unwrap().request(&request, Body::Empty).unwrap();
    served.join().unwrap();
    assert!(answer.bytes(100).is_err());
    let (url, served) = once(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nfour", 0);
    let request = Request { method: Method::GET, url: &url, headers: Vec::new() };
    let answer = Client::new(None).unwrap().request(&request, Body::Empty).unwrap();
    served.join().unwrap();
    assert!(answer.bytes(3).is_err());
}

#[test]
fn a_stream_that_ends_early_is_an_error_and_waits_for_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let served = thread::spawn(move || listener.accept().unwrap().0.read_to_end(&mut Vec::new()));
    let request = Request { method: Method::PUT, url: &url, headers: Vec::new() };
    let client = Client::new(None).unwrap();
    let mut from = io::repeat(7).take(10);
    let error = client.request(&request, Body::Stream { from: &mut from, bytes: 20 }).map(drop).unwrap_err();
    assert!(error.to_string().contains("ends 10 bytes early"), "{error}");
    drop(client);
    served.join().unwrap().unwrap();
}

#[test]
fn another_status_can_be_expected_and_what_has_moved_need_not_be_followed() {
    let ask = |answer: &'static [u8], expected: u16| {
        let (url, served) = once(answer, 0);
        let request = Request { method: Method::GET, url: &url, headers: Vec::new() };
        let client = Client::with(&Settings { redirects: Redirects::Refuse, ..Settings::default() }).unwrap();
        let answer = client.expecting(&request, Body::Empty, |status| status == expected);
        served.join().unwrap();
        answer.map(|answer| answer.status).map_err(|error| error.to_string())
    };
    let moved = b"HTTP/1.1 301 Moved\r\nlocation: http://u:s3cret@other/x?y=s3cret\r\ncontent-length: 0\r\n\r\n";
    assert_eq!(ask(moved, 301), Ok(301));
    let refused = ask(moved, 200).unwrap_err();
    assert!(refused.ends_with("answered 301: it has moved to http://other/x"), "{refused}");
    assert!(ask(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", 204).unwrap_err().ends_with("answered 200: ok"));
}

#[test]
fn a_user_and_a_password_make_a_header() {
    // The example of RFC 7617.
    assert_eq!(basic("Aladdin", "open sesame").as_str(), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
}

#[test]
fn a_name_is_one_component_of_an_address() {
    assert_eq!(component("/a b?ä%.x-1_~"), "%2Fa%20b%3F%C3%A4%25.x-1_~");
}

#[test]
fn nobody_there_and_no_address_are_told_apart() {
    let ask = |url: &str| {
        let request = Request { method: Method::GET, url, headers: Vec::new() };
        Client::new(None).unwrap().request(&request, Body::Empty).map(|_| ()).unwrap_err()
    };
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    assert!(matches!(ask(&format!("http://{free}/")), Error::Silent { .. }));
    assert!(matches!(ask("http://a b"), Error::Address { .. }));
}

#[test]
fn certificates_come_from_a_file_that_holds_some() {
    let file = tempfile::NamedTempFile::new().unwrap();
    assert!(matches!(Client::new(Some(file.path())), Err(Error::Certificates { .. })));
    assert!(matches!(Client::new(Some(Path::new("/no/such"))), Err(Error::Certificates { .. })));
}
