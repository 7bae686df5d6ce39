//! Workflows and credentials of n8n, by its own program, and the key that the credentials are encrypted with.

use std::process::Command;
use std::time::Duration;

use serde::de::IgnoredAny;
use zeroize::Zeroizing;

use crate::child;
use crate::config::sources::n8n::N8n;
use crate::format::record::Record;
use crate::ops::verify::Form;
use crate::run::World;
use crate::run::services::{Prepared, Service, Stored, Trouble, fetch, with_causes};
use crate::source::opened::{OpenedSource, Pending};

/// The names of the files, and what n8n's program calls what is in them.
const CREDENTIALS: (&str, &str) = ("credentials.json", "credentials");
const WORKFLOWS: (&str, &str) = ("workflows.json", "workflow");
const KEY: &str = "encryption_key";

/// Longest export. It is held in memory: whether there is anything in it decides about the whole backup.
const EXPORT_BYTES_MAX: usize = 256 << 20;
/// How long an export may take. n8n needs ten seconds to start.
const EXPORT_LIMIT: Duration = Duration::from_secs(30 * 60);
/// Longest file with a key.
const KEY_BYTES_MAX: usize = 64 << 10;
/// How long what starts no n8n may take.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);

/// Makes a folder, which is gone whatever happens.
const FOLDER: &str = "folder=$(mktemp -d) || exit 1
trap 'rm -rf \"$folder\"' EXIT
trap 'exit 1' HUP INT TERM
";
/// Exports one kind of things into a file, and prints that. What the program says counts only when there is no file.
const EXPORT: &str = "\"$1\" \"export:$2\" --all --output=\"$folder/out.json\" >\"$folder/said\" 2>&1 </dev/null
status=$?
if [ $status = 0 ] && [ -s \"$folder/out.json\" ]; then cat \"$folder/out.json\"
elif grep -q 'No workflows found\\|No credentials found' \"$folder/said\"; then echo '[]'
else tail -c 4000 \"$folder/said\" >&2; [ $status != 0 ] || echo 'there is no export' >&2; exit 1
fi
";
/// Imports what comes on the standard input.
const IMPORT: &str = "cat >\"$folder/in.json\" && \"$1\" \"import:$2\" --input=\"$folder/in.json\" </dev/null
";
/// The key that n8n finds where it runs, or the file that holds it.
const ASK_KEY: &str = "if [ -n \"$1\" ]; then cat -- \"$1\"
elif [ -n \"${N8N_ENCRYPTION_KEY:-}\" ]; then printf %s \"$N8N_ENCRYPTION_KEY\"
elif [ -n \"${N8N_ENCRYPTION_KEY_FILE:-}\" ]; then cat -- \"$N8N_ENCRYPTION_KEY_FILE\"
else cat -- \"${N8N_USER_FOLDER:-${HOME:-}}/.n8n/config\"
fi
";

impl Service for N8n {
    fn prepare(&self, world: &World<'_>) -> Result<Prepared, String> {
        let key = self.key(world)?;
        // One after the other: each starts all of n8n.
        let workflows = self.export(WORKFLOWS.1, world)?;
        let credentials = self.export(CREDENTIALS.1, world)?;
        if count(&workflows)? == 0 {
            return Err("n8n knows no workflows: is it the right one (container, user_folder)?".to_owned());
        }
        count(&credentials)?;
        let streams = vec![
            Pending::held(CREDENTIALS.0, credentials),
            Pending::held(KEY, Zeroizing::new(key.as_bytes().to_vec())),
            Pending::held(WORKFLOWS.0, workflows),
        ];
        let forms = [(CREDENTIALS.0, Form::Json), (KEY, Form::Any), (WORKFLOWS.0, Form::Json)];
        let source = OpenedSource::new(streams, world.owner.clone(), (world.now)());
        let source = source.map_err(|error| with_causes(&error))?;
        let forms = forms.map(|(name, form)| (name.into(), form)).into();
        Ok(Prepared { source: Box::new(source), forms, paths: Vec::new() })
    }

    fn troubles(&self, world: &World<'_>) -> Vec<Trouble> {
        let hint = match &self.container {
            Some(container) => format!("check that the container {container} runs, with docker ps, and has `program`"),
            None => "install n8n, or give `container`, or the full path as `program`".to_owned(),
        };
        let program = self.shell("command -v -- \"$1\"", &[&self.program]);
        let missing = child::printed(program, KEY_BYTES_MAX, ANSWER_LIMIT).err();
        let missing =
            missing.map(|error| Trouble::new(format!("there is no program {:?}: {error}", self.program), hint));
        // Who has no n8n has no key either.
        let trouble = missing.or_else(|| {
            let hint = "give `config_file`, encryption_key_file, _env or _command as n8n has it";
            self.key(world).err().map(|error| Trouble::new(error, hint))
        });
        trouble.into_iter().collect()
    }

    fn form_of(&self, name: &str) -> Option<Form> {
        [CREDENTIALS.0, WORKFLOWS.0].contains(&name).then_some(Form::Json)
    }

    fn plan(&self, _: &Record) -> Result<Vec<String>, String> {
        Ok(vec![
            "the credentials are imported, then the workflows: those of the same id are replaced, others stay"
                .to_owned(),
            "nothing is imported unless n8n runs with the encryption key in the snapshot".to_owned(),
            "n8n imports workflows as inactive: activate them, and start n8n again, afterwards".to_owned(),
        ])
    }

    fn fits(&self, stored: &Stored<'_>, world: &World<'_>) -> Result<(), String> {
        let mut key = Zeroizing::new(Vec::new());
        stored.write(KEY.as_bytes(), &mut *key)?;
        if *key != self.key(world)?.as_bytes() {
            return Err(format!(
                "n8n runs with another encryption key than the credentials in the snapshot: first give it the one in \
                 the file {KEY} of the snapshot (larder cat), as N8N_ENCRYPTION_KEY or in .n8n/config"
            ));
        }
        Ok(())
    }

    fn put_back(&self, stored: &Stored<'_>, world: &World<'_>) -> Result<(), String> {
        // It may have changed since, and what is imported with another key cannot be used.
        self.fits(stored, world)?;
        for (file, kind) in [CREDENTIALS, WORKFLOWS] {
            let mut bytes = Zeroizing::new(Vec::new());
            stored.write(file.as_bytes(), &mut *bytes)?;
            if count(&bytes)? == 0 {
                continue;
            }
            let import = self.with_key(self.shell(&format!("{FOLDER}{IMPORT}"), &[&self.program, kind]), world)?;
            stored.feed(file.as_bytes(), import)?;
        }
        Ok(())
    }
}

impl N8n {
    /// A script where n8n runs.
    fn shell(&self, script: &str, words: &[&str]) -> Command {
        let mut command = match &self.container {
            Some(container) => {
                let mut docker = Command::new("docker");
                docker.args(["exec", "--interactive", container, "sh"]);
                docker
            }
            None => Command::new("sh"),
        };
        command.args(["-c", script, "larder-n8n"]).args(words);
        if let Some(folder) = &self.user_folder {
            command.env("N8N_USER_FOLDER", folder);
        }
        command
    }

    /// A program that is started beside n8n must not make up a key of its own; in a container it finds the right one.
    fn with_key(&self, mut command: Command, world: &World<'_>) -> Result<Command, String> {
        if let Some(from) = self.encryption_key.as_ref().filter(|_| self.container.is_none()) {
            command.env("N8N_ENCRYPTION_KEY", fetch("encryption key", from, world)?.as_str());
        }
        Ok(command)
    }

    fn export(&self, kind: &str, world: &World<'_>) -> Result<Zeroizing<Vec<u8>>, String> {
        let command = self.with_key(self.shell(&format!("{FOLDER}{EXPORT}"), &[&self.program, kind]), world)?;
        child::printed(command, EXPORT_BYTES_MAX, EXPORT_LIMIT).map_err(|error| format!("n8n export:{kind}: {error}"))
    }

    /// The key that credentials are encrypted with. What the source says and what n8n uses must not differ.
    fn key(&self, world: &World<'_>) -> Result<Zeroizing<String>, String> {
        let asked = self.asked();
        let Some(from) = &self.encryption_key else {
            return asked.map_err(|error| {
                format!("cannot find n8n's encryption key, without which its credentials are worthless: {error}")
            });
        };
        let said = fetch("encryption key", from, world)?;
        match asked {
            Ok(used) if used != said => Err("n8n uses another encryption key than the source says".to_owned()),
            _ => Ok(said),
        }
    }

    fn asked(&self) -> Result<Zeroizing<String>, String> {
        let command = self.shell(ASK_KEY, &[self.config_file.as_deref().unwrap_or_default()]);
        key_in(&child::printed(command, KEY_BYTES_MAX, ANSWER_LIMIT)?)
    }
}

/// The key itself, or that in a file of settings.
fn key_in(bytes: &[u8]) -> Result<Zeroizing<String>, String> {
    #[derive(serde::Deserialize)]
    struct Settings {
        #[serde(rename = "encryptionKey")]
        key: String,
    }
    let text = std::str::from_utf8(bytes).map_err(|_| "it is not UTF-8 text".to_owned())?.trim();
    let key = if text.starts_with('{') {
        // The error would quote what is there.
        let settings: Settings =
            serde_json::from_str(text).map_err(|_| "the settings have no encryptionKey".to_owned())?;
        Zeroizing::new(settings.key)
    } else {
        Zeroizing::new(text.to_owned())
    };
    if key.is_empty() { Err("it is empty".to_owned()) } else { Ok(key) }
}

/// How many things an export holds.
fn count(bytes: &[u8]) -> Result<usize, String> {
    let things: Result<Vec<IgnoredAny>, _> = serde_json::from_slice(bytes);
    things.map(|things| things.len()).map_err(|error| format!("an export of n8n is no list as JSON: {error}"))
}

#[cfg(test)]
#[path = "n8n_tests.rs"]
mod tests;
