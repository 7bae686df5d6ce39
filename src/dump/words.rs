//! The words of a piece of SQL, to see which names it mentions.
//!
//! Promise: bytes that are no SQL give some words and no panic. Left out on purpose: bodies of functions, which are text.

/// The longest text that is taken for a name: twice 63 bytes, all of them doubled, and more.
const TEXT_NAME_BYTES_MAX: usize = 300;

/// A word or a mark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Word {
    /// As it stands: an order, or a name in small letters.
    Plain(String),
    /// A name in double quotes.
    Quoted(String),
    /// A text in single quotes.
    Text(String),
    /// Any other character.
    Mark(u8),
}

/// A schema, or nothing, and a name in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name {
    /// The schema; empty if there is none.
    pub schema: String,
    /// The name.
    pub name: String,
}

impl Name {
    /// From its parts.
    pub fn new(schema: &str, name: &str) -> Self {
        Self { schema: schema.to_owned(), name: name.to_owned() }
    }
}

/// Bytes as text: what is no UTF-8 is escaped, so that different names stay different.
pub fn text(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}

/// The words of a piece of PostgreSQL's SQL, which may end anywhere.
pub fn words(sql: &[u8]) -> Vec<Word> {
    let mut words = Vec::new();
    let mut rest = sql;
    while let Some(&byte) = rest.first() {
        let taken = match byte {
            b'-' if rest.starts_with(b"--") => up_to(rest, b"\n"),
            b'\'' => quoted(rest, byte, &mut words, Word::Text),
            b'"' => quoted(rest, byte, &mut words, Word::Quoted),
            b'$' => dollar(rest),
            _ if is_name(byte) => {
                let len = rest.iter().take_while(|&&byte| is_name(byte) || byte == b'$').count();
                words.push(Word::Plain(text(&rest[..len])));
                len
            }
            _ => {
                if byte > b' ' {
                    words.push(Word::Mark(byte));
                }
                1
            }
        };
        rest = &rest[taken.clamp(1, rest.len())..];
    }
    words
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

/// How many bytes there are up to and with this.
fn up_to(rest: &[u8], end: &[u8]) -> usize {
    rest.windows(end.len()).position(|window| window == end).map_or(rest.len(), |at| at + end.len())
}

fn quoted(rest: &[u8], by: u8, words: &mut Vec<Word>, word: fn(String) -> Word) -> usize {
    let escapes = by == b'\'' && matches!(words.last(), Some(Word::Plain(last)) if last == "E");
    let (mut inside, mut at) = (Vec::new(), 1);
    while let Some(&byte) = rest.get(at) {
        at += 1;
        if byte == by {
            if rest.get(at) != Some(&by) {
                break;
            }
            at += 1;
        } else if byte == b'\\' && escapes {
            inside.extend(rest.get(at));
            at += 1;
            continue;
        }
        inside.push(byte);
    }
    words.push(word(text(&inside)));
    at
}

/// How long a dollar quote is, or the single sign.
fn dollar(rest: &[u8]) -> usize {
    let tag = rest[1..].iter().take_while(|&&byte| is_name(byte)).count();
    if rest.get(tag + 1) != Some(&b'$') || rest[1].is_ascii_digit() {
        return 1;
    }
    let delimiter = &rest[..tag + 2];
    delimiter.len() + up_to(&rest[delimiter.len()..], delimiter)
}

/// The name at a place, with its schema if it has one.
pub fn name_at(words: &[Word], at: usize) -> Option<Name> {
    let name = |at: usize| match words.get(at) {
        Some(Word::Plain(name) | Word::Quoted(name)) => Some(name.as_str()),
        _ => None,
    };
    let first = name(at)?;
    match (words.get(at + 1), name(at + 2)) {
        (Some(Word::Mark(b'.')), Some(second)) => Some(Name::new(first, second)),
        _ => Some(Name::new("", first)),
    }
}

/// The name behind this word, past `ONLY`. One with a schema is preferred.
pub fn name_after(words: &[Word], word: &str) -> Option<Name> {
    let behind = |at: usize| {
        let only = matches!(words.get(at + 1), Some(Word::Plain(only)) if only == "ONLY");
        name_at(words, at + 1 + usize::from(only))
    };
    let mut names = (0..words.len()).filter(|&at| words[at] == Word::Plain(word.to_owned())).filter_map(behind);
    let first = names.next()?;
    if first.schema.is_empty() { names.find(|name| !name.schema.is_empty()).or(Some(first)) } else { Some(first) }
}

/// All names with a schema, those in texts (`'public.users_id_seq'::regclass`) included, at most so many.
pub fn names(words: &[Word], most: usize) -> Vec<Name> {
    let mut names: Vec<Name> = Vec::new();
    let mut at = 0;
    while at < words.len() && names.len() < most {
        let found = match &words[at] {
            Word::Text(text) => in_text(text),
            _ => name_at(words, at).filter(|name| !name.schema.is_empty()),
        };
        // The column behind schema and table is no name of its own.
        let past = if matches!(words[at], Word::Text(_)) || found.is_none() { 1 } else { 3 };
        at += past;
        while past == 3 && words.get(at) == Some(&Word::Mark(b'.')) {
            at += 2;
        }
        names.extend(found);
    }
    names.sort();
    names.dedup();
    names
}

/// The name that a text consists of.
fn in_text(text: &str) -> Option<Name> {
    if text.len() > TEXT_NAME_BYTES_MAX {
        return None;
    }
    let words = words(text.as_bytes());
    let name = name_at(&words, 0)?;
    (words.len() == 3 && !name.schema.is_empty()).then_some(name)
}

/// The first name with a schema that is no text.
pub fn first_name(words: &[Word]) -> Option<Name> {
    (0..words.len()).filter_map(|at| name_at(words, at)).find(|name| !name.schema.is_empty())
}

#[cfg(test)]
#[path = "words_tests.rs"]
mod tests;
