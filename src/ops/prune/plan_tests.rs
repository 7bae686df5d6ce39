use super::*;

const MIB: u64 = 1 << 20;

fn pack(number: u8, standing: Standing) -> Facts {
    let id = PackId::new([number; 32]);
    Facts { id, kind: Kind::Data, bytes: 16 * MIB, chunks: 1000, standing, needed: false, unused_bytes: 16 * MIB }
}

fn used(number: u8, bytes: u64, unused_bytes: u64) -> Facts {
    Facts { bytes, needed: true, unused_bytes, ..pack(number, Standing::Live) }
}

fn at(seconds: u64) -> Time {
    Time { seconds: seconds as i64, nanos: 0 }
}

fn limits(grace_days: u64, max_unused_percent: f64) -> Limits {
    Limits { grace: Duration::from_secs(grace_days * 86_400), max_unused_percent }
}

fn numbers(packs: &[Facts]) -> Vec<u8> {
    packs.iter().map(|pack| pack.id.as_bytes()[0]).collect()
}

#[test]
fn each_pack_goes_where_its_standing_says() {
    let facts = [
        pack(1, Standing::Live),
        used(2, 16 * MIB, 0),
        pack(3, Standing::Condemned { at: at(0) }),
        pack(4, Standing::Condemned { at: at(86_400) }),
        pack(5, Standing::Unnamed { stored_at: at(6 * 86_400), lost_at: None }),
        pack(6, Standing::Unnamed { stored_at: at(6 * 86_400 + 1), lost_at: None }),
        pack(7, Standing::Swept),
        pack(8, Standing::Lost),
    ];
    let plan = decide(facts, &limits(7, 10.0), at(7 * 86_400));
    assert_eq!(numbers(&plan.condemn), [1, 5, 8]);
    assert_eq!(numbers(&plan.keep), [2]);
    assert_eq!(numbers(&plan.sweep), [3]);
    assert_eq!(numbers(&plan.waiting), [4]);
    assert_eq!(numbers(&plan.spared), [6]);
    assert_eq!(numbers(&plan.delete), [7]);
    assert!(!plan.at_once);
}

#[test]
fn while_the_log_may_have_lost_its_end_what_no_entry_names_is_spared_for_thirty_days() {
    let lost_at = Some(at(5 * 86_400));
    let facts = || {
        let old = pack(1, Standing::Unnamed { stored_at: at(0), lost_at });
        let lost = pack(2, Standing::Unnamed { stored_at: at(5 * 86_400), lost_at });
        let new = pack(3, Standing::Unnamed { stored_at: at(34 * 86_400 + 1), lost_at });
        [old, lost, new]
    };
    for grace in [0, 7] {
        let plan = decide(facts(), &limits(grace, 10.0), at(35 * 86_400 - 1));
        assert_eq!((numbers(&plan.spared), numbers(&plan.condemn)), (vec![1, 2, 3], vec![]));
        let plan = decide(facts(), &limits(grace, 10.0), at(35 * 86_400));
        assert_eq!((numbers(&plan.spared), numbers(&plan.condemn)), (vec![3], vec![1, 2]));
    }
}

#[test]
fn without_a_grace_period_clocks_do_not_matter_and_what_is_condemned_goes_at_once() {
    let facts = [pack(1, Standing::Live), pack(2, Standing::Condemned { at: at(1_000_000) })];
    let plan = decide(facts, &limits(0, 10.0), at(5));
    assert_eq!((numbers(&plan.condemn), numbers(&plan.sweep), plan.at_once), (vec![1], vec![2], true));
}

#[test]
fn the_worst_packs_are_repacked_until_little_enough_is_unused() {
    let facts = [used(1, 16 * MIB, MIB), used(2, 16 * MIB, 8 * MIB), used(3, 16 * MIB, 2 * MIB)];
    assert_eq!(numbers(&decide(facts, &limits(7, 25.0), at(0)).repack), [] as [u8; 0]);
    let plan = decide(facts, &limits(7, 10.0), at(0));
    assert_eq!(numbers(&plan.repack), [2]);
    assert_eq!(plan.unused_left(), 3 * MIB);
    assert_eq!(numbers(&decide(facts, &limits(7, 0.0), at(0)).repack), [1, 2, 3]);
    assert_eq!(numbers(&decide(facts, &limits(7, f64::NAN), at(0)).repack), [] as [u8; 0]);
}

#[test]
fn small_packs_are_merged_where_there_are_many_of_one_kind() {
    let data = |count: u8| (0..count).map(|number| used(number, MIB, 0));
    let tree = (100..108).map(|number| Facts { kind: Kind::Tree, ..used(number, MIB, 0) });
    assert!(decide(data(8).chain(tree.clone()), &limits(7, 10.0), at(0)).repack.is_empty());
    let plan = decide(data(9).chain(tree), &limits(7, 10.0), at(0));
    assert_eq!(numbers(&plan.repack), (0..9).collect::<Vec<u8>>());
    assert_eq!(plan.keep.len(), 8);
    // Full of tiny chunks, they would come out as short as they were, every time.
    let full = (0..9).map(|number| Facts { chunks: 65_536, ..used(number, MIB, 0) });
    assert!(decide(full, &limits(7, 10.0), at(0)).repack.is_empty());
}
