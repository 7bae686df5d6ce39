//! Two daemons on one repository and one machine, and runs that cannot remember anything.

use std::fs;

use super::Shell;
use super::daemon::Daemon;
use crate::support::waiting::wait_for;

/// Due at once, and then once a year; so is what is done for the repository.
const YEARLY: &str = "[schedule]\ncron = \"0 0 1 1 *\"\n[prune]\ncron = \"0 0 1 1 *\"\n[check]\ncron = \"0 0 1 1 *\"\n\
                      parts = 1\n[drill]\ncron = \"0 0 1 1 *\"\n";

fn new() -> Shell {
    let shell = Shell::bare();
    shell.types("init --timezone UTC --recovery-file recovery --quiet").sees(0, "", "");
    fs::create_dir(shell.path("drills")).unwrap();
    shell
}

/// Sources that note when they begin and end, and take a moment.
fn configure(shell: &Shell, name: &str, sources: &[&str]) {
    let here = shell.folder.path().display();
    let mut text = format!(
        "[repository]\npath = \"{here}/repository\"\nkey_file = \"{here}/key\"\n{}",
        YEARLY.replace("[drill]\n", &format!("[drill]\ndirectory = \"{here}/drills\"\n"))
    );
    for source in sources {
        text += &format!(
            "[source.{source}]\nkind = \"command\"\nfile = \"{source}\"\n\
             command = \"echo begin {source} >>{here}/turns; sleep 0.2; echo end {source} >>{here}/turns; echo {source}\"\n"
        );
    }
    shell.write(name, &text);
}

fn snapshots(shell: &Shell, source: &str) -> usize {
    shell.types(&format!("snapshots --json --source {source}")).json().as_array().unwrap().len()
}

fn memory(shell: &Shell) -> serde_json::Value {
    let mut caches = fs::read_dir(shell.path("cache/larder")).unwrap().map(|entry| entry.unwrap().path());
    let memory = caches.find_map(|cache| fs::read(cache.join("upkeep.json")).ok()).unwrap();
    serde_json::from_slice(&memory).unwrap()
}

#[test]
fn two_configurations_lose_nothing_of_each_other_and_do_nothing_twice() {
    let shell = new();
    configure(&shell, "one.toml", &["both", "more", "one"]);
    configure(&shell, "two.toml", &["both", "more", "two"]);
    let first = Daemon::start(&shell, "daemon --config one.toml", "log-one");
    let second = Daemon::start(&shell, "daemon --config two.toml", "log-two");
    for daemon in [&first, &second] {
        daemon.says(1, "next: ");
        daemon.signal("TERM");
    }
    assert_eq!((first.ends().code(), second.ends().code()), (Some(0), Some(0)));
    let logs = shell.read("log-one") + &shell.read("log-two");
    // Never the same at once, and each once.
    let turns = shell.read("turns");
    for source in ["both", "more", "one", "two"] {
        let own: Vec<&str> = turns.lines().filter(|line| line.ends_with(source)).collect();
        assert_eq!(own, [format!("begin {source}"), format!("end {source}")], "{turns}\n{logs}");
        assert_eq!(snapshots(&shell, source), 1, "{logs}");
    }
    for (what, times) in
        [(" prune: done", 1), (" check: done", 1), ("drill: done: two: ", 1), ("drill: done: one: ", 1)]
    {
        assert_eq!(logs.matches(what).count(), times, "{what}\n{logs}");
    }
    assert!(!logs.contains("error") && !logs.contains("failed"), "{logs}");
    // All of it is remembered: both drill, each its own sources.
    let memory = memory(&shell);
    let attempts: Vec<&String> = memory["attempts"].as_object().unwrap().keys().collect();
    assert_eq!(attempts, ["both", "more", "one", "two"]);
    let own = memory["configurations"].as_object().unwrap();
    assert!(own.len() == 2 && own.values().all(|own| own["drilled"].is_i64() && own["status"] == "done"), "{memory}");
    assert!(memory["pruned"].is_i64() && memory["checked"].is_i64(), "{memory}");
    for config in ["one.toml", "two.toml"] {
        shell.types(&format!("run --due --config {config}")).sees(0, "", "note: nothing is due");
    }
    shell.types("check --read-data --quiet").sees(0, "", "");
}

/// Who waits for another run, and who leaves something to it, says so.
#[test]
fn a_daemon_says_that_it_waits_for_another_run_and_leaves_a_source_to_it() {
    let shell = new();
    configure(&shell, "one.toml", &["both"]);
    configure(&shell, "two.toml", &["both"]);
    let here = shell.folder.path().display();
    let slow = format!("until [ -e {here}/go ]; do sleep 0.05; done");
    shell.write("one.toml", &shell.read("one.toml").replace("sleep 0.2", &slow));
    let first = Daemon::start(&shell, "daemon --config one.toml", "log-one");
    wait_for("it begins", || shell.path("turns").exists());
    let second = Daemon::start(&shell, "daemon --config two.toml", "log-two");
    second.says(1, " both: waiting for another run that is at it\n");
    shell.write("go", "");
    second.says(1, " both: another run took it meanwhile\n");
    second.says(1, "next: ");
    first.says(1, "next: ");
    assert_eq!((snapshots(&shell, "both"), shell.read("turns").as_str()), (1, "begin both\nend both\n"));
}

/// Else a backup would hold half of what is being put back, and count as a good one.
#[test]
fn a_backup_waits_for_a_restore_into_its_source_and_a_restore_for_a_backup() {
    let shell = new();
    configure(&shell, "one.toml", &["both"]);
    configure(&shell, "two.toml", &["both"]);
    let here = shell.folder.path().display();
    let until = |name: &str| format!("until [ -e {here}/{name} ]; do sleep 0.05; done");
    let put_back =
        format!("restore_command = \"echo put >>{here}/turns; {}; cat; echo back >>{here}/turns\"\n", until("go"));
    shell.write("one.toml", &(shell.read("one.toml") + &put_back));
    shell.types("run --config one.toml --quiet").sees(0, "", "");
    let restore = "restore both@latest --into both --yes --no-safety-snapshot --config one.toml";
    let restoring = Daemon::start(&shell, restore, "log-one");
    wait_for("it is being put back", || shell.read("turns").ends_with("put\n"));
    shell.write("two.toml", &shell.read("two.toml").replace("sleep 0.2", &until("on")));
    let running = Daemon::start(&shell, "run --config two.toml", "log-two");
    running.says(1, "both: waiting for another run that is at it\n");
    shell.write("go", "");
    assert_eq!(restoring.ends().code(), Some(0));
    wait_for("it is backed up", || shell.read("turns").ends_with("begin both\n"));
    let restoring = Daemon::start(&shell, restore, "log-one");
    restoring.says(1, "both: waiting for another run that is at it\n");
    shell.write("on", "");
    assert_eq!((running.ends().code(), restoring.ends().code()), (Some(0), Some(0)));
    let turns = ["begin both", "end both", "put", "back"].repeat(2);
    assert_eq!(shell.read("turns").lines().collect::<Vec<_>>(), turns);
}

/// What fails with one is not well because the other is.
#[test]
fn a_failure_of_one_configuration_is_remembered_while_the_other_is_well() {
    let shell = new();
    configure(&shell, "one.toml", &["one"]);
    configure(&shell, "two.toml", &["two"]);
    let broken = shell.read("one.toml").replace("sleep 0.2", "exit 3");
    let whole = shell.read("one.toml");
    shell.write("one.toml", &broken);
    assert_eq!(shell.types("run --config one.toml").code, 1);
    shell.types("run --config two.toml --quiet").sees(0, "", "");
    let failing = |shell: &Shell, config: &str| {
        let all = memory(shell)["configurations"].clone();
        let path = shell.path(config).canonicalize().unwrap().display().to_string();
        (all[&path]["status"].as_str().unwrap().to_owned(), all[path]["failing"].as_array().unwrap().len())
    };
    assert_eq!(failing(&shell, "one.toml"), ("failed".to_owned(), 2), "{}", memory(&shell));
    assert_eq!(failing(&shell, "two.toml"), ("done".to_owned(), 0));
    shell.write("one.toml", &whole);
    shell.types("run --config one.toml --quiet").sees(0, "", "");
    assert_eq!(memory(&shell)["failures"].as_object().unwrap().len(), 0);
}

/// The second daemon of one configuration is refused, whoever comes first; a killed one is in nobody's way.
#[test]
fn of_two_daemons_of_one_configuration_one_does_everything() {
    let shell = new();
    configure(&shell, "larder.toml", &["one"]);
    let mut daemons = [Daemon::start(&shell, "daemon", "log-one"), Daemon::start(&shell, "daemon", "log-two")];
    let mut refused = None;
    wait_for("one is refused", || {
        refused = daemons.iter_mut().position(|daemon| daemon.child.try_wait().unwrap().is_some());
        refused.is_some()
    });
    let [one, two] = daemons;
    let (refused, stays) = if refused == Some(0) { (one, two) } else { (two, one) };
    assert_eq!(refused.ends().code(), Some(11));
    stays.says(1, "next: ");
    stays.signal("KILL");
    stays.ends();
    assert_eq!((snapshots(&shell, "one"), shell.read("turns").as_str()), (1, "begin one\nend one\n"));
    let next = Daemon::start(&shell, "daemon", "log");
    next.says(1, "next: ");
    assert!(!shell.read("log").contains("run of"), "{}", shell.read("log"));
}

/// A cache on a disk that is read-only, or somebody else's.
#[test]
fn what_could_not_be_remembered_is_said_and_not_done_again_and_again() {
    let shell = new().set("LARDER_CACHE", "file");
    shell.write("file", "");
    configure(&shell, "larder.toml", &["one"]);
    for runs in 1..3 {
        let seen = shell.types("run --json");
        let report = seen.json();
        assert_eq!((seen.code, &report["sources"][0]["status"]), (1, &"done".into()), "{report}");
        let upkeep = report["upkeep"].as_array().unwrap();
        let what: Vec<&str> = upkeep.iter().map(|one| one["what"].as_str().unwrap()).collect();
        assert_eq!(what, ["prune", "check", "drill"], "{report}");
        for one in upkeep {
            let error = one["error"].as_str().unwrap();
            assert!(error.starts_with("due, but not done, because it could not be remembered"), "{error}");
            assert!(error.contains(": cannot write into the cache folder file/"), "{error}");
            assert!(error.ends_with(" (not a directory); --cache or LARDER_CACHE gives another"), "{error}");
        }
        assert_eq!(snapshots(&shell, "one"), runs);
    }
    let shell = shell.set("LARDER_CACHE", "cache/larder");
    shell.types("run --quiet").sees(0, "", "");
}
