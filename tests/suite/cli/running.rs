//! `larder.toml`: checked, and run.

use std::fs;
use std::process::Command;

use super::Shell;
use crate::support::binary::carry;

/// A configuration with a folder, a command and a database.
fn configured() -> Shell {
    let shell = Shell::bare();
    shell.types("init --timezone UTC --recovery-file recovery --quiet").sees(0, "", "");
    shell.write("data/one", "one\n");
    let database = rusqlite::Connection::open(shell.path("app.db")).unwrap();
    database.execute_batch("CREATE TABLE t (n); INSERT INTO t VALUES (1), (2)").unwrap();
    let here = shell.path("").display().to_string();
    let here = here.trim_end_matches('/');
    shell.write(
        "larder.toml",
        &format!(
            "[repository]\npath = \"{here}/repository\"\nkey_file = \"{here}/key\"\n\
             [retention]\nlast = 2\n[status]\ndirectory = \"{here}\"\n\
             [source.files]\nkind = \"directory\"\npaths = [\"{here}/data\"]\n\
             [source.flows]\nkind = \"command\"\ncommand = [\"echo\", \"[1, 2]\"]\nfile = \"flows.json\"\n\
             [source.settings]\nkind = \"sqlite\"\npath = \"{here}/app.db\"\n"
        ),
    );
    shell
}

/// The configuration with a part replaced.
fn change(shell: &Shell, from: &str, to: &str) {
    let text = shell.read("larder.toml");
    assert!(text.contains(from), "{text}");
    shell.write("larder.toml", &text.replace(from, to));
}

#[test]
fn a_run_backs_up_every_source_and_what_was_stored_comes_back() {
    let shell = configured();
    shell.types("config check").sees(0, "larder.toml: no mistakes; 3 sources: files, flows, settings", "");
    shell.types("run").sees(
        0,
        "files     done        snapshot *, 1 file, 4 B, stored *
         flows     done        snapshot *, 1 file, 7 B, stored *, verified
         settings  done        snapshot *, 1 file, * KiB, stored *, verified
         run * of 3 sources: 3 with a snapshot, in * s"
            .replace("         ", "")
            .as_str(),
        "",
    );
    shell.types("cat flows@latest:flows.json").sees(0, "[1, 2]", "");
    shell.types("restore settings@latest --to back --quiet").sees(0, "", "");
    let back = rusqlite::Connection::open(shell.path("back/app.db")).unwrap();
    assert_eq!(back.query_row("SELECT sum(n) FROM t", [], |row| row.get::<_, i64>(0)).unwrap(), 3);
    let report: serde_json::Value = serde_json::from_str(&shell.read("backup_report.json")).unwrap();
    assert_eq!((report["status"].as_str(), report["sources"].as_array().unwrap().len()), (Some("done"), 3));
}

#[test]
fn a_source_that_fails_hides_no_other_and_forgets_nothing() {
    let shell = configured();
    for _ in 0..3 {
        shell.types("run --quiet").sees(0, "", "");
    }
    // Two `last` each, and the one that holds the day.
    assert_eq!(shell.types("snapshots --json --source flows").json().as_array().unwrap().len(), 2);
    change(&shell, "\"echo\", \"[1, 2]\"", "\"sh\", \"-c\", \"echo half; echo no such table >&2; exit 3\"");
    shell.types("run").sees(
        1,
        "files     done        *\nflows     failed      no snapshot\nsettings  done        *\nrun * of 3 sources: 2 with a snapshot, in * s",
        "error: flows: sh failed: exit status: 3\n  no such table",
    );
    assert_eq!(shell.types("snapshots --json --source flows").json().as_array().unwrap().len(), 2);
    // Broken in a way that the command does not know of: there is a snapshot, and it is no success.
    change(&shell, "echo half; echo no such table >&2; exit 3", "echo '[1, '");
    shell.types("run flows").sees(1, "flows  failed      snapshot *\nrun *", "error: flows: flows.json is no JSON: *");
    assert_eq!(shell.types("snapshots --json --source flows").json().as_array().unwrap().len(), 3);
    let report = shell.types("run --json").json();
    assert_eq!(report["status"], "failed");
    assert_eq!(report["sources"][1]["verified"], false);
}

#[test]
fn an_archive_must_list_to_its_end() {
    let shell = configured();
    change(&shell, "flows.json", "flows.tar");
    for (command, code, error) in [
        ("tar -c data/one data", 0, ""),
        // In the middle of a file, and of what is none.
        ("tar -c data/one | head -c 514", 1, "does not list"),
        // Between two members, and behind the last.
        ("tar -c data/one data/one | head -c 1024", 1, "the two blocks of zeros that end an archive are missing"),
        ("tar -c data/one data/one | head -c 2048", 1, "the two blocks of zeros that end an archive are missing"),
        ("head -c 2000 /dev/urandom", 1, "does not list"),
        ("head -c 10240 /dev/zero", 1, "an archive of nothing"),
    ] {
        let text = shell.read("larder.toml");
        let line = text.lines().find(|line| line.starts_with("command = ")).unwrap();
        change(&shell, line, &format!("command = \"{command}\""));
        let seen = shell.types("run flows --json");
        let source = seen.json()["sources"][0].clone();
        assert_eq!((seen.code, source["verified"].as_bool()), (code, Some(code == 0)), "{command}: {source}");
        assert!(source["errors"].to_string().contains(error) && source["snapshot"].is_string(), "{command}: {source}");
    }
}

#[test]
fn hooks_run_around_a_source_and_one_that_fails_before_keeps_it_from_running() {
    let shell = configured();
    let hooks = "[source.flows.hooks]\nbefore = \"echo before $LARDER_SOURCE >> log\"\n\
                 on_success = \"echo success $LARDER_STATUS >> log\"\non_failure = \"echo failure >> log\"\n\
                 after = [\"sh\", \"-c\", \"echo after >> log\"]\nlimit = \"1s\"\n";
    shell.write("larder.toml", &(shell.read("larder.toml") + hooks));
    shell.types("run flows --quiet").sees(0, "", "");
    assert_eq!(shell.read("log"), "before flows\nsuccess done\nafter\n");
    shell.types("run flows --dry-run --quiet").sees(0, "", "");
    assert_eq!(shell.read("log"), "before flows\nsuccess done\nafter\n");
    change(&shell, "echo before $LARDER_SOURCE >> log", "echo nobody home; exit 9");
    shell.types("run flows").sees(
        1,
        "flows  failed      no snapshot\nrun *",
        "error: flows: hook before: sh failed: exit status: 9\n  nobody home",
    );
    assert_eq!(shell.read("log"), "before flows\nsuccess done\nafter\nfailure\nafter\n");
    change(&shell, "echo nobody home; exit 9", "sleep 600");
    shell.types("run flows").sees(
        1,
        "flows  failed      no snapshot\nrun *",
        "error: flows: hook before: sh took longer than 1 seconds and was ended",
    );
}

#[test]
fn only_what_is_due_is_run() {
    let shell = configured();
    let schedule = "[schedule]\ncron = \"0 0 1 1 *\"\n[source.files.schedule]\nenabled = false\n";
    shell.write("larder.toml", &(shell.read("larder.toml") + schedule));
    let names = |seen: super::Seen| -> Vec<String> {
        let report = seen.json();
        report["sources"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(shell.types("run flows --due --json")), ["flows"]);
    // Another one is due still, and nobody named it: the hooks of runs stop nothing for that.
    shell.types("run flows --due").sees(0, "", "note: nothing is due");
    assert_eq!(names(shell.types("run --due --json")), ["settings"]);
    shell.types("run --due").sees(0, "", "note: nothing is due");
}

#[test]
fn mistakes_are_all_said_before_anything_is_run() {
    let shell = configured();
    change(&shell, "kind = \"sqlite\"", "kind = \"sqlit\"");
    change(&shell, "last = 2", "lats = 2");
    shell.types("run").sees(
        2,
        "",
        "error: 2 mistakes in larder.toml
           larder.toml:5:1: retention.lats: is no key larder knows here; did you mean last?
           larder.toml:*: source.settings.kind: \"sqlit\" is none of *; did you mean sqlite?
           hint: nothing was run"
            .replace("           ", "  ")
            .as_str(),
    );
    assert_eq!(shell.types("config check --json").json()["mistakes"].as_array().unwrap().len(), 2);
    shell.types("snapshots").sees(0, "", "no snapshots");
    let shell = configured();
    shell.types("run nothing").sees(
        2,
        "",
        "error: there is no source nothing\n  hint: there are: files, flows, settings",
    );
    shell.types("run --config none.toml").sees(2, "", "error: there is no none.toml");
    fs::create_dir_all(shell.path("user/.config/larder")).unwrap();
    let (user, own) = (shell.path("user"), shell.path("user/.config"));
    fs::rename(shell.path("larder.toml"), own.join("larder/larder.toml")).unwrap();
    shell.types("run").sees(2, "", "error: no larder.toml here, *\n  hint: *");
    // That of the user is found, too.
    for (name, place) in [("HOME", user), ("XDG_CONFIG_HOME", own)] {
        let shell = shell.command("config check").env(name, place).output().unwrap();
        assert!(String::from_utf8_lossy(&shell.stdout).contains("/larder/larder.toml: no mistakes"), "{shell:?}");
    }
    assert!(shell.types("config example").stdout.contains("[source.app]"));
}

/// That of the system is the last of three: it lies in an `/etc` of larder's own, in which there is nothing else.
#[test]
fn the_configuration_of_the_system_counts_when_there_is_no_other() {
    let shell = configured();
    shell.write("system.toml", &shell.read("larder.toml").replace("[source.files]", "[source.whole]"));
    let sees = |words: &str, said: &str| {
        let (command, mut inside) = (shell.command(words), Command::new("unshare"));
        let script =
            "mount -t tmpfs none /etc && mkdir /etc/larder && cp system.toml /etc/larder/larder.toml && exec \"$@\"";
        inside.args(["--mount", "sh", "-ec", script, "sh"]).arg(command.get_program()).env_clear();
        carry(&command, &mut inside);
        inside.env("HOME", shell.path("user")).env_remove("LARDER_REPO").env_remove("LARDER_KEY_FILE");
        let done = inside.output().unwrap();
        let text = String::from_utf8_lossy(&done.stdout).into_owned();
        assert!(done.status.success() && text.contains(said), "the tests want to be root: {done:?}");
    };
    sees("config check", "larder.toml: no mistakes; 3 sources: files, flows, settings");
    let user = shell.path("user/.config/larder");
    fs::create_dir_all(&user).unwrap();
    fs::rename(shell.path("larder.toml"), user.join("larder.toml")).unwrap();
    sees("config check", "user/.config/larder/larder.toml: no mistakes; 3 sources: files, flows, settings");
    fs::remove_file(user.join("larder.toml")).unwrap();
    sees("config check", "/etc/larder/larder.toml: no mistakes; 3 sources: flows, settings, whole");
    sees("run whole", "of 1 source: 1 with a snapshot");
    // Commands that run nothing take the repository from it.
    sees("cat whole@latest:one", "one\n");
}

#[test]
fn two_runs_of_one_configuration_do_not_mix() {
    let shell = configured();
    let hooks = "[hooks]\nbefore = \"touch begun; while [ ! -e go ]; do sleep 0.05; done\"\n";
    shell.write("larder.toml", &(shell.read("larder.toml") + hooks));
    let mut first = shell.command("run --quiet").spawn().unwrap();
    while !shell.path("begun").exists() {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    shell.types("run").sees(11, "", "error: another run of this configuration is under way\n  hint: *");
    let second = shell.command("run --quiet --wait").spawn().unwrap();
    shell.write("go", "");
    assert!(first.wait().unwrap().success());
    assert!(second.wait_with_output().unwrap().status.success());
    assert_eq!(shell.types("snapshots --json --source files").json().as_array().unwrap().len(), 2);
}

#[test]
fn commands_take_the_repository_from_the_configuration_when_nothing_else_says_which() {
    let mut shell = configured();
    shell.types("run settings --quiet").sees(0, "", "");
    shell.unset("LARDER_REPO");
    shell.unset("LARDER_KEY_FILE");
    assert!(shell.types("snapshots --quiet").stdout.contains("settings"));
    shell.types("restore settings@latest --to back --quiet").sees(0, "", "");
    fs::rename(shell.path("larder.toml"), shell.path("other.toml")).unwrap();
    let seen = shell.types("snapshots");
    assert!(seen.code == 2 && seen.stderr.starts_with("error: which repository?\n  hint: "), "{}", seen.stderr);
    shell.types("restore settings@latest --to again --quiet --config other.toml").sees(0, "", "");
}

#[test]
fn who_is_to_look_at_the_configuration_is_told_so() {
    let shell = configured();
    let wrong = "error: wrong password or key\n  hint: check";
    shell.write("wrong", &"ab".repeat(32));
    let typed = shell.types("status --key-file wrong");
    assert!(typed.code == 12 && typed.stderr.starts_with(&format!("{wrong} LARDER_PASSWORD,")), "{}", typed.stderr);
    change(&shell, "/key\"", "/wrong\"");
    shell.types("status").sees(12, "", &format!("{wrong} what [repository] in larder.toml unlocks it with; with *"));
    change(&shell, "/repository\"", "/gone\"");
    shell.types("status").sees(
        10,
        "",
        "error: no repository at *gone
           hint: [repository] path in larder.toml says where it is: is that right, and its disk mounted? larder init *",
    );
}

#[test]
fn a_repository_is_made_as_the_configuration_says() {
    let mut shell = Shell::bare();
    shell.unset("LARDER_REPO");
    shell.unset("LARDER_KEY_FILE");
    shell.types("init").sees(
        2,
        "",
        "error: which repository?
           hint: give --repo PATH, or set LARDER_REPO, or go where a larder.toml is",
    );
    shell.write("data/one", "one\n");
    let here = shell.path("").display().to_string();
    shell.write(
        "larder.toml",
        &format!(
            "[repository]\npath = \"{here}stored\"\nkey_file = \"{here}key\"\n\
             [schedule]\ncron = \"0 2 * * *\"\ntimezone = \"Europe/Berlin\"\n[retention]\nweek_start = \"sunday\"\n\
             [source.files]\nkind = \"directory\"\npaths = [\"{here}data\"]\n"
        ),
    );
    shell.types("init --repo elsewhere --config larder.toml").sees(
        2,
        "",
        "error: two places for the repository: elsewhere and, by larder.toml, *stored
           hint: leave out --repo (LARDER_REPO) or --config (LARDER_CONFIG)",
    );
    shell.types("init --recovery-file recovery").sees(
        0,
        "made repository * at *stored
         days begin in Europe/Berlin, weeks on sunday
         the recovery key is in recovery: keep it somewhere else, it opens everything"
            .replace("         ", "")
            .as_str(),
        "",
    );
    shell.types("run --quiet").sees(0, "", "");
    change(&shell, "sunday", "monday");
    shell.types("run --quiet").sees(
        0,
        "",
        "warning: weeks of this repository begin on sunday, since it was made, and not on monday: see week_start of [retention]",
    );
    change(&shell, "monday", "friday");
    shell.types("config check").sees(
        2,
        "",
        "error: 1 mistake in larder.toml
           larder.toml:8:14: retention.week_start: \"friday\" is none of monday, sunday
           hint: nothing was run",
    );
    change(&shell, "friday", "monday");
    change(&shell, "[source.files]", "[source.files.retention]\nweek_start = \"monday\"\n[source.files]");
    shell.types("config check").sees(
        2,
        "",
        "error: 1 mistake in larder.toml
           larder.toml:*: source.files.retention.week_start: is no key larder knows here*
           hint: nothing was run",
    );
}

/// What is known to be bad may be kept, but must not stand for the day.
#[test]
fn a_snapshot_that_fails_its_verification_takes_no_place_from_a_good_one() {
    let shell = configured();
    change(&shell, "last = 2", "last = 1\ndaily = 7\nmonthly = 12");
    shell.types("run flows --quiet").sees(0, "", "");
    let tags = |source: &str| -> Vec<String> {
        let all = shell.types(&format!("snapshots --source {source} --json")).json();
        let said = |one: &serde_json::Value| format!("{} {}", one["state"], one["tags"]);
        all.as_array().unwrap().iter().map(said).collect()
    };
    let (good, bad) = (r#""verified" ["last","daily","monthly"]"#, r#""verify failed" ["last"]"#);
    assert_eq!(tags("flows"), [good]);
    // Of another source, so that the bad one is the first of its day.
    change(
        &shell,
        "[source.flows]",
        "[source.early]\nkind = \"command\"\ncommand = [\"sh\", \"-c\", \"cat early\"]\nfile = \"early.json\"\n[source.flows]",
    );
    shell.write("early", "[1, ");
    shell.types("run early --quiet").sees(1, "", "*early.json*");
    assert_eq!(tags("early"), [bad]);
    shell.types("restore early@latest --to back --quiet").sees(
        0,
        "",
        "warning: snapshot * failed its verification: early.json*",
    );
    let status = shell.types("status --json").json();
    let of_early = status["sources"].as_array().unwrap().iter().find(|one| one["name"] == "early").unwrap().clone();
    assert!(of_early["last_success"].is_null(), "{of_early}");
    // The next one is good, and has the day.
    shell.write("early", "[1, 2]");
    let report = shell.types("run early --json").json();
    assert_eq!(tags("early"), [good]);
    let said = &report["sources"][0];
    assert_eq!(
        (said["tags"].to_string().as_str(), &said["type"]),
        (r#"["last","daily","monthly"]"#, &"monthly".into())
    );
    // Bad ones after it push it out of nothing, and the next good one counts as such.
    shell.write("early", "[1, ");
    shell.types("run early --quiet").sees(1, "", "*");
    shell.types("run early --quiet").sees(1, "", "*");
    assert_eq!(tags("early"), [good, bad, bad]);
    shell.types("forget --keep-last 1 --quiet").sees(0, "", "");
    assert!(tags("early").iter().any(|one| one.starts_with("\"verified")), "{:?}", tags("early"));
}
