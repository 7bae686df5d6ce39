//! Calendar expressions of all sorts, the same in every run.

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

/// One field: what any cron reads.
fn field(first: u32, last: u32) -> impl Strategy<Value = String> {
    let number = first..=last;
    let range = (first..=last, first..=last).prop_map(|(a, b)| format!("{}-{}", a.min(b), a.max(b)));
    prop_oneof![
        4 => Just("*".to_owned()),
        3 => number.clone().prop_map(|number| number.to_string()),
        2 => range.clone(),
        1 => (2..=9_u32).prop_map(|step| format!("*/{step}")),
        1 => (range, 2..=5_u32).prop_map(|(range, step)| format!("{range}/{step}")),
        1 => prop::collection::vec(number.prop_map(|number| number.to_string()), 2..4)
            .prop_map(|numbers| numbers.join(",")),
    ]
}

/// So many of them. Dates that are rare or never come are left out: nobody wants to wait for them.
pub fn expressions(count: usize) -> Vec<String> {
    let whole = (field(0, 59), field(0, 23), field(1, 28), field(1, 12), field(0, 6));
    let whole = whole.prop_map(|(a, b, c, d, e)| format!("{a} {b} {c} {d} {e}"));
    let mut runner = TestRunner::deterministic();
    (0..count).map(|_| whole.new_tree(&mut runner).unwrap().current()).collect()
}

/// Those that people write, and those that are awkward.
pub const CHOSEN: [&str; 12] = [
    "0 2 * * *",
    "30 2 * * *",
    "15 1-3 * * *",
    "*/20 * * * *",
    "@hourly",
    "@weekly",
    "@monthly",
    "0 3 13 * fri",
    "0 3 */2 * 1-5",
    "59 23 31 12 *",
    "0 0 29-31 * 7",
    "5/10 0,12 * jan-mar/2 mon,wed",
];
