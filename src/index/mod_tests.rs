use std::collections::{BTreeMap, BTreeSet};

use super::synthetic::{PlainOpener, chunk, directory, header, pack};
use super::*;
use crate::format::Kind;
use crate::id::ChunkId;

pub const REPOSITORY: RepositoryId = RepositoryId::new([7; 16]);

pub fn open(dir: &Path) -> Index {
    Index::open(Some(dir), REPOSITORY, Arc::new(PlainOpener)).unwrap()
}

pub fn add(index: &mut Index, number: u64, kind: Kind, chunks: &[u64]) -> PackNumber {
    let ids: Vec<ChunkId> = chunks.iter().map(|&c| chunk(c)).collect();
    let directory = directory(&ids);
    let header = header(REPOSITORY, kind, &directory);
    index.add_pack(pack(number), 1000 + number, &header, Arc::new(directory)).unwrap()
}

pub fn anywhere(_: PackNumber) -> bool {
    true
}

fn has(index: &mut Index, number: u64) -> bool {
    index.locate(Kind::Data, &chunk(number), &anywhere).unwrap().is_some()
}

fn known(index: &Index) -> Vec<PackId> {
    index.packs().map(|row| row.id).collect()
}

/// Numbers that look random and are the same in every run (SplitMix64).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let x = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (x ^ x >> 29) % limit
    }
}

/// Pack -> its kind and its chunks.
type Model = BTreeMap<u64, (Kind, BTreeSet<u64>)>;
const CHUNKS: u64 = 400;

fn assert_same(index: &mut Index, model: &Model) {
    let expected: BTreeSet<PackId> = model.keys().map(|&p| pack(p)).collect();
    assert_eq!(known(index).into_iter().collect::<BTreeSet<_>>(), expected);
    let ids: Vec<ChunkId> = (0..CHUNKS).map(chunk).collect();
    for kind in [Kind::Data, Kind::Tree] {
        let all = index.copies_of_all(kind, &ids).unwrap();
        for (number, found_at_once) in (0..CHUNKS).zip(all) {
            let id = chunk(number);
            let holds = |p: &u64| model[p].0 == kind && model[p].1.contains(&number);
            let holders: BTreeSet<PackId> = model.keys().copied().filter(holds).map(pack).collect();
            let copies = index.copies(kind, &id).unwrap();
            assert_eq!(copies, found_at_once);
            let found: BTreeSet<PackId> = copies.iter().map(|l| index.pack(l.pack).unwrap().id).collect();
            assert_eq!(found, holders);
            let located = index.locate(kind, &id, &anywhere).unwrap();
            assert_eq!(located.is_some(), !holders.is_empty());
            for location in copies.into_iter().chain(located) {
                let entry = index.directory(location.pack).unwrap().chunks[location.entry as usize];
                assert_eq!(entry.id, id);
                assert_eq!((location.block, location.offset, location.bytes), (entry.block, entry.offset, entry.bytes));
            }
        }
    }
}

#[test]
fn any_sequence_of_calls_gives_what_a_plain_map_gives() {
    for seed in 0..6 {
        let dir = tempfile::tempdir().unwrap();
        let mut random = Numbers(seed);
        let mut index = open(dir.path());
        let mut model = Model::new();
        let mut flushed = Model::new();
        for step in 0..120 {
            match random.below(10) {
                0..5 => {
                    let number = random.below(30);
                    let kind = if random.below(3) == 0 { Kind::Tree } else { Kind::Data };
                    let chunks: BTreeSet<u64> = (0..random.below(40)).map(|_| random.below(CHUNKS)).collect();
                    model.entry(number).or_insert_with(|| {
                        add(&mut index, number, kind, &chunks.iter().copied().collect::<Vec<_>>());
                        (kind, chunks)
                    });
                }
                5..7 => {
                    let number = random.below(30);
                    index.remove_packs(&[pack(number)]).unwrap();
                    model.remove(&number);
                }
                7..9 => {
                    index.flush().unwrap();
                    flushed = model.clone();
                }
                _ => {
                    drop(index);
                    index = open(dir.path());
                    model = flushed.clone();
                }
            }
            if step % 20 == 19 {
                assert_same(&mut index, &model);
            }
        }
        assert!(!index.degraded());
    }
}

#[test]
fn what_was_not_flushed_is_gone_after_a_kill_and_can_be_added_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut index = open(dir.path());
    add(&mut index, 1, Kind::Data, &[1, 2]);
    index.flush().unwrap();
    add(&mut index, 2, Kind::Data, &[3]);
    assert!(has(&mut index, 3));
    drop(index);
    let mut index = open(dir.path());
    assert_eq!(known(&index), [pack(1)]);
    assert!(has(&mut index, 2) && !has(&mut index, 3));
    add(&mut index, 2, Kind::Data, &[3]);
    index.flush().unwrap();
    assert!(has(&mut open(dir.path()), 3));
}

#[test]
fn a_pack_row_says_what_was_added() {
    let dir = tempfile::tempdir().unwrap();
    let mut index = open(dir.path());
    add(&mut index, 4, Kind::Tree, &[1, 2, 3]);
    index.flush().unwrap();
    let index = open(dir.path());
    let number = index.pack_number(&pack(4)).unwrap();
    let expected = PackRow { number, id: pack(4), kind: Kind::Tree, bytes: 1004, chunks: 3 };
    assert_eq!(index.pack(number), Some(&expected));
    assert_eq!((index.stats().packs, index.stats().rows), (1, 3));
}

#[test]
fn a_chunk_is_located_only_in_packs_that_are_usable() {
    let mut index = Index::open(None, REPOSITORY, Arc::new(PlainOpener)).unwrap();
    let one = add(&mut index, 1, Kind::Data, &[1]);
    let two = add(&mut index, 2, Kind::Data, &[1]);
    for flushed in ["pending", "stored"] {
        for wanted in [one, two, one] {
            let found = index.locate(Kind::Data, &chunk(1), &|number| number == wanted).unwrap();
            assert_eq!(found.map(|l| l.pack), Some(wanted), "{flushed}");
        }
        assert_eq!(index.locate(Kind::Data, &chunk(1), &|_| false).unwrap(), None);
        assert_eq!(index.locate(Kind::Tree, &chunk(1), &anywhere).unwrap(), None);
        index.flush().unwrap();
    }
    assert!(!index.degraded());
}

#[test]
fn a_removed_pack_keeps_its_number_when_it_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let mut index = open(dir.path());
    let one = add(&mut index, 1, Kind::Data, &[1]);
    let two = add(&mut index, 2, Kind::Data, &[2]);
    index.flush().unwrap();
    index.remove_packs(&[pack(1)]).unwrap();
    assert!(!has(&mut index, 1) && index.pack(one).is_none());
    assert_eq!(add(&mut index, 3, Kind::Data, &[3]), PackNumber(two.0 + 1));
    assert_eq!(add(&mut index, 1, Kind::Data, &[1]), one);
    index.flush().unwrap();
    assert!(has(&mut index, 1) && has(&mut open(dir.path()), 1));
}

#[test]
fn a_header_that_is_none_or_belongs_elsewhere_is_refused() {
    let mut index = Index::open(None, REPOSITORY, Arc::new(PlainOpener)).unwrap();
    let directory = Arc::new(directory(&[chunk(1)]));
    let theirs = header(RepositoryId::new([8; 16]), Kind::Data, &directory);
    let error = index.add_pack(pack(1), 1, &theirs, Arc::clone(&directory)).unwrap_err();
    assert!(matches!(error, Error::Header { source: Reject::Foreign, .. }), "{error}");
    assert!(matches!(index.add_pack(pack(1), 1, b"?", directory), Err(Error::Header { .. })));
    assert_eq!(index.packs().count(), 0);
}

#[test]
fn log_entries_are_kept_replaced_and_truncated() {
    let dir = tempfile::tempdir().unwrap();
    let mut index = open(dir.path());
    for seq in 1..=4 {
        index.put_log_entry(seq, &[seq as u8; 3]).unwrap();
    }
    index.flush().unwrap();
    index.truncate_log(3).unwrap();
    index.put_log_entry(3, b"new").unwrap();
    let expected = vec![(1, vec![1; 3]), (2, vec![2; 3]), (3, b"new".to_vec())];
    assert_eq!(index.log_entries().unwrap(), expected);
    index.flush().unwrap();
    assert_eq!(open(dir.path()).log_entries().unwrap(), expected);
}

#[test]
fn the_batch_is_flushed_by_itself_when_it_is_full() {
    let dir = tempfile::tempdir().unwrap();
    let mut index = open(dir.path());
    let wanted: Vec<u64> = (0..100_000).collect();
    for number in 0..4 {
        add(&mut index, number, Kind::Data, &wanted);
    }
    drop(index);
    let mut index = open(dir.path());
    assert_eq!(known(&index), [pack(0), pack(1)]);
    assert_eq!(index.copies(Kind::Data, &chunk(99_999)).unwrap().len(), 2);
}

#[test]
fn the_filter_grows_and_is_read_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut index = open(dir.path());
    synthetic::fill(&mut index, REPOSITORY, 60, 5_000).unwrap();
    let mut index = open(dir.path());
    assert!((0..300_000).step_by(37).all(|c| has(&mut index, c)));
    assert!((300_000..310_000).all(|c| !has(&mut index, c)));
    let filter = Filter::load(&index.store.connection).unwrap().unwrap();
    let maybe = (300_000..310_000).filter(|&c| filter.may_contain(store::prefix(&chunk(c)))).count();
    assert!(maybe < 150, "{maybe} of 10,000 pass the filter");
}

#[test]
fn rows_of_removed_packs_are_swept_in_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let mut index = open(dir.path());
    synthetic::fill(&mut index, REPOSITORY, 20, 10_000).unwrap();
    let ids: Vec<PackId> = (1..20).map(pack).collect();
    index.remove_packs(&ids).unwrap();
    index.flush().unwrap();
    let rows: i64 = index.store.connection.query_row("SELECT count(*) FROM chunk", [], |r| r.get(0)).unwrap();
    assert_eq!(rows, 10_000);
    assert!(has(&mut index, 9_999) && !has(&mut index, 10_000));
}

#[test]
fn two_indexes_on_one_file_add_what_they_know() {
    let dir = tempfile::tempdir().unwrap();
    let (mut ours, mut theirs) = (open(dir.path()), open(dir.path()));
    add(&mut ours, 1, Kind::Data, &[1, 2]);
    add(&mut theirs, 2, Kind::Data, &[3, 4]);
    add(&mut ours, 3, Kind::Data, &[5]);
    add(&mut theirs, 3, Kind::Data, &[5]);
    ours.flush().unwrap();
    theirs.flush().unwrap();
    add(&mut ours, 4, Kind::Data, &[6]);
    ours.flush().unwrap();
    for index in [&mut ours, &mut open(dir.path())] {
        assert_eq!(index.packs().count(), 4);
        assert!((1..=6).all(|c| has(index, c)));
        assert_eq!(index.copies(Kind::Data, &chunk(5)).unwrap().len(), 1);
    }
    theirs.remove_packs(&[pack(1)]).unwrap();
    theirs.flush().unwrap();
    assert!(!has(&mut open(dir.path()), 1));
    assert!((3..=5).all(|c| has(&mut theirs, c)));
}

#[test]
fn many_questions_at_once_are_answered_in_their_order_and_leave_no_transaction() {
    let dir = tempfile::tempdir().unwrap();
    let (mut ours, mut theirs) = (open(dir.path()), open(dir.path()));
    let wanted: Vec<u64> = (0..5000).collect();
    add(&mut ours, 1, Kind::Data, &wanted);
    ours.flush().unwrap();
    // Backwards, every chunk twice, and one in three is not there.
    let asked: Vec<u64> = (0..7500).rev().flat_map(|c| [c, c]).collect();
    let ids: Vec<ChunkId> = asked.iter().map(|&c| chunk(c)).collect();
    for _ in 0..2 {
        let answers = ours.copies_of_all(Kind::Data, &ids).unwrap();
        let entries: Vec<Option<u64>> = answers.iter().map(|a| a.first().map(|at| at.entry.into())).collect();
        assert_eq!(entries, asked.iter().map(|&c| (c < 5000).then_some(c)).collect::<Vec<_>>());
        assert!(ours.store.connection.is_autocommit());
    }
    // What others write meanwhile is seen once it is read, and nothing of ours stands in anybody's way.
    add(&mut theirs, 2, Kind::Data, &[3, 6000]);
    theirs.flush().unwrap();
    let busy: i64 = theirs.store.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0)).unwrap();
    assert_eq!(busy, 0);
    add(&mut ours, 3, Kind::Data, &[3]);
    ours.flush().unwrap();
    let answers = ours.copies_of_all(Kind::Data, &[chunk(3), chunk(6000), chunk(7000)]).unwrap();
    assert_eq!(answers.iter().map(Vec::len).collect::<Vec<_>>(), [3, 1, 0]);
    assert!(!ours.degraded() && !theirs.degraded());
}
