//! Requests over HTTP and HTTPS, blocking, with streams in both directions.
//!
//! Promise: an answer that is not a success is an error with the beginning of what the server said; errors never hold
//! headers or the query of an address, where secrets are; silence has an end.
//! Left out on purpose: what is moved elsewhere gets no authorization there; nothing is tried again here.
#![cfg(feature = "services")]

use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use ureq::Agent;
use ureq::http::Request as Parts;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};
use zeroize::Zeroizing;

pub use ureq::http::{HeaderMap, Method};

/// How long a connection may take to stand.
const CONNECT_LIMIT: Duration = Duration::from_secs(30);
/// How long a server may be silent.
const SILENCE_LIMIT: Duration = Duration::from_secs(300);
/// Everything but what may stand in an address as it is.
const COMPONENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
/// How many redirects are followed.
const REDIRECTS_MAX: u32 = 10;
/// How much of what a server says is kept for an error.
const SAID_BYTES_MAX: u64 = 2 << 10;

/// Makes requests; keeps connections open between them.
#[derive(Debug, Clone)]
pub struct Client {
    agent: Agent,
}

/// How a client behaves.
#[derive(Debug, Clone)]
pub struct Settings<'s> {
    /// A PEM file with the only certificates that are trusted; without it, the usual authorities are.
    pub certificates: Option<&'s Path>,
    /// What to do when something has moved.
    pub redirects: Redirects,
    /// How long a server may be silent.
    pub silence: Duration,
    /// How long a request may take in all, its answer included, where that is to have an end.
    pub limit: Option<Duration>,
}

/// What to do when a server says that something has moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Redirects {
    /// Ask there, without authorization.
    Follow,
    /// That is an answer like any other, and no success.
    Refuse,
}

impl Default for Settings<'_> {
    fn default() -> Self {
        Self { certificates: None, redirects: Redirects::Follow, silence: SILENCE_LIMIT, limit: None }
    }
}

/// A request.
#[derive(Debug)]
pub struct Request<'r> {
    /// GET, POST and so on.
    pub method: Method,
    /// The whole address.
    pub url: &'r str,
    /// Headers, whose values may be secret.
    pub headers: Vec<(&'r str, Zeroizing<String>)>,
}

/// What goes with a request.
pub enum Body<'b> {
    /// Nothing.
    Empty,
    /// These bytes.
    Bytes(&'b [u8]),
    /// What comes out of a stream, so many bytes.
    Stream {
        /// The stream.
        from: &'b mut dyn Read,
        /// Its length.
        bytes: u64,
    },
}

/// What was expected.
pub struct Answer {
    /// The status: 200 to 299, unless another was expected.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// What follows them.
    pub body: Box<dyn Read + Send>,
}

/// Why there is no success.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address means nothing.
    #[error("{place:?} is no address: {reason}")]
    Address {
        /// The address, without its query.
        place: String,
        /// Why not.
        reason: String,
    },
    /// No answer came.
    #[error("no answer from {place}: {reason}")]
    Silent {
        /// The address, without its query.
        place: String,
        /// Why not.
        reason: String,
    },
    /// The server refused.
    #[error("{place} {}", answered(*.status, .said))]
    Refused {
        /// The address, without its query.
        place: String,
        /// The status.
        status: u16,
        /// The beginning of what it said.
        said: String,
    },
    /// Certificates that are to be trusted cannot be read.
    #[error("cannot read the certificates in {path}: {reason}")]
    Certificates {
        /// The file.
        path: String,
        /// Why not.
        reason: String,
    },
}

impl Client {
    /// A client that trusts the usual authorities, or only the certificates in a PEM file.
    pub fn new(certificates: Option<&Path>) -> Result<Self, Error> {
        Self::with(&Settings { certificates, ..Settings::default() })
    }

    /// A client for which a redirect is a refusal like any other: where a request must not be made at another address.
    pub fn that_stays(certificates: Option<&Path>) -> Result<Self, Error> {
        Self::with(&Settings { certificates, redirects: Redirects::Refuse, ..Settings::default() })
    }

    /// A client that behaves so.
    pub fn with(settings: &Settings<'_>) -> Result<Self, Error> {
        let roots = match settings.certificates {
            None => RootCerts::WebPki,
            Some(path) => RootCerts::Specific(Arc::new(trusted(path)?)),
        };
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(settings.limit)
            .timeout_connect(Some(CONNECT_LIMIT))
            .timeout_per_read(Some(settings.silence))
            .timeout_per_write(Some(settings.silence))
            .tls_config(TlsConfig::builder().root_certs(roots).build())
            .max_redirects(if settings.redirects == Redirects::Follow { REDIRECTS_MAX } else { 0 })
            .build();
        Ok(Self { agent: config.new_agent() })
    }

    /// Makes a request. Anything but a status from 200 to 299 is an error.
    pub fn request(&self, request: &Request<'_>, body: Body<'_>) -> Result<Answer, Error> {
        self.expecting(request, body, |status| (200..300).contains(&status))
    }

    /// Makes a request. Any status that is not expected is an error.
    pub fn expecting(
        &self,
        request: &Request<'_>,
        body: Body<'_>,
        expected: impl Fn(u16) -> bool,
    ) -> Result<Answer, Error> {
        let place = without_query(request.url);
        let mut parts = Parts::builder().method(request.method.clone()).uri(request.url);
        for (name, value) in &request.headers {
            parts = parts.header(*name, value.as_str());
        }
        if let Body::Stream { bytes, .. } = &body {
            parts = parts.header("content-length", bytes.to_string());
        }
        let address = |error: ureq::http::Error| Error::Address { place: place.clone(), reason: error.to_string() };
        let sent = match body {
            Body::Empty => self.agent.run(parts.body(()).map_err(address)?),
            Body::Bytes(bytes) => self.agent.run(parts.body(bytes).map_err(address)?),
            Body::Stream { from, bytes } => {
                let mut whole = Whole { from, left: bytes };
                self.agent.run(parts.body(ureq::SendBody::from_reader(&mut whole)).map_err(address)?)
            }
        };
        let answer = sent.map_err(|error| Error::Silent { place: place.clone(), reason: error.to_string() })?;
        let (parts, body) = answer.into_parts();
        let status = parts.status.as_u16();
        let body: Box<dyn Read + Send> = Box::new(body.into_with_config().limit(u64::MAX).reader());
        let answer = Answer { status, headers: parts.headers, body };
        if expected(status) {
            return Ok(answer);
        }
        let said = match answer.header("location").filter(|_| (300..400).contains(&status)) {
            Some(elsewhere) => format!("it has moved to {}", without_query(elsewhere)),
            None => answer.beginning(),
        };
        Err(Error::Refused { place, status, said })
    }
}

/// A part of an address without its percent signs, as servers show it.
pub fn decoded(part: &str) -> String {
    percent_decode_str(part).decode_utf8_lossy().into_owned()
}

/// What was answered: a status, and the beginning of what was said with it, if anything was.
pub fn answered(status: u16, said: &str) -> String {
    if said.is_empty() { format!("answered {status}") } else { format!("answered {status}: {said}") }
}

/// A stream that must be as long as was said: a request that waits for the rest would wait forever.
struct Whole<'w> {
    from: &'w mut dyn Read,
    left: u64,
}

impl Read for Whole<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let room = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let read = self.from.read(&mut buffer[..room])?;
        if read == 0 && room > 0 {
            let message = format!("what is to be sent ends {} bytes early", self.left);
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, message));
        }
        self.left -= read as u64;
        Ok(read)
    }
}

impl Answer {
    /// A header that is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The beginning of what follows the headers, for an error.
    pub fn beginning(self) -> String {
        let mut said = Vec::new();
        let _as_much_as_comes = self.body.take(SAID_BYTES_MAX).read_to_end(&mut said);
        String::from_utf8_lossy(&said).trim().to_owned()
    }

    /// All that follows the headers, if it is not longer than this.
    pub fn bytes(self, bytes_max: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.body.take(bytes_max + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > bytes_max {
            return Err(io::Error::other(format!("the answer is longer than {bytes_max} bytes")));
        }
        Ok(bytes)
    }
}

/// The value of the header `authorization` for a user and a password.
pub fn basic(user: &str, password: &str) -> Zeroizing<String> {
    let pair = Zeroizing::new(format!("{user}:{password}"));
    Zeroizing::new(format!("Basic {}", Zeroizing::new(BASE64_STANDARD.encode(pair.as_bytes())).as_str()))
}

/// A text as one component of an address's path.
pub fn component(text: &str) -> String {
    utf8_percent_encode(text, COMPONENT).to_string()
}

/// An address as it may be shown: neither user nor password, nor what follows a question mark.
pub fn without_query(url: &str) -> String {
    let url = url.split(['?', '#']).next().unwrap_or_default();
    match (url.split_once("://"), url.split_once("://").and_then(|(_, rest)| rest.split_once('@'))) {
        (Some((scheme, _)), Some((user, rest))) if !user.contains('/') => format!("{scheme}://{rest}"),
        _ => url.to_owned(),
    }
}

fn trusted(path: &Path) -> Result<Vec<Certificate<'static>>, Error> {
    let failed = |reason: String| Error::Certificates { path: path.display().to_string(), reason };
    let pem = std::fs::read(path).map_err(|error| failed(error.to_string()))?;
    let mut certificates = Vec::new();
    for item in parse_pem(&pem) {
        match item {
            Ok(PemItem::Certificate(certificate)) => certificates.push(certificate),
            Ok(_) => {}
            Err(error) => return Err(failed(error.to_string())),
        }
    }
    if certificates.is_empty() { Err(failed("there are none".to_owned())) } else { Ok(certificates) }
}

#[cfg(test)]
#[path = "http_tests.rs"]
mod tests;
