//! JSON Schema: whether a document is as it should be.
//!
//! Promise: what is wrong is said with its place (a JSON Pointer) and what was expected there, and shows no value of the
//! document but a number that is too small or too large, and no name but those in the place. A schema is all that there is: what it refers to elsewhere is refused, not fetched.
//! Left out on purpose: `contentEncoding` and its kind, which say what a text may be taken for.

use std::error::Error;

use boon::{CompileError, Compiler, ErrorKind, SchemaIndex, Schemas, UrlLoader, ValidationError};
use serde_json::Value;

/// What a schema is called that has no `$id`.
const NAME: &str = "larder:///schema";
/// What a relative reference becomes with it.
const BESIDE: &str = "larder:///";
/// Longest schema.
pub const SCHEMA_BYTES_MAX: u64 = 1 << 20;
/// How many flaws are said, and how long each may be.
const FLAWS_SHOWN: usize = 10;
const FLAW_CHARACTERS: usize = 300;
/// Of more it is only said how many they are.
const FLAWS_MAX: usize = 1000;

/// How much may be wrong with a document, at most: every flaw in it is held before the first is said. It is counted in steps
/// of the paths to its values; besides its path, a flaw takes as much as a few steps.
const STEPS_MAX: usize = 8 << 20;
const STEPS_OF_A_FLAW: usize = 8;
/// What of a schema speaks of the same value as the schema itself: each may have a flaw of its own to tell.
const OF_THE_SAME_VALUE: [&str; 7] = ["allOf", "anyOf", "oneOf", "not", "if", "then", "else"];

/// A schema that is one. Without `$schema` of draft 2020-12.
pub struct Schema {
    schemas: Schemas,
    index: SchemaIndex,
    /// How many flaws one value can have, about.
    flaws: usize,
}

/// Loads nothing.
struct Nowhere;

impl UrlLoader for Nowhere {
    fn load(&self, _: &str) -> Result<Value, Box<dyn Error>> {
        Err("a schema must be whole: what lies elsewhere is not fetched".into())
    }
}

impl Schema {
    /// Reads one. An error says why it is none.
    pub fn parse(text: &[u8]) -> Result<Self, String> {
        let value: Value = serde_json::from_slice(text).map_err(|error| format!("is no JSON: {error}"))?;
        if !value.is_object() {
            return Err("is no JSON Schema: it must be an object".to_owned());
        }
        let (_, flaws) = flaws_of_a_value(&value);
        let (mut compiler, mut schemas) = (Compiler::new(), Schemas::new());
        compiler.use_loader(Box::new(Nowhere));
        compiler.enable_format_assertions();
        let refused = |error: CompileError| format!("is no JSON Schema: {}", why(&error));
        compiler.add_resource(NAME, value).map_err(refused)?;
        let index = compiler.compile(NAME, &mut schemas).map_err(refused)?;
        Ok(Self { schemas, index, flaws })
    }

    /// Looks at a document. An error says what is wrong with it, or that it has too many values.
    pub fn holds(&self, document: &[u8]) -> Result<(), String> {
        if steps(document).saturating_mul(self.flaws) > STEPS_MAX {
            let most = STEPS_MAX / (STEPS_OF_A_FLAW + 1) / self.flaws;
            return Err(format!("has too many values to look into: at most {most}, and fewer the deeper they lie"));
        }
        let value: Value = serde_json::from_slice(document).map_err(|error| format!("is no JSON: {error}"))?;
        self.schemas
            .validate(&value, self.index)
            .map_err(|error| format!("is not as its schema wants: {}", flaws(&error)))
    }
}

/// How many flaws a value can have by a schema, and by whichever within it lets it have most. What is referred to counts
/// as one.
fn flaws_of_a_value(schema: &Value) -> (usize, usize) {
    let below: Vec<(Option<&str>, &Value)> = match schema {
        Value::Object(fields) => fields.iter().map(|(name, value)| (Some(name.as_str()), value)).collect(),
        Value::Array(items) => items.iter().map(|item| (None, item)).collect(),
        _ => return (0, 1),
    };
    // A list stands for all that are in it.
    let (mut own, mut most) = (usize::from(schema.is_object()), 1);
    for (name, value) in below {
        let (of_it, within) = flaws_of_a_value(value);
        if name.is_none_or(|name| OF_THE_SAME_VALUE.contains(&name)) {
            own = own.saturating_add(of_it);
        }
        most = most.max(within);
    }
    (own, if schema.is_object() { most.max(own) } else { most })
}

/// What a flaw in every value of a document takes. Of what is no JSON it says anything.
fn steps(document: &[u8]) -> usize {
    let (mut depth, mut steps) = (0_usize, STEPS_OF_A_FLAW);
    let (mut in_text, mut escaped) = (false, false);
    for byte in document {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            _ if in_text => {}
            b'[' | b'{' => {
                depth += 1;
                steps = steps.saturating_add(STEPS_OF_A_FLAW + depth);
            }
            b',' => steps = steps.saturating_add(STEPS_OF_A_FLAW + depth),
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    steps
}

fn why(error: &CompileError) -> String {
    match error {
        CompileError::ValidationError { src, .. } => flaws(src),
        CompileError::LoadUrlError { url, src } => format!("it refers to {}: {src}", url.replace(BESIDE, "")),
        // The name is ours, and means nothing to anybody.
        other => format!("{other:#}").replace(&format!("{NAME}#"), "").replace(NAME, "it"),
    }
}

/// What is wrong.
#[derive(Default)]
struct Found {
    flaws: Vec<String>,
    more: u64,
}

/// All that is wrong, each with its place.
fn flaws(error: &ValidationError<'_, '_>) -> String {
    let mut found = Found::default();
    gather(error, &mut found);
    found.flaws.sort();
    found.flaws.dedup();
    let more = found.flaws.len().saturating_sub(FLAWS_SHOWN) as u64 + found.more;
    let more = if more > 0 { format!("; and {more} more") } else { String::new() };
    let shown = found.flaws.iter().take(FLAWS_SHOWN).map(|flaw| shortened(flaw));
    shown.collect::<Vec<_>>().join("; ") + &more
}

/// The flaws themselves, without what only leads to them.
fn gather(error: &ValidationError<'_, '_>, found: &mut Found) {
    match &error.kind {
        ErrorKind::Group | ErrorKind::Schema { .. } | ErrorKind::Reference { .. } | ErrorKind::AllOf
            if !error.causes.is_empty() =>
        {
            error.causes.iter().for_each(|cause| gather(cause, found));
        }
        _ if found.flaws.len() == FLAWS_MAX => found.more += 1,
        kind => {
            let place = error.instance_location.to_string();
            let place = if place.is_empty() { "at the top".to_owned() } else { place };
            let mut below = Found::default();
            error.causes.iter().for_each(|cause| gather(cause, &mut below));
            let below =
                if below.flaws.is_empty() { String::new() } else { format!(" ({})", below.flaws.join(", or ")) };
            found.flaws.push(format!("{place}: {}{below}", expected(kind)));
        }
    }
}

/// What was expected. Texts of the document are not shown, as values or as names: they may be secret.
fn expected(kind: &ErrorKind<'_, '_>) -> String {
    match kind {
        ErrorKind::Pattern { want, .. } => format!("does not match the pattern {want:?}"),
        ErrorKind::Format { want, .. } => format!("is not of the format {want}"),
        ErrorKind::AdditionalProperties { got } if got.len() == 1 => "has a property that it may not have".to_owned(),
        ErrorKind::AdditionalProperties { got } => format!("has {} properties that it may not have", got.len()),
        ErrorKind::PropertyName { .. } => "has a property of a name that is not as it should be".to_owned(),
        ErrorKind::FalseSchema => "must not be there".to_owned(),
        ErrorKind::AnyOf | ErrorKind::OneOf(None) => "is none of what it may be".to_owned(),
        ErrorKind::Not => "is what it must not be".to_owned(),
        other => other.to_string(),
    }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(FLAW_CHARACTERS) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
#[path = "schema_tests.rs"]
mod tests;
