use std::time::Duration;

use super::*;
use crate::format::Time;
use crate::id::{PackId, SnapshotId};
use crate::ops::prune::{self, Options, Report};
use crate::ops::sample::{self, Sample, day, name_of, noise};
use crate::progress::Silent;
use crate::storage::Storage;

type Files = Vec<(&'static str, Vec<u8>)>;

/// Two writers at once store the same file, and each something of its own. Returns the packs of each.
fn two_writers(first: &Files, second: &Files) -> (Sample, [SnapshotId; 2], [Vec<PackId>; 2]) {
    let sample = Sample::new();
    let other = sample::open_memory(&sample.memory);
    let (record, written) = sample::store(&other, &sample.memory, 2, second);
    // The other's packs come to light only after this one has looked.
    let image = sample.memory.snapshot();
    written.packs.iter().for_each(|pack| sample.memory.delete(&name_of(&pack.id)).unwrap());
    let one = sample.back_up(1, first);
    let packs = [sample.packs(), written.packs.iter().map(|pack| pack.id).collect()];
    for pack in &written.packs {
        sample.memory.put_new(&name_of(&pack.id), &[&image[&name_of(&pack.id)].bytes]).unwrap();
    }
    other.refresh().unwrap();
    let two = sample::commit_stored(&other, 2, &record, &written).unwrap();
    (sample, [one, two], packs)
}

fn prune(sample: &mut Sample, now: Time, max_unused_percent: f64) -> Report {
    sample.reopen();
    let options = Options { grace: Duration::ZERO, max_unused_percent, threads: 1 };
    prune::run(&sample.repo, &options, &|| now, &Silent).unwrap()
}

fn kind_of(sample: &Sample, pack: &PackId) -> Kind {
    sample.repo.refresh().unwrap().pack(pack).unwrap().kind
}

/// Flips a bit in the last block of a pack.
fn rot(sample: &Sample, pack: &PackId) {
    sample.memory.damage(&name_of(pack), |bytes| *bytes.last_mut().unwrap() ^= 1);
}

fn named(files: &Files) -> Vec<(String, Vec<u8>)> {
    files.iter().map(|(name, bytes)| ((*name).to_owned(), bytes.clone())).collect()
}

#[test]
fn of_two_copies_the_sound_one_stays() {
    let files: Files = vec![("file", noise(1, 50_000))];
    // Which of two equal packs would be chosen unseen is up to their random names, so each case is tried often.
    for rotten in [None, Some(0), Some(1)].repeat(4) {
        let (mut sample, snapshots, packs) = two_writers(&files, &files);
        let data = packs.map(|packs| packs.into_iter().find(|pack| kind_of(&sample, pack) == Kind::Data).unwrap());
        if let Some(at) = rotten {
            rot(&sample, &data[at]);
        }
        let report = prune(&mut sample, day(3), 10.0);
        assert!(report.condemned.packs > 0, "{report:?}");
        let left: Vec<usize> = (0..2).filter(|&at| sample.packs().contains(&data[at])).collect();
        match rotten {
            None => assert_eq!(left.len(), 1),
            Some(at) => assert_eq!(left, [1 - at]),
        }
        let bad = rotten.map(|at| data[at].to_string());
        assert!(report.notes.iter().all(|note| bad.as_ref().is_some_and(|bad| note.contains(bad))), "{report:?}");
        for snapshot in snapshots {
            assert_eq!(sample.contents(snapshot).unwrap(), named(&files));
        }
        assert_eq!(prune(&mut sample, day(4), 10.0).deleted.packs, 0);
    }
}

#[test]
fn of_two_rotten_copies_none_goes() {
    let files: Files = vec![("file", noise(1, 50_000))];
    let (mut sample, _, packs) = two_writers(&files, &files);
    let data = packs.map(|packs| packs.into_iter().find(|pack| kind_of(&sample, pack) == Kind::Data).unwrap());
    data.iter().for_each(|pack| rot(&sample, pack));
    for number in [3, 4] {
        let report = prune(&mut sample, day(number), 10.0);
        assert!(data.iter().all(|pack| sample.packs().contains(pack)), "{report:?}");
        assert_eq!(report.notes.len(), 2, "{:?}", report.notes);
    }
}

/// The copy that is not used lies in a pack that is repacked: it goes only if the other one opens.
#[test]
fn a_copy_that_repacking_would_drop_is_kept_if_the_other_is_rotten() {
    let shared = ("shared", noise(1, 20_000));
    for rotten in [0, 1] {
        let first: Files = vec![("first", noise(2, 90_000)), shared.clone()];
        let second: Files = vec![("second", noise(3, 5_000)), shared.clone()];
        let (mut sample, snapshots, packs) = two_writers(&first, &second);
        let data = packs.map(|packs| packs.into_iter().find(|pack| kind_of(&sample, pack) == Kind::Data).unwrap());
        rot(&sample, &data[rotten]);
        let report = prune(&mut sample, day(3), 0.0);
        let sound = snapshots[1 - rotten];
        let expected = if rotten == 0 { &second } else { &first };
        assert_eq!(sample.contents(sound).unwrap(), named(expected), "{report:?}");
        let state = sample.repo.state();
        let record = sample.repo.record(state.snapshot(&snapshots[rotten]).unwrap()).unwrap();
        assert_eq!(read(&sample, &record, "shared"), Some(shared.1.clone()));
    }
}

/// One file of a snapshot of which others may be damaged.
fn read(sample: &Sample, record: &crate::format::record::Record, path: &str) -> Option<Vec<u8>> {
    use crate::format::listing::Node;
    use crate::repo::listing::{Chunks, Entries};
    let mut entries = Entries::new(&sample.repo, &record.root).filter_map(Result::ok);
    let entry = entries.find(|entry| entry.path == path.as_bytes())?;
    let Node::File { content, .. } = &entry.node else { return None };
    let mut bytes = Vec::new();
    for chunk in Chunks::new(&sample.repo, content) {
        bytes.extend(sample.repo.chunk(Kind::Data, &chunk.ok()?).ok()?);
    }
    Some(bytes)
}
