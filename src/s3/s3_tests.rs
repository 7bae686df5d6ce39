use std::io::Write as _;
use std::net::TcpListener;

use super::error::Scope;
use super::fake::{self, answer, object, page, refusal};
use super::upload::{PART_BYTES, Upload};
use super::*;

fn keys_of(client: &Client) -> Result<Vec<String>, Error> {
    let mut keys = Vec::new();
    client.list("", &mut |object| {
        keys.push(object.key);
        ControlFlow::Continue(())
    })?;
    Ok(keys)
}

/// What is said when every request gets this answer, and what it means for other objects.
fn said(answer: Vec<u8>) -> (String, Scope) {
    let (client, _) = fake::client(move |_, _| answer.clone());
    let error = client.look("").unwrap_err();
    (format!("{error}; {}", error.hint()), error.scope())
}

#[test]
fn refusals_are_said_in_words_with_a_way_out() {
    let cases = [
        ("404 Not Found", "NoSuchBucket", "there is no such bucket", "correct `bucket`", Scope::All),
        ("403 Forbidden", "AccessDenied", "not allowed to do that", "allow the access key", Scope::One),
        ("403 Forbidden", "InvalidAccessKeyId", "does not know the access key", "access_key_file", Scope::All),
        ("403 Forbidden", "SignatureDoesNotMatch", "the secret key is not", "secret_key_file", Scope::All),
        ("403 Forbidden", "RequestTimeTooSkewed", "clocks", "set the clock", Scope::All),
        ("301 Moved Permanently", "PermanentRedirect", "in another region", "correct `region`", Scope::All),
        ("400 Bad Request", "AuthorizationQueryParametersError", "in another region", "correct `region`", Scope::All),
        ("403 Forbidden", "QuotaExceeded", "has no room for it", "make room", Scope::One),
        ("507 Insufficient Storage", "XMinioStorageFull", "has no room for it", "make room", Scope::One),
        ("507 Insufficient Storage", "Whatever", "has no room for it", "make room", Scope::One),
        ("404 Not Found", "NoSuchKey", "there is no such object", "", Scope::Gone),
        ("418 Teapot", "Whatever", "the server refuses", "documentation", Scope::One),
    ];
    for (status, code, words, hint, scope) in cases {
        let (text, found) = said(refusal(status, code));
        assert!(text.contains(words) && text.contains(hint) && text.contains(code), "{text}");
        assert!(text.contains("so & so") && text.contains("bucket pail"), "{text}");
        assert_eq!(found, scope, "{text}");
        assert!(!text.contains("AKIA1") && !text.contains("Signature=") && !text.contains("X-Amz"), "{text}");
    }
}

#[test]
fn what_is_no_s3_is_told_from_it() {
    let (text, _) = said(answer("404 Not Found", "", "<html>nothing here</html>"));
    assert!(text.contains("/pail/ answered 404: <html>") && text.contains("speaks S3"), "{text}");
    let (text, _) = said(answer("200 OK", "", "<html>hello</html>"));
    assert!(text.contains("a listing makes no sense"), "{text}");
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = fake::at(&format!("http://{free}")).look("").unwrap_err();
    assert_eq!(error.scope(), Scope::All);
    assert!(error.to_string().contains("no answer from"), "{error}");
    assert!(!format!("{error} {error:?}").contains("X-Amz"), "{error:?}");
}

#[test]
fn what_passes_by_itself_is_tried_again_and_what_does_not_is_not() {
    let (client, heads) = fake::client(|number, _| match number {
        0 => refusal("503 Slow Down", "SlowDown"),
        1 => page(&[("a", 1)], Some("more/+=")),
        2 => refusal("400 Bad Request", "RequestTimeout"),
        _ => page(&[("b+c%2Bd%20e", 1)], None),
    });
    assert_eq!(keys_of(&client).unwrap(), ["a", "b c+d e"]);
    let heads = heads.lock().unwrap();
    assert!(heads[3].contains("continuation-token=more%2F%2B%3D&"), "{heads:?}");
    let (client, heads) = fake::client(|_, _| refusal("403 Forbidden", "AccessDenied"));
    assert!(keys_of(&client).is_err());
    assert_eq!(heads.lock().unwrap().len(), 1);
    let (client, heads) = fake::client(|_, _| refusal("503 Slow Down", "SlowDown"));
    assert!(client.head("a").is_err());
    assert_eq!(heads.lock().unwrap().len(), TRIES_MAX as usize);
}

#[test]
fn a_listing_that_goes_round_in_circles_ends() {
    let (client, heads) = fake::client(|_, _| page(&[("a", 1)], Some("same")));
    assert!(keys_of(&client).unwrap_err().to_string().contains("it has no end"));
    assert_eq!(heads.lock().unwrap().len(), 2);
}

#[test]
fn keys_that_mean_something_else_in_an_address_are_never_asked_for() {
    let (client, heads) = fake::client(|_, _| answer("204 No Content", "", ""));
    for key in ["", ".", "..", "a/../b", "a/."] {
        assert!(matches!(client.get(key, None), Err(Error::Key { .. })), "{key}");
        assert!(matches!(client.head(key), Err(Error::Key { .. })), "{key}");
        assert!(matches!(client.put(key, &Headers::new(), b""), Err(Error::Key { .. })), "{key}");
    }
    // An empty key would name the bucket.
    assert!(matches!(client.delete(&["\u{1}/..".to_owned()]), Err(Error::Key { .. })));
    assert!(heads.lock().unwrap().is_empty());
}

#[test]
fn an_object_comes_with_the_headers_that_are_its_own() {
    let (client, heads) = fake::client(|_, _| object("200 OK", 4, "tag", b"four"));
    let (head, mut body) = client.get("a b/ü?", None).unwrap();
    let mut bytes = Vec::new();
    body.read_to_end(&mut bytes).unwrap();
    assert_eq!((bytes.as_slice(), head.bytes, head.etag.as_str()), (&b"four"[..], 4, "tag"));
    assert_eq!(head.modified, Time { seconds: 1_606_370_017, nanos: 0 });
    let header = |name: &str, value: &[u8]| (name.to_owned(), value.to_vec());
    assert_eq!(
        head.headers,
        [header("content-type", b"text/plain"), header("x-amz-meta-a", b"one"), header("x-amz-meta-b", b"two")]
    );
    assert!(heads.lock().unwrap()[0].starts_with("GET /pail/a%20b/%C3%BC%3F?X-Amz-Algorithm"));
}

#[test]
fn a_server_that_gives_the_whole_for_a_part_is_not_believed() {
    let (client, heads) = fake::client(|_, _| object("200 OK", 4, "tag", b"four"));
    let error = client.get("a", Some(Rest { from: 2, etag: "tag" })).map(drop).unwrap_err();
    assert!(error.to_string().contains("parts of objects"), "{error}");
    let heads = heads.lock().unwrap();
    assert!(heads[0].contains("range: bytes=2-\r\n") && heads[0].contains("if-match: \"tag\"\r\n"), "{heads:?}");
}

#[test]
fn headers_of_s3_are_part_of_the_signature_and_all_are_sent() {
    let (client, heads) = fake::client(|_, _| answer("200 OK", "", ""));
    let header = |name: &str, value: &str| (name.to_owned(), value.as_bytes().to_vec());
    client.put("a", &vec![header("content-type", "text/x"), header("x-amz-meta-a", "ünï")], b"bytes").unwrap();
    let heads = heads.lock().unwrap();
    assert!(heads[0].contains("X-Amz-SignedHeaders=host%3Bx-amz-meta-a&"), "{heads:?}");
    assert!(heads[0].contains("content-type: text/x\r\n") && heads[0].contains("x-amz-meta-a: ünï\r\n"), "{heads:?}");
}

/// Uploads so many bytes to a server for which a multipart upload ends so.
fn uploaded(bytes: u64, end: &'static str) -> (Result<(), Error>, Vec<String>) {
    let (client, heads) = fake::client(move |_, head| match head {
        _ if head.contains("uploads=") => answer(
            "200 OK",
            "",
            "<InitiateMultipartUploadResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
             <UploadId>up</UploadId></InitiateMultipartUploadResult>",
        ),
        _ if head.starts_with("POST") => answer("200 OK", "", end),
        _ if head.starts_with("HEAD") => object("200 OK", PART_BYTES as usize + 1, "tag-2", b""),
        _ => answer("200 OK", "etag: \"part\"\r\n", ""),
    });
    let mut upload = Upload::new(&client, "a", Headers::new(), bytes).unwrap();
    io_copy(&mut upload, bytes);
    let outcome = upload.finish();
    let heads = heads.lock().unwrap();
    let first = |head: &String| head.split(['?', ' ']).take(2).collect::<Vec<_>>().join(" ");
    (outcome, heads.iter().map(first).collect())
}

fn io_copy(upload: &mut Upload<'_>, bytes: u64) {
    std::io::copy(&mut std::io::repeat(7).take(bytes), upload).unwrap();
    upload.flush().unwrap();
}

#[test]
fn what_fits_into_a_part_goes_up_in_one_go_and_what_is_longer_in_parts() {
    for bytes in [0, 1, PART_BYTES] {
        let (outcome, requests) = uploaded(bytes, "");
        outcome.unwrap();
        assert_eq!(requests, ["PUT /pail/a"]);
    }
    let (outcome, requests) = uploaded(PART_BYTES + 1, "<CompleteMultipartUploadResult/>");
    outcome.unwrap();
    assert_eq!(requests, ["POST /pail/a", "PUT /pail/a", "PUT /pail/a", "POST /pail/a", "HEAD /pail/a"]);
}

#[test]
fn an_upload_that_fails_at_its_very_end_fails_and_is_called_off() {
    let end = "<Error><Code>InvalidPart</Code><Message>which</Message></Error>";
    let (outcome, requests) = uploaded(PART_BYTES + 1, end);
    assert!(outcome.unwrap_err().to_string().contains("InvalidPart: which"));
    assert_eq!(requests.last().map(String::as_str), Some("DELETE /pail/a"));
    // What arrived is shorter than what was sent.
    let (outcome, _) = uploaded(PART_BYTES + 2, "<CompleteMultipartUploadResult/>");
    assert!(outcome.unwrap_err().to_string().contains("it has 16777217 bytes, and not 16777218"));
}

#[test]
fn an_object_that_cannot_be_deleted_is_named() {
    let (client, _) = fake::client(|_, head| {
        assert!(head.contains("content-md5: "), "{head}");
        let body = "<DeleteResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Error><Key>b</Key>\
                    <Code>AccessDenied</Code><Message>locked</Message></Error></DeleteResult>";
        answer("200 OK", "", body)
    });
    let error = client.delete(&["a".to_owned(), "b".to_owned()]).unwrap_err().to_string();
    assert!(error.contains("to delete \"b\"") && error.contains("locked"), "{error}");
}

#[test]
fn an_address_that_is_none_is_said() {
    let place = |endpoint: &str, bucket: &str| Place {
        endpoint: Some(endpoint.to_owned()),
        region: "r".to_owned(),
        bucket: bucket.to_owned(),
        style: Style::Host,
        certificates: None,
    };
    let key = || Zeroizing::new("k".to_owned());
    let made = |place: Place| Client::new(&place, &Keys { access: key(), secret: key(), session: None }).map(drop);
    assert!(made(place("https://s3.example.org", "pail")).is_ok());
    for (endpoint, bucket) in [("s3.example.org", "pail"), ("ftp://x", "pail"), ("https://x", ""), ("https://x", "a/b")]
    {
        assert!(matches!(made(place(endpoint, bucket)), Err(Error::Place { .. })), "{endpoint} {bucket}");
    }
}
