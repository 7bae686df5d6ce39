//! What people get wrong, and what goes wrong around them: a clear error, a hint, the right exit code, nothing lost.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::Shell;

#[test]
fn no_repository_is_exit_10() {
    let shell = Shell::bare();
    shell.write("file", "");
    fs::create_dir(shell.path("empty")).unwrap();
    for place in ["repository", "empty", "file"] {
        shell.types(&format!("snapshots --repo {place}")).sees(
            10,
            "",
            &format!("error: no repository at {place}\n  hint: check --repo or LARDER_REPO; larder init *"),
        );
    }
    let mut shell = shell;
    shell.unset("LARDER_REPO");
    shell.types("snapshots").sees(
        2,
        "",
        "error: which repository?\n  hint: give --repo PATH, or set LARDER_REPO, or go *",
    );
}

#[test]
fn a_folder_that_holds_something_is_not_made_a_repository() {
    let shell = Shell::bare();
    shell.write("repository/mine", "mine");
    let not_empty = "error: repository is not empty\n  hint: a new repository needs a new or an empty folder";
    shell.types("init").sees(1, "", not_empty);
    assert_eq!(shell.read("repository/mine"), "mine");
    let no_folder = "error: repository/mine is no folder\n  hint: a new repository needs a new or an empty folder";
    shell.types("init --repo repository/mine").sees(1, "", no_folder);
    let shell = Shell::new();
    let before = shell.objects();
    shell.types("init").sees(1, "", "error: there is a repository already: repository\n  hint: use it as it is; *");
    assert!(before == shell.objects());
}

#[test]
fn a_recovery_file_is_never_written_over() {
    let shell = Shell::bare();
    shell.write("recovery", "of another repository");
    shell.types("init --recovery-file recovery").sees(1, "", "error: recovery exists already\n  hint: *");
    assert_eq!(shell.read("recovery"), "of another repository");
    assert!(!shell.path("repository").exists());
}

#[test]
fn an_unknown_time_zone_is_a_usage_error() {
    let shell = Shell::bare();
    shell.types("init --timezone Middle/Earth").sees(2, "", "error: *Middle/Earth*\n  hint: use a name such as *");
    assert!(!shell.path("repository").exists());
}

#[test]
fn more_paths_than_a_snapshot_can_name_are_refused_before_anything_is_read() {
    let shell = Shell::new();
    shell.write("one", "1");
    let before = shell.objects();
    let command = format!("backup --source many{}", " one".repeat(4097));
    shell.types(&command).sees(
        2,
        "",
        "error: what is given does not fit into a snapshot: number of paths is 4097, above the limit of 4096\n  hint: *",
    );
    assert!(before == shell.objects());
}

#[test]
fn a_snapshot_that_nobody_made_is_named_as_such() {
    let shell = Shell::new();
    shell.types("ls latest").sees(1, "", "error: there is no snapshot yet\n  hint: larder backup makes one");
    let shell = Shell::with_snapshot();
    let which = "hint: larder snapshots lists them; give at least 4 digits of an id, latest, or SOURCE@latest";
    for text in ["0123456789abcdef", "nonsense"] {
        shell.types(&format!("ls {text}")).sees(1, "", &format!("error: there is no snapshot \"{text}\"\n  {which}"));
    }
    let short = format!("error: \"abc\" is too short for the beginning of an id\n  {which}");
    shell.types("ls abc").sees(1, "", &short);
    shell.types("cat other@latest:one").sees(
        1,
        "",
        "error: there is no snapshot of a source \"other\"\n  hint: there are data",
    );
}

#[test]
fn a_forgotten_snapshot_is_not_unknown() {
    let shell = Shell::with_snapshot();
    let first = shell.id("");
    shell.types("backup data --host here --quiet").sees(0, "", "");
    shell.types(&format!("forget {first} --quiet")).sees(0, "", "");
    shell.types(&format!("ls {first}")).sees(
        1,
        "",
        "error: snapshot * is forgotten\n  hint: larder tag * --add TAG brings it back until a prune sweeps it",
    );
}

#[test]
fn a_path_that_is_not_in_the_snapshot_is_named() {
    let shell = Shell::with_snapshot();
    let expected = "error: nowhere/at/all is not in the snapshot\n  hint: larder ls SNAPSHOT shows what is in it, *";
    for line in ["ls latest:nowhere/at/all", "cat latest:nowhere/at/all", "restore latest:nowhere/at/all --to back"] {
        shell.types(line).sees(1, "", expected);
    }
    assert!(!shell.path("back").exists());
    shell.types("cat latest:folder").sees(1, "", "error: folder is not a file\n  hint: *");
    shell.types("cat latest").sees(2, "", "error: which file?\n  hint: SNAPSHOT:PATH, *");
}

#[test]
fn a_target_that_holds_something_is_refused_with_a_hint_at_existing() {
    let shell = Shell::with_snapshot();
    shell.write("back/mine", "mine");
    shell.types("restore latest --to back").sees(
        1,
        "",
        "error: back is not empty
           hint: choose another folder, or say what to do with what is there: --existing keep|replace|changed",
    );
    shell.types("restore latest --to back --delete").sees(2, "", "error: *not provided:\n--existing <HOW>\n\n*\n\n*");
    assert_eq!(fs::read_dir(shell.path("back")).unwrap().count(), 1);
    for target in ["back/mine", "back/mine/below"] {
        shell.types(&format!("restore latest --to {target}")).sees(
            1,
            "",
            &format!("error: cannot write to {target}\n  Not a directory *\n  hint: the target is a folder: *"),
        );
    }
}

#[test]
fn nothing_is_restored_into_the_repository() {
    let shell = Shell::with_snapshot();
    let before = shell.objects();
    std::os::unix::fs::symlink("repository/packs", shell.path("disguised")).unwrap();
    for target in ["repository", "repository/new/folder", "disguised/more", "./data/../repository"] {
        shell.types(&format!("restore latest --to {target} --existing replace")).sees(
            2,
            "",
            &format!("error: the target {target} lies in the repository\n  hint: choose a folder outside of it"),
        );
    }
    shell.types("restore latest --to . --existing keep --delete").sees(
        2,
        "",
        "error: the repository lies in the target .\n  hint: with --delete it could be deleted; *",
    );
    assert!(before == shell.objects());
}

#[test]
fn a_repository_in_the_source_is_left_out_with_a_note() {
    let shell = Shell::new();
    shell.write("mine", "mine");
    shell.types("backup . --source all --quiet").sees(0, "", "");
    shell.types("ls latest").sees(0, "cache\nkey\nmine\nrecovery\nrepository", "");
    shell.types("ls latest:repository").sees(0, "", "");
    let seen = shell.types("backup . --source all");
    let notes =
        "note: the repository repository lies in . and is left out\nnote: the cache * lies in . and is left out";
    seen.sees(0, "*\n*\n*\n*", notes);
    shell.types("backup repository").sees(2, "", "error: repository lies in the repository itself\n  hint: *");
}

#[test]
fn a_path_that_is_not_there_makes_no_snapshot() {
    let shell = Shell::new();
    shell.types("backup nowhere").sees(1, "", "error: cannot find nowhere\n  *\n  hint: nothing was stored");
    shell.types("snapshots").sees(0, "", "no snapshots");
    shell.types("backup").sees(2, "", "error: the following required arguments were not provided:\n<*\n\n*\n\n*");
}

#[test]
fn an_unreadable_file_makes_an_incomplete_snapshot_and_exit_3() {
    let shell = Shell::new();
    shell.write("data/open", "open");
    shell.write("data/secret", "secret");
    fs::set_permissions(shell.path("data/secret"), PermissionsExt::from_mode(0o600)).unwrap();
    shell.types("init --repo mine --quiet --recovery-file mine.recovery").sees(0, "", "");
    give_to_nobody(&shell, "mine");
    let shell = shell.set("LARDER_REPO", "mine").set("LARDER_CACHE", "mine/../cache-of-nobody").typed_by_nobody();
    shell.types("backup data --host here").sees(
        3,
        "snapshot * of data on here
           1 file, 1 folder, 4 B
           stored *
           tags: last
           incomplete: 1 entry could not be read",
        "note: the cache folder cannot be used; this run makes a temporary index
         warning: secret: cannot open: Permission denied *",
    );
    let listed = shell.types("snapshots --json").json();
    assert_eq!((&listed[0]["complete"], &listed[0]["unreadable"]), (&false.into(), &1.into()));
}

fn give_to_nobody(shell: &Shell, path: &str) {
    let mut ahead = vec![shell.path(path)];
    while let Some(path) = ahead.pop() {
        std::os::unix::fs::chown(&path, Some(super::NOBODY), Some(super::NOBODY)).unwrap();
        if path.is_dir() {
            ahead.extend(fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
}

#[test]
fn a_repository_that_cannot_be_written_is_exit_11() {
    let shell = Shell::with_snapshot();
    let before = shell.objects();
    let mut ahead = vec![shell.path("repository")];
    while let Some(folder) = ahead.pop() {
        fs::set_permissions(&folder, PermissionsExt::from_mode(0o755)).unwrap();
        ahead.extend(fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()));
    }
    for (path, _) in &before {
        fs::set_permissions(path, PermissionsExt::from_mode(0o644)).unwrap();
    }
    let shell = shell.typed_by_nobody();
    shell.types("cat latest:one --cache nowhere").sees(0, "one", "note: the cache folder cannot be used; *");
    shell.write("data/one", "changed");
    shell.types("backup data --host here --cache nowhere").sees(
        11,
        "",
        "note: the cache folder cannot be used; *
         error: cannot * Permission denied*
           hint: the repository must be readable, and for this writable, by this user; what another user has put there (root, by sudo) chown -R gives over",
    );
    // What may not be read is not damaged.
    for (path, _) in before.iter().filter(|(path, bytes)| path.to_string_lossy().contains("/packs/") && bytes[9] == 1) {
        fs::set_permissions(path, PermissionsExt::from_mode(0o600)).unwrap();
    }
    give_to_nobody(&shell, "cache");
    let seen = shell.types("cat latest:one");
    assert!(seen.code == 11 && seen.stderr.contains("Permission denied"), "{}", seen.stderr);
    assert!(before == shell.objects());
}

#[test]
fn a_command_that_fails_leaves_no_snapshot_and_its_own_words() {
    let shell = Shell::new();
    shell.types("backup --command dump -- sh -c 'echo half; echo no such table >&2; exit 3'").sees(
        1,
        "",
        "error: sh failed: exit status: 3
           no such table
           hint: no snapshot was made",
    );
    shell.types("backup --command dump -- no-such-program").sees(1, "", "error: cannot start no-such-program\n*\n*");
    shell.types("backup --command dump").sees(2, "", "error: *\n*\n*\n*\n*\n*");
    shell.types("snapshots").sees(0, "", "no snapshots");
}

#[test]
fn a_stream_that_breaks_off_leaves_no_snapshot() {
    let shell = Shell::new();
    // Reading a folder is an error in the middle of a stream.
    shell.redirects(&shell.path("."), "backup --stdin dump").sees(
        1,
        "",
        "error: the stream broke off: Is a directory *\n  hint: no snapshot was made",
    );
    shell.types("snapshots").sees(0, "", "no snapshots");
}

#[test]
fn names_patterns_tags_and_durations_that_mean_nothing_are_usage_errors() {
    let shell = Shell::with_snapshot();
    for (line, expected) in [
        ("backup data --exclude '['", "error: bad pattern \"[\": *"),
        ("backup data --exclude '!keep'", "error: bad pattern \"!keep\": *"),
        ("restore latest --to back --include 'a/../b'", "error: bad pattern *"),
        ("find '['", "error: bad pattern \"[\": *"),
        ("backup --stdin ..", "error: \"..\" cannot be the name of an entry: *"),
        ("backup --stdin a/dump", "error: the name of a stream is that of one file, without /\n  hint: *"),
        ("backup data --tag 'two words'", "error: \"two words\" cannot be a tag\n  hint: *"),
        ("tag latest --add 'a,b'", "error: \"a,b\" cannot be a tag\n  hint: *"),
        ("prune --grace soon", "error: invalid value 'soon' for '--grace <DURATION>': *\n*\n*"),
        ("prune --max-unused 120", "error: invalid value '120' for *\n*\n*"),
        ("check --read-data=3/2", "error: invalid value '3/2' for *\n*\n*"),
        ("check --read-data=0", "error: invalid value '0' for *\n*\n*"),
        ("forget", "error: forget what?\n  hint: name snapshots, or say what to keep: *"),
        ("forget latest --keep-last 3", "error: *cannot be used with*\n*\n*\n*\n*"),
    ] {
        shell.types(line).sees(2, "", expected);
    }
    shell.types("snapshots").sees(0, "*\n*", "1 snapshot, *");
}

#[test]
fn the_newest_complete_snapshot_is_not_forgotten() {
    let shell = Shell::with_snapshot();
    shell.types("forget latest").sees(
        1,
        "",
        "error: snapshot * is the newest complete one of its series, which always stays
           hint: make a newer snapshot first: *",
    );
    shell.types("cat latest:one").sees(0, "one", "");
}

/// The path of the only pack of the kind that holds file contents.
fn data_pack(shell: &Shell) -> std::path::PathBuf {
    let packs = shell.types("prune --dry-run --json").json();
    assert_eq!(packs["kept"]["packs"], 2);
    let sizes =
        shell.objects().into_iter().filter(|(path, _)| path.parent().unwrap().parent().unwrap().ends_with("packs"));
    sizes.max_by_key(|(_, bytes)| bytes.len()).unwrap().0
}

#[test]
fn a_truncated_pack_is_named_with_the_snapshots_and_paths_it_touches() {
    let shell = Shell::new();
    let noise: String = (0..20_000u32).map(|n| format!("{:x}", n.wrapping_mul(2_654_435_761))).collect();
    shell.write("data/large", &noise);
    shell.types("backup data --host here --quiet").sees(0, "", "");
    let pack = data_pack(&shell);
    let bytes = fs::read(&pack).unwrap();
    fs::write(&pack, &bytes[..bytes.len() - 1]).unwrap();
    let name = pack.file_name().unwrap().to_str().unwrap();
    let seen = shell.types("check");
    assert_eq!(seen.code, 4, "{}", seen.stdout);
    assert!(seen.stdout.contains(name) && seen.stdout.contains("\n  large\n"), "{}", seen.stdout);
    let short = &shell.id("")[..8];
    assert!(seen.stdout.contains(&format!("\n  in snapshot {short}\n")), "{}", seen.stdout);
    let seen = shell.types("cat latest:large");
    assert_eq!((seen.code, seen.stdout.as_str()), (4, ""), "{}", seen.stderr);
    assert!(seen.stderr.starts_with("error: ") && seen.stderr.contains("hint: "), "{}", seen.stderr);
    let seen = shell.types("restore latest --to back");
    assert_eq!(seen.code, 4);
    assert!(seen.stderr.contains("warning: large: "), "{}", seen.stderr);
    assert!(!shell.path("back/large").exists());
    // Backing up goes on, and stores again what is missing.
    let seen = shell.types("backup data --host here");
    assert!(seen.code == 0 && seen.stderr.contains(name), "{}", seen.stderr);
    shell.types("restore latest --to again --quiet").sees(0, "", "");
    assert!(shell.read("again/large") == noise);
}

#[test]
fn objects_of_another_repository_are_refused_by_name() {
    let (shell, other) = (Shell::with_snapshot(), Shell::with_snapshot());
    let entry = "repository/log/0000000000000001";
    let own = fs::read(shell.path(entry)).unwrap();
    fs::copy(other.path(entry), shell.path(entry)).unwrap();
    fs::remove_dir_all(shell.path("cache")).unwrap();
    let seen = shell.types("check");
    assert_eq!(seen.code, 4);
    assert!(
        seen.stdout.contains("log/0000000000000001") && seen.stdout.contains("another repository"),
        "{}",
        seen.stdout
    );
    shell.types("prune").sees(
        4,
        "",
        "error: log entry 1 cannot be read (*), so nothing may be deleted\n  hint: larder check *",
    );
    fs::write(shell.path(entry), own).unwrap();
    fs::remove_dir_all(shell.path("cache")).unwrap();
    for name in ["config", "config.copy"] {
        fs::copy(other.path("repository").join(name), shell.path("repository").join(name)).unwrap();
    }
    let seen = shell.types("snapshots");
    assert!(matches!(seen.code, 4 | 12), "{} {}", seen.code, seen.stderr);
}

#[test]
fn a_newer_format_is_exit_12() {
    let shell = Shell::with_snapshot();
    for name in ["config", "config.copy"] {
        let path = shell.path("repository").join(name);
        let mut bytes = fs::read(&path).unwrap();
        bytes[8] = 2;
        fs::write(&path, bytes).unwrap();
    }
    shell.types("snapshots").sees(12, "", "error: config has format version 2, *\n  hint: use a newer larder");
}

#[test]
fn a_repository_that_went_back_in_time_is_told_from_a_new_one() {
    let shell = Shell::with_snapshot();
    shell.types("backup data --host here --quiet").sees(0, "", "");
    fs::remove_file(shell.path("repository/log/0000000000000002")).unwrap();
    shell.types("snapshots").sees(
        4,
        "",
        "error: the repository went back in time: log entry 2 was seen here, and now the newest is 1
           hint: if you put back an old copy of the repository yourself, delete *seen; another copy of it, *--cache",
    );
}

#[test]
fn a_name_with_a_control_character_is_refused() {
    let shell = Shell::with_snapshot();
    for flag in ["--source", "--host"] {
        let typed = format!("backup data {flag} a\u{1}b");
        shell.types(&typed).sees(2, "", &format!("error: {flag} has a line break *"));
    }
}

#[test]
fn a_folder_elsewhere_with_the_same_name_is_no_part_of_the_series() {
    let shell = Shell::with_snapshot();
    shell.write("other/data/one", "another\n");
    shell.types("backup other/data --host here").sees(
        2,
        "",
        "error: the source data has been *, and this is *\n  hint: --source NAME *",
    );
    shell.types("backup other/data --host here --source other --quiet").sees(0, "", "");
    // Asked for, it is done; and the same folder goes on as it was.
    shell.types("backup data --host here --quiet").sees(0, "", "");
    shell.types("backup other/data --host here --source data --quiet").sees(0, "", "");
}

#[test]
fn a_command_that_nothing_runs_and_an_empty_tag_are_no_silent_mistakes() {
    let shell = Shell::with_snapshot();
    shell.types("backup --stdin dump -- echo hi").sees(2, "", "error: what stands after -- *\n  hint: *");
    shell.types("backup data -- echo hi").sees(2, "", "error: what stands after -- *\n  hint: *");
    assert_eq!(shell.types("forget --keep-tag ''").code, 2);
    assert_eq!(shell.types("snapshots --json").json().as_array().unwrap().len(), 1);
    // Without the flag it looks for a key to be given or typed, and says so.
    shell.types("recover").sees(2, "", "error: no recovery key given, *\n  hint: *");
}

#[test]
fn what_a_command_complains_of_cannot_steer_the_terminal() {
    let shell = Shell::new();
    let seen = shell.types("backup --command dump -- sh -c 'printf \"a\\033]0;owned\\007b\" >&2; exit 3'");
    assert_eq!(seen.code, 1);
    assert!(!seen.stderr.contains(['\u{1b}', '\u{7}']) && seen.stderr.contains("owned"), "{:?}", seen.stderr);
}
