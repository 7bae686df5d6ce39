//! Disks that are full when something is put back: what was there stays, or can be put back.

use std::fs;
use std::path::Path;

use rusqlite::Connection;

use super::Shell;
use crate::support::damage_repo::noise;
use crate::support::disk::Disk;

const NOBODY_MAY: &str = "nobody may mount a disk here: not tested";

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
    let Some(disk) = Disk::new(5 << 20) else { return eprintln!("{NOBODY_MAY}") };
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
    let Some(disk) = Disk::new(6 << 20) else { return eprintln!("{NOBODY_MAY}") };
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
