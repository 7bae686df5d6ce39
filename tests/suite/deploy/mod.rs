//! What starts larder: units, crontabs and containers, held against systemd, cron, Docker Compose and a Docker engine.

mod booted;
mod compose;
mod cron;
mod image;

mod random;
mod systemd;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use crate::support::binary::Larder;

/// What a program said, which must have gone well.
fn ok(command: &mut Command) -> String {
    let output = output(command);
    assert!(output.status.success(), "{command:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn output(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|error| panic!("{command:?}: {error}: run scripts/test"))
}

/// Names that must be quoted everywhere, each in its way.
const ODD: &str = "it's 100% \"odd\" $HOME";

/// A configuration with one of everything, its places in a folder of that name.
fn configure(larder: &Larder, more: &str) -> String {
    let odd = larder.path(ODD);
    for name in ["files", "app", "status", "secrets"] {
        fs::create_dir_all(odd.join(name)).unwrap();
    }
    fs::write(odd.join("files/one"), "one").unwrap();
    let text = format!(
        "[repository]\npath = '''{repository}'''\nkey_file = '''{key}'''\n\
         [status]\ndirectory = '''{odd}/status'''\n\
         [source.files]\nkind = \"directory\"\npaths = ['''{odd}/files''']\n{more}",
        repository = larder.path("repository").display(),
        key = larder.path("key").display(),
        odd = odd.display().to_string().replace('$', "$$"),
    );
    write(&odd.join("larder.toml"), &text)
}

fn write(path: &Path, text: &str) -> String {
    fs::write(path, text).unwrap();
    path.to_str().unwrap().to_owned()
}
