use std::cmp::Ordering;
use std::ffi::OsStr;
use std::fs;
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Caches, DirectorySource, FileSystems, Options};
use crate::format::listing::{DEPTH_MAX, Entry, Node, check_path, compare_paths};
use crate::source::{Found, Problem, Severity, Source};

/// Files, and folders with a slash at the end.
fn tree(names: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in names {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        if name.ends_with('/') {
            fs::create_dir_all(path).unwrap();
        } else {
            fs::write(path, name).unwrap();
        }
    }
    folder
}

/// Everything a walk finds; checks what every walk promises.
fn walk(paths: Vec<PathBuf>, options: Options) -> (Vec<Entry>, Vec<Problem>) {
    walked(&DirectorySource::new(paths, options).unwrap())
}

fn walked(source: &DirectorySource) -> (Vec<Entry>, Vec<Problem>) {
    let (mut entries, mut problems): (Vec<Entry>, _) = (Vec::new(), Vec::new());
    let visit = &mut |found| {
        match found {
            Found::Problem(problem) => problems.push(problem),
            Found::Entry(mut candidate) => {
                check_path(&candidate.entry.path).unwrap();
                if let Some(last) = entries.last() {
                    assert_eq!(compare_paths(&last.path, &candidate.entry.path), Ordering::Less);
                }
                match candidate.reader.open(&mut candidate.entry) {
                    Ok(_) => entries.push(candidate.entry),
                    Err(problem) => problems.push(problem),
                }
            }
        }
        ControlFlow::Continue(())
    };
    source.walk(visit).unwrap();
    (entries, problems)
}

fn names(folder: &Path, options: Options) -> Vec<String> {
    let (entries, problems) = walk(vec![folder.to_path_buf()], options);
    assert_eq!(problems, []);
    entries.into_iter().map(|entry| String::from_utf8_lossy(&entry.path).into_owned()).collect()
}

fn excluding(patterns: &[&str]) -> Options {
    Options { exclude: patterns.iter().map(|&pattern| pattern.to_owned()).collect(), ..Options::default() }
}

#[test]
fn a_folder_comes_before_what_is_in_it_and_names_are_ordered_by_bytes() {
    let folder = tree(&["a/x", "a-b", "a.c/", "A", "b/c/d", "b/c.d"]);
    let expected = ["", "A", "a", "a/x", "a-b", "a.c", "b", "b/c", "b/c/d", "b/c.d"];
    assert_eq!(names(folder.path(), Options::default()), expected);
    let spilling = Options { names_in_memory_max: 2, ..Options::default() };
    assert_eq!(names(folder.path(), spilling), expected);
}

#[test]
fn a_single_file_or_symlink_is_the_only_entry() {
    let folder = tree(&["f"]);
    symlink("f", folder.path().join("l")).unwrap();
    assert_eq!(names(&folder.path().join("f"), Options::default()), ["f"]);
    let (entries, _) = walk(vec![folder.path().join("l")], Options::default());
    assert_eq!((entries.len(), &entries[0].node), (1, &Node::Symlink { target: b"f".to_vec() }));
}

#[test]
fn several_paths_keep_their_full_place() {
    let folder = tree(&["one/a/x", "one/b", "one/c", "two/y", "three/z"]);
    let at = |name: &str| fs::canonicalize(folder.path()).unwrap().join(name);
    let given = vec![at("two"), at("one/c"), at("one/a"), at("one/a/x"), at("two"), at("none")];
    let (entries, problems) = walk(given, excluding(&["two", "one", "x"]));
    let place = String::from_utf8(at("").as_os_str().as_bytes()[1..].to_vec()).unwrap();
    let found: Vec<_> = entries.iter().map(|entry| String::from_utf8(entry.path.clone()).unwrap()).collect();
    let below: Vec<_> = found.iter().filter_map(|path| path.strip_prefix(&place)).collect();
    assert_eq!(below, ["one", "one/a", "one/c", "two", "two/y"]);
    assert_eq!(found[0], place.split('/').next().unwrap());
    assert_eq!(found.len(), below.len() + place.trim_end_matches('/').split('/').count());
    assert_eq!((problems.len(), problems[0].severity), (1, Severity::Unreadable));
}

#[test]
fn named_folders_lie_under_their_names_wherever_they_are() {
    let folder = tree(&["x/data/a", "x/data/deep/b", "y/data/c", "y/data/a"]);
    let at = |name: &str| folder.path().join(name).join("data");
    let given = vec![("two".to_owned(), at("x")), ("one-more".to_owned(), at("y")), ("one".to_owned(), at("y"))];
    let found = walked(&DirectorySource::named(given.clone(), excluding(&["/one/a"])).unwrap());
    let paths: Vec<_> = found.0.iter().map(|entry| String::from_utf8_lossy(&entry.path).into_owned()).collect();
    let expected = ["one", "one/c", "one-more", "one-more/a", "one-more/c", "two", "two/a", "two/deep", "two/deep/b"];
    assert_eq!((paths, found.1), (expected.map(str::to_owned).to_vec(), Vec::new()));
    let mut lacking = given;
    lacking.push(("three".to_owned(), at("z")));
    let source = DirectorySource::named(lacking, Options::default()).unwrap();
    let mut shown = 0;
    let visit = &mut |_| {
        shown += 1;
        ControlFlow::Continue(())
    };
    assert!(source.walk(visit).is_err() && shown == 0);
    assert!(DirectorySource::named(vec![("..".to_owned(), at("x"))], Options::default()).is_err());
}

#[test]
fn names_that_are_no_text_are_kept() {
    let folder = tree(&["a"]);
    let odd = [&b"\xff\xfe"[..], b"new\nline", b"\x01", b"sp ace", b"-rf"];
    for name in odd {
        fs::write(folder.path().join(OsStr::from_bytes(name)), "").unwrap();
    }
    let (entries, problems) = walk(vec![folder.path().to_path_buf()], Options::default());
    assert!(problems.is_empty() && odd.iter().all(|name| entries.iter().any(|entry| entry.path == *name)));
}

#[test]
fn excluded_folders_are_not_descended_and_the_root_is_never_excluded() {
    let folder = tree(&["cache/a", "x/cache/b", "x/keep", "x/y.tmp", "z/logs/1", "logs"]);
    assert_eq!(names(folder.path(), excluding(&["cache", "*.tmp", "logs/"])), ["", "logs", "x", "x/keep", "z"]);
    assert_eq!(names(folder.path(), excluding(&["/cache", "z/logs", "/x/*/b"])).len(), 7);
    assert_eq!(names(folder.path(), excluding(&["*"])), [""]);
}

#[test]
fn of_a_marked_cache_the_tag_is_kept() {
    let folder = tree(&["c/data", "c/sub/x", "fake/CACHEDIR.TAG", "fake/data", "link/data"]);
    let signature = "Signature: 8a477f597d28d172789f06886806bc55\n# comment";
    fs::write(folder.path().join("c/CACHEDIR.TAG"), signature).unwrap();
    symlink("../c/CACHEDIR.TAG", folder.path().join("link/CACHEDIR.TAG")).unwrap();
    let options = Options { caches: Caches::Exclude, ..Options::default() };
    let rest = ["fake", "fake/CACHEDIR.TAG", "fake/data", "link", "link/CACHEDIR.TAG", "link/data"];
    assert_eq!(names(folder.path(), options.clone()), [&["", "c", "c/CACHEDIR.TAG"][..], &rest].concat());
    assert_eq!(names(folder.path(), Options { names_in_memory_max: 1, ..options }).len(), 9);
    assert_eq!(names(folder.path(), Options::default()).len(), 12);
}

#[test]
fn the_repository_inside_the_source_is_not_descended() {
    let folder = tree(&["a", "repo/packs/1", "z"]);
    let status = fs::metadata(folder.path().join("repo")).unwrap();
    let options = Options { skip: vec![(status.dev(), status.ino())], ..Options::default() };
    assert_eq!(names(folder.path(), options), ["", "a", "repo", "z"]);
}

#[test]
fn hard_links_share_device_and_inode() {
    let folder = tree(&["a", "c"]);
    fs::hard_link(folder.path().join("a"), folder.path().join("b")).unwrap();
    let (entries, _) = walk(vec![folder.path().to_path_buf()], Options::default());
    let of = |index: usize| (entries[index].device, entries[index].inode, entries[index].links);
    assert!(of(1) == of(2) && of(1).2 == 2 && of(3).2 == 1);
}

#[test]
fn pipes_sockets_and_devices_are_listed_and_never_opened() {
    let folder = tree(&["z"]);
    let parent = fs::File::open(folder.path()).unwrap();
    rustix::fs::mkfifoat(&parent, "pipe", rustix::fs::Mode::RUSR).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(folder.path().join("socket")).unwrap();
    let device = Command::new("mknod").arg(folder.path().join("device")).args(["b", "7", "200"]).status().unwrap();
    let (entries, problems) = walk(vec![folder.path().to_path_buf()], Options::default());
    let nodes: Vec<_> = entries.iter().map(|entry| &entry.node).collect();
    assert!(problems.is_empty() && nodes.contains(&&Node::Fifo) && nodes.contains(&&Node::Socket));
    if device.success() {
        assert!(nodes.contains(&&Node::BlockDevice { major: 7, minor: 200 }));
    }
}

#[test]
fn another_file_system_is_left_out_when_asked_for() {
    let folder = tree(&["a", "mnt/", "z"]);
    let mount = folder.path().join("mnt");
    if !Command::new("mount").args(["-t", "tmpfs", "none"]).arg(&mount).status().unwrap().success() {
        return;
    }
    fs::write(mount.join("inside"), "").unwrap();
    let one = names(folder.path(), Options { file_systems: FileSystems::One, ..Options::default() });
    let all = names(folder.path(), Options::default());
    assert!(Command::new("umount").arg(&mount).status().unwrap().success());
    assert_eq!(one, ["", "a", "mnt", "z"]);
    assert_eq!(all, ["", "a", "mnt", "mnt/inside", "z"]);
}

#[test]
fn a_chain_deeper_than_a_listing_may_be_is_one_problem_and_hides_no_sibling() {
    let folder = tempfile::tempdir_in("/dev/shm").unwrap();
    let mut at: std::os::fd::OwnedFd = fs::File::open(folder.path()).unwrap().into();
    for _ in 0..10_000 {
        rustix::fs::mkdirat(&at, "d", rustix::fs::Mode::RWXU).unwrap();
        at = crate::posix::open::folder_at(&at, b"d").unwrap();
    }
    fs::write(folder.path().join("z"), "").unwrap();
    fs::create_dir(folder.path().join("d/e")).unwrap();
    let (entries, problems) = walk(vec![folder.path().to_path_buf()], Options::default());
    assert_eq!((entries.len(), problems.len()), (DEPTH_MAX + 3, 1));
    assert_eq!(entries.last().unwrap().path, b"z");
    assert!(Command::new("rm").arg("-rf").arg(folder.path()).status().unwrap().success());
}

#[test]
fn a_folder_that_goes_away_during_the_walk_is_a_warning() {
    let folder = tree(&["a/x", "b/y", "c"]);
    let (mut paths, mut severities) = (Vec::new(), Vec::new());
    let source = DirectorySource::new(vec![folder.path().to_path_buf()], Options::default()).unwrap();
    let visit = &mut |found| {
        match found {
            Found::Entry(candidate) if candidate.entry.path == b"b" => {
                fs::remove_dir_all(folder.path().join("b")).unwrap();
            }
            Found::Entry(candidate) => paths.push(candidate.entry.path),
            Found::Problem(problem) => severities.push(problem.severity),
        }
        ControlFlow::Continue(())
    };
    source.walk(visit).unwrap();
    assert_eq!(
        (paths, severities),
        (vec![b"".to_vec(), b"a".to_vec(), b"a/x".to_vec(), b"c".to_vec()], vec![Severity::Vanished])
    );
}

#[test]
fn a_walk_stops_when_told_and_can_be_done_again() {
    let folder = tree(&["a", "b", "c"]);
    let source = DirectorySource::new(vec![folder.path().to_path_buf()], Options::default()).unwrap();
    for _ in 0..2 {
        let mut seen = 0;
        let visit = &mut |_| {
            seen += 1;
            if seen == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        source.walk(visit).unwrap();
        assert_eq!(seen, 2);
    }
    assert!(source.replayable());
}

/// Without root rights, what may not be read is a problem of its own, and what lies beside it is not.
#[test]
fn what_may_not_be_read_is_unreadable_and_nothing_else_suffers() {
    let variable = "LARDER_TEST_UNREADABLE";
    if let Some(path) = std::env::var_os(variable) {
        let (entries, problems) = walk(vec![path.into()], Options::default());
        let paths: Vec<_> = entries.iter().map(|entry| String::from_utf8_lossy(&entry.path)).collect();
        assert_eq!(paths, ["", "closed", "open", "pass"]);
        let problems: Vec<_> = problems.iter().map(|p| (String::from_utf8_lossy(&p.path), p.severity)).collect();
        let expected = ["closed", "pass", "secret"].map(|path| (path.into(), Severity::Unreadable));
        assert_eq!(problems, expected);
        return;
    }
    let folder = tree(&["closed/x", "open", "pass/x", "secret"]);
    let program = folder.path().join(".test");
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    for (name, mode) in [("", 0o755), ("closed", 0o700), ("pass", 0o711), ("secret", 0o600), (".test", 0o755)] {
        let permissions = std::os::unix::fs::PermissionsExt::from_mode(mode);
        fs::set_permissions(folder.path().join(name), permissions).unwrap();
    }
    let program = (tempfile::tempdir().unwrap(), program);
    let moved = program.0.path().join("test");
    fs::rename(&program.1, &moved).unwrap();
    fs::set_permissions(program.0.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let name = "source::directory::tests::what_may_not_be_read_is_unreadable_and_nothing_else_suffers";
    let run = Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .arg(&moved)
        .args(["--exact", name])
        .env(variable, folder.path())
        .output();
    // Without setpriv, or without the right to use it, there is nothing to see.
    if let Ok(run) = run.as_ref().map(|run| (run.status, String::from_utf8_lossy(&run.stdout)))
        && !run.1.is_empty()
    {
        assert!(run.0.success(), "{}", run.1);
    }
}
