use super::*;

fn packs(count: u64) -> Vec<Candidate> {
    let id = |n: u64| PackId::new(hash::plain(&n.to_le_bytes()));
    (0..count).map(|n| Candidate { id: id(n), object_bytes: 1, bytes: 1, live: n % 10 != 0 }).collect()
}

fn count(chosen: &[bool]) -> usize {
    chosen.iter().filter(|chosen| **chosen).count()
}

#[test]
fn every_live_pack_is_in_exactly_one_slice() {
    let packs = packs(200);
    let slices: Vec<Vec<bool>> = (1..=7).map(|n| choose(&packs, Depth::Data(Part::Slice { n, of: 7 }))).collect();
    for (at, pack) in packs.iter().enumerate() {
        assert_eq!(slices.iter().filter(|slice| slice[at]).count(), usize::from(pack.live));
    }
}

#[test]
fn a_percentage_chooses_so_many_and_others_for_another_seed() {
    let packs = packs(200);
    let part = |percent, seed| choose(&packs, Depth::Data(Part::Percent { percent, seed }));
    assert_eq!(count(&part(10.0, 1)), 18);
    assert_eq!(part(10.0, 1), part(10.0, 1));
    assert_ne!(part(10.0, 1), part(10.0, 2));
    assert_eq!((count(&part(0.0, 1)), count(&part(0.1, 1)), count(&part(100.0, 1))), (0, 1, 180));
    assert_eq!(count(&part(f64::NAN, 1)), 0);
    assert_eq!(count(&choose(&packs, Depth::Data(Part::All))), 180);
    assert_eq!(count(&choose(&packs, Depth::Structure)), 0);
}
