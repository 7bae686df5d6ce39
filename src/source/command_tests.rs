use std::ops::ControlFlow;
use std::time::Instant;

use zeroize::Zeroizing;

use super::{CommandSource, Entries, Input, Output};
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
fn the_output_of_a_command_that_succeeds_is_stored_and_its_warnings_are_kept() {
    assert_eq!(read("head -c 1000000 /dev/zero", u64::MAX), (1_000_000, Verdict::Steady));
    let said = Verdict::Remarked("sh said: table t has no key".to_owned());
    assert_eq!(read("echo table t has no key >&2; echo x", u64::MAX), (2, said));
    let (_, verdict) = read("seq 1000 >&2", u64::MAX);
    let last: Vec<String> = (991..=1000).map(|number| number.to_string()).collect();
    assert_eq!(verdict, Verdict::Remarked(format!("sh said: {}", last.join("\n"))));
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
        input: Input::None,
        entries: Entries::None,
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

/// A name, and what was read: content and verdict, or a problem.
type Read = (String, Result<(Vec<u8>, Verdict), String>);

/// Opens everything in order, each in a thread of its own, and reads it: names, contents, verdicts.
fn read_all(source: &CommandSource) -> Vec<Read> {
    let mut readers = Vec::new();
    let visit = &mut |found| {
        let Found::Entry(candidate) = found else { panic!("a problem") };
        readers.push(candidate);
        ControlFlow::Continue(())
    };
    source.walk(visit).unwrap();
    let read = |mut candidate: crate::source::Candidate| {
        let name = String::from_utf8(candidate.entry.path.clone()).unwrap();
        let mut content = match candidate.reader.open(&mut candidate.entry) {
            Ok(content) => content,
            Err(problem) => return (name, Err(problem.message)),
        };
        let (mut bytes, mut buffer) = (Vec::new(), vec![0; 1000]);
        loop {
            match content.read(&mut buffer).unwrap() {
                0 => break,
                filled => bytes.extend_from_slice(&buffer[..filled]),
            }
        }
        let verdict = content.finish(&mut candidate.entry, bytes.len() as u64);
        (name, Ok((bytes, verdict)))
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = readers.into_iter().map(|candidate| scope.spawn(|| read(candidate))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

fn dumps(outputs: &[(&str, &str)]) -> CommandSource {
    let output = |&(name, script): &(&str, &str)| Output {
        name: name.into(),
        program: "sh".into(),
        arguments: vec!["-c".into(), script.into()],
        variables: Vec::new(),
        input: Input::None,
        entries: Entries::Beside,
    };
    CommandSource::several(outputs.iter().map(output).collect(), Owner::default(), Time::default()).unwrap()
}

#[test]
fn the_entries_of_a_dump_are_a_list_beside_it() {
    let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/samples/pg_dump.sql");
    let cat = format!("cat {sample}");
    let read = read_all(&dumps(&[("app.sql", &cat), ("app.sql-x", &cat), ("app.sql/x", "echo no dump")]));
    let names: Vec<&str> = read.iter().map(|(name, _)| name.as_str()).collect();
    let expected = ["app.sql", "app.sql/x", "app.sql/x.entries", "app.sql-x", "app.sql-x.entries", "app.sql.entries"];
    assert_eq!(names, expected);
    let dump = std::fs::read(sample).unwrap();
    for at in [4, 5] {
        let Ok((list, Verdict::Steady)) = &read[at].1 else { panic!("{read:?}") };
        let entries = crate::dump::sidecar::decode(list.as_slice(), dump.len() as u64).unwrap();
        assert!(entries.entries.iter().any(|entry| entry.name == "shop.order items"));
    }
    // What is no dump is stored without a list, and that is said.
    assert_eq!(read[1].1, Ok((b"no dump\n".to_vec(), Verdict::Steady)));
    assert!(read[2].1.as_ref().unwrap_err().contains("no dump"));
}

#[test]
fn a_dump_that_fails_has_no_list_and_nobody_waits_for_it() {
    let read = read_all(&dumps(&[("a.sql", "exit 3"), ("b.sql", "kill -9 $$")]));
    assert_eq!(read.len(), 4);
    assert!(read.iter().all(|(_, read)| matches!(read, Ok((_, Verdict::Failed(_))))), "{read:?}");
    // Dropped unread.
    let mut waiting = None;
    let visit = &mut |found| {
        let Found::Entry(candidate) = found else { panic!("a problem") };
        waiting = Some(candidate);
        ControlFlow::Continue(())
    };
    dumps(&[("a.sql", "exec yes")]).walk(visit).unwrap();
    let mut waiting = waiting.unwrap();
    let content = waiting.reader.open(&mut waiting.entry).unwrap();
    assert!(matches!(content.finish(&mut waiting.entry, 0), Verdict::Failed(_)));
}

#[test]
fn an_output_that_has_the_name_of_a_list_is_kept() {
    let read = read_all(&dumps(&[("a.sql", "echo a"), ("a.sql.entries", "echo mine")]));
    assert_eq!(read[1], ("a.sql.entries".to_owned(), Ok((b"mine\n".to_vec(), Verdict::Steady))));
}
