//! Looking into dumps and archives, and picking from them.

use std::fs;
use std::process::Command;

use super::Shell;

const PG_DUMP: &str = include_str!("../../samples/pg_dump.sql");
const MARIADB_DUMP: &str = include_str!("../../samples/mariadb-dump.sql");

/// A snapshot of a dump each, an archive and a file that is neither.
fn shell() -> Shell {
    let shell = Shell::new();
    shell.write("data/app.sql", PG_DUMP);
    shell.write("data/maria", MARIADB_DUMP);
    shell.write("data/notes", &"nothing to see\n".repeat(100));
    shell.write("pack/etc/one", "one\n");
    shell.write("pack/etc/deep/one", "another one\n");
    std::os::unix::fs::symlink("/etc/passwd", shell.path("pack/etc/link")).unwrap();
    fs::hard_link(shell.path("pack/etc/one"), shell.path("pack/etc/same")).unwrap();
    fs::set_permissions(shell.path("pack/etc/one"), std::os::unix::fs::PermissionsExt::from_mode(0o4751)).unwrap();
    tar(&shell, &["--mtime=2020-01-01 00:00Z", "-C", "pack", "-cf", "data/a.tar", "etc"]);
    shell.types("backup data --host here --quiet").sees(0, "", "");
    shell
}

fn tar(shell: &Shell, arguments: &[&str]) {
    let status = Command::new("tar").arg("--sort=name").args(arguments).current_dir(shell.path("")).status().unwrap();
    assert!(status.success());
}

#[test]
fn ls_of_a_file_shows_the_file_and_says_that_it_has_entries() {
    let shell = shell();
    shell.types("ls latest:app.sql").sees(
        0,
        "app.sql",
        "note: this is a dump by pg_dump: --entries shows what is in it",
    );
    shell.types("ls latest:a.tar").sees(0, "a.tar", "note: this is a tar archive: --entries shows what is in it");
    shell.types("ls latest:app.sql --quiet").sees(0, "app.sql", "");
    shell.types("ls latest:notes").sees(0, "notes", "");
}

#[test]
fn ls_entries_shows_what_is_in_a_dump_or_an_archive() {
    let shell = shell();
    shell.types("ls latest:maria --entries").sees(
        0,
        "s\nnames\norder `items\norgs\nevents:shop\nroutines:shop",
        "note: no maria.entries in the snapshot: all of maria was read to find them",
    );
    let long = shell.types("ls latest:maria --entries -l --quiet");
    assert!(long.stdout.contains("\nTABLE ") && long.stdout.contains(" KiB  orgs\n"), "{}", long.stdout);
    shell.types("ls latest:a.tar --entries").sees(0, "etc/\netc/deep/\netc/deep/one\netc/link\netc/one\netc/same", "");
    let long = shell.types("ls latest:a.tar --entries --long");
    assert!(long.stdout.contains("symlink") && long.stdout.contains("etc/link -> /etc/passwd\n"), "{}", long.stdout);
    let json = shell.types("ls latest:app.sql --entries --json --quiet").json();
    let parts = json.as_array().unwrap().iter().find(|entry| entry["path"] == "public.parts").unwrap();
    assert_eq!((parts["kind"].as_str(), parts["left_out"][0].as_str()), (Some("TABLE"), Some("partition parts_1")));
    assert!(parts["bytes"].as_u64().unwrap() > 500);
    assert_eq!(shell.types("ls latest:a.tar --entries --json").json()[3]["target"], "/etc/passwd");
}

#[test]
fn an_entry_becomes_a_file_and_replaces_nothing_unasked() {
    let shell = shell();
    let restore = "restore latest:app.sql --entry 'shop.order items' --to out";
    let left_out = "warning: shop.order items: left out: foreign key *";
    let note = "note: no app.sql.entries in the snapshot: *";
    let both = format!("{note}\n{left_out}");
    shell.types(restore).sees(0, "restored TABLE shop.order items, * KiB, to out/shop.order items.sql", &both);
    let text = shell.read("out/shop.order items.sql");
    assert!(text.starts_with("--\n-- PostgreSQL database dump\n") && text.contains("COPY shop.\"order items\""));
    let there =
        "error: out/shop.order items.sql is there already\n  hint: choose another folder, or --existing replace";
    shell.types(restore).sees(1, "", &format!("{both}\n{there}"));
    shell.write("out/shop.order items.sql", "mine");
    shell.types(&format!("{restore} --existing replace --quiet")).sees(0, "", left_out);
    assert_eq!(shell.read("out/shop.order items.sql"), text);
    let json = shell.types("restore latest:maria --entry orgs --entry names --to maria --json --quiet").json();
    assert_eq!(
        (json["entries"][0]["kind"].as_str(), json["entries"][1]["file"].as_str()),
        (Some("TABLE"), Some("maria/names.sql"))
    );
    assert!(shell.read("maria/orgs.sql").contains("INSERT INTO `orgs`"));
    let piped = shell.types("restore latest:maria --entry orgs --to - --quiet");
    assert_eq!((piped.code, piped.stdout), (0, shell.read("maria/orgs.sql")));
    assert_eq!(fs::read_dir(shell.path("out")).unwrap().count(), 1, "something temporary was left");
}

#[test]
fn a_member_of_an_archive_comes_back_under_its_own_name() {
    use std::os::unix::fs::MetadataExt as _;
    let shell = shell();
    shell.types("restore latest:a.tar --entry etc/one --entry ./etc/link --entry etc/same --to out").sees(
        0,
        "restored file etc/one, 4 B, to out/one
         restored symlink etc/link, 0 B, to out/link
         restored file etc/same, 4 B, to out/same",
        "",
    );
    let one = fs::symlink_metadata(shell.path("out/one")).unwrap();
    // What makes it somebody else's program is not restored.
    assert_eq!((one.mode() & 0o7777, one.mtime()), (0o751, 1_577_836_800));
    assert_eq!((shell.read("out/one"), shell.read("out/same")), ("one\n".into(), "one\n".into()));
    assert_eq!(fs::read_link(shell.path("out/link")).unwrap().to_str(), Some("/etc/passwd"));
    shell.types("restore latest:a.tar --entry etc/deep/one --to -").sees(0, "another one", "");
    shell.types("restore latest:a.tar --entry etc/deep/one --entry etc/one --to other").sees(
        2,
        "",
        "error: two of the entries would be the file one\n  hint: *",
    );
    shell.types("restore latest:a.tar --entry etc --to other").sees(
        1,
        "",
        "error: etc/ is no file: directory\n  hint: *tar -x*",
    );
    // Nothing is written through a link.
    shell.write("victim", "victim");
    fs::remove_file(shell.path("out/one")).unwrap();
    std::os::unix::fs::symlink("../victim", shell.path("out/one")).unwrap();
    shell.types("restore latest:a.tar --entry etc/one --to out --quiet").sees(
        1,
        "",
        "error: out/one is there already\n  hint: *",
    );
    shell.types("restore latest:a.tar --entry etc/one --to out --existing replace --quiet").sees(0, "", "");
    assert_eq!((shell.read("victim"), shell.read("out/one")), ("victim".into(), "one\n".into()));
}

#[test]
fn what_is_not_there_is_said_with_what_may_be_meant() {
    let shell = shell();
    let quiet = |line: &str, said: &str| shell.types(&format!("{line} --quiet")).sees(1, "", said);
    let shows = "  hint: larder ls --entries SNAPSHOT:PATH shows what is in it";
    for (entry, meant) in
        [("orgs", "public.orgs"), ("public.org", "public.orgs"), ("'order items'", "shop.order items")]
    {
        let said = format!("error: {} is not in app.sql; did you mean {meant}?\n{shows}", entry.trim_matches('\''));
        quiet(&format!("restore latest:app.sql --entry {entry} --to out"), &said);
    }
    quiet(
        "restore latest:a.tar --entry one --to out",
        &format!("error: one is not in a.tar; did you mean etc/deep/one?\n{shows}"),
    );
    quiet("restore latest:app.sql --entry qqqq --to out", &format!("error: qqqq is not in app.sql\n{shows}"));
    for line in ["ls latest:notes --entries", "restore latest:notes --entry x --to out"] {
        quiet(line, "error: notes is neither a dump nor an archive that larder knows\n  hint: *");
    }
    quiet("ls latest:none --entries", "error: none is not in the snapshot\n  hint: *");
    assert!(!shell.path("out").exists());
    shell.types("ls latest --entries").sees(2, "", "error: entries of which file?\n  hint: *");
    shell.types("restore latest --entry x --to out").sees(2, "", "error: entries of which file?\n  hint: *");
    shell.types("restore latest:app.sql --entry x --to repository").sees(
        2,
        "",
        "error: the target repository lies in *\n  hint: *",
    );
    shell.types("restore latest:app.sql --entry x --to - --json").sees(
        2,
        "",
        "error: standard output cannot hold *\n  hint: *",
    );
    shell.types("restore latest:app.sql --entry x --to out --existing keep").sees(
        2,
        "",
        "error: with --entry, *\n  hint: *",
    );
    assert_eq!(shell.types("restore latest:app.sql --entry x --to out --delete").code, 2);
}

/// Names in a dump or an archive come from anyone.
#[test]
fn names_from_inside_a_file_steer_nothing_and_lead_nowhere() {
    let shell = Shell::new();
    let table = |name: &str| format!("--\n-- Name: {name}; Type: TABLE; Schema: public; Owner: -\n--\n\nSELECT 1;\n\n");
    let end = PG_DUMP.find("--\n-- Name: shop;").unwrap();
    let names = ["/../../evil", "red\u{1b}[31m", ".hidden", "per%cent"];
    shell.write(
        "data/app.sql",
        &(PG_DUMP[..end].to_owned() + &names.map(table).concat() + &table("../../evil").replace("public", "")),
    );
    shell.write("pack/deep/evil", "evil\n");
    shell.write("evil", "");
    shell.write("pack/red\u{1b}[31m", "");
    // Before `-C`, so that names go upwards.
    tar(&shell, &["-P", "-C", "pack/deep", "-cf", "data/a.tar", "../../evil", "../red\u{1b}[31m", "evil"]);
    fs::remove_file(shell.path("evil")).unwrap();
    shell.types("backup data --quiet").sees(0, "", "");
    for line in ["ls latest:app.sql --entries", "ls latest:a.tar --entries -l", "ls latest:app.sql --entries --json"] {
        let seen = shell.types(line);
        assert!(seen.code == 0 && !(seen.stdout + &seen.stderr).contains('\u{1b}'), "{line}");
    }
    for (name, file) in [
        ("public.\"/../../evil\"", "public.\"%2F..%2F..%2Fevil\".sql"),
        ("public.red\\u{1b}[31m", "public.red%1B[31m.sql"),
        ("\"../../evil\"", "\"..%2F..%2Fevil\".sql"),
        ("public.per%cent", "public.per%25cent.sql"),
    ] {
        let seen = shell.types(&format!("restore latest:app.sql --entry '{name}' --to out --quiet"));
        assert!(seen.code == 0 && shell.path("out").join(file).exists(), "{name}: {}", seen.stderr);
    }
    shell.types("restore latest:a.tar --entry ../../evil --to out/a --quiet").sees(0, "", "");
    assert!(shell.path("out/a/evil").exists() && !shell.path("evil").exists() && !shell.path("out/evil").exists());
}

#[test]
fn damage_is_damage_and_leaves_no_half_of_a_file() {
    let shell = shell();
    // The largest pack: the one with the data.
    let (path, mut bytes) = shell.objects().into_iter().max_by_key(|(_, bytes)| bytes.len()).unwrap();
    let half = bytes.len() / 2;
    bytes[half..].fill(0);
    fs::remove_file(&path).unwrap();
    fs::write(&path, bytes).unwrap();
    let restored = shell.types("restore latest:maria --entry orgs --to out --quiet");
    assert_eq!((restored.code, restored.stdout.as_str()), (4, ""), "{}", restored.stderr);
    assert!(restored.stderr.contains("damaged"), "{}", restored.stderr);
    assert!(!shell.path("out").exists() || fs::read_dir(shell.path("out")).unwrap().count() == 0);
    assert_eq!(shell.types("ls latest:a.tar --entries").code, 4);
    shell.types("ls latest:app.sql").sees(0, "app.sql", "");
}
