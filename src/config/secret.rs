//! Where a secret comes from: a file, a variable or a command. Never from the configuration itself.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::child;
use crate::config::reading::Section;
use crate::config::variables::Variables;
use crate::crypto::secret::Secret;
use crate::repo::slots::parse_key_file;

/// Longest secret.
const SECRET_BYTES_MAX: usize = 64 << 10;

/// Where a secret comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretFrom {
    /// The first line of a file.
    File(PathBuf),
    /// A variable.
    Variable(String),
    /// What a shell command prints.
    Command(String),
}

/// The keys of one secret: of a file, of a variable, of a command.
pub type Keys = [&'static str; 3];

/// The keys of a password.
pub const PASSWORD: Keys = ["password_file", "password_env", "password_command"];

impl SecretFrom {
    /// Reads the keys of a secret, of which at most one may be there.
    pub fn read(section: &Section<'_, '_>, keys: Keys) -> Option<Self> {
        let texts = keys.map(|key| section.text(key).filter(|text| !text.is_empty()));
        if texts.iter().flatten().count() > 1 {
            section.mistake(keys[0], format!("is one too many: give one of {}", keys.join(", ")));
        }
        let [file, variable, command] = texts;
        let file = file.map(|path| Self::File(path.into()));
        file.or_else(|| variable.map(Self::Variable)).or_else(|| command.map(Self::Command))
    }

    /// Fetches it. Errors never hold any of it.
    pub fn fetch(&self, variables: &Variables) -> Result<Zeroizing<String>, String> {
        let bytes = match self {
            Self::File(path) => read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?,
            Self::Variable(name) => {
                let value = variables.get(name).filter(|value| !value.is_empty());
                value.ok_or_else(|| format!("the variable {name} is not set"))?.as_bytes().to_vec().into()
            }
            Self::Command(command) => {
                child::output_of(command, SECRET_BYTES_MAX).map_err(|error| format!("the command for it {error}"))?
            }
        };
        if bytes.len() > SECRET_BYTES_MAX {
            return Err("it is longer than any secret".to_owned());
        }
        let line = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let text = std::str::from_utf8(line).map_err(|_| "it is not UTF-8 text".to_owned())?;
        if text.is_empty() { Err("it is empty".to_owned()) } else { Ok(Zeroizing::new(text.to_owned())) }
    }
}

/// Reads a key file. Errors never hold any of it.
pub fn key_file(path: &Path) -> Result<Secret, String> {
    let bytes = read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    parse_key_file(&bytes)
        .ok_or_else(|| format!("{} is no key file: that has 32 bytes, or 64 hexadecimal digits", path.display()))
}

/// A file, but no more of it than tells that it is too long.
fn read(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::new());
    File::open(path)?.take(SECRET_BYTES_MAX as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}
