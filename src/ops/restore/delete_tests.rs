use std::fs;
use std::os::unix::fs::symlink;

use crate::ops::restore::bench::{Bench, damage_data, noise, options, sound, tree};
use crate::ops::restore::{Existing, Extra, Mode, Options};

#[test]
fn what_is_not_in_the_snapshot_is_deleted_if_asked_and_not_excluded() {
    let bench = Bench::new();
    bench.write("a/file", "stored");
    bench.write("b", "file");
    let root = bench.backup();
    let outside = bench.scratch.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("precious"), "").unwrap();
    for path in ["0", "a/0/1/2", "a/zzz", "b/folder/in/the/way", "keep.log", "dir/keep.log", "dir/gone"] {
        bench.put(path, "x");
    }
    symlink(&outside, bench.target().join("a/link")).unwrap();
    let deleting = Options {
        existing: Existing::Replace,
        extra: Extra::Delete,
        exclude: vec!["*.log".into()],
        mode: Mode::DryRun,
        ..options()
    };
    let before = tree(&bench.target());
    let planned = sound(bench.restore(&root, "", &deleting).unwrap());
    assert_eq!(tree(&bench.target()), before);
    let report = sound(bench.restore(&root, "", &Options { mode: Mode::Write, ..deleting }).unwrap());
    assert_eq!(bench.names(), ["a", "a/file", "b", "dir", "dir/keep.log", "keep.log"]);
    assert_eq!((planned.deleted, planned.files), (report.deleted, report.files));
    assert!(outside.join("precious").exists());
}

#[test]
fn nothing_is_deleted_after_damage() {
    let bench = Bench::new();
    bench.write("file", noise(1, 100_000));
    let root = bench.backup();
    bench.put("extra", "x");
    damage_data(&bench);
    let deleting = Options { existing: Existing::Replace, extra: Extra::Delete, ..options() };
    let report = bench.restore(&root, "", &deleting).unwrap();
    assert_eq!((report.damaged, report.deleted, report.warnings.len()), (1, 0, 1));
    assert_eq!(bench.names(), ["extra", "file.larder-partial"]);
}
