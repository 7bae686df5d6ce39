//! Tags, forgetting, and pruning.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::Shell;

fn two_days() -> (Shell, String, String) {
    let shell = Shell::with_snapshot();
    let first = shell.id("");
    shell.write("data/one", "another one\n");
    shell.types("backup data --host here --tag second --quiet").sees(0, "", "");
    let second = shell.id("--tag second");
    (shell, first, second)
}

#[test]
fn tags_are_set_and_taken() {
    let (shell, first, _) = two_days();
    shell.types(&format!("tag {first} --add keep --add legal --remove daily")).sees(
        0,
        "snapshot * last, weekly, monthly, yearly, keep, legal",
        "",
    );
    shell.types(&format!("tag {first} --remove never-set")).sees(
        0,
        "snapshot * last, weekly, monthly, yearly, keep, legal",
        "note: snapshot * did not have the tag never-set",
    );
    shell.types("tag latest --remove last --remove second").sees(
        1,
        "",
        "error: snapshot * is the newest complete one of its series and must keep a tag
           hint: make a newer snapshot first: *",
    );
}

/// `backup` once refused the 33rd tag that `tag` allowed.
#[test]
fn a_snapshot_can_have_as_many_tags_from_the_start_as_later() {
    let shell = Shell::with_snapshot();
    let words = |option: &str, count: usize| (0..count).map(|n| format!(" --{option} t{n}")).collect::<String>();
    let full = "error: a snapshot has at most 59 tags of one's own\n  hint: leave some out, *";
    shell.types(&format!("backup data{}", words("tag", 60))).sees(2, "", full);
    shell.types(&format!("tag latest{}", words("add", 60))).sees(2, "", full);
    shell.types(&format!("backup data --quiet --tag daily --tag t0{}", words("tag", 59))).sees(0, "", "");
    shell.types("tag latest --add one-more").sees(2, "", full);
    shell.types("tag latest --add one-more --remove t0 --quiet").sees(0, "", "");
}

#[test]
fn a_policy_says_for_each_snapshot_which_rule_kept_or_dropped_it() {
    let (shell, _, _) = two_days();
    shell.types("forget --keep-last 1 --dry-run").sees(
        0,
        "data on here
           forget * * loses last (beyond the newest 1); loses daily, weekly, monthly, yearly (not kept by this policy)
           keep   * * last (among the newest 1); second (named by hand)
         would forget 1 snapshot",
        "",
    );
    shell.types("forget --keep-daily 7 --keep-within 7d --source data").sees(
        0,
        "data on here
           keep * * last, weekly, monthly, yearly (recent enough); daily (among the newest 7)
           keep * * last (recent enough); second (named by hand)
         forgot 0 snapshots",
        "",
    );
    shell.types("snapshots").sees(0, "*\n*\n*", "2 snapshots, *");
}

#[test]
fn what_is_forgotten_can_come_back_until_it_is_pruned() {
    let (shell, first, second) = two_days();
    shell.types(&format!("forget {first}")).sees(
        0,
        "data on here
           forget * loses last, daily, weekly, monthly, yearly (forgotten by id)
           keep   * last, second (not named); gains daily, weekly, monthly, yearly (takes the place over)
         forgot 1 snapshot
           larder prune frees their space; until then larder tag brings them back",
        "",
    );
    shell.types("snapshots").sees(0, "*\n*second", "1 snapshot, *");
    shell.types("snapshots --forgotten").sees(0, "*can come back until*\n* 7 days after a prune", "1 snapshot, *");
    let at_once = shell.types("snapshots --forgotten --grace 0s");
    at_once.sees(0, "*can come back until*\n*the next prune", "1 snapshot, *");
    shell.types("prune").sees(
        0,
        "deleted 0 packs, 0 B
         condemned * pack*: deleted by a prune in 7 days or later",
        "",
    );
    shell.types(&format!("tag {first} --add back")).sees(
        0,
        "snapshot * is back: back
         * rescued from the next prune",
        "",
    );
    shell.types(&format!("cat {first}:one")).sees(0, "one", "");
    shell.types(&format!("forget {first} --quiet")).sees(0, "", "");
    let objects = shell.objects();
    let dry = shell.types("prune --dry-run --grace 0s --max-unused 0");
    dry.sees(
        0,
        "would delete * packs, *
         would repack * into *
         would keep *",
        "",
    );
    let figures = shell.types("prune --dry-run --grace 0s --max-unused 0 --json").json();
    assert_eq!(shell.objects(), objects, "nothing was written");
    let run = shell.types("prune --grace 0s --max-unused 0");
    run.sees(0, "deleted * pack*\nrepacked * into *", "");
    let said = |line: &str| line.split_once("  ").unwrap().1.trim().to_owned();
    let lines: Vec<String> = run.stdout.lines().map(said).collect();
    assert_eq!(dry.stdout.lines().take(2).map(said).collect::<Vec<_>>(), lines);
    assert!(figures["new_packs"]["bytes"].as_u64() > Some(0) && figures["packs"].is_array(), "{figures}");
    shell.types(&format!("tag {first} --add back")).sees(
        1,
        "",
        "error: snapshot * cannot come back: *
           hint: larder snapshots --forgotten lists what can still come back",
    );
    shell.types(&format!("restore {second} --to back --quiet")).sees(0, "", "");
    assert_eq!(shell.read("back/one"), "another one\n");
    shell.types("check --read-data --quiet").sees(0, "", "");
}

#[test]
fn forgetting_says_what_of_the_log_it_could_not_read() {
    let (shell, _, _) = two_days();
    fs::remove_dir_all(shell.path("cache")).unwrap();
    let entry = shell.path("repository/log/0000000000000001");
    let mut bytes = fs::read(&entry).unwrap();
    bytes[100] ^= 1;
    fs::set_permissions(&entry, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(&entry, bytes).unwrap();
    shell.types("forget --keep-last 1").sees(
        4,
        "data on here
           keep * last *
         forgot 0 snapshots",
        "warning: log entry 1: *",
    );
}
