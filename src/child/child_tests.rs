use std::fs;
use std::io::Write;
use std::process::Command;
use std::time::{Duration, Instant};

use super::{TAIL_BYTES_MAX, feed, output_of, printed, run};

fn shell(script: &str, limit: Duration) -> Result<(), String> {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    run(command, limit)
}

const LONG: Duration = Duration::from_secs(60);
/// Enough for a shell to begin.
const SHORT: Duration = Duration::from_secs(2);

#[test]
fn success_is_silent_and_failure_tells_what_was_said() {
    shell("echo fine", LONG).unwrap();
    let error = shell("echo out; echo err >&2; exit 7", LONG).unwrap_err();
    assert!(error.contains("exit status: 7") && error.contains("out") && error.contains("err"), "{error}");
    let error = shell("yes | head -c 1000000; echo last; exit 1", LONG).unwrap_err();
    assert!(error.ends_with("last") && error.len() < TAIL_BYTES_MAX + 100, "{}", error.len());
    assert!(run(Command::new("/no/such/program"), LONG).unwrap_err().starts_with("cannot start /no/such/program"));
}

#[test]
fn what_takes_too_long_is_ended_with_all_it_started() {
    let folder = tempfile::tempdir().unwrap();
    let pids = folder.path().join("pids");
    let script = format!("sleep 600 & echo $! > {0}; echo waiting; wait", pids.display());
    let error = shell(&script, SHORT).unwrap_err();
    assert!(error.contains("took longer") && error.contains("waiting"), "{error}");
    let pid = fs::read_to_string(&pids).unwrap();
    let state = fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    // Gone, or a zombie that nobody has collected yet.
    assert!(state.is_empty() || state.contains(") Z"), "{state}");
}

/// It survived its shell.
#[test]
fn who_does_not_end_when_asked_is_made_to_though_the_shell_has_ended() {
    let folder = tempfile::tempdir().unwrap();
    let pids = folder.path().join("pids");
    let script = format!("sh -c 'trap \"\" TERM; echo $$ > {}; while :; do sleep 1; done' & wait", pids.display());
    shell(&script, SHORT).unwrap_err();
    let pid = fs::read_to_string(&pids).unwrap();
    let stat = || fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    // A process that is killed takes a moment to go.
    let begun = Instant::now();
    while !(stat().is_empty() || stat().contains(") Z")) {
        assert!(begun.elapsed() < LONG, "{}", stat());
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn what_a_command_prints_has_an_end() {
    assert_eq!(*output_of("printf abc", 3).unwrap(), b"abc");
    assert!(output_of("printf abcd", 3).unwrap_err().contains("more than 3 bytes"));
    assert!(output_of("yes", 1000).unwrap_err().contains("more than 1000 bytes"));
    assert!(output_of("printf abc; exit 3", 3).unwrap_err().contains("exit status: 3"));
}

#[test]
fn what_a_command_prints_is_what_it_prints_and_no_more_than_was_asked_for() {
    let shell = |script: &str| {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    };
    assert_eq!(**printed(shell("echo good; echo bad >&2"), 5, LONG).unwrap(), b"good\n"[..]);
    assert_eq!(
        printed(shell("echo good; echo bad >&2; exit 3"), 5, LONG).unwrap_err(),
        "sh failed: exit status: 3\nbad"
    );
    assert_eq!(printed(shell("yes"), 5, LONG).unwrap_err(), "sh prints more than 5 bytes");
    assert!(printed(Command::new("/no/such"), 5, LONG).unwrap_err().starts_with("cannot start /no/such"));
}

#[test]
fn what_prints_nothing_for_too_long_is_ended() {
    let mut command = Command::new("sh");
    command.args(["-c", "echo waiting >&2; sleep 600"]);
    assert_eq!(printed(command, 5, SHORT).unwrap_err(), "sh took longer than 2 seconds and was ended\nwaiting");
    // Nothing more comes, and still it does not end.
    let mut command = Command::new("sh");
    command.args(["-c", "echo all; exec >&-; sleep 600"]);
    assert_eq!(printed(command, 5, SHORT).unwrap_err(), "sh took longer than 2 seconds and was ended");
}

/// Half of something must not pass for the whole.
#[test]
fn what_is_fed_sees_an_end_only_of_the_whole() {
    let folder = tempfile::tempdir().unwrap();
    let taken = folder.path().join("taken");
    let taking = |script: &str| {
        let mut command = Command::new("sh");
        command.args(["-c", script, "sh"]).arg(&taken);
        command
    };
    let half = |stdin: &mut dyn Write| stdin.write_all(b"half").map_err(|error| error.to_string());
    let all = "cat >\"$1.new\" && mv \"$1.new\" \"$1\"";
    let broken = feed(taking(all), |stdin| half(stdin).and(Err("the rest is lost".to_owned())));
    assert_eq!((broken.unwrap_err().as_str(), taken.exists()), ("the rest is lost", false));
    feed(taking(all), half).unwrap();
    assert_eq!(fs::read_to_string(&taken).unwrap(), "half");
    // Who does not want more says why.
    let much = |stdin: &mut dyn Write| stdin.write_all(&vec![0; 1 << 20]).map_err(|error| error.to_string());
    assert_eq!(feed(taking("echo enough; exit 3"), much).unwrap_err(), "sh failed: exit status: 3\nenough");
    assert!(feed(taking("exec <&-; exit 0"), much).unwrap_err().contains("pipe"));
}
