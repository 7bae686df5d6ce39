//! What people see of damage, and of what cannot be put back.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use super::Shell;

/// Flips the last bit of the only pack of data: of the block that holds both files.
fn spoil_the_data(shell: &Shell) {
    let packs = shell.path("repository/packs");
    let data = |(path, bytes): &(PathBuf, Vec<u8>)| path.starts_with(&packs) && bytes[9] == 1;
    let (path, mut bytes) = shell.objects().into_iter().find(data).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::remove_file(&path).unwrap();
    fs::write(path, bytes).unwrap();
}

#[test]
fn check_restore_and_cat_name_what_the_damage_touches() {
    let shell = Shell::with_snapshot();
    shell.types("backup data --host here --quiet").sees(0, "", "");
    spoil_the_data(&shell);
    shell.types("check --quiet").sees(0, "", "");
    // Two paths, in two snapshots: not four.
    shell.types("check --read-data").sees(
        4,
        "damaged: block 0 of packs/*: block does not open: its bytes were changed
           in snapshots *, *
           folder/two
           one
         checked 2 snapshots, 3 packs, 1 page, 3 chunks in * s
           read * blocks, *
         1 problem found
         the next backup from this machine stores again what its source still has of it",
        "",
    );
    shell.types("restore latest --to back").sees(
        4,
        "restored 0 files, 2 folders, 1 other, 0 B to back in * s
           2 problems, 2 because of damage",
        "warning: folder/two: 14 bytes are lost, *
         warning: one: 4 bytes are lost, *",
    );
    shell.types("cat latest:one").sees(4, "", "error: the file is damaged from byte 0 on\n  *\n  hint: *");
    // What it touches is stored again, and nobody waits for it any more.
    shell.types("backup data --host here --quiet").sees(0, "", "warning: pack *: a check found it damaged; *");
    shell.types("cat latest:one").sees(0, "one", "");
    shell.types("check --read-data").sees(
        4,
        "damaged: block 0 of packs/*: block does not open: its bytes were changed
         checked 3 snapshots, * s
           read * blocks, *
         1 problem found
         no snapshot needs what is damaged of packs; larder prune --max-unused 0 lets it go",
        "",
    );
    // Whatever a lost entry of the log tells of may need it.
    let first = shell.path("repository/log/0000000000000001");
    let entry = fs::read(&first).unwrap();
    fs::write(&first, b"nothing of ours").unwrap();
    let seen = shell.types("check --read-data");
    assert!(seen.code == 4 && seen.stdout.ends_with("problems found\n"), "{}", seen.stdout);
    fs::write(&first, entry).unwrap();
    shell.types("prune --max-unused 0 --quiet").sees(0, "", "");
    shell.types("check --read-data --quiet").sees(0, "", "");
}

#[test]
fn of_many_paths_people_see_some_and_programs_all() {
    let shell = Shell::new();
    for nth in 10..40 {
        shell.write(&format!("data/file{nth}"), &format!("{nth}"));
    }
    shell.types("backup data --host here --quiet").sees(0, "", "");
    shell.types("backup data --host here --quiet").sees(0, "", "");
    spoil_the_data(&shell);
    let seen = shell.types("check --read-data --quiet");
    let lines: Vec<&str> = seen.stdout.lines().collect();
    let paths = lines.iter().filter(|line| line.starts_with("  file")).count();
    assert_eq!((seen.code, paths), (4, 20), "{lines:?}");
    assert!(lines.contains(&"  and 10 more paths; --json names them"), "{lines:?}");
    let seen = shell.types("check --read-data --json --quiet");
    let answer: serde_json::Value = serde_json::from_str(&seen.stdout).unwrap();
    let problem = &answer["problems"][0];
    let expected: Vec<String> = (10..40).map(|nth| format!("file{nth}")).collect();
    assert_eq!((&problem["paths"], &problem["paths_unnamed"]), (&expected.into(), &0.into()), "{answer}");
}

#[test]
fn a_device_that_only_root_can_make_is_exit_3_for_others() {
    let shell = Shell::with_snapshot();
    let run = |program: &str, arguments: &[&str]| {
        let mut command = Command::new(program);
        assert!(command.args(arguments).current_dir(shell.path("")).status().unwrap().success());
    };
    run("mknod", &["data/null", "c", "1", "3"]);
    shell.types("backup data --host here --quiet").sees(0, "", "");
    fs::create_dir(shell.path("target")).unwrap();
    run("chown", &["-R", "65534:65534", "repository", "cache", "target"]);
    let shell = shell.typed_by_nobody();
    shell.types("restore latest --to target/back").sees(
        3,
        "restored 2 files, 2 folders, 1 other, 18 B to target/back in * s
           1 problem, 0 because of damage",
        "warning: null: cannot make it: devices need root rights",
    );
    assert_eq!(fs::read(shell.path("target/back/one")).unwrap(), b"one\n");
}
