use super::*;
use crate::format::Kind;
use crate::ops::forget::{self, What};
use crate::ops::history::{Backup, DAY, HOUR, History, at};
use crate::repo::listing::Entries;
use crate::repo::state::Fate;

const LONG: &str = "a file with a name so long that its content is paged";

fn tag(history: &History, snapshot: SnapshotId, add: &[&str], remove: &[&str]) -> Result<Report, Error> {
    let texts = |tags: &[&str]| tags.iter().map(|&tag| tag.to_owned()).collect::<Vec<_>>();
    run(&history.repo, snapshot, &texts(add), &texts(remove), at(DAY))
}

#[test]
fn tags_come_and_go_and_the_id_stays() {
    let history = History::new();
    let id = history.back_up_at(&[0])[0];
    let report = tag(&history, id, &["pre-upgrade", "last"], &["yearly", "nonsense"]).unwrap();
    assert_eq!(report.tags, history.repo.state().snapshot(&id).unwrap().tags);
    assert_eq!(history.tags(id), "daily last monthly pre-upgrade weekly");
    tag(&history, id, &["yearly"], &["pre-upgrade", "last"]).unwrap();
    assert_eq!(history.tags(id), "daily monthly weekly yearly");
    let head = history.repo.state().head;
    tag(&history, id, &["yearly", "yearly"], &["last"]).unwrap();
    assert_eq!(history.repo.refresh().unwrap().head, head, "nothing changes, so nothing is written");
}

#[test]
fn what_cannot_be_a_tag_is_refused() {
    let history = History::new();
    let id = history.back_up_at(&[0])[0];
    let refused = |add: &[&str]| tag(&history, id, add, &[]).unwrap_err();
    for text in ["a b", "", "a,b", "a\n", &"x".repeat(129)] {
        assert!(matches!(refused(&[text]), Error::BadTag { tag } if tag == text));
    }
    let many: Vec<String> = (0..OWN_TAGS_MAX).map(|n| format!("tag{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    tag(&history, id, &many, &[]).unwrap();
    assert_eq!(refused(&["one-more"]).to_string(), "a snapshot has at most 59 tags of one's own");
    // With all that a snapshot can have, it can still be forgotten in one entry.
    history.back_up_at(&[HOUR]);
    forget::apply(&history.repo, &What::Ids(vec![id]), at(DAY)).unwrap();
    assert_eq!(history.tags(id), "");
    let unknown = tag(&history, SnapshotId::new([9; 32]), &["a"], &[]).unwrap_err();
    assert!(matches!(unknown, Error::Repo(RepoError::NoSnapshot(_))));
}

#[test]
fn taking_the_last_tag_forgets_and_hands_the_places_on() {
    let history = History::new();
    let ids = history.back_up_at(&[0, HOUR, DAY]);
    let report = tag(&history, ids[0], &[], &["last", "daily", "weekly", "monthly", "yearly"]).unwrap();
    assert!(report.tags.is_empty());
    let places = ["daily", "weekly", "monthly", "yearly"].map(String::from).to_vec();
    assert_eq!(report.handed_on, [(ids[1], places)]);
    assert_eq!(history.tags(ids[1]), "daily last monthly weekly yearly");
    let refused = tag(&history, ids[2], &[], &["last", "daily"]).unwrap_err();
    assert!(matches!(refused, Error::AlwaysStays { snapshot } if snapshot == ids[2]));
    tag(&history, ids[2], &["kept"], &["last", "daily"]).unwrap();
    assert_eq!(history.tags(ids[2]), "kept");
}

/// Two snapshots that share a file; the first is forgotten. Returns both.
fn one_forgotten(history: &History) -> [SnapshotId; 2] {
    let back_up = |time, files| history.back_up(&Backup { started: at(time), files, ..Backup::default() });
    let ids = [back_up(0, &[LONG, "shared", "z"]), back_up(HOUR, &["shared"])];
    forget::apply(&history.repo, &What::Ids(vec![ids[0]]), at(DAY)).unwrap();
    ids
}

fn is_whole(history: &History, snapshot: SnapshotId) -> bool {
    let state = history.repo.refresh().unwrap();
    let root = history.repo.record(state.snapshot(&snapshot).unwrap()).unwrap().root;
    Entries::new(&history.repo, &root).all(|entry| entry.is_ok())
}

#[test]
fn a_forgotten_one_comes_back_by_being_tagged() {
    let history = History::new();
    let [gone, _] = one_forgotten(&history);
    assert_eq!(history.tags(gone), "");
    let report = tag(&history, gone, &[], &["last"]).unwrap();
    assert!(report.tags.is_empty() && !report.brought_back);
    let report = tag(&history, gone, &["kept"], &[]).unwrap();
    assert!(report.brought_back && report.rescued == 0);
    assert_eq!(history.tags(gone), "kept");
    assert!(history.repo.state().snapshot(&gone).unwrap().forgotten.is_none());
}

#[test]
fn the_condemned_packs_it_needs_are_rescued_in_the_same_entry() {
    let history = History::new();
    let [gone, _] = one_forgotten(&history);
    let all = [history.packs(Kind::Data), history.packs(Kind::Tree)].concat();
    history.condemn(&all, at(DAY));
    let head = history.repo.state().head;
    let report = tag(&history, gone, &["kept"], &[]).unwrap();
    assert_eq!(history.repo.state().head, head + 1);
    let live = |history: &History| {
        let state = history.repo.refresh().unwrap();
        let mut live: Vec<_> = all.iter().filter(|id| state.fate(id) == Some(Fate::Live)).copied().collect();
        live.sort();
        live
    };
    // Its own data and pages; not the pages of the other snapshot.
    assert_eq!((report.rescued, live(&history).len(), all.len()), (2, 2, 3));
    assert!(is_whole(&history, gone));
}

#[test]
fn a_live_copy_is_preferred_to_a_condemned_one() {
    let history = History::new();
    let [gone, _] = one_forgotten(&history);
    let first = history.packs(Kind::Data);
    history.condemn(&first, at(DAY));
    // Condemned copies do not count, so everything is stored again.
    history.back_up(&Backup { started: at(DAY), files: &[LONG, "shared", "z"], ..Backup::default() });
    let report = tag(&history, gone, &["kept"], &[]).unwrap();
    assert!(report.brought_back && report.rescued == 0);
}

#[test]
fn what_was_swept_does_not_come_back() {
    for kind in [Kind::Data, Kind::Tree] {
        let history = History::new();
        let [gone, kept] = one_forgotten(&history);
        let packs = history.packs(kind);
        history.condemn(&packs, at(DAY));
        history.sweep(&packs);
        let head = history.repo.state().head;
        let refused = tag(&history, gone, &["kept"], &[]).unwrap_err();
        assert!(matches!(refused, Error::Gone { snapshot, .. } if snapshot == gone), "{refused}");
        assert!(refused.to_string().contains("chunk"), "{refused}");
        assert_eq!(history.repo.refresh().unwrap().head, head);
        // One that a tag holds can still be tagged, whatever became of its data.
        tag(&history, kept, &["kept"], &[]).unwrap();
    }
}

/// What the rival of an overtaken client does to all packs of data.
fn condemn_data(rival: &History) -> Vec<PackId> {
    let packs = rival.packs(Kind::Data);
    rival.condemn(&packs, at(DAY));
    packs
}

#[test]
fn what_is_condemned_before_the_entry_is_written_is_rescued() {
    let history = History::new();
    let [gone, _] = one_forgotten(&history);
    let overtaken = history.overtaken_by(|rival| drop(condemn_data(rival)));
    let report = tag(&overtaken, gone, &["kept"], &[]).unwrap();
    assert_eq!(report.rescued, history.packs(Kind::Data).len());
    assert!(is_whole(&history, gone));
}

#[test]
fn a_sweep_before_the_entry_is_written_refuses_it() {
    let history = History::new();
    let [gone, _] = one_forgotten(&history);
    let overtaken = history.overtaken_by(|rival| rival.sweep(&condemn_data(rival)));
    let refused = tag(&overtaken, gone, &["kept"], &[]).unwrap_err();
    assert!(matches!(refused, Error::Gone { .. }), "{refused}");
    assert_eq!(history.tags(gone), "");
}

#[test]
fn what_moved_before_the_entry_is_written_is_found_in_its_new_place() {
    let history = History::new();
    let [gone, _] = one_forgotten(&history);
    let overtaken = history.overtaken_by(|rival| {
        let old = condemn_data(rival);
        rival.back_up(&Backup { started: at(DAY), files: &[LONG, "shared", "z"], ..Backup::default() });
        rival.sweep(&old);
    });
    let report = tag(&overtaken, gone, &["kept"], &[]).unwrap();
    assert!(report.brought_back && report.rescued == 0);
}

#[test]
fn one_that_is_forgotten_before_the_entry_is_written_is_looked_through_first() {
    let history = History::new();
    let ids = history.back_up_at(&[0, HOUR]);
    let first = ids[0];
    let overtaken = history.overtaken_by(move |rival| {
        forget::apply(&rival.repo, &What::Ids(vec![first]), at(DAY)).unwrap();
        condemn_data(rival);
    });
    let report = tag(&overtaken, first, &["kept"], &[]).unwrap();
    assert!(report.brought_back);
    assert_eq!(report.rescued, history.packs(Kind::Data).len());
}
