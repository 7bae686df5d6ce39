//! Full disks. That of the repository: what does not fit fails alone, and nothing is the worse for it. That of what is put
//! back: what was there stays, or can be put back.

use std::fs;
use std::path::Path;

use rusqlite::Connection;

use super::Shell;
use crate::support::damage_repo::noise;
use crate::support::disk::Disk;

fn configured(source: &str) -> Shell {
    let shell = Shell::bare();
    shell.types("init --timezone UTC --recovery-file recovery --quiet").sees(0, "", "");
    let here = shell.folder.path().display().to_string();
    let text =
        format!("[repository]\npath = \"{here}/repository\"\nkey_file = \"{here}/key\"\n[source.own]\n{source}\n");
    shell.write("larder.toml", &text);
    shell.types("run --quiet").sees(0, "", "");
    shell
}

const INTO: &str = "restore own@latest --into own --yes";

#[test]
fn a_database_stays_as_it_is() {
    let disk = Disk::new(5 << 20);
    let path = disk.path().join("app.db");
    let open = || Connection::open(&path).unwrap();
    open().execute_batch("CREATE TABLE t (n, b); INSERT INTO t VALUES (1, randomblob(2000000))").unwrap();
    let shell = configured(&format!("kind = \"sqlite\"\npath = \"{}\"", path.display()));
    open().execute_batch("UPDATE t SET n = 40, b = NULL; VACUUM").unwrap();
    fs::write(disk.path().join("junk"), &noise(1, 3_500_000)[..]).unwrap();
    let seen = shell.types(INTO);
    assert_eq!(seen.code, 1, "{}{}", seen.stdout, seen.stderr);
    assert!(seen.stderr.contains("No space left on device"), "{}", seen.stderr);
    assert!(seen.stdout.contains("own is what it was before"), "{}", seen.stdout);
    let sum = || open().query_row("SELECT sum(n) FROM t", [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!((sum(), fs::read_dir(disk.path()).unwrap().count()), (40, 2));
    fs::remove_file(disk.path().join("junk")).unwrap();
    shell.types(&format!("{INTO} --quiet")).sees(0, "", "");
    assert_eq!(sum(), 1);
}

fn write(folder: &Path, name: &str, number: u64, bytes: usize) {
    fs::write(folder.join(name), &noise(number, bytes)[..]).unwrap();
}

/// Room for neither the one nor the other: the safety snapshot has it all, and goes back once there is room.
#[test]
fn a_folder_is_put_back_once_there_is_room() {
    let disk = Disk::new(6 << 20);
    let data = disk.path().join("data");
    fs::create_dir(&data).unwrap();
    (0..40).for_each(|number| write(&data, &format!("n{number}"), number, 100_000));
    write(&data, "a", 100, 500_000);
    let shell = configured(&format!("kind = \"directory\"\npaths = [\"{}\"]", data.display()));
    (0..40).for_each(|number| fs::remove_file(data.join(format!("n{number}"))).unwrap());
    write(&data, "a", 101, 2_500_000);
    write(&data, "z", 102, 2_000_000);
    let seen = shell.types(INTO);
    assert_eq!(seen.code, 1, "{}{}", seen.stdout, seen.stderr);
    assert!(seen.stderr.contains("No space left on device"), "{}", seen.stderr);
    let back = seen.stdout.contains("own is what it was before");
    assert!(back || seen.stderr.contains("what was there before could not be put back either"), "{}", seen.stderr);
    if !back {
        (0..40).for_each(|number| drop(fs::remove_file(data.join(format!("n{number}")))));
        shell.types("restore own.before-restore@latest --into own --yes --no-safety-snapshot --quiet").sees(0, "", "");
    }
    for (name, number, bytes) in [("a", 101, 2_500_000), ("z", 102, 2_000_000)] {
        assert!(fs::read(data.join(name)).unwrap()[..] == noise(number, bytes)[..], "{name}");
    }
    assert_eq!(fs::read_dir(&data).unwrap().count(), 2);
    shell.types("check --read-data --quiet").sees(0, "", "");
    shell.types("run --quiet").sees(0, "", "");
}

/// Folders, a database and a command, some of which fit: a configuration for a repository on this disk.
fn with_repository_on(disk: &Disk) -> Shell {
    let place = disk.path().join("repository").display().to_string();
    let shell = Shell::bare().set("LARDER_REPO", &place);
    shell.types("init --timezone UTC --recovery-file recovery --quiet").sees(0, "", "");
    let here = shell.folder.path().display().to_string();
    let mut text = format!("[repository]\npath = \"{place}\"\nkey_file = \"{here}/key\"\n");
    for (name, number, bytes) in [("first", 1, 300_000), ("large", 2, 4_000_000), ("then", 3, 200_000)] {
        fs::create_dir(shell.path(name)).unwrap();
        write(&shell.path(name), "noise", number, bytes);
        text += &format!("[source.{name}]\nkind = \"directory\"\npaths = [\"{here}/{name}\"]\n");
    }
    Connection::open(shell.path("app.db"))
        .unwrap()
        .execute_batch("CREATE TABLE t (n); INSERT INTO t VALUES (7)")
        .unwrap();
    text += &format!("[source.app]\nkind = \"sqlite\"\npath = \"{here}/app.db\"\n");
    text += "[source.stream]\nkind = \"command\"\ncommand = \"cat large/noise then/noise\"\nfile = \"noise\"\n";
    shell.write("larder.toml", &text);
    shell
}

/// Which sources a run says have a snapshot, and which of the others say that there is no room.
fn who_has_a_snapshot(shell: &Shell, line: &str, code: i32) -> (Vec<String>, Vec<String>) {
    let seen = shell.types(line);
    assert_eq!(seen.code, code, "{}{}", seen.stdout, seen.stderr);
    let report = seen.json();
    let (has, has_none): (Vec<_>, Vec<_>) =
        report["sources"].as_array().unwrap().iter().partition(|source| source["snapshot"].is_string());
    let no_room = |source: &&&serde_json::Value| source["errors"].to_string().contains("No space left on device");
    assert_eq!(has_none.iter().filter(no_room).count(), has_none.len(), "{report}");
    let names = |sources: Vec<&serde_json::Value>| {
        let mut names: Vec<String> = sources.iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect();
        names.sort();
        names
    };
    (names(has), names(has_none))
}

fn comes_back(shell: &Shell, name: &str, number: u64, bytes: usize) {
    shell.types(&format!("restore {name}@latest --to back --existing replace --quiet")).sees(0, "", "");
    assert!(fs::read(shell.path("back/noise")).unwrap()[..] == noise(number, bytes)[..], "{name}");
}

#[test]
fn a_repository_that_fills_in_the_middle_of_a_run_keeps_what_fits_and_needs_nothing_but_room() {
    let disk = Disk::new(3 << 20);
    let shell = with_repository_on(&disk);
    let (has, has_none) = who_has_a_snapshot(&shell, "run --json", 1);
    assert_eq!((has.join(" "), has_none.join(" ")), ("app first then".to_owned(), "large stream".to_owned()));
    // Neither damage nor the record of a snapshot that is none.
    let seen = shell.types("check --read-data");
    assert!(seen.code == 0 && !seen.stderr.contains("records of snapshots"), "{}{}", seen.stdout, seen.stderr);
    comes_back(&shell, "first", 1, 300_000);
    // Not a byte: none of them, not even what did not change, and nobody else. What there is stays.
    let _as_much_as_there_is_room = fs::write(disk.path().join("junk"), vec![1; 4 << 20]);
    assert_eq!(who_has_a_snapshot(&shell, "run --json", 1).1.len(), 5);
    let told = shell.types("run first");
    assert!(told.stderr.contains("No space left on device (os error 28) (free some space ("), "{}", told.stderr);
    let refused = shell.types("backup first");
    assert!(refused.code == 11 && refused.stderr.contains("No space left on device"), "{}", refused.stderr);
    shell.types("check --read-data --quiet").sees(0, "", "");
    comes_back(&shell, "then", 3, 200_000);
    // Nor can anything be stored where nothing may be written: that is seen before.
    disk.remount("ro");
    let seen = shell.types("doctor");
    let told = "[repository]  cannot write into ";
    assert!(seen.code == 1 && seen.stdout.contains(told) && seen.stdout.contains("Read-only"), "{}", seen.stdout);
    disk.remount("rw");
    shell.types("doctor --quiet").sees(0, "*well\n*well\n*well\n*well\n*well\n*well", "");
    // With room, all is as if nothing had happened.
    fs::remove_file(disk.path().join("junk")).unwrap();
    disk.resize(40 << 20);
    assert_eq!(who_has_a_snapshot(&shell, "run --json", 0).0.len(), 5);
    comes_back(&shell, "large", 2, 4_000_000);
    shell.types("check --read-data --quiet").sees(0, "", "");
    let count =
        |source: &str| shell.types(&format!("snapshots --json --source {source}")).json().as_array().unwrap().len();
    assert_eq!(["first", "large", "stream", "then"].map(count), [2, 1, 1, 2]);
}
