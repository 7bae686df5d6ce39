//! Telling what will not compress from a sample of its bytes.

/// Bytes looked at.
const SAMPLE: usize = 2048;
/// Below this nothing is judged: short files are cheap to try.
const LEN_MIN: usize = 2048;

/// Whether bytes look random: a histogram of a sample is as flat as chance would make it.
///
/// With 2048 samples over 256 values chance gives a chi-square of 255, give or take 23; text, code and most binary
/// data give thousands. Compressed and encrypted data give what chance gives, or little more.
pub fn looks_random(bytes: &[u8]) -> bool {
    if bytes.len() < LEN_MIN {
        return false;
    }
    let mut counts = [0u32; 256];
    // Four runs spread over the chunk: a header or a tail alone decides nothing.
    let run = SAMPLE / 4;
    let stride = (bytes.len() - run) / 3;
    for n in 0..4 {
        for &byte in &bytes[n * stride..][..run] {
            counts[usize::from(byte)] += 1;
        }
    }
    let squares: u64 = counts.iter().map(|&count| u64::from(count) * u64::from(count)).sum();
    // chi-square = sum(count²) * 256 / SAMPLE - SAMPLE
    let chi_square = (squares * 256 / SAMPLE as u64).saturating_sub(SAMPLE as u64);
    chi_square < CHI_SQUARE_MAX
}

/// Between chance and here at most 1 % would be saved (measured on pictures, music and packages).
const CHI_SQUARE_MAX: u64 = 1000;

#[cfg(test)]
#[path = "random_tests.rs"]
mod tests;
