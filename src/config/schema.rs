//! A JSON Schema: a file that holds it, or a table that is it.

use std::path::PathBuf;

use serde_json::{Map, Number, Value};
use toml::de::{DeInteger, DeTable, DeValue};

use crate::config::reading::Section;
use crate::schema::Schema;

/// Where a schema is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SchemaFrom {
    /// In the configuration, here as JSON. It is one.
    Table(String),
    /// In a file, of which nothing is known yet.
    File(PathBuf),
}

impl SchemaFrom {
    /// The keys: a table, or a file.
    pub const KEYS: [&str; 2] = ["schema", "schema_file"];

    /// Reads either.
    pub fn read(section: &Section<'_, '_>) -> Option<Self> {
        let (table, file) = (section.as_it_is("schema"), section.text("schema_file").map(PathBuf::from));
        match (table, file) {
            (Some(_), Some(_)) => {
                section.mistake("schema_file", "is one too many beside `schema`");
                None
            }
            (Some(table), None) => read_table(section, table),
            (None, Some(path)) if !path.is_absolute() => {
                section.mistake("schema_file", "must be a full path, since runs start in any folder");
                None
            }
            (None, Some(path)) => Some(Self::File(path)),
            (None, None) => None,
        }
    }
}

fn read_table(section: &Section<'_, '_>, value: &DeValue<'_>) -> Option<SchemaFrom> {
    let DeValue::Table(table) = value else {
        section.mistake("schema", format!("must be a table: {{ ... }}, not of type {}", value.type_str()));
        return None;
    };
    let text = of_table(table).map(|schema| schema.to_string());
    let checked = text.and_then(|text| Schema::parse(text.as_bytes()).map(|_| text));
    checked.map(SchemaFrom::Table).map_err(|error| section.mistake("schema", error)).ok()
}

fn of_table(table: &DeTable<'_>) -> Result<Value, String> {
    let pair = |(key, value): (&toml::Spanned<_>, &toml::Spanned<DeValue<'_>>)| {
        let key: &std::borrow::Cow<'_, str> = key.get_ref();
        Ok((key.to_string(), of_value(value.get_ref())?))
    };
    table.iter().map(pair).collect::<Result<Map<_, _>, String>>().map(Value::Object)
}

fn of_value(value: &DeValue<'_>) -> Result<Value, String> {
    Ok(match value {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Integer(number) => Value::Number(of_integer(number)?),
        DeValue::Float(number) => {
            let float = number.as_str().parse().ok().and_then(Number::from_f64);
            Value::Number(float.ok_or_else(|| format!("JSON knows no number {}", number.as_str()))?)
        }
        DeValue::Boolean(flag) => Value::Bool(*flag),
        DeValue::Datetime(time) => return Err(format!("JSON knows no time: write \"{time}\" in quotes")),
        DeValue::Array(items) => {
            Value::Array(items.iter().map(|item| of_value(item.get_ref())).collect::<Result<_, _>>()?)
        }
        DeValue::Table(table) => of_table(table)?,
    })
}

fn of_integer(number: &DeInteger<'_>) -> Result<Number, String> {
    let parsed = i64::from_str_radix(number.as_str(), number.radix());
    parsed.map(Number::from).map_err(|_| format!("the number {} is too large", number.as_str()))
}
