use std::io::Cursor;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

/// A stream of three bytes that counts how often it was given back, be it by being dropped.
struct Taken {
    bytes: Cursor<&'static [u8]>,
    given_back: Arc<AtomicUsize>,
    check: Result<(), &'static str>,
    gives: Result<(), &'static str>,
}

impl Read for Taken {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.bytes.read(buffer)
    }
}

impl Stream for Taken {
    fn check(&mut self) -> Result<(), String> {
        self.check.map_err(str::to_owned)
    }

    fn give_back(self: Box<Self>) -> Result<(), String> {
        self.gives.map_err(str::to_owned)
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.given_back.fetch_add(1, Ordering::SeqCst);
    }
}

/// What becomes of a stream that is read to its end, and how often it was given back.
fn verdict(check: Result<(), &'static str>, gives: Result<(), &'static str>) -> (Verdict, usize) {
    let given_back = Arc::new(AtomicUsize::new(0));
    let counted = given_back.clone();
    let open = move || -> Result<Box<dyn Stream>, String> {
        let given_back = counted.clone();
        Ok(Box::new(Taken { bytes: Cursor::new(b"abc"), given_back, check, gives }))
    };
    let source = OpenedSource::new(
        vec![Pending { name: b"x".to_vec(), open: Arc::new(open) }],
        Owner::default(),
        Time::default(),
    );
    let mut verdict = None;
    source
        .unwrap()
        .walk(&mut |found| {
            let Found::Entry(Candidate { mut entry, reader }) = found else { panic!("a problem") };
            let mut content = reader.open(&mut entry).unwrap();
            let mut buffer = [0; 10];
            assert_eq!((content.read(&mut buffer).unwrap(), &buffer[..3]), (3, &b"abc"[..]));
            verdict = Some(content.finish(&mut entry, 3));
            ControlFlow::Continue(())
        })
        .unwrap();
    (verdict.unwrap(), given_back.load(Ordering::SeqCst))
}

#[test]
fn what_was_taken_is_given_back_whatever_came_of_it() {
    let (half, there) = (Err("not whole"), Err("it is still there"));
    assert_eq!(verdict(Ok(()), Ok(())), (Verdict::Steady, 1));
    assert_eq!(verdict(half, Ok(())), (Verdict::Failed("not whole".to_owned()), 1));
    assert_eq!(verdict(Ok(()), there), (Verdict::Remarked("it is still there".to_owned()), 1));
    assert_eq!(verdict(half, there), (Verdict::Failed("not whole\nit is still there".to_owned()), 1));
}

/// The readers of two streams that are read in turn.
fn two_in_turn() -> [Box<dyn Reader>; 2] {
    let streams = ["a", "b"].map(|name| Pending::held(name, Zeroizing::new(b"abc".to_vec())));
    let source = OpenedSource::new(streams.into(), Owner::default(), Time::default()).unwrap().in_turn();
    let mut readers = Vec::new();
    let walked = source.walk(&mut |found| {
        let Found::Entry(Candidate { reader, .. }) = found else { panic!("a problem") };
        readers.push(reader);
        ControlFlow::Continue(())
    });
    walked.unwrap();
    readers.try_into().unwrap_or_else(|_| panic!("two"))
}

#[test]
fn streams_in_turn_are_opened_when_the_one_before_has_ended_or_never_begins() {
    let mut entry = stream_entry(b"a", &Owner::default(), Time::default());
    let [first, second] = two_in_turn();
    let content = first.open(&mut entry).unwrap();
    let (says, opened) = channel();
    let mut other = entry.clone();
    let waiting = std::thread::spawn(move || says.send(second.open(&mut other).is_ok()));
    assert!(opened.recv_timeout(std::time::Duration::from_millis(100)).is_err());
    content.finish(&mut entry, 3);
    assert_eq!(opened.recv(), Ok(true));
    waiting.join().unwrap().unwrap();

    let [first, second] = two_in_turn();
    drop(first);
    assert!(second.open(&mut entry).is_ok());
}
