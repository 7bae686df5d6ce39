//! A server that answers as a test says, one request a connection.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::thread;

use zeroize::Zeroizing;

use crate::s3::{Client, Keys, Place, Style};

/// What requests said: their heads.
pub type Heads = Arc<Mutex<Vec<String>>>;

/// Answers the n-th request with what `answer` makes of it.
pub fn client(answer: impl Fn(usize, &str) -> Vec<u8> + Send + 'static) -> (Client, Heads) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let heads = Heads::default();
    let seen = heads.clone();
    // It ends with the test's process.
    thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            let mut reader = BufReader::new(stream.unwrap());
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head).unwrap() > 0 {}
            let length =
                head.to_lowercase().lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
            let mut body = vec![0; length.unwrap_or(0)];
            reader.read_exact(&mut body).unwrap();
            seen.lock().unwrap().push(head.clone());
            let _may_be_gone = reader.get_mut().write_all(&answer(number, &head));
        }
    });
    (at(&endpoint), heads)
}

/// A client of a server at an address.
pub fn at(endpoint: &str) -> Client {
    let place = Place {
        endpoint: Some(endpoint.to_owned()),
        region: "us-east-1".to_owned(),
        bucket: "pail".to_owned(),
        style: Style::Path,
        certificates: None,
    };
    let text = |text: &str| Zeroizing::new(text.to_owned());
    Client::new(&place, &Keys { access: text("AKIA1"), secret: text("s3cret"), session: None }).unwrap()
}

/// An answer.
pub fn answer(status: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n{body}").into_bytes()
}

/// A refusal in S3's words.
pub fn refusal(status: &str, code: &str) -> Vec<u8> {
    answer(
        status,
        "",
        &format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>so &amp; so</Message></Error>"),
    )
}

/// An object in an answer that says its length and breaks off after what is given.
pub fn object(status: &str, bytes: usize, etag: &str, given: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-length: {bytes}\r\netag: \"{etag}\"\r\nlast-modified: Thu, 26 Nov 2020 05:53:37 GMT\r\n\
         content-type: text/plain\r\nx-amz-meta-b: two\r\nx-amz-meta-a: one\r\nx-other: no\r\nconnection: close\r\n\r\n"
    );
    [head.as_bytes(), given].concat()
}

/// A page of a listing.
pub fn page(objects: &[(&str, u64)], token: Option<&str>) -> Vec<u8> {
    let contents: String = objects
        .iter()
        .map(|(key, bytes)| {
            format!(
                "<Contents><Key>{key}</Key><LastModified>2020-11-26T05:53:37.469Z</LastModified>\
                 <ETag>&quot;tag&quot;</ETag><Size>{bytes}</Size></Contents>"
            )
        })
        .collect();
    let next = token.map(|token| format!("<NextContinuationToken>{token}</NextContinuationToken>")).unwrap_or_default();
    let body = format!(
        "<?xml version=\"1.0\"?><ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
         <EncodingType>url</EncodingType><IsTruncated>{}</IsTruncated>{next}{contents}</ListBucketResult>",
        token.is_some()
    );
    answer("200 OK", "", &body)
}
