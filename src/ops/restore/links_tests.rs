use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};

use crate::ops::restore::bench::{Bench, options, sound};
use crate::ops::restore::{Existing, Options};

#[test]
fn a_hard_link_whose_first_name_is_left_out_is_a_file() {
    let bench = Bench::new();
    bench.write("a", "text");
    fs::hard_link(bench.source.path().join("a"), bench.source.path().join("b")).unwrap();
    fs::hard_link(bench.source.path().join("a"), bench.source.path().join("c")).unwrap();
    let root = bench.backup();
    let report = sound(bench.restore(&root, "", &Options { exclude: vec!["/a".into()], ..options() }).unwrap());
    assert_eq!(
        (report.files, report.hard_links, bench.read("b"), bench.read("c")),
        (1, 1, "text".into(), "text".into())
    );
    assert_eq!(fs::metadata(bench.target().join("b")).unwrap().nlink(), 2);
}

#[test]
fn what_became_two_symlinks_becomes_one_again() {
    let bench = Bench::new();
    let names = ["first", "second", "third"];
    symlink("target", bench.source.path().join("first")).unwrap();
    names[1..].iter().for_each(|name| {
        fs::hard_link(bench.source.path().join("first"), bench.source.path().join(name)).unwrap();
    });
    let root = bench.backup();
    let excluding = Options { exclude: vec!["first".into()], ..options() };
    let report = sound(bench.restore(&root, "", &excluding).unwrap());
    assert_eq!((report.others, report.hard_links), (1, 1));
    fs::remove_file(bench.target().join("third")).unwrap();
    symlink("target", bench.target().join("third")).unwrap();
    let changed = Options { existing: Existing::Changed, ..options() };
    sound(bench.restore(&root, "", &changed).unwrap());
    let inode = |name: &&str| fs::symlink_metadata(bench.target().join(name)).unwrap().ino();
    assert_eq!(names.iter().map(inode).collect::<std::collections::BTreeSet<_>>().len(), 1);
    let again = sound(bench.restore(&root, "", &changed).unwrap());
    assert_eq!((again.others, again.hard_links, again.unchanged), (0, 0, 3));
}
