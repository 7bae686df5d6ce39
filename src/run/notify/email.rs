//! Telling somebody by e-mail.

use std::thread;
use std::time::Duration;

use crate::config::notify::Email;
use crate::crypto::random;
use crate::mail::{self, Again, Letter, Login, Server};
use crate::run::World;
use crate::run::notify::{PAUSES, subject, text};
use crate::run::report::Report;

/// Writes a letter; tries again when nobody answers, or the other side says that it may go better later.
pub fn send(email: &Email, limit: Duration, report: &Report, world: &World<'_>) -> Result<(), String> {
    let login = email.login.as_ref().map(|login| {
        let password = login.password.fetch(world.variables).map_err(|error| format!("no password: {error}"))?;
        Ok::<_, String>(Login { user: login.user.clone(), password })
    });
    let server = Server {
        host: email.host.clone(),
        port: email.port,
        encryption: email.encryption,
        login: login.transpose()?,
        certificates: email.ca_file.clone(),
        client: world.host.clone(),
        limit,
    };
    let letter = Letter {
        from: email.from.clone(),
        to: email.to.clone(),
        subject: subject(report, &world.host),
        text: text(report, &world.host),
        written: (world.now)().timestamp().into(),
        id: hex::encode(random::bytes::<16>().map_err(|error| error.to_string())?),
    };
    let (mut left, mut refused, mut pauses) = (email.to.clone(), Vec::new(), PAUSES.iter());
    while !left.is_empty() {
        let sent = mail::send(&server, &letter, &left);
        refused.extend(sent.refused);
        left = sent.left;
        let Some(error) = sent.error else { break };
        match pauses.next().filter(|_| error.again == Again::MayHelp) {
            Some(pause) => thread::sleep(*pause),
            None => {
                refused.push(format!("{}: {error}", left.join(", ")));
                break;
            }
        }
    }
    if refused.is_empty() { Ok(()) } else { Err(refused.join("; ")) }
}
