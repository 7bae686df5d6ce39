use std::sync::Mutex;
use std::thread;

use super::*;

#[test]
fn turns_are_taken_in_order_whoever_comes_first() {
    let (turns, taken) = (Turns::in_order(), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for number in (0..8).rev() {
            let (turns, taken) = (&turns, &taken);
            scope.spawn(move || turns.of(number).take(|| taken.lock().unwrap().push(number)));
        }
    });
    assert_eq!(taken.into_inner().unwrap(), (0..8).collect::<Vec<u64>>());
}

#[test]
fn a_turn_that_is_dropped_lets_everybody_go() {
    let turns = Turns::in_order();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| turns.of(5).take(|| 5));
        turns.of(0).take(|| ());
        drop(turns.of(1));
        assert_eq!(waiting.join().unwrap(), 5);
        let panicked = scope.spawn(|| turns.of(2).take(|| panic!("as a test")));
        assert!(panicked.join().is_err());
    });
    assert_eq!(turns.of(7).take(|| 7), 7);
    assert_eq!(Turns::as_it_comes().of(9).take(|| 9), 9);
}
