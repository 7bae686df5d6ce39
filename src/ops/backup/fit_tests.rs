use super::*;
use crate::format::listing::Owner;
use crate::ops::backup::{self, Mode};
use crate::ops::sample::{Sample, day};
use crate::progress::Silent;
use crate::source::stream::StreamSource;

fn options() -> Options {
    Options {
        source: "s".into(),
        host: "h".into(),
        user: "u".into(),
        description: String::new(),
        tags: Vec::new(),
        paths: vec![b"/docs".to_vec()],
        mode: Mode::Store,
        threads: 1,
    }
}

fn refused(change: impl FnOnce(&mut Options)) -> String {
    let mut options = options();
    change(&mut options);
    check(&options, day(1)).unwrap_err().to_string()
}

#[test]
fn what_does_not_fit_is_said_with_its_limit() {
    let long = "x".repeat(4097);
    check(&options(), day(1)).unwrap();
    let cases = [
        (refused(|o| o.source = long.clone()), "source name length is 4097, above the limit of 4096"),
        (refused(|o| o.host = long.clone()), "host name length is 4097, above the limit of 4096"),
        (refused(|o| o.user = long.clone()), "user name length is 4097, above the limit of 4096"),
        (refused(|o| o.description = long.clone()), "description length is 4097, above the limit of 4096"),
        (refused(|o| o.paths = vec![vec![b'x'; 65_537]]), "path length is 65537, above the limit of 65536"),
        (refused(|o| o.paths = vec![vec![b'x']; 4097]), "number of paths is 4097, above the limit of 4096"),
    ];
    for (found, expected) in cases {
        assert_eq!(found, format!("what is given does not fit into a snapshot: {expected}"));
    }
    assert!(refused(|o| o.paths = vec![vec![b'x'; 1024]; 1024]).contains("the length of all paths and texts"));
    assert_eq!(refused(|o| o.tags = vec!["two words".into()]), "\"two words\" cannot be a tag");
    let many = |o: &mut Options| o.tags = (0..60).map(|n| n.to_string()).collect();
    assert_eq!(refused(many), "a snapshot has at most 59 tags of one's own");
}

/// As long as it can be: one byte of path more is refused before anything is read, and this is committed.
#[test]
fn the_longest_record_that_passes_is_committed() {
    let sample = Sample::new();
    let mut options = options();
    options.paths = vec![vec![b'x'; 60_000]; 17];
    while check(&options, day(1)).is_ok() {
        options.paths.push(vec![b'y'; 100]);
    }
    let last = options.paths.len() - 1;
    while check(&options, day(1)).is_err() {
        options.paths[last].pop();
    }
    let run = |options: &Options| {
        let source = StreamSource::new(b"stream", Owner::default(), day(1), Box::new(&b"content"[..])).unwrap();
        backup::run(&sample.repo, &source, options, &|| day(1), &Silent)
    };
    let snapshot = run(&options).unwrap().snapshot.unwrap();
    let state = sample.repo.state();
    assert_eq!(sample.repo.record(state.snapshot(&snapshot).unwrap()).unwrap().paths, options.paths);
    options.paths[last].push(b'y');
    let before = sample.memory.snapshot();
    assert!(matches!(run(&options), Err(backup::Error::Unfit(_))));
    assert_eq!(sample.memory.snapshot(), before, "nothing was stored");
}
