//! Telling somebody by a request: webhooks, channels, monitors.

use std::thread;
use std::time::Duration;

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::json;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::config::notify::{Http, Kind, Url};
use crate::config::secret::SecretFrom;
use crate::crypto::random;
use crate::http::{Body, Client, Error, Method, Request, Settings, answered, decoded};
use crate::run::World;
use crate::run::notify::{PAUSES, summary};
use crate::run::report::Report;

/// Longest message that Discord takes, in characters.
const DISCORD_CHARS_MAX: usize = 2000;
/// So short a part of an address tells nobody anything.
const PART_BYTES_MIN: usize = 6;
/// What stands between the parts.
const SEPARATORS: [char; 5] = ['/', '?', '&', '=', '#'];

/// Tells one of them; tries again when nobody answers, or the other side is out of order.
pub fn send(http: &Http, limit: Duration, report: &Report, world: &World<'_>) -> Result<(), String> {
    let secret = |from: &SecretFrom| from.fetch(world.variables);
    let url = match &http.url {
        Url::Plain(url) => Zeroizing::new(url.clone()),
        Url::Secret(from) => secret(from).map_err(|error| format!("no address: {error}"))?,
    };
    let body = body(http.kind, report, &world.host)?;
    // The same for every try: one that was heard, and whose answer was not, is known by it.
    let id = hex::encode(random::bytes::<16>().map_err(|error| error.to_string())?);
    let mut headers = vec![("x-larder-delivery", Zeroizing::new(id))];
    if !body.is_empty() {
        headers.push(("content-type", Zeroizing::new("application/json".to_owned())));
    }
    if let Some(from) = &http.secret {
        let secret = secret(from).map_err(|error| format!("no secret: {error}"))?;
        headers.push(("x-larder-signature", Zeroizing::new(signature(&body, secret.as_bytes())?)));
    }
    let settings = Settings { certificates: http.ca_file.as_deref(), limit: Some(limit), ..Settings::default() };
    let client = Client::with(&settings).map_err(|error| error.to_string())?;
    let method = if http.kind == Kind::Ping { Method::GET } else { Method::POST };
    let request = Request { method, url: &url, headers };
    let mut pauses = PAUSES.iter();
    loop {
        let body = if body.is_empty() { Body::Empty } else { Body::Bytes(&body) };
        let Err(error) = client.request(&request, body) else { return Ok(()) };
        let again = match &error {
            Error::Silent { .. } => true,
            Error::Refused { status, .. } => *status >= 500 || *status == 429,
            Error::Address { .. } | Error::Certificates { .. } => false,
        };
        match pauses.next().filter(|_| again) {
            Some(pause) => thread::sleep(*pause),
            None => return Err(without_path(&error, &url, &http.url)),
        }
    }
}

fn body(kind: Kind, report: &Report, host: &str) -> Result<Vec<u8>, String> {
    Ok(match kind {
        Kind::Ping => Vec::new(),
        Kind::Webhook => serde_json::to_vec(report).map_err(|error| error.to_string())?,
        Kind::Slack => json!({ "text": summary(report, host) }).to_string().into_bytes(),
        Kind::Discord => {
            let text: String = summary(report, host).chars().take(DISCORD_CHARS_MAX).collect();
            json!({ "content": text }).to_string().into_bytes()
        }
    })
}

/// What is shown of an error. The path of an address is a secret, wherever the address comes from: who knows it can write
/// to the channel. Of one that is secret itself the host is not shown either.
fn without_path(error: &Error, url: &str, from: &Url) -> String {
    let place = match from {
        Url::Plain(_) => host(url),
        Url::Secret(_) => "the other side",
    };
    // Servers tell what they were asked for: "Cannot POST /services/...".
    let hidden = hidden(url, from);
    let without = |said: &str| hidden.iter().fold(said.to_owned(), |said, part| said.replace(part, "..."));
    match error {
        Error::Refused { status, said, .. } => format!("{place} {}", answered(*status, &without(said))),
        Error::Silent { reason, .. } => match from {
            Url::Plain(_) => format!("no answer from {place}: {}", without(reason)),
            Url::Secret(_) => format!("no answer: {}", without(reason)),
        },
        Error::Address { reason, .. } => format!("the address is none: {}", without(reason)),
        Error::Certificates { .. } => error.to_string(),
    }
}

/// What nobody may see of an address, in the forms in which it may be said; the longest first.
fn hidden(url: &str, from: &Url) -> Vec<String> {
    let rest = after_host(url);
    let mut hidden = [rest, rest.split(['?', '#']).next().unwrap_or_default()].map(forms).concat();
    let parts: Vec<String> = forms(rest).iter().flat_map(|rest| rest.split(SEPARATORS)).flat_map(forms).collect();
    hidden.extend(parts.into_iter().filter(|part| part.len() >= PART_BYTES_MIN));
    if let Some((both, _)) = authority(url).rsplit_once('@') {
        let (user, password) = both.split_once(':').unwrap_or((both, ""));
        hidden.extend([both, user, password].map(forms).concat());
    }
    if matches!(from, Url::Secret(_)) {
        let (host, lower) = (host(url), host(url).to_lowercase());
        hidden.extend([host, &lower].map(|host| [host.to_owned(), without_port(host).to_owned()]).concat());
    }
    hidden.retain(|part| part.len() > 1);
    hidden.sort_by_key(|part| std::cmp::Reverse(part.len()));
    hidden
}

/// A part of an address as it stands there, and as a server reads it, in a path or in a query.
fn forms(part: &str) -> Vec<String> {
    vec![part.to_owned(), decoded(part), decoded(&part.replace('+', " "))]
}

/// A host without its port.
fn without_port(host: &str) -> &str {
    let port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    host.rsplit_once(':').filter(|(_, end)| port(end)).map_or(host, |(host, _)| host)
}

/// What follows the scheme.
fn after_scheme(url: &str) -> &str {
    url.split_once("://").map_or("", |(_, rest)| rest)
}

/// The host, with port and user.
fn authority(url: &str) -> &str {
    after_scheme(url).split(['/', '?', '#']).next().unwrap_or_default()
}

/// The host and the port.
fn host(url: &str) -> &str {
    authority(url).rsplit('@').next().unwrap_or_default()
}

/// What follows the host: the path and all behind it.
fn after_host(url: &str) -> &str {
    let rest = after_scheme(url);
    rest.find(['/', '?', '#']).map_or("", |at| &rest[at..])
}

/// `sha256=` and the HMAC of the body, as GitHub and others sign.
fn signature(body: &[u8], secret: &[u8]) -> Result<String, String> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).map_err(|error| error.to_string())?;
    mac.update(body);
    Ok(format!("sha256={}", hex::encode(mac.finalize().into_bytes())))
}

#[cfg(test)]
#[path = "over_http_tests.rs"]
mod tests;
