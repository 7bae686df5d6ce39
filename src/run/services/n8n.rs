//! Workflows and credentials of n8n, by its own program, and the key that the credentials are encrypted with.

mod opening;

use std::io::{self, Read};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use zeroize::Zeroizing;

use crate::child;
use crate::child::printing::Printing;
use crate::config::sources::n8n::N8n;
use crate::format::record::Record;
use crate::ops::json::{List, Passing, Watched};
use crate::ops::verify::Form;
use crate::run::World;
use crate::run::room::Room;
use crate::run::services::n8n::opening::{Opening, opening};
use crate::run::services::rehearsal::{Miss, Rehearsed, blamed, document, into_folder, several};
use crate::run::services::{Prepared, Service, Stored, Trouble, fetch, with_causes};
use crate::source::opened::{OpenedSource, Pending, Stream};

/// The names of the files, and what n8n's program calls what is in them.
const CREDENTIALS: (&str, &str) = ("credentials.json", "credentials");
const WORKFLOWS: (&str, &str) = ("workflows.json", "workflow");
const KEY: &str = "encryption_key";

/// How long n8n may say nothing. It needs ten seconds to start, and reads everything before it exports anything.
const SILENCE_LIMIT: Duration = Duration::from_secs(30 * 60);
/// Longest file with a key.
const KEY_BYTES_MAX: usize = 64 << 10;
/// Most credentials that are named when its key does not open them.
const IDS_SHOWN_MAX: usize = 10;
/// How long what starts no n8n may take.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);

/// Makes a folder with a pipe in it, which is gone whatever happens. n8n takes names of files only, but the pipe for one.
const PIPE: &str = "folder=$(mktemp -d) || exit 1
trap 'rm -rf \"$folder\"' EXIT
trap 'exit 1' HUP INT TERM
pipe=$folder/pipe
mkfifo \"$pipe\" || exit 1
";
/// Exports one kind of things into the pipe, and prints them meanwhile. What the program says counts only when it fails,
/// as it does when there is nothing.
///
/// Both ends are held from the start: nobody waits for a program that never opens the pipe. Of the writing end only the
/// shell keeps a copy, so that the end of n8n is the end of what comes; of the reading end it keeps none, so that n8n does
/// not write on when nobody listens any more. Nor does `cat`: an engine of containers goes on to hold what it writes to
/// when larder is gone, but ends the standard input.
const EXPORT: &str = "exec 3<>\"$pipe\" 4<\"$pipe\" 5>\"$pipe\" 3>&- 6<&0
cat <&4 4<&- 5>&- 6<&- &
reading=$!
(read -r nothing <&6; kill $reading $$) >/dev/null 2>&1 4<&- 5>&- &
watching=$!
exec 4<&- 6<&-
\"$1\" \"export:$2\" --all --output=\"$pipe\" >\"$folder/said\" 2>&1 </dev/null 5>&-
status=$?
exec 5>&-
wait $reading
sent=$?
kill $watching
if [ $sent != 0 ]; then exit 1
elif [ $status = 0 ]; then exit 0
elif grep -q 'No workflows found\\|No credentials found' \"$folder/said\"; then echo '[]'
else tail -c 4000 \"$folder/said\" >&2; exit 1
fi
";
/// Imports what comes on the standard input. Whatever feeds the pipe is ended, if n8n does not open it.
const IMPORT: &str = "exec 3<&0
cat <&3 >\"$pipe\" &
\"$1\" \"import:$2\" --input=\"$pipe\" </dev/null 3<&-
status=$?
kill -9 $! 2>/dev/null
wait $! 2>/dev/null
exit $status
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
        let given = self.given_key(world)?;
        let streams = vec![
            self.pending(CREDENTIALS, 0, given.clone()),
            Pending::held(KEY, Zeroizing::new(key.as_bytes().to_vec())),
            self.pending(WORKFLOWS, 1, given),
        ];
        let forms = [(CREDENTIALS.0, Form::Json), (KEY, Form::Any), (WORKFLOWS.0, Form::Json)];
        let source = OpenedSource::new(streams, world.owner.clone(), (world.now)());
        // Each starts all of n8n.
        let source = source.map_err(|error| with_causes(&error))?.in_turn();
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

    fn rehearse(&self, stored: &Stored<'_>, room: &Room, _: &World<'_>) -> Result<Box<dyn Rehearsed>, Miss> {
        let folder = into_folder(stored, room, &|name| self.form_of(name))?;
        let workflows: Vec<Named> = document(stored, WORKFLOWS.0, room)?;
        let credentials: Vec<Credential> = document(stored, CREDENTIALS.0, room)?;
        if workflows.is_empty() {
            return Err(Miss::Failed(format!("{} holds no workflows", WORKFLOWS.0)));
        }
        let blame = |error| blamed(error, stored, room);
        if stored.bytes(KEY.as_bytes()).map_err(blame)? > KEY_BYTES_MAX as u64 {
            return Err(Miss::Failed(format!("{KEY} is longer than any key")));
        }
        let mut key = Zeroizing::new(Vec::new());
        stored.write(KEY.as_bytes(), &mut *key).map_err(blame)?;
        let key = key_in(&key).map_err(|error| Miss::Failed(format!("{KEY}: {error}")))?;
        let opened = opened(&credentials, &key)?;
        Ok(folder.holding(format!("{} and {opened}", several(workflows.len(), "workflow"))))
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
        // All of it is read before anything is imported.
        let [credentials, workflows] = [CREDENTIALS, WORKFLOWS].map(|(file, _)| things_in(stored, file));
        let given = self.given_key(world)?;
        for ((file, kind), things) in [(CREDENTIALS, credentials?), (WORKFLOWS, workflows?)] {
            if things > 0 {
                let script = format!("{PIPE}{IMPORT}");
                let command = with_key(self.shell(&script, &[&self.program, kind]), given.as_ref());
                let fed = stored.feed(file.as_bytes(), command);
                fed.map_err(|error| format!("n8n import:{kind}: {error}"))?;
            }
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
    fn given_key(&self, world: &World<'_>) -> Result<Option<Zeroizing<String>>, String> {
        let from = self.encryption_key.as_ref().filter(|_| self.container.is_none());
        from.map(|from| fetch("encryption key", from, world)).transpose()
    }

    /// An export, which is made when somebody reads it, and must hold so many things.
    fn pending(
        &self,
        (name, kind): (&str, &'static str),
        things_min: usize,
        key: Option<Zeroizing<String>>,
    ) -> Pending {
        let n8n = self.clone();
        let open = move || {
            let command = with_key(n8n.shell(&format!("{PIPE}{EXPORT}"), &[&n8n.program, kind]), key.as_ref());
            let printing = Printing::start(command, SILENCE_LIMIT).map_err(|error| failed(kind, &error))?;
            Ok(Box::new(Export { kind, things_min, things: Watched::new(printing)? }) as Box<dyn Stream>)
        };
        Pending { name: name.into(), open: Arc::new(open) }
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

/// What a workflow has at least.
#[derive(Deserialize)]
struct Named {
    #[serde(rename = "name")]
    _name: String,
}

/// What a credential has at least: encrypted, it is a text.
#[derive(Deserialize)]
struct Credential {
    #[serde(default)]
    id: Value,
    #[serde(rename = "name")]
    _name: String,
    data: String,
}

/// Tries the key on all credentials. How many there are, and what it does for them, in words.
fn opened(credentials: &[Credential], key: &str) -> Result<String, Miss> {
    let all = several(credentials.len(), "credential");
    let openings: Vec<Opening> = credentials.iter().map(|one| opening(&one.data, key)).collect();
    for (opening, why) in [
        (
            Opening::Fails,
            "n8n needs another key for them, or cannot use them either: then enter them anew there, or delete them",
        ),
        (Opening::OfDatabase, "n8n has their key in its database alone: back that up, too, as a source of its own"),
    ] {
        let shut = credentials.iter().zip(&openings).filter(|(_, its)| **its == opening);
        let ids: Vec<String> = shut.map(|(one, _)| text_of(&one.id)).collect();
        if !ids.is_empty() {
            let (number, ids) = (ids.len(), ids[..ids.len().min(IDS_SHOWN_MAX)].join(", "));
            return Err(Miss::Failed(format!("{KEY} does not open {number} of {all} (id {ids}): {why}")));
        }
    }
    let unknown = openings.iter().filter(|opening| **opening == Opening::Unknown).count();
    Ok(match (unknown, credentials.len()) {
        (_, 0) => all,
        (0, _) => format!("{all}, which its key opens"),
        _ => format!("{all}, {unknown} of which are encrypted in a way that is not known here"),
    })
}

fn text_of(id: &Value) -> String {
    id.as_str().map_or_else(|| id.to_string(), str::to_owned)
}

fn with_key(mut command: Command, key: Option<&Zeroizing<String>>) -> Command {
    if let Some(key) = key {
        command.env("N8N_ENCRYPTION_KEY", key.as_str());
    }
    command
}

/// How many things a stored export holds.
fn things_in(stored: &Stored<'_>, file: &str) -> Result<usize, String> {
    let mut passing = Passing::<List>::new()?;
    stored.write(file.as_bytes(), &mut passing)?;
    passing.seen().map(|things| things.len()).map_err(|error| format!("{file} is no list as JSON: {error}"))
}

/// What n8n exports, on its way into a snapshot.
struct Export {
    kind: &'static str,
    things_min: usize,
    things: Watched<Printing, List>,
}

impl Read for Export {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.things.read(buffer)
    }
}

impl Stream for Export {
    fn check(&mut self) -> Result<(), String> {
        self.things.from.ended().map_err(|error| failed(self.kind, &error))?;
        let things = self.things.seen().map_err(|error| failed(self.kind, &format!("is no list as JSON: {error}")))?;
        if things.len() >= self.things_min {
            return Ok(());
        }
        Err("n8n knows no workflows: is it the right one (container, user_folder)?".to_owned())
    }

    fn give_back(self: Box<Self>) -> Result<(), String> {
        Ok(())
    }
}

fn failed(kind: &str, error: &str) -> String {
    format!("n8n export:{kind}: {error}")
}

#[cfg(test)]
#[path = "n8n_tests.rs"]
mod tests;
