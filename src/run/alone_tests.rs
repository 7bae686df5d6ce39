use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use super::*;

#[test]
fn who_comes_second_waits_or_goes_and_others_are_not_concerned() {
    let folder = tempfile::tempdir().unwrap();
    let memory = folder.path().join("upkeep.json");
    let place = Some(memory.as_path());
    let first = Alone::at(place, "source app", || panic!("nobody is at it"));
    assert!(Alone::unless_another(place, "source app").is_none());
    assert!(Alone::unless_another(place, "source web").is_some());
    thread::scope(|scope| {
        let (tell, told) = channel();
        let second = scope.spawn(move || Alone::at(place, "source app", || tell.send(()).unwrap()));
        told.recv().unwrap();
        thread::sleep(Duration::from_millis(50));
        assert!(!second.is_finished());
        drop(first);
        assert!(second.join().unwrap()._file.is_some());
    });
    assert!(Alone::unless_another(place, "source app").is_some());
}

/// As with a cache that cannot be written.
#[test]
fn without_a_place_for_it_nobody_is_kept_from_anything() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    for place in [None, Some(file.join("upkeep.json"))] {
        let _first = Alone::at(place.as_deref(), "prune", || ());
        assert!(Alone::unless_another(place.as_deref(), "prune").is_some());
        Alone::at(place.as_deref(), "prune", || panic!("nobody can know"));
    }
}
