use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::{Layout, find, merge};
use crate::source::Error;

fn merged(paths: &[&str]) -> Vec<String> {
    let paths = merge(paths.iter().map(|path| path.as_bytes().to_vec()).collect());
    paths.into_iter().map(|path| String::from_utf8(path).unwrap()).collect()
}

#[test]
fn paths_within_others_are_dropped_and_the_rest_is_in_listing_order() {
    assert_eq!(merged(&["b", "a", "a/x", "a-b", "b", "a/x/y"]), ["a", "a-b", "b"]);
    assert_eq!(merged(&["a/b", "a", "", "z"]), [""]);
    assert_eq!(merged(&["ab", "a"]), ["a", "ab"]);
}

fn folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = fs::canonicalize(folder.path()).unwrap();
    fs::create_dir(path.join("real")).unwrap();
    symlink("real", path.join("link")).unwrap();
    (folder, path)
}

#[test]
fn a_single_path_is_seen_from_its_folder() {
    let (_folder, path) = folder();
    let layout = |at: &Path| {
        let (targets, problems) = find(&[at.to_path_buf()]).unwrap();
        assert!(problems.is_empty());
        let Layout::Single(name) = targets.layout else { panic!("several") };
        (targets.base, String::from_utf8(name).unwrap())
    };
    assert_eq!(layout(&path.join("real")), (path.clone(), "real".into()));
    assert_eq!(layout(&path.join("link")), (path.clone(), "link".into()));
    assert_eq!(layout(&path.join("link/")), (path.clone(), "real".into()));
    assert_eq!(layout(&path.join("real/..")).1, path.file_name().unwrap().to_str().unwrap());
    assert_eq!(layout(Path::new("/")), (PathBuf::from("/"), ".".into()));
}

#[test]
fn of_several_paths_those_that_are_missing_are_problems_and_all_missing_is_an_error() {
    let (_folder, path) = folder();
    let (targets, problems) = find(&[path.join("real"), path.join("none")]).unwrap();
    let stored = path.join("real").as_os_str().as_bytes()[1..].to_vec();
    assert_eq!(targets.layout, Layout::Several(vec![stored]));
    let paths: Vec<&[u8]> = problems.iter().map(|problem| &problem.path[..]).collect();
    assert_eq!(paths, [path.join("none").as_os_str().as_bytes()]);
    assert!(matches!(find(&[path.join("none"), path.join("nil")]), Err(Error::Start { .. })));
    assert!(matches!(find(&[path.join("none")]), Err(Error::Start { .. })));
    assert!(matches!(find(&[]), Err(Error::Start { .. })));
}

#[test]
fn symlinks_on_the_way_are_resolved_so_that_nothing_lies_below_a_symlink() {
    let (_folder, path) = folder();
    fs::write(path.join("real/f"), "").unwrap();
    let (targets, _) = find(&[path.join("link/f"), path.join("real/f")]).unwrap();
    assert_eq!(targets.layout, Layout::Several(vec![path.join("real/f").as_os_str().as_bytes()[1..].to_vec()]));
}
