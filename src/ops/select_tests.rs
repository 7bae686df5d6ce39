use super::*;
use crate::ops::history::{Backup, HOUR, History, at};
use crate::ops::tag;

fn check(text: &str, snapshot: &str, path: &str) {
    assert_eq!(split(text), (snapshot.to_owned(), path.as_bytes().to_vec()), "{text}");
}

#[test]
fn a_path_stands_behind_the_first_colon() {
    check("latest", "latest", "");
    check("3f2a91c7:etc/hosts", "3f2a91c7", "etc/hosts");
    check("3f2a91c7:/etc/", "3f2a91c7", "etc");
    check("latest:a:b", "latest", "a:b");
    check("latest:", "latest", "");
}

#[test]
fn a_source_may_hold_a_colon() {
    check("db:app@latest:dump.sql", "db:app@latest", "dump.sql");
    check("db:app@latest", "db:app@latest", "");
    check("a@b@latest:x", "a@b@latest", "x");
    check("/srv/a:b@latest:c:d", "/srv/a:b@latest", "c:d");
    check("db@latest:x@latest:y", "db@latest", "x@latest:y");
    check("db@latest2:x", "db@latest2", "x");
}

#[test]
fn an_id_and_latest_hold_no_colon_whatever_the_path() {
    check("latest:x@latest:y", "latest", "x@latest:y");
    check("0123abcd:dir@latest", "0123abcd", "dir@latest");
}

#[test]
fn a_path_is_as_listings_have_it() {
    check("latest:/etc//hosts/", "latest", "etc/hosts");
    check("latest:./etc/./hosts", "latest", "etc/hosts");
    check("latest:/", "latest", "");
    check("latest::b", "latest", ":b");
    check("nonsense:x", "nonsense", "x");
    check("", "", "");
}

fn error(history: &History, text: &str, forgotten: Forgotten) -> String {
    snapshot(&history.repo, text, forgotten).unwrap_err().to_string()
}

#[test]
fn latest_is_the_newest_in_the_log_that_a_tag_holds() {
    let history = History::new();
    assert_eq!(error(&history, "latest", Forgotten::Refuse), "there is no snapshot yet");
    assert_eq!(error(&history, "db@latest", Forgotten::Allow), "there is no snapshot yet");
    let files = history.back_up_at(&[0, 9 * HOUR, HOUR]);
    let db = history.back_up(&Backup { source: "db@prod", complete: false, started: at(2), ..Backup::default() });
    let meant = |text| snapshot(&history.repo, text, Forgotten::Refuse).map(|found| found.snapshot.id).unwrap();
    assert_eq!(meant("latest"), db);
    assert_eq!(meant("files@latest"), files[2]);
    assert_eq!(meant("db@prod@latest"), db);
    tag::run(&history.repo, db, &[], &["last".into()], at(3)).unwrap();
    assert_eq!(meant("latest"), files[2]);
    let gone = snapshot(&history.repo, "db@prod@latest", Forgotten::Allow).unwrap_err();
    let Error::UnknownSource { source_name, known } = gone else { panic!("{gone}") };
    assert_eq!((source_name.as_str(), known), ("db@prod", vec!["files".to_owned()]));
}

#[test]
fn an_id_is_named_by_its_beginning() {
    let history = History::new();
    let id = history.back_up_at(&[0, HOUR])[1];
    let whole = id.to_string();
    for text in [&whole[..4], &whole[..8], &whole, &whole.to_uppercase()] {
        let found = snapshot(&history.repo, text, Forgotten::Refuse).unwrap();
        assert_eq!((found.snapshot.id, found.record.started), (id, at(HOUR)));
    }
    for text in ["", "nonsense", &format!("{whole}0")] {
        assert_eq!(error(&history, text, Forgotten::Allow), format!("there is no snapshot {text:?}"));
    }
    assert!(error(&history, &whole[..3], Forgotten::Allow).contains("too short for the beginning of an id"));
}

#[test]
fn a_forgotten_one_is_meant_only_where_that_makes_sense() {
    let history = History::new();
    let id = history.back_up_at(&[0, HOUR])[0];
    history.repo.refresh().unwrap();
    let all: Vec<String> = ["last", "daily", "weekly", "monthly", "yearly"].map(String::from).to_vec();
    tag::run(&history.repo, id, &[], &all, at(3)).unwrap();
    let text = id.to_string();
    assert_eq!(error(&history, &text, Forgotten::Refuse), format!("snapshot {} is forgotten", id.short()));
    assert_eq!(snapshot(&history.repo, &text, Forgotten::Allow).unwrap().snapshot.id, id);
}

#[test]
fn an_ambiguous_beginning_is_refused_with_all_it_could_mean() {
    use crate::format::log::{Action, Body, SnapshotAction};
    let mut state = State::default();
    let ids: Vec<SnapshotId> = [0x10u8, 0x11, 0x11, 0x12, 0x12]
        .iter()
        .zip(0..)
        .map(|(&byte, n)| {
            let mut bytes = [byte; 32];
            bytes[31] = n;
            SnapshotId::new(bytes)
        })
        .collect();
    for (at, snapshot) in ids.iter().enumerate() {
        let action = Action::Snapshot(SnapshotAction {
            snapshot: *snapshot,
            series: SeriesId::new([0; 32]),
            started: Default::default(),
            complete: true,
            // The second of those that begin with 11 is forgotten.
            tags: if at != 2 { vec!["last".into()] } else { Vec::new() },
            packs: Vec::new(),
            rescue: Vec::new(),
            record: Vec::new(),
        });
        let writer = crate::id::WriterId::new([0; 16]);
        let time = Default::default();
        let body = Body { previous: [0; 32], token: [0; 16], writer, time, action, extension: Vec::new() };
        state.apply(at as u64 + 1, [0; 32], &body);
    }
    assert_eq!(by_prefix(&state, "1010", Forgotten::Refuse).unwrap().id, ids[0]);
    assert_eq!(by_prefix(&state, "1111", Forgotten::Refuse).unwrap().id, ids[1]);
    // What is forgotten does not make ambiguous what is not.
    assert_eq!(by_prefix(&state, "1111", Forgotten::Allow).unwrap().id, ids[1]);
    let ambiguous = by_prefix(&state, "1212", Forgotten::Allow).unwrap_err();
    assert_eq!(ambiguous.to_string(), "\"1212\" fits 2 snapshots");
    assert!(matches!(ambiguous, Error::Ambiguous { matches, .. } if matches == ids[3..]));
}
