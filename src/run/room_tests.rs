use super::*;

fn site(within: &Path, clear: &mut dyn FnMut(&str) -> Result<(), String>) -> Result<(Site, Vec<String>), String> {
    Site::open(within, "0123456789abcdef0123", rustix::process::geteuid().as_raw(), clear)
}

fn nothing(_: &str) -> Result<(), String> {
    Ok(())
}

#[test]
fn a_room_goes_with_all_that_runs_in_it() {
    let within = tempfile::TempDir::new().unwrap();
    let (site, _) = site(within.path(), &mut nothing).unwrap();
    let room = site.room("app", "n".into(), Place::Local, 0).unwrap();
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
    let (first, _) = site(within.path(), &mut nothing).unwrap();
    assert!(site(within.path(), &mut nothing).is_err_and(|error| error == UNDER_WAY));
    let room = first.room("app", "n".into(), Place::Local, 0).unwrap();
    // Gone without a word, but for what the guard did.
    drop(room);
    drop(first);
    let mut told = Vec::new();
    let mut busy = |source: &str| {
        told.push(source.to_owned());
        Err("busy".to_owned())
    };
    let (second, warnings) = site(within.path(), &mut busy).unwrap();
    assert!(warnings.len() == 1 && warnings[0].ends_with("busy"), "{warnings:?}");
    drop(second);
    assert_eq!(told, ["app"]);
    // Tried again until it is done.
    let (third, warnings) = site(within.path(), &mut nothing).unwrap();
    assert!(warnings.is_empty());
    drop(third);
    assert_eq!(fs::read_dir(within.path()).unwrap().count(), 0);
}

#[test]
fn there_must_be_room_and_the_place_must_be_ones_own() {
    let within = tempfile::TempDir::new().unwrap();
    let (site_of_ours, _) = site(within.path(), &mut nothing).unwrap();
    let full = site_of_ours.room("app", "n".into(), Place::Local, u64::MAX / 2);
    assert!(full.is_err_and(|error| error.contains("bytes left")));
    drop(site_of_ours);
    let place = within.path().join(format!("larder-drill-{}-0123456789abcdef", rustix::process::geteuid().as_raw()));
    std::os::unix::fs::symlink("/", place).unwrap();
    assert!(site(within.path(), &mut nothing).is_err_and(|error| error.contains("somebody else's")));
}
