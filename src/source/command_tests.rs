use std::ops::ControlFlow;
use std::time::Instant;

use zeroize::Zeroizing;

use super::{CommandSource, Output};
use crate::child::TAIL_BYTES_MAX;
use crate::format::Time;
use crate::format::listing::{Node, Owner};
use crate::source::{Error, Found, Source, Verdict};

fn shell(script: &str) -> CommandSource {
    let arguments = vec!["-c".into(), script.into()];
    CommandSource::new(b"out", Owner::default(), Time::default(), "sh".into(), arguments).unwrap()
}

/// Reads up to `limit` bytes, then finishes.
fn read(script: &str, limit: u64) -> (u64, Verdict) {
    let mut outcome = None;
    let visit = &mut |found| {
        let Found::Entry(mut candidate) = found else { panic!("a problem") };
        let mut content = candidate.reader.open(&mut candidate.entry).unwrap();
        let (mut bytes, mut buffer) = (0, vec![0; 50_000]);
        while bytes < limit {
            match content.read(&mut buffer).unwrap() {
                0 => break,
                filled => bytes += filled as u64,
            }
        }
        let verdict = content.finish(&mut candidate.entry, bytes);
        let Node::File { bytes: length, .. } = candidate.entry.node else { panic!("no file") };
        assert_eq!(length, bytes);
        outcome = Some((bytes, verdict));
        ControlFlow::Continue(())
    };
    shell(script).walk(visit).unwrap();
    outcome.unwrap()
}

#[test]
fn the_output_of_a_command_that_succeeds_is_stored() {
    assert_eq!(read("echo warning >&2; head -c 1000000 /dev/zero", u64::MAX), (1_000_000, Verdict::Steady));
}

#[test]
fn a_command_that_fails_after_its_output_fails_the_backup_in_its_own_words() {
    let (bytes, verdict) = read("echo hello; echo 'table is locked' >&2; exit 3", u64::MAX);
    let Verdict::Failed(message) = verdict else { panic!("{verdict:?}") };
    assert!(bytes == 6 && message.contains("table is locked") && message.contains('3'), "{message}");
}

#[test]
fn a_command_that_is_killed_fails_too() {
    assert!(matches!(read("kill -9 $$", u64::MAX).1, Verdict::Failed(_)));
}

#[test]
fn of_endless_complaints_the_end_is_kept() {
    let (_, verdict) = read("yes 0123456789 | head -c 1000000 >&2; echo last >&2; exit 1", u64::MAX);
    let Verdict::Failed(message) = verdict else { panic!("{verdict:?}") };
    assert!(message.ends_with("last") && message.len() <= TAIL_BYTES_MAX + 100, "{}", message.len());
}

#[test]
fn a_command_nobody_listens_to_any_more_ends() {
    assert!(matches!(read("exec yes", 10).1, Verdict::Failed(_)));
}

#[test]
fn a_command_dropped_unread_is_killed() {
    let started = Instant::now();
    let visit = &mut |found| {
        let Found::Entry(mut candidate) = found else { panic!("a problem") };
        drop(candidate.reader.open(&mut candidate.entry).unwrap());
        ControlFlow::Continue(())
    };
    shell("exec sleep 60").walk(visit).unwrap();
    assert!(started.elapsed().as_secs() < 30);
}

#[test]
fn a_command_that_is_not_there_fails_the_backup() {
    let source =
        CommandSource::new(b"out", Owner::default(), Time::default(), "/no/such/program".into(), vec![]).unwrap();
    let mut verdict = None;
    let visit = &mut |found| {
        let Found::Entry(mut candidate) = found else { panic!("a problem") };
        let content = candidate.reader.open(&mut candidate.entry).unwrap();
        verdict = Some(content.finish(&mut candidate.entry, 0));
        ControlFlow::Continue(())
    };
    source.walk(visit).unwrap();
    let Some(Verdict::Failed(message)) = verdict else { panic!("{verdict:?}") };
    assert!(message.starts_with("cannot start /no/such/program\n"), "{message}");
    assert!(!source.replayable());
}

#[test]
fn several_commands_are_a_file_each_and_come_in_the_order_of_listings() {
    let output = |name: &str| Output {
        name: name.into(),
        program: "sh".into(),
        arguments: vec!["-c".into(), "printf %s \"$SECRET\"".into()],
        variables: vec![("SECRET".into(), Zeroizing::new(name.repeat(2)))],
    };
    let several = |names: &[&str]| {
        let outputs = names.iter().map(|name| output(name)).collect();
        CommandSource::several(outputs, Owner::default(), Time::default())
    };
    let mut seen = Vec::new();
    let visit = &mut |found| {
        let Found::Entry(mut candidate) = found else { panic!("a problem") };
        let mut content = candidate.reader.open(&mut candidate.entry).unwrap();
        let mut buffer = vec![0; 64];
        let bytes = content.read(&mut buffer).unwrap();
        assert_eq!(content.finish(&mut candidate.entry, bytes as u64), Verdict::Steady);
        seen.push((
            String::from_utf8(candidate.entry.path).unwrap(),
            String::from_utf8(buffer[..bytes].to_vec()).unwrap(),
        ));
        ControlFlow::Continue(())
    };
    several(&["b.sql", "a.sql"]).unwrap().walk(visit).unwrap();
    assert_eq!(seen, [("a.sql".to_owned(), "a.sqla.sql".to_owned()), ("b.sql".to_owned(), "b.sqlb.sql".to_owned())]);
    assert!(matches!(several(&["a", "a"]), Err(Error::Name { .. })));
}
