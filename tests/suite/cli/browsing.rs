//! Looking into snapshots.

use std::fs;

use super::Shell;

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
    shell.types("find two").sees(0, "* * * folder/two", "1 entry in 1 snapshot");
    shell.types("find 'o*'").sees(0, "* * * one", "1 entry in 1 snapshot");
    shell.types("find folder/").sees(0, "* * * folder/two", "1 entry in 1 snapshot");
    shell.types("find nothing").sees(0, "", "0 entries in 1 snapshot");
    shell.types("find two --source other").sees(0, "", "0 entries in 0 snapshots");
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
}
