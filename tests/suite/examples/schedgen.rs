//! `examples/schedgen`: PostgreSQL and a bucket, looked at after each backup, and a channel that is told of failures.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use super::data::{Bucket, Database};
use super::{Site, Stage, Variables, names};
use crate::services::postgres::PASSWORD;
use crate::services::s3::server::{ACCESS, SECRET};
use crate::support::web::{Reply, Web};

pub struct Schedgen {
    database: Database,
    pdfs: Bucket,
    channel: Web,
}

impl Schedgen {
    pub fn start() -> Self {
        let channel = Web::start(|_| Reply::json(200, &json!("ok")));
        Self { database: Database::new("schedgen"), pdfs: Bucket::new("schedgen-pdfs"), channel }
    }

    /// What the channel was told.
    pub fn told(&self) -> Vec<String> {
        let text = |body: Vec<u8>| serde_json::from_slice::<Value>(&body).unwrap()["text"].as_str().unwrap().to_owned();
        self.channel.asked().into_iter().map(|asked| text(asked.body)).collect()
    }
}

impl Stage for Schedgen {
    const NAME: &'static str = "schedgen";
    const BREAKS: &'static str = "database";

    fn variables(&self, here: &Path) -> Variables {
        let at = |name: &str| here.join(name).display().to_string();
        vec![
            ("BACKUP_DIR", at("larder")),
            ("BACKUP_PASSWORD_FILE", at("password")),
            ("BACKUP_STATUS", at("status")),
            ("BACKUP_ALERT_WEBHOOK_URL", self.channel.url("/services/hook")),
            ("POSTGRES_HOST", self.database.server.host()),
            ("POSTGRES_USER", "app".to_owned()),
            ("POSTGRES_PASSWORD", PASSWORD.to_owned()),
            ("MINIO_ENDPOINT", self.pdfs.0.endpoint()),
            ("MINIO_ACCESS_KEY", ACCESS.to_owned()),
            ("MINIO_SECRET_KEY", SECRET.to_owned()),
        ]
    }

    fn live_a_day(&self, day: u32) {
        self.database.live_a_day(day);
        self.pdfs.live_a_day(day);
    }

    fn content(&self) -> BTreeMap<&'static str, String> {
        BTreeMap::from([("database", self.database.content()), ("pdfs", self.pdfs.content())])
    }

    fn destroy(&self) {
        self.database.destroy();
        self.pdfs.destroy();
    }

    fn break_one(&self) {
        self.database.goes_away();
    }

    fn mend_it(&self) {
        self.database.comes_back();
    }
}

#[test]
fn a_failure_is_told_and_what_was_verified_comes_back() {
    let site = Site::new(Schedgen::start());
    site.stage.live_a_day(1);
    site.ok(&["doctor"]);
    site.run(&[]);
    site.stage.live_a_day(2);
    let report = site.run(&[]);
    assert_eq!(names(&report), ["database", "pdfs"]);
    assert_eq!(report["sources"][0]["verified"], true, "{report}");
    assert_eq!(site.stage.told(), [""; 0], "all is well");
    let content = site.stage.content();

    // The bucket is empty, and so is not worth a backup: the database has one nevertheless, and the channel hears of it.
    site.stage.destroy();
    site.puts_back("database");
    let failed = site.does(&["run", "--json"]);
    let report = failed.json();
    assert_eq!((failed.code, report["status"].as_str()), (Some(1), Some("failed")), "{failed:?}");
    let states = [0, 1].map(|at| report["sources"][at]["status"].as_str().unwrap().to_owned());
    assert_eq!(states, ["done", "failed"], "{report}");
    let told = site.stage.told();
    assert!(told.len() == 1 && told[0].contains("pdfs: failed: ") && told[0].contains("min_bytes"), "{told:?}");
    let shown = format!("{failed:?}{}", site.read("status/backup_report.json"));
    assert!(shown.contains("min_bytes") && !shown.contains("/services/hook"), "{shown}");

    // Its newest snapshot is of the empty one; the one before is what it should be.
    let snapshots = site.snapshots("pdfs");
    let good = snapshots[snapshots.len() - 2]["id"].as_str().unwrap();
    site.ok(&["restore", good, "--into", "pdfs", "--yes"]);
    assert_eq!(site.stage.content(), content);
    site.run(&[]);
    assert!(site.stage.told().last().unwrap().contains(": done"), "well again");
    site.ok(&["check", "--read-data"]);
}
