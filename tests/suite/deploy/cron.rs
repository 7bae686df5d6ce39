//! Crontabs: read by cron itself and by another parser, and run by a real cron.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use jiff::Timestamp;
use larder::deploy::calendar::crontab;
use larder::schedule::{Expression, Zone};

use super::random::{CHOSEN, expressions};
use super::{ODD, configure, ok, write};
use crate::support::binary::{Done, Larder};
use crate::support::waiting::wait_for;

const MOMENTS: usize = 12;
/// Prints the moments of each expression, as cron has them.
const CRONITER: &str = "import sys, croniter
for line in sys.stdin:
    found = croniter.croniter(line.strip(), int(sys.argv[1]), implement_cron_bug=True)
    print(*[int(found.get_next(float)) for _ in range(int(sys.argv[2]))])";

fn schedule(larder: &Larder, more: &str, config: &str) -> Done {
    let program = larder.path(ODD).join("larder");
    if !program.exists() {
        symlink(env!("CARGO_BIN_EXE_larder"), &program).unwrap();
    }
    let words = ["schedule", "cron", "--config", config, "--program", program.to_str().unwrap()];
    larder.run(&words.into_iter().chain(more.split_whitespace()).collect::<Vec<_>>())
}

/// Looks at a crontab without taking it over.
fn accepted(larder: &Larder, text: &str) {
    ok(Command::new("crontab").arg("-n").arg(write(&larder.path("crontab"), text)));
}

#[test]
fn cron_accepts_what_is_made_and_says_why_it_cannot_be_exact() {
    let larder = Larder::new();
    for (schedule_says, timezone, line, why) in [
        ("cron = \"30 2 * * sun\"", "Etc/UTC", "30 2 * * 0 '", ""),
        ("cron = \"0 3 13 * fri\"\ntimezone = \"Europe/Berlin\"", "Europe/Berlin", "0 3 13 * 5 '", ""),
        ("cron = \"@daily\"\ntimezone = \"Europe/Berlin\"", "UTC", "*/5 * * * * '", "cron goes by UTC"),
        ("cron = \"@daily\"\njitter = \"5min\"", "UTC", "*/5 * * * * '", "cron knows no jitter"),
        ("cron = \"0 0 */2,4 * 1\"", "UTC", "*/5 * * * * '", "no form for such a choice of days"),
    ] {
        let config = configure(&larder, &format!("[schedule]\n{schedule_says}\n"));
        let made = schedule(&larder, &format!("--timezone {timezone} --mail-to admin@example.org"), &config);
        assert_eq!(made.code, Some(0), "{made:?}");
        assert!(made.out.lines().any(|found| found.starts_with(line)), "{line}\n{}", made.out);
        assert!(made.out.contains(why) && made.out.contains("MAILTO=\"admin@example.org\""), "{why}\n{}", made.out);
        assert_eq!(made.out.contains("@reboot"), why.is_empty(), "{}", made.out);
        accepted(&larder, &made.out);
    }
    let refused = Command::new("crontab").arg("-n").arg(write(&larder.path("crontab"), "61 * * * * true\n")).output();
    assert!(!refused.unwrap().status.success(), "the parser refuses nothing");
}

#[test]
fn another_parser_finds_the_moments_of_larders_own_schedule() {
    let texts: Vec<String> = CHOSEN.map(str::to_owned).into_iter().chain(expressions(200)).collect();
    let parsed: Vec<Expression> = texts.iter().map(|text| text.parse().unwrap()).collect();
    let lines: Vec<Option<String>> = parsed.iter().map(crontab).collect();
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("input");
    fs::write(&input, lines.iter().flatten().map(|line| line.to_owned() + "\n").collect::<String>()).unwrap();
    let now: Timestamp = "2026-11-26T08:00:30Z".parse().unwrap();
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/reader-venv/bin/python");
    let mut command = Command::new(python);
    command.args(["-c", CRONITER, &now.as_second().to_string(), &MOMENTS.to_string()]);
    let said = ok(command.stdin(fs::File::open(input).unwrap()));
    let mut theirs = said.lines();
    for ((text, expression), line) in texts.iter().zip(&parsed).zip(lines) {
        let Some(line) = line else { continue };
        let next = |after: &Timestamp| expression.next(*after, &Zone::UTC);
        let ours = std::iter::successors(next(&now), next).take(MOMENTS);
        let ours: Vec<String> = ours.map(|moment| moment.as_second().to_string()).collect();
        assert_eq!(theirs.next(), Some(ours.join(" ").as_str()), "{text}, written as {line}");
    }
    assert_eq!(theirs.next(), None);
}

/// A cron that knows one crontab only, and ends with the test.
struct Cron(Child);

impl Cron {
    fn start(crontab: &str) -> Self {
        let script = "mount -t tmpfs none /var/spool/cron && mount -t tmpfs none /run && \
                      install -d -m 1730 -g crontab /var/spool/cron/crontabs && crontab \"$0\" && exec cron -f";
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", script, crontab]).stdin(Stdio::null());
        Self(command.spawn().unwrap())
    }
}

impl Drop for Cron {
    fn drop(&mut self) {
        let _may_have_ended = self.0.kill();
        let _nothing_to_learn = self.0.wait();
    }
}

#[test]
fn a_real_cron_runs_what_the_crontab_says() {
    let larder = Larder::new();
    let config = configure(&larder, "[schedule]\ncron = \"0 2 * * *\"\n");
    let variables = larder.path(ODD).join("variables");
    let cache = larder.path("a $(cache); x");
    fs::write(&variables, format!("# one\nLARDER_CACHE='{}'\n", cache.display())).unwrap();
    let words = ["schedule", "cron", "--timezone", "UTC", "--config", &config, "--env-file"];
    let program = larder.path(ODD).join("larder");
    symlink(env!("CARGO_BIN_EXE_larder"), &program).unwrap();
    let more = [variables.to_str().unwrap(), "--program", program.to_str().unwrap()];
    let made = larder.ok(&[&words[..], &more].concat());
    assert!(made.err.contains("is open to others than its owner"), "{made:?}");
    let _cron = Cron::start(&write(&larder.path("crontab"), &made.out));
    wait_for("cron runs larder", || larder.path(ODD).join("status/backup_report.json").exists());
    let listed = larder.ok(&["snapshots", "--json"]).json();
    assert_eq!(listed.as_array().unwrap().len(), 1, "{listed}");
    assert!(cache.is_dir(), "the variable had another value");
}

#[test]
fn a_file_of_variables_that_a_shell_would_run_is_refused_and_stops_it() {
    let larder = Larder::new();
    let config = configure(&larder, "[schedule]\ncron = \"0 2 * * *\"\n");
    let variables = larder.path("variables");
    let path = variables.to_str().unwrap();
    let words = ["schedule", "cron", "--timezone", "UTC", "--config", &config, "--env-file", path];
    let missing = larder.ok(&words);
    assert!(missing.err.contains("is not there yet"), "{missing:?}");
    fs::write(&variables, "A=1\nB=hunter2 true\n").unwrap();
    fs::set_permissions(&variables, fs::Permissions::from_mode(0o600)).unwrap();
    let refused = larder.run(&words);
    assert_eq!((refused.code, refused.out.as_str()), (Some(2), ""), "{refused:?}");
    assert!(refused.err.contains("variables: line 2 ") && !refused.err.contains("hunter2"), "{refused:?}");
    assert!(!refused.err.contains("open to others"), "{refused:?}");
    // What became so only after the crontab was made.
    for bad in ["A=x false\n", "false\nA=1\n", "A='\n"] {
        fs::write(&variables, bad).unwrap();
        let line = missing.out.lines().find(|line| line.starts_with("0 2 ")).unwrap();
        let command = line.strip_prefix("0 2 * * * ").unwrap().replace("exec ", "exec echo started ");
        let output = Command::new("/bin/sh").args(["-c", &command]).output().unwrap();
        assert!(!output.status.success() && output.stdout.is_empty(), "{bad}: {output:?}");
    }
}
