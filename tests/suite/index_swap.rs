//! The index is a cache: whatever becomes of it, every command does the same; and the client's memory beside it
//! notices when the repository goes back in time.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use larder::repo::catalog::Catalog;
use larder::repo::error::Error;
use larder::storage::memory::{Image, Memory};

use crate::damage::commands::COMMANDS;
use crate::support::damage_repo::{
    Leaf, Made, back_up, chain, memory_of, name, names, noise, open_memory, prose, read_back, scratch, tree,
};
use crate::support::damage_samples;

/// Where the files of a repository lie below the folder of all caches.
fn cache_of(caches: &Path) -> PathBuf {
    fs::read_dir(caches).unwrap().next().unwrap().unwrap().path()
}

/// A cache that knows everything there is in the image.
fn warm(image: &Image, caches: &Path) {
    let repo = open_memory(&memory_of(image), Some(caches)).unwrap();
    Catalog::survey(&repo).unwrap();
    repo.index().flush().unwrap();
}

/// What becomes of an index.
type Change = fn(&Path, &Older);

/// Indexes to put in the place of another.
struct Older {
    /// Of the same repository, when it had one snapshot.
    older: Vec<u8>,
    /// Of another repository.
    foreign: Vec<u8>,
}

const CHANGES: &[(&str, Change)] = &[
    ("as it was", |_, _| {}),
    ("deleted", |index, _| fs::remove_file(index).unwrap()),
    ("all deleted", |index, _| fs::remove_dir_all(index.parent().unwrap()).unwrap()),
    ("empty", |index, _| fs::write(index, b"").unwrap()),
    ("halved", |index, _| {
        let bytes = fs::read(index).unwrap();
        fs::write(index, &bytes[..bytes.len() / 2]).unwrap();
    }),
    ("garbage", |index, _| fs::write(index, noise(1, 40_000)).unwrap()),
    ("garbage behind its head", |index, _| {
        let mut bytes = fs::read(index).unwrap();
        let garbage = noise(2, bytes.len() - 4096);
        bytes[4096..].copy_from_slice(&garbage);
        fs::write(index, bytes).unwrap();
    }),
    ("a page zeroed", |index, _| {
        let mut bytes = fs::read(index).unwrap();
        let at = bytes.len() / 4096 / 2 * 4096;
        bytes[at..at + 4096].fill(0);
        fs::write(index, bytes).unwrap();
    }),
    ("older", |index, others| fs::write(index, &others.older).unwrap()),
    ("another repository's", |index, others| fs::write(index, &others.foreign).unwrap()),
    ("a folder", |index, _| {
        fs::remove_file(index).unwrap();
        fs::create_dir(index).unwrap();
    }),
    ("a link to nowhere", |index, _| {
        fs::remove_file(index).unwrap();
        std::os::unix::fs::symlink("/nonexistent/index", index).unwrap();
    }),
    ("read-only", |index, _| {
        fs::set_permissions(index, fs::Permissions::from_mode(0o400)).unwrap();
        fs::set_permissions(index.parent().unwrap(), fs::Permissions::from_mode(0o500)).unwrap();
    }),
    ("a journal of garbage", |index, _| {
        let journal = format!("{}-wal", index.display());
        fs::write(journal, noise(3, 9000)).unwrap();
    }),
];

fn others(made: &Made) -> Older {
    let read = |image: &Image| {
        let caches = scratch();
        warm(image, caches.path());
        fs::read(cache_of(caches.path()).join("index.sqlite")).unwrap()
    };
    let first = made.image.iter().filter(|(name, _)| {
        let text = name.as_str();
        !text.starts_with("log/") && !text.starts_with("packs/")
            || text == larder::format::objects::log_name(1)
            || made.packs[0].contains(name)
    });
    let first = first.map(|(name, object)| (name.clone(), object.clone())).collect();
    Older { older: read(&first), foreign: read(&damage_samples::rich().image) }
}

#[test]
fn every_command_does_the_same_whatever_became_of_the_index() {
    let made = damage_samples::rich();
    let others = others(&made);
    for (what, change) in CHANGES {
        for command in COMMANDS {
            let caches = scratch();
            warm(&made.image, caches.path());
            change(&cache_of(caches.path()).join("index.sqlite"), &others);
            let memory = memory_of(&made.image);
            // Twice: what the first run has mended must be of use to the second.
            for run in 1..=2 {
                let met = (command.run)(&made, &memory, Some(caches.path()));
                let quiet = met.said.is_empty() && met.wrong.is_empty() && !met.refused && !met.partial;
                assert!(quiet, "index {what}, {} for the {run}. time: {met:?}", command.word);
            }
        }
    }
}

/// Whichever page of the database is lost, and whatever is being done when that shows: with some pages only at the end,
/// when what was learnt is written. A prune that had done its work then said that it had failed.
#[test]
fn every_command_does_the_same_whichever_page_of_the_index_is_lost() {
    let made = damage_samples::rich();
    let caches = scratch();
    warm(&made.image, caches.path());
    let pages = fs::metadata(cache_of(caches.path()).join("index.sqlite")).unwrap().len() / 4096;
    for page in 0..pages {
        for command in COMMANDS {
            let caches = scratch();
            warm(&made.image, caches.path());
            let index = cache_of(caches.path()).join("index.sqlite");
            let mut bytes = fs::read(&index).unwrap();
            bytes[page as usize * 4096..][..4096].fill(0);
            fs::write(index, bytes).unwrap();
            let met = (command.run)(&made, &memory_of(&made.image), Some(caches.path()));
            let quiet = met.said.is_empty() && met.wrong.is_empty() && !met.refused && !met.partial;
            assert!(quiet, "page {page} of {pages}, {}: {met:?}", command.word);
        }
    }
}

/// Everything stored before the commit of the nth log entry.
fn at_entry(image: &Image, entries: usize) -> Image {
    let gone: Vec<_> = names(image, "log/").into_iter().skip(entries).collect();
    image.iter().filter(|(name, _)| !gone.contains(name)).map(|(name, o)| (name.clone(), o.clone())).collect()
}

#[test]
fn a_repository_that_went_back_in_time_is_refused_by_who_remembers() {
    let made = damage_samples::rich();
    let entries = names(&made.image, "log/").len();
    for left in 0..entries {
        let caches = scratch();
        warm(&made.image, caches.path());
        let older = memory_of(&at_entry(&made.image, left));
        match open_memory(&older, Some(caches.path())).map(|_| ()) {
            Err(Error::RolledBack { expected, .. }) => assert_eq!(expected, entries as u64),
            other => panic!("{left} entries left: {other:?}"),
        }
        // Again: the memory is not overwritten by what it refuses.
        assert!(open_memory(&older, Some(caches.path())).is_err());
        // Without a memory, it is a repository like any other.
        let repo = open_memory(&older, None).unwrap();
        assert_eq!(repo.state().head, left as u64);
        // And once the entries are back, so is trust.
        assert!(open_memory(&memory_of(&made.image), Some(caches.path())).is_ok());
    }
}

#[test]
fn another_history_from_the_same_start_is_refused_by_who_remembers() {
    let made = damage_samples::tiny();
    // Two machines go on with copies of the same repository. Trees of the same size, so that lengths give nothing away.
    let fork = |seed: u64| {
        let memory = memory_of(&made.image);
        let repo = open_memory(&memory, None).unwrap();
        let leaves = tree([("b".to_owned(), Leaf::File(noise(seed, 600)))]);
        back_up(&repo, "docs", &leaves, 100).unwrap();
        memory.snapshot()
    };
    let newest = names(&made.image, "log/").len() + 1;
    let entry = name(larder::format::objects::log_name(newest as u64));
    let here = fork(71);
    let mut lengths_seen = [false; 2];
    for seed in 72..100 {
        let there = fork(seed);
        let same_length = here[&entry].bytes.len() == there[&entry].bytes.len();
        if std::mem::replace(&mut lengths_seen[usize::from(same_length)], true) {
            continue;
        }
        let caches = scratch();
        warm(&here, caches.path());
        match open_memory(&memory_of(&there), Some(caches.path())).map(|_| ()) {
            Err(Error::RolledBack { expected, .. }) => assert_eq!(expected, newest as u64),
            other => panic!("same length: {same_length}: {other:?}"),
        }
    }
    assert!(lengths_seen[0], "no two entries of different lengths");
}

#[test]
fn a_forked_log_is_noticed_even_where_it_goes_on() {
    let made = damage_samples::tiny();
    let memory = memory_of(&made.image);
    let grow = |memory: &Memory, seed: u64| {
        let repo = open_memory(memory, None).unwrap();
        let leaves = tree([("b".to_owned(), Leaf::File(prose(seed, 600)))]);
        back_up(&repo, "docs", &leaves, 100).unwrap();
    };
    let caches = scratch();
    let here = memory_of(&made.image);
    grow(&here, 31);
    warm(&here.snapshot(), caches.path());
    for seed in 32..35 {
        grow(&memory, seed);
    }
    assert!(matches!(open_memory(&memory, Some(caches.path())).map(|_| ()), Err(Error::RolledBack { .. })));
}

#[test]
fn a_damaged_newest_entry_is_not_taken_for_another_history() {
    let made = damage_samples::tiny();
    let caches = scratch();
    warm(&made.image, caches.path());
    let memory = memory_of(&made.image);
    let newest = names(&made.image, "log/").pop().unwrap();
    memory.damage(&newest, |bytes| bytes[100] ^= 1);
    for round in 0..3 {
        let repo = open_memory(&memory, Some(caches.path())).unwrap_or_else(|error| panic!("{}", chain(&error)));
        let stored =
            back_up(&repo, "docs", &made.next, 100 + round).unwrap_or_else(|error| panic!("{}", chain(&error)));
        let repo = open_memory(&memory, Some(caches.path())).unwrap();
        let state = repo.state();
        let record = repo.record(state.snapshot(&stored.snapshot.unwrap()).unwrap()).unwrap();
        assert_eq!(read_back(&repo, &record.root), (made.next.clone(), Vec::new()));
    }
    // Whoever has no memory is told.
    assert_eq!(open_memory(&memory, None).unwrap().state().problems.len(), 1);
}

/// A client that opened a repository before its first snapshot was told for ever that it had gone back in time.
#[test]
fn an_empty_log_is_nothing_to_remember() {
    let memory = Memory::new();
    crate::support::damage_repo::make(&memory);
    let caches = scratch();
    for at in 0..3 {
        let repo = open_memory(&memory, Some(caches.path())).unwrap();
        assert_eq!(repo.state().head, at);
        drop(repo);
        let repo = open_memory(&memory, Some(caches.path())).unwrap();
        back_up(&repo, "docs", &tree([("b".to_owned(), Leaf::Folder)]), at as i64).unwrap();
    }
}

#[test]
fn a_memory_that_cannot_be_read_is_no_memory() {
    let made = damage_samples::tiny();
    for garbage in ["", "x", "99999999999999999999999 00", "3", "-1 zz", "\0\0\0"] {
        let caches = scratch();
        warm(&made.image, caches.path());
        let seen = cache_of(caches.path()).join("seen");
        assert!(seen.exists());
        fs::write(&seen, garbage).unwrap();
        assert!(open_memory(&memory_of(&made.image), Some(caches.path())).is_ok(), "{garbage:?}");
        fs::remove_file(&seen).unwrap();
        fs::create_dir(&seen).unwrap();
        assert!(open_memory(&memory_of(&made.image), Some(caches.path())).is_ok());
    }
}
