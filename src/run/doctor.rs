//! Looking, before anything is backed up, whether it could be.

use std::path::Path;

use serde::Serialize;

use crate::config::notify::{Notify, Url, Way};
use crate::config::secret::SecretFrom;
use crate::config::sources::Source;
use crate::run::World;
use crate::run::drill::checks::hindrance;
use crate::run::services::{Trouble, service};

/// What was found about a source.
#[derive(Debug, Serialize)]
pub struct Finding {
    /// The source.
    pub source: String,
    /// What is wrong; empty if nothing is.
    pub troubles: Vec<Said>,
}

/// Something that is wrong.
#[derive(Debug, Serialize)]
pub struct Said {
    /// What.
    pub what: String,
    /// How to mend it.
    pub hint: String,
}

/// Looks at sources, which changes nothing.
pub fn look(sources: &[&Source], world: &World<'_>) -> Vec<Finding> {
    let said = |source: &Source| {
        let service = service(&source.kind);
        let troubles = service.troubles(world);
        let empty = service.emptiness().filter(|_| source.min_bytes > 0 && troubles.is_empty());
        let hint = "mount or fill what belongs there; if it may be empty: min_bytes = 0";
        let troubles = troubles.into_iter().chain(empty.map(|what| Trouble::new(what, hint)));
        let hindrances = source.drill.checks.iter().filter_map(hindrance);
        let hint = format!("see `schema_file` in the checks of [source.{}.drill]", source.name);
        let hindrances = hindrances.map(|what| Said { what: format!("no drill: {what}"), hint: hint.clone() });
        troubles.map(|trouble| Said { what: trouble.what, hint: trouble.hint }).chain(hindrances).collect()
    };
    sources.iter().map(|source| Finding { source: source.name.clone(), troubles: said(source) }).collect()
}

/// What was found about somebody who is to be told.
#[derive(Debug, Serialize)]
pub struct Listener {
    /// The name.
    pub name: String,
    /// What is wrong; empty if nothing is.
    pub troubles: Vec<Said>,
}

/// Looks whether what is needed to tell everybody can be had. Nobody is spoken to.
pub fn listeners(all: &[Notify], world: &World<'_>) -> Vec<Listener> {
    all.iter().map(|notify| Listener { name: notify.name.clone(), troubles: missing(notify, world) }).collect()
}

fn missing(notify: &Notify, world: &World<'_>) -> Vec<Said> {
    let said = |what: String, keys: &str| Said { what, hint: format!("see {keys} of [notify.{}]", notify.name) };
    let fetch = |what: &str, key: &str, from: &SecretFrom| {
        let keys = format!("`{key}_file`, `{key}_env` or `{key}_command`");
        from.fetch(world.variables).map_err(|error| said(format!("no {what}: {error}"), &keys))
    };
    let (secrets, certificates) = match &notify.way {
        Way::Http(http) => {
            let address = match &http.url {
                Url::Plain(_) => None,
                Url::Secret(from) => match fetch("address", "url", from) {
                    // Not shown: it is secret.
                    Ok(url) if !url.starts_with("http://") && !url.starts_with("https://") => Some(said(
                        "the address does not begin with http:// or https://".to_owned(),
                        "`url_file`, `url_env` or `url_command`",
                    )),
                    fetched => fetched.err(),
                },
            };
            let secret = http.secret.as_ref().and_then(|from| fetch("secret", "secret", from).err());
            (address.into_iter().chain(secret).collect(), &http.ca_file)
        }
        Way::Email(email) => {
            let password = email.login.as_ref().and_then(|login| fetch("password", "password", &login.password).err());
            (password.into_iter().collect::<Vec<Said>>(), &email.ca_file)
        }
    };
    let certificates = certificates.as_deref().and_then(|path| trusted(path).err());
    secrets.into_iter().chain(certificates.map(|error| said(error, "`ca_file`"))).collect()
}

/// Whether certificates can be read.
#[cfg(feature = "services")]
fn trusted(path: &Path) -> Result<(), String> {
    use crate::http::{Client, Settings};

    let settings = Settings { certificates: Some(path), ..Settings::default() };
    Client::with(&settings).map(drop).map_err(|error| error.to_string())
}

/// Whether the file can be read.
#[cfg(not(feature = "services"))]
fn trusted(path: &Path) -> Result<(), String> {
    std::fs::File::open(path).map(drop).map_err(|error| format!("cannot read {}: {error}", path.display()))
}
