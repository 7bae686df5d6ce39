use std::thread;

use super::*;

/// As several daemons of one repository do.
#[test]
fn what_several_learn_at_once_is_all_remembered() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("upkeep.json");
    thread::scope(|scope| {
        for number in 0..4 {
            let place = &place;
            scope.spawn(move || {
                for turn in 0..50 {
                    let (_, written) = Memory::change(Some(place), |memory| {
                        memory.attempts.insert(format!("{number}-{turn}"), turn);
                    });
                    written.unwrap();
                }
            });
        }
    });
    assert_eq!(Memory::read(Some(&place)).attempts.len(), 200);
}

#[test]
fn that_nothing_can_be_remembered_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    for place in [None, Some(file.join("upkeep.json"))] {
        let (memory, written) = Memory::change(place.as_deref(), |memory| memory.part = 7);
        assert!(memory.part == 7 && written.is_err());
    }
}

/// What is no memory, or that of another version, is none, or what can be read of it.
#[test]
fn what_cannot_be_read_is_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("upkeep.json");
    fs::write(&place, "{\"pruned\": 7").unwrap();
    assert_eq!(Memory::read(Some(&place)).pruned, None);
    fs::write(&place, "{\"pruned\": 7, \"drilled\": 8, \"status\": \"failed\", \"more\": []}").unwrap();
    assert_eq!(Memory::read(Some(&place)).pruned, Some(7));
}

/// As when too many files are open, or a disk fails for a moment.
#[test]
fn what_cannot_be_read_for_a_moment_is_not_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("upkeep.json");
    // It leads to itself: not to be read, but in nobody's way when another file takes its place.
    std::os::unix::fs::symlink("upkeep.json", &place).unwrap();
    let (memory, written) = Memory::change(Some(&place), |memory| memory.part = 7);
    assert!(memory.part == 7 && written.is_err());
    assert!(fs::symlink_metadata(&place).unwrap().is_symlink());
    fs::remove_file(&place).unwrap();
    Memory::change(Some(&place), |memory| memory.part = 8).1.unwrap();
    assert_eq!(Memory::read(Some(&place)).part, 8);
}
