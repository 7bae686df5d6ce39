use std::os::unix::fs::PermissionsExt as _;

use super::*;

#[test]
fn a_file_is_replaced_and_keeps_its_mode() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dump.rdb");
    put(&path, &mut |out| out.write_all(b"one").map_err(|error| error.to_string())).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    put(&path, &mut |out| out.write_all(b"two").map_err(|error| error.to_string())).unwrap();
    assert_eq!((fs::read(&path).unwrap().as_slice(), path.metadata().unwrap().mode() & 0o777), (&b"two"[..], 0o640));
    put(&path, &mut |_| Err("no".to_owned())).unwrap_err();
    assert_eq!(fs::read(&path).unwrap(), b"two");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_dump_becomes_all_that_the_append_only_file_says() {
    let folder = tempfile::tempdir().unwrap();
    let (dump, parts) = (folder.path().join("dump.rdb"), folder.path().join(APPEND_ONLY));
    fs::write(&dump, "dump").unwrap();
    refill_append_only(&dump).unwrap();
    fs::create_dir(&parts).unwrap();
    let list = parts.join("own.aof.manifest");
    let text = "file own.aof.4.base.rdb seq 4 type b\nfile own.aof.7.incr.aof seq 7 type i\n";
    fs::write(&list, text).unwrap();
    for name in ["own.aof.4.base.rdb", "own.aof.7.incr.aof", "other"] {
        fs::write(parts.join(name), "old").unwrap();
    }
    refill_append_only(&dump).unwrap();
    assert_eq!(fs::read_to_string(&list).unwrap(), "file own.aof.8.base.rdb seq 8 type b\n");
    assert_eq!(fs::read_to_string(parts.join("own.aof.8.base.rdb")).unwrap(), "dump");
    let mut names: Vec<_> = fs::read_dir(&parts).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["other", "own.aof.8.base.rdb", "own.aof.manifest"]);
}

#[test]
fn a_list_that_is_not_understood_is_left_alone() {
    assert_eq!(parts("file a seq 1 type b\n\n# x\nfile b seq 12 type i\n").unwrap(), [("a", 1), ("b", 12)]);
    for bad in ["file \"a b\" seq 1 type b", "file ../a seq 1 type b", "file a seq x type b", "part a"] {
        assert_eq!(parts(bad), None, "{bad}");
    }
    let folder = tempfile::tempdir().unwrap();
    let dump = folder.path().join("dump.rdb");
    fs::create_dir(folder.path().join(APPEND_ONLY)).unwrap();
    let list = folder.path().join(APPEND_ONLY).join("x.manifest");
    fs::write(&list, "part a").unwrap();
    fs::write(&dump, "dump").unwrap();
    assert!(refill_append_only(&dump).unwrap_err().contains("no list of parts"));
    assert_eq!(fs::read_to_string(&list).unwrap(), "part a");
}
