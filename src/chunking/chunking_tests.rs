use proptest::prelude::*;

use super::*;

const SMALL: Sizes = Sizes { min: 64, average: 256, max: 1024 };

/// The n-th word of a stream (SplitMix64).
fn word(seed: u64, n: u64) -> u64 {
    let mut z = seed.wrapping_add((n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn table(seed: u64) -> [u64; 256] {
    std::array::from_fn(|n| word(seed, n as u64))
}

fn noise(seed: u64, len: usize) -> Vec<u8> {
    (0..len as u64).map(|n| word(!seed, n) as u8).collect()
}

fn ends(chunker: &Chunker, bytes: &[u8]) -> Vec<usize> {
    let mut ends = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        at += chunker.cut(&bytes[at..]);
        ends.push(at);
    }
    ends
}

/// Cuts as a reader does: as soon as there are `max` bytes, or the content has ended.
fn ends_in_pieces(chunker: &Chunker, bytes: &[u8], mut pieces: impl Iterator<Item = usize>) -> Vec<usize> {
    let (mut ends, mut at, mut read) = (Vec::new(), 0, 0);
    while at < bytes.len() {
        if read - at >= chunker.sizes().max as usize || read == bytes.len() {
            at += chunker.cut(&bytes[at..read]);
            ends.push(at);
        } else {
            read = (read + pieces.next().unwrap_or(1)).min(bytes.len());
        }
    }
    ends
}

/// The rule as `format-spec/chunks.md` has it, a byte at a time.
fn cut_by_the_page(bytes: &[u8], sizes: Sizes, gear: &[u64; 256]) -> usize {
    let [min, average, max] = [sizes.min, sizes.average, sizes.max].map(|size| size as usize);
    let (small, large) = v2020::select_masks(average, Normalization::Level1);
    let n = bytes.len().min(max);
    if bytes.len() <= min {
        return bytes.len();
    }
    let centre = average.min(n) / 2 * 2;
    let mut hash = 0u64;
    for a in (min..n.saturating_sub(1)).step_by(2) {
        let mask = if a < centre { small } else { large };
        hash = (hash << 2).wrapping_add(gear[usize::from(bytes[a])] << 1);
        if hash & (mask << 1) == 0 {
            return a;
        }
        hash = hash.wrapping_add(gear[usize::from(bytes[a + 1])]);
        if hash & mask == 0 {
            return a + 1;
        }
    }
    n
}

#[test]
fn chunks_are_about_as_long_as_they_should_be() {
    let chunker = Chunker::new(Sizes::DEFAULT, table(3));
    let bytes = noise(4, 8 << 20);
    let average = bytes.len() / ends(&chunker, &bytes).len();
    assert!((12 << 10..24 << 10).contains(&average), "{average}");
}

#[test]
fn another_table_cuts_elsewhere() {
    let bytes = noise(4, 100_000);
    let [a, b] = [5, 6].map(|seed| ends(&Chunker::new(SMALL, table(seed)), &bytes));
    let shared = a.iter().filter(|end| b.contains(end)).count();
    assert!(shared * 20 < a.len(), "{shared} of {}", a.len());
}

#[test]
fn content_that_never_cuts_gives_the_largest_chunks() {
    let lengths = ends(&Chunker::new(SMALL, table(9)), &[0; 5000]);
    assert!(lengths.windows(2).all(|pair| pair[1] - pair[0] <= SMALL.max as usize));
    assert_eq!(Chunker::new(SMALL, table(9)).cut(&[]), 0);
}

#[test]
fn a_chunker_does_not_print_its_table() {
    assert_eq!(
        format!("{:?}", Chunker::new(SMALL, table(9))),
        "Chunker { sizes: Sizes { min: 64, average: 256, max: 1024 }, .. }"
    );
}

#[test]
fn sizes_that_the_chunker_cannot_work_with_are_not_allowed() {
    assert!(SMALL.allowed() && Sizes::DEFAULT.allowed());
    assert!(Sizes { min: 64, average: 4 << 20, max: 8 << 20 }.allowed());
    for (min, average, max) in
        [(62, 256, 1024), (65, 256, 1024), (64, 300, 1024), (64, 128, 1024), (64, 256, 1023), (512, 256, 1024)]
    {
        assert!(!Sizes { min, average, max }.allowed(), "{min} {average} {max}");
    }
    assert!(!Sizes { min: 64, average: 256, max: (8 << 20) + 2 }.allowed());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn cuts_do_not_depend_on_how_the_content_is_read(
        seed: u64, len in 0..20_000usize, pieces in prop::collection::vec(1..3000usize, 1..50)
    ) {
        let chunker = Chunker::new(SMALL, table(seed));
        let bytes = noise(seed ^ 99, len);
        let whole = ends(&chunker, &bytes);
        prop_assert_eq!(ends_in_pieces(&chunker, &bytes, pieces.into_iter().cycle()), whole.clone());
        prop_assert_eq!(ends_in_pieces(&chunker, &bytes, std::iter::repeat(1)), whole);
    }

    #[test]
    fn chunks_keep_to_their_bounds(seed: u64, len in 0..20_000usize) {
        let ends = ends(&Chunker::new(SMALL, table(seed)), &noise(seed ^ 98, len));
        let starts = std::iter::once(0).chain(ends.iter().copied());
        for (start, end) in starts.zip(&ends) {
            prop_assert!(end - start <= SMALL.max as usize);
            prop_assert!(end - start >= SMALL.min as usize || *end == len);
        }
        prop_assert_eq!(ends.last().copied().unwrap_or(0), len);
    }

    #[test]
    fn cuts_are_those_of_the_page(seed: u64, len in 0..3000usize, bits in 8u32..12) {
        let sizes = Sizes { min: 1 << (bits - 2), average: 1 << bits, max: 4 << bits };
        let gear = table(seed);
        let bytes = noise(seed ^ 96, len);
        prop_assert_eq!(Chunker::new(sizes, gear).cut(&bytes), cut_by_the_page(&bytes, sizes, &gear));
    }

    #[test]
    fn an_insertion_moves_cuts_near_it_only(seed: u64, at in 0..40_000usize, inserted in 1..500usize) {
        let chunker = Chunker::new(SMALL, table(seed));
        let before = noise(seed ^ 97, 60_000);
        let mut after = before.clone();
        after.splice(at..at, noise(seed ^ 95, inserted));
        let (before, after) = (ends(&chunker, &before), ends(&chunker, &after));
        // The byte behind a cut has a say in it.
        prop_assert!(before.iter().filter(|end| **end < at).all(|end| after.contains(end)));
        // Cuts meet again soon: chance decides when, and 16 KiB are about seventy chunks.
        let settled = before.iter().filter(|end| **end > at + (16 << 10));
        prop_assert!(settled.clone().all(|end| after.contains(&(end + inserted))));
    }
}
