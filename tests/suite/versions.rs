//! Objects that say they are of another version of the format.
//!
//! Promise: only a config can make a repository one of a newer larder, and only where no copy of it says version 1. In
//! any other object another version is damage of that object, and version 0 is damage everywhere.

use larder::repo::error::Error;
use larder::storage::memory::Memory;

use crate::support::damage_repo::{chain, memory_of, name, open_memory, read_back};
use crate::support::damage_samples;

/// Where every kind of object has its version byte.
const VERSION_AT: usize = 8;

/// What became of a copy of the config.
#[derive(Clone, Copy)]
enum Copy {
    Sound,
    Missing,
    Halved,
    Version(u8),
}

fn with(copies: [Copy; 2]) -> (Memory, Result<Vec<String>, Error>) {
    let memory = memory_of(&damage_samples::tiny().image);
    for (object, copy) in ["config", "config.copy"].into_iter().zip(copies) {
        match copy {
            Copy::Sound => {}
            Copy::Missing => larder::storage::Storage::delete(&memory, &name(object)).unwrap(),
            Copy::Halved => drop(memory.damage(&name(object), |bytes| bytes.truncate(bytes.len() / 2))),
            Copy::Version(version) => drop(memory.damage(&name(object), |bytes| bytes[VERSION_AT] = version)),
        }
    }
    let opened = open_memory(&memory, None).map(|repo| repo.oddities);
    (memory, opened)
}

#[test]
fn a_sound_copy_of_the_config_outweighs_one_of_another_version() {
    for version in [0, 2, 255] {
        for (copies, damaged) in [
            ([Copy::Version(version), Copy::Sound], "config "),
            ([Copy::Sound, Copy::Version(version)], "config.copy "),
        ] {
            let oddities = with(copies).1.unwrap();
            assert_eq!(oddities.len(), 1, "{oddities:?}");
            assert!(oddities[0].starts_with(damaged) && oddities[0].contains(&format!("version {version}")));
        }
    }
}

#[test]
fn a_config_of_a_higher_version_asks_for_a_newer_larder_unless_a_copy_is_sound() {
    for copies in [
        [Copy::Version(2), Copy::Version(2)],
        [Copy::Version(2), Copy::Missing],
        [Copy::Missing, Copy::Version(2)],
        [Copy::Halved, Copy::Version(2)],
        [Copy::Version(0), Copy::Version(2)],
    ] {
        match with(copies).1 {
            Err(Error::Newer { object, version: 2 }) => assert!(object.starts_with("config")),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn version_0_is_never_newer() {
    let others = [Copy::Version(0), Copy::Missing, Copy::Halved];
    for other in others {
        for copies in [[Copy::Version(0), other], [other, Copy::Version(0)]] {
            match with(copies).1 {
                Err(Error::Damaged { object, .. }) => assert!(object.starts_with("config")),
                other => panic!("{other:?}"),
            }
        }
    }
}

#[test]
fn another_version_in_any_other_object_is_damage_of_that_object() {
    let made = damage_samples::rich();
    for (object, stored) in made.image.iter().filter(|(object, _)| !object.as_str().starts_with("config")) {
        assert_eq!(stored.bytes[VERSION_AT], 1, "{object}");
        for version in [0, 2, 255] {
            let memory = memory_of(&made.image);
            memory.damage(object, |bytes| bytes[VERSION_AT] = version);
            let repo = open_memory(&memory, None).unwrap();
            let state = repo.state();
            let mut said = repo.oddities.clone();
            said.extend(state.problems.iter().map(|problem| format!("log entry {}: {}", problem.seq, problem.reason)));
            for (id, tree) in &made.live {
                let Some(snapshot) = state.snapshot(id) else { continue };
                let record = repo.record(snapshot).unwrap();
                let (found, faults) = read_back(&repo, &record.root);
                assert!(!faults.is_empty() || found == *tree, "{object} {version}");
                said.extend(faults);
            }
            said.extend(repo.catch_up().unwrap().into_iter().map(|(pack, what)| format!("{pack}: {what}")));
            assert!(!said.iter().any(|text| text.contains("newer") || text.contains("does not know")), "{said:?}");
            let wanted = format!("version {version}");
            assert!(said.iter().any(|text| text.contains(&wanted)), "{object} {version}: {said:?}");
            larder::ops::check::run(&repo, larder::ops::check::Depth::Structure, 1, &larder::progress::Silent)
                .unwrap_or_else(|error| panic!("{object} {version}: {}", chain(&error)));
        }
    }
}
