use std::fs;
use std::io::Cursor;
use std::ops::ControlFlow::{self, Break, Continue};

use super::*;
use crate::format::Time;
use crate::format::listing::{Owner, compare_paths};
use crate::source::directory::{DirectorySource, Options};
use crate::source::stream::StreamSource;

/// A folder with three files, and a stream.
fn joined(folder: &std::path::Path) -> Joined {
    for name in ["one", "two/three", "two/four"] {
        let place = folder.join(name);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::write(place, name).unwrap();
    }
    let files = DirectorySource::new(vec![folder.to_owned()], Options::default()).unwrap();
    let stream = StreamSource::new(b"end", Owner::default(), Time::default(), Box::new(Cursor::new(b"x"))).unwrap();
    Joined::new(vec![Part { below: b"data", source: Box::new(files) }, Part { below: b"", source: Box::new(stream) }])
}

/// The paths of what a walk finds, up to so many.
fn paths(source: &dyn Source, most: usize) -> Vec<String> {
    let mut paths = Vec::new();
    source
        .walk(&mut |found| -> ControlFlow<()> {
            let Found::Entry(candidate) = found else { panic!("a problem") };
            paths.push(String::from_utf8(candidate.entry.path).unwrap());
            if paths.len() == most { Break(()) } else { Continue(()) }
        })
        .unwrap();
    paths
}

#[test]
fn parts_follow_each_other_in_listing_order() {
    let folder = tempfile::tempdir().unwrap();
    let found = paths(&joined(folder.path()), 100);
    assert_eq!(found, ["data", "data/one", "data/two", "data/two/four", "data/two/three", "end"]);
    assert!(found.windows(2).all(|pair| compare_paths(pair[0].as_bytes(), pair[1].as_bytes()).is_lt()));
}

#[test]
fn a_walk_that_is_stopped_goes_on_to_no_other_part() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(paths(&joined(folder.path()), 2), ["data", "data/one"]);
}

#[test]
fn a_problem_is_at_the_place_where_the_entry_would_have_been() {
    let folder = tempfile::tempdir().unwrap();
    let mut said = Vec::new();
    joined(folder.path())
        .walk(&mut |found| {
            let Found::Entry(Candidate { mut entry, reader }) = found else { panic!("a problem") };
            if entry.path == b"data/one" {
                fs::remove_file(folder.path().join("one")).unwrap();
                said.extend(reader.open(&mut entry).map(drop).map_err(|problem| problem.path).err());
            }
            Continue(())
        })
        .unwrap();
    assert_eq!(said, [b"data/one"]);
}
