use std::collections::HashSet;
use std::io;
use std::sync::{Arc, Mutex};
use std::thread::ThreadId;

use crossbeam_channel::unbounded;
use proptest::prelude::*;

use super::*;
use crate::chunking::Sizes;
use crate::crypto::keys::RootKey;
use crate::crypto::secret::Secret;
use crate::format::Time;
use crate::format::content::Content as Chunks;

/// How content comes to its end, and what is to be thought of it.
#[derive(Clone, Copy)]
enum Ending {
    Whole(fn() -> Verdict),
    Broken(fn() -> Verdict),
}

const GOOD: Ending = Ending::Whole(|| Verdict::Steady);

/// Content from memory.
struct Given {
    bytes: Vec<u8>,
    at: usize,
    ending: Ending,
    /// Every thread that read.
    readers: Arc<Mutex<HashSet<ThreadId>>>,
}

impl Given {
    fn new(bytes: &[u8], ending: Ending) -> Self {
        Self { bytes: bytes.to_vec(), at: 0, ending, readers: Arc::default() }
    }
}

impl Content for Given {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.readers.lock().unwrap().insert(std::thread::current().id());
        let len = buffer.len().min(self.bytes.len() - self.at);
        buffer[..len].copy_from_slice(&self.bytes[self.at..][..len]);
        if len < buffer.len() && matches!(self.ending, Ending::Broken(_)) {
            return Err(io::Error::other("bad sector"));
        }
        self.at += len;
        Ok(len)
    }

    fn finish(self: Box<Self>, _: &mut Entry, bytes_read: u64) -> Verdict {
        assert_eq!(bytes_read, self.at as u64);
        match self.ending {
            Ending::Whole(verdict) | Ending::Broken(verdict) => verdict(),
        }
    }
}

fn entry(bytes: u64) -> Entry {
    let time = Time::default();
    Entry {
        mtime: time,
        ctime: time,
        ..Entry::new(b"stream".to_vec(), Node::File { bytes, content: Chunks::EMPTY, extents: None }, 0o600)
    }
}

fn keys() -> Keys {
    Keys::new(&RootKey::new(Secret::new([3; 32])))
}

fn reading(keys: &Keys) -> Reading<'_> {
    let chunker = Chunker::new(Sizes { min: 256, average: 1024, max: 4096 }, keys.gear());
    Reading { keys, buffers: buffers(&chunker), chunker }
}

/// Lengths and names of all chunks, and all bytes, as the assembler would see them; and how it ended.
struct Seen {
    cuts: Vec<(u32, ChunkId)>,
    bytes: Vec<u8>,
    end: Option<End>,
}

fn see(reading: &Reading<'_>, content: Given, expected: u64) -> Seen {
    let (sender, pieces) = bounded(Limits::PIECES);
    std::thread::scope(|scope| {
        scope.spawn(move || send_pieces(reading, entry(expected), Box::new(content), &sender));
        let mut seen = Seen { cuts: Vec::new(), bytes: Vec::new(), end: None };
        for Piece { bytes, start, cuts, end } in pieces {
            assert!(seen.end.is_none(), "nothing comes after the end");
            let len: usize = cuts.iter().map(|cut| cut.bytes as usize).sum();
            seen.cuts.extend(cuts.iter().map(|cut| (cut.bytes, cut.id)));
            seen.bytes.extend_from_slice(&bytes[start..][..len]);
            seen.end = end;
            reading.buffers.give(bytes);
        }
        seen
    })
}

fn read_all(reading: &Reading<'_>, bytes: &[u8], expected: u64) -> (Vec<(u32, ChunkId)>, Vec<u8>) {
    let seen = see(reading, Given::new(bytes, GOOD), expected);
    assert!(matches!(seen.end, Some(End::Done(_, Verdict::Steady))));
    (seen.cuts, seen.bytes)
}

/// Names of the chunks of what is in memory as a whole.
fn cut_whole(reading: &Reading<'_>, bytes: &[u8]) -> Vec<(u32, ChunkId)> {
    let (mut cuts, mut rest) = (Vec::new(), bytes);
    while !rest.is_empty() {
        let (chunk, after) = rest.split_at(reading.chunker.cut(rest));
        cuts.push((chunk.len() as u32, reading.keys.data_id(chunk)));
        rest = after;
    }
    cuts
}

fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut word = seed | 1;
    std::iter::repeat_with(|| {
        word = word.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (word >> 56) as u8
    })
    .take(len)
    .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn bytes_are_cut_alike_however_much_was_expected(
        len in 0usize..(3 << 20),
        expected in prop_oneof![0u64..(4 << 20), Just(Limits::LONG_BYTES - 1), Just(Limits::LONG_BYTES)],
        seed in any::<u64>(),
    ) {
        let (keys, bytes) = (keys(), noise(len, seed));
        let reading = reading(&keys);
        let whole = cut_whole(&reading, &bytes);
        // The second time the buffers are full of the first.
        for expected in [len as u64, expected] {
            let (cuts, read) = read_all(&reading, &bytes, expected);
            prop_assert!(read == bytes);
            prop_assert_eq!(&whole, &cuts);
        }
    }
}

#[test]
fn lengths_around_a_piece_lose_no_byte() {
    let (keys, piece) = (keys(), Limits::PIECE_BYTES);
    let reading = reading(&keys);
    for len in [0, 1, 255, 4096, piece - 1, piece, piece + 1, 2 * piece - 1, 2 * piece, 2 * piece + 1] {
        let bytes = noise(len, 9);
        for expected in [0, len as u64, len as u64 / 2, Limits::LONG_BYTES] {
            let (cuts, read) = read_all(&reading, &bytes, expected);
            assert!(read == bytes, "{len} bytes, {expected} expected");
            assert_eq!(cuts, cut_whole(&reading, &bytes));
        }
    }
}

#[test]
fn a_stream_that_proves_long_goes_on_as_it_began() {
    let keys = keys();
    let reading = reading(&keys);
    let bytes = noise(Limits::LONG_BYTES as usize + 3 * Limits::PIECE_BYTES + 77, 4);
    let (cuts, read) = read_all(&reading, &bytes, 0);
    assert!(read == bytes);
    assert_eq!(cuts, cut_whole(&reading, &bytes));
}

#[test]
fn only_a_long_file_is_worth_a_thread() {
    let keys = keys();
    let reading = reading(&keys);
    let bytes = noise(2 * Limits::PIECE_BYTES, 5);
    for (expected, here) in [(0, true), (Limits::LONG_BYTES - 1, true), (Limits::LONG_BYTES, false)] {
        let content = Given::new(&bytes, GOOD);
        let readers = content.readers.clone();
        let (sender, _pieces) = unbounded();
        send_pieces(&reading, entry(expected), Box::new(content), &sender).unwrap();
        let me = HashSet::from([std::thread::current().id()]);
        assert_eq!(*readers.lock().unwrap() == me, here, "{expected} expected");
    }
}

#[test]
fn a_file_short_or_long_ends_as_its_content_says() {
    let keys = keys();
    let reading = reading(&keys);
    let bytes = noise(3 * Limits::PIECE_BYTES + 500, 6);
    for expected in [bytes.len() as u64, Limits::LONG_BYTES] {
        let end = |ending| see(&reading, Given::new(&bytes, ending), expected).end;
        assert!(matches!(end(Ending::Whole(|| Verdict::Changed)), Some(End::Done(_, Verdict::Changed))));
        let failed = end(Ending::Whole(|| Verdict::Failed("exit 1".into())));
        assert!(matches!(failed, Some(End::Done(_, Verdict::Failed(message))) if message == "exit 1"));
    }
}

#[test]
fn a_file_that_breaks_off_is_a_problem_and_a_stream_that_does_has_failed() {
    let keys = keys();
    let reading = reading(&keys);
    for len in [0, 10, 4096, 3 * Limits::PIECE_BYTES, 3 * Limits::PIECE_BYTES + 500] {
        let bytes = noise(len, 7);
        for expected in [0, len as u64 + 1, Limits::LONG_BYTES] {
            let file = see(&reading, Given::new(&bytes, Ending::Broken(|| Verdict::Steady)), expected);
            let Some(End::Problem(problem)) = file.end else { panic!("{len} bytes, {expected} expected") };
            assert!(problem.message.contains("bad sector"), "{}", problem.message);
            assert!(bytes.starts_with(&file.bytes));
            let stream = see(&reading, Given::new(&bytes, Ending::Broken(|| Verdict::Failed("cut".into()))), expected);
            assert!(matches!(stream.end, Some(End::Done(_, Verdict::Failed(message))) if message == "cut"));
        }
    }
}

#[test]
fn a_backup_that_failed_does_not_wait_for_a_long_file() {
    let keys = keys();
    let reading = reading(&keys);
    let bytes = noise(20 * Limits::PIECE_BYTES, 8);
    for expected in [bytes.len() as u64 / 4, Limits::LONG_BYTES] {
        let (sender, pieces) = bounded(Limits::PIECES);
        std::thread::scope(|scope| {
            let content = Given::new(&bytes, GOOD);
            let sending = scope.spawn(|| send_pieces(&reading, entry(expected), Box::new(content), &sender));
            assert!(pieces.recv().is_ok());
            drop(pieces);
            assert!(sending.join().unwrap().is_err());
        });
    }
}
