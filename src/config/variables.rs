//! What variables put into a configuration: `${NAME}` in a text, and `LARDER__SECTION__KEY` in place of a key.
//!
//! The library never reads the environment; who calls it hands the variables over.

use std::collections::BTreeMap;

/// What a variable that takes the place of a key begins with.
pub const PREFIX: &str = "LARDER__";

/// Variables by name.
#[derive(Clone, Default)]
pub struct Variables(BTreeMap<String, String>);

impl FromIterator<(String, String)> for Variables {
    fn from_iter<T: IntoIterator<Item = (String, String)>>(pairs: T) -> Self {
        Self(pairs.into_iter().collect())
    }
}

impl Variables {
    /// The value of a variable.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The names of the variables that take the place of keys.
    pub fn overrides(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str).filter(|name| name.starts_with(PREFIX))
    }

    /// Puts the values of variables into a text: `${NAME}`, or `${NAME:-what holds without it}`. `$$` is a dollar sign.
    pub fn expand(&self, text: &str) -> Result<String, String> {
        let mut expanded = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            expanded.push_str(&rest[..at]);
            let after = &rest[at + 1..];
            if let Some(after) = after.strip_prefix('$') {
                expanded.push('$');
                rest = after;
            } else if let Some(after) = after.strip_prefix('{') {
                let (inner, after) = after.split_once('}').ok_or("${ without a closing }")?;
                let (name, otherwise) = match inner.split_once(":-") {
                    Some((name, otherwise)) => (name, Some(otherwise)),
                    None => (inner, None),
                };
                let value = self.get(name).filter(|value| !value.is_empty()).or(otherwise);
                expanded.push_str(value.ok_or_else(|| format!("the variable {name} is not set"))?);
                rest = after;
            } else {
                expanded.push('$');
                rest = after;
            }
        }
        expanded.push_str(rest);
        Ok(expanded)
    }
}

/// The names of the variables that a text asks for.
pub fn names_in(text: &str) -> impl Iterator<Item = &str> {
    // A dollar sign that is written twice asks for nothing; what stands around it may.
    let parts = text.split("$$").flat_map(|part| part.split("${").skip(1));
    parts
        .filter_map(|part| part.split_once('}'))
        .map(|(inner, _)| inner.split_once(":-").map_or(inner, |(name, _)| name))
}

/// The variable that takes the place of a key.
pub fn name_of(path: &[String], key: &str) -> String {
    let words = path.iter().map(String::as_str).chain([key]).filter(|word| !word.is_empty());
    let words: Vec<String> = words.map(in_capitals).collect();
    format!("{PREFIX}{}", words.join("__"))
}

fn in_capitals(word: &str) -> String {
    word.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect()
}
