//! The commit protocol, every interleaving of it: an explicit-state search, breadth first.
//!
//! One piece of content, some packs that hold a copy of it each, a snapshot that is forgotten and may be brought back,
//! writers, pruners that condemn, sweep and repack, and writes that report failure and land late or not at all. Every
//! actor may stop for ever at any step. What must hold in every state: while a snapshot is live, a copy lies in a pack
//! that is stored, named, and neither condemned nor swept; and who reported success has a snapshot.
//!
//! Each rule of the protocol is also taken away, and the search must find what then goes wrong. The searches of the
//! normal run visit some 100,000 states; with `LARDER_TEST_ALL=1` two pruners and more uploads are searched as well.
//!
//! Left out on purpose: barriers and what a power cut undoes (`crash`), and damage.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasherDefault, Hasher};

use crate::support::exhaustive;
use rules::{Rules, State};

mod actors;
mod rules;

/// States visited, and the steps to the first one that must not be.
struct Search {
    states: usize,
    violation: Option<(&'static str, Vec<String>)>,
}

/// A fast hash: the states are no enemy's.
#[derive(Default)]
struct Mix(u64);

impl Hasher for Mix {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u8(*byte));
    }

    fn write_u8(&mut self, byte: u8) {
        self.0 = (self.0.rotate_left(5) ^ u64::from(byte)).wrapping_mul(0x517c_c1b7_2722_0a95);
    }
}

fn search(rules: &Rules) -> Search {
    let mut places: HashMap<State, u32, BuildHasherDefault<Mix>> = HashMap::default();
    let mut seen: Vec<(State, u32)> = vec![(State::first(), 0)];
    places.insert(State::first(), 0);
    let mut next = Vec::new();
    let mut at = 0;
    while at < seen.len() {
        let state = seen[at].0;
        if let Some(wrong) = state.wrong() {
            return Search { states: seen.len(), violation: Some((wrong, trace(rules, &seen, at))) };
        }
        actors::steps(&state, rules, &mut next);
        for (after, _) in next.drain(..) {
            if let Entry::Vacant(place) = places.entry(after) {
                place.insert(seen.len() as u32);
                seen.push((after, at as u32));
            }
        }
        at += 1;
    }
    Search { states: seen.len(), violation: None }
}

/// The steps from the first state to this one.
fn trace(rules: &Rules, seen: &[(State, u32)], mut at: usize) -> Vec<String> {
    let mut labels = Vec::new();
    let mut next = Vec::new();
    while at != 0 {
        let (state, before) = seen[at];
        actors::steps(&seen[before as usize].0, rules, &mut next);
        let step = next.drain(..).find(|(after, _)| *after == state).expect("it came from there");
        labels.push(format!("{}: {}", step.1.who, step.1.what));
        at = before as usize;
    }
    labels.reverse();
    labels
}

fn holds(rules: &Rules) {
    let search = search(rules);
    println!("{rules:?}: {} states", search.states);
    if let Some((wrong, steps)) = search.violation {
        panic!("{wrong}, after {} states:\n{}", search.states, steps.join("\n"));
    }
    assert!(search.states > 1_000, "only {} states", search.states);
}

fn breaks(rules: &Rules) {
    let search = search(rules);
    let (wrong, steps) = search.violation.unwrap_or_else(|| panic!("nothing breaks in {} states", search.states));
    println!("{wrong}, after {} states:\n{}", search.states, steps.join("\n"));
}

#[test]
fn a_writer_a_stream_and_a_pruner_keep_every_snapshot() {
    holds(&Rules { writes_may_land_late: exhaustive(), ..Rules::ALL });
}

#[test]
fn writes_that_land_late_do_no_harm() {
    holds(&Rules { writers: 1, rounds: 3, ..Rules::ALL });
}

#[test]
fn a_writer_and_two_pruners_keep_every_snapshot() {
    let rounds = if exhaustive() { 2 } else { 1 };
    holds(&Rules { writers: 1, pruners: 2, rounds, ..Rules::ALL });
}

#[test]
fn who_uploads_twice_keeps_every_snapshot() {
    holds(&Rules { writers: 1, uploads: 2, ..Rules::ALL });
    if exhaustive() {
        holds(&Rules { pruners: 2, rounds: 1, writes_may_land_late: false, ..Rules::ALL });
        holds(&Rules { uploads: 2, rounds: 3, writes_may_land_late: false, ..Rules::ALL });
    }
}

/// The log takes a sweep's word only for what is condemned when it lands, so even a sweep that was computed against an
/// old head does no harm. That it is computed again is the second line of defence.
#[test]
fn a_late_sweep_alone_does_no_harm() {
    holds(&Rules { writers: 1, rounds: 3, sweep_is_fenced: false, ..Rules::ALL });
}

#[test]
fn a_snapshot_published_without_regard_to_the_head_loses_its_data() {
    breaks(&Rules { snapshot_is_fenced: false, ..Rules::ALL });
}

#[test]
fn a_sweep_against_an_old_head_whose_word_is_taken_loses_data() {
    breaks(&Rules { sweep_is_fenced: false, sweep_takes_condemned_only: false, ..Rules::ALL });
}

#[test]
fn a_condemnation_against_an_old_head_loses_data() {
    breaks(&Rules { pruners: 2, condemn_is_fenced: false, ..Rules::ALL });
}

#[test]
fn a_rescue_in_an_entry_of_its_own_loses_data() {
    breaks(&Rules { rescue_is_atomic: false, ..Rules::ALL });
}

#[test]
fn a_writer_that_trusts_its_own_packs_loses_data() {
    breaks(&Rules { own_packs_are_checked: false, ..Rules::ALL });
}

#[test]
fn a_repack_that_condemns_before_it_names_loses_data() {
    breaks(&Rules { repack_is_atomic: false, ..Rules::ALL });
}
