//! SMTP as `lettre` speaks it.

use std::error::Error as _;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, UNIX_EPOCH};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use lettre::address::Envelope;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message};
use lettre::transport::smtp;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{Certificate, CertificateStore, SmtpConnection, TlsParameters};
use lettre::transport::smtp::extension::ClientId;

use crate::mail::{Again, Encryption, Error, Letter, Login, Sent, Server, is_this_machine};

/// How much of what a server says is kept for an error.
const SAID_CHARS_MAX: usize = 500;
/// The last second that the head of a letter can name.
const LAST_SECOND: Duration = Duration::from_secs(253_402_300_799);
/// The ways to say who one is, the better one first.
const MECHANISMS: [Mechanism; 2] = [Mechanism::Plain, Mechanism::Login];

impl Error {
    fn new(message: impl Into<String>, again: Again) -> Self {
        Self { message: message.into(), again }
    }

    fn useless(message: impl Into<String>) -> Self {
        Self::new(message, Again::Useless)
    }
}

/// What is wrong with an address, if anything is.
pub fn check_address(text: &str) -> Result<(), String> {
    mailbox(text).map(drop).map_err(|error| error.to_string())
}

/// Sends a letter to those of its addresses.
pub fn send(server: &Server, letter: &Letter, to: &[String]) -> Sent {
    let (tell, told) = channel();
    let (server_there, letter_there, to_there) = (server.clone(), letter.clone(), to.to_vec());
    // In a thread, because looking for a name cannot be told to end; a thread that is given up ends by the same limit.
    let attempt = move || {
        let _nobody_may_wait_any_more = tell.send(attempt(&server_there, &letter_there, to_there));
    };
    let begun = thread::Builder::new().name("mail".to_owned()).spawn(attempt);
    let answer = match begun {
        Ok(_) => told.recv_timeout(server.limit).map_err(|_| server.silent()),
        Err(error) => Err(Error::new(format!("no thread for it: {error}"), Again::MayHelp)),
    };
    answer.unwrap_or_else(|error| Sent { refused: Vec::new(), left: to.to_vec(), error: Some(error) })
}

fn attempt(server: &Server, letter: &Letter, mut left: Vec<String>) -> Sent {
    let mut refused = Vec::new();
    let error = deliver(server, letter, &mut left, &mut refused).err();
    Sent { refused, left, error }
}

/// Delivers to one after the other, so that one whom the server does not know takes the letter from nobody else.
fn deliver(server: &Server, letter: &Letter, left: &mut Vec<String>, refused: &mut Vec<String>) -> Result<(), Error> {
    let message = message(letter)?.formatted();
    let from = mailbox(&letter.from)?.email;
    let mut open = None;
    while let Some(to) = left.first() {
        let envelope = Envelope::new(Some(from.clone()), vec![mailbox(to)?.email]);
        let envelope = envelope.map_err(|error| Error::useless(error.to_string()))?;
        let mut connection = match open.take() {
            Some(connection) => connection,
            None => server.open()?,
        };
        match connection.send(&envelope, &message) {
            Ok(_) => open = Some(connection),
            // The connection is of no use after that.
            Err(error) if error.is_permanent() => refused.push(format!("{to}: {}", server.failed(&error))),
            Err(error) => return Err(server.failed(&error)),
        }
        left.remove(0);
    }
    let _it_has_the_letter = open.map(|mut connection| connection.quit());
    Ok(())
}

fn mailbox(text: &str) -> Result<Mailbox, Error> {
    text.parse().map_err(|error| Error::useless(format!("{text:?} is no address of e-mail: {error}")))
}

fn message(letter: &Letter) -> Result<Message, Error> {
    let from = mailbox(&letter.from)?;
    let id = format!("<{}@{}>", letter.id, from.email.domain());
    // So that nobody who is away answers.
    let automatic = HeaderValue::new(HeaderName::new_from_ascii_str("Auto-Submitted"), "auto-generated".to_owned());
    let mut builder = Message::builder()
        .from(from)
        .subject(printable(&letter.subject, ' '))
        .date(letter.written.clamp(UNIX_EPOCH, UNIX_EPOCH + LAST_SECOND))
        .message_id(Some(id))
        .header(ContentType::TEXT_PLAIN)
        .raw_header(automatic);
    for to in &letter.to {
        builder = builder.to(mailbox(to)?);
    }
    builder.body(letter.text.clone()).map_err(|error| Error::useless(error.to_string()))
}

/// A text without characters that do something.
fn printable(text: &str, instead: char) -> String {
    text.chars().map(|c| if c.is_control() { instead } else { c }).collect()
}

impl Server {
    /// A connection over which letters can be sent.
    fn open(&self) -> Result<SmtpConnection, Error> {
        let tls = match self.encryption {
            Encryption::None => None,
            Encryption::Starttls | Encryption::Smtps => Some(self.tls()?),
        };
        let client = client_id(&self.client);
        let at_once = tls.as_ref().filter(|_| self.encryption == Encryption::Smtps);
        let place = (self.host.as_str(), self.port);
        let mut connection = SmtpConnection::connect(place, Some(self.limit), &client, at_once, None)
            .map_err(|error| self.failed(&error))?;
        if let Some(tls) = tls.filter(|_| self.encryption == Encryption::Starttls) {
            if !connection.can_starttls() {
                return Err(Error::useless(format!(
                    "{} does not offer STARTTLS, and nothing is sent in plain text: try `encryption = \"smtps\"`",
                    self.place()
                )));
            }
            connection.starttls(&tls, &client).map_err(|error| self.failed(&error))?;
        }
        if let Some(login) = &self.login {
            self.log_in(&mut connection, login)?;
        }
        Ok(connection)
    }

    fn log_in(&self, connection: &mut SmtpConnection, login: &Login) -> Result<(), Error> {
        if !connection.is_encrypted() && !is_this_machine(&self.host) {
            return Err(Error::useless(format!("{} is told no password without encryption", self.place())));
        }
        if connection.server_info().get_auth_mechanism(&MECHANISMS).is_none() {
            let what = "takes no user and password (neither AUTH PLAIN nor AUTH LOGIN)";
            return Err(Error::useless(format!("{} {what}", self.place())));
        }
        let credentials = Credentials::new(login.user.clone(), login.password.to_string());
        connection.auth(&MECHANISMS, &credentials).map(drop).map_err(|error| {
            let Error { message, again } = self.failed(&error);
            Error::new(format!("the user {:?} cannot log in: {message}", login.user), again)
        })
    }

    fn tls(&self) -> Result<TlsParameters, Error> {
        let builder = TlsParameters::builder(self.host.clone());
        let (builder, file) = match &self.certificates {
            None => (builder.certificate_store(CertificateStore::WebpkiRoots), None),
            Some(path) => {
                let builder = builder.certificate_store(CertificateStore::None);
                (builder.add_root_certificate(trusted(path)?), Some(path))
            }
        };
        builder.build().map_err(|error| match file {
            Some(path) => unreadable(path, &error.to_string()),
            None => Error::useless(error.to_string()),
        })
    }

    /// As it is named in errors.
    fn place(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    fn silent(&self) -> Error {
        let seconds = self.limit.as_secs();
        Error::new(format!("{} has not taken it within {seconds} s (`limit`)", self.place()), Again::MayHelp)
    }

    /// What an error of the connection means.
    fn failed(&self, error: &smtp::Error) -> Error {
        let place = self.place();
        let said = self.without_secrets(&error.source().map_or_else(|| error.to_string(), ToString::to_string));
        if let Some(code) = error.status() {
            let again = if error.is_transient() { Again::MayHelp } else { Again::Useless };
            return Error::new(format!("{place} answered {code} {said}"), again);
        }
        let io = error.source().and_then(|source| source.downcast_ref::<std::io::Error>());
        match io.map(std::io::Error::kind) {
            Some(ErrorKind::WouldBlock | ErrorKind::TimedOut) => self.silent(),
            // What TLS does not accept.
            Some(ErrorKind::InvalidData) => {
                Error::useless(format!("{place} is not trusted: {said}; see `host`, `encryption` and `ca_file`"))
            }
            _ if error.is_client() => Error::useless(format!("{place}: {said}")),
            _ => Error::new(format!("no answer from {place}: {said}"), Again::MayHelp),
        }
    }

    /// What a server says, in one line, without the password, should it repeat it.
    fn without_secrets(&self, said: &str) -> String {
        let mut said = printable(said, ' ');
        if let Some(Login { user, password }) = &self.login {
            let plain = BASE64_STANDARD.encode(format!("\0{user}\0{}", password.as_str()));
            for secret in [password.as_str(), &BASE64_STANDARD.encode(password.as_bytes()), &plain] {
                said = said.replace(secret, "...");
            }
        }
        said.chars().take(SAID_CHARS_MAX).collect::<String>().trim().to_owned()
    }
}

/// How this machine says hello: by its name, if that can be one.
fn client_id(name: &str) -> ClientId {
    let fit = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '-';
    if name.is_empty() || !name.chars().all(fit) { ClientId::default() } else { ClientId::Domain(name.to_owned()) }
}

fn trusted(path: &Path) -> Result<Certificate, Error> {
    let pem = std::fs::read(path).map_err(|error| unreadable(path, &error.to_string()))?;
    if !String::from_utf8_lossy(&pem).contains("-----BEGIN CERTIFICATE-----") {
        return Err(unreadable(path, "there are none"));
    }
    Certificate::from_pem(&pem).map_err(|error| unreadable(path, &error.to_string()))
}

fn unreadable(path: &Path, reason: &str) -> Error {
    Error::useless(format!("cannot read the certificates in {}: {reason}", path.display()))
}

#[cfg(test)]
#[path = "smtp_tests.rs"]
mod tests;
