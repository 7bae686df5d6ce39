//! Telling how a run ended.
//!
//! Promise: a backup never fails because nobody can be told; that nobody could be told is said in the report. No message
//! and no error holds a secret. Telling somebody has an end.
//! Left out on purpose: messages of a form that one kind of receiver alone knows, beyond those that are there.

#[cfg(feature = "services")]
mod email;
mod letter;
#[cfg(feature = "services")]
mod over_http;

use serde::Serialize;

use crate::config::notify::{Notify, Occasion};
use crate::run::World;
use crate::run::report::{Report, Status};

pub use letter::{subject, text};

/// The pauses before it is tried again.
#[cfg(feature = "services")]
const PAUSES: [std::time::Duration; 2] = [std::time::Duration::from_secs(1), std::time::Duration::from_secs(5)];

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

/// Tells one of them; tries again when that may help.
#[cfg(feature = "services")]
pub fn send(notify: &Notify, report: &Report, world: &World<'_>) -> Result<(), String> {
    use crate::config::notify::Way;

    match &notify.way {
        Way::Http(http) => over_http::send(http, notify.limit, report, world),
        Way::Email(email) => email::send(email, notify.limit, report, world),
    }
}

/// Tells one of them.
#[cfg(not(feature = "services"))]
pub fn send(_: &Notify, _: &Report, _: &World<'_>) -> Result<(), String> {
    Err("this larder was built without services".to_owned())
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
