use std::io::{self, Cursor, Read};
use std::ops::ControlFlow;

use super::StreamSource;
use crate::format::Time;
use crate::format::listing::{Node, Owner};
use crate::source::{Error, Found, Source, Verdict};

fn source(stream: impl Read + Send + 'static) -> StreamSource {
    let time = Time { seconds: 7, nanos: 0 };
    StreamSource::new(b"dump.sql", Owner::default(), time, Box::new(stream)).unwrap()
}

fn read(source: &dyn Source) -> (Vec<u8>, u64, Verdict) {
    let mut outcome = None;
    source
        .walk(&mut |found| {
            let Found::Entry(mut candidate) = found else { panic!("a problem") };
            let mut content = candidate.reader.open(&mut candidate.entry).unwrap();
            let mut bytes = Vec::new();
            let mut buffer = [0; 10];
            while let Ok(filled @ 1..) = content.read(&mut buffer) {
                bytes.extend_from_slice(&buffer[..filled]);
            }
            let verdict = content.finish(&mut candidate.entry, bytes.len() as u64);
            let Node::File { bytes: length, .. } = candidate.entry.node else { panic!("no file") };
            outcome = Some((bytes, length, verdict));
            ControlFlow::Continue(())
        })
        .unwrap();
    outcome.unwrap()
}

#[test]
fn a_stream_becomes_one_file_of_the_length_it_had() {
    let text: Vec<u8> = (0..=255).collect();
    assert_eq!(read(&source(Cursor::new(text.clone()))), (text, 256, Verdict::Steady));
    assert_eq!(read(&source(io::empty())), (Vec::new(), 0, Verdict::Steady));
}

#[test]
fn a_stream_that_breaks_off_fails_the_backup() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("torn"))
        }
    }
    let (_, _, verdict) = read(&source(Cursor::new(b"abc").chain(Broken)));
    assert!(matches!(verdict, Verdict::Failed(message) if message.contains("torn")));
}

#[test]
fn a_stream_is_walked_once() {
    let source = source(io::empty());
    read(&source);
    assert!(matches!(source.walk(&mut |_| ControlFlow::Continue(())), Err(Error::Spent)));
    assert!(!source.replayable());
}

#[test]
fn names_that_no_listing_may_hold_are_refused() {
    for name in [&b""[..], b"/a", b"..", b"a//b", b"a\0"] {
        let refused = StreamSource::new(name, Owner::default(), Time::default(), Box::new(io::empty()));
        assert!(matches!(refused, Err(Error::Name { .. })));
    }
}
