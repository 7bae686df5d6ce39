use super::*;
use crate::ops::sample::{Sample, day, noise};

#[test]
fn a_sweep_that_would_lose_a_chunk_is_refused_whatever_marking_said() {
    let sample = Sample::new();
    sample.back_up(1, &[("a", noise(1, 50_000))]);
    sample.back_up(2, &[("b", noise(2, 50_000))]);
    for pack in sample.packs() {
        let mut state = (*sample.repo.state()).clone();
        let body = crate::format::log::Body {
            previous: state.head_hash,
            token: [0; 16],
            writer: sample.repo.keys().writer(),
            time: day(3),
            action: crate::format::log::Action::Condemn { packs: vec![pack] },
            extension: Vec::new(),
        };
        state.apply(state.head + 1, [0; 32], &body);
        let listed = Catalog::list(&sample.repo).unwrap();
        assert!(matches!(prove(&sample.repo, &state, &listed), Err(Error::WouldLose { .. })));
        // Neither does a pack count that is not listed.
        let mut short = listed.clone();
        short.remove(&pack);
        assert!(matches!(prove(&sample.repo, &sample.repo.state(), &short), Err(Error::WouldLose { .. })));
        prove(&sample.repo, &sample.repo.state(), &listed).unwrap();
    }
}
