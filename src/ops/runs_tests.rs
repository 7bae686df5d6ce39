use std::time::{Duration, UNIX_EPOCH};

use super::*;
use crate::format::Kind;
use crate::ops::prune::{self, Options, Report};
use crate::ops::sample::{self, Sample, day, name_of, noise};
use crate::progress::Silent;
use crate::repo::catalog::Catalog;
use crate::repo::seal::Squeeze;
use crate::repo::write::{Mode, Writer};

fn prune(sample: &Sample, number: i64) -> Report {
    let options = Options { grace: Duration::ZERO, max_unused_percent: Options::MAX_UNUSED_PERCENT, threads: 1 };
    prune::run(&sample::open_memory(&sample.memory), &options, &|| day(number), &Silent).unwrap()
}

/// A run that is killed before it stores its record: a data pack, and a tree pack as the last thing.
fn begin_a_run(sample: &Sample, data_on: i64, tree_on: i64, seed: u64) -> Vec<PackId> {
    sample.repo.refresh().unwrap();
    let catalog = Catalog::survey(&sample.repo).unwrap();
    let mut writer = Writer::new(&sample.repo, &catalog, 1, Mode::Store).unwrap();
    let chunk = noise(seed, 5_000);
    writer.data(sample.repo.keys().data_id(&chunk), &chunk, Squeeze::No).unwrap();
    writer.page(&noise(seed + 1_000, 500)).unwrap();
    let written = writer.drain().unwrap().finish(None).unwrap();
    assert_eq!(written.packs.len(), 2);
    for pack in &written.packs {
        stamp(sample, &pack.id, if pack.kind == Kind::Data { data_on } else { tree_on });
    }
    written.packs.iter().map(|pack| pack.id).collect()
}

/// As if a pack had been stored on another day.
fn stamp(sample: &Sample, pack: &PackId, number: i64) {
    let name = name_of(pack);
    let bytes = sample.memory.object(&name).unwrap().bytes;
    sample.memory.set_time(UNIX_EPOCH + Duration::from_secs(day(number).seconds as u64));
    sample::replace(&sample.memory, &name, &bytes);
}

fn there(sample: &Sample, packs: &[PackId]) -> bool {
    packs.iter().all(|pack| sample.memory.object(&name_of(pack)).is_some())
}

#[test]
fn a_run_that_still_stores_keeps_all_its_packs_and_one_that_does_not_keeps_none() {
    let sample = Sample::new();
    sample.back_up(1, &[("a", noise(1, 50_000))]);
    let slow = begin_a_run(&sample, 1, 4, 2);
    let dead = begin_a_run(&sample, 2, 3, 3);
    assert_eq!(prune(&sample, 3).plan.spared.len(), 4);
    let report = prune(&sample, 4);
    assert_eq!((report.deleted.packs, report.plan.spared.len()), (2, 2));
    assert!(there(&sample, &slow) && dead.iter().all(|pack| !there(&sample, &[*pack])));
    assert_eq!(prune(&sample, 5).deleted.packs, 2, "a day later it counts as dead, too");
    assert_eq!(sample.packs().len(), 2);
}

/// The newest pack of a run counts although another run has used it, and it has a name by now.
#[test]
fn a_run_is_alive_as_well_if_another_has_named_its_newest_pack() {
    let sample = Sample::new();
    let slow = begin_a_run(&sample, 1, 4, 2);
    sample.memory.set_time(UNIX_EPOCH);
    let tree = *slow.iter().find(|pack| kind_of(&sample, pack) == Kind::Tree).unwrap();
    let bytes = sample.memory.object(&name_of(&tree)).unwrap().bytes.len() as u64;
    let named = crate::format::log::PackUse { id: tree, bytes, kind: Kind::Tree };
    let action = crate::format::log::Action::Repack { packs: vec![named], condemned: Vec::new() };
    sample.repo.append::<RepoError>(day(4), &mut |_| Ok(Some(action.clone()))).unwrap();
    let report = prune(&sample, 4);
    assert_eq!((report.plan.spared.len(), report.plan.condemn.len()), (1, 1), "nothing needs what was named");
    assert!(!there(&sample, &[tree]));
    assert_eq!(prune(&sample, 4).deleted.packs, 1, "now nothing says that the run is alive");
}

fn kind_of(sample: &Sample, pack: &PackId) -> Kind {
    let index = sample.repo.index();
    index.pack(index.pack_number(pack).unwrap()).unwrap().kind
}

/// Two backups that take days, with a prune of somebody else every day: both end as if there had been none.
#[test]
fn slow_runs_and_daily_prunes_get_along() {
    let sample = Sample::new();
    sample.back_up(1, &[("a", noise(1, 50_000))]);
    let first = sample::open_memory(&sample.memory);
    let second = sample::open_memory(&sample.memory);
    let runs: Vec<_> = [(&first, 2), (&second, 3)]
        .map(|(repo, seed)| (repo, seed, sample::store(repo, &sample.memory, 2, &[("b", noise(seed, 50_000))])))
        .into();
    for number in 3..8 {
        // Each run stores something every day; here it is always the same pack.
        for (_, _, (_, written)) in &runs {
            stamp(&sample, &written.packs.iter().find(|pack| pack.kind == Kind::Tree).unwrap().id, number);
        }
        assert_eq!(prune(&sample, number).condemned.packs, 0, "day {number}");
    }
    for (repo, seed, (record, written)) in &runs {
        let snapshot = sample::commit_stored(repo, 8, record, written).unwrap();
        assert_eq!(sample::contents(repo, snapshot).unwrap(), [("b".to_owned(), noise(*seed, 50_000))]);
    }
}
