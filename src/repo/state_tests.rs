use super::*;
use crate::format::log::TagChange;
use crate::id::WriterId;

/// A log under construction.
#[derive(Default)]
struct Log(State);

impl Log {
    fn then(mut self, action: Action) -> Self {
        let seq = self.0.head + 1;
        let body = Body {
            previous: self.0.head_hash,
            token: [0; 16],
            writer: WriterId::new([0; 16]),
            time: Time { seconds: seq as i64, nanos: 0 },
            action,
            extension: Vec::new(),
        };
        self.0.apply(seq, [seq as u8; 32], &body);
        self
    }

    fn snapshot(self, name: u8, tags: &[&str], packs: &[u8]) -> Self {
        self.then(snapshot(name, tags, packs, &[]))
    }

    fn rescuing(self, name: u8, packs: &[u8], rescue: &[u8]) -> Self {
        self.then(snapshot(name, &["last"], packs, rescue))
    }

    fn tag(self, name: u8, add: &[&str], remove: &[&str], rescue: &[u8]) -> Self {
        let changes = vec![TagChange { snapshot: id(name), add: owned(add), remove: owned(remove) }];
        self.then(Action::Tag(TagAction { changes, rescue: packs(rescue) }))
    }

    fn condemn(self, which: u8) -> Self {
        self.then(Action::Condemn { packs: vec![pack(which)] })
    }

    fn sweep(self, which: u8) -> Self {
        self.then(Action::Sweep { packs: vec![pack(which)] })
    }

    fn fate(&self, which: u8) -> &'static str {
        match self.0.fate(&pack(which)) {
            None => "unnamed",
            Some(Fate::Live) => "live",
            Some(Fate::Condemned { .. }) => "condemned",
            Some(Fate::Swept) => "swept",
        }
    }

    fn tags(&self, name: u8) -> String {
        self.0.snapshot(&id(name)).map(|s| s.tags.iter().cloned().collect::<Vec<_>>().join(" ")).unwrap_or_default()
    }

    fn live(&self) -> Vec<u8> {
        self.0.live().map(|snapshot| snapshot.id.as_bytes()[0]).collect()
    }
}

fn snapshot(name: u8, tags: &[&str], uses: &[u8], rescue: &[u8]) -> Action {
    Action::Snapshot(SnapshotAction {
        snapshot: id(name),
        series: SeriesId::new([0; 32]),
        started: Time::default(),
        complete: true,
        tags: owned(tags),
        packs: uses.iter().map(|&which| named(which)).collect(),
        rescue: packs(rescue),
        record: vec![name],
    })
}

fn owned(tags: &[&str]) -> Vec<String> {
    tags.iter().map(|&tag| tag.to_owned()).collect()
}

fn id(name: u8) -> SnapshotId {
    SnapshotId::new([name; 32])
}

fn pack(which: u8) -> PackId {
    PackId::new([which; 32])
}

fn packs(which: &[u8]) -> Vec<PackId> {
    which.iter().map(|&which| pack(which)).collect()
}

fn named(which: u8) -> PackUse {
    PackUse { id: pack(which), bytes: 100 + u64::from(which), kind: Kind::Tree }
}

#[test]
fn a_named_pack_is_live_with_its_length() {
    let log = Log::default().snapshot(1, &["last"], &[7]);
    assert_eq!(log.0.pack(&pack(7)), Some(&Pack { bytes: 107, kind: Kind::Tree, fate: Fate::Live }));
    assert_eq!(log.fate(8), "unnamed");
}

#[test]
fn the_first_name_of_a_pack_counts() {
    let other = PackUse { bytes: 1, kind: Kind::Data, ..named(7) };
    let log =
        Log::default().snapshot(1, &["last"], &[7]).then(Action::Repack { packs: vec![other], condemned: Vec::new() });
    assert_eq!(log.0.pack(&pack(7)).map(|pack| pack.bytes), Some(107));
}

#[test]
fn a_condemned_pack_can_be_rescued_by_a_snapshot_and_by_a_tag() {
    let condemned = || Log::default().snapshot(1, &["last"], &[7]).condemn(7);
    assert_eq!(condemned().fate(7), "condemned");
    assert_eq!(condemned().rescuing(2, &[], &[7]).fate(7), "live");
    assert_eq!(condemned().tag(1, &["keep"], &[], &[7]).fate(7), "live");
    assert_eq!(condemned().rescuing(2, &[], &[7]).sweep(7).fate(7), "live", "the sweep came too late");
    assert_eq!(condemned().snapshot(2, &["last"], &[7]).fate(7), "condemned", "naming is not rescuing");
}

#[test]
fn swept_is_for_ever() {
    let swept = || Log::default().snapshot(1, &["last"], &[7]).condemn(7).sweep(7);
    assert_eq!(swept().fate(7), "swept");
    assert_eq!(swept().rescuing(2, &[7], &[7]).fate(7), "swept");
    assert_eq!(swept().tag(1, &["keep"], &[], &[7]).fate(7), "swept");
    assert_eq!(swept().condemn(7).fate(7), "swept");
}

#[test]
fn only_condemned_packs_are_swept() {
    assert_eq!(Log::default().snapshot(1, &["last"], &[7]).sweep(7).fate(7), "live");
    assert_eq!(Log::default().sweep(7).fate(7), "unnamed");
}

#[test]
fn condemning_twice_keeps_the_first_time() {
    let log = Log::default().snapshot(1, &["last"], &[7]).condemn(7).condemn(7);
    let at = Time { seconds: 2, nanos: 0 };
    assert_eq!(log.0.fate(&pack(7)), Some(Fate::Condemned { seq: 2, at }));
}

/// A run's own packs were condemned while it ran, because no entry had named them yet. It takes them back, and from
/// then on every client must know how long they are.
#[test]
fn a_pack_condemned_without_a_name_gets_its_length_when_it_is_rescued() {
    let log = Log::default().condemn(7);
    assert_eq!(log.fate(7), "condemned");
    let log = log.rescuing(1, &[7], &[7]);
    assert_eq!(log.0.pack(&pack(7)), Some(&Pack { bytes: 107, kind: Kind::Tree, fate: Fate::Live }));
    assert_eq!(Log::default().rescuing(1, &[], &[7]).fate(7), "unnamed");
}

#[test]
fn a_repack_names_the_new_and_condemns_the_old() {
    let repack = Action::Repack { packs: vec![named(9)], condemned: packs(&[7]) };
    let log = Log::default().snapshot(1, &["last"], &[7, 8]).then(repack);
    assert_eq!([7, 8, 9].map(|which| log.fate(which)), ["condemned", "live", "live"]);
}

#[test]
fn tags_are_removed_then_added() {
    let log = Log::default().snapshot(1, &["last", "daily"], &[]).tag(1, &["a", "daily"], &["daily", "none"], &[]);
    assert_eq!(log.tags(1), "a daily last");
    assert_eq!(log.tag(2, &["a"], &[], &[]).tags(2), "", "an unknown snapshot gets no tag");
}

#[test]
fn a_snapshot_without_tags_is_forgotten_and_can_come_back() {
    let log = Log::default().snapshot(1, &["last"], &[]).snapshot(2, &["last"], &[]).tag(1, &[], &["last"], &[]);
    assert_eq!(log.live(), [2]);
    let forgotten = |log: &Log| log.0.snapshot(&id(1)).and_then(|snapshot| snapshot.forgotten);
    let when = Some((3, Time { seconds: 3, nanos: 0 }));
    assert_eq!(forgotten(&log), when);
    let log = log.tag(1, &[], &["other"], &[]);
    assert_eq!(forgotten(&log), when, "forgotten once");
    let log = log.tag(1, &["keep"], &[], &[]);
    assert_eq!((log.live(), forgotten(&log)), (vec![1, 2], None), "in the order of the log");
}

#[test]
fn a_snapshot_may_be_made_without_tags() {
    let log = Log::default().snapshot(1, &[], &[7]);
    assert_eq!((log.live(), log.fate(7)), (Vec::new(), "live"));
    assert_eq!(log.0.snapshot(&id(1)).and_then(|s| s.forgotten).map(|f| f.0), Some(1));
}

#[test]
fn a_second_snapshot_of_one_name_is_a_problem_and_changes_nothing_of_the_first() {
    let log = Log::default().snapshot(1, &["last"], &[7]).snapshot(1, &["other"], &[8]);
    assert_eq!(log.tags(1), "last");
    assert_eq!(log.0.problems.iter().map(|problem| problem.seq).collect::<Vec<_>>(), [2]);
    assert_eq!(log.fate(8), "live", "what it names may be needed");
}

#[test]
fn notes_stay_with_their_snapshot_and_hold_nothing() {
    let note = |value: &str| Action::Note { snapshot: id(1), name: "verified".into(), value: value.into() };
    let log = Log::default().snapshot(1, &["last"], &[]).then(note("a")).then(note("b")).tag(1, &[], &["last"], &[]);
    let snapshot = log.0.snapshot(&id(1)).expect("the snapshot");
    assert_eq!(snapshot.noted.keys().map(String::as_str).collect::<Vec<_>>(), ["verified"]);
    let notes = &snapshot.notes;
    assert_eq!(notes.iter().map(|note| note.1.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    assert!(log.live().is_empty());
}

#[test]
fn a_damaged_entry_moves_the_head_and_is_remembered() {
    let mut log = Log::default().snapshot(1, &["last"], &[7]);
    log.0.apply_damaged(2, [9; 32], "missing".into());
    assert_eq!((log.0.head, log.0.head_hash), (2, [9; 32]));
    let log = log.snapshot(2, &["last"], &[]);
    assert_eq!((log.0.head, log.live()), (3, vec![1, 2]));
    assert_eq!(log.0.problems, [Problem { seq: 2, reason: "missing".into() }]);
}
