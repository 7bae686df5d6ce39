//! `kind = "command"`: what a command prints.

use crate::config::hooks::Words;
use crate::config::reading::Section;
use crate::config::sources::{Kind, file, form};
use crate::ops::verify::Form;

/// What a command prints.
#[derive(Debug, Clone)]
pub struct Command {
    /// The command.
    pub words: Words,
    /// The name of the file that holds it.
    pub file: String,
    /// What it must look like.
    pub form: Form,
    /// What takes the stored output on its standard input to put it back.
    pub restore: Option<Words>,
}

/// Reads it.
pub fn read(section: &Section<'_, '_>) -> Option<Kind> {
    if !section.has("command") {
        section.mistake("command", "is missing: a list of words, or a text for the shell");
    }
    let (words, file) = (Words::read(section, "command"), file(section));
    let form = form(section, file.as_deref());
    let restore = Words::read_if_there(section, "restore_command");
    let (words, file) = (words?, file?);
    Some(Kind::Command(Command { words, file, form, restore }))
}
