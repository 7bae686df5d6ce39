//! `[notify.NAME]`: who is told how a run ended.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::config::reading::Section;
use crate::config::secret::{PASSWORD, SecretFrom};
use crate::duration::Length;
use crate::mail::{Encryption, is_this_machine};

/// How long one attempt may take, if nothing is said.
const LIMIT: Duration = Duration::from_secs(30);

/// Somebody who is told.
#[derive(Debug, Clone)]
pub struct Notify {
    /// The name.
    pub name: String,
    /// Of what.
    pub on: Vec<Occasion>,
    /// How long one attempt may take.
    pub limit: Duration,
    /// How.
    pub way: Way,
}

/// How somebody is told.
#[derive(Debug, Clone)]
pub enum Way {
    /// By a request.
    Http(Http),
    /// By a letter.
    Email(Email),
}

/// What is asked of whom.
#[derive(Debug, Clone)]
pub struct Http {
    /// What the other side understands.
    pub kind: Kind,
    /// Where to; often a secret itself.
    pub url: Url,
    /// What a message is signed with.
    pub secret: Option<SecretFrom>,
    /// Certificates to trust instead of the usual ones.
    pub ca_file: Option<PathBuf>,
}

/// Who writes to whom, and who carries it.
#[derive(Debug, Clone)]
pub struct Email {
    /// The server that carries it.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How it is spoken to.
    pub encryption: Encryption,
    /// Who that server is told to be spoken to by.
    pub login: Option<Login>,
    /// Who writes.
    pub from: String,
    /// To whom.
    pub to: Vec<String>,
    /// Certificates to trust instead of the usual ones.
    pub ca_file: Option<PathBuf>,
}

/// A user and where the password is.
#[derive(Debug, Clone)]
pub struct Login {
    /// The user.
    pub user: String,
    /// The password.
    pub password: SecretFrom,
}

/// What the other side understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The whole report, as JSON.
    Webhook,
    /// A message to a channel of Slack, or of what understands the same.
    Slack,
    /// A message to a channel of Discord.
    Discord,
    /// A request without content, for monitors that miss it.
    Ping,
}

/// Where to.
#[derive(Debug, Clone)]
pub enum Url {
    /// As the configuration has it.
    Plain(String),
    /// Secret.
    Secret(SecretFrom),
}

/// When somebody is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Occasion {
    /// A run failed, or could not read everything.
    Failure,
    /// The first run that is well after one that was not.
    Recovery,
    /// A run is well.
    Success,
}

/// What a table is for: letters, or requests of one kind.
#[derive(Clone, Copy)]
enum Means {
    Email,
    Http(Kind),
}

const KINDS: [(&str, Means); 5] = [
    ("discord", Means::Http(Kind::Discord)),
    ("email", Means::Email),
    ("ping", Means::Http(Kind::Ping)),
    ("slack", Means::Http(Kind::Slack)),
    ("webhook", Means::Http(Kind::Webhook)),
];
const ENCRYPTIONS: [(&str, Encryption); 3] =
    [("none", Encryption::None), ("smtps", Encryption::Smtps), ("starttls", Encryption::Starttls)];
const OCCASIONS: [(&str, Occasion); 3] =
    [("failure", Occasion::Failure), ("recovery", Occasion::Recovery), ("success", Occasion::Success)];

/// Reads one. `None` after a mistake without which nothing can be said.
pub fn read(section: Section<'_, '_>) -> Option<Notify> {
    let name = section.name().to_owned();
    if !section.has("kind") {
        section.mistake("kind", "is missing: discord, email, ping, slack or webhook");
        return None;
    }
    // Without a kind nobody can say which other keys are right.
    let means = section.choice("kind", &KINDS)?;
    let on = occasions(&section).unwrap_or_else(|| match means {
        Means::Http(Kind::Ping) => vec![Occasion::Success],
        _ => vec![Occasion::Failure, Occasion::Recovery],
    });
    let limit = section.parsed::<Length>("limit").map_or(LIMIT, Length::duration);
    if limit.is_zero() {
        section.mistake("limit", "must be at least 1s");
    }
    let way = match means {
        Means::Email => email(&section).map(Way::Email),
        Means::Http(kind) => http(&section, kind).map(Way::Http),
    };
    section.finish();
    Some(Notify { name, on, limit, way: way? })
}

fn http(section: &Section<'_, '_>, kind: Kind) -> Option<Http> {
    let secret_url = SecretFrom::read(section, ["url_file", "url_env", "url_command"]).map(Url::Secret);
    let url = section.text("url").map(Url::Plain).or(secret_url);
    if url.is_none() {
        section.mistake("url", "is missing: url, url_file, url_env or url_command");
    }
    if let Some(Url::Plain(url)) = &url
        && !url.starts_with("http://")
        && !url.starts_with("https://")
    {
        section.mistake("url", "must begin with http:// or https://");
    }
    let secret = SecretFrom::read(section, ["secret_file", "secret_env", "secret_command"]);
    if secret.is_some() && kind != Kind::Webhook {
        section.mistake("secret_file", "only messages of the kind webhook are signed");
    }
    let ca_file = section.text("ca_file").map(PathBuf::from);
    Some(Http { kind, url: url?, secret, ca_file })
}

fn email(section: &Section<'_, '_>) -> Option<Email> {
    let host = section.required("host");
    if let Some(host) = host.as_ref().filter(|host| !can_be_a_host(host)) {
        section.mistake("host", format!("{host:?} is no name of a machine, and no number; `port` is a key of its own"));
    }
    let encryption =
        if section.has("encryption") { section.choice("encryption", &ENCRYPTIONS) } else { Some(Encryption::Starttls) };
    let port = if section.has("port") { section.port() } else { encryption.map(Encryption::port) };
    let login = login(section);
    if login.is_some()
        && encryption == Some(Encryption::None)
        && host.as_ref().is_some_and(|host| !is_this_machine(host))
    {
        section.mistake("encryption", "a password goes unencrypted to this machine alone: starttls or smtps");
    }
    let from = section.required("from").filter(|from| is_address(section, "from", from));
    let to = section.texts("to");
    match &to {
        None if !section.has("to") => section.mistake("to", "is missing: a list of addresses"),
        Some(to) if to.is_empty() => section.mistake("to", "names nobody"),
        _ => {}
    }
    let to = to.filter(|to| to.iter().all(|one| is_address(section, "to", one)));
    let ca_file = section.text("ca_file").map(PathBuf::from);
    Some(Email { host: host?, port: port?, encryption: encryption?, login, from: from?, to: to?, ca_file })
}

fn login(section: &Section<'_, '_>) -> Option<Login> {
    let user = section.text("user").filter(|user| !user.is_empty());
    match (user, SecretFrom::read(section, PASSWORD)) {
        (Some(user), Some(password)) => Some(Login { user, password }),
        (None, None) => None,
        (Some(_), None) => {
            section.mistake("user", "has no password: password_file, password_env or password_command");
            None
        }
        (None, Some(_)) => {
            section.mistake("user", "is missing: whose password is it?");
            None
        }
    }
}

/// Letters outside of ASCII would be a name that looks like another.
fn can_be_a_host(host: &str) -> bool {
    let fit = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    host.parse::<IpAddr>().is_ok() || host.chars().all(fit)
}

fn is_address(section: &Section<'_, '_>, key: &str, text: &str) -> bool {
    #[cfg(feature = "services")]
    let checked = crate::mail::check_address(text);
    #[cfg(not(feature = "services"))]
    let checked = if text.contains('@') { Ok(()) } else { Err(format!("{text:?} is no address of e-mail")) };
    checked.map_err(|message| section.mistake(key, message)).is_ok()
}

fn occasions(section: &Section<'_, '_>) -> Option<Vec<Occasion>> {
    let words = section.texts("on")?;
    let mut occasions = Vec::new();
    for word in words {
        match OCCASIONS.iter().find(|(known, _)| *known == word) {
            Some((_, occasion)) => occasions.push(*occasion),
            None => section.mistake("on", format!("{word:?} is none of failure, recovery, success")),
        }
    }
    Some(occasions)
}
