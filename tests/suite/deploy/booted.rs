//! The units as they are, in a systemd that runs: a machine of its own, in namespaces, over the files of this one.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::output;

/// Where systemd has its control groups: a hierarchy of its own, or the one for all.
const GROUPS: [(&str, &str); 2] = [("/sys/fs/cgroup/systemd", "one"), ("/sys/fs/cgroup", "two")];

struct Machine {
    below: Child,
    group: PathBuf,
    folder: tempfile::TempDir,
}

impl Machine {
    fn boot() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (hierarchy, kind) =
            GROUPS.into_iter().find(|(path, _)| fs::exists(format!("{path}/cgroup.procs")).unwrap()).unwrap();
        let group = PathBuf::from(format!("{hierarchy}/larder-test-{}", std::process::id()));
        fs::create_dir(&group).unwrap();
        let script = "echo $$ >\"$0/cgroup.procs\" && exec unshare --mount --pid --fork --kill-child --uts --ipc --cgroup \
                      sh -c \"$1\" sh \"$2\" \"$3\" \"$4\"";
        let mut command = Command::new("sh");
        command.args(["-c", script]).arg(&group).arg(include_str!("booted.sh")).arg(folder.path());
        command.args([env!("CARGO_BIN_EXE_larder"), kind]).stdin(Stdio::null()).process_group(0);
        command.stdout(Stdio::null()).stderr(fs::File::create(folder.path().with_extension("log")).unwrap());
        let below = command.spawn().unwrap();
        Self { below, group, folder }
    }

    /// Runs something on it.
    fn runs(&self, line: &str) -> String {
        let id = self.below.id();
        let first = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
        let mut command = Command::new("nsenter");
        command.args(["-t", first.trim(), "-m", "-u", "-i", "-p", "-C", "sh", "-c", line]);
        let output = output(&mut command);
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    }

    fn says(&self, line: &str, expected: &str) {
        let begun = Instant::now();
        loop {
            let said = self.runs(line);
            if said.contains(expected) {
                return;
            }
            let all = || self.runs("journalctl --no-pager") + &fs::read_to_string(self.log()).unwrap_or_default();
            assert!(begun.elapsed() < Duration::from_secs(90), "{line}: {said}\n{}", all());
            thread::sleep(Duration::from_millis(200));
        }
    }

    fn log(&self) -> PathBuf {
        self.folder.path().with_extension("log")
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _all_of_it_ends = self.below.kill();
        let _has_ended = self.below.wait();
        let _not_there = fs::remove_file(self.log());
        // A group goes when nobody is in it any more, and none is below it.
        for _ in 0..100 {
            let mut find = Command::new("find");
            find.arg(&self.group).args(["-depth", "-type", "d", "-exec", "rmdir", "{}", ";"]).stderr(Stdio::null());
            let _tried_again = find.status();
            if !self.group.exists() {
                return;
            }
            thread::sleep(Duration::from_millis(50));
        }
    }
}

const SNAPSHOTS: &str = "larder snapshots --repo /srv/backups/larder --key-file /etc/larder/key --quiet";
const HEALTH: &str = "larder daemon --health --config /etc/larder/larder.toml --cache /var/cache/larder";

#[test]
fn units_run_under_systemd_by_their_timer_and_as_a_daemon() {
    let may = Command::new("unshare").args(["--mount", "--pid", "--fork", "--cgroup", "true"]).status();
    assert!(may.unwrap().success(), "a machine of its own needs root, and namespaces");
    assert!(fs::exists("/lib/systemd/systemd").unwrap(), "systemd is missing: run scripts/test");
    let machine = Machine::boot();
    // What was missed while the machine was off.
    machine.says(SNAPSHOTS, "data");
    machine.says("systemctl show larder@data.service", "Result=success");
    machine.says("systemctl list-timers 'larder@*' --no-pager", "larder@data.timer");
    machine.says("journalctl --no-pager --unit larder@data.service", "data  done        snapshot ");
    assert_eq!(machine.runs("systemctl start larder.service"), "");
    machine.says(HEALTH, ", waiting; next: data at ");
    machine.says("systemctl reload larder.service; journalctl --no-pager --unit larder.service", "was read again");
    assert_eq!(machine.runs("systemctl stop larder.service"), "");
    machine.says("systemctl show larder.service", "Result=success");
    machine.says(HEALTH, "no daemon of this configuration runs");
    machine.says("larder check --repo /srv/backups/larder --key-file /etc/larder/key --read-data", "no problems");
}
