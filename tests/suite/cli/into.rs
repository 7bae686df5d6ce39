//! Back into the service: `restore --into`, and `doctor` before.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::thread;
use std::time::Duration;

use rusqlite::Connection;

use super::Shell;
use super::terminal::Terminal;

const INTO: &str = "restore settings@latest --into settings --yes";

/// A folder, a database and a command with a way back, all backed up once.
fn configured() -> Shell {
    let shell = Shell::bare();
    shell.types("init --timezone UTC --recovery-file recovery --quiet").sees(0, "", "");
    shell.write("data/one", "one\n");
    shell.write("data/folder/two", "two\n");
    shell.write("flows.json", "[1, 2]\n");
    database(&shell).execute_batch("CREATE TABLE t (n); INSERT INTO t VALUES (1), (2)").unwrap();
    let here = shell.folder.path().display().to_string();
    shell.write(
        "larder.toml",
        &format!(
            "[repository]\npath = \"{here}/repository\"\nkey_file = \"{here}/key\"\n\
             [source.files]\nkind = \"directory\"\npaths = [\"{here}/data\"]\nexclude = [\"*.tmp\"]\n\
             [source.flows]\nkind = \"command\"\ncommand = [\"cat\", \"{here}/flows.json\"]\nfile = \"flows.json\"\n\
             restore_command = \"cat >{here}/flows.json\"\n\
             [source.settings]\nkind = \"sqlite\"\npath = \"{here}/app.db\"\n"
        ),
    );
    shell.types("run --quiet").sees(0, "", "");
    shell
}

fn database(shell: &Shell) -> Connection {
    Connection::open(shell.path("app.db")).unwrap()
}

fn sum(database: &Connection) -> i64 {
    database.query_row("SELECT sum(n) FROM t", [], |row| row.get(0)).unwrap()
}

fn hook(shell: &Shell, text: &str) {
    let configuration = shell.read("larder.toml");
    shell.write("larder.toml", &format!("{configuration}[source.settings.hooks]\n{text}\n"));
}

#[test]
fn a_database_in_use_becomes_what_was_stored() {
    let shell = configured();
    let open = database(&shell);
    open.execute_batch("PRAGMA journal_mode = WAL; DELETE FROM t; INSERT INTO t VALUES (40)").unwrap();
    shell.types(INTO).sees(
        0,
        "snapshot * of settings, *, goes back into settings:
         |  what settings holds now is stored first, as settings.before-restore
         |  the database * becomes the stored one, in one step; programs may keep it open
         restored snapshot * into settings in * s
         what was there before is snapshot *"
            .replace("         ", "")
            .as_str(),
        "",
    );
    assert_eq!(sum(&open), 3);
    // What was there before can come back the same way, and is no snapshot of the source itself.
    assert_eq!(shell.types("snapshots --source settings --json").json().as_array().unwrap().len(), 1);
    let back = "restore settings.before-restore@latest --into settings --yes --quiet";
    shell.types(back).sees(0, "", "");
    assert_eq!(sum(&open), 40);
}

#[test]
fn what_is_no_database_any_more_is_replaced_and_a_lost_one_made() {
    let shell = configured();
    shell.write("app.db", &"no database at all ".repeat(1000));
    let refused = shell.types(INTO);
    assert_eq!(refused.code, 1);
    assert!(refused.stderr.contains("nothing was changed; if there is nothing left to store"), "{}", refused.stderr);
    assert!(shell.read("app.db").starts_with("no database"));
    shell.types(&format!("{INTO} --no-safety-snapshot --quiet")).sees(0, "", "");
    assert_eq!(sum(&database(&shell)), 3);
    fs::remove_file(shell.path("app.db")).unwrap();
    shell.types(&format!("{INTO} --no-safety-snapshot --quiet")).sees(0, "", "");
    assert_eq!(sum(&database(&shell)), 3);
}

#[test]
fn a_folder_becomes_what_was_stored_but_for_what_is_left_out() {
    let shell = configured();
    shell.write("data/one", "changed\n");
    shell.write("data/new", "new\n");
    shell.write("data/mine.tmp", "mine\n");
    fs::remove_dir_all(shell.path("data/folder")).unwrap();
    shell.types("restore files@latest --into files -y --quiet").sees(0, "", "");
    assert_eq!((shell.read("data/one"), shell.read("data/folder/two")), ("one\n".into(), "two\n".into()));
    assert!(!shell.path("data/new").exists() && shell.path("data/mine.tmp").exists());
    // The folder is gone altogether.
    fs::remove_dir_all(shell.path("data")).unwrap();
    shell.types("restore files@latest --into files -y --quiet --no-safety-snapshot").sees(0, "", "");
    assert_eq!(shell.read("data/folder/two"), "two\n");
}

/// What could not be read is in no snapshot: nothing may delete it.
#[test]
fn what_an_incomplete_snapshot_lacks_is_not_deleted() {
    let shell = configured();
    shell.write("data/secret", "in no snapshot\n");
    shell.write("data/later", "later\n");
    let everything = ["-R", "65534:65534", "."];
    assert!(Command::new("chown").args(everything).current_dir(shell.folder.path()).status().unwrap().success());
    fs::set_permissions(shell.path("data/secret"), Permissions::from_mode(0o000)).unwrap();
    let shell = shell.typed_by_nobody();
    assert_eq!(shell.types("run files --quiet").code, 3);
    shell.write("data/one", "changed\n");
    let seen = shell.types("restore files@latest --into files --yes");
    assert_eq!(seen.code, 0, "{}{}", seen.stdout, seen.stderr);
    assert!(seen.stdout.contains("stays, for it is incomplete"), "{}", seen.stdout);
    assert_eq!((shell.read("data/one"), shell.read("data/secret")), ("one\n".into(), "in no snapshot\n".into()));
    // The complete one from before does not have `later`, and the one that is stored first does.
    assert!(shell.path("data/later").exists());
}

#[test]
fn a_repository_in_the_folder_survives() {
    let shell = configured();
    let here = shell.folder.path().display().to_string();
    let text = shell.read("larder.toml").replace(&format!("[\"{here}/data\"]"), &format!("[\"{here}\"]"));
    shell.write("larder.toml", &text);
    shell.types("run files --quiet").sees(0, "", "");
    shell.write("data/one", "changed\n");
    shell.types("restore files@latest --into files -y --quiet").sees(0, "", "");
    assert_eq!(shell.read("data/one"), "one\n");
    shell.types("check --read-data --quiet").sees(0, "", "");
}

#[test]
fn a_command_gets_back_what_it_printed() {
    let shell = configured();
    shell.write("flows.json", "[]\n");
    shell.types("restore flows@latest --into flows --yes --quiet").sees(0, "", "");
    assert_eq!(shell.read("flows.json"), "[1, 2]\n");
    let text = shell.read("larder.toml").replace("restore_command = ", "# ");
    shell.write("larder.toml", &text);
    shell.types("restore flows@latest --into flows --yes").sees(
        1,
        "",
        "error: cannot put it back into flows\n  nothing says how: give the source a `restore_command`\n\
         hint: nothing was changed",
    );
}

#[test]
fn a_restore_that_fails_puts_back_what_was_there() {
    let shell = configured();
    let here = shell.folder.path().display().to_string();
    database(&shell).execute_batch("DELETE FROM t; INSERT INTO t VALUES (40)").unwrap();
    // Well only with what is there now.
    hook(
        &shell,
        &format!(
            "stop = \"echo stop >>{here}/calls\"\nstart = \"echo start >>{here}/calls\"\n\
             probe = \"echo probe >>{here}/calls; test $(grep -c probe {here}/calls) = 2\""
        ),
    );
    let failed = shell.types(INTO);
    assert_eq!(failed.code, 1, "{}", failed.stderr);
    assert!(failed.stderr.contains("error: hook probe: sh failed"), "{}", failed.stderr);
    assert!(failed.stdout.contains("failed: settings is what it was before"), "{}", failed.stdout);
    assert_eq!(shell.read("calls"), "stop\nstart\nprobe\n".repeat(2));
    assert_eq!(sum(&database(&shell)), 40);
}

#[test]
fn a_stop_that_fails_changes_nothing_and_starts_again() {
    let shell = configured();
    let here = shell.folder.path().display().to_string();
    database(&shell).execute_batch("DELETE FROM t; INSERT INTO t VALUES (40)").unwrap();
    hook(&shell, &format!("stop = \"echo cannot >&2; exit 1\"\nstart = \"echo start >>{here}/calls\""));
    let failed = shell.types(INTO);
    assert!(failed.code == 1 && failed.stderr.contains("cannot"), "{}", failed.stderr);
    assert_eq!(sum(&database(&shell)), 40);
    assert_eq!(shell.read("calls"), "start\nstart\n");
}

/// Hooks have their time; what comes after one that took longer is as if it had failed.
#[test]
fn hooks_that_hang_are_ended_and_all_is_as_before() {
    for (hanging, calls) in [("stop", "start\nstart\n"), ("probe", "start\nstart\n")] {
        let shell = configured();
        let here = shell.folder.path().display().to_string();
        database(&shell).execute_batch("DELETE FROM t; INSERT INTO t VALUES (40)").unwrap();
        hook(&shell, &format!("{hanging} = \"exec sleep 600\"\nstart = \"echo start >>{here}/calls\"\nlimit = \"1s\""));
        let failed = shell.types(INTO);
        let said = format!("hook {hanging}: sh took longer than 1 seconds and was ended");
        assert!(failed.code == 1 && failed.stderr.contains(&said), "{}", failed.stderr);
        assert_eq!((sum(&database(&shell)), shell.read("calls").as_str()), (40, calls), "{hanging}");
    }
}

/// Whatever ends larder, what it stopped is started again.
#[test]
fn what_was_stopped_is_started_again_when_larder_is_killed() {
    let shell = configured();
    let here = shell.folder.path().display().to_string();
    hook(&shell, &format!("stop = \"touch {here}/stopped; exec sleep 600\"\nstart = \"rm {here}/stopped; sleep 0.1\""));
    for signal in ["KILL", "TERM", "INT"] {
        let mut child = shell.command(INTO).spawn().unwrap();
        while !shell.path("stopped").exists() {
            assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
            thread::sleep(Duration::from_millis(5));
        }
        let sent = Command::new("kill").args([format!("-{signal}"), child.id().to_string()]).status();
        assert!(sent.unwrap().success());
        assert!(!child.wait().unwrap().success());
        while shell.path("stopped").exists() {
            thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(sum(&database(&shell)), 3);
    }
    shell.types("run --quiet").sees(0, "", "");
}

#[test]
fn only_the_last_three_safety_snapshots_stay() {
    let shell = configured();
    for number in 0..5 {
        database(&shell).execute("INSERT INTO t VALUES (?)", [number]).unwrap();
        shell.types(&format!("{INTO} --quiet")).sees(0, "", "");
    }
    let safeties = shell.types("snapshots --source settings.before-restore --tag before-restore --json").json();
    assert_eq!(safeties.as_array().unwrap().len(), 3);
}

#[test]
fn a_snapshot_is_chosen_from_a_list_and_agreed_to() {
    let shell = configured();
    database(&shell).execute_batch("INSERT INTO t VALUES (40)").unwrap();
    shell.types("run settings --quiet").sees(0, "", "");
    let line = "restore --into settings --interactive";
    let (mut terminal, shell) = Terminal::new(shell, line);
    terminal.answers("which one (1 to 2)? ", "2\n");
    terminal.answers("go on? type yes: ", "no\n");
    let (code, seen) = terminal.ends();
    assert!(code == 1 && seen.contains("not agreed: nothing was changed"), "{code} {seen}");
    assert_eq!(sum(&database(&shell)), 43);
    let (mut terminal, shell) = Terminal::new(shell, line);
    terminal.answers("which one (1 to 2)? ", "2\n");
    terminal.answers("go on? type yes: ", "yes\n");
    let (code, seen) = terminal.ends();
    assert!(code == 0 && seen.contains("restored snapshot"), "{code} {seen}");
    assert_eq!(sum(&database(&shell)), 3);
    // Nobody to ask: nothing happens.
    let seen = shell.types("restore settings@latest --into settings");
    assert!(seen.code == 2 && seen.stderr.contains("hint: give --yes to agree beforehand"), "{}", seen.stderr);
}

#[test]
fn a_list_to_choose_from_is_for_a_service_and_says_so() {
    let shell = configured();
    for line in ["restore --interactive", "restore --interactive --to back"] {
        shell.types(line).sees(
            2,
            "",
            "error: --interactive goes with --into alone
               hint: larder restore --into SOURCE --interactive; into a folder: larder restore SNAPSHOT --to DIR, *",
        );
    }
}

#[test]
fn only_a_whole_snapshot_goes_back_and_only_into_a_known_source() {
    let shell = configured();
    let seen = shell.types("restore settings@latest:app.db --into settings --yes");
    assert!(seen.code == 2 && seen.stderr.contains("only a whole snapshot"), "{}", seen.stderr);
    let seen = shell.types("restore settings@latest --into setings --yes");
    assert!(seen.code == 2 && seen.stderr.contains("there are: files, flows, settings"), "{}", seen.stderr);
}

fn safeties(shell: &Shell) -> Vec<String> {
    let rows = shell.types("snapshots --source settings.before-restore --tag before-restore --json").json();
    rows.as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_snapshot_of_another_source_is_refused_before_anything_is_stored() {
    let shell = configured();
    shell.types(&format!("{INTO} --quiet")).sees(0, "", "");
    let first = safeties(&shell);
    assert_eq!(first.len(), 1);
    for _ in 0..4 {
        shell.types("restore files@latest --into settings --yes").sees(
            1,
            "",
            "error: cannot put it back into settings
               there is no file app.db in the snapshot; restore it with --to
               the snapshot is of files; of settings there is settings@latest
             hint: nothing was changed"
                .replace("             ", "")
                .as_str(),
        );
    }
    assert_eq!(safeties(&shell), first);
    assert_eq!(sum(&database(&shell)), 3);
    for (line, why) in [
        ("restore settings@latest --into files --yes", "the snapshot is not of */data; restore it with --to"),
        (
            "restore settings@latest --into flows --dry-run",
            "there is no file flows.json in the snapshot; restore it with --to",
        ),
    ] {
        let target = line.split(' ').nth(3).unwrap();
        let expected = format!(
            "error: cannot put it back into {target}\n  {why}\n  the snapshot is of settings; of {target} there is \
             {target}@latest\nhint: nothing was changed"
        );
        shell.types(line).sees(1, "", &expected);
    }
}

#[test]
fn restores_that_fail_push_out_no_older_safety_snapshot() {
    let shell = configured();
    shell.types(&format!("{INTO} --quiet")).sees(0, "", "");
    let first = safeties(&shell).remove(0);
    let well = shell.read("larder.toml");
    hook(&shell, "probe = \"exit 1\"");
    for _ in 0..4 {
        assert_eq!(shell.types(INTO).code, 1);
    }
    assert!(safeties(&shell).contains(&first) && safeties(&shell).len() == 5);
    shell.write("larder.toml", &well);
    shell.types(&format!("{INTO} --quiet")).sees(0, "", "");
    assert_eq!(safeties(&shell).len(), 3);
}

#[test]
fn a_source_that_was_renamed_takes_the_snapshots_of_its_old_name() {
    let shell = configured();
    let text = shell.read("larder.toml").replace("[source.settings]", "[source.renamed]");
    shell.write("larder.toml", &text);
    database(&shell).execute_batch("INSERT INTO t VALUES (40)").unwrap();
    let seen = shell.types("restore settings@latest --into renamed --yes");
    assert_eq!(seen.code, 0, "{}", seen.stderr);
    let line = "\n  it is of another source: settings, not renamed\n";
    assert!(seen.stdout.contains(line), "{}", seen.stdout);
    assert_eq!(sum(&database(&shell)), 3);
}

#[test]
fn doctor_says_what_is_wrong_and_how_to_mend_it() {
    let shell = configured();
    let here = shell.folder.path().display().to_string();
    shell.types("doctor").sees(
        0,
        "[repository]  well\nfiles         well\nflows         well\nsettings      well\n\
         nothing is wrong",
        "",
    );
    fs::rename(shell.path("data"), shell.path("moved")).unwrap();
    shell.write("app.db", &"no database at all ".repeat(1000));
    let text = shell.read("larder.toml").replace("\"cat\", ", "\"catt\", ");
    shell.write("larder.toml", &format!("{text}[status]\ndirectory = \"{here}/nowhere\"\n"));
    fs::rename(shell.path("key"), shell.path("other-key")).unwrap();
    shell.types("doctor").sees(
        1,
        "[repository]  cannot read the key file */key: *
         |  hint: *
         [status]      cannot write into *nowhere*: No such file or directory *
         |  hint: make the folder of [status], *
         files  cannot read */data: No such file or directory *
         |  hint: correct `paths`, or let larder read it
         flows  there is no program \"catt\"
         |  hint: install it, *
         settings  */app.db: file is not a database
         |  hint: check `path`, *
         5 things to mend"
            .replace("         ", "")
            .as_str(),
        "",
    );
    fs::remove_file(shell.path("app.db")).unwrap();
    let seen = shell.types("doctor settings").stdout;
    assert!(seen.contains("/app.db: there is no such file\n"), "{seen}");
    let json = shell.types("doctor files --json").json();
    assert_eq!(json["sources"][0]["troubles"].as_array().unwrap().len(), 1, "{json}");
}

#[test]
fn doctor_knows_a_folder_in_which_something_is_missing_and_a_cache_that_keeps_nothing() {
    let shell = configured();
    fs::rename(shell.path("data"), shell.path("moved")).unwrap();
    fs::create_dir(shell.path("data")).unwrap();
    shell.types("doctor files --quiet").sees(
        1,
        "[repository]  well
files         */data is empty
                hint: mount or fill what belongs there; if it may be empty: min_bytes = 0",
        "",
    );
    let seen = shell.types("run files");
    assert!(
        seen.code == 1 && seen.stderr.contains("has 0 bytes, less than 1 (min_bytes)"),
        "{}{}",
        seen.stdout,
        seen.stderr
    );
    let text = shell.read("larder.toml");
    shell.write("larder.toml", &text.replace("kind = \"directory\"", "kind = \"directory\"\nmin_bytes = 0"));
    shell.types("doctor files --quiet").sees(0, "[repository]  well\nfiles         well", "");
    assert_eq!(shell.types("run files").code, 0);
    shell.write("file", "");
    shell.types("doctor files --quiet --cache file/below").sees(
        1,
        "[repository]  cannot make the folder *file/below/*
                hint: without a cache *
files         well",
        "",
    );
}
