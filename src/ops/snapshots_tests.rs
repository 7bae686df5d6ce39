use super::*;
use crate::format::Kind;
use crate::ops::forget::{self, What};
use crate::ops::history::{Backup, DAY, HOUR, History, at};

const GRACE: Duration = Duration::from_secs(7 * 86_400);

fn ids(history: &History, filter: &Filter) -> Vec<SnapshotId> {
    let listing = list(&history.repo, filter, GRACE).unwrap();
    assert!(listing.unreadable.is_empty());
    listing.rows.iter().map(|row| row.id).collect()
}

#[test]
fn rows_come_in_the_order_of_the_log_and_filters_narrow_them() {
    let history = History::new();
    let back_up =
        |source, time, tags| history.back_up(&Backup { source, started: at(time), tags, ..Backup::default() });
    let all = [back_up("files", HOUR, &[][..]), back_up("db", 0, &["kept"]), back_up("files", 0, &["kept"])];
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(ids(&history, &Filter::default()), all);
    assert_eq!(ids(&history, &Filter { source: text("files"), ..Filter::default() }), [all[0], all[2]]);
    assert_eq!(ids(&history, &Filter { tag: text("kept"), ..Filter::default() }), all[1..]);
    assert_eq!(ids(&history, &Filter { tag: text("kept"), source: text("db"), ..Filter::default() }), [all[1]]);
    assert_eq!(ids(&history, &Filter { host: text("here"), ..Filter::default() }), all);
    assert_eq!(ids(&history, &Filter { host: text("other"), ..Filter::default() }), []);
    let row = &list(&history.repo, &Filter::default(), GRACE).unwrap().rows[1];
    assert_eq!((row.record.source.as_str(), row.record.started, row.forgotten), ("db", at(0), None));
    assert!(row.tags.contains("kept"));
}

/// The second of two different ones is forgotten.
fn one_forgotten(history: &History) -> SnapshotId {
    let back_up = |time, files| history.back_up(&Backup { started: at(time), files, ..Backup::default() });
    let gone = back_up(0, &["a", "b"]);
    back_up(HOUR, &["c"]);
    forget::apply(&history.repo, &What::Ids(vec![gone]), at(DAY)).unwrap();
    gone
}

fn shown(history: &History) -> Vec<(SnapshotId, ForgottenRow)> {
    let rows = list(&history.repo, &Filter { forgotten: true, ..Filter::default() }, GRACE).unwrap().rows;
    rows.iter().map(|row| (row.id, row.forgotten.unwrap())).collect()
}

#[test]
fn a_forgotten_one_is_shown_on_demand_with_how_long_it_can_come_back() {
    let history = History::new();
    let gone = one_forgotten(&history);
    assert!(!ids(&history, &Filter::default()).contains(&gone));
    let row = |recoverable_until| ForgottenRow { since: at(DAY), recoverable_until };
    assert_eq!(shown(&history), [(gone, row(None))]);
    let packs = [history.packs(Kind::Tree), history.packs(Kind::Data)].concat();
    history.condemn(&packs, at(2 * DAY));
    assert_eq!(shown(&history), [(gone, row(Some(at(9 * DAY))))]);
    // A client that has just come, and whose index is empty.
    assert_eq!(shown(&history.another()), [(gone, row(Some(at(9 * DAY))))]);
    history.sweep(&packs);
    assert_eq!(shown(&history), []);
    assert_eq!(shown(&history.another()), []);
}

/// It was listed as long as its listing was there, and `larder tag` then refused to bring it back.
#[test]
fn a_forgotten_one_goes_with_the_first_pack_that_goes() {
    let history = History::new();
    let gone = history.back_up(&Backup { files: &["a", "b"], ..Backup::default() });
    let data = history.packs(Kind::Data);
    history.back_up(&Backup { started: at(HOUR), files: &["c"], ..Backup::default() });
    forget::apply(&history.repo, &What::Ids(vec![gone]), at(DAY)).unwrap();
    history.condemn(&data, at(2 * DAY));
    assert_eq!(shown(&history), [(gone, ForgottenRow { since: at(DAY), recoverable_until: Some(at(9 * DAY)) })]);
    history.sweep(&data);
    assert_eq!(shown(&history), []);
}

#[test]
fn a_forgotten_one_whose_listing_is_held_by_another_stays_until_pruned() {
    let history = History::new();
    let all = history.back_up_at(&[0, HOUR]);
    forget::apply(&history.repo, &What::Ids(vec![all[0]]), at(DAY)).unwrap();
    assert_eq!(shown(&history), [(all[0], ForgottenRow { since: at(DAY), recoverable_until: None })]);
}

#[test]
fn a_record_that_cannot_be_read_is_named() {
    use crate::format::log::{Action, SnapshotAction};
    let history = History::new();
    let good = history.back_up_at(&[0])[0];
    let bad = SnapshotId::new([9; 32]);
    history.append(
        at(0),
        &Action::Snapshot(SnapshotAction {
            snapshot: bad,
            series: history.repo.keys().series_id("files", "here"),
            started: at(0),
            complete: true,
            tags: vec!["last".into()],
            packs: Vec::new(),
            rescue: Vec::new(),
            record: vec![1, 2, 3],
        }),
    );
    let listing = list(&history.repo, &Filter::default(), GRACE).unwrap();
    assert_eq!(listing.rows.iter().map(|row| row.id).collect::<Vec<_>>(), [good]);
    assert_eq!(listing.unreadable.len(), 1);
    assert_eq!(listing.unreadable[0].0, bad);
}

#[test]
fn adding_a_grace_period_carries_and_does_not_overflow() {
    let half = |seconds| Time { seconds, nanos: 500_000_000 };
    assert_eq!(later(half(1), Duration::from_millis(1500)), Time { seconds: 3, nanos: 0 });
    assert_eq!(later(half(-2), Duration::from_millis(1500)), Time { seconds: 0, nanos: 0 });
    assert_eq!(later(half(i64::MAX), Duration::MAX).seconds, i64::MAX);
}
