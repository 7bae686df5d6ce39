//! `kind = "http"`: what a server answers.

use std::path::PathBuf;

use crate::config::reading::Section;
use crate::config::secret::{Keys, PASSWORD, SecretFrom};
use crate::config::sources::{Kind, file, form};
use crate::ops::verify::Form;

/// What a server answers.
#[derive(Debug, Clone)]
pub struct Http {
    /// The address.
    pub url: String,
    /// GET, POST and so on.
    pub method: &'static str,
    /// Headers that are no secrets.
    pub headers: Vec<(String, String)>,
    /// Who asks.
    pub auth: Option<Auth>,
    /// What goes with the request.
    pub body: Option<String>,
    /// The only status that is a success; any from 200 to 299 if nothing is said.
    pub expect_status: Option<u16>,
    /// The only content type that is a success.
    pub expect_content_type: Option<String>,
    /// Whether to ask elsewhere when the server says so.
    pub follow_redirects: bool,
    /// A file with the only certificates that are trusted.
    pub ca_file: Option<PathBuf>,
    /// The name of the file that holds the answer.
    pub file: String,
    /// What it must look like.
    pub form: Form,
    /// Where what was stored is sent to put it back.
    pub restore: Option<Restore>,
}

/// Who asks.
#[derive(Debug, Clone)]
pub enum Auth {
    /// A user with a password.
    Basic(String, SecretFrom),
    /// Whoever has a token.
    Bearer(SecretFrom),
    /// Whoever knows the value of a header.
    Header(String, SecretFrom),
}

/// Where what was stored is sent.
#[derive(Debug, Clone)]
pub struct Restore {
    /// The address.
    pub url: String,
    /// POST, PUT or PATCH.
    pub method: &'static str,
    /// What the server is told it is.
    pub content_type: String,
}

const METHODS: [(&str, &str); 4] = [("GET", "GET"), ("POST", "POST"), ("PUT", "PUT"), ("PATCH", "PATCH")];
const TOKEN: Keys = ["token_file", "token_env", "token_command"];
const AUTH: Keys = ["auth_file", "auth_env", "auth_command"];
/// Headers that always hold a secret.
const SECRET_HEADERS: [&str; 3] = ["authorization", "cookie", "proxy-authorization"];

/// Reads it.
pub fn read(section: &Section<'_, '_>) -> Option<Kind> {
    let (url, file) = (address(section, "url"), file(section));
    let form = form(section, file.as_deref());
    let http = Http {
        method: section.choice("method", &METHODS).unwrap_or("GET"),
        headers: headers(section),
        auth: auth(section),
        body: section.text("body"),
        expect_status: status(section),
        expect_content_type: section.text("expect_content_type"),
        follow_redirects: section.flag("follow_redirects").unwrap_or(false),
        ca_file: section.text("ca_file").map(PathBuf::from),
        form,
        restore: restore(section, form),
        // Last: all other mistakes are said, too.
        url: url?,
        file: file?,
    };
    if http.follow_redirects && matches!(http.auth, Some(Auth::Header(..))) {
        section.mistake("follow_redirects", "would tell other servers the secret in the header: leave it out");
    }
    Some(Kind::Http(http))
}

/// An address that must be there and looks like one.
pub fn address(section: &Section<'_, '_>, key: &'static str) -> Option<String> {
    let text = section.required(key)?;
    check_address(section, key, &text);
    Some(text)
}

/// Notes what looks like no address.
pub fn check_address(section: &Section<'_, '_>, key: &str, text: &str) {
    let rest = ["http://", "https://"].iter().find_map(|scheme| text.strip_prefix(scheme));
    let place = rest.and_then(|rest| rest.split(['/', '?', '#']).next()).unwrap_or_default();
    if place.is_empty() || text.contains(char::is_whitespace) {
        section.mistake(key, "is no address: http://HOST/PATH or https://HOST/PATH");
    } else if place.contains('@') {
        section.mistake(key, "must not hold a user or a password: there are other keys for them");
    }
}

fn headers(section: &Section<'_, '_>) -> Vec<(String, String)> {
    let headers = section.pairs("headers");
    for (name, value) in &headers {
        if SECRET_HEADERS.contains(&name.to_lowercase().as_str()) {
            section.mistake("headers", format!("{name} holds a secret: give user, token_file or auth_file"));
        }
        check(section, "headers", name);
        if value.chars().any(char::is_control) {
            section.mistake("headers", format!("the value of {name} holds control characters"));
        }
    }
    headers
}

/// Notes what cannot be the name of a header.
fn check(section: &Section<'_, '_>, key: &str, name: &str) {
    if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)) {
        section.mistake(key, format!("{name:?} cannot be the name of a header"));
    }
}

/// Who asks. At most one of three ways.
fn auth(section: &Section<'_, '_>) -> Option<Auth> {
    let (user, password) = (section.text("user"), SecretFrom::read(section, PASSWORD));
    let (token, value) = (SecretFrom::read(section, TOKEN), SecretFrom::read(section, AUTH));
    let header = section.text("auth_header");
    if user.is_some() != password.is_some() {
        section.mistake("user", "and a password belong together: password_file, password_env or password_command");
    }
    if user.as_ref().is_some_and(|user| user.contains(':')) {
        section.mistake("user", "must not hold a colon");
    }
    if header.is_some() && value.is_none() {
        section.mistake("auth_header", "has no value: give auth_file, auth_env or auth_command");
    }
    let header = header.unwrap_or_else(|| "authorization".to_owned());
    check(section, "auth_header", &header);
    let ways = [
        user.zip(password).map(|(user, password)| Auth::Basic(user, password)),
        token.map(Auth::Bearer),
        value.map(|value| Auth::Header(header, value)),
    ];
    if ways.iter().flatten().count() > 1 {
        section.mistake("", "says in more than one way who asks: give a user, a token or auth_*");
    }
    ways.into_iter().flatten().next()
}

fn status(section: &Section<'_, '_>) -> Option<u16> {
    let status = section.number("expect_status", 100)?;
    let known = u16::try_from(status).ok().filter(|status| *status < 600);
    if known.is_none() {
        section.mistake("expect_status", format!("{status} is no status: 100 to 599"));
    }
    known
}

fn restore(section: &Section<'_, '_>, form: Form) -> Option<Restore> {
    let method = section.choice("restore_method", &METHODS[1..]);
    let content_type = section.text("restore_content_type");
    if !section.has("restore_url") {
        if method.is_some() || content_type.is_some() {
            section.mistake("restore_url", "is missing: where to send what was stored");
        }
        return None;
    }
    let by_form = if form == Form::Json { "application/json" } else { "application/octet-stream" };
    Some(Restore {
        url: address(section, "restore_url")?,
        method: method.unwrap_or("POST"),
        content_type: content_type.unwrap_or_else(|| by_form.to_owned()),
    })
}
