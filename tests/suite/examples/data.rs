//! Databases, buckets and folders in which days leave their traces.

use std::cell::Cell;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use larder::s3::Headers;

use crate::services::postgres::Server;
use crate::services::s3::server::Gateway;

/// A database of a server of its own.
pub struct Database {
    pub server: Server,
    name: &'static str,
    /// Whether it has another name than its users know.
    away: Cell<bool>,
}

impl Database {
    pub fn new(name: &'static str) -> Self {
        let database = Self { server: Server::start(), name, away: Cell::new(false) };
        database.make();
        database
    }

    fn make(&self) {
        self.server.sql("postgres", &format!("CREATE DATABASE {}", self.name));
        self.server.sql(self.name, "CREATE TABLE items (id serial PRIMARY KEY, name text)");
    }

    /// Rows come, change and go.
    pub fn live_a_day(&self, day: u32) {
        let sql = format!(
            "INSERT INTO items (name) SELECT 'day {day}, item ' || n FROM generate_series(1, 20) n; \
             UPDATE items SET name = name || ', changed on day {day}' WHERE id % 7 = {day} % 7; \
             DELETE FROM items WHERE id % 11 = {day} % 11"
        );
        let name = if self.away.get() { format!("{}_away", self.name) } else { self.name.to_owned() };
        self.server.sql(&name, &sql);
    }

    pub fn content(&self) -> String {
        self.server.content(self.name)
    }

    pub fn destroy(&self) {
        self.server.sql("postgres", &format!("DROP DATABASE {}", self.name));
    }

    /// It cannot be found under its name any more.
    pub fn goes_away(&self) {
        self.away.set(true);
        self.server.sql("postgres", &format!("ALTER DATABASE {0} RENAME TO {0}_away", self.name));
    }

    pub fn comes_back(&self) {
        self.away.set(false);
        self.server.sql("postgres", &format!("ALTER DATABASE {0}_away RENAME TO {0}", self.name));
    }
}

/// A bucket behind a gateway of its own.
pub struct Bucket(pub Gateway);

impl Bucket {
    pub fn new(name: &'static str) -> Self {
        Self(Gateway::new(name))
    }

    /// Objects come, change and go.
    pub fn live_a_day(&self, day: u32) {
        let client = self.0.client();
        let put = |key: &str, text: String| client.put(key, &Headers::new(), text.as_bytes()).unwrap();
        put(&format!("day/{day}.pdf"), format!("of day {day}\n").repeat(60));
        put("newest.pdf", format!("day {day}\n"));
        if let Some(past) = day.checked_sub(5) {
            client.delete(&[format!("day/{past}.pdf")]).unwrap();
        }
    }

    pub fn content(&self) -> String {
        let mut text = String::new();
        for (key, (bytes, headers)) in self.0.objects() {
            writeln!(text, "{key} {headers:?} {}", String::from_utf8(bytes).unwrap()).unwrap();
        }
        text
    }

    pub fn destroy(&self) {
        self.0.client().delete(&self.0.keys()).unwrap();
    }
}

/// Files come, change and go.
pub fn live_a_day_in(folder: &Path, day: u32) {
    fs::create_dir_all(folder.join("days")).unwrap();
    fs::write(folder.join(format!("days/{day}")), format!("of day {day}\n").repeat(100)).unwrap();
    fs::write(folder.join("newest"), format!("day {day}\n")).unwrap();
    if let Some(past) = day.checked_sub(5) {
        fs::remove_file(folder.join(format!("days/{past}"))).unwrap();
    }
}

/// The files of [`live_a_day_in`].
pub fn content_of(folder: &Path) -> String {
    let mut lines: Vec<String> = fs::read_dir(folder.join("days"))
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| format!("{:?} {}", entry.file_name(), fs::read_to_string(entry.path()).unwrap()))
        .collect();
    lines.sort();
    lines.push(fs::read_to_string(folder.join("newest")).unwrap());
    lines.concat()
}

/// All that is in a folder goes, the folder stays.
pub fn empty(folder: &Path) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }.unwrap();
    }
}
