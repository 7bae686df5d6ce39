use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use super::*;

const LONG: Duration = Duration::from_secs(60);

fn touching(path: &std::path::Path) -> Guard {
    Guard::new("sh", &["-c".to_owned(), "echo ran >>\"$0\"".to_owned(), path.display().to_string()], &[]).unwrap()
}

#[test]
fn it_runs_once_and_not_before_it_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let (released, dropped) = (folder.path().join("released"), folder.path().join("dropped"));
    let (first, second) = (touching(&released), touching(&dropped));
    thread::sleep(Duration::from_millis(50));
    assert!(!released.exists() && !dropped.exists());
    first.release(LONG).unwrap();
    drop(second);
    assert_eq!(fs::read_to_string(released).unwrap(), "ran\n");
    assert_eq!(fs::read_to_string(dropped).unwrap(), "ran\n");
}

#[test]
fn a_failure_is_told_in_its_own_words() {
    let guard = Guard::new("sh", &["-c".to_owned(), "echo no such container >&2; exit 7".to_owned()], &[]).unwrap();
    let error = guard.release(LONG).unwrap_err();
    assert!(error.contains("exit status: 7") && error.contains("no such container"), "{error}");
}

#[test]
fn one_that_is_taken_back_does_not_run() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disarmed");
    touching(&path).disarm();
    assert!(!path.exists());
}

#[test]
fn the_command_learns_how_it_ended() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("said");
    let script = "echo \"$LARDER_STATUS,$LARDER_SNAPSHOT\" >>\"$0\"".to_owned();
    let guard = || Guard::new("sh", &["-c".to_owned(), script.clone(), path.display().to_string()], &[]).unwrap();
    guard().release_saying("done", "abc", LONG).unwrap();
    drop(guard());
    assert_eq!(fs::read_to_string(path).unwrap(), "done,abc\nfailed,\n");
}

#[test]
fn it_waits_for_the_end_of_what_it_undoes() {
    let folder = tempfile::tempdir().unwrap();
    let (ran, go) = (folder.path().join("ran"), folder.path().join("go"));
    let guard = touching(&ran);
    let mut doing = Command::new("sh");
    // Leaves behind what goes on, as a killed larder does.
    doing.args(["-c", "exec 3<&0; while [ ! -e \"$0\" ]; do sleep 0.02; done &"]).arg(&go);
    guard.run(doing, LONG).unwrap();
    let gone = thread::spawn(move || drop(guard));
    thread::sleep(Duration::from_millis(100));
    assert!(!ran.exists());
    fs::write(go, "").unwrap();
    gone.join().unwrap();
    assert!(ran.exists());
}

#[test]
fn a_command_that_it_undoes_is_run_and_its_failure_told() {
    let folder = tempfile::tempdir().unwrap();
    let guard = touching(&folder.path().join("ran"));
    let mut command = Command::new("sh");
    command.args(["-c", "echo not now >&2; exit 3"]);
    let error = guard.run(command, LONG).unwrap_err();
    assert!(error.contains("exit status: 3") && error.contains("not now"), "{error}");
}

const MANNERS: Duration = Duration::from_millis(500);

/// As long as somebody of it is not a zombie.
fn lives(pid: &str) -> bool {
    fs::read_to_string(format!("/proc/{}/stat", pid.trim())).is_ok_and(|stat| !stat.contains(") Z"))
}

/// The ids that a script wrote, once there are so many.
fn pids(path: &std::path::Path, count: usize) -> Vec<String> {
    let begun = Instant::now();
    loop {
        assert!(begun.elapsed() < LONG, "{}", path.display());
        let written = fs::read_to_string(path).unwrap_or_default();
        if written.ends_with('\n') && written.lines().count() == count {
            return written.lines().map(str::to_owned).collect();
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// One of a group takes no notice, and one has left something behind that does not.
#[test]
fn who_of_a_group_does_not_end_when_asked_is_made_to() {
    let folder = tempfile::tempdir().unwrap();
    let written = folder.path().join("pids");
    let left = "sh -c 'trap \"\" TERM; echo $$ >>\"$0\"; while :; do sleep 1; done' \"$0\" &";
    for (deaf, count) in [("trap '' TERM;", 1), (left, 2)] {
        let leash = Guard::of_group(None, MANNERS).unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", &format!("{deaf} echo $$ >>\"$0\"; while :; do sleep 1; done")]).arg(&written);
        let mut child = command.process_group(leash.group()).spawn().unwrap();
        let all = pids(&written, count);
        drop(leash);
        child.wait().unwrap();
        // Who is killed ends a moment later.
        let begun = Instant::now();
        while all.iter().any(|pid| lives(pid)) {
            assert!(begun.elapsed() < LONG, "{deaf}");
            thread::sleep(Duration::from_millis(5));
        }
        fs::remove_file(&written).unwrap();
    }
}

/// It has its time, and nobody waits longer than it takes.
#[test]
fn who_ends_when_asked_is_not_hurried_and_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let written = folder.path().join("pids");
    let script = "trap 'sleep 0.3; echo bye >\"$0.bye\"; exit' TERM; echo $$ >\"$0\"; while :; do sleep 0.05; done";
    let polite = |group: i32| {
        let mut command = Command::new("sh");
        command.args(["-c", script]).arg(&written).process_group(group).spawn().unwrap()
    };
    let ended = |leash: Guard, child: &mut Child| {
        let begun = Instant::now();
        pids(&written, 1);
        drop(leash);
        assert!(begun.elapsed() < LONG);
        child.wait().unwrap();
        assert_eq!(fs::read_to_string(folder.path().join("pids.bye")).unwrap(), "bye\n");
        fs::remove_file(folder.path().join("pids.bye")).unwrap();
        fs::remove_file(&written).unwrap();
    };
    let leash = Guard::of_group(None, 2 * LONG).unwrap();
    let mut child = polite(leash.group());
    ended(leash, &mut child);
    let mut child = polite(0);
    ended(Guard::of_process(child.id(), 2 * LONG).unwrap(), &mut child);
}

#[test]
fn a_process_that_does_not_end_when_asked_is_made_to() {
    let folder = tempfile::tempdir().unwrap();
    let written = folder.path().join("pids");
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' TERM; echo $$ >\"$0\"; while :; do sleep 0.1; done"]).arg(&written);
    let mut child = command.spawn().unwrap();
    pids(&written, 1);
    drop(Guard::of_process(child.id(), MANNERS).unwrap());
    child.wait().unwrap();
}
