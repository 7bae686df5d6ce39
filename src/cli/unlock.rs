//! Passwords, key files and the recovery key: where they come from.
//!
//! Promise: a secret is wiped when it is dropped and never printed; two sources at once are a usage error, never a
//! silent choice. Left out on purpose: what a credential opens (`repo::slots`).

use std::env;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, IsTerminal as _, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use clap::Args;
use zeroize::{Zeroize as _, Zeroizing};

use larder::child;
use larder::crypto::keys::RootKey;
use larder::crypto::secret::Secret;
use larder::repo::slots::{Credential, parse_key_file, parse_recovery};

use crate::cli::report::{Exit, Failure};
use crate::cli::terminal;

/// Longest password.
const PASSWORD_BYTES_MAX: u64 = 64 << 10;

const PASSWORD: &str = "LARDER_PASSWORD";
const KEY_FILE: &str = "LARDER_KEY_FILE";
const NEW_PASSWORD: &str = "LARDER_NEW_PASSWORD";
const RECOVERY_KEY: &str = "LARDER_RECOVERY_KEY";

/// How the repository is unlocked. Otherwise: LARDER_PASSWORD, LARDER_KEY_FILE, or a prompt.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Unlocking")]
pub struct Given {
    /// Read the password from this file
    #[arg(long, value_name = "FILE", global = true)]
    pub password_file: Option<PathBuf>,
    /// Run this shell command and take what it prints as the password
    #[arg(long, value_name = "COMMAND", global = true)]
    pub password_command: Option<String>,
    /// Unlock with this key file: 32 bytes, or 64 hexadecimal digits [env: LARDER_KEY_FILE]. With `init`, `key add`
    /// and `recover` it is what will unlock the repository from then on, and is made if it does not exist
    #[arg(long, value_name = "FILE", global = true)]
    pub key_file: Option<PathBuf>,
}

/// Where a new password comes from. Otherwise: LARDER_NEW_PASSWORD, or a prompt.
#[derive(Debug, Clone, Args)]
pub struct NewPassword {
    /// Read the new password from this file
    #[arg(long, value_name = "FILE")]
    pub new_password_file: Option<PathBuf>,
    /// Run this shell command and take what it prints as the new password
    #[arg(long, value_name = "COMMAND")]
    pub new_password_command: Option<String>,
}

/// Where a credential comes from.
enum Means {
    Text(OsString),
    File(PathBuf),
    Command(String),
    KeyFile(PathBuf),
}

/// A flag or variable, and what it says.
type Named = (&'static str, Option<Means>);

impl Given {
    fn flags(&self) -> [Named; 3] {
        [
            ("--password-file", self.password_file.clone().map(Means::File)),
            ("--password-command", self.password_command.clone().map(Means::Command)),
            ("--key-file", self.key_file.clone().map(Means::KeyFile)),
        ]
    }

    /// What is typed counts more than what is set.
    fn means(&self) -> Result<Option<Means>, Failure> {
        if let Some(means) = only(self.flags())? {
            return Ok(Some(means));
        }
        let key_file = env::var_os(KEY_FILE).filter(|path| !path.is_empty());
        only([
            (PASSWORD, env::var_os(PASSWORD).map(Means::Text)),
            (KEY_FILE, key_file.map(|path| Means::KeyFile(path.into()))),
        ])
    }

    /// Whether nobody has to be asked.
    pub fn says(&self) -> Result<bool, Failure> {
        Ok(self.means()?.is_some())
    }

    /// What opens the repository.
    pub fn unlocking(&self) -> Result<Credential, Failure> {
        match self.means()? {
            Some(Means::KeyFile(path)) => read_key_file(&path).map(Credential::KeyFile),
            Some(means) => password_from(means),
            None => Ok(Credential::Password(prompt("Password of the repository: ", PASSWORD)?)),
        }
    }

    /// What opens the repository, for a command whose `--key-file` is another one.
    pub fn unlocking_otherwise(&self) -> Result<Credential, Failure> {
        Self { key_file: None, ..self.clone() }.unlocking()
    }

    /// What is to open the repository from now on. A key file that does not exist is made.
    pub fn locking(&self) -> Result<Credential, Failure> {
        match self.means()? {
            Some(Means::KeyFile(path)) => new_key_file(&path),
            Some(means) => password_from(means),
            None => Ok(Credential::Password(prompt_twice(PASSWORD)?)),
        }
    }
}

/// A key file that is to open the repository from now on. Made if it does not exist.
pub fn new_key_file(path: &Path) -> Result<Credential, Failure> {
    read_or_make_key_file(path).map(Credential::KeyFile)
}

impl NewPassword {
    /// The new password.
    pub fn locking(&self) -> Result<Credential, Failure> {
        let flags = [
            ("--new-password-file", self.new_password_file.clone().map(Means::File)),
            ("--new-password-command", self.new_password_command.clone().map(Means::Command)),
        ];
        let variable = || env::var_os(NEW_PASSWORD).map(Means::Text);
        match only(flags)?.or_else(variable) {
            Some(means) => password_from(means),
            None => Ok(Credential::Password(prompt_twice(NEW_PASSWORD)?)),
        }
    }
}

/// The one thing given, if any.
fn only<const N: usize>(given: [Named; N]) -> Result<Option<Means>, Failure> {
    let names: Vec<&str> = given.iter().filter(|named| named.1.is_some()).map(|named| named.0).collect();
    if let [first, second, ..] = names.as_slice() {
        return Err(Failure::usage(format!("{first} and {second} cannot be given together"))
            .hint(format!("leave {second} out, or {first}")));
    }
    Ok(given.into_iter().find_map(|named| named.1))
}

fn password_from(means: Means) -> Result<Credential, Failure> {
    let bytes = match means {
        Means::Text(text) => Zeroizing::new(text.into_encoded_bytes()),
        Means::File(path) | Means::KeyFile(path) => read_secret(&path, "password file")?,
        Means::Command(command) => child::output_of(&command, PASSWORD_BYTES_MAX as usize)
            .map_err(|error| Failure::new(Exit::Failed, format!("the password command {error}")))?,
    };
    let line = without_newline(&bytes);
    let text = std::str::from_utf8(line).map_err(|_| Failure::usage("the password is not UTF-8 text"))?;
    Ok(Credential::Password(checked(Zeroizing::new(text.to_owned()))?))
}

fn checked(password: Zeroizing<String>) -> Result<Zeroizing<String>, Failure> {
    if password.is_empty() {
        Err(Failure::usage("the password is empty").hint("an empty password would protect nothing"))
    } else {
        Ok(password)
    }
}

/// Without the one line end that editors and `echo` leave.
fn without_newline(bytes: &[u8]) -> &[u8] {
    let line = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    line.strip_suffix(b"\r").unwrap_or(line)
}

fn read_secret(path: &Path, what: &str) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let failed = |error: io::Error| {
        let failure = Failure::io(format!("cannot read the {what} {}", path.display()), &error);
        failure.hint("is the path right, and may this user read it?")
    };
    let mut bytes = Zeroizing::new(Vec::new());
    File::open(path).map_err(failed)?.take(PASSWORD_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > PASSWORD_BYTES_MAX {
        return Err(Failure::usage(format!("the {what} {} is longer than any password", path.display())));
    }
    Ok(bytes)
}

fn read_key_file(path: &Path) -> Result<Secret, Failure> {
    let bytes = read_secret(path, "key file")?;
    parse_key_file(&bytes).ok_or_else(|| {
        Failure::usage(format!("{} is no key file", path.display()))
            .hint("a key file has 32 random bytes, or 64 hexadecimal digits; larder key add --key-file FILE makes one")
    })
}

fn read_or_make_key_file(path: &Path) -> Result<Secret, Failure> {
    if fs::symlink_metadata(path).is_ok() {
        return read_key_file(path);
    }
    let secret = Secret::random().map_err(|error| Failure::new(Exit::Failed, error.to_string()))?;
    let mut text = Zeroizing::new(hex::encode(secret.expose()));
    text.push('\n');
    write_private(path, text.as_bytes())?;
    Ok(secret)
}

/// Writes a file that only its owner can read; refuses to replace one.
pub fn write_private(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let create = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        // The name must be as durable as the bytes: a repository may depend on it in a moment.
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder)?.sync_all()
    };
    create().map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => Failure::new(Exit::Failed, format!("{} exists already", path.display()))
            .hint("nothing is ever written over; choose another name"),
        _ => Failure::io(format!("cannot write {}", path.display()), &error),
    })
}

/// Whether somebody can be asked.
fn can_ask() -> bool {
    io::stderr().is_terminal() && File::open("/dev/tty").is_ok()
}

fn prompt(text: &str, variable: &str) -> Result<Zeroizing<String>, Failure> {
    if !can_ask() {
        return Err(Failure::usage("no password given, and there is no terminal to ask for one").hint(
            if variable == NEW_PASSWORD {
                format!("set {variable}, or use --new-password-file or --new-password-command")
            } else {
                format!("set {variable}, or use --password-file, --password-command or --key-file")
            },
        ));
    }
    match terminal::ask(text) {
        Ok(Some(answer)) => checked(answer),
        Ok(None) => Err(Failure::usage("no password was typed")),
        Err(error) => Err(Failure::io("cannot ask for the password", &error)),
    }
}

fn prompt_twice(variable: &str) -> Result<Zeroizing<String>, Failure> {
    let first = prompt("New password: ", variable)?;
    let mut second = prompt("The same again: ", variable)?;
    let same = *first == *second;
    second.zeroize();
    if same {
        Ok(first)
    } else {
        Err(Failure::usage("the two passwords differ").hint("nothing was done; run it again"))
    }
}

/// Where the recovery key comes from.
pub enum Recovery<'a> {
    /// From the command line.
    Text(&'a str),
    /// From a file as `init --recovery-file` writes it.
    File(&'a Path),
    /// From LARDER_RECOVERY_KEY, or somebody types it.
    Ask,
}

/// The recovery key.
pub fn recovery_key(from: &Recovery<'_>) -> Result<RootKey, Failure> {
    let text = match from {
        Recovery::Text(text) => Zeroizing::new((*text).to_owned()),
        Recovery::File(path) => {
            let bytes = read_secret(path, "recovery file")?;
            Zeroizing::new(String::from_utf8_lossy(&bytes).into_owned())
        }
        Recovery::Ask => match env::var(RECOVERY_KEY) {
            Ok(text) => Zeroizing::new(text),
            Err(_) if can_ask() => prompt("Recovery key: ", RECOVERY_KEY)?,
            Err(_) => {
                return Err(Failure::usage("no recovery key given, and there is no terminal to ask for one")
                    .hint(format!("set {RECOVERY_KEY}, or use --recovery-file")));
            }
        },
    };
    let refused = || {
        Failure::usage("this is no recovery key, or it is mistyped")
            .hint("it begins with larder-recovery-1- and was printed by larder init")
    };
    text.split_whitespace().find_map(parse_recovery).ok_or_else(refused)
}
