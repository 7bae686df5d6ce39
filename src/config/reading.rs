//! Reading tables key by key, gathering every mistake instead of stopping at the first.
//!
//! Promise: a key that nobody asked for is a mistake; so is a variable that takes the place of none. What a getter gives
//! back as missing while it was there is a mistake already noted.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ops::Range;
use std::path::PathBuf;
use std::str::FromStr;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::config::mistakes::{Mistake, Place, did_you_mean};
use crate::config::variables::{Variables, name_of, names_in};

/// Keys of files that may lie elsewhere, or need not be there.
const NOT_NEEDED: [&str; 2] = ["config_file", "data_file"];

/// A file being read.
pub struct Reading<'a> {
    text: &'a str,
    /// What variables say.
    pub variables: &'a Variables,
    mistakes: RefCell<Vec<Mistake>>,
    asked: RefCell<BTreeSet<String>>,
    needs: RefCell<Needs>,
}

/// What the place must have where the configuration is used.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Needs {
    /// Files that are no sources: secrets, keys, certificates.
    pub files: BTreeSet<PathBuf>,
    /// Variables, by their names: those that are set and say something, and those that hold secrets.
    pub variables: BTreeSet<String>,
}

impl<'a> Reading<'a> {
    /// Nothing read yet.
    pub fn new(text: &'a str, variables: &'a Variables) -> Self {
        Self { text, variables, mistakes: RefCell::default(), asked: RefCell::default(), needs: RefCell::default() }
    }

    /// What was found to be needed.
    pub fn needs(&self) -> Needs {
        self.needs.borrow().clone()
    }

    /// Notes a mistake.
    pub fn mistake(&self, at: Option<&Range<usize>>, key: String, message: impl Into<String>) {
        let place = at.map(|span| Place::of(self.text, span));
        self.mistakes.borrow_mut().push(Mistake { place, key, message: message.into() });
    }

    /// Notes the variables that say something in a text.
    fn uses(&self, text: &str) {
        let names = names_in(text).filter(|name| self.variables.get(name).is_some_and(|value| !value.is_empty()));
        self.needs.borrow_mut().variables.extend(names.map(str::to_owned));
    }

    /// Notes what a value names that must be there.
    fn notes(&self, key: &str, value: &str) {
        let mut needs = self.needs.borrow_mut();
        if value.is_empty() || NOT_NEEDED.contains(&key) {
        } else if key.ends_with("_file") {
            needs.files.insert(value.into());
        } else if key.ends_with("_env") {
            needs.variables.insert(value.to_owned());
        }
    }

    /// All mistakes, those of variables that nothing asked for among them.
    pub fn finish(self) -> Vec<Mistake> {
        let asked = self.asked.borrow();
        for name in self.variables.overrides().filter(|name| !asked.contains(*name)) {
            let like = did_you_mean(name, asked.iter().map(String::as_str));
            self.mistake(None, name.to_owned(), format!("this variable takes the place of no key{like}"));
        }
        drop(asked);
        let mut mistakes = self.mistakes.into_inner();
        mistakes.sort_by_key(|mistake| mistake.place);
        mistakes
    }
}

/// A table of the file, which may be missing: variables can fill it.
pub struct Section<'a, 'r> {
    reading: &'r Reading<'a>,
    path: Vec<String>,
    table: Option<&'r DeTable<'a>>,
    at: Option<Range<usize>>,
    known: RefCell<Vec<&'static str>>,
}

/// What a key holds.
enum Given<'a, 'r> {
    File(&'r Spanned<DeValue<'a>>),
    Variable(&'r str),
}

impl<'a, 'r> Section<'a, 'r> {
    /// The whole file.
    pub fn root(reading: &'r Reading<'a>, table: &'r DeTable<'a>) -> Self {
        Self { reading, path: Vec::new(), table: Some(table), at: Some(0..0), known: RefCell::default() }
    }

    /// Whether the file has this table.
    pub fn exists(&self) -> bool {
        self.table.is_some()
    }

    /// The last component of its path.
    pub fn name(&self) -> &str {
        self.path.last().map_or("", String::as_str)
    }

    fn key(&self, key: &str) -> String {
        let words = self.path.iter().map(String::as_str).chain([key]).filter(|word| !word.is_empty());
        words.collect::<Vec<_>>().join(".")
    }

    /// What the file says of a key.
    fn in_file(&self, key: &str) -> Option<&'r Spanned<DeValue<'a>>> {
        self.table?.iter().find(|(found, _)| found.get_ref() == key).map(|(_, value)| value)
    }

    /// Whether a key is there, in the file or by a variable.
    pub fn has(&self, key: &'static str) -> bool {
        self.given(key).is_some()
    }

    fn given(&self, key: &'static str) -> Option<Given<'a, 'r>> {
        self.known.borrow_mut().push(key);
        match self.overridden(key) {
            Some(value) => Some(Given::Variable(value)),
            None => self.in_file(key).map(Given::File),
        }
    }

    /// Notes a mistake about a key: at its value, or at the head of the table if it is not there.
    pub fn mistake(&self, key: &str, message: impl Into<String>) {
        let span = self.in_file(key).map(Spanned::span).or_else(|| self.at.clone());
        self.reading.mistake(span.as_ref(), self.key(key), message);
    }

    fn expanded(&self, key: &str, text: &str) -> Option<String> {
        self.reading.uses(text);
        self.reading.variables.expand(text).map_err(|message| self.mistake(key, message)).ok()
    }

    /// A text.
    pub fn text(&self, key: &'static str) -> Option<String> {
        let text = self.any_text(key)?;
        self.reading.notes(key, &text);
        Some(text)
    }

    fn any_text(&self, key: &'static str) -> Option<String> {
        match self.given(key)? {
            Given::Variable(value) => Some(value.to_owned()),
            Given::File(value) => match value.get_ref() {
                DeValue::String(text) => self.expanded(key, text),
                other => self.wrong(key, "a text in quotes", other.type_str()),
            },
        }
    }

    fn wrong<T>(&self, key: &str, wanted: &str, found: &str) -> Option<T> {
        self.mistake(key, format!("must be {wanted}, not of type {found}"));
        None
    }

    /// A text that must be there.
    pub fn required(&self, key: &'static str) -> Option<String> {
        if !self.has(key) {
            self.mistake(key, "is missing");
            return None;
        }
        self.text(key).filter(|text| {
            if text.is_empty() {
                self.mistake(key, "is empty");
            }
            !text.is_empty()
        })
    }

    /// A text that means something.
    pub fn parsed<T: FromStr<Err = String>>(&self, key: &'static str) -> Option<T> {
        let text = self.text(key)?;
        text.parse().map_err(|message: String| self.mistake(key, message)).ok()
    }

    /// One of several words.
    pub fn choice<T: Copy>(&self, key: &'static str, choices: &[(&'static str, T)]) -> Option<T> {
        let text = self.text(key)?;
        let found = choices.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        if found.is_none() {
            let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
            let like = did_you_mean(&text, words.iter().copied());
            self.mistake(key, format!("{text:?} is none of {}{like}", words.join(", ")));
        }
        found
    }

    /// A number that is not below a least one.
    pub fn number(&self, key: &'static str, least: u64) -> Option<u64> {
        let text = match self.given(key)? {
            Given::Variable(value) => value.to_owned(),
            Given::File(value) => match value.get_ref() {
                DeValue::Integer(number) if number.radix() == 10 => number.as_str().to_owned(),
                // A number that a variable gives has to stand in quotes.
                DeValue::String(text) if text.contains("${") => self.expanded(key, text)?,
                other => return self.wrong(key, "a whole number", other.type_str()),
            },
        };
        match text.parse() {
            Ok(number) if number >= least => Some(number),
            _ => {
                self.mistake(key, format!("{text:?} is no whole number from {least} on"));
                None
            }
        }
    }

    /// The number of a port, under the key `port`.
    pub fn port(&self) -> Option<u16> {
        let port = self.number("port", 1)?;
        u16::try_from(port).map_err(|_| self.mistake("port", "is above 65535")).ok()
    }

    /// True or false.
    pub fn flag(&self, key: &'static str) -> Option<bool> {
        let text = match self.given(key)? {
            Given::Variable(value) => value.to_owned(),
            Given::File(value) => match value.get_ref() {
                DeValue::Boolean(flag) => return Some(*flag),
                DeValue::String(text) if text.contains("${") => self.expanded(key, text)?,
                other => return self.wrong(key, "true or false", other.type_str()),
            },
        };
        match text.as_str() {
            "true" | "1" | "yes" => Some(true),
            "false" | "0" | "no" => Some(false),
            _ => {
                self.mistake(key, format!("{text:?} is neither true nor false"));
                None
            }
        }
    }

    /// Several texts. A variable has them with commas between.
    pub fn texts(&self, key: &'static str) -> Option<Vec<String>> {
        match self.given(key)? {
            Given::Variable(value) => Some(value.split(',').map(|part| part.trim().to_owned()).collect()),
            Given::File(value) => {
                let DeValue::Array(items) = value.get_ref() else {
                    return self.wrong(key, "a list of texts: [\"...\"]", value.get_ref().type_str());
                };
                items.iter().map(|item| self.item(key, item)).collect()
            }
        }
    }

    fn item(&self, key: &str, item: &Spanned<DeValue<'a>>) -> Option<String> {
        let expanded = match item.get_ref() {
            DeValue::String(text) => {
                self.reading.uses(text);
                self.reading.variables.expand(text)
            }
            other => Err(format!("must hold texts, and has one of type {}", other.type_str())),
        };
        expanded.map_err(|message| self.reading.mistake(Some(&item.span()), self.key(key), message)).ok()
    }

    /// The texts of a table in this one, by keys that are not ours.
    pub fn pairs(&self, key: &'static str) -> Vec<(String, String)> {
        let table = self.section(key);
        let items = table.table.into_iter().flat_map(DeTable::iter);
        let text = |name: &str, value| match table.overridden(name) {
            Some(value) => Some(value.to_owned()),
            None => self.item(key, value),
        };
        items.filter_map(|(name, value)| Some((name.get_ref().to_string(), text(name.get_ref(), value)?))).collect()
    }

    /// What a variable says of a key.
    fn overridden(&self, key: &str) -> Option<&'r str> {
        let variable = name_of(&self.path, key);
        let value = self.reading.variables.get(&variable);
        if value.is_some() {
            self.reading.needs.borrow_mut().variables.insert(variable.clone());
        }
        self.reading.asked.borrow_mut().insert(variable);
        value
    }

    /// A value as the file has it: its keys are not ours, and variables say nothing in it.
    pub fn as_it_is(&self, key: &'static str) -> Option<&'r DeValue<'a>> {
        self.known.borrow_mut().push(key);
        self.in_file(key).map(Spanned::get_ref)
    }

    /// Whether a key holds a list.
    pub fn is_list(&self, key: &str) -> bool {
        self.in_file(key).is_some_and(|value| value.get_ref().is_array())
    }

    /// A table in this one.
    pub fn section(&self, key: &'static str) -> Self {
        self.known.borrow_mut().push(key);
        self.below(key, self.in_file(key))
    }

    fn below(&self, key: &str, value: Option<&'r Spanned<DeValue<'a>>>) -> Self {
        let mut path = self.path.clone();
        path.push(key.to_owned());
        if let Some(other) = value.filter(|value| !value.get_ref().is_table()) {
            self.mistake(
                key,
                format!("must be a table: [{}], not of type {}", self.key(key), other.get_ref().type_str()),
            );
        }
        let table = value.and_then(|value| value.get_ref().as_table());
        Self { reading: self.reading, path, table, at: value.map(Spanned::span), known: RefCell::default() }
    }

    /// The tables of a list, which are numbered from 1 on.
    pub fn tables(&self, key: &'static str) -> Vec<Self> {
        self.known.borrow_mut().push(key);
        let Some(value) = self.in_file(key) else { return Vec::new() };
        let DeValue::Array(items) = value.get_ref() else {
            self.mistake(
                key,
                format!("must be a list of tables: [{{ ... }}], not of type {}", value.get_ref().type_str()),
            );
            return Vec::new();
        };
        let list = Self { at: Some(value.span()), ..self.below(key, None) };
        items.iter().enumerate().map(|(at, item)| list.below(&(at + 1).to_string(), Some(item))).collect()
    }

    /// The tables in this one, by the names that people gave them.
    pub fn named(&self) -> Vec<Self> {
        let items = self.table.into_iter().flat_map(DeTable::iter);
        items.map(|(key, value)| self.below(key.get_ref(), Some(value))).collect()
    }

    /// Notes the keys that nobody asked for.
    pub fn finish(self) {
        let known = self.known.borrow();
        for (key, _) in self.table.into_iter().flat_map(DeTable::iter) {
            let name: &str = key.get_ref();
            if !known.contains(&name) {
                let like = did_you_mean(name, known.iter().copied());
                self.reading.mistake(Some(&key.span()), self.key(name), format!("is no key larder knows here{like}"));
            }
        }
    }
}
