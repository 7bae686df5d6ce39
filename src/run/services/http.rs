//! What a server answers. Putting it back takes an address that it is sent to.

use std::io::Read;

use zeroize::Zeroizing;

use crate::config::sources::http::{Auth, Http, Restore};
use crate::format::record::Record;
use crate::http::{Answer, Body, Client, Error, Method, Redirects, Request, Settings, basic, without_query};
use crate::ops::verify::Form;
use crate::run::World;
use crate::run::services::{Prepared, Service, Stored, Trouble, fetch, with_causes};
use crate::source::stream::StreamSource;

impl Service for Http {
    fn prepare(&self, world: &World<'_>) -> Result<Prepared, String> {
        let answer = self.ask(world).map_err(|trouble| trouble.what)?;
        let name = self.file.as_bytes();
        let source = StreamSource::new(name, world.owner.clone(), (world.now)(), answer.body)
            .map_err(|error| with_causes(&error))?;
        Ok(Prepared { source: Box::new(source), forms: vec![(name.to_vec(), self.form)], paths: Vec::new() })
    }

    fn troubles(&self, world: &World<'_>) -> Vec<Trouble> {
        // What another method does, nobody knows: then it must be enough that somebody answers.
        let looked = if self.method == "GET" { self.ask(world).map(drop) } else { self.knock(world) };
        looked.err().into_iter().collect()
    }

    fn form_of(&self, name: &str) -> Option<Form> {
        (name == self.file).then_some(self.form)
    }

    fn plan(&self, _: &Record) -> Result<Vec<String>, String> {
        let restore = self.restore.as_ref().ok_or("nothing says how: give the source a `restore_url`")?;
        let place = without_query(&restore.url);
        Ok(vec![format!("{} is sent to {place} with {}, as {}", self.file, restore.method, restore.content_type)])
    }

    fn fits(&self, stored: &Stored<'_>, _: &World<'_>) -> Result<(), String> {
        stored.has(self.file.as_bytes())
    }

    fn put_back(&self, stored: &Stored<'_>, world: &World<'_>) -> Result<(), String> {
        let restore = self.restore.as_ref().ok_or("there is no `restore_url`")?;
        let client = self.client(Redirects::Refuse).map_err(|error| error.to_string())?;
        let auth = self.authorization(world)?;
        stored.stream(self.file.as_bytes(), |from, bytes| {
            self.send(&client, restore, auth, from, bytes).map_err(|error| error.to_string())
        })
    }
}

impl Http {
    fn client(&self, redirects: Redirects) -> Result<Client, Error> {
        Client::with(&Settings { certificates: self.ca_file.as_deref(), redirects, ..Settings::default() })
    }

    /// The header that says who asks.
    fn authorization(&self, world: &World<'_>) -> Result<Option<(&str, Zeroizing<String>)>, String> {
        const HEADER: &str = "authorization";
        self.auth
            .as_ref()
            .map(|auth| match auth {
                Auth::Basic(user, from) => Ok((HEADER, basic(user, &fetch("password", from, world)?))),
                Auth::Bearer(from) => {
                    let token = fetch("token", from, world)?;
                    Ok((HEADER, Zeroizing::new(format!("Bearer {}", token.as_str()))))
                }
                Auth::Header(name, from) => Ok((name.as_str(), fetch(&format!("value of {name}"), from, world)?)),
            })
            .transpose()
    }

    fn headers<'h>(&'h self, auth: Option<(&'h str, Zeroizing<String>)>) -> Vec<(&'h str, Zeroizing<String>)> {
        let plain = self.headers.iter().map(|(name, value)| (name.as_str(), Zeroizing::new(value.clone())));
        plain.chain(auth).collect()
    }

    /// Asks, and looks whether the answer is what was expected. Its bytes are still to come.
    fn ask(&self, world: &World<'_>) -> Result<Answer, Trouble> {
        let redirects = if self.follow_redirects { Redirects::Follow } else { Redirects::Refuse };
        let expected = |status| match self.expect_status {
            Some(only) => status == only,
            None => (200..300).contains(&status),
        };
        let body = self.body.as_ref().map_or(Body::Empty, |body| Body::Bytes(body.as_bytes()));
        let answer = self.request(self.method, body, redirects, expected, world)?;
        let Some(wanted) = &self.expect_content_type else { return Ok(answer) };
        let found = answer.header("content-type").unwrap_or("none").to_owned();
        if essence(&found) == essence(wanted) {
            return Ok(answer);
        }
        let place = without_query(&self.url);
        let what = format!("{place} answered with content type {found}, not {wanted}: {}", answer.beginning());
        Err(Trouble::new(what, "check `url` and `expect_content_type`: this may be a page to log in"))
    }

    /// Looks whether anybody answers, whatever they say, unless it is that they do not know who asks.
    fn knock(&self, world: &World<'_>) -> Result<(), Trouble> {
        self.request("HEAD", Body::Empty, Redirects::Refuse, |status| status != 401, world).map(drop)
    }

    fn request(
        &self,
        method: &str,
        body: Body<'_>,
        redirects: Redirects,
        expected: impl Fn(u16) -> bool,
        world: &World<'_>,
    ) -> Result<Answer, Trouble> {
        let trouble = |error: Error| Trouble::new(self.said(&error), hint(&error));
        let client = self.client(redirects).map_err(trouble)?;
        let auth = self
            .authorization(world)
            .map_err(|error| Trouble::new(error, "see the password, token and auth keys of the source"))?;
        let request = Request { method: verb(method), url: &self.url, headers: self.headers(auth) };
        client.expecting(&request, body, expected).map_err(trouble)
    }

    fn said(&self, error: &Error) -> String {
        match self.expect_status {
            Some(wanted) if matches!(error, Error::Refused { .. }) => format!("{error} (expected {wanted})"),
            _ => error.to_string(),
        }
    }

    fn send(
        &self,
        client: &Client,
        restore: &Restore,
        auth: Option<(&str, Zeroizing<String>)>,
        from: &mut dyn Read,
        bytes: u64,
    ) -> Result<(), Error> {
        let mut headers = self.headers(auth);
        headers.retain(|(name, _)| !name.eq_ignore_ascii_case("content-type"));
        headers.push(("content-type", Zeroizing::new(restore.content_type.clone())));
        let request = Request { method: verb(restore.method), url: &restore.url, headers };
        client.request(&request, Body::Stream { from, bytes }).map(drop)
    }
}

fn verb(method: &str) -> Method {
    // Which ones there are is known to the configuration.
    Method::from_bytes(method.as_bytes()).unwrap_or_default()
}

/// A content type without what may follow it: `application/json` of `application/json; charset=utf-8`.
fn essence(content_type: &str) -> String {
    content_type.split(';').next().unwrap_or_default().trim().to_lowercase()
}

/// How to mend it.
fn hint(error: &Error) -> &'static str {
    match error {
        Error::Address { .. } => "check `url`",
        Error::Silent { .. } => "check `url`, that the service runs, and for https `ca_file`",
        Error::Refused { status: 401 | 403, .. } => "check the user and password, token or auth keys of the source",
        Error::Refused { status: 300..=399, .. } => "give that as `url`, or `follow_redirects = true`",
        Error::Refused { .. } => "check `url`, `method`, `headers` and `body`",
        Error::Certificates { .. } => "check `ca_file`: it must hold certificates as PEM",
    }
}
