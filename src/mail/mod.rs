//! Letters by way of an SMTP server, blocking.
//!
//! Promise: what is to be encrypted is never sent in plain text; a password goes unencrypted to this machine alone; no
//! error holds it; an attempt has an end; no text becomes a header of its own.
//! Left out on purpose: attachments and HTML; nothing is tried again here.

#[cfg(feature = "services")]
mod smtp;

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use zeroize::Zeroizing;

#[cfg(feature = "services")]
pub use smtp::{check_address, send};

/// How what goes over the wire is kept from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encryption {
    /// The connection begins in plain text, and nothing but hello is said before it is encrypted.
    Starttls,
    /// Encrypted from the first byte.
    Smtps,
    /// Not at all.
    None,
}

impl Encryption {
    /// The port that is usual for it.
    pub const fn port(self) -> u16 {
        match self {
            Encryption::Starttls => 587,
            Encryption::Smtps => 465,
            Encryption::None => 25,
        }
    }
}

/// A server that takes letters.
#[derive(Clone)]
pub struct Server {
    /// Its name or number, which its certificate must have.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How it is spoken to.
    pub encryption: Encryption,
    /// Who sends, if it wants to know.
    pub login: Option<Login>,
    /// A PEM file with the only certificates that are trusted; without it, the usual authorities are.
    pub certificates: Option<PathBuf>,
    /// The name of this machine.
    pub client: String,
    /// How long one attempt may take.
    pub limit: Duration,
}

/// A user and a password.
#[derive(Clone)]
pub struct Login {
    /// The user.
    pub user: String,
    /// The password.
    pub password: Zeroizing<String>,
}

/// A letter.
#[derive(Debug, Clone)]
pub struct Letter {
    /// Who writes: `name@domain` or `Words <name@domain>`.
    pub from: String,
    /// All whom it is for.
    pub to: Vec<String>,
    /// What it is about.
    pub subject: String,
    /// What it says.
    pub text: String,
    /// When it was written.
    pub written: SystemTime,
    /// What no other letter of the same writer is called.
    pub id: String,
}

/// What came of an attempt.
#[derive(Debug)]
pub struct Sent {
    /// Those whom the server would not take it for, and why.
    pub refused: Vec<String>,
    /// Those who wait for another attempt.
    pub left: Vec<String>,
    /// Why they wait.
    pub error: Option<Error>,
}

/// Why a letter cannot be sent.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    message: String,
    /// Whether it may go better another time.
    pub again: Again,
}

/// Whether another attempt may go better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Again {
    /// It may.
    MayHelp,
    /// Somebody has to mend something first.
    Useless,
}

/// Whether that is this machine, by its usual name or its numbers.
pub fn is_this_machine(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|number| number.is_loopback())
}
