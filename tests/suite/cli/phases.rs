//! Daemons that are asked to end, or killed, whatever they are at: nothing runs on, what is bound to run does, what is
//! stored is whole, the next daemon does all of it, and nobody is told anything wrong.

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use super::Shell;
use super::daemon::Daemon;
use crate::support::damage_repo::noise;
use crate::support::hold::{Hold, packs};
use crate::support::waiting::wait_for;
use crate::support::web::{Reply, Web};

/// All that a daemon does, at each start.
fn configured(team: &Web) -> Shell {
    let shell = Shell::bare();
    shell.types("init --timezone UTC --recovery-file recovery --quiet").sees(0, "", "");
    shell.write("flows.json", &format!("[\"{}\"]", hex::encode(&noise(1, 50_000)[..])));
    fs::create_dir(shell.path("data")).unwrap();
    fs::create_dir(shell.path("drills")).unwrap();
    for (number, name) in [(2, "stays"), (3, "goes")] {
        fs::write(shell.path("data").join(name), &noise(number, 300_000)[..]).unwrap();
    }
    let here = shell.folder.path().display().to_string();
    // Each phase waits for nothing as long as its file is not there. Asked to end, the dump takes no notice.
    shell.write(
        "phase",
        &format!(
            "if [ -e {here}/stop-$1 ]; then if [ $1 = dump ]; then trap '' TERM; fi; echo $$ >>{here}/pids; \
             touch {here}/met; while :; do sleep 0.1; done; fi\n"
        ),
    );
    let when = "cron = \"0 0 1 1 *\"\nrun_on_start = true\n";
    shell.write(
        "larder.toml",
        &format!(
            "[repository]\npath = \"{here}/repository\"\nkey_file = \"{here}/key\"\n[schedule]\n{when}\
             [retention]\nlast = 1\n[prune]\n{when}grace = \"0s\"\nmax_unused = 0\n[check]\n{when}parts = 1\n\
             [drill]\n{when}directory = \"{here}/drills\"\n\
             [notify.team]\nkind = \"webhook\"\nurl = \"{}\"\non = [\"success\", \"failure\"]\n\
             [source.files]\nkind = \"directory\"\npaths = [\"{here}/data\"]\n\
             [source.files.drill]\nchecks = [{{ command = \"sh {here}/phase drill\" }}]\n\
             [source.flows]\nkind = \"command\"\nfile = \"flows.json\"\n\
             command = \"sh {here}/phase dump; cat {here}/flows.json; \
             if [ -e {here}/stop-store ]; then head -c 3000000 /dev/urandom; sh {here}/phase store; fi\"\n\
             [source.flows.hooks]\nbefore = \"echo before >>{here}/hooks; sh {here}/phase before\"\n\
             after = \"echo after >>{here}/hooks\"\n",
            team.url("/team")
        ),
    );
    shell
}

fn entries(folder: &Path) -> usize {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    names.filter(|name| !name.to_string_lossy().starts_with('.')).count()
}

fn is_alive(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z'))
}

/// Nothing that a daemon began goes on after its end, and what is bound to run has.
fn nothing_is_left(shell: &Shell, phase: &str) {
    let pids = fs::read_to_string(shell.path("pids")).unwrap_or_default();
    wait_for(phase, || !pids.lines().any(is_alive));
    let hooks = |which: &str| shell.read("hooks").lines().filter(|line| *line == which).count();
    wait_for("the hook after", || hooks("before") == hooks("after"));
    for file in ["pids", "met"] {
        let _was_not_there = fs::remove_file(shell.path(file));
    }
    shell.types("check --quiet").sees(0, "", "");
}

/// A new daemon does all of it.
fn goes_on(shell: &Shell, phase: &str) {
    let _was_not_there = fs::remove_file(shell.path(&format!("stop-{phase}")));
    let next = Daemon::start(shell, "daemon", "log");
    next.says(1, "next: ");
    next.signal("TERM");
    assert_eq!(next.ends().code(), Some(0));
    let log = shell.read("log");
    for done in ["files: done", "flows: done", "prune: done", "check: done", "drill: done: files", "drill: done: flows"]
    {
        assert!(log.contains(done), "{phase}: {done}\n{log}");
    }
    assert!(!log.contains("error") && !log.contains("warning"), "{phase}\n{log}");
    assert_eq!(entries(&shell.path("drills")), 0, "{phase}");
    nothing_is_left(shell, phase);
    shell.types("check --read-data --quiet").sees(0, "", "");
    let listed = shell.types("snapshots --json").json();
    // Of each source the newest, and the one that was proven before it.
    assert!((2..=4).contains(&listed.as_array().unwrap().len()), "{phase}: {listed}");
    assert_eq!(shell.types("cat flows@latest:flows.json").stdout, shell.read("flows.json"));
    shell.types("restore files@latest --to back --existing replace --quiet").sees(0, "", "");
    assert!(fs::read(shell.path("back/stays")).unwrap()[..] == noise(2, 300_000)[..]);
}

/// A pack of which a part is in no snapshot after the next run: prune reads what is to be kept of it.
fn to_repack(shell: &Shell, seed: u64) -> PathBuf {
    let before = packs(&shell.path("repository"));
    let proven = |kept: Option<u64>, goes: u64| {
        for (name, seed) in kept.map(|seed| ("kept", seed)).into_iter().chain([("goes", goes)]) {
            fs::write(shell.path("data").join(name), &noise(seed, 300_000)[..]).unwrap();
        }
        shell.types("run files --quiet").sees(0, "", "");
        shell.types("drill files --quiet").sees(0, "", "");
    };
    proven(Some(1000 + seed), 2000 + seed);
    let new = packs(&shell.path("repository")).into_iter().find(|pack| !before.contains(pack)).unwrap();
    proven(None, 3000 + seed);
    new
}

/// Starts a daemon, and ends it once it is that far.
fn end_in(shell: &Shell, team: &Web, phase: &str, signal: &str, held: Option<&Path>) {
    let hold = held.map(|pack| Hold::new(&[pack.to_owned()]));
    let entries_of_the_log = || entries(&shell.path("repository/log"));
    let (log, told) = (entries_of_the_log(), team.asked().len());
    let daemon = Daemon::start(shell, "daemon", "log-ended");
    wait_for(phase, || match phase {
        "wait" => shell.read("log-ended").contains("next: "),
        // The first snapshot, what it pushed out of its place, the second one.
        "retention" => entries_of_the_log() >= log + 3,
        "tell" => team.asked().len() > told,
        _ => shell.path("met").exists() || hold.as_ref().is_some_and(Hold::is_met),
    });
    daemon.signal(signal);
    let ended = daemon.ends();
    drop(hold);
    match (phase, signal) {
        ("wait", "TERM") => assert_eq!(ended.code(), Some(0)),
        (_, "TERM") => assert_eq!(ended.signal(), Some(15), "{phase}\n{}", shell.read("log-ended")),
        _ => assert_eq!(ended.signal(), Some(9), "{phase}"),
    }
    nothing_is_left(shell, phase);
}

#[test]
fn a_daemon_that_is_ended_in_any_phase_leaves_all_of_it_to_the_next_one() {
    let folder = tempfile::tempdir().unwrap();
    let stop = folder.path().join("stop-tell");
    let stopped = stop.clone();
    let team = Web::start(move |_| {
        while stopped.exists() {
            thread::sleep(Duration::from_millis(10));
        }
        Reply::new(200, "text/plain", "thanks")
    });
    let shell = configured(&team);
    shell.write("hooks", "");
    goes_on(&shell, "none");
    let pack = |at: usize| Some(packs(&shell.path("repository")).remove(at));
    for phase in ["wait", "before", "verify", "check", "dump", "store", "retention", "prune", "drill", "tell"] {
        let held = match phase {
            // What the command prints is known: nothing but the look at it reads this pack.
            "verify" => pack(1),
            // Files did not change: nothing is read of theirs.
            "check" => pack(0),
            "prune" => Some(to_repack(&shell, team.asked().len() as u64)),
            _ => None,
        };
        let told = team.asked().len();
        // Nothing stops in the middle of that: by the time it is seen the daemon is further, but no further than a drill.
        let stop_in = if phase == "retention" { "drill" } else { phase };
        shell.write(&format!("stop-{stop_in}"), "");
        if phase == "tell" {
            fs::write(&stop, "").unwrap();
        }
        for signal in ["TERM", "KILL"] {
            end_in(&shell, &team, phase, signal, held.as_deref());
        }
        let _was_not_there = fs::remove_file(&stop);
        goes_on(&shell, stop_in);
        if phase == "prune" {
            // That was what prune wanted to read.
            shell.types("prune --grace 0s --quiet").sees(0, "", "");
            assert!(!held.unwrap().exists());
        }
        // Of runs that were cut off nobody is told; of the next one they are, once.
        let heard = if ["wait", "tell"].contains(&phase) { 3 } else { 1 };
        let all: Vec<String> =
            team.asked()[told..].iter().map(|asked| String::from_utf8_lossy(&asked.body).into_owned()).collect();
        assert_eq!(all.len(), heard, "{phase}: {all:#?}");
        assert!(all.iter().all(|one| one.contains("\"status\":\"done\"")), "{phase}: {all:#?}");
    }
}
