//! A service of Docker Compose, beside those that it backs up.
//!
//! Promise: no root, no shell, no capability, and no place to write but the repository, its cache, reports, and the
//! folders of databases in use. Paths in the container are those of this machine, as larder.toml has them.

use std::fmt::Write as _;
use std::path::Path;

use crate::config::sources::Kind;
use crate::deploy::moments::groups;
use crate::deploy::places::{Places, host_of, program_of};
use crate::deploy::{Error, Made, Ready, Setup, line, text_of, user_of, without_variables};

/// Where the configuration is in the container: in no folder that a source may be.
const CONFIG: &str = "/larder.toml";
/// Where compose puts secrets.
const SECRETS: &str = "/run/secrets";
/// Who owns nothing else.
const USER: &str = "65532:65532";

/// How it may write.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Access {
    Read,
    Write,
}

/// Makes it.
pub fn make(setup: &Setup<'_>, image: &str) -> Result<Made, Error> {
    groups(setup.config)?;
    let places = Places::of(setup.config)?;
    let warnings = warnings(setup);
    let mut text = String::from("# Made by `larder schedule compose`. Make it again when larder.toml changes.\n");
    for warning in &warnings {
        let _ = writeln!(text, "# Note: {}", line(warning));
    }
    if image.chars().any(char::is_control) {
        return Err(Error::Unwritable(image.to_owned()));
    }
    let user = user_of(setup.user.unwrap_or(USER), ":")?;
    let _ = writeln!(text, "services:\n  larder:\n    image: {}", quoted(image));
    text.push_str("    # Snapshots are those of a host: a container that is made anew must have the same name.\n");
    let _ = writeln!(text, "    hostname: {}", quoted(setup.host));
    text.push_str("    command: [\"daemon\"]\n    restart: unless-stopped\n    stop_grace_period: 5m\n");
    let _ = writeln!(text, "    user: {}", quoted(user));
    text.push_str("    read_only: true\n    cap_drop: [\"ALL\"]\n    security_opt: [\"no-new-privileges:true\"]\n");
    let _ = writeln!(text, "    environment:\n      LARDER_CONFIG: {CONFIG}\n      LARDER_CACHE: /cache");
    if let Some(file) = setup.variables {
        let _ = writeln!(text, "    env_file: [{}]", quoted(text_of(file)?));
    }
    text.push_str("    tmpfs: [\"/tmp\"]\n    volumes:\n");
    mount(&mut text, text_of(setup.file)?, CONFIG, Access::Read);
    let (secrets, files): (Vec<_>, Vec<_>) = places.files.iter().partition(|file| is_secret(file));
    for path in places.reads.iter().chain(files) {
        mount(&mut text, text_of(path)?, text_of(path)?, Access::Read);
    }
    for path in places.writes.iter().chain(&places.databases) {
        mount(&mut text, text_of(path)?, text_of(path)?, Access::Write);
    }
    text.push_str("      - type: volume\n        source: larder-cache\n        target: /cache\n");
    let names: Vec<&str> = secrets.iter().filter_map(|path| path.file_name()?.to_str()).collect();
    if !names.is_empty() {
        let list: Vec<String> = names.iter().map(|name| quoted(name)).collect();
        let _ = writeln!(text, "    secrets: [{}]", list.join(", "));
    }
    text.push_str("    healthcheck:\n      test: [\"CMD\", \"/larder\", \"daemon\", \"--health\"]\n");
    text.push_str("      interval: 1m\n      timeout: 30s\n      start_period: 1m\n      retries: 3\n");
    text.push_str("volumes:\n  larder-cache:\n");
    if !names.is_empty() {
        let _ = writeln!(text, "# They are mounted as they are: user {user} must be able to read them.\nsecrets:");
    }
    for name in names {
        let _ = writeln!(text, "  {}:\n    file: {}", quoted(name), quoted(&format!("./secrets/{name}")));
    }
    Ok(Made { files: vec![Ready { name: "compose.yaml".to_owned(), text }], warnings })
}

/// Whether compose puts it there: then it lies in `secrets/` beside the file.
fn is_secret(path: &Path) -> bool {
    path.parent() == Some(Path::new(SECRETS))
}

fn mount(text: &mut String, source: &str, target: &str, access: Access) {
    let _ =
        writeln!(text, "      - type: bind\n        source: {}\n        target: {}", quoted(source), quoted(target));
    if access == Access::Read {
        text.push_str("        read_only: true\n");
    }
}

/// What will not work with an image that holds nothing but larder.
fn warnings(setup: &Setup<'_>) -> Vec<String> {
    let mut warnings: Vec<String> = without_variables(setup).into_iter().collect();
    if setup.config.repository.unlock.is_none() {
        warnings.push("[repository] says nothing that unlocks it: add password_file or key_file".to_owned());
    }
    for source in setup.config.sources.iter().filter(|source| source.enabled) {
        let name = &source.name;
        if let Kind::DockerVolume(_) = source.kind {
            warnings.push(format!(
                "source {name}: volumes are not reached from inside a container: mount them, and use kind directory"
            ));
        } else if let Some(program) = program_of(source) {
            warnings.push(format!("source {name} needs {program}, which the image must have"));
        }
        if let Some(host) = host_of(source).filter(|host| ["localhost", "127.0.0.1", "[::1]", "::1"].contains(host)) {
            warnings.push(format!(
                "source {name}: {host} is the container itself there: give the name of the service that is meant"
            ));
        }
    }
    warnings
}

/// A text in YAML in which compose replaces nothing.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('$', "$$"))
}
