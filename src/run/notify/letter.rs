//! A run as a letter: what failed, which sources have a snapshot and which have none, the errors.

use crate::run::notify::first_line;
use crate::run::report::{Report, SourceReport, Status};

/// How many characters the subject has at most.
const SUBJECT_CHARS_MAX: usize = 120;
/// How many that are not well the subject names; of more it says how many.
const NAMED_MAX: usize = 3;
/// How many lines of one error, and how many warnings of one source, are told.
const LINES_OF_EACH_MAX: usize = 20;
/// How many characters of a line are told.
const LINE_CHARS_MAX: usize = 1000;
/// How many lines a letter has at most.
const LINES_MAX: usize = 1000;

/// How a run ended, and of what that is so.
pub fn subject(report: &Report, host: &str) -> String {
    let sources = report.sources.iter().filter(|source| source.status != Status::Done);
    let mut bad: Vec<&str> = sources.map(|source| source.name.as_str()).collect();
    bad.extend(report.upkeep.iter().filter(|upkeep| upkeep.error.is_some()).map(|upkeep| upkeep.what));
    let of_all = report.sources.len() + report.upkeep.len();
    let what = match (bad.len(), report.errors.first()) {
        (0, Some(error)) => format!(": {}", first_line(error)),
        (0, None) => String::new(),
        (1..=NAMED_MAX, _) => format!(": {}", bad.join(", ")),
        (number, _) => format!(": {number} of {of_all}"),
    };
    shown(&format!("larder on {host}: {}{what}", report.status.word()), SUBJECT_CHARS_MAX)
}

/// A run for people.
pub fn text(report: &Report, host: &str) -> String {
    let mut lines = vec![
        format!("larder on {host}: {}", report.status.word()),
        format!("run {}, begun {}, took {:.0} s", report.run, report.started, report.duration_seconds),
    ];
    for error in &report.errors {
        lines.push(String::new());
        lines.extend(indented("", error));
    }
    let (with, without): (Vec<_>, Vec<_>) = report.sources.iter().partition(|source| source.snapshot.is_some());
    for (title, sources) in [("without a snapshot:", without), ("with a snapshot:", with)] {
        if !sources.is_empty() {
            lines.extend([String::new(), title.to_owned()]);
            lines.extend(sources.into_iter().flat_map(of_source));
        }
    }
    if !report.upkeep.is_empty() {
        lines.extend([String::new(), "the repository:".to_owned()]);
    }
    for upkeep in &report.upkeep {
        let outcome = if upkeep.error.is_some() { "failed" } else { first_line(&upkeep.outcome) };
        lines.push(format!("  {}: {outcome}", upkeep.what));
        lines.extend(upkeep.error.iter().flat_map(|error| indented("    ", error)));
    }
    if lines.len() > LINES_MAX {
        lines.truncate(LINES_MAX);
        lines.push("and more, see the report".to_owned());
    }
    lines.iter().map(|line| shown(line, LINE_CHARS_MAX) + "\n").collect()
}

fn of_source(source: &SourceReport) -> Vec<String> {
    let mut line = format!("  {}: {}", source.name, source.status.word());
    if let Some(snapshot) = &source.snapshot {
        let short = snapshot.get(..8).unwrap_or(snapshot);
        line += &format!(", snapshot {short} of {} files, {} bytes", source.files, source.bytes);
    }
    if source.verified == Some(true) {
        line += ", verified";
    }
    let mut lines = vec![line];
    lines.extend(source.errors.iter().flat_map(|error| indented("    ", error)));
    let warnings = source.warnings.iter().take(LINES_OF_EACH_MAX);
    lines.extend(warnings.map(|warning| format!("    warning: {}", first_line(warning))));
    if let Some(more @ 1..) = source.warnings.len().checked_sub(LINES_OF_EACH_MAX) {
        lines.push(format!("    and {more} more warnings"));
    }
    lines
}

fn indented(by: &str, text: &str) -> impl Iterator<Item = String> {
    text.lines().take(LINES_OF_EACH_MAX).map(move |line| format!("{by}{line}"))
}

/// One line as a terminal may show it, not too long.
fn shown(line: &str, chars_max: usize) -> String {
    let printable = |c: char| match c {
        '\t' => ' ',
        c if c.is_control() => char::REPLACEMENT_CHARACTER,
        c => c,
    };
    if line.chars().count() <= chars_max {
        return line.chars().map(printable).collect();
    }
    line.chars().take(chars_max - 3).map(printable).chain("...".chars()).collect()
}

#[cfg(test)]
#[path = "letter_tests.rs"]
mod tests;
