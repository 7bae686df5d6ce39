//! `[notify.NAME]`: who is told how a run ended.

use std::path::PathBuf;

use crate::config::reading::Section;
use crate::config::secret::SecretFrom;

/// Somebody who is told.
#[derive(Debug, Clone)]
pub struct Notify {
    /// The name.
    pub name: String,
    /// What the other side understands.
    pub kind: Kind,
    /// Where to; often a secret itself.
    pub url: Url,
    /// Of what.
    pub on: Vec<Occasion>,
    /// What a message is signed with.
    pub secret: Option<SecretFrom>,
    /// Certificates to trust instead of the usual ones.
    pub ca_file: Option<PathBuf>,
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

const KINDS: [(&str, Kind); 4] =
    [("discord", Kind::Discord), ("ping", Kind::Ping), ("slack", Kind::Slack), ("webhook", Kind::Webhook)];
const OCCASIONS: [(&str, Occasion); 3] =
    [("failure", Occasion::Failure), ("recovery", Occasion::Recovery), ("success", Occasion::Success)];

/// Reads one. `None` after a mistake without which nothing can be said.
pub fn read(section: Section<'_, '_>) -> Option<Notify> {
    let name = section.name().to_owned();
    if !section.has("kind") {
        section.mistake("kind", "is missing: discord, ping, slack or webhook");
    }
    let kind = section.choice("kind", &KINDS);
    let secret_url = SecretFrom::read(&section, ["url_file", "url_env", "url_command"]).map(Url::Secret);
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
    let on = occasions(&section).unwrap_or_else(|| match kind {
        Some(Kind::Ping) => vec![Occasion::Success],
        _ => vec![Occasion::Failure, Occasion::Recovery],
    });
    let secret = SecretFrom::read(&section, ["secret_file", "secret_env", "secret_command"]);
    if secret.is_some() && kind.is_some_and(|kind| kind != Kind::Webhook) {
        section.mistake("secret_file", "only messages of the kind webhook are signed");
    }
    let ca_file = section.text("ca_file").map(PathBuf::from);
    section.finish();
    Some(Notify { name, kind: kind?, url: url?, on, secret, ca_file })
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
