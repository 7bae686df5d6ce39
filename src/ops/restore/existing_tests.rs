use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};

use crate::ops::restore::bench::{Bench, damage_data, nasty, noise, options, sound, tree};
use crate::ops::restore::{Existing, Options, Verify};

#[test]
fn what_exists_is_kept_or_replaced_as_asked() {
    let bench = Bench::new();
    bench.write("a/file", "stored");
    bench.write("a/new", "new");
    let root = bench.backup();
    bench.put("a/file", "mine");
    bench.put("a/extra", "extra");
    let kept = sound(bench.restore(&root, "", &Options { existing: Existing::Keep, ..options() }).unwrap());
    assert_eq!(
        (kept.files, kept.unchanged, bench.read("a/file"), bench.read("a/new")),
        (1, 1, "mine".into(), "new".into())
    );
    let replaced = sound(bench.restore(&root, "", &Options { existing: Existing::Replace, ..options() }).unwrap());
    assert_eq!((replaced.files, bench.read("a/file"), bench.read("a/extra")), (2, "stored".into(), "extra".into()));
}

#[test]
fn only_what_differs_is_written() {
    let bench = Bench::new();
    nasty(bench.source.path());
    let root = bench.backup();
    let changed = Options { existing: Existing::Changed, verify: Verify::Everything, ..options() };
    sound(bench.restore(&root, "", &changed).unwrap());
    let again = sound(bench.restore(&root, "", &changed).unwrap());
    assert_eq!((again.files, again.others, again.hard_links), (0, 0, 0));
    let large = bench.target().join("a/b/same");
    let before = fs::metadata(&large).unwrap().ino();
    File::options().write(true).open(&large).unwrap().write_all_at(b"changed", 900_000).unwrap();
    fs::set_permissions(bench.target().join("a/b/c/3"), fs::Permissions::from_mode(0o600)).unwrap();
    File::options()
        .write(true)
        .open(bench.target().join("a/b/c/4"))
        .unwrap()
        .set_modified(std::time::SystemTime::now())
        .unwrap();
    fs::remove_file(bench.target().join("a/b/large")).unwrap();
    // Everything but the chunk that changed must come from the target.
    let image = bench.storage.snapshot();
    let report = sound(bench.restore(&root, "", &changed).unwrap());
    assert_eq!((report.files, report.hard_links, report.unchanged > 40), (1, 1, true));
    assert_ne!(fs::metadata(&large).unwrap().ino(), before);
    assert_eq!(tree(&bench.target()), tree(bench.source.path()));
    assert_eq!(bench.storage.snapshot().len(), image.len());
}

#[test]
fn what_is_to_be_verified_is_not_believed_by_length_and_time() {
    let bench = Bench::new();
    bench.write("file", "stored");
    let root = bench.backup();
    let changed = |verify| Options { existing: Existing::Changed, verify, ..options() };
    sound(bench.restore(&root, "", &changed(Verify::No)).unwrap());
    let file = bench.target().join("file");
    let time = fs::metadata(&file).unwrap().modified().unwrap();
    fs::write(&file, "forged").unwrap();
    File::options().write(true).open(&file).unwrap().set_modified(time).unwrap();
    sound(bench.restore(&root, "", &changed(Verify::No)).unwrap());
    assert_eq!(bench.read("file"), "forged");
    assert_eq!(sound(bench.restore(&root, "", &changed(Verify::Everything)).unwrap()).files, 1);
    assert_eq!(bench.read("file"), "stored");
}

#[test]
fn a_changed_file_takes_equal_parts_from_the_target() {
    let bench = Bench::new();
    bench.write("file", noise(9, 2_000_000));
    let root = bench.backup();
    let mut bytes = noise(9, 2_000_000);
    bytes[10] ^= 1;
    bench.put("file", &bytes);
    damage_data(&bench);
    let changed = Options { existing: Existing::Changed, ..options() };
    // The damage is in a part that need not be read.
    sound(bench.restore(&root, "", &changed).unwrap());
    assert_eq!(fs::read(bench.target().join("file")).unwrap(), noise(9, 2_000_000));
}
