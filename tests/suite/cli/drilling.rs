//! Drills of folders, streams and SQLite: proven, failed, or not tried; and what they leave.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use rusqlite::Connection;
use serde_json::Value;

use super::Shell;
use crate::support::binary::carry;
use crate::support::waiting::wait_for;

/// A folder, a database and a stream, and a place for drills; `more` goes at the end.
fn configured(more: &str) -> Shell {
    let shell = Shell::bare();
    shell.types("init --timezone UTC --recovery-file recovery --quiet").sees(0, "", "");
    shell.write("data/one", "one\n");
    shell.write("data/folder/two", "two\n");
    shell.write("flows.json", "[{\"name\": \"a\", \"nodes\": [1]}, {\"name\": \"b\", \"nodes\": []}]\n");
    fs::create_dir(shell.path("place")).unwrap();
    let database = Connection::open(shell.path("app.db")).unwrap();
    database.execute_batch("CREATE TABLE t (n, s); INSERT INTO t VALUES (1, 'a'), (2, 'b')").unwrap();
    let here = shell.folder.path().display().to_string();
    shell.write(
        "larder.toml",
        &format!(
            "[repository]\npath = \"{here}/repository\"\nkey_file = \"{here}/key\"\n\
             [source.files]\nkind = \"directory\"\npaths = [\"{here}/data\"]\n\
             [source.flows]\nkind = \"command\"\ncommand = [\"cat\", \"{here}/flows.json\"]\nfile = \"flows.json\"\n\
             [source.settings]\nkind = \"sqlite\"\npath = \"{here}/app.db\"\n\
             [drill]\ndirectory = \"{here}/place\"\n{more}\n"
        ),
    );
    shell.types("run --quiet").sees(0, "", "");
    shell
}

/// Nothing is left where drills take place.
#[track_caller]
fn nothing_is_left(shell: &Shell) {
    let left: Vec<PathBuf> = fs::read_dir(shell.path("place")).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(left.is_empty(), "{left:?}");
}

fn state(shell: &Shell, source: &str) -> String {
    let listed = shell.types(&format!("snapshots --source {source} --json")).json();
    listed.as_array().unwrap().last().unwrap()["state"].as_str().unwrap().to_owned()
}

fn of<'j>(drills: &'j Value, source: &str) -> &'j Value {
    drills.as_array().unwrap().iter().find(|one| one["source"] == source).unwrap()
}

#[test]
fn what_holds_is_proven_and_shown() {
    let shell = configured(
        "[source.files.drill]\nchecks = [{ command = [\"sh\", \"-c\", \"cat $LARDER_RESTORED/folder/two | grep two && \
         test -e one\"], timeout = \"1min\" }, { file = \"one\", min_bytes = 4, max_bytes = 4 }, { min_bytes = 8 }]\n\
         [source.flows.drill]\nchecks = [{ file = \"flows.json\", schema = { type = \"array\", minItems = 1, items = { required = [\"name\", \"nodes\"] } }, min_bytes = 10 }]\n\
         [source.settings.drill]\nchecks = [{ sql = \"select count(*) from t\", expect = \"2\" }, \
         { sql = \"select sum(n) from t\", min = 3, max = 3 }, { sql = \"select * from t\", expect = \"1|a\\n2|b\" }, \
         { command = \"test -s $LARDER_RESTORED\" }]\n",
    );
    assert_eq!(["files", "flows", "settings"].map(|name| state(&shell, name)), ["stored", "verified", "verified"]);
    // Two were read back, and one entry of the log says so.
    let noted = shell.types("snapshots --json").json();
    assert!(
        noted.as_array().unwrap().iter().all(|one| one["notes"].is_null() && one["age_seconds"].is_u64()),
        "{noted}"
    );
    shell.types("drill").sees(
        0,
        "files proven snapshot *, 8 B, in a folder; 3 checks, in * s
         flows proven snapshot *, * B, in a folder; 2 checks, in * s
         settings proven snapshot *, * KiB, in a file, which passes integrity_check; 4 checks, in * s",
        "",
    );
    assert_eq!(["files", "flows", "settings"].map(|name| state(&shell, name)), ["proven"; 3]);
    let listed = shell.types("snapshots");
    assert!(listed.stdout.lines().skip(1).all(|line| line.contains(" proven ")), "{}", listed.stdout);
    assert!(listed.stdout.lines().skip(1).all(|line| line.chars().count() <= 120), "{}", listed.stdout);
    nothing_is_left(&shell);
    // A snapshot of which nothing is known is stored, until the next drill.
    shell.types("run files --quiet").sees(0, "", "");
    assert_eq!(state(&shell, "files"), "stored");
    let drills = shell.types("drill files --json").json();
    assert_eq!((drills[0]["verdict"].as_str(), drills.as_array().unwrap().len()), (Some("proven"), 1), "{drills}");
}

#[test]
fn what_does_not_hold_fails_loudly_and_is_noted() {
    let shell = configured(
        "[source.files.drill]\nchecks = [{ file = \"nothing\", min_bytes = 1 }, { file = \"other\", schema = { type = \"array\" } }, \
         { command = \"echo no >&2; exit 3\" }, { command = \"sleep 600\", timeout = \"1s\" }, { max_bytes = 7 }]\n\
         [source.flows.drill]\nenabled = false\nchecks = [{ file = \"flows.json\", schema = { items = { properties = { nodes = { minItems = 1 } } } } }]\n\
         [source.settings.drill]\nchecks = [{ sql = \"select count(*) from t\", expect = \"3\" }, \
         { sql = \"select x from t\", min = 1 }, { sql = \"select count(*) from t\", min = 3 }]\n",
    );
    let seen = shell.types("drill");
    assert_eq!(seen.code, 1, "{}", seen.stderr);
    let status = shell.types("status").stderr;
    assert!(status.contains("warning: settings: the last restore that was tried failed: larder drill"), "{status}");
    assert!(!status.contains("flows: the last restore"), "{status}");
    for said in [
        "note: files: no snapshot of it is proven",
        "files: check: there is no file nothing in the snapshot",
        "check: there is no file other in the snapshot",
        "check: command: sh failed: exit status: 3\n  no",
        "check: command: sh took longer than 1 seconds",
        "check: the snapshot has 8 bytes, more than 7",
        "settings: check: sql \"select count(*) from t\" answers \"2\", not \"3\"",
        "no such column: x",
        "answers 2, less than 3",
    ] {
        assert!(seen.stderr.contains(said), "{said}: {}", seen.stderr);
    }
    assert!(!seen.stdout.contains("flows"), "{}", seen.stdout);
    assert_eq!(
        ["files", "flows", "settings"].map(|name| state(&shell, name)),
        ["drill failed", "verified", "drill failed"]
    );
    // One that is not for all can be asked for.
    let seen = shell.types("drill flows");
    assert!(
        seen.code == 1 && seen.stderr.contains("flows.json is not as its schema wants: /1/nodes: minimum 1 items"),
        "{}",
        seen.stderr
    );
    nothing_is_left(&shell);
    let listed = shell.types("snapshots --source settings --json").json();
    let note = listed[0]["notes"][0]["value"].as_str().unwrap();
    assert!(note.starts_with("failed: check: sql"), "{note}");
}

/// Damages every pack of data that the newest snapshot has brought.
fn damage_newest(shell: &Shell, before: &[(PathBuf, Vec<u8>)]) {
    for (path, mut bytes) in shell.objects() {
        let is_new = !before.iter().any(|(old, _)| *old == path);
        if is_new && path.to_string_lossy().contains("/packs/") {
            let (from, to) = (bytes.len() / 4, bytes.len());
            bytes[from..to].iter_mut().for_each(|byte| *byte ^= 0x55);
            // Objects are read-only.
            fs::remove_file(&path).unwrap();
            fs::write(path, bytes).unwrap();
        }
    }
}

#[test]
fn a_damaged_snapshot_fails_and_the_last_proven_one_stays() {
    let shell = configured("[retention]\ndaily = 1\nmax_count = 1\n");
    shell.types("drill files --quiet").sees(0, "", "");
    let proven = shell.id("--source files");
    let before = shell.objects();
    shell.write("data/new", &"something that was not there before\n".repeat(20_000));
    shell.types("run files --quiet").sees(0, "", "");
    damage_newest(&shell, &before);
    fs::remove_dir_all(shell.path("cache")).unwrap();
    let seen = shell.types("drill files");
    assert!(
        seen.code == 4 && seen.stderr.contains("error: files: part of the listing is lost: "),
        "{} {}",
        seen.stdout,
        seen.stderr
    );
    for said in [
        "the repository is damaged: larder check --read-data says what is".to_owned(),
        format!("note: files: the newest snapshot that is proven is {}, and stays", &proven[..8]),
    ] {
        assert!(seen.stderr.contains(&said), "{said}: {}", seen.stderr);
    }
    assert_eq!(shell.types("drill files --json").json()[0]["damaged"], true);
    assert_eq!(state(&shell, "files"), "drill failed");
    nothing_is_left(&shell);
    // Retention, which would keep one: the newest complete one, and the newest that is proven. And a run, whose
    // `max_count` is one, keeps it too, and ends as a drill does.
    let ids = || -> Vec<String> {
        let listed = shell.types("snapshots --source files --json").json();
        listed.as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect()
    };
    let forgets = shell.types("forget --source files --keep-daily 1 --dry-run").stdout.lines().count();
    shell.types("forget --source files --keep-daily 1").sees(0, &"*\n".repeat(forgets), "");
    assert!(ids().contains(&proven), "{:?}", ids());
    let checked = shell.types("check --read-data");
    assert!(checked.code == 4, "{}", checked.stdout);
    assert!(
        checked
            .stdout
            .ends_with("found\nthe next backup from this machine stores again what its source still has of it\n"),
        "{}",
        checked.stdout
    );
    // So it does, and the new snapshot is whole; without a drill it is not proven, and does not take the place.
    let run = shell.types("run files");
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(ids().contains(&proven) && ids().len() == 2, "{:?}", ids());
    shell.types("drill files --quiet").sees(0, "", "");
    assert!(ids().last() != Some(&proven) && state(&shell, "files") == "proven");
    assert_eq!(shell.types("run files --quiet").code, 0);
    assert!(!ids().contains(&proven), "there is a newer one that is proven: {:?}", ids());
}

/// The newest snapshot may be what is lost there: that an older one is proven is not all.
#[test]
fn a_drill_beside_a_damaged_log_is_proven_and_ends_with_4() {
    let shell = configured("");
    let before = shell.objects();
    shell.write("data/one", "other\n");
    shell.types("run files --quiet").sees(0, "", "");
    let new = shell.objects().into_iter().filter(|object| !before.contains(object));
    for (path, mut bytes) in new.filter(|(path, _)| path.to_string_lossy().contains("/log/")) {
        bytes.reverse();
        fs::remove_file(&path).unwrap();
        fs::write(path, bytes).unwrap();
    }
    fs::remove_dir_all(shell.path("cache")).unwrap();
    let seen = shell.types("drill files");
    assert!(seen.code == 4 && seen.stderr.contains("warning: log entry "), "{}{}", seen.stdout, seen.stderr);
    assert!(seen.stdout.contains("files  proven "), "{}", seen.stdout);
    nothing_is_left(&shell);
    // Nor is what comes back the newest there was. Who wants this one by its name gets it.
    let listed = shell.types("snapshots --source files --json").json();
    let older = listed[0]["id"].as_str().unwrap().to_owned();
    let lost = "warning: log entry * may tell of a newer snapshot than *; larder rebuild-index *";
    for line in ["restore files@latest --to back --quiet", "restore files@latest --into files --yes --quiet"] {
        shell.types(line).sees(4, "", lost);
        assert_eq!(shell.read("data/one"), if line.contains("--into") { "one\n" } else { "other\n" });
    }
    shell.types("cat files@latest:one").sees(4, "one", lost);
    assert_eq!((shell.types("ls files@latest").code, shell.types(&format!("ls {older}")).code), (4, 0));
    for line in [&format!("diff {older} files@latest"), "find one", "restore files@latest --into files --dry-run"] {
        assert_eq!(shell.types(line).code, 4, "{line}");
    }
    // Where all of the log is lost nobody can say that there is none.
    for (path, mut bytes) in shell.objects().into_iter().filter(|(path, _)| path.to_string_lossy().contains("/log/")) {
        bytes.truncate(100);
        fs::remove_file(&path).unwrap();
        fs::write(path, bytes).unwrap();
    }
    fs::remove_dir_all(shell.path("cache")).unwrap();
    for line in ["ls latest", "ls files@latest"] {
        shell.types(line).sees(
            4,
            "",
            "error: there is no such snapshot in what can be read of the log, and entry 1 cannot be (*)
               hint: *--salvage brings back what can be had",
        );
    }
}

/// The drill of a run, too: the run ends with 4, and the report says what to do.
#[test]
fn a_run_whose_drill_meets_damage_ends_with_4() {
    let shell = configured("cron = \"0 3 * * *\"\n");
    let before = shell.objects();
    shell.write("data/new", &"something that was not there before\n".repeat(20_000));
    shell.types("run files --quiet").sees(0, "", "");
    damage_newest(&shell, &before);
    // The source is gone, so that nothing new takes the place of what is damaged; and nobody remembers the last drill.
    fs::rename(shell.path("data"), shell.path("away")).unwrap();
    fs::remove_dir_all(shell.path("cache")).unwrap();
    let seen = shell.types("run --json");
    let report = seen.json();
    assert_eq!((seen.code, report["status"].as_str()), (4, Some("failed")), "{report}");
    let drill = &report["upkeep"][0];
    assert_eq!(drill["problems"], 1, "{report}");
    assert!(drill["error"].as_str().unwrap().contains("the repository is damaged"), "{report}");
}

#[test]
fn a_stream_that_is_not_what_it_should_be_fails() {
    let shell = configured("");
    shell.write("tree/flows.json", "[1, 2");
    shell.types("backup tree --source flows --quiet").sees(0, "", "");
    let seen = shell.types("drill flows");
    assert!(seen.code == 1 && seen.stderr.contains("flows.json is no JSON"), "{}", seen.stderr);
    shell.write("tree/app.db", &"no database ".repeat(1000));
    fs::remove_file(shell.path("tree/flows.json")).unwrap();
    shell.types("backup tree --source settings --quiet").sees(0, "", "");
    let seen = shell.types("drill settings");
    assert!(seen.code == 1 && seen.stderr.contains("is no database"), "{}", seen.stderr);
    // An archive that ends in the middle.
    let here = shell.folder.path().display().to_string();
    let text = shell.read("larder.toml").replace("file = \"flows.json\"", "file = \"flows.tar\"");
    shell.write("larder.toml", &text.replace("\"cat\"", "\"tar\", \"c\""));
    shell.types("run flows").sees(0, "*\n*", "*");
    shell.types("drill flows --quiet").sees(0, "", "");
    let all = Command::new("tar").arg("c").arg(format!("{here}/flows.json")).output().unwrap().stdout;
    fs::remove_dir_all(shell.path("tree")).unwrap();
    fs::create_dir(shell.path("tree")).unwrap();
    let fails = |bytes: usize, said: &str| {
        fs::write(shell.path("tree/flows.tar"), &all[..bytes]).unwrap();
        shell.types("backup tree --source flows --quiet").sees(0, "", "");
        let seen = shell.types("drill flows");
        assert!(seen.code == 1 && seen.stderr.contains(said), "{bytes}: {}", seen.stderr);
    };
    fails(520, "it ends within a member");
    fails(1024, "the two blocks of zeros that end an archive are missing");
    // One that is known by its first bytes alone.
    let text = shell.read("larder.toml").replace("file = \"flows.tar\"", "file = \"flows.tar\"\nform = \"any\"");
    shell.write("larder.toml", &text);
    fails(1024, "the two blocks of zeros that end an archive are missing");
}

#[test]
fn what_cannot_be_tried_is_no_verdict() {
    let shell = configured("");
    let text = shell.read("larder.toml").replace("/place\"", "/nowhere\"");
    shell.write("larder.toml", &text);
    let seen = shell.types("drill settings");
    assert!(seen.code == 1 && seen.stderr.contains("nowhere") && seen.stdout.contains("untried"), "{}", seen.stderr);
    assert_eq!(state(&shell, "settings"), "verified");
    let seen = shell.types("drill setings");
    assert!(seen.code == 2 && seen.stderr.contains("there are: files, flows, settings"), "{}", seen.stderr);
    // A source that has no snapshot yet.
    let more = format!("{text}[source.new]\nkind = \"directory\"\npaths = [\"/nowhere\"]\n")
        .replace("/nowhere\"\n", "/place\"\n");
    shell.write("larder.toml", &more);
    let seen = shell.types("drill new");
    assert!(seen.code == 1 && seen.stderr.contains("no complete snapshot"), "{}", seen.stderr);
}

/// Files in the room may have as many bytes as a limit of the process lets them: the disk is full, or a quota used up.
#[test]
fn what_cannot_be_written_into_the_room_is_no_verdict() {
    let shell = configured("");
    // Longer than what a drill writes for itself.
    fs::File::create(shell.path("data/long")).unwrap().set_len(24 << 20).unwrap();
    let database = Connection::open(shell.path("app.db")).unwrap();
    database.execute_batch("INSERT INTO t VALUES (3, zeroblob(25000000))").unwrap();
    shell.types("run --quiet").sees(0, "", "");
    let larder = shell.command("drill files settings --json");
    let mut limited = Command::new("sh");
    limited.args(["-c", "trap '' XFSZ; ulimit -f 32768; exec \"$@\"", "sh"]).arg(larder.get_program());
    carry(&larder, &mut limited);
    let seen = limited.output().unwrap();
    let drills: Value = serde_json::from_slice(&seen.stdout).unwrap();
    for source in ["files", "settings"] {
        let drilled = of(&drills, source);
        assert!(drilled["errors"][0].as_str().unwrap().contains("File too large"), "{drills}");
        assert_eq!(drilled["verdict"], "untried", "{drills}");
    }
    assert_eq!(["files", "settings"].map(|name| state(&shell, name)), ["stored", "verified"]);
    nothing_is_left(&shell);
    shell.types("drill --quiet").sees(0, "", "");
}

/// A drill that waits in a check, under way.
fn waiting(shell: &Shell) -> std::process::Child {
    let child = shell.command("drill files --quiet").spawn().unwrap();
    wait_for("the check", || shell.path("waits").exists());
    child
}

#[test]
fn a_drill_that_is_killed_leaves_nothing_and_one_under_way_keeps_nobody_from_work() {
    let shell = configured("");
    let here = shell.folder.path().display().to_string();
    let text = shell.read("larder.toml");
    let check = "[source.files.drill]\nchecks = [{ command = \"touch HERE/waits; until [ -e HERE/go ]; do sleep 0.05; done\" }]\n";
    shell.write("larder.toml", &format!("{text}{}", check.replace("HERE", &here)));
    for signal in ["KILL", "TERM", "INT"] {
        let mut child = waiting(&shell);
        assert!(Command::new("kill").args([format!("-{signal}"), child.id().to_string()]).status().unwrap().success());
        assert!(!child.wait().unwrap().success());
        fs::remove_file(shell.path("waits")).unwrap();
        // What was restored goes at once, what is left of its place with the next drill.
        wait_for("it is cleared", || {
            let places = fs::read_dir(shell.path("place")).unwrap().flatten();
            let rooms = places.flat_map(|place| fs::read_dir(place.path()).unwrap().flatten().collect::<Vec<_>>());
            rooms.into_iter().all(|room| !room.path().join("r").exists())
        });
        shell.types("drill settings --quiet").sees(0, "", "");
        nothing_is_left(&shell);
        assert_eq!(state(&shell, "files"), "stored");
    }
    let mut child = waiting(&shell);
    shell.write("data/one", "changed\n");
    shell.types("run --quiet").sees(0, "", "");
    shell.types("forget --keep-last 1 --source files --quiet").sees(0, "", "");
    shell.types("prune --grace 0s --quiet").sees(0, "", "");
    let seen = shell.types("drill settings --cache other");
    assert!(seen.code == 1 && seen.stderr.contains("another drill of this repository is under way"), "{}", seen.stderr);
    shell.write("go", "");
    assert!(child.wait().unwrap().success());
    nothing_is_left(&shell);
    shell.types("check --read-data --quiet").sees(0, "", "");
}

/// Somebody drills by hand: a run in which drills are due waits for that. One that cannot know of it does not count as done.
#[test]
fn a_drill_that_is_due_waits_for_one_by_hand() {
    let shell = configured("");
    let here = shell.folder.path().display().to_string();
    let text = shell.read("larder.toml").replace("[drill]\n", "[drill]\ncron = \"0 3 * * *\"\n");
    let check = "[source.files.drill]\nchecks = [{ command = \"touch HERE/waits; until [ -e HERE/go ]; do sleep 0.05; done\" }]\n";
    shell.write("larder.toml", &format!("{text}{}", check.replace("HERE", &here)));
    let mut by_hand = waiting(&shell);
    let kept = shell.types("run settings --cache other --json");
    let drills = kept.json()["upkeep"].clone();
    let under_way = |drill: &Value| drill["error"].as_str().is_some_and(|error| error.contains("is under way"));
    assert!(kept.code == 1 && drills.as_array().unwrap().iter().all(under_way), "{drills}");
    let said = fs::File::create(shell.path("said")).unwrap();
    let mut run = shell.command("run settings").stdout(Stdio::null()).stderr(said).spawn().unwrap();
    wait_for("it waits", || shell.read("said").contains("note: waiting for another drill of this repository"));
    shell.write("go", "");
    assert!(by_hand.wait().unwrap().success() && run.wait().unwrap().success(), "{}", shell.read("said"));
    let report = shell.types("run settings --cache other --json").json();
    assert_eq!((&report["status"], report["upkeep"].as_array().unwrap().len()), (&"done".into(), 3), "{report}");
    nothing_is_left(&shell);
}

#[test]
fn a_run_drills_when_that_is_due_and_tells_what_failed() {
    let shell = configured("cron = \"0 3 * * *\"\n");
    assert_eq!(["files", "flows", "settings"].map(|name| state(&shell, name)), ["proven"; 3]);
    assert_eq!(shell.types("run --json").json()["upkeep"].as_array().unwrap().len(), 0);
    let next = shell.types("next");
    assert!(next.code == 0 && next.stdout.contains("drill"), "{}", next.stdout);
    let text = shell.read("larder.toml");
    let check = "[source.settings.drill]\nchecks = [{ sql = \"select 1\", expect = \"2\" }]\n";
    let here = shell.folder.path().display().to_string();
    // A failed run is told by a hook as well as by a message.
    let hook = format!("[hooks]\non_failure = \"touch {here}/told\"\n");
    shell.write("larder.toml", &format!("{text}{check}{hook}"));
    // Nobody remembers the last one: it is due.
    fs::remove_dir_all(shell.path("cache")).unwrap();
    let seen = shell.types("run --json");
    let report = seen.json();
    let drills = report["upkeep"].as_array().unwrap();
    assert_eq!((seen.code, report["status"].as_str(), drills.len()), (1, Some("failed"), 3), "{report}");
    assert!(drills.iter().all(|one| one["what"] == "drill"), "{report}");
    assert!(drills[0]["error"].is_null() && drills[0]["outcome"].as_str().unwrap().starts_with("files: "), "{report}");
    assert!(drills[2]["error"].as_str().unwrap().contains("answers \"1\", not \"2\""), "{report}");
    assert!(shell.path("told").exists());
    let drills = shell.types("drill --json").json();
    assert_eq!(of(&drills, "settings")["verdict"], "failed");
}

/// A schema in a file is looked at by doctor, and before anything is restored: that it is none says nothing of what is
/// stored.
#[test]
fn a_schema_may_lie_in_a_file() {
    let shell = configured("");
    let here = shell.folder.path().display().to_string();
    let check = format!("checks = [{{ file = \"flows.json\", schema_file = \"{here}/flows.schema.json\" }}]");
    shell.write("larder.toml", &format!("{}[source.flows.drill]\n{check}\n", shell.read("larder.toml")));
    shell.types("config check").sees(0, "*: no mistakes; *", "");
    for (schema, said) in [
        (None, "No such file"),
        (Some("{"), "flows.schema.json is no JSON: "),
        (Some("{\"type\": 7}"), "flows.schema.json is no JSON Schema: /type: "),
        (Some("{\"items\": {\"$ref\": \"flow.json\"}}"), "what lies elsewhere is not fetched"),
    ] {
        shell.write("flow.json", "{}");
        if let Some(schema) = schema {
            shell.write("flows.schema.json", schema);
        }
        let seen = shell.types("doctor flows");
        assert!(seen.code == 1 && seen.stdout.contains(said), "{}", seen.stdout);
        assert!(
            seen.stdout.contains("hint: see `schema_file` in the checks of [source.flows.drill]"),
            "{}",
            seen.stdout
        );
        let seen = shell.types("drill flows");
        assert!(seen.code == 1 && seen.stderr.contains(said) && seen.stdout.contains("untried"), "{}", seen.stderr);
        assert_eq!(state(&shell, "flows"), "verified");
    }
    shell.write("flows.schema.json", "{\"items\": {\"properties\": {\"name\": {\"const\": \"a\"}}}}");
    shell.types("doctor flows --quiet").sees(0, "*\nflows  well", "");
    let seen = shell.types("drill flows");
    let said = "flows.json is not as its schema wants: /1/name: value must be 'a'";
    assert!(seen.code == 1 && seen.stderr.contains(said), "{}", seen.stderr);
    shell.write("flows.schema.json", "{\"items\": {\"required\": [\"name\"]}}");
    shell.types("drill flows --quiet").sees(0, "", "");
    nothing_is_left(&shell);
}

#[test]
fn mistakes_in_what_must_hold_are_named() {
    let shell = configured("");
    let text = shell.read("larder.toml");
    for (more, said) in [
        (
            "[source.files.drill]\nchecks = [{ sql = \"select 1\", expect = \"1\" }]",
            "only mariadb, postgres and sqlite",
        ),
        ("[source.settings.drill]\nchecks = [{ sql = \"select 1\" }]", "needs an answer"),
        ("[source.settings.drill]\nchecks = [{ sql = \"select 1\", expect = \"1\", min = 1 }]", "one too many"),
        ("[source.settings.drill]\nchecks = [{ sql = \"select 1\", expct = \"1\", min = 1 }]", "did you mean"),
        ("[source.settings.drill]\nchecks = [{ command = \"true\", sql = \"x\" }]", "is one too many beside"),
        ("[source.settings.drill]\nchecks = [{ sql = \"select 1\", min = 2, max = 1 }]", "is more than `max`"),
        ("[source.files.drill]\nchecks = [{ schema = {} }]", "file: is missing"),
        ("[source.files.drill]\nchecks = [{ file = \"one\", schema = true }]", "must be a table"),
        (
            "[source.files.drill]\nchecks = [{ file = \"one\", schema = { properties = { a = { type = \"strng\" } } } }]",
            "source.files.drill.checks.1.schema: is no JSON Schema: /properties/a/type: is none of what it may be",
        ),
        (
            "[source.files.drill]\nchecks = [{ file = \"one\", schema = { \"$ref\" = \"https://example.com/a\" } }]",
            "it refers to https://example.com/a: a schema must be whole",
        ),
        ("[source.files.drill]\nchecks = [{ file = \"one\", schema = { const = 2026-11-26 } }]", "JSON knows no time"),
        ("[source.files.drill]\nchecks = [{ file = \"one\", schema_file = \"here\" }]", "must be a full path"),
        (
            "[source.files.drill]\nchecks = [{ file = \"one\", schema = {}, schema_file = \"/a\" }]",
            "one too many beside",
        ),
        ("[source.files.drill]\nchecks = [{ file = \"one\" }]", "checks nothing"),
        ("[source.files.drill]\nchecks = [1]", "must be a table"),
        ("[source.files.drill]\nchecks = \"true\"", "must be a list of tables"),
        ("[source.files.drill]\nplace = \"here\"", "is none of local, service"),
    ] {
        shell.write("larder.toml", &format!("{text}{more}\n"));
        let seen = shell.types("config check");
        assert!(seen.code == 2 && seen.stderr.contains(said), "{more}: {}", seen.stderr);
        // With the line.
        let line = text.lines().count() + 2;
        assert!(seen.stderr.contains(&format!("larder.toml:{line}:")), "{more}: {}", seen.stderr);
    }
    shell.write("larder.toml", &text.replace("[drill]\n", "[drill]\ntimezone = \"UTC\"\n"));
    let seen = shell.types("config check");
    assert!(seen.code == 2 && seen.stderr.contains("drill.cron"), "{}", seen.stderr);
}
