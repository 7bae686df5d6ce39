//! `examples/arasul`: PostgreSQL, a bucket, Qdrant (a fixture) and n8n in a container (a fixture, and the real one for
//! the exhaustive runs).

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::data::{Bucket, Database};
use super::{Site, Stage, Variables, names};
use crate::services::n8n::N8n;
use crate::services::postgres::PASSWORD;
use crate::services::qdrant::Qdrant;
use crate::services::s3::server::{ACCESS, SECRET};
use crate::support::damage_repo::noise;
use crate::support::docker::Engine;
use crate::support::exhaustive;

/// The image for programs of this machine.
const MACHINE: &str = "larder/machine";

pub struct Arasul {
    database: Database,
    documents: Bucket,
    qdrant: Qdrant,
    engine: Engine,
    n8n: N8n,
}

impl Arasul {
    pub fn start(engine: Engine, n8n: N8n) -> Self {
        engine.import_shell_of_this_machine(MACHINE);
        let stage = Self {
            database: Database::new("arasul_db"),
            documents: Bucket::new("documents"),
            qdrant: Qdrant::open(),
            engine,
            n8n,
        };
        stage.start_n8n();
        stage
    }

    /// A container in which n8n's program is where it is here, with the folder and the key that it has here.
    fn start_n8n(&self) {
        let (here, programs) = (self.n8n.path("").display().to_string(), self.n8n.programs.display());
        let (folder, programs) = (format!("{here}:{here}"), format!("{programs}:{programs}:ro"));
        let mounts = ["--volume", &folder, "--volume", &programs, "--volume", "/usr:/usr:ro"];
        let path = format!("PATH={}:/usr/bin:/bin", here.trim_end_matches('/'));
        let variables = [format!("N8N_ENCRYPTION_KEY={}", self.key()), format!("N8N_USER_FOLDER={here}"), path];
        let variables = variables.iter().flat_map(|variable| ["--env", variable]).collect::<Vec<_>>();
        let run = ["run", "--detach", "--name", "n8n", "--network", "none"];
        self.engine.ok(&[&run[..], &mounts, &variables, &[MACHINE, "sleep", "1d"]].concat());
    }

    fn key(&self) -> String {
        self.n8n.read("config")["encryptionKey"].as_str().unwrap().to_owned()
    }

    /// What n8n's own program exports, without what an import changes.
    fn export(&self, kind: &[&str], fields: &[&str]) -> String {
        let file = self.n8n.path("exported.json");
        self.n8n.does(&[kind, &["--all", &format!("--output={}", file.display())]].concat());
        let things: Vec<Value> = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
        let mut lines: Vec<String> = things
            .iter()
            .map(|thing| fields.iter().map(|field| format!("{} ", thing[*field])).collect::<String>() + "\n")
            .collect();
        lines.sort();
        lines.concat()
    }

    fn import(&self, kind: &str, thing: &Value) {
        let file = self.n8n.path("imported.json");
        fs::write(&file, json!([thing]).to_string()).unwrap();
        self.n8n.does(&[&format!("import:{kind}"), &format!("--input={}", file.display())]);
    }
}

impl Stage for Arasul {
    const NAME: &'static str = "arasul";
    const BREAKS: &'static str = "postgres";

    fn variables(&self, here: &Path) -> Variables {
        let at = |name: &str| here.join(name).display().to_string();
        vec![
            ("ARASUL_BACKUPS", at("larder")),
            ("ARASUL_PASSWORD_FILE", at("password")),
            ("ARASUL_STATUS", at("status")),
            ("POSTGRES_HOST", self.database.server.host()),
            ("POSTGRES_USER", "app".to_owned()),
            ("POSTGRES_PASSWORD", PASSWORD.to_owned()),
            ("MINIO_ENDPOINT", self.documents.0.endpoint()),
            ("MINIO_ROOT_USER", ACCESS.to_owned()),
            ("MINIO_ROOT_PASSWORD", SECRET.to_owned()),
            ("QDRANT_URL", self.qdrant.web.url("")),
            ("N8N_ENCRYPTION_KEY", self.key()),
            ("DOCKER_HOST", self.engine.host()),
        ]
    }

    fn live_a_day(&self, day: u32) {
        self.database.live_a_day(day);
        self.documents.live_a_day(day);
        let mut qdrant = self.qdrant.has();
        qdrant.collections.insert("documents".to_owned(), noise(u64::from(day), 20_000).to_vec());
        qdrant.collections.insert(format!("of day {}", day % 3), day.to_string().into_bytes());
        qdrant.aliases.insert("current".to_owned(), "documents".to_owned());
        drop(qdrant);
        let node = json!({"parameters": {"day": day}, "id": "a", "name": "Start", "typeVersion": 1, "position": [0, 0],
            "type": "n8n-nodes-base.manualTrigger"});
        let flow = json!({"id": format!("day{day}"), "name": format!("flow of day {day}"), "nodes": [node],
            "connections": {}, "active": false, "settings": {}, "versionId": "v1"});
        self.import("workflow", &flow);
    }

    fn content(&self) -> BTreeMap<&'static str, String> {
        let qdrant = self.qdrant.has();
        let vectors = format!("{:?} {:?}", qdrant.collections, qdrant.aliases);
        drop(qdrant);
        let flows = self.export(&["export:workflow"], &["id", "name", "nodes"]);
        let credentials = self.export(&["export:credentials", "--decrypted"], &["id", "name", "data"]);
        BTreeMap::from([
            ("minio", self.documents.content()),
            ("n8n", flows + &credentials),
            ("postgres", self.database.content()),
            ("qdrant", vectors),
        ])
    }

    fn destroy(&self) {
        self.database.destroy();
        self.documents.destroy();
        self.qdrant.has().collections.clear();
        self.qdrant.has().aliases.clear();
        // Whatever n8n keeps, but for its key: without that nothing could be put back.
        for entry in fs::read_dir(self.n8n.path(".n8n")).unwrap().map(Result::unwrap) {
            if entry.path().is_file() && entry.file_name() != "config" {
                fs::remove_file(entry.path()).unwrap();
            }
        }
    }

    fn break_one(&self) {
        self.database.goes_away();
    }

    fn mend_it(&self) {
        self.database.comes_back();
    }
}

fn each_component_comes_back(n8n: N8n) {
    let site = Site::new(Arasul::start(Engine::start(), n8n));
    site.stage.live_a_day(1);
    site.ok(&["doctor"]);
    let all = ["minio", "n8n", "postgres", "qdrant"];
    assert_eq!(names(&site.run(&[])), all);
    site.stage.live_a_day(2);

    // One component only, and one that is to be kept as weekly whatever the day. The first of a week is anyway.
    let tags = |report: &Value| report["sources"][0]["tags"].to_string();
    let report = site.run(&["minio"]);
    assert_eq!((names(&report), tags(&report).contains("weekly")), (vec!["minio"], false), "{report}");
    let report = site.run(&["--tag", "weekly"]);
    assert!(names(&report) == all && tags(&report).contains("weekly"), "{report}");
    assert_eq!([site.snapshots("minio").len(), site.snapshots("qdrant").len()], [2, 2]);

    let written: Value = serde_json::from_str(&site.read("status/backup_report.json")).unwrap();
    assert_eq!((&written["run"], &written["status"], names(&written)), (&report["run"], &json!("done"), all.to_vec()));
    for source in written["sources"].as_array().unwrap() {
        let measured = source["size_bytes"].as_u64().unwrap() > 0 && source["duration_seconds"].is_number();
        assert!(measured && source["errors"] == json!([]), "{source}");
    }

    let content = site.stage.content();
    site.loses_and_puts_back(&all);
    assert_eq!(site.stage.content(), content);
    assert!(site.stage.content()["n8n"].contains("flow of day 2"));
    site.ok(&["check", "--read-data"]);
}

#[test]
fn components_are_run_alone_or_as_weekly_and_come_back() {
    each_component_comes_back(N8n::fixture());
}

#[test]
fn components_come_back_with_the_real_n8n() {
    if exhaustive() {
        let n8n = N8n::real();
        let credential = json!([{"id": "cred1", "name": "shop", "type": "httpBasicAuth",
            "data": {"user": "u", "password": "t0ken of the shop"}}]);
        fs::write(n8n.path("credential.json"), credential.to_string()).unwrap();
        n8n.does(&["import:credentials", &format!("--input={}", n8n.path("credential.json").display())]);
        each_component_comes_back(n8n);
    }
}
