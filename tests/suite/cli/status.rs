//! `[status]`, `larder status`, and levels of compression.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use super::Shell;
use crate::support::disk::Disk;
use crate::support::schemas;

/// Two sources, one of which has a name that wants to leave the folder, and this in the configuration.
fn configured(more: &str) -> Shell {
    let shell = Shell::bare();
    shell.types("init --timezone UTC --recovery-file recovery --quiet").sees(0, "", "");
    shell.write("data/one", "one\n");
    fs::create_dir(shell.path("status")).unwrap();
    let here = shell.folder.path().display().to_string();
    shell.write(
        "larder.toml",
        &format!(
            "[repository]\npath = \"{here}/repository\"\nkey_file = \"{here}/key\"\n{more}\n\
             [source.files]\nkind = \"directory\"\npaths = [\"{here}/data\"]\n\
             [source.\"../\\\"a\\\\b\"]\nkind = \"command\"\ncommand = [\"echo\", \"[1, 2]\"]\nfile = \"flows.json\"\n"
        ),
    );
    shell
}

const STATUS: &str = "[status]\ndirectory = \"status\"\nmax_age = \"26h\"\n";
const ODD: &str = "%2E.%2F%22a%5Cb_last_backup.json";

fn json(shell: &Shell, name: &str) -> Value {
    serde_json::from_str(&shell.read(&format!("status/{name}"))).unwrap()
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_run_leaves_its_files_in_the_folder_and_nowhere_else() {
    let shell = configured(STATUS);
    shell.types("run --dry-run --quiet").sees(0, "", "");
    assert!(names(&shell.path("status")).is_empty());
    shell.types("run --quiet").sees(0, "", "");
    let all = [
        ODD,
        "backup_report.json",
        "backup_summary.json",
        "files_last_backup.json",
        "larder.prom",
        "webhook_payload.json",
    ];
    assert_eq!(names(&shell.path("status")), all);
    for name in all {
        let mode = fs::metadata(shell.path("status").join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o644, "{name}");
    }
    let (report, summary, one) = (
        json(&shell, "backup_report.json"),
        json(&shell, "backup_summary.json"),
        json(&shell, "files_last_backup.json"),
    );
    for file in [&report, &summary, &one, &json(&shell, "webhook_payload.json"), &json(&shell, ODD)] {
        assert_eq!((file["status"].as_str(), file["type"].as_str()), (Some("done"), Some("yearly")), "{file}");
        assert!(file["timestamp"].as_str().unwrap().ends_with('Z') && file["duration_seconds"].is_number(), "{file}");
        assert!(!file["host"].as_str().unwrap().is_empty(), "{file}");
    }
    let statistics = &report["statistics"];
    assert_eq!((&statistics["snapshots_by_tier"]["daily"], &statistics["total_size_bytes"]), (&2.into(), &11.into()));
    assert_eq!(statistics["sources"]["files"]["snapshots_by_tier"]["weekly"], 1);
    assert_eq!(
        (&one["name"], &one["size_bytes"], &one["standing"]["snapshots"]),
        (&"files".into(), &4.into(), &1.into())
    );
    assert_eq!((&summary["objective"], &summary["sources"][1]["objective"]), (&"met".into(), &"met".into()));
    assert_eq!(summary["errors"], Value::Array(Vec::new()));
    assert!(summary["repository"]["bytes"].as_u64().unwrap() > 0);
}

/// One source is taken, and fails: the other one stands where it stood.
#[test]
fn a_failure_is_in_the_files_and_what_was_not_taken_stands_as_before() {
    let shell = configured(STATUS);
    shell.types("run --quiet").sees(0, "", "");
    let before = shell.read(&format!("status/{ODD}"));
    fs::remove_dir_all(shell.path("data")).unwrap();
    assert_eq!(shell.types("run files").code, 1);
    let (summary, one) = (json(&shell, "backup_summary.json"), json(&shell, "files_last_backup.json"));
    assert_eq!((&summary["status"], &one["status"]), (&"failed".into(), &"failed".into()));
    assert!(summary["errors"][0].as_str().unwrap().starts_with("files: "), "{summary}");
    let of =
        |name: &str| summary["sources"].as_array().unwrap().iter().find(|one| one["name"] == name).unwrap().clone();
    let (files, other) = (of("files"), of("../\"a\\b"));
    assert_eq!((&files["last_run"]["status"], &files["objective"]), (&"failed".into(), &"at_risk".into()));
    assert_eq!((&other["last_run"]["status"], &other["objective"]), (&"done".into(), &"met".into()));
    assert!(files["last_success"].is_string());
    assert_eq!(shell.read(&format!("status/{ODD}")), before);
    let prom = shell.read("status/larder.prom");
    let sample = |line: &str| prom.lines().filter(|sample| sample.contains(line)).count();
    assert_eq!(sample("source=\"files\",status=\"failed\"} 1"), 1, "{prom}");
    assert_eq!(sample("source=\"../\\\"a\\\\b\",status=\"done\"} 1"), 1, "{prom}");
}

/// With all that a run can do: whatever it writes stands in `docs/schemas/`, and each metric in `docs/status.md`.
#[test]
fn every_field_and_every_metric_is_documented() {
    let shell = configured(&format!("{STATUS}[schedule]\ncron = \"0 2 * * *\"\n[check]\ncron = \"0 4 * * *\"\n"));
    shell.types("run --quiet").sees(0, "", "");
    shell.types("drill files --quiet").sees(0, "", "");
    shell.types("run --quiet").sees(0, "", "");
    assert_eq!(schemas::hold_in(&shell.path("status")), 5);
    let summary = json(&shell, "backup_summary.json");
    let files = summary["sources"].as_array().unwrap().iter().find(|one| one["name"] == "files").unwrap();
    for known in
        [&summary["last_check"], &files["last_drill"], &files["last_run"], &files["next_run"], &files["content"]]
    {
        assert!(!known.is_null(), "{summary}");
    }
    shell.types("status --json").sees(
        0,
        "*\n".repeat(shell.types("status --json").stdout.lines().count()).as_str(),
        "",
    );
    let docs = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/status.md")).unwrap();
    let prom = shell.read("status/larder.prom");
    let metrics: Vec<&str> = prom.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    assert!(metrics.len() > 15, "{metrics:?}");
    let missing: Vec<&&str> = metrics.iter().filter(|metric| !docs.contains(&format!("`{metric}`"))).collect();
    assert!(missing.is_empty(), "docs/status.md does not have {missing:?}");
}

/// The schemas are exact: what they do not have does not pass, and neither does what lacks something they have.
#[test]
fn a_field_more_or_less_is_seen() {
    let shell = configured(STATUS);
    shell.types("run --quiet").sees(0, "", "");
    for (file, schema) in [
        ("backup_report.json", "backup_report.json"),
        ("backup_summary.json", "backup_summary.json"),
        ("files_last_backup.json", "source_last_backup.json"),
        ("webhook_payload.json", "webhook_payload.json"),
    ] {
        let written = json(&shell, file);
        let mut objects = 0;
        for at in 0.. {
            let (mut more, mut less) = (written.clone(), written.clone());
            let (Some(wider), Some(narrower)) =
                (nth_object(&mut more, &mut at.clone()), nth_object(&mut less, &mut at.clone()))
            else {
                break;
            };
            wider.insert("odd".to_owned(), Value::Null);
            // Nothing else is optional in these files, and names of sources are no fields.
            let field =
                narrower.keys().find(|key| !["statistics", "files", "../\"a\\b"].contains(&key.as_str())).cloned();
            let gone = field.and_then(|field| narrower.remove(&field));
            assert!(std::panic::catch_unwind(|| schemas::holds(schema, &more)).is_err(), "{file}: {more:#}");
            assert!(
                gone.is_none() || std::panic::catch_unwind(|| schemas::holds(schema, &less)).is_err(),
                "{file}: {less:#}"
            );
            objects += 1;
        }
        assert!(objects > 2, "{file}");
    }
}

/// The `at`th object in a document, from the top.
fn nth_object<'v>(value: &'v mut Value, at: &mut usize) -> Option<&'v mut serde_json::Map<String, Value>> {
    if value.is_object() {
        if *at == 0 {
            return value.as_object_mut();
        }
        *at -= 1;
    }
    match value {
        Value::Object(fields) => fields.values_mut().find_map(|value| nth_object(value, at)),
        Value::Array(items) => items.iter_mut().find_map(|value| nth_object(value, at)),
        _ => None,
    }
}

/// Whatever becomes of the folder, what the run stored is stored, and its exit code is its own.
#[test]
fn a_folder_that_is_missing_or_full_is_said_and_changes_nothing_about_the_run() {
    let shell = configured(STATUS);
    fs::remove_dir(shell.path("status")).unwrap();
    let seen = shell.types("run files");
    seen.sees(
        0,
        "files  done        snapshot *\nrun *",
        "warning: [status] cannot write backup_report.json, *, webhook_payload.json in status: No such file or directory*
         warning: [status] cannot write status/larder.prom: No such file or directory*"
            .replace("         ", "")
            .as_str(),
    );
    let answer = shell.types("run files --json").json();
    assert_eq!((&answer["status"], answer["unwritten"].as_array().unwrap().len()), (&"done".into(), 2));
    assert_eq!(shell.types("snapshots --json --source files").json().as_array().unwrap().len(), 2);

    // A full disk: the files of the last run that could be written stay as they are.
    let disk = Disk::new(64 << 10);
    let text = shell.read("larder.toml").replace("\"status\"", &format!("\"{}\"", disk.path().display()));
    shell.write("larder.toml", &text);
    shell.types("run --quiet").sees(0, "", "");
    let summary = fs::read(disk.path().join("backup_summary.json")).unwrap();
    let before = names(disk.path());
    let _ = fs::write(disk.path().join("filler"), vec![0; 1 << 20]);
    let seen = shell.types("run files --quiet");
    assert_eq!(seen.code, 0, "{}", seen.stderr);
    assert!(seen.stderr.contains("No space left on device"), "{}", seen.stderr);
    assert_eq!(fs::read(disk.path().join("backup_summary.json")).unwrap(), summary);
    fs::remove_file(disk.path().join("filler")).unwrap();
    assert_eq!(names(disk.path()), before);
}

#[test]
fn status_says_what_is_met_and_ends_with_5_when_an_objective_is_missed() {
    let shell = configured("[status]\nmax_age = \"26h\"\n[schedule]\ncron = \"0 0 1 1 *\"\n");
    let seen = shell.types("status");
    assert_eq!(seen.code, 5, "{}", seen.stderr);
    assert!(seen.stdout.contains("never") && seen.stderr.contains("files: missed: there is no complete snapshot"));
    shell.types("run --quiet").sees(0, "", "");
    // Once a year is too late for 26 hours.
    let seen = shell.types("status files");
    assert_eq!(seen.code, 0, "{}", seen.stderr);
    assert!(seen.stderr.contains("files: at risk: the next run comes too late"), "{}", seen.stderr);
    let text = shell.read("larder.toml").replace("0 0 1 1 *", "0 * * * *");
    shell.write("larder.toml", &text);
    let answer = shell.types("status --json").json();
    assert_eq!((&answer["objective"], &answer["sources"][1]["last_run"]["status"]), (&"met".into(), &"done".into()));
    assert!(answer["sources"][1]["next_run"].is_string() && answer["sources"][1]["age_seconds"].is_number());
    shell.types("status").sees(
        0,
        "source * snapshots\n../\"a\\\\b * met * done * 7 B 1\nfiles * 1d 02h met * done - 4 B 1\nrepository * in * packs; no check by a run of this machine yet; times are in UTC",
        "",
    );
    // In the time zone of whoever looks.
    for (zone, name) in [("Europe/Berlin", "Europe/Berlin"), ("EST5", "EST"), ("", "UTC")] {
        let mut command = shell.command("status");
        let seen = String::from_utf8(command.env("TZ", zone).output().unwrap().stdout).unwrap();
        assert!(seen.ends_with(&format!("; times are in {name}\n")), "{zone}: {seen}");
    }
    // An objective of seconds is shown as such.
    shell.write("larder.toml", &text.replace("[source.files]\n", "[source.files]\nmax_age = \"90s\"\n"));
    assert!(shell.types("status files").stdout.contains(" 1min 30s "));
    // The objective of one source alone; it will be too old in a moment.
    shell.write("larder.toml", &text.replace("[source.files]\n", "[source.files]\nmax_age = \"1s\"\n"));
    let missed = || {
        let seen = shell.types("status --json");
        (seen.code == 5).then(|| seen.json())
    };
    let answer = (0..600).find_map(|_| {
        missed().or_else(|| {
            thread::sleep(Duration::from_millis(100));
            None
        })
    });
    let answer = answer.expect("too old within a minute");
    assert_eq!(
        (&answer["sources"][1]["objective"], &answer["sources"][0]["objective"]),
        (&"missed".into(), &"met".into())
    );
    shell.types("status nobody").sees(2, "", "error: there is no source nobody\nhint: there are: *");
}

#[test]
fn status_changes_nothing_in_the_repository_and_needs_no_cache() {
    let shell = configured("[status]\nmax_age = \"26h\"\n");
    shell.types("run --quiet").sees(0, "", "");
    let before = shell.objects();
    fs::remove_dir_all(shell.path("cache")).unwrap();
    fs::write(shell.path("cache"), "no folder").unwrap();
    let seen = shell.types("status --json");
    assert_eq!(seen.code, 0, "{}", seen.stderr);
    // What only the cache knew.
    assert!(seen.json()["sources"][0]["last_run"].is_null());
    assert_eq!(seen.json()["sources"][0]["objective"], "met");
    assert_eq!(shell.objects(), before);
}

#[test]
fn promtool_finds_nothing_to_complain_about_and_the_rules_alert_when_they_should() {
    let shell = configured(&format!("{STATUS}[schedule]\ncron = \"0 2 * * *\"\n[check]\ncron = \"0 4 * * *\"\n"));
    shell.types("run --quiet").sees(0, "", "");
    // A drill is in the metrics without a run.
    shell.types("drill files --quiet").sees(0, "", "");
    let prom = shell.read("status/larder.prom");
    assert!(
        prom.contains("larder_source_last_drill_proven{repository=") && prom.contains("source=\"files\"} 1"),
        "{prom}"
    );
    let drill = &shell.types("status files --json").json()["sources"][0]["last_drill"];
    assert_eq!(drill["proven"], true, "{drill}");
    let mut check = promtool(&["check", "metrics"], &shell.path(""));
    check.stdin(fs::File::open(shell.path("status/larder.prom")).unwrap());
    says_yes(check);
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/prometheus");
    says_yes(promtool(&["check", "rules", "larder.rules.yml"], &rules));
    says_yes(promtool(&["test", "rules", "larder.rules.test.yml"], &rules));
}

fn promtool(arguments: &[&str], folder: &Path) -> Command {
    let mut command = Command::new("promtool");
    command.args(arguments).current_dir(folder).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn says_yes(mut command: Command) {
    let output = command.output().expect("promtool is missing: run scripts/test");
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}

/// The bytes of all objects after a backup of the same compressible content.
fn stored(backup: impl Fn(&Shell)) -> (Shell, usize) {
    let shell = Shell::new();
    let lines: Vec<String> =
        (0..60_000u64).map(|n| format!("{} row {} of table {}\n", n * n % 7919, n, n % 13)).collect();
    shell.write("data/rows", &lines.concat());
    backup(&shell);
    let bytes = shell.objects().iter().map(|(_, bytes)| bytes.len()).sum();
    (shell, bytes)
}

#[test]
fn a_higher_level_of_compression_stores_less_and_what_it_stored_comes_back() {
    let at = |level: &str| {
        let line = format!("backup data --quiet --compression-level {level}");
        stored(|shell| shell.types(&line).sees(0, "", ""))
    };
    let (_, usual) = stored(|shell| shell.types("backup data --quiet").sees(0, "", ""));
    let ((shell, high), (_, same), (fast, low)) = (at("19"), at("3"), at("1"));
    assert!(high + high / 20 < usual.min(low), "{high} {usual} {low}");
    assert!(usual.abs_diff(same) < 2048, "{usual} {same}");
    let (_, configured) = stored(|shell| {
        let here = shell.folder.path().display().to_string();
        shell.write(
            "larder.toml",
            &format!(
                "[repository]\npath = \"{here}/repository\"\nkey_file = \"{here}/key\"\ncompression_level = 19\n\
                 [source.data]\nkind = \"directory\"\npaths = [\"{here}/data\"]\n"
            ),
        );
        shell.types("run --quiet").sees(0, "", "");
    });
    assert!(configured.abs_diff(high) < 2048, "{configured} {high}");
    for shell in [shell, fast] {
        shell.types("check --read-data --quiet").sees(0, "", "");
        shell.types("restore latest --to back --quiet").sees(0, "", "");
        assert_eq!(shell.read("back/rows"), shell.read("data/rows"));
    }
}

#[test]
fn levels_that_are_none_are_refused() {
    let shell = Shell::new();
    for level in ["0", "20", "fast", "-1"] {
        let seen = shell.types(&format!("backup . --compression-level={level}"));
        assert_eq!(seen.code, 2, "{}", seen.stderr);
        assert!(seen.stderr.contains("1 (fast) to 19 (small)"), "{}", seen.stderr);
    }
}

#[test]
fn status_next_and_runs_agree_on_what_is_due() {
    let shell = configured("[schedule]\ncron = \"0 0 1 1 *\"\ntimezone = \"UTC\"\n");
    let looks = |due: bool| {
        let (status, next) = (shell.types("status --json").json(), shell.types("next --json").json());
        let standing = status["sources"].as_array().unwrap().iter().find(|source| source["name"] == "files").unwrap();
        let coming = next.as_array().unwrap().iter().find(|coming| coming["name"] == "files").unwrap();
        assert_eq!((&standing["due"], &coming["due"]), (&due.into(), &due.into()), "{status}\n{next}");
        assert!(due || standing["next_run"] == coming["when"], "{status}\n{next}");
    };
    looks(true);
    fs::rename(shell.path("data"), shell.path("away")).unwrap();
    assert_eq!(shell.types("run --quiet").code, 1);
    // It has failed and has no snapshot: it waits for its next moment.
    looks(false);
    shell.types("run --due --quiet").sees(0, "", "");
}
