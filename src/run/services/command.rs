//! What a command prints. Putting it back takes another command, which is given it on its standard input.

use std::process;

use crate::config::sources::command::Command;
use crate::format::record::Record;
use crate::ops::verify::Form;
use crate::run::World;
use crate::run::services::{Prepared, Service, Stored, Trouble, streams, with_causes};
use crate::source::command::{Entries, Input, Output};

impl Service for Command {
    fn prepare(&self, world: &World<'_>) -> Result<Prepared, String> {
        let (program, words) = self.words.0.split_first().ok_or("the command is empty")?;
        let (program, words) = (program.into(), words.iter().map(Into::into).collect());
        let entries = if self.form == Form::Sql { Entries::Beside } else { Entries::None };
        let name = self.file.clone().into();
        let output = Output { name, program, arguments: words, variables: Vec::new(), input: Input::None, entries };
        streams(vec![output], self.form, world).map_err(|error| with_causes(&error))
    }

    fn troubles(&self, world: &World<'_>) -> Vec<Trouble> {
        let program = self.words.0.first().map(String::as_str).unwrap_or_default();
        if is_there(program, world) {
            return Vec::new();
        }
        vec![Trouble::new(format!("there is no program {program:?}"), "install it, or give its full path in `command`")]
    }

    fn form_of(&self, name: &str) -> Option<Form> {
        (name == self.file).then_some(self.form)
    }

    fn plan(&self, _: &Record) -> Result<Vec<String>, String> {
        let words = self.restore.as_ref().ok_or("nothing says how: give the source a `restore_command`")?;
        Ok(vec![format!("{} is given to {:?} on its standard input", self.file, words.0.join(" "))])
    }

    fn fits(&self, stored: &Stored<'_>, _: &World<'_>) -> Result<(), String> {
        stored.has(self.file.as_bytes())
    }

    fn put_back(&self, stored: &Stored<'_>, _: &World<'_>) -> Result<(), String> {
        let (program, words) =
            self.restore.as_ref().and_then(|words| words.0.split_first()).ok_or("there is no `restore_command`")?;
        let mut command = process::Command::new(program);
        command.args(words);
        stored.feed(self.file.as_bytes(), command)
    }
}

/// Whether a program can be found, as a shell would.
fn is_there(program: &str, world: &World<'_>) -> bool {
    if program.contains('/') {
        return std::path::Path::new(program).exists();
    }
    let folders = world.variables.get("PATH").map_or("/usr/bin:/bin", |path| path);
    folders.split(':').any(|folder| std::path::Path::new(folder).join(program).exists())
}
