use super::*;
use crate::format::Kind;
use crate::format::log::SnapshotAction;
use crate::ops::history::{Backup, DAY, HOUR, History, at};
use crate::ops::retention::verdict::{Reason, Rule};

const ALL: &str = "daily last monthly weekly yearly";

fn policy(policy: Policy, source: Option<&str>) -> What {
    What::Policy { policy, source: source.map(str::to_owned) }
}

#[test]
fn a_plan_changes_nothing_and_applying_it_does_what_it_says() {
    let history = History::new();
    let ids = history.back_up_at(&[0, HOUR, DAY, 2 * DAY]);
    let what = policy(Policy { last: 1, daily: 2, ..Policy::NOTHING }, None);
    let head = history.repo.state().head;
    let planned = plan(&history.repo, &what).unwrap();
    assert_eq!(history.repo.refresh().unwrap().head, head);
    assert_eq!(planned.forgotten().collect::<Vec<_>>(), ids[..2]);
    let applied = apply(&history.repo, &what, at(3 * DAY)).unwrap();
    assert_eq!(applied.series[0].verdicts, planned.series[0].verdicts);
    assert_eq!(history.repo.state().head, head + 1);
    assert_eq!(ids.iter().map(|&id| history.tags(id)).collect::<Vec<_>>(), ["", "", "daily", "daily last"]);
    // Nothing is left to do, so nothing is written.
    assert!(!apply(&history.repo, &what, at(3 * DAY)).unwrap().verdicts().any(Verdict::changes));
    assert_eq!(history.repo.refresh().unwrap().head, head + 1);
    assert_eq!(history.packs(Kind::Data).len(), 1);
}

#[test]
fn each_series_is_judged_alone_and_a_source_limits_the_policy() {
    let history = History::new();
    let back_up = |source, time| history.back_up(&Backup { source, started: at(time), ..Backup::default() });
    let files = [back_up("files", 0), back_up("files", HOUR)];
    let db = [back_up("db", 0), back_up("db", HOUR)];
    let what = policy(Policy::NOTHING, Some("db"));
    let applied = apply(&history.repo, &what, at(DAY)).unwrap();
    let [series] = applied.series.as_slice() else { panic!("{applied:?}") };
    assert_eq!(series.series, history.repo.keys().series_id("db", "here"));
    assert_eq!(files.map(|id| history.tags(id)), [ALL, "last"]);
    assert_eq!(db.map(|id| history.tags(id)), ["", "last"]);
    let applied = apply(&history.repo, &policy(Policy::NOTHING, None), at(DAY)).unwrap();
    assert_eq!(applied.series.len(), 2);
    assert_eq!(files.map(|id| history.tags(id)), ["", "last"]);
    let unknown = plan(&history.repo, &policy(Policy::NOTHING, Some("dbs"))).unwrap_err();
    assert_eq!(unknown.to_string(), "there is no snapshot of a source \"dbs\"");
    let Error::UnknownSource { known, .. } = unknown else { panic!() };
    assert_eq!(known, ["db", "files"]);
}

#[test]
fn by_id_own_tags_go_too_and_the_place_is_handed_on_in_the_same_entry() {
    let history = History::new();
    let first = history.back_up(&Backup { tags: &["pre-upgrade"], ..Backup::default() });
    let ids = history.back_up_at(&[HOUR, 2 * HOUR]);
    let head = history.repo.state().head;
    let applied = apply(&history.repo, &What::Ids(vec![first]), at(DAY)).unwrap();
    assert_eq!(history.repo.state().head, head + 1);
    assert_eq!([first, ids[0], ids[1]].map(|id| history.tags(id)), ["", ALL, "last"]);
    let said: Vec<_> = applied.verdicts().collect();
    assert_eq!(said.len(), 2);
    assert!(said[0].drops.iter().all(|dropped| dropped.reason == Reason::Named));
    assert_eq!(said[1].gains, ["daily", "weekly", "monthly", "yearly"]);
    assert_eq!(said[1].keeps[0].rule, Rule::NotNamed);
    let again = apply(&history.repo, &What::Ids(vec![first]), at(DAY)).unwrap_err();
    assert!(matches!(again, Error::ForgottenAlready { snapshot } if snapshot == first));
}

#[test]
fn the_newest_complete_one_and_an_unknown_one_are_refused_by_id() {
    let history = History::new();
    let ids = history.back_up_at(&[0, HOUR]);
    let refused = apply(&history.repo, &What::Ids(ids.clone()), at(DAY)).unwrap_err();
    assert!(matches!(refused, Error::AlwaysStays(AlwaysStays { snapshot }) if snapshot == ids[1]));
    assert!(refused.to_string().contains("newest complete one of its series, which always stays"));
    assert_eq!(history.tags(ids[0]), ALL);
    let unknown = plan(&history.repo, &What::Ids(vec![SnapshotId::new([9; 32])])).unwrap_err();
    assert!(matches!(unknown, Error::Repo(RepoError::NoSnapshot(_))));
}

#[test]
fn who_loses_the_slot_judges_again() {
    let history = History::new();
    let ids = history.back_up_at(&[0, HOUR]);
    let overtaken = history.overtaken_by(|rival| drop(rival.back_up_at(&[2 * HOUR])));
    let applied = apply(&overtaken.repo, &policy(Policy::NOTHING, None), at(DAY)).unwrap();
    // Judged before, the second one would have stayed as the newest complete one.
    assert_eq!(applied.forgotten().collect::<Vec<_>>(), ids);
    assert_eq!(ids.iter().map(|&id| history.tags(id)).collect::<Vec<_>>(), ["", ""]);
    assert_eq!(history.repo.state().live().count(), 1);
}

#[test]
fn an_heir_that_was_forgotten_meanwhile_inherits_nothing() {
    let history = History::new();
    let ids = history.back_up_at(&[0, HOUR, 2 * HOUR]);
    let heir = ids[1];
    let overtaken = history.overtaken_by(move |rival| {
        apply(&rival.repo, &What::Ids(vec![heir]), at(DAY)).unwrap();
    });
    apply(&overtaken.repo, &What::Ids(vec![ids[0]]), at(DAY)).unwrap();
    assert_eq!(ids.iter().map(|&id| history.tags(id)).collect::<Vec<_>>(), ["", "", ALL]);
}

#[test]
fn what_others_appended_is_seen() {
    let history = History::new();
    let other = history.another();
    let ids = history.back_up_at(&[0, HOUR]);
    assert_eq!(plan(&other.repo, &policy(Policy::NOTHING, None)).unwrap().forgotten().collect::<Vec<_>>(), ids[..1]);
}

/// A snapshot of this source, complete and newer than the rest, whose record nobody can read.
fn unreadable(history: &History, source: &str, id: u8) -> SnapshotId {
    let snapshot = SnapshotId::new([id; 32]);
    let action = SnapshotAction {
        snapshot,
        series: history.repo.keys().series_id(source, "here"),
        started: at(DAY),
        complete: true,
        tags: vec!["last".into()],
        packs: Vec::new(),
        rescue: Vec::new(),
        record: vec![1, 2, 3],
    };
    history.append(at(DAY), &Action::Snapshot(action));
    snapshot
}

/// A policy for one source gave up because of another one; and one without a source kept what nobody could restore any
/// more, instead of what everybody could.
#[test]
fn what_cannot_be_read_is_left_alone_and_takes_no_place() {
    let history = History::new();
    let ids = history.back_up_at(&[0, HOUR, 2 * HOUR]);
    let db = history.back_up(&Backup { source: "db", ..Backup::default() });
    let in_files = unreadable(&history, "files", 8);
    let alone = unreadable(&history, "lost", 9);
    let what = |source| policy(Policy { last: 1, ..Policy::NOTHING }, source);
    let unread = |plan: &Plan| plan.unreadable.iter().map(|found| found.0).collect::<Vec<_>>();
    // Nobody can tell whether the series without a readable record is the one that is meant.
    let planned = plan(&history.repo, &what(Some("db"))).unwrap();
    assert_eq!((planned.series.len(), planned.forgotten().count(), unread(&planned)), (1, 0, vec![alone]));
    let planned = plan(&history.repo, &what(Some("lost"))).unwrap();
    assert_eq!((planned.series.len(), unread(&planned)), (0, vec![alone]));
    let applied = apply(&history.repo, &what(None), at(2 * DAY)).unwrap();
    assert_eq!((applied.forgotten().collect::<Vec<_>>(), unread(&applied)), (ids[..2].to_vec(), vec![in_files, alone]));
    assert_eq!([ids[2], db, in_files, alone].map(|id| history.tags(id)), ["last", "last", "last", "last"]);
}

#[test]
fn what_cannot_be_read_goes_by_name_and_inherits_nothing() {
    let history = History::new();
    let ids = history.back_up_at(&[0, HOUR]);
    let bad = unreadable(&history, "files", 8);
    let refused = apply(&history.repo, &What::Ids(vec![ids[1]]), at(2 * DAY)).unwrap_err();
    assert!(matches!(refused, Error::AlwaysStays(AlwaysStays { snapshot }) if snapshot == ids[1]));
    apply(&history.repo, &What::Ids(vec![ids[0]]), at(2 * DAY)).unwrap();
    assert_eq!([ids[0], ids[1], bad].map(|id| history.tags(id)), ["", ALL, "last"]);
    apply(&history.repo, &What::Ids(vec![bad]), at(2 * DAY)).unwrap();
    assert_eq!(history.tags(bad), "");
}
