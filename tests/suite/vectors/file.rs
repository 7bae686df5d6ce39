//! The text of a vector. See "Vectors" in `format-spec/README.md`.

use std::collections::BTreeMap;

/// A vector.
pub struct Vector {
    fields: BTreeMap<String, String>,
    /// What is decoded, or the flaw.
    pub expected: Result<Vec<String>, String>,
}

impl Vector {
    /// Reads the text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut fields: BTreeMap<String, String> = BTreeMap::new();
        let mut last = None;
        for line in text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty()) {
            if let Some(more) = line.strip_prefix("  ") {
                let name: &String = last.as_ref().ok_or("begins with a continuation")?;
                let value = fields.entry(name.clone()).or_default();
                if !value.is_empty() {
                    value.push('\n');
                }
                value.push_str(more);
            } else {
                let (name, value) = line.split_once(':').ok_or(format!("no field: {line}"))?;
                if fields.insert(name.to_owned(), value.trim().to_owned()).is_some() {
                    return Err(format!("{name} is there twice"));
                }
                last = Some(name.to_owned());
            }
        }
        let says = fields.remove("says").unwrap_or_default();
        let expected = match fields.remove("expect").ok_or("no expect")?.split_once(' ') {
            None => Ok(says.lines().map(str::to_owned).collect()),
            Some(("refuse", flaw)) => Err(flaw.to_owned()),
            Some(_) => return Err("expects neither ok nor refuse".into()),
        };
        Ok(Self { fields, expected })
    }

    /// A field as text.
    pub fn text(&self, name: &str) -> &str {
        self.fields.get(name).unwrap_or_else(|| panic!("the vector has no {name}"))
    }

    /// Whether there is such a field.
    pub fn has(&self, name: &str) -> bool {
        self.fields.contains_key(name)
    }

    /// A field as bytes.
    pub fn bytes(&self, name: &str) -> Vec<u8> {
        let digits: String = self.text(name).split_whitespace().collect();
        hex::decode(digits).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// A field as a fixed number of bytes.
    pub fn array<const N: usize>(&self, name: &str) -> [u8; N] {
        self.bytes(name).try_into().unwrap_or_else(|_| panic!("{name} is not {N} bytes long"))
    }

    /// A field as a number.
    pub fn number(&self, name: &str) -> u64 {
        self.text(name).parse().unwrap_or_else(|error| panic!("{name}: {error}"))
    }
}
