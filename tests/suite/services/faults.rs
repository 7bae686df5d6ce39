//! Faults of services that need no server of their own for it: programs that die, databases that are none, an engine that
//! goes away.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::support::binary::{Done, Larder};
use crate::support::docker::{BOX, Engine};
use crate::support::hold::Hold;
use crate::support::waiting::wait_for;

/// What a run says of each source: whether there is a snapshot, and what was wrong.
fn said(larder: &Larder, expected: &[(&str, bool, &str)]) {
    let done = larder.configured(&["run", "--json"]);
    let report = done.json();
    assert_eq!(done.code, Some(1), "{done:?}");
    for (name, has, words) in expected {
        let source = report["sources"].as_array().unwrap().iter().find(|one| one["name"] == *name).unwrap();
        assert_eq!((source["snapshot"].is_string(), larder.snapshots(name)), (*has, usize::from(*has)), "{source}");
        assert!(source["errors"].to_string().contains(words), "{source}\n  instead of\n{words}");
        assert_eq!(source["status"], if words.is_empty() { "done" } else { "failed" }, "{source}");
    }
    assert_eq!(report["sources"].as_array().unwrap().len(), expected.len());
    larder.ok(&["check"]);
}

#[test]
fn commands_and_databases_that_fail_hide_no_other_and_leave_no_snapshot() {
    let larder = Larder::new();
    let place = |name: &str| larder.path(name).display().to_string();
    let good = rusqlite::Connection::open(larder.path("good.db")).unwrap();
    good.execute_batch("CREATE TABLE t (n, b); INSERT INTO t VALUES (1, randomblob(100000)), (2, randomblob(100000))")
        .unwrap();
    let whole = fs::read(larder.path("good.db")).unwrap();
    fs::write(larder.path("torn.db"), &whole[..whole.len() / 2]).unwrap();
    larder.file("none.db", &"no database at all ".repeat(1000));
    let command =
        |name: &str, words: &str| format!("[source.{name}]\nkind = \"command\"\ncommand = {words}\nfile = \"x\"\n");
    let database = |name: &str, file: &str| format!("[source.{name}]\nkind = \"sqlite\"\npath = \"{}\"\n", place(file));
    let sources = [
        command("dies", "\"echo half; kill -9 $$$$\""),
        command("missing", "[\"/no/such/program\"]"),
        command("fine", "\"echo fine\""),
        database("away", "no-such.db"),
        database("none", "none.db"),
        database("torn", "torn.db"),
        database("good", "good.db"),
    ];
    larder.configure(&sources.concat());
    said(
        &larder,
        &[
            ("dies", false, "signal: 9"),
            ("missing", false, "/no/such/program"),
            ("fine", true, ""),
            ("away", false, "there is no such file"),
            ("none", false, "file is not a database"),
            ("torn", false, "database disk image is malformed"),
            ("good", true, ""),
        ],
    );
}

/// Killed while it writes; an export that broke off by itself; and no n8n at all.
#[test]
fn an_n8n_that_dies_in_the_middle_of_an_export_leaves_no_snapshot() {
    let larder = Larder::new();
    let program = |end: &str| {
        let script = format!(
            "#!/bin/sh\nfor word; do case $word in --output=*) printf '[{{\"id\": \"1\", ' >\"${{word#--output=}}\";; esac; done\n{end}\n"
        );
        let path = larder.file("n8n", &script);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    };
    let key = larder.file("config", "{\"encryptionKey\": \"s3cret\"}");
    for (end, words) in [("kill -9 $$", "export:"), ("exit 0", "no list as JSON")] {
        let keys = format!("kind = \"n8n\"\nprogram = \"{}\"\nconfig_file = \"{key}\"\n", program(end));
        larder.configure(&format!(
            "[source.flows]\n{keys}[source.other]\nkind = \"command\"\ncommand = \"echo\"\nfile = \"x\"\n"
        ));
        let error = larder.fails("flows");
        assert!(error.contains(words) && !error.contains("s3cret"), "{error}");
    }
    fs::remove_file(larder.path("n8n")).unwrap();
    assert!(larder.fails("flows").contains("export:"), "{}", larder.fails("flows"));
    assert_eq!(larder.snapshots("flows"), 0);
}

/// Gone while a container is stopped for a backup, which nobody can start again then: that is said, with the container's
/// name. And gone before that.
#[test]
fn an_engine_that_dies_while_a_container_is_stopped_is_said() {
    let (mut engine, larder) = (Engine::start(), Larder::new());
    let volume = engine.volume("data", &[]);
    fs::write(volume.join("file"), "something").unwrap();
    let waiter = "trap 'exit 0' TERM; while :; do sleep 0.05; done";
    engine.ok(&[
        "run",
        "--detach",
        "--name",
        "db",
        "--network",
        "none",
        "--volume",
        "data:/data",
        BOX,
        "sh",
        "-c",
        waiter,
    ]);
    let other = "[source.then]\nkind = \"command\"\ncommand = \"echo\"\nfile = \"x\"\n";
    larder.configure(&format!(
        "[source.shop]\nkind = \"docker_volume\"\nvolume = \"data\"\nwhile_running = \"stop\"\n{other}"
    ));
    let config = larder.path("larder.toml").display().to_string();
    let mut command = engine.larder_command(&larder, &["run", "--json", "--config", &config]);
    let hold = Hold::new(&[volume.join("file")]);
    let running = command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap();
    wait_for("the volume is read", || hold.is_met());
    assert_eq!(engine.state("db"), "exited");
    engine.dies();
    drop(hold);
    let done = Done::of(running.wait_with_output().unwrap(), &["run"]);
    let sources = &done.json()["sources"];
    let errors = sources[0]["errors"].to_string();
    assert_eq!((done.code, sources[0]["status"].as_str()), (Some(1), Some("failed")), "{done:?}");
    assert!(
        errors.contains("Cannot connect to the Docker daemon") && errors.contains("then: docker start db"),
        "{errors}"
    );
    assert!(sources[1]["snapshot"].is_string(), "{done:?}");
    let without = engine.larder(&larder, &["run", "--json", "--config", &config]);
    let errors = without.json()["sources"][0]["errors"].to_string();
    assert!(without.code == Some(1) && errors.contains("Cannot connect to the Docker daemon"), "{without:?}");
    engine.comes_back();
    engine.ok(&["start", "db"]);
    let well = engine.larder(&larder, &["run", "--json", "--config", &config]);
    assert_eq!((well.code, engine.state("db").as_str()), (Some(0), "running"), "{well:?}");
    larder.ok(&["check", "--read-data"]);
}
