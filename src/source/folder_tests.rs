use std::fs::{self, File};
use std::sync::Arc;

use super::{Access, Folder, OPEN_FOLDERS_MAX, Pool};
use crate::posix::capture::status_at;

fn base(path: &std::path::Path) -> (Arc<Pool>, Arc<Folder>) {
    let pool = Arc::new(Pool::default());
    (pool.clone(), Folder::base(File::open(path).unwrap().into(), pool).unwrap())
}

fn child(parent: &Arc<Folder>, name: &str) -> Arc<Folder> {
    let identity = status_at(&*parent.fd().unwrap(), name.as_bytes()).unwrap().identity;
    Folder::child(parent, name.as_bytes(), identity, Access::List)
}

#[test]
fn a_long_chain_keeps_few_folders_open_and_can_be_opened_again_from_either_end() {
    let folder = tempfile::tempdir_in("/dev/shm").unwrap();
    let (pool, base) = base(folder.path());
    let mut chain = vec![base];
    for _ in 0..2000 {
        let last = chain.last().unwrap();
        rustix::fs::mkdirat(&*last.fd().unwrap(), "d", rustix::fs::Mode::RWXU).unwrap();
        chain.push(child(last, "d"));
    }
    for folder in chain.iter().rev().step_by(100).chain(chain.iter().step_by(100)) {
        folder.fd().unwrap();
    }
    assert!(pool.open.lock().unwrap().len() <= OPEN_FOLDERS_MAX);
    let open = chain.iter().filter(|folder| folder.open_already().is_some()).count();
    assert!(open <= OPEN_FOLDERS_MAX + 1, "{open}");
}

#[test]
fn letting_go_of_a_very_long_chain_does_not_overflow_the_stack() {
    let folder = tempfile::tempdir().unwrap();
    let (_, mut last) = base(folder.path());
    let identity = last.identity;
    for _ in 0..200_000 {
        last = Folder::child(&last, b"d", identity, Access::List);
    }
    drop(last);
}

#[test]
fn a_folder_that_was_replaced_counts_as_gone() {
    let folder = tempfile::tempdir().unwrap();
    let (_, base) = base(folder.path());
    fs::create_dir(folder.path().join("d")).unwrap();
    let seen = child(&base, "d");
    fs::rename(folder.path().join("d"), folder.path().join("e")).unwrap();
    fs::create_dir(folder.path().join("d")).unwrap();
    assert_eq!(seen.fd().unwrap_err().kind(), std::io::ErrorKind::NotFound);
    fs::remove_dir(folder.path().join("d")).unwrap();
    std::os::unix::fs::symlink("e", folder.path().join("d")).unwrap();
    assert!(seen.fd().is_err());
}
