//! What a server of objects refuses, in words, and what to do about it.

use crate::http::{self, Method};

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address of the server, or the bucket's name, means nothing.
    #[error("{endpoint:?} is no address of a bucket's server: {reason}")]
    Place {
        /// The address.
        endpoint: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A key that cannot be asked for.
    #[error("the key {key:?} cannot be asked for: {reason}")]
    Key {
        /// The key.
        key: String,
        /// Why not.
        reason: &'static str,
    },
    /// No success, and no words of S3 with it.
    #[error(transparent)]
    Http(#[from] http::Error),
    /// The server refused, in its own words.
    #[error("{}", words(.what, *.status, .code, .message))]
    Refused {
        /// What was asked.
        what: String,
        /// The status.
        status: u16,
        /// The code.
        code: String,
        /// The message.
        message: String,
    },
    /// An answer began and broke off.
    #[error("the answer of {what} broke off: {reason}")]
    Broken {
        /// Who answered.
        what: String,
        /// How.
        reason: String,
    },
    /// An answer that nobody understands.
    #[error("what the server says of {what} makes no sense: {reason}")]
    Answer {
        /// Of what.
        what: String,
        /// Why it makes none.
        reason: String,
    },
}

/// What an error means for whatever else there is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The object is not there.
    Gone,
    /// The object cannot be had; others may.
    One,
    /// Nothing can be had: the server is gone, or does not know the key.
    All,
}

impl Error {
    /// What a request's failure says.
    pub fn of(method: &Method, bucket: &str, error: http::Error) -> Self {
        let http::Error::Refused { status, said, .. } = &error else { return Self::Http(error) };
        let code = element(said, "Code").unwrap_or_default();
        if code.is_empty() && *method != Method::HEAD {
            return Self::Http(error);
        }
        let what = format!("{} of bucket {bucket}", method.as_str());
        Self::Refused { what, status: *status, code, message: element(said, "Message").unwrap_or_default() }
    }

    /// The error that the body of a success holds.
    pub fn within(said: &str, bucket: &str) -> Option<Self> {
        let code = said.contains("<Error>").then(|| element(said, "Code").unwrap_or_default())?;
        let what = format!("POST of bucket {bucket}");
        Some(Self::Refused { what, status: 200, code, message: element(said, "Message").unwrap_or_default() })
    }

    /// Whether it may go by itself.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Http(http::Error::Silent { .. }) | Self::Broken { .. } => true,
            Self::Http(http::Error::Refused { status, .. }) => passing(*status),
            Self::Refused { status, code, .. } => passing(*status) || PASSING_CODES.contains(&code.as_str()),
            _ => false,
        }
    }

    /// What it means for the rest.
    pub fn scope(&self) -> Scope {
        match self {
            Self::Http(http::Error::Silent { .. }) => Scope::All,
            Self::Refused { status, code, .. } => match (code.as_str(), *status) {
                ("NoSuchKey", _) | ("", 404) => Scope::Gone,
                ("NoSuchBucket" | "RequestTimeTooSkewed" | "RequestExpired", _) => Scope::All,
                (code, _) if KEY_CODES.contains(&code) || REGION_CODES.contains(&code) => Scope::All,
                (_, 301 | 307) => Scope::All,
                _ => Scope::One,
            },
            _ => Scope::One,
        }
    }

    /// How to mend it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Place { .. } => "correct `endpoint` and `bucket`",
            Self::Key { .. } => "rename the object, or leave it out with `exclude`",
            Self::Http(http::Error::Silent { .. }) => {
                "check `endpoint`, for https `ca_file`, and that the server runs and can be reached"
            }
            Self::Http(http::Error::Certificates { .. }) => "correct `ca_file`",
            Self::Http(_) | Self::Answer { .. } => "check that `endpoint` is the address of a server that speaks S3",
            Self::Broken { .. } => "try again; see the server's log",
            Self::Refused { status, code, .. } => match code.as_str() {
                "NoSuchBucket" => "correct `bucket`, `endpoint` or `region`, or make the bucket",
                "RequestTimeTooSkewed" | "RequestExpired" => "set the clock of this machine, or of the server",
                "SignatureDoesNotMatch" => "correct the secret key (`secret_key_file`, `_env`, `_command`)",
                code if KEY_CODES.contains(&code) => "correct the access key (`access_key_file`, `_env`, `_command`)",
                code if REGION_CODES.contains(&code) => "correct `region`",
                code if FULL_CODES.contains(&code) => "make room on the server, or raise what the bucket may hold",
                _ if *status == 507 => "make room on the server, or raise what the bucket may hold",
                _ if matches!(status, 301 | 307) => "correct `region` or `endpoint`",
                "AccessDenied" => {
                    "allow the access key to list the bucket and to read its objects; \
                                   a restore also writes and deletes them"
                }
                _ => "see the documentation of the server",
            },
        }
    }
}

/// Codes by which a server says that it does not know who asks.
const KEY_CODES: &[&str] =
    &["InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "ExpiredToken", "TokenRefreshRequired"];
/// Codes by which a server says that the bucket lies in another region.
const REGION_CODES: &[&str] = &[
    "PermanentRedirect",
    "TemporaryRedirect",
    "AuthorizationHeaderMalformed",
    "AuthorizationQueryParametersError",
    "IllegalLocationConstraintException",
];

/// Codes by which a server says that it is full: Ceph's, and MinIO's.
const FULL_CODES: &[&str] = &["QuotaExceeded", "XMinioAdminBucketQuotaExceeded", "XMinioStorageFull"];

/// Codes of what passes by itself.
const PASSING_CODES: &[&str] = &["InternalError", "RequestTimeout", "ServiceUnavailable", "SlowDown"];

fn passing(status: u16) -> bool {
    matches!(status, 408 | 429 | 500 | 502 | 503 | 504)
}

fn words(what: &str, status: u16, code: &str, message: &str) -> String {
    let meaning = match code {
        "NoSuchBucket" => "there is no such bucket",
        "NoSuchKey" => "there is no such object",
        "AccessDenied" => "the access key is not allowed to do that",
        "InvalidAccessKeyId" => "the server does not know the access key",
        "SignatureDoesNotMatch" => "the secret key is not that of the access key",
        "ExpiredToken" | "InvalidToken" | "TokenRefreshRequired" => "the temporary access key is not good any more",
        "RequestTimeTooSkewed" | "RequestExpired" => "the clocks of the server and of this machine differ",
        "InvalidObjectState" => "the object lies in an archive, and must be fetched from there first",
        code if REGION_CODES.contains(&code) => "the bucket lies in another region",
        code if FULL_CODES.contains(&code) || status == 507 => "the server has no room for it",
        "" if status == 404 => "there is no such object",
        "" if status == 403 => "the access key is not allowed to do that, or not known",
        _ => "the server refuses",
    };
    let said = [code, message].into_iter().filter(|said| !said.is_empty()).collect::<Vec<_>>().join(": ");
    let said = if said.is_empty() { format!("status {status}") } else { said };
    format!("{meaning} ({what}: {said})")
}

/// The text of an element that holds nothing but text.
fn element(xml: &str, name: &str) -> Option<String> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    let entities = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&#34;", "\""), ("&amp;", "&")];
    Some(entities.iter().fold(text.to_owned(), |text, (entity, character)| text.replace(entity, character)))
}
