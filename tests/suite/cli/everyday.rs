//! Making a repository, backing up, and getting everything back.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;

use super::Shell;

#[test]
fn init_prints_the_recovery_key_once_or_writes_it_into_a_file() {
    let shell = Shell::bare();
    shell.types("init --timezone Europe/Vienna --week-start sunday").sees(
        0,
        "made repository * at repository
         days begin in Europe/Vienna, weeks on sunday
         recovery key, shown this once; *
         larder-recovery-1-*-*",
        "",
    );
    let shell = Shell::bare();
    shell.types("init --recovery-file recovery").sees(
        0,
        "made repository * at repository
         days begin in *, weeks on monday
         the recovery key is in recovery: keep it somewhere else, it opens everything",
        "",
    );
    assert!(shell.read("recovery").contains("\nlarder-recovery-1-"));
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(shell.path("recovery")).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
}

/// A small container has no time zones; a repository made elsewhere in Vienna got no snapshot there.
#[test]
fn a_machine_without_time_zones_keeps_the_repositorys() {
    let shell = Shell::bare();
    // A folder without any zone would be passed over for the system's own.
    shell.write("zones/Etc/Nowhere", &format!("TZif{}", "\0".repeat(60)));
    let shell = shell.set("TZDIR", "zones");
    shell.types("init --timezone Middle/Earth").sees(2, "", "error: *Middle/Earth*\n  hint: use a name such as *");
    shell.types("init --timezone Pacific/Kiritimati --recovery-file recovery").sees(
        0,
        "made repository * at repository\ndays begin in Pacific/Kiritimati, weeks on monday\nthe recovery key *",
        "",
    );
    shell.write("data/one", "one\n");
    for tags in ["last, daily, weekly, monthly, yearly", "last"] {
        let tags = format!("snapshot *\n*\n*\ntags: {tags}");
        shell.types("backup data --host here").sees(0, &tags, "");
    }
    shell.types("forget --keep-daily 1").sees(
        0,
        "data on here\nkeep * daily (among *\nkeep * last (newest *\nforgot 0 snapshots",
        "",
    );
}

#[test]
fn a_backup_says_what_it_did_and_the_second_one_how_little_there_was_to_do() {
    let shell = Shell::new();
    shell.write("data/one", "one\n");
    shell.write("data/folder/two", "two\n");
    // What was changed a moment ago is read again, because a change in the same tick would leave no trace.
    for path in ["data/one", "data/folder/two"] {
        let long_ago = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
        fs::File::open(shell.path(path)).unwrap().set_modified(long_ago).unwrap();
    }
    shell.types("backup data --host here --tag mine --description 'the first'").sees(
        0,
        "snapshot * of data on here
           2 files, 2 folders, 8 B
           stored * B (* B new before compression) in * s
           tags: last, daily, weekly, monthly, yearly, mine",
        "",
    );
    shell.types("backup data --host here").sees(
        0,
        "snapshot * of data on here
           2 files*, 2 folders, 8 B
           stored * B (* B new before compression) in * s
           tags: last",
        "",
    );
    shell.types("snapshots").sees(
        0,
        "id time (UTC) age source size new state tags description
         * * * 0min data 8 B * B stored last, daily, weekly, monthly, yearly, mine the first
         * * * 0min data 8 B * B stored last",
        "2 snapshots, 16 B in all; the repository has * KiB",
    );
    shell.types("snapshots --tag mine --host here --source data").sees(
        0,
        "id time (UTC) age source size new state tags description
         * * * 0min data 8 B * B stored *mine the first",
        "1 snapshot, 8 B in all; the repository has * KiB",
    );
    shell.types("snapshots --host there").sees(0, "", "no snapshots");
}

#[test]
fn a_restored_tree_equals_what_was_backed_up() {
    let shell = Shell::with_snapshot();
    shell.types("restore latest --to back/again --verify").sees(
        0,
        "restored 2 files, 2 folders, 1 other, 18 B to back/again in * s
         2 read back and equal",
        "",
    );
    assert_eq!(shell.read("back/again/one"), "one\n");
    assert_eq!(shell.read("back/again/folder/two"), "two, and more\n");
    assert_eq!(fs::read_link(shell.path("back/again/link")).unwrap().to_str(), Some("one"));
    shell.types("restore data@latest:folder/two --to single").sees(0, "restored 1 file, 14 B to single in * s", "");
    assert_eq!(shell.read("single/two"), "two, and more\n");
    shell.types("restore latest --to part --include two --exclude one").sees(0, "restored 1 file*to part in * s", "");
    assert!(!shell.path("part/one").exists());
}

#[test]
fn a_restore_into_a_folder_that_holds_something_does_as_it_is_told() {
    let shell = Shell::with_snapshot();
    shell.types("restore latest --to back --quiet").sees(0, "", "");
    shell.write("back/one", "changed\n");
    shell.write("back/more", "more\n");
    shell.types("restore latest --to back --existing changed --delete --dry-run").sees(
        0,
        "replace  one
         delete   more
         would restore 1 file, *4 B to back in * s
         * there already, 1 to delete",
        "",
    );
    assert_eq!(shell.read("back/one"), "changed\n");
    shell.types("restore latest --to back --existing keep --quiet").sees(0, "", "");
    assert_eq!(shell.read("back/one"), "changed\n");
    shell.types("restore latest --to back --existing changed --delete --quiet").sees(0, "", "");
    assert_eq!(shell.read("back/one"), "one\n");
    assert!(!shell.path("back/more").exists());
}

#[test]
fn standard_input_and_commands_become_files() {
    let shell = Shell::new();
    shell.pipes("select 1;\n", "backup --stdin dump.sql --host here").sees(
        0,
        "snapshot * of dump.sql on here
           1 file, 10 B
           stored * in * s
           tags: last, daily, weekly, monthly, yearly",
        "",
    );
    shell.types("cat latest:dump.sql").sees(0, "select 1;", "");
    shell.types("backup --command words --source talk --quiet -- printf 'a b'").sees(0, "", "");
    shell.types("cat talk@latest:words").sees(0, "a b", "");
}

#[test]
fn a_dry_run_of_a_backup_stores_nothing() {
    let shell = Shell::new();
    shell.write("data/one", "one\n");
    let before = shell.objects();
    shell.types("backup data --host here --dry-run").sees(
        0,
        "dry run of data on here: nothing was stored
           1 file, 1 folder, 4 B
           * B new, before compression, in * s",
        "",
    );
    assert!(before == shell.objects());
}

#[test]
fn patterns_and_marked_caches_stay_out() {
    let shell = Shell::new();
    for path in ["data/keep", "data/drop.tmp", "data/deep/also.tmp", "data/old/file", "data/cache/thing"] {
        shell.write(path, "x");
    }
    shell.write("data/cache/CACHEDIR.TAG", "Signature: 8a477f597d28d172789f06886806bc55\n");
    shell.write("patterns", "# comment\n\n/old\n");
    shell.types("backup data --exclude *.tmp --exclude-file patterns --exclude-caches --quiet").sees(0, "", "");
    shell.types("ls latest -R").sees(0, "cache\ncache/CACHEDIR.TAG\ndeep\nkeep", "");
}

#[test]
fn several_paths_keep_their_places_and_name_the_series_together() {
    let shell = Shell::new();
    shell.write("a/one", "1");
    shell.write("b/two", "2");
    shell.types("backup a b --host here").sees(0, "snapshot * of a+b on here\n*\n*\n*", "");
    let path = shell.path("a/one").canonicalize().unwrap();
    let below_root = path.strip_prefix("/").unwrap();
    shell.types(&format!("cat latest:{}", below_root.display())).sees(0, "1", "");
}

#[test]
fn json_is_one_document_with_the_fields_that_scripts_need() {
    let shell = Shell::with_snapshot();
    let listed = shell.types("snapshots --json").json();
    let snapshot = &listed[0];
    assert_eq!(snapshot["id"].as_str().unwrap().len(), 64);
    assert!(snapshot["time"].as_str().unwrap().ends_with('Z'));
    assert_eq!(snapshot["source"], "data");
    assert_eq!(snapshot["host"], "here");
    assert_eq!(snapshot["tags"], serde_json::json!(["last", "daily", "weekly", "monthly", "yearly"]));
    assert_eq!((snapshot["files"].as_u64(), snapshot["bytes"].as_u64()), (Some(2), Some(18)));
    assert_eq!(snapshot["description"], "");
    assert_eq!(snapshot["complete"], true);
    assert!(snapshot["paths"][0].as_str().unwrap().ends_with("/data"));
    assert!(snapshot["stored_bytes"].as_u64().unwrap() > 0);
    // Greppable, as shell scripts do it.
    let flat = shell.types("snapshots --json").stdout.replace([' ', '\n'], "");
    assert!(flat.contains(&format!("\"id\":\"{}\"", snapshot["id"].as_str().unwrap())));
    for line in [
        "backup data --json",
        "restore latest --to json-target --json",
        "forget --keep-last 1 --dry-run --json",
        "prune --dry-run --json",
        "prune --json",
        "check --json",
        "check --read-data=1/2 --json",
        "stats --json",
        "stats latest --json",
        "key list --json",
        "tag latest --add more --json",
        "rebuild-index --json",
        "rebuild-index --salvage --json",
        "ls latest --json",
        "find one --json",
        "find nothing-of-that-name --json",
        "diff latest latest --json",
    ] {
        let seen = shell.types(line);
        assert_eq!((seen.code, seen.stderr.as_str()), (0, ""), "{line}");
        seen.json();
    }
}

#[test]
fn names_that_are_not_text_are_shown_escaped_and_come_back_as_they_were() {
    let shell = Shell::new();
    let name = std::ffi::OsStr::from_bytes(b"odd\xff\nname");
    fs::create_dir(shell.path("data")).unwrap();
    fs::write(shell.path("data").join(name), "odd").unwrap();
    shell.types("backup data --quiet").sees(0, "", "");
    shell.types("ls latest").sees(0, r"odd\xff\nname", "");
    let listed = shell.types("ls latest --json").json();
    assert_eq!(listed[0]["path"], r"odd\xff\nname");
    assert_eq!(listed[0]["path_hex"], "6f6464ff0a6e616d65");
    // What is shown can be given.
    shell.types(r"cat latest:odd\xff\nname").sees(0, "odd", "");
    shell.types(r"restore latest:odd\xff\nname --to back --quiet").sees(0, "", "");
    assert_eq!(fs::read(shell.path("back").join(name)).unwrap(), b"odd");
}

#[test]
fn check_stats_and_a_new_index_have_something_to_say() {
    let shell = Shell::with_snapshot();
    shell.types("check").sees(0, "checked 1 snapshot, 2 packs, 1 page, * chunks in * s\nno problems found", "");
    shell.types("check --read-data").sees(
        0,
        "checked 1 snapshot, 2 packs, 1 page, * chunks in * s
           read * blocks, *
         no problems found",
        "",
    );
    shell.types("check --read-data=50 --quiet").sees(0, "", "");
    shell.types("stats").sees(
        0,
        "snapshots     1, 0 forgotten
         files         2 in all snapshots together
         raw           18 B in all snapshots together
         deduplicated  18 B (100.0 %), and * B of listings
         compressed    *
         stored        * in 2 packs
         index         * for 3 chunks",
        "",
    );
    shell.types("stats latest").sees(
        0,
        "snapshot  *
         files     2 of 5 entries
         raw       18 B
         unique    * B in 3 chunks, * B compressed: what forgetting it would free",
        "",
    );
    fs::remove_dir_all(shell.path("cache")).unwrap();
    shell.types("rebuild-index").sees(0, "indexed 3 chunks in 2 packs", "");
    shell.types("cat latest:one").sees(0, "one", "");
}

#[test]
fn a_snapshot_that_the_log_has_lost_is_salvaged() {
    let shell = Shell::with_snapshot();
    fs::remove_file(shell.path("repository/log/0000000000000001")).unwrap();
    fs::remove_dir_all(shell.path("cache")).unwrap();
    shell.types("snapshots").sees(0, "", "no snapshots");
    shell.types("rebuild-index --salvage").sees(
        0,
        "indexed 3 chunks in 2 packs
         put back  *  data on here
         found 1 snapshot, 0 of them in the log; 1 put back with the tag salvaged",
        "",
    );
    shell.types("cat latest:one").sees(0, "one", "");
}

#[test]
fn help_names_every_command_and_completions_are_for_shells() {
    let shell = Shell::bare();
    let help = shell.types("--help");
    assert_eq!(help.code, 0);
    for command in [
        "init",
        "backup",
        "snapshots",
        "ls",
        "find",
        "diff",
        "restore",
        "cat",
        "tag",
        "forget",
        "prune",
        "check",
        "stats",
        "key",
        "rebuild-index",
        "recover",
        "completions",
    ] {
        assert!(help.stdout.contains(&format!("\n  {command} ")), "{command}");
        assert_eq!(shell.types(&format!("{command} --help")).code, 0, "{command}");
    }
    for name in ["bash", "zsh", "fish"] {
        assert!(shell.types(&format!("completions {name}")).stdout.contains("larder"), "{name}");
    }
    shell.types("--version").sees(0, "larder *", "");
}

#[test]
fn who_stops_reading_ends_nothing_badly() {
    let shell = Shell::new();
    let many: String = (0..200_000).map(|n| format!("{n}\n")).collect();
    shell.pipes(&many, "backup --stdin numbers --quiet").sees(0, "", "");
    for line in ["cat latest:numbers", "ls latest", "snapshots --json", "completions bash", "--help"] {
        let mut child = shell.command(line).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!((output.status.code(), output.stderr), (Some(0), Vec::new()), "{line}");
    }
}

#[test]
fn a_pattern_written_as_a_full_path_means_what_is_there() {
    let shell = Shell::new();
    shell.write("data/build/one", "one\n");
    shell.write("data/kept", "kept\n");
    let build = shell.path("data/build");
    shell.types(&format!("backup data --host here --quiet --exclude {}", build.display())).sees(0, "", "");
    shell.types("ls latest").sees(0, "kept", "");
}

/// `--exclude data/build` once left nothing out, and said nothing, because the snapshot's root is `data` itself.
#[test]
fn a_pattern_that_begins_with_the_folders_own_name_means_what_is_below_it() {
    let shell = Shell::new();
    shell.write("data/build/one", "one\n");
    shell.write("data/deep/data/build/two", "two\n");
    shell.write("data/kept", "kept\n");
    shell.write("data/ta/build/three", "three\n");
    shell.types("backup data --host here --quiet --exclude data/build").sees(0, "", "");
    shell.types("ls latest -R").sees(0, "deep\ndeep/data\nkept\nta\nta/build\nta/build/three", "");
    shell.types("backup data --host here --quiet --exclude ta/build/").sees(0, "", "");
    shell.types("ls latest").sees(0, "build\ndeep\nkept\nta", "");
}

#[test]
fn what_restores_nothing_or_stores_nothing_says_so() {
    let shell = Shell::with_snapshot();
    shell.types("restore latest --to out --include nothing-like-it").sees(
        0,
        "restored 0 files, 0 B to out in * s",
        "warning: nothing in the snapshot matches --include",
    );
    shell.types("backup --stdin empty --quiet").sees(0, "", "warning: the stream was empty");
}

/// `/var/www` was a link, and the backup of it empty.
#[test]
fn a_link_to_back_up_is_said_to_be_one() {
    let shell = Shell::with_snapshot();
    std::os::unix::fs::symlink("data", shell.path("www")).unwrap();
    let note = "note: www is a symbolic link, and is stored as one; www/ is what it leads to";
    shell.types("backup www --quiet").sees(0, "", "");
    shell.types("backup www").sees(0, "*\n*\n*\n*", note);
    shell.types("ls latest").sees(0, "www", "");
    shell.types("backup www/ --source folder").sees(0, "*\n*\n*\n*", "");
    shell.types("ls latest").sees(0, "folder\nlink\none", "");
}
