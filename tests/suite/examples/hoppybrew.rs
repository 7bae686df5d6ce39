//! `examples/hoppybrew`: one PostgreSQL, and snapshots that people make, describe, list, look at, restore and delete.

use std::collections::BTreeMap;
use std::path::Path;

use super::data::Database;
use super::{Site, Stage, Variables};
use crate::services::postgres::PASSWORD;

pub struct Hoppybrew {
    database: Database,
}

impl Hoppybrew {
    pub fn start() -> Self {
        Self { database: Database::new("hoppybrew_db") }
    }
}

impl Stage for Hoppybrew {
    const NAME: &'static str = "hoppybrew";
    const BREAKS: &'static str = "database";

    fn variables(&self, here: &Path) -> Variables {
        vec![
            ("BACKUP_DIR", here.display().to_string()),
            ("BACKUP_PASSWORD", Site::<Self>::PASSWORD.to_owned()),
            ("DATABASE_HOST", self.database.server.host()),
            ("DATABASE_USER", "app".to_owned()),
            ("DATABASE_PASSWORD", PASSWORD.to_owned()),
        ]
    }

    fn live_a_day(&self, day: u32) {
        self.database.live_a_day(day);
    }

    fn content(&self) -> BTreeMap<&'static str, String> {
        BTreeMap::from([("database", self.database.content())])
    }

    fn destroy(&self) {
        self.database.destroy();
    }

    fn break_one(&self) {
        self.database.goes_away();
    }

    fn mend_it(&self) {
        self.database.comes_back();
    }
}

#[test]
fn snapshots_are_described_listed_looked_at_restored_deleted_and_cleaned_up() {
    let site = Site::new(Hoppybrew::start());
    site.stage.live_a_day(1);
    let recipes = site.stage.content();
    let report = site.run(&["database", "--description", "before the new recipes"]);
    assert_eq!(report["sources"][0]["verified"], true, "{report}");
    let first = report["sources"][0]["snapshot"].as_str().unwrap();
    site.stage.live_a_day(2);
    site.run(&[]);

    // List and info.
    let listed = site.snapshots("database");
    let descriptions: Vec<&str> = listed.iter().map(|one| one["description"].as_str().unwrap()).collect();
    assert_eq!(descriptions, ["before the new recipes", ""]);
    assert!(listed[0]["id"] == first && listed[0]["time"].is_string(), "{}", listed[0]);
    let info = site.ok(&["stats", first, "--json"]).json();
    assert!(info.to_string().contains(first), "{info}");
    let entries = site.ok(&["ls", "--entries", &format!("{first}:hoppybrew_db.sql")]).out;
    assert!(entries.contains("public.items"), "{entries}");

    // Restore by id, which stores beforehand what was there.
    let later = site.stage.content();
    site.ok(&["restore", first, "--into", "database", "--yes"]);
    assert_eq!(site.stage.content(), recipes);
    let before = site.snapshots("database.before-restore");
    assert_eq!(before.len(), 1, "{before:?}");
    site.ok(&["restore", "database.before-restore@latest", "--into", "database", "--yes"]);
    assert_eq!(site.stage.content(), later);
    site.loses_and_puts_back(&["database"]);
    assert_eq!(site.stage.content(), later);

    // Delete and clean up.
    site.ok(&["forget", first]);
    assert_eq!(site.snapshots("database").len(), 1);
    site.ok(&["forget", "--keep-within", "30d", "--source", "database"]);
    site.ok(&["prune", "--grace", "0s"]);
    let gone = site.does(&["restore", first, "--into", "database", "--yes"]);
    assert!(gone.code != Some(0) && site.stage.content() == later, "{gone:?}");
    site.ok(&["check", "--read-data"]);
}
