use super::*;

/// For the repository that the first argument names: tests run beside each other.
fn site(
    repository: &str,
    within: &Path,
    clear: &mut dyn FnMut(&str) -> Result<(), String>,
) -> Result<(Site, Vec<String>), String> {
    Site::open(within, &named(repository), rustix::process::geteuid().as_raw(), clear)
}

/// Other processes may run these tests, too.
fn named(repository: &str) -> String {
    format!("{repository}{:015}", std::process::id())
}

fn nothing(_: &str) -> Result<(), String> {
    Ok(())
}

#[test]
fn a_room_goes_with_all_that_runs_in_it() {
    let within = tempfile::TempDir::new().unwrap();
    let (site, _) = site("a", within.path(), &mut nothing).unwrap();
    let room = site.room("app", "n".into(), Place::Local, 0, 0).unwrap();
    let mut runs = Command::new("sleep").arg("600").current_dir(&room.folder).spawn().unwrap();
    fs::create_dir(room.folder.join("locked")).unwrap();
    room.end().unwrap();
    assert!(!runs.wait().unwrap().success());
    drop(site);
    assert_eq!(fs::read_dir(within.path()).unwrap().count(), 0);
}

#[test]
fn there_is_one_drill_at_a_time_and_the_next_clears_what_is_left() {
    let within = tempfile::TempDir::new().unwrap();
    let (first, _) = site("b", within.path(), &mut nothing).unwrap();
    assert!(site("b", within.path(), &mut nothing).is_err_and(|error| error == UNDER_WAY));
    // Each service of systemd has a folder for temporary files of its own, and all have the same servers.
    let elsewhere = tempfile::TempDir::new().unwrap();
    assert!(site("b", elsewhere.path(), &mut nothing).is_err_and(|error| error == UNDER_WAY));
    let room = first.room("app", "n".into(), Place::Local, 0, 0).unwrap();
    // Gone without a word, but for what the guard did.
    drop(room);
    drop(first);
    let mut told = Vec::new();
    let mut busy = |source: &str| {
        told.push(source.to_owned());
        Err("busy".to_owned())
    };
    let (second, warnings) = site("b", within.path(), &mut busy).unwrap();
    assert!(warnings.len() == 1 && warnings[0].ends_with("busy"), "{warnings:?}");
    drop(second);
    assert_eq!(told, ["app"]);
    // Tried again until it is done.
    let (third, warnings) = site("b", within.path(), &mut nothing).unwrap();
    assert!(warnings.is_empty());
    drop(third);
    assert_eq!(fs::read_dir(within.path()).unwrap().count(), 0);
}

#[test]
fn there_must_be_room_and_the_place_must_be_ones_own() {
    let within = tempfile::TempDir::new().unwrap();
    let (site_of_ours, _) = site("c", within.path(), &mut nothing).unwrap();
    let full = site_of_ours.room("app", "n".into(), Place::Local, u64::MAX / 2, 0);
    assert!(full.is_err_and(|error| error.contains("bytes left")));
    if statvfs(within.path()).unwrap().f_files > 0 {
        let full = site_of_ours.room("app", "n".into(), Place::Local, 0, u64::MAX / 2);
        assert!(full.is_err_and(|error| error.contains("more files")));
    }
    let room = site_of_ours.room("app", "n".into(), Place::Local, 0, 0).unwrap();
    assert_eq!(room.trouble(), None);
    fs::create_dir(room.outer.join(PROBE)).unwrap();
    assert!(room.trouble().is_some_and(|trouble| trouble.contains("cannot write")));
    room.end().unwrap();
    drop(site_of_ours);
    let place = within.path().join(format!("larder-drill-{}-{}", rustix::process::geteuid().as_raw(), named("c")));
    std::os::unix::fs::symlink("/", place).unwrap();
    assert!(site("c", within.path(), &mut nothing).is_err_and(|error| error.contains("somebody else's")));
}
