//! A bucket of a server that speaks S3: list, read, write and delete objects.
//!
//! Promise: a listing of any length is handed out page by page; what passes by itself (a busy server, a lost connection)
//! is tried again a few times; no error holds a key or a signature.
//! Left out on purpose: versions, rights and tags of objects, and buckets themselves. Signatures carry the time of day,
//! which `rusty_s3` looks up.
#![cfg(feature = "services")]

pub mod error;
pub mod upload;

use std::io::Read;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822;
use rusty_s3::actions::{
    DeleteObject, DeleteObjects, DeleteObjectsResponse, GetObject, HeadObject, ListObjectsV2, ObjectIdentifier,
    PutObject,
};
use rusty_s3::{Bucket, Credentials, S3Action, UrlStyle};
use zeroize::Zeroizing;

use crate::format::Time;
use crate::http::{self, Answer, Body, HeaderMap, Method, Request};
use crate::s3::error::Error;

/// How long a signed address is good for: longer than any body takes that it begins.
const SIGNED_FOR: Duration = Duration::from_secs(60 * 60);
/// How often a request is made before it counts as failed.
pub const TRIES_MAX: u32 = 3;
/// How long to wait before the second try; four times that before the third.
const PAUSE: Duration = Duration::from_millis(500);
/// Longest answer in XML. A page of a listing has at most 1000 keys of 1024 bytes.
const XML_BYTES_MAX: u64 = 16 << 20;
/// Objects that one request deletes.
pub const DELETED_AT_ONCE_MAX: usize = 1000;
/// Pages of one listing. A broken server may list for ever.
const PAGES_MAX: u64 = 10_000_000;

/// Headers that belong to an object and are put back with it; those of its owner's own begin with [`OWN_HEADERS`].
const KEPT_HEADERS: &[&str] = &[
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-type",
    "expires",
    "x-amz-website-redirect-location",
];
const OWN_HEADERS: &str = "x-amz-meta-";

/// Where a bucket is.
#[derive(Debug, Clone)]
pub struct Place {
    /// The address of the server; Amazon's for the region if there is none.
    pub endpoint: Option<String>,
    /// The region.
    pub region: String,
    /// The bucket.
    pub bucket: String,
    /// Where in addresses the bucket's name stands.
    pub style: Style,
    /// Certificates to trust instead of the usual ones.
    pub certificates: Option<PathBuf>,
}

/// Where in addresses the bucket's name stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// In the path.
    Path,
    /// In the host's name.
    Host,
}

/// The keys of whoever asks.
pub struct Keys {
    /// The access key.
    pub access: Zeroizing<String>,
    /// The secret key.
    pub secret: Zeroizing<String>,
    /// What goes with temporary keys.
    pub session: Option<Zeroizing<String>>,
}

/// A bucket.
pub struct Client {
    http: http::Client,
    bucket: Bucket,
    credentials: Credentials,
}

/// An object, as a listing has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// Its key.
    pub key: String,
    /// Its length.
    pub bytes: u64,
    /// When it was last put.
    pub modified: Time,
    /// The tag of its content, without quotes; empty if the server gives none.
    pub etag: String,
}

/// Headers by their names in small letters, sorted.
pub type Headers = Vec<(String, Vec<u8>)>;

/// What a server says of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Length of what follows.
    pub bytes: u64,
    /// When it was last put.
    pub modified: Time,
    /// The tag of its content, without quotes.
    pub etag: String,
    /// The headers that belong to it.
    pub headers: Headers,
}

/// A part of an object, of one that must not have changed.
#[derive(Debug, Clone, Copy)]
pub struct Rest<'r> {
    /// Where it begins.
    pub from: u64,
    /// The tag that the object had.
    pub etag: &'r str,
}

impl Client {
    /// A client. Nothing is asked yet.
    pub fn new(place: &Place, keys: &Keys) -> Result<Self, Error> {
        let amazon = || format!("https://s3.{}.amazonaws.com", place.region);
        let endpoint = place.endpoint.clone().unwrap_or_else(amazon);
        let bad = |reason: String| Error::Place { endpoint: endpoint.clone(), reason };
        if place.bucket.is_empty() {
            return Err(bad("the bucket has no name".to_owned()));
        }
        let style = match place.style {
            Style::Path => UrlStyle::Path,
            Style::Host => UrlStyle::VirtualHost,
        };
        let url = endpoint.parse().map_err(|error| bad(format!("{error}")))?;
        let bucket = Bucket::new(url, style, place.bucket.clone(), place.region.clone());
        let bucket = bucket.map_err(|error| bad(error.to_string()))?;
        let (access, secret) = (keys.access.as_str(), keys.secret.as_str());
        let credentials = match &keys.session {
            Some(session) => Credentials::new_with_token(access, secret, session.as_str()),
            None => Credentials::new(access, secret),
        };
        Ok(Self { http: http::Client::that_stays(place.certificates.as_deref())?, bucket, credentials })
    }

    /// The name of the bucket.
    pub fn bucket(&self) -> &str {
        self.bucket.name()
    }

    /// Makes sure that objects can be listed, with a single request.
    pub fn look(&self, prefix: &str) -> Result<(), Error> {
        self.page(prefix, None, Some(1)).map(drop)
    }

    /// Shows all objects whose keys begin so, in the server's order, which most keep bytewise.
    pub fn list(&self, prefix: &str, each: &mut dyn FnMut(Object) -> ControlFlow<()>) -> Result<(), Error> {
        let mut token: Option<String> = None;
        for _ in 0..PAGES_MAX {
            let (objects, next) = again(|| self.page(prefix, token.as_deref(), None))?;
            for object in objects {
                if each(object).is_break() {
                    return Ok(());
                }
            }
            if next.is_none() {
                return Ok(());
            }
            if next == token {
                break;
            }
            token = next;
        }
        Err(Error::Answer { what: "a listing".to_owned(), reason: "it has no end".to_owned() })
    }

    fn page(
        &self,
        prefix: &str,
        token: Option<&str>,
        most: Option<usize>,
    ) -> Result<(Vec<Object>, Option<String>), Error> {
        let mut action = self.bucket.list_objects_v2(Some(&self.credentials));
        if !prefix.is_empty() {
            action.with_prefix(prefix);
        }
        if let Some(token) = token {
            action.with_continuation_token(token);
        }
        if let Some(most) = most {
            action.with_max_keys(most);
        }
        let answer = self.ask(&mut action, Method::GET, &[], Body::Empty)?;
        let text = xml(answer)?;
        let bad = |reason: String| Error::Answer { what: "a listing".to_owned(), reason };
        let parsed = ListObjectsV2::parse_response(&text).map_err(|error| bad(error.to_string()))?;
        let objects = parsed.contents.into_iter().map(|listed| {
            let modified = listed.last_modified.ok_or_else(|| bad(format!("{:?} has no time", listed.key)))?;
            Ok(Object {
                bytes: listed.size.ok_or_else(|| bad(format!("{:?} has no length", listed.key)))?,
                modified: modified.parse().map(time).map_err(|_| bad(format!("{modified:?} is no time")))?,
                etag: bare(listed.etag.as_deref().unwrap_or_default()),
                key: listed.key,
            })
        });
        Ok((objects.collect::<Result<_, Error>>()?, parsed.next_continuation_token))
    }

    /// What the server says of an object, and its content; of one that was begun already, the rest.
    pub fn get(&self, key: &str, rest: Option<Rest<'_>>) -> Result<(Head, Box<dyn Read + Send>), Error> {
        check(key)?;
        let mut action = GetObject::new(&self.bucket, Some(&self.credentials), key);
        let headers: Vec<(&str, String)> = match rest {
            None => Vec::new(),
            Some(Rest { from, etag }) => {
                vec![("range", format!("bytes={from}-")), ("if-match", format!("\"{etag}\""))]
            }
        };
        let answer = self.ask(&mut action, Method::GET, &headers, Body::Empty)?;
        if rest.is_some_and(|rest| rest.from > 0) && answer.status != 206 {
            let reason = "the server does not give parts of objects".to_owned();
            return Err(Error::Answer { what: key.to_owned(), reason });
        }
        Ok((head(key, &answer.headers)?, answer.body))
    }

    /// What the server says of an object.
    pub fn head(&self, key: &str) -> Result<Head, Error> {
        check(key)?;
        again(|| {
            let mut action = HeadObject::new(&self.bucket, Some(&self.credentials), key);
            let answer = self.ask(&mut action, Method::HEAD, &[], Body::Empty)?;
            head(key, &answer.headers)
        })
    }

    /// Puts an object in one go.
    pub fn put(&self, key: &str, headers: &Headers, bytes: &[u8]) -> Result<(), Error> {
        check(key)?;
        let headers = texts(headers)?;
        again(|| {
            let mut action = PutObject::new(&self.bucket, Some(&self.credentials), key);
            self.ask(&mut action, Method::PUT, &headers, Body::Bytes(bytes)).map(drop)
        })
    }

    /// Deletes objects, at most [`DELETED_AT_ONCE_MAX`].
    pub fn delete(&self, keys: &[String]) -> Result<(), Error> {
        // XML cannot hold every key.
        let (alone, together): (Vec<&String>, Vec<&String>) = keys.iter().partition(|key| !fits_xml(key));
        for key in alone {
            check(key)?;
            again(|| {
                let mut action = DeleteObject::new(&self.bucket, Some(&self.credentials), key);
                self.ask(&mut action, Method::DELETE, &[], Body::Empty).map(drop)
            })?;
        }
        let together: Vec<ObjectIdentifier> = together.into_iter().cloned().map(ObjectIdentifier::new).collect();
        if together.is_empty() { Ok(()) } else { again(|| self.delete_together(&together)) }
    }

    fn delete_together(&self, objects: &[ObjectIdentifier]) -> Result<(), Error> {
        let mut action = DeleteObjects::new(&self.bucket, Some(&self.credentials), objects.iter());
        action.set_quiet(true);
        let (body, sum) = action.clone().body_with_md5();
        let answer = self.ask(&mut action, Method::POST, &[("content-md5", sum)], Body::Bytes(body.as_bytes()))?;
        let parsed = DeleteObjectsResponse::parse(&xml(answer)?)
            .map_err(|error| Error::Answer { what: "the deletion of objects".to_owned(), reason: error.to_string() })?;
        match parsed.errors.into_iter().next() {
            None => Ok(()),
            Some(first) => Err(Error::Refused {
                what: format!("to delete {:?}", first.key),
                status: 200,
                code: first.code,
                message: first.message,
            }),
        }
    }

    /// Signs and makes one request. Headers of S3's own are part of the signature.
    fn ask<'a>(
        &'a self,
        action: &mut impl S3Action<'a>,
        method: Method,
        headers: &[(&str, String)],
        body: Body<'_>,
    ) -> Result<Answer, Error> {
        for (name, value) in headers.iter().filter(|(name, _)| name.starts_with("x-amz-")) {
            action.headers_mut().insert((*name).to_owned(), value.clone());
        }
        let url = action.sign(SIGNED_FOR);
        let headers = headers.iter().map(|(name, value)| (*name, Zeroizing::new(value.clone()))).collect();
        let request = Request { method: method.clone(), url: url.as_str(), headers };
        self.http.request(&request, body).map_err(|error| Error::of(&method, self.bucket.name(), error))
    }
}

/// Makes a request again if it failed by what passes by itself.
pub fn again<T>(request: impl Fn() -> Result<T, Error>) -> Result<T, Error> {
    let mut pause = PAUSE;
    for _ in 1..TRIES_MAX {
        match request() {
            Err(error) if error.may_pass() => thread::sleep(pause),
            outcome => return outcome,
        }
        pause *= 4;
    }
    request()
}

/// Refuses a key that addresses cannot hold: a part `.` or `..` would name another object, and an empty key the bucket.
pub fn check(key: &str) -> Result<(), Error> {
    let reason = match key {
        "" => "it is empty",
        _ if key.split('/').any(|part| matches!(part, "." | "..")) => {
            "it has a part . or .., which no address can hold"
        }
        _ => return Ok(()),
    };
    Err(Error::Key { key: key.to_owned(), reason })
}

/// Whether a key can stand in XML.
fn fits_xml(key: &str) -> bool {
    !key.chars().any(|c| matches!(c, '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}'))
}

fn xml(answer: Answer) -> Result<String, Error> {
    let what = || "the server".to_owned();
    let bytes =
        answer.bytes(XML_BYTES_MAX).map_err(|error| Error::Broken { what: what(), reason: error.to_string() })?;
    String::from_utf8(bytes).map_err(|_| Error::Answer { what: what(), reason: "it is no text".to_owned() })
}

/// What the headers of an answer say of an object.
fn head(key: &str, found: &HeaderMap) -> Result<Head, Error> {
    let text = |name: &str| found.get(name).and_then(|value| value.to_str().ok());
    let bad = |reason: &str| Error::Answer { what: key.to_owned(), reason: reason.to_owned() };
    let bytes = text("content-length").and_then(|length| length.parse().ok()).ok_or_else(|| bad("it has no length"))?;
    let modified = text("last-modified").and_then(|date| rfc2822::parse(date).ok());
    let modified = modified.map(|date| time(date.timestamp())).ok_or_else(|| bad("it has no time"))?;
    let mut headers = Headers::new();
    for (name, value) in found {
        let name = name.as_str();
        if !is_kept(name) {
            continue;
        }
        match headers.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => known.extend([b", ", value.as_bytes()].concat()),
            None => headers.push((name.to_owned(), value.as_bytes().to_vec())),
        }
    }
    headers.sort();
    Ok(Head { bytes, modified, etag: bare(text("etag").unwrap_or_default()), headers })
}

/// Whether a header belongs to an object, to be put back with it.
pub fn is_kept(name: &str) -> bool {
    KEPT_HEADERS.contains(&name) || name.starts_with(OWN_HEADERS)
}

fn texts(headers: &Headers) -> Result<Vec<(&str, String)>, Error> {
    let text = |(name, value): &'_ (String, Vec<u8>)| String::from_utf8(value.clone()).map_err(|_| name.clone());
    let texts = headers.iter().map(|header| Ok((header.0.as_str(), text(header)?)));
    texts.collect::<Result<_, String>>().map_err(|name| Error::Answer {
        what: format!("the header {name}"),
        reason: "it is no UTF-8 text, and cannot be sent".to_owned(),
    })
}

/// A tag without what is around it.
fn bare(etag: &str) -> String {
    etag.trim_start_matches("W/").trim_matches('"').to_owned()
}

fn time(timestamp: Timestamp) -> Time {
    let nanos = timestamp.as_nanosecond();
    Time { seconds: nanos.div_euclid(1_000_000_000) as i64, nanos: nanos.rem_euclid(1_000_000_000) as u32 }
}

#[cfg(test)]
#[path = "fake_tests.rs"]
pub mod fake;
#[cfg(test)]
#[path = "s3_tests.rs"]
mod tests;
