//! `larder daemon` and `larder next` as they are used: started, asked to end in every phase, killed, and started again.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use super::Shell;
use crate::support::waiting::wait_for;
use crate::support::web::{Reply, Web};

/// One source, due at once and then once a year.
const YEARLY: &str = "[schedule]\ncron = \"0 0 1 1 *\"\n";

fn configured(more: &str) -> Shell {
    let shell = Shell::bare();
    shell.types("init --timezone UTC --recovery-file recovery --quiet").sees(0, "", "");
    configure(&shell, "larder.toml", more);
    shell
}

/// A source that waits in the middle of its output for as long as there is a file `stop`.
fn configure(shell: &Shell, name: &str, more: &str) {
    let here = shell.folder.path().display().to_string();
    shell.write(
        name,
        &format!(
            "[repository]\npath = \"{here}/repository\"\nkey_file = \"{here}/key\"\n{more}\
             [source.app]\nkind = \"command\"\nfile = \"app\"\n\
             command = \"echo half; touch {here}/begun; if [ -e {here}/stop ]; then exec sleep 600; fi\"\n\
             [source.app.hooks]\nafter = \"echo after $LARDER_STATUS >>{here}/after\"\n"
        ),
    );
}

/// A daemon that is killed when the test ends.
pub(super) struct Daemon<'s> {
    shell: &'s Shell,
    pub(super) child: Child,
    log: &'static str,
}

impl<'s> Daemon<'s> {
    pub(super) fn start(shell: &'s Shell, line: &str, log: &'static str) -> Self {
        let said = File::create(shell.path(log)).unwrap();
        let child = shell.command(line).stdout(Stdio::null()).stderr(said).spawn().unwrap();
        Self { shell, child, log }
    }

    pub(super) fn says(&self, times: usize, text: &str) {
        let said = || self.shell.read(self.log);
        for _ in 0..6000 {
            if said().matches(text).count() >= times {
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
        panic!("it never says {text:?} {times} times:\n{}", said());
    }

    pub(super) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([format!("-{name}"), self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// To the process below `unshare`.
    fn signal_first(&self, name: &str) {
        let id = self.child.id();
        let below = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap();
        assert!(Command::new("kill").args([&format!("-{name}"), below.trim()]).status().unwrap().success());
    }

    pub(super) fn ends(mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }
}

impl Drop for Daemon<'_> {
    fn drop(&mut self) {
        let _has_ended = self.child.kill();
        let _has_ended = self.child.wait();
    }
}

fn snapshots(shell: &Shell) -> usize {
    shell.types("snapshots --json").json().as_array().unwrap().len()
}

#[test]
fn a_daemon_runs_what_is_due_is_the_only_one_and_ends_when_asked() {
    let shell = configured(YEARLY);
    shell.types("daemon --health").sees(1, "", "error: no daemon of this configuration runs\n  hint: *");
    let daemon = Daemon::start(&shell, "daemon", "log");
    daemon.says(1, "next: app at ");
    daemon.says(1, "app: done: snapshot ");
    // Every line has the time.
    assert!(shell.read("log").lines().all(|line| line.starts_with("20")), "{}", shell.read("log"));
    wait_for("waiting", || shell.types("daemon --health").stdout.contains(", waiting; next: app at "));
    let beat = shell.types("daemon --health --json").json();
    assert_eq!(beat["pid"], daemon.child.id());
    shell.types("daemon").sees(11, "", "error: a daemon of this configuration runs already\n  hint: *");
    // Another configuration on the same repository.
    configure(&shell, "other.toml", &format!("{YEARLY}timezone = \"Europe/Berlin\"\n"));
    let other = Daemon::start(&shell, "daemon --config other.toml", "log-other");
    other.says(1, "next: app at ");
    // The snapshot was there already.
    assert_eq!(snapshots(&shell), 1, "{}", shell.read("log-other"));
    other.signal("INT");
    assert_eq!(other.ends().code(), Some(0));
    // Beside it somebody runs it by hand.
    shell.types("run --quiet").sees(0, "", "");
    daemon.signal("TERM");
    assert_eq!(daemon.ends().code(), Some(0));
    assert!(shell.read("log").ends_with("ended\n"), "{}", shell.read("log"));
    shell.types("daemon --health").sees(1, "", "error: no daemon of this configuration runs\n  hint: *");
    assert_eq!(snapshots(&shell), 2);
}

/// Asked to end, or killed: commands are ended, the hook runs, nothing is stored, and the next daemon makes up for it.
#[test]
fn a_daemon_that_is_ended_in_the_middle_of_a_run_leaves_it_to_the_next_one() {
    let shell = configured(YEARLY);
    for (signal, number) in [("TERM", 15), ("INT", 2), ("KILL", 9)] {
        shell.write("stop", "");
        let daemon = Daemon::start(&shell, "daemon", "log");
        wait_for("the run", || shell.path("begun").exists());
        shell.types("daemon --health").sees(0, "alive: process *, running", "");
        // Nothing moves any more, which is nothing for a day.
        let hung = "error: nothing has moved in the run for * seconds\n  process *\n  hint: its log says which *";
        wait_for("it hangs", || shell.types("daemon --health --hung-after 0s").code == 1);
        shell.types("daemon --health --hung-after 0s").sees(1, "", hung);
        daemon.signal(signal);
        assert_eq!(daemon.ends().signal(), Some(number));
        wait_for("the hook after", || shell.path("after").exists() && shell.read("after").ends_with('\n'));
        assert_eq!(shell.read("after"), "after failed\n");
        for file in ["after", "begun", "stop"] {
            fs::remove_file(shell.path(file)).unwrap();
        }
        assert_eq!(snapshots(&shell), 0);
    }
    let daemon = Daemon::start(&shell, "daemon", "log");
    daemon.says(1, "next: app at ");
    assert_eq!(snapshots(&shell), 1);
    shell.types("check --read-data --quiet").sees(0, "", "");
}

/// What reads its log hangs: it ends all the same.
#[test]
fn a_daemon_whose_log_nobody_reads_ends_in_the_middle_of_a_run_when_asked() {
    let shell = configured(YEARLY);
    shell.write("stop", "");
    let (_reader, writer) = std::io::pipe().unwrap();
    let child = shell.command("daemon").stdout(Stdio::null()).stderr(writer.try_clone().unwrap()).spawn().unwrap();
    let mut daemon = Daemon { shell: &shell, child, log: "" };
    wait_for("the run", || shell.path("begun").exists());
    // A description of its own, so that the daemon's writing end waits as before.
    let nonblocking = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let pipe = format!("/proc/self/fd/{}", writer.as_raw_fd());
    let mut pipe = File::options().write(true).custom_flags(nonblocking).open(pipe).unwrap();
    while pipe.write(b"x").is_ok() {}
    daemon.signal("TERM");
    let mut status = None;
    wait_for("it ends", || {
        status = daemon.child.try_wait().unwrap();
        status.is_some()
    });
    assert_eq!(status.unwrap().signal(), Some(15));
}

#[test]
fn a_configuration_is_read_again_and_one_with_mistakes_is_not_taken() {
    let shell = configured(YEARLY);
    let daemon = Daemon::start(&shell, "daemon", "log");
    daemon.says(1, "next: app at ");
    let good = shell.read("larder.toml");
    shell.write("larder.toml", &good.replace("kind = \"command\"", "kind = \"comand\""));
    daemon.signal("HUP");
    daemon.says(1, "error: the configuration was read again; the one before goes on: 1 mistake in larder.toml");
    let more = "[source.more]\nkind = \"command\"\ncommand = \"echo more\"\nfile = \"more\"\n";
    // As editors do: another file in its place.
    shell.write("new.toml", &(good + more));
    fs::rename(shell.path("new.toml"), shell.path("larder.toml")).unwrap();
    daemon.signal("HUP");
    daemon.says(1, "more: done: snapshot ");
    daemon.says(2, "next: ");
    assert_eq!(snapshots(&shell), 2);
    daemon.signal("TERM");
    assert_eq!(daemon.ends().code(), Some(0));
}

/// What was done in one is not done in the other.
#[test]
fn a_new_configuration_may_name_another_repository() {
    let shell = configured(YEARLY);
    let daemon = Daemon::start(&shell, "daemon", "log");
    daemon.says(1, "next: app at ");
    let first = shell.read("larder.toml");
    // One that is not there is waited for, and what was there before goes on being there.
    let other = |name: &str| first.replace("/repository\"", &format!("/{name}\""));
    shell.write("larder.toml", &other("nowhere"));
    daemon.signal("HUP");
    daemon.says(1, "error: cannot open the repository, tried again at ");
    assert_eq!(snapshots(&shell), 1);
    let place = shell.path("other").display().to_string();
    let init = format!("init --repo {place} --timezone UTC --recovery-file recovery-2 --quiet");
    shell.types(&init).sees(0, "", "");
    shell.write("larder.toml", &other("other"));
    daemon.signal("HUP");
    daemon.says(2, "app: done: snapshot ");
    daemon.says(2, "next: app at ");
    daemon.signal("TERM");
    assert_eq!(daemon.ends().code(), Some(0));
    let there = shell.types(&format!("snapshots --json --repo {place}")).json();
    assert_eq!((snapshots(&shell), there.as_array().unwrap().len()), (1, 1));
}

#[test]
fn a_repository_that_is_away_is_said_told_and_waited_for() {
    let team = Web::start(|_| Reply::new(200, "text/plain", "thanks"));
    let notify = format!("[notify.team]\nkind = \"slack\"\nurl = \"{}\"\n", team.url("/team"));
    let shell = configured(&format!("{YEARLY}{notify}"));
    fs::rename(shell.path("repository"), shell.path("away")).unwrap();
    let daemon = Daemon::start(&shell, "daemon", "log");
    daemon.says(1, "error: cannot open the repository, tried again at ");
    // It is tried again, and told no second time.
    daemon.signal("HUP");
    daemon.says(2, "error: cannot open the repository, tried again at ");
    wait_for("health", || shell.types("daemon --health").code == 0);
    fs::rename(shell.path("away"), shell.path("repository")).unwrap();
    // Now, not in a minute.
    daemon.signal("HUP");
    daemon.says(1, "the repository can be opened again");
    daemon.says(1, "app: done: snapshot ");
    daemon.says(1, "next: app at ");
    daemon.signal("TERM");
    assert_eq!(daemon.ends().code(), Some(0));
    let told: Vec<String> =
        team.asked().iter().map(|asked| String::from_utf8_lossy(&asked.body).into_owned()).collect();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].contains(": failed\\n") && told[0].contains("no repository at "), "{told:?}");
    assert!(told[1].contains(": done\\napp: done"), "{told:?}");
}

#[test]
fn a_run_by_hand_is_waited_for_and_not_done_again() {
    let shell = configured(YEARLY);
    let hooks = "[hooks]\nbefore = \"touch running; while [ ! -e go ]; do sleep 0.05; done\"\n";
    let quiet = shell.read("larder.toml");
    shell.write("larder.toml", &(quiet + hooks));
    let mut by_hand = shell.command("run --quiet").spawn().unwrap();
    wait_for("the run", || shell.path("running").exists());
    let daemon = Daemon::start(&shell, "daemon", "log");
    daemon.says(1, "another run of this configuration is under way: waiting for its end");
    shell.types("run").sees(11, "", "error: another run of this configuration is under way\n  hint: *");
    shell.write("go", "");
    assert!(by_hand.wait().unwrap().success());
    daemon.says(1, "next: app at ");
    assert_eq!(snapshots(&shell), 1);
    assert_eq!(shell.read("log").matches("under way").count(), 1);
}

#[test]
fn what_cannot_run_by_itself_is_refused() {
    let shell = configured("");
    shell.types("daemon").sees(2, "", "error: nothing in the configuration has a schedule\n  hint: *");
    let mut shell = configured(YEARLY);
    let here = shell.folder.path().display().to_string();
    shell.write("larder.toml", &shell.read("larder.toml").replace(&format!("key_file = \"{here}/key\"\n"), ""));
    shell.unset("LARDER_KEY_FILE");
    shell.types("daemon").sees(2, "", "error: a daemon can ask nobody for the password of the repository\n  hint: *");
    shell.write("larder.toml", "[nonsense]");
    assert_eq!(shell.types("daemon").code, 2);
}

#[test]
fn what_comes_next_is_shown() {
    let shell = configured(&format!("{YEARLY}[check]\ncron = \"0 12 * * *\"\n"));
    shell.types("next").sees(
        0,
        "WHEN (UTC)  WHAT
         20*-*-* *:*:*  app    due now
         20*-*-* *:*:*  check  due now",
        "",
    );
    shell.types("run --quiet").sees(0, "", "");
    let next = shell.types("next --count 2 --json").json();
    let next: Vec<(String, String)> = next
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            assert_eq!(one["due"], false);
            (one["name"].as_str().unwrap().to_owned(), one["when"].as_str().unwrap().to_owned())
        })
        .collect();
    assert_eq!(next.len(), 4, "{next:?}");
    assert_eq!(next.iter().filter(|(name, when)| name == "check" && when.ends_with("T12:00:00Z")).count(), 2);
    assert_eq!(next.iter().filter(|(name, when)| name == "app" && when.ends_with("-01-01T00:00:00Z")).count(), 2);
    assert!(next.is_sorted_by_key(|(_, when)| when.clone()), "{next:?}");
    // What has no schedule is said.
    shell.write(
        "larder.toml",
        &shell.read("larder.toml").replace("[source.app.hooks]", "enabled = false\n[source.app.hooks]"),
    );
    shell.types("next").sees(0, "WHEN (UTC)  WHAT\n20*  check", "note: app has no schedule, or is not enabled");
    fs::rename(shell.path("repository"), shell.path("away")).unwrap();
    let away = shell.types("next --quiet");
    assert!(away.code == 0 && away.stderr.contains("warning: no repository at ") && away.stdout.contains("check"));
    shell.types("next --count 0").sees(2, "", "error: invalid value '0' for '--count <N>': *\n\n*");
}

/// As in a container without an init: what is bound to run does, although all ends with the first process.
#[test]
fn a_daemon_that_is_the_first_process_ends_in_good_order() {
    let shell = configured(YEARLY);
    let below = |shell: &Shell| {
        let mut command = Command::new("unshare");
        command
            .args(["--pid", "--fork", "--kill-child", "--mount-proc"])
            .arg(env!("CARGO_BIN_EXE_larder"))
            .arg("daemon");
        command.current_dir(shell.folder.path()).env("XDG_CACHE_HOME", shell.path("cache"));
        command.stdout(Stdio::null()).stderr(File::create(shell.path("log")).unwrap());
        command.spawn().unwrap()
    };
    let slow = shell.read("larder.toml").replace("after = \"", "after = \"sleep 0.3; ");
    let here = shell.folder.path().display();
    let slow = slow.replace("exec sleep 600", &format!("trap 'touch {here}/asked; exit' TERM; sleep 600 & wait"));
    shell.write("larder.toml", &slow);
    shell.write("stop", "");
    let first = Daemon { shell: &shell, child: below(&shell), log: "log" };
    wait_for("the run", || shell.path("begun").exists());
    first.signal_first("TERM");
    assert_eq!(first.ends().code(), Some(128 + 15), "{}", shell.read("log"));
    // It is over; the command was asked to end, and the hook has run.
    assert!(shell.path("asked").exists());
    assert_eq!(shell.read("after"), "after failed\n");
    fs::remove_file(shell.path("stop")).unwrap();
    let first = Daemon { shell: &shell, child: below(&shell), log: "log" };
    first.says(1, "next: app at ");
    first.signal_first("TERM");
    assert_eq!(first.ends().code(), Some(0), "{}", shell.read("log"));
}
