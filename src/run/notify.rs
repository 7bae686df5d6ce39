//! Telling how a run ended.
//!
//! Promise: a backup never fails because nobody can be told; that nobody could be told is said in the report. No message
//! and no error holds a secret.
//! Left out on purpose: e-mail, which a hook can send.

use serde::Serialize;

use crate::config::notify::{Notify, Occasion};
use crate::run::World;
use crate::run::report::{Report, Status};

/// Whether somebody was told.
#[derive(Debug, Clone, Serialize)]
pub struct Told {
    /// Who.
    pub name: String,
    /// Why not, if not.
    pub error: Option<String>,
}

/// Tells everybody who wants to know. `before` is how the run before this one ended, if that is known.
pub fn tell(all: &[Notify], report: &Report, before: Option<Status>, world: &World<'_>) -> Vec<Told> {
    let wanted = all.iter().filter(|notify| concerns(&notify.on, report.status, before));
    wanted.map(|notify| Told { name: notify.name.clone(), error: send(notify, report, world).err() }).collect()
}

fn concerns(on: &[Occasion], now: Status, before: Option<Status>) -> bool {
    let well = now == Status::Done;
    on.iter().any(|occasion| match occasion {
        Occasion::Failure => !well,
        Occasion::Success => well,
        Occasion::Recovery => well && before.is_some_and(|before| before != Status::Done),
    })
}

/// A run in a few lines, for a channel.
pub fn summary(report: &Report, host: &str) -> String {
    let mut lines = vec![format!("larder on {host}: {}", report.status.word())];
    for source in &report.sources {
        lines.push(match source.errors.first() {
            None => format!("{}: {}", source.name, source.status.word()),
            Some(error) => format!("{}: {}: {}", source.name, source.status.word(), first_line(error)),
        });
    }
    let upkeep = report.upkeep.iter().filter_map(|upkeep| Some(format!("{}: {}", upkeep.what, upkeep.error.as_ref()?)));
    lines.extend(upkeep.chain(report.errors.iter().cloned()).map(|line| first_line(&line).to_owned()));
    lines.join("\n")
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

#[cfg(feature = "services")]
pub use over_http::send;

/// Tells one of them.
#[cfg(not(feature = "services"))]
pub fn send(_: &Notify, _: &Report, _: &World<'_>) -> Result<(), String> {
    Err("this larder was built without services".to_owned())
}

#[cfg(feature = "services")]
mod over_http {
    use std::thread;
    use std::time::Duration;

    use hmac::{Hmac, KeyInit as _, Mac as _};
    use serde_json::json;
    use sha2::Sha256;
    use zeroize::Zeroizing;

    use crate::config::notify::{Kind, Notify, Url};
    use crate::http::{Body, Client, Error, Method, Request};
    use crate::run::World;
    use crate::run::notify::summary;
    use crate::run::report::Report;

    /// The pauses before it is tried again.
    const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(5)];
    /// Longest message that Discord takes, in characters.
    const DISCORD_CHARS_MAX: usize = 2000;

    /// Tells one of them; tries again when nobody answers, or the other side is out of order.
    pub fn send(notify: &Notify, report: &Report, world: &World<'_>) -> Result<(), String> {
        let secret = |from: &crate::config::secret::SecretFrom| from.fetch(world.variables);
        let url = match &notify.url {
            Url::Plain(url) => Zeroizing::new(url.clone()),
            Url::Secret(from) => secret(from).map_err(|error| format!("no address: {error}"))?,
        };
        let text = || summary(report, &world.host);
        let body = match notify.kind {
            Kind::Ping => Vec::new(),
            Kind::Webhook => serde_json::to_vec(report).map_err(|error| error.to_string())?,
            Kind::Slack => json!({ "text": text() }).to_string().into_bytes(),
            Kind::Discord => {
                let text: String = text().chars().take(DISCORD_CHARS_MAX).collect();
                json!({ "content": text }).to_string().into_bytes()
            }
        };
        let mut headers = Vec::new();
        if !body.is_empty() {
            headers.push(("content-type", Zeroizing::new("application/json".to_owned())));
        }
        if let Some(from) = &notify.secret {
            let secret = secret(from).map_err(|error| format!("no secret: {error}"))?;
            headers.push(("x-larder-signature", Zeroizing::new(signature(&body, secret.as_bytes())?)));
        }
        let client = Client::new(notify.ca_file.as_deref()).map_err(|error| error.to_string())?;
        let method = if notify.kind == Kind::Ping { Method::GET } else { Method::POST };
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
                None => return Err(without_path(&error, notify)),
            }
        }
    }

    /// What is shown of an error: the path of a secret address is secret, too.
    fn without_path(error: &Error, notify: &Notify) -> String {
        match (&notify.url, error) {
            (Url::Plain(_), error) => error.to_string(),
            (Url::Secret(_), Error::Refused { status, said, .. }) => {
                format!("the other side answered {status}: {said}")
            }
            (Url::Secret(_), Error::Silent { reason, .. }) => format!("no answer: {reason}"),
            (Url::Secret(_), Error::Address { reason, .. }) => format!("the address is none: {reason}"),
            (Url::Secret(_), error @ Error::Certificates { .. }) => error.to_string(),
        }
    }

    /// `sha256=` and the HMAC of the body, as GitHub and others sign.
    fn signature(body: &[u8], secret: &[u8]) -> Result<String, String> {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret).map_err(|error| error.to_string())?;
        mac.update(body);
        Ok(format!("sha256={}", hex::encode(mac.finalize().into_bytes())))
    }
}
