use super::*;

fn printing(script: &str, silence: Duration) -> Printing {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    Printing::start(command, silence).unwrap()
}

fn read(printing: &mut Printing) -> io::Result<String> {
    let mut text = String::new();
    printing.read_to_string(&mut text).map(|_| text)
}

#[test]
fn all_of_it_comes_and_then_how_it_ended() {
    let long = Duration::from_secs(600);
    let mut good = printing("echo one; echo two; echo said >&2", long);
    assert_eq!((read(&mut good).unwrap().as_str(), good.ended()), ("one\ntwo\n", Ok(())));
    let mut bad = printing("echo one; echo 'no more' >&2; exit 3", long);
    assert_eq!(read(&mut bad).unwrap(), "one\n");
    assert_eq!(bad.ended().unwrap_err(), "sh failed: exit status: 3\nno more");
    let missing = Printing::start(Command::new("/no/such/program"), long).err().unwrap();
    assert!(missing.starts_with("cannot start /no/such/program: "), "{missing}");
}

#[test]
fn what_is_silent_for_too_long_or_read_no_more_is_ended_with_what_it_started() {
    let mut silent = printing("sleep 600 & sleep 600", Duration::from_millis(300));
    let error = read(&mut silent).unwrap_err();
    assert!(error.kind() == ErrorKind::TimedOut && error.to_string().contains("said nothing for 0 seconds"), "{error}");
    drop(silent);
    let folder = tempfile::tempdir().unwrap();
    let mark = folder.path().join("ended");
    let script = format!("(trap 'echo >{}; exit' TERM; echo one; while :; do sleep 0.01; done)", mark.display());
    let mut left = printing(&script, Duration::from_secs(600));
    left.read_exact(&mut [0; 4]).unwrap();
    drop(left);
    assert!(mark.exists());
}

#[test]
fn what_prints_no_more_and_never_ends_is_ended() {
    let mut stays = printing("exec >&-; sleep 600", Duration::from_millis(300));
    assert_eq!(read(&mut stays).unwrap(), "");
    assert!(stays.ended().unwrap_err().contains("sh took longer than 0 seconds and was ended"));
}
