//! Waiting for something that another process does.

use std::thread::sleep;
use std::time::Duration;

const PAUSE: Duration = Duration::from_millis(20);
/// Pauses that anything may take: it fails the test only when it never comes.
const PAUSES_MAX: u32 = 6000;

/// Waits until something is so.
#[track_caller]
pub fn wait_for(what: &str, mut so: impl FnMut() -> bool) {
    for _ in 0..PAUSES_MAX {
        if so() {
            return;
        }
        sleep(PAUSE);
    }
    panic!("waited in vain: {what}");
}
