use super::*;

/// Bytes of a xorshift generator: nothing compresses them.
fn noise(len: usize) -> Vec<u8> {
    let mut word = 88_172_645_463_325_252_u64;
    std::iter::repeat_with(|| {
        word ^= word << 13;
        word ^= word >> 7;
        word ^= word << 17;
        word as u8
    })
    .take(len)
    .collect()
}

#[test]
fn noise_looks_random_whatever_its_length() {
    for len in [LEN_MIN, LEN_MIN + 1, 5000, 16 << 10, 64 << 10] {
        assert!(looks_random(&noise(len)), "{len} bytes");
    }
}

#[test]
fn what_is_short_is_not_judged() {
    assert!(!looks_random(&noise(LEN_MIN - 1)));
    assert!(!looks_random(&[]));
}

#[test]
fn text_zeros_and_counters_do_not_look_random() {
    let text: Vec<u8> = (0..4000u32).flat_map(|n| format!("row {n} of the table\n").into_bytes()).collect();
    let counters: Vec<u8> = (0..4000u32).flat_map(u32::to_le_bytes).collect();
    let base64: Vec<u8> = noise(16 << 10).into_iter().map(|byte| b'A' + byte % 64).collect();
    for (name, bytes) in [("text", text), ("zeros", vec![0; 16 << 10]), ("counters", counters), ("base64", base64)] {
        assert!(!looks_random(&bytes), "{name}");
    }
}

#[test]
fn a_random_head_does_not_hide_text_behind_it() {
    let mut bytes = noise(4 << 10);
    bytes.resize(16 << 10, b'x');
    assert!(!looks_random(&bytes));
}
