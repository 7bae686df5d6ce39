//! What must hold of what was restored.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::child;
use crate::config::drill::{Check, Wanted};
use crate::config::hooks::Words;
use crate::config::schema::SchemaFrom;
use crate::run::room::Room;
use crate::run::services::Stored;
use crate::run::services::rehearsal::Rehearsed;
use crate::schema::{SCHEMA_BYTES_MAX, Schema};

/// The longest file that is looked into: it is held in memory.
const JSON_BYTES_MAX: u64 = 32 << 20;
/// How much of an answer is shown.
const SHOWN_CHARACTERS: usize = 200;

/// Why a check cannot be made, which says nothing of what is stored: its schema is none, or is not there.
pub fn hindrance(check: &Check) -> Option<String> {
    match check {
        Check::Json { schema, .. } => read(schema).err(),
        Check::Sql { .. } | Check::Command { .. } | Check::Size { .. } => None,
    }
}

fn read(from: &SchemaFrom) -> Result<Schema, String> {
    match from {
        SchemaFrom::Table(text) => Schema::parse(text.as_bytes()).map_err(|error| format!("`schema` {error}")),
        SchemaFrom::File(path) => {
            let text = read_file(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
            Schema::parse(&text).map_err(|error| format!("{} {error}", path.display()))
        }
    }
}

fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    File::open(path)?.take(SCHEMA_BYTES_MAX + 1).read_to_end(&mut text)?;
    if text.len() as u64 > SCHEMA_BYTES_MAX {
        return Err(io::Error::other(format!("it is longer than {SCHEMA_BYTES_MAX} bytes")));
    }
    Ok(text)
}

/// Makes all checks, and says which failed and how.
pub fn failures(checks: &[Check], stored: &Stored<'_>, rehearsed: &dyn Rehearsed, room: &Room) -> Vec<String> {
    let one = |check: &Check| match check {
        Check::Sql { sql, database, wanted } => {
            let lines = rehearsed.ask(database.as_deref(), sql).map_err(|error| format!("sql {sql:?}: {error}"))?;
            answers(&lines.join("\n"), wanted).map_err(|error| format!("sql {sql:?} {error}"))
        }
        Check::Command { words, limit } => run(words, *limit, rehearsed, room),
        Check::Json { file, schema } => {
            let (bytes, schema) = (stored.bytes(file.as_bytes())?, read(schema)?);
            looks_into(file, bytes, &schema, stored).map_err(|error| format!("{file} {error}"))
        }
        Check::Size { file, min, max } => is_so_long(file.as_deref(), *min, *max, stored),
    };
    checks.iter().filter_map(|check| one(check).err()).map(|error| format!("check: {error}")).collect()
}

fn answers(answer: &str, wanted: &Wanted) -> Result<(), String> {
    let answer = answer.trim();
    let shown: String = answer.chars().take(SHOWN_CHARACTERS).collect();
    match wanted {
        Wanted::Text(text) if answer == text.trim() => Ok(()),
        Wanted::Text(text) => Err(format!("answers {shown:?}, not {text:?}")),
        Wanted::Number { min, max } => {
            let number = answer.parse::<f64>().ok().filter(|number| !number.is_nan());
            let number = number.ok_or_else(|| format!("answers {shown:?}, which is no number"))?;
            within(number, *min, *max).map_err(|bound| format!("answers {shown}, {bound}"))
        }
    }
}

/// Whether a number lies within its bounds, or which it breaks.
fn within(number: f64, min: Option<u64>, max: Option<u64>) -> Result<(), String> {
    match (min, max) {
        (Some(min), _) if number < min as f64 => Err(format!("less than {min}")),
        (_, Some(max)) if number > max as f64 => Err(format!("more than {max}")),
        _ => Ok(()),
    }
}

fn run(words: &Words, limit: Duration, rehearsed: &dyn Rehearsed, room: &Room) -> Result<(), String> {
    let (program, arguments) = words.0.split_first().ok_or("the command is empty")?;
    let mut command = Command::new(program);
    command.args(arguments).current_dir(&room.folder).env("LARDER_RESTORED", rehearsed.path());
    for (name, value) in rehearsed.variables() {
        command.env(name, value.as_str());
    }
    child::run(command, limit).map_err(|error| format!("command: {error}"))
}

fn is_so_long(file: Option<&str>, min: Option<u64>, max: Option<u64>, stored: &Stored<'_>) -> Result<(), String> {
    let bytes = match file {
        Some(file) => stored.bytes(file.as_bytes())?,
        None => stored.record.counts.bytes,
    };
    let what = file.unwrap_or("the snapshot");
    within(bytes as f64, min, max).map_err(|bound| format!("{what} has {bytes} bytes, {bound}"))
}

fn looks_into(file: &str, bytes: u64, schema: &Schema, stored: &Stored<'_>) -> Result<(), String> {
    if bytes > JSON_BYTES_MAX {
        return Err(format!("has {bytes} bytes, too many to look into"));
    }
    let mut content = Vec::new();
    stored.write(file.as_bytes(), &mut content)?;
    schema.holds(&content)
}

#[cfg(test)]
#[path = "checks_tests.rs"]
mod tests;
