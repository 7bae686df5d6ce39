use super::*;

#[test]
fn a_buffer_given_back_is_taken_again_at_any_of_the_lengths() {
    let buffers = Buffers::new(100..=120, 2);
    let first = buffers.take(100);
    let at = first.as_ptr();
    buffers.give(first);
    let mut again = buffers.take(120);
    assert_eq!((again.as_ptr(), again.len()), (at, 120));
    again.truncate(7);
    buffers.give(again);
    let again = buffers.take(110);
    assert_eq!((again.as_ptr(), again.len()), (at, 110));
}

#[test]
fn other_lengths_are_not_kept() {
    let buffers = Buffers::new(100..=120, 2);
    for bytes in [0, 1, 99, 121, 5000] {
        let buffer = buffers.take(bytes);
        assert_eq!(buffer.len(), bytes);
        buffers.give(buffer);
        assert!(buffers.waiting().is_empty(), "{bytes}");
    }
}

#[test]
fn no_more_buffers_wait_than_may() {
    for waiting_max in [0, 2] {
        let buffers = Buffers::new(100..=120, waiting_max);
        let taken: Vec<Vec<u8>> = (0..5).map(|_| buffers.take(100)).collect();
        taken.into_iter().for_each(|buffer| buffers.give(buffer));
        assert_eq!(buffers.waiting().len(), waiting_max);
    }
}
