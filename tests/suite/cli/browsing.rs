//! Looking into snapshots.

use std::fs::{self, File};
use std::process::Stdio;

use super::{Shell, seen};

#[test]
fn ls_shows_a_folder_everything_or_one_file() {
    let shell = Shell::with_snapshot();
    shell.types("ls latest").sees(0, "folder\nlink\none", "");
    shell.types("ls latest:folder").sees(0, "folder/two", "");
    shell.types("ls data@latest:/folder/").sees(0, "folder/two", "");
    shell.types("ls latest --recursive").sees(0, "folder\nfolder/two\nlink\none", "");
    shell.types("ls latest:one -l").sees(0, "-rw-r--r-- * * 4 B * one", "");
    shell.types("ls latest:link -l").sees(0, "lrwxrwxrwx * * - * link -> one", "");
}

#[test]
fn find_names_snapshot_and_path() {
    let shell = Shell::with_snapshot();
    shell.types("find two").sees(0, "* * * data folder/two", "1 entry in 1 snapshot");
    shell.types("find 'o*'").sees(0, "* * * one", "1 entry in 1 snapshot");
    shell.types("find folder/").sees(0, "* * * folder/two", "1 entry in 1 snapshot");
    assert_eq!(shell.types("find one --json").json()[0]["source"], "data");
    shell.types("find nothing").sees(0, "", "0 entries in 1 snapshot");
    let note = "note: there is no snapshot of a source \"other\"; there are data";
    shell.types("find two --source other").sees(0, "", &format!("0 entries in 0 snapshots\n{note}"));
    shell.types("snapshots --source other").sees(0, "", &format!("{note}\nno snapshots"));
}

#[test]
fn diff_tells_content_from_metadata() {
    let shell = Shell::with_snapshot();
    let first = shell.id("");
    shell.types(&format!("diff {first} latest")).sees(0, "", "no difference");
    shell.write("data/one", "other\n");
    fs::remove_file(shell.path("data/folder/two")).unwrap();
    fs::remove_file(shell.path("data/link")).unwrap();
    fs::create_dir(shell.path("data/link")).unwrap();
    shell.write("data/new", "new\n");
    shell.types("backup data --host here --quiet").sees(0, "", "");
    shell.types(&format!("diff {} latest", &first[..12])).sees(
        0,
        "m ./
         m folder/
         - folder/two
         T link/
         + new
         M one",
        "1 added, 1 removed, 1 content, 2 metadata, 1 type",
    );
    shell.types(&format!("diff {first}:folder latest:/folder")).sees(
        0,
        "m folder/\n- folder/two",
        "1 removed, 1 metadata",
    );
    shell.types(&format!("diff {first}:one latest:new")).sees(0, "M .", "1 content");
    shell.types(&format!("diff {first}:folder latest")).sees(
        0,
        "m ./\n+ folder/\n+ link/\n+ new\n+ one\n- two",
        "4 added, 1 removed, 1 metadata",
    );
    shell.types(&format!("diff {first}:folder/two latest:folder/two")).sees(
        1,
        "",
        "error: folder/two is not in snapshot *\n  hint: larder ls SNAPSHOT shows *",
    );
}

/// `larder find x | head -1` is no error; `larder find x > list` on a full disk is one. More than any buffer holds, so
/// that both happen in the middle.
#[test]
fn who_stops_reading_ends_a_listing_and_a_full_disk_fails_it() {
    let shell = Shell::new();
    shell.write("data/first", "");
    shell.types("backup data --quiet").sees(0, "", "");
    let first = shell.id("");
    (0..900).for_each(|n| shell.write(&format!("data/{}{n}", "name".repeat(40)), ""));
    shell.types("backup data --quiet").sees(0, "", "");
    let diff = format!("diff {first} latest");
    for line in ["ls latest", "find name", &diff] {
        for line in [line.to_owned(), format!("{line} --json")] {
            let (reader, writer) = std::io::pipe().unwrap();
            drop(reader);
            seen(&line, shell.command(&line).stdout(writer).output().unwrap()).sees(0, "", "");
            let full = File::options().write(true).open("/dev/full").unwrap();
            let failed = seen(&line, shell.command(&line).stdout(Stdio::from(full)).output().unwrap());
            failed.sees(1, "", "error: cannot write to standard output: *No space left*");
        }
    }
}
