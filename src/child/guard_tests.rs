use std::fs;
use std::thread;
use std::time::Duration;

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
