//! `kind = "s3"`: a bucket.

use std::path::PathBuf;

use crate::config::reading::Section;
use crate::config::secret::{Keys, SecretFrom};
use crate::config::sources::Kind;

const ACCESS_KEY: Keys = ["access_key_file", "access_key_env", "access_key_command"];
const SECRET_KEY: Keys = ["secret_key_file", "secret_key_env", "secret_key_command"];
const SESSION_TOKEN: Keys = ["session_token_file", "session_token_env", "session_token_command"];

const REGION: &str = "us-east-1";

/// A bucket.
#[derive(Debug, Clone)]
pub struct S3 {
    /// The address of the server; Amazon's if missing.
    pub endpoint: Option<String>,
    /// The region.
    pub region: String,
    /// The bucket.
    pub bucket: String,
    /// How the keys of its objects begin.
    pub prefix: String,
    /// The access key.
    pub access_key: Option<SecretFrom>,
    /// The secret key.
    pub secret_key: Option<SecretFrom>,
    /// What goes with temporary keys.
    pub session_token: Option<SecretFrom>,
    /// Whether the bucket's name is in the path of addresses.
    pub path_style: bool,
    /// Certificates to trust instead of the usual ones.
    pub ca_file: Option<PathBuf>,
    /// Patterns of what is left out.
    pub exclude: Vec<String>,
}

/// Reads it.
pub fn read(section: &Section<'_, '_>) -> Option<Kind> {
    let endpoint = section.text("endpoint").filter(|endpoint| !endpoint.is_empty());
    if let Some(endpoint) = &endpoint
        && !endpoint.starts_with("http://")
        && !endpoint.starts_with("https://")
    {
        section.mistake("endpoint", format!("{endpoint:?} must begin with https:// or http://"));
    }
    let secret = |keys: Keys| {
        let from = SecretFrom::read(section, keys);
        if from.is_none() {
            section.mistake(keys[0], format!("is missing: give one of {}", keys.join(", ")));
        }
        from
    };
    let (access_key, secret_key) = (secret(ACCESS_KEY), secret(SECRET_KEY));
    let session_token = SecretFrom::read(section, SESSION_TOKEN);
    let path_style = section.flag("path_style").unwrap_or(endpoint.is_some());
    let (region, prefix) = (section.text("region"), section.text("prefix"));
    let (ca_file, exclude) = (section.text("ca_file").map(PathBuf::from), section.texts("exclude"));
    Some(Kind::S3(S3 {
        bucket: section.required("bucket")?,
        endpoint,
        region: region.filter(|region| !region.is_empty()).unwrap_or_else(|| REGION.to_owned()),
        prefix: prefix.unwrap_or_default(),
        access_key,
        secret_key,
        session_token,
        path_style,
        ca_file,
        exclude: exclude.unwrap_or_default(),
    }))
}

#[cfg(test)]
#[path = "s3_tests.rs"]
mod tests;
