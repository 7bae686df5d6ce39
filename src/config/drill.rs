//! `[drill]` and `[source.NAME.drill]`: when it is tried whether what is stored can be restored, where, and what must
//! hold then.

use std::path::PathBuf;
use std::time::Duration;

use crate::config::Timetable;
use crate::config::hooks::Words;
use crate::config::reading::Section;
use crate::config::schema::SchemaFrom;
use crate::duration::Length;

/// How long a command may take unless something else is said.
const LIMIT: Duration = Duration::from_secs(10 * 60);

/// The keys that say when.
const SCHEDULE: [&str; 6] = ["cron", "timezone", "enabled", "jitter", "run_missed", "run_on_start"];

/// When drills are due, and where they take place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Drill {
    /// When; only when they are asked for, if nothing is said.
    pub timetable: Option<Timetable>,
    /// The folder for what is restored; that for temporary files, if nothing is said.
    pub directory: Option<PathBuf>,
}

impl Drill {
    /// Reads it. Without `cron` there is no schedule; the time zone is that of the general one.
    pub fn read(section: Section<'_, '_>, general: Option<&Timetable>) -> Self {
        let directory = section.text("directory").map(PathBuf::from);
        if directory.as_ref().is_some_and(|path| !path.is_absolute()) {
            section.mistake("directory", "must be a full path, since runs start in any folder");
        }
        let when = SCHEDULE.into_iter().filter(|key| section.has(key)).count() > 0;
        let timetable = when.then(|| Timetable::upkeep(&section, general)).flatten();
        section.finish();
        Self { timetable, directory }
    }
}

/// What a drill of one source is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceDrill {
    /// Whether a drill of everything takes it.
    pub enabled: bool,
    /// Where a database is restored to.
    pub place: Place,
    /// What must hold.
    pub checks: Vec<Check>,
}

impl Default for SourceDrill {
    fn default() -> Self {
        Self { enabled: true, place: Place::Local, checks: Vec::new() }
    }
}

/// Where a database is restored to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// A server of the drill's own, where one can be started here; else the service.
    Local,
    /// The service it came from, under another name.
    Service,
}

/// Something that must hold of what was restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Check {
    /// What a query answers.
    Sql {
        /// The query.
        sql: String,
        /// The database, as it was called when it was stored.
        database: Option<String>,
        /// The answer.
        wanted: Wanted,
    },
    /// A command ends with 0.
    Command {
        /// The command.
        words: Words,
        /// How long it may take.
        limit: Duration,
    },
    /// A file is JSON, and as a schema wants it.
    Json {
        /// Its path.
        file: String,
        /// The schema.
        schema: SchemaFrom,
    },
    /// How long a file is; all of them together, if none is named.
    Size {
        /// Its path.
        file: Option<String>,
        /// Fewest bytes.
        min: Option<u64>,
        /// Most bytes.
        max: Option<u64>,
    },
}

/// What a query must answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// This text.
    Text(String),
    /// A number from here to there.
    Number {
        /// Least.
        min: Option<u64>,
        /// Most.
        max: Option<u64>,
    },
}

impl SourceDrill {
    /// Reads it.
    pub fn read(section: Section<'_, '_>) -> Self {
        let places = [("local", Place::Local), ("service", Place::Service)];
        let drill = Self {
            enabled: section.flag("enabled").unwrap_or(true),
            place: section.choice("place", &places).unwrap_or(Place::Local),
            checks: section.tables("checks").into_iter().filter_map(read_check).flatten().collect(),
        };
        section.finish();
        drill
    }
}

/// What one table asks for: it may be something of the file and its size, too.
fn read_check(section: Section<'_, '_>) -> Option<Vec<Check>> {
    let kinds = ["sql", "command"].into_iter().chain(SchemaFrom::KEYS);
    let what: Vec<&str> = kinds.filter(|key| section.has(key)).collect();
    if let [first, second, ..] = what[..] {
        section.mistake(second, format!("is one too many beside `{first}`: give each a table of its own"));
        return None;
    }
    let checks = match what.first() {
        Some(&"sql") => read_sql(&section).into_iter().collect(),
        Some(&"command") => {
            let words = Words::read(&section, "command")?;
            let limit = section.parsed::<Length>("timeout").map_or(LIMIT, Length::duration);
            vec![Check::Command { words, limit }]
        }
        _ => read_file(&section),
    };
    section.finish();
    (!checks.is_empty()).then_some(checks)
}

fn read_sql(section: &Section<'_, '_>) -> Option<Check> {
    let (sql, database, expect) = (section.text("sql"), section.text("database"), section.text("expect"));
    let (min, max) = bounds(section, ["min", "max"]);
    let wanted = match expect {
        Some(_) if min.is_some() || max.is_some() => {
            section.mistake("expect", "is one too many: give `expect`, or `min` and `max`");
            return None;
        }
        Some(text) => Wanted::Text(text),
        None if min.is_none() && max.is_none() && !section.has("expect") => {
            section.mistake("sql", "needs an answer: `expect = \"...\"`, or `min` and `max`");
            return None;
        }
        None => Wanted::Number { min, max },
    };
    Some(Check::Sql { sql: sql?, database, wanted })
}

/// The least and the most, if both can be.
fn bounds(section: &Section<'_, '_>, [least, most]: [&'static str; 2]) -> (Option<u64>, Option<u64>) {
    let (min, max) = (section.number(least, 0), section.number(most, 0));
    if min.is_some() && max.is_some() && min > max {
        section.mistake(least, format!("is more than `{most}`: nothing can be both"));
    }
    (min, max)
}

fn read_file(section: &Section<'_, '_>) -> Vec<Check> {
    let (file, schema) = (section.text("file"), SchemaFrom::read(section));
    let (min, max) = bounds(section, ["min_bytes", "max_bytes"]);
    let mut checks = Vec::new();
    match (&file, schema) {
        (Some(file), Some(schema)) => checks.push(Check::Json { file: file.clone(), schema }),
        (None, Some(_)) => section.mistake("file", "is missing: the JSON that the schema is for"),
        (_, None) => {}
    }
    if min.is_some() || max.is_some() {
        checks.push(Check::Size { file, min, max });
    } else if checks.is_empty() && !SchemaFrom::KEYS.into_iter().any(|key| section.has(key)) {
        section
            .mistake("", "checks nothing: give `sql`, `command`, `schema`, `schema_file`, `min_bytes` or `max_bytes`");
    }
    checks
}
