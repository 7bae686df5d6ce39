use std::ops::ControlFlow;
use std::time::Instant;

use super::{CommandSource, STDERR_BYTES_MAX};
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
    assert!(message.ends_with("last") && message.len() <= STDERR_BYTES_MAX + 100, "{}", message.len());
}

#[test]
fn a_command_nobody_listens_to_any_more_ends() {
    assert!(matches!(read("exec yes", 10).1, Verdict::Failed(_)));
}

#[test]
fn a_command_dropped_unread_is_killed() {
    let started = Instant::now();
    shell("exec sleep 60").walk(&mut |_| ControlFlow::Continue(())).unwrap();
    assert!(started.elapsed().as_secs() < 30);
}

#[test]
fn a_command_that_is_not_there_is_an_error() {
    let source =
        CommandSource::new(b"out", Owner::default(), Time::default(), "/no/such/program".into(), vec![]).unwrap();
    assert!(matches!(source.walk(&mut |_| ControlFlow::Continue(())), Err(Error::Spawn { .. })));
    assert!(!source.replayable());
}
