//! Files of variables that systemd, a shell and Docker Compose read alike.
//!
//! Promise: of a file that passes, all three take the same values, and the shell runs nothing. No value is ever said.
//! Left out on purpose: double quotes, backslashes and values of several lines, which each of them reads in its own way.

/// What is wrong with a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("line {line} {why}")]
pub struct Flaw {
    /// Counted from 1.
    pub line: usize,
    /// Why.
    pub why: &'static str,
}

/// Whether all lines are NAME=VALUE, empty, or comments.
pub fn check(file: &[u8]) -> Result<(), Flaw> {
    for (at, line) in file.split(|byte| *byte == b'\n').enumerate() {
        flaw(line).map_or(Ok(()), |why| Err(Flaw { line: at + 1, why }))?;
    }
    Ok(())
}

fn flaw(line: &[u8]) -> Option<&'static str> {
    let Ok(line) = std::str::from_utf8(line) else { return Some("is no text") };
    if line.chars().any(|c| c.is_control() && c != '\t') {
        return Some("has control characters (lines must end as they do on Linux)");
    }
    if line.contains('\\') {
        return Some("has a backslash, which not all read alike");
    }
    if line.trim_start().is_empty() || line.trim_start().starts_with('#') {
        return None;
    }
    let Some((name, value)) = line.split_once('=') else { return Some("is not NAME=VALUE") };
    let named = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if name.is_empty() || !name.chars().all(named) || name.starts_with(|c: char| c.is_ascii_digit()) {
        return Some("is not NAME=VALUE: a name has letters, digits and underscores only");
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || "_./:@%+,-=".contains(c);
    if value.chars().all(plain) {
        return None;
    }
    let inner = value.strip_prefix('\'').and_then(|value| value.strip_suffix('\''));
    match inner {
        Some(inner) if inner.contains('\'') => Some("has a single quote within its value"),
        Some(inner) if inner.contains("${") => {
            Some("has ${ in its value, which compose replaces even in single quotes")
        }
        Some(_) => None,
        None => Some("has a value that must be in single quotes"),
    }
}

#[cfg(test)]
#[path = "variables_tests.rs"]
mod tests;
