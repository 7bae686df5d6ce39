use std::io;

use crossbeam_channel::unbounded;
use proptest::prelude::*;

use super::*;
use crate::chunking::Sizes;
use crate::crypto::keys::RootKey;
use crate::crypto::secret::Secret;
use crate::format::Time;
use crate::format::content::Content as Chunks;

/// Gives its bytes in reads of its own liking, as pipes and network file systems do.
struct Fickle {
    bytes: Vec<u8>,
    at: usize,
}

impl Content for Fickle {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = buffer.len().min(self.bytes.len() - self.at);
        buffer[..len].copy_from_slice(&self.bytes[self.at..][..len]);
        self.at += len;
        Ok(len)
    }

    fn finish(self: Box<Self>, _: &mut Entry, _: u64) -> Verdict {
        Verdict::Steady
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

/// Lengths of all chunks, and all bytes, as the assembler would see them.
fn read_all(bytes: &[u8], expected: u64) -> (Vec<(u32, ChunkId)>, Vec<u8>) {
    let keys = Keys::new(&RootKey::new(Secret::new([3; 32])));
    let chunker = Chunker::new(Sizes { min: 256, average: 1024, max: 4096 }, keys.gear());
    let (sender, pieces) = unbounded();
    let content = Box::new(Fickle { bytes: bytes.to_vec(), at: 0 });
    let last = read(&keys, &chunker, entry(expected), content, &sender).expect("somebody listens");
    drop(sender);
    assert!(matches!(last.end, Some(End::Done(..))));
    let mut seen = (Vec::new(), Vec::new());
    for piece in pieces.into_iter().chain([last]) {
        seen.0.extend(piece.cuts.iter().map(|cut| (cut.bytes, cut.id)));
        seen.1.extend_from_slice(&piece.bytes);
    }
    seen
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
        expected in 0u64..(4 << 20),
        seed in any::<u64>(),
    ) {
        let bytes = noise(len, seed);
        let whole = read_all(&bytes, len as u64);
        let other = read_all(&bytes, expected);
        prop_assert_eq!(&whole.1, &bytes);
        prop_assert_eq!(whole, other);
    }
}

#[test]
fn lengths_around_a_piece_lose_no_byte() {
    let piece = Limits::PIECE_BYTES;
    for len in [0, 1, 255, 4096, piece - 1, piece, piece + 1, 2 * piece - 1, 2 * piece, 2 * piece + 1] {
        let bytes = noise(len, 9);
        for expected in [0, len as u64, len as u64 / 2] {
            let (cuts, read) = read_all(&bytes, expected);
            assert_eq!(read, bytes, "{len} bytes, {expected} expected");
            assert_eq!(cuts.iter().map(|cut| cut.0 as usize).sum::<usize>(), len);
        }
    }
}
