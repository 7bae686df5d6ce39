//! Runs that nobody watches: killed in every phase, and what they do for the repository.

use std::fs;
use std::process::Command;

use super::Shell;
use crate::support::waiting::wait_for;

/// A command that waits in the middle of its output, with hooks around it, and a database.
fn configured(more: &str) -> Shell {
    let shell = Shell::bare();
    shell.types("init --timezone UTC --recovery-file recovery --quiet").sees(0, "", "");
    let database = rusqlite::Connection::open(shell.path("app.db")).unwrap();
    database.execute_batch("CREATE TABLE t (n); INSERT INTO t VALUES (1)").unwrap();
    let here = shell.folder.path().display().to_string();
    // Each phase waits for nothing as long as its file is not there.
    shell.write(
        "phase",
        &format!(
            "echo $1 $$ >>{here}/phases; if [ -e {here}/stop-$1 ]; then echo $$ >{here}/pid; exec sleep 600; fi\n"
        ),
    );
    shell.write(
        "larder.toml",
        &format!(
            "[repository]\npath = \"{here}/repository\"\nkey_file = \"{here}/key\"\n{more}\
             [source.app]\nkind = \"sqlite\"\npath = \"{here}/app.db\"\n\
             [source.flows]\nkind = \"command\"\ncommand = \"echo half; sh {here}/phase read\"\nfile = \"flows\"\n\
             [source.flows.hooks]\nbefore = \"sh {here}/phase before\"\non_success = \"sh {here}/phase success\"\n\
             after = \"echo after $LARDER_STATUS >>{here}/after\"\n"
        ),
    );
    shell
}

fn is_alive(pid: &str) -> bool {
    // A zombie that nobody collects is not alive.
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z'))
}

/// Killed or asked to end, before, in the middle of and after the backup: nothing runs on, `after` has run, what was
/// stored is whole, and the next run is as if nothing had happened.
#[test]
fn a_run_that_is_killed_in_any_phase_leaves_nothing_behind() {
    let shell = configured("");
    shell.types("run --quiet").sees(0, "", "");
    fs::remove_file(shell.path("after")).unwrap();
    for (phase, snapshots) in [("before", 0), ("read", 0), ("success", 1)] {
        for signal in ["KILL", "TERM", "INT"] {
            let before = count(&shell, "flows");
            shell.write(&format!("stop-{phase}"), "");
            let mut child = shell.command("run --quiet").spawn().unwrap();
            wait_for(phase, || shell.path("pid").exists() && shell.read("pid").ends_with('\n'));
            let pid = shell.read("pid").trim().to_owned();
            fs::remove_file(shell.path("pid")).unwrap();
            let sent = Command::new("kill").args([format!("-{signal}"), child.id().to_string()]).status().unwrap();
            assert!(sent.success() && !child.wait().unwrap().success());
            wait_for("the child ends", || !is_alive(&pid));
            wait_for("the hook after", || shell.path("after").exists() && shell.read("after").ends_with('\n'));
            assert_eq!(shell.read("after"), "after failed\n", "{phase} {signal}");
            fs::remove_file(shell.path("after")).unwrap();
            fs::remove_file(shell.path(&format!("stop-{phase}"))).unwrap();
            assert_eq!(count(&shell, "flows"), before + snapshots, "{phase} {signal}");
            shell.types("check --read-data --quiet").sees(0, "", "");
        }
    }
    shell.types("run --quiet").sees(0, "", "");
    assert_eq!(shell.read("after"), "after done\n");
    shell.types("cat flows@latest:flows").sees(0, "half", "");
}

fn count(shell: &Shell, source: &str) -> usize {
    shell.types(&format!("snapshots --json --source {source}")).json().as_array().unwrap().len()
}

/// The copy that SQLite's backup makes is nobody else's business.
#[test]
fn a_copy_of_a_database_does_not_outlive_larder() {
    let shell = configured("").set("TMPDIR", "staging");
    fs::create_dir(shell.path("staging")).unwrap();
    // Locked: larder waits, with its folder made.
    let locked = rusqlite::Connection::open(shell.path("app.db")).unwrap();
    locked.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let staged = || fs::read_dir(shell.path("staging")).unwrap().count();
    for signal in ["KILL", "TERM"] {
        let mut child = shell.command("run app --quiet").spawn().unwrap();
        wait_for("the folder", || staged() > 0);
        let sent = Command::new("kill").args([format!("-{signal}"), child.id().to_string()]).status().unwrap();
        assert!(sent.success() && !child.wait().unwrap().success());
        wait_for("nothing is left", || staged() == 0);
    }
}

#[test]
fn prune_and_check_run_when_they_are_due_and_one_part_after_the_other() {
    let shell = configured(
        "[retention]\nlast = 1\n[prune]\ncron = \"0 3 * * *\"\ngrace = \"0s\"\n[check]\ncron = \"0 4 * * *\"\nparts = 2\n",
    );
    let done = |seen: &serde_json::Value| -> Vec<String> {
        let upkeep = seen["upkeep"].as_array().unwrap();
        upkeep.iter().map(|one| format!("{} {}", one["what"], one["outcome"])).collect()
    };
    let first = done(&shell.types("run --json").json());
    assert_eq!(first.len(), 2, "{first:?}");
    assert!(first[0].contains("freed") && first[1].contains("part 1 of 2"), "{first:?}");
    // Done a moment ago: neither is due.
    assert!(done(&shell.types("run --json").json()).is_empty());
    let memory = fs::read_dir(shell.path("cache/larder")).unwrap().map(|entry| entry.unwrap().path());
    let memory = memory.map(|cache| cache.join("upkeep.json")).find(|path| path.exists()).unwrap();
    let long_ago = fs::read_to_string(&memory).unwrap();
    let long_ago: serde_json::Value = serde_json::from_str(&long_ago).unwrap();
    fs::write(&memory, serde_json::json!({"pruned": 0, "checked": 0, "part": long_ago["part"]}).to_string()).unwrap();
    let would = shell.types("prune --dry-run --grace 0s --json").json()["deleted"]["bytes"].as_u64().unwrap();
    assert!(would > 0);
    let second = done(&shell.types("run --due --json").json());
    let freed = format!("\"prune\" \"freed {}, condemned", larder::size::size(would));
    assert!(second[0].starts_with(&freed) && second[1].contains("part 2 of 2"), "{freed} {second:?}");
    // Not to be read: done once more, from the beginning.
    fs::write(&memory, "{").unwrap();
    assert!(done(&shell.types("run --json").json())[1].contains("part 1 of 2"));
    shell.types("run --dry-run --json").json();
}

#[test]
fn damage_that_a_check_finds_is_said_and_ends_the_run_with_4() {
    let shell = configured("[check]\ncron = \"0 4 * * *\"\nparts = 1\n");
    shell.types("backup larder.toml --quiet").sees(0, "", "");
    let mut packs: Vec<_> =
        shell.objects().into_iter().filter(|(path, _)| path.to_string_lossy().contains("/packs/")).collect();
    let (path, mut bytes) = packs.pop().unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&path, bytes).unwrap();
    let seen = shell.types("run app");
    assert_eq!(seen.code, 4, "{}{}", seen.stdout, seen.stderr);
    assert!(seen.stderr.contains("error: check: damaged: "), "{}", seen.stderr);
    assert!(seen.stdout.contains("app"), "{}", seen.stdout);
}
