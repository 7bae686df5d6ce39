//! What becomes of a log entry whose creation fails, or seems to: see "Appending to the log" in `format-spec/ordering.md`.

use std::sync::Arc;

use larder::format::log::{Action, KeyChange};
use larder::id::SlotId;
use larder::repo::Repository;
use larder::repo::error::Error;
use larder::repo::open::open;
use larder::storage::memory::Memory;
use larder::storage::{ErrorKind, Storage};

use crate::support::CallKind;
use crate::support::damage_repo::{KEY, NOW, key_file, memory_of, open_memory};
use crate::support::damage_samples;
use crate::support::failing::{Failing, Fault, Lasts, Moment, Of};
use crate::support::meanwhile::Meanwhile;

fn note(repo: &Repository, slot: u8) -> Result<u64, Error> {
    let action = Action::Key { slot: SlotId::new([slot; 16]), change: KeyChange::Added };
    repo.append::<Error>(NOW, &mut |_| Ok(Some(action.clone()))).map(|state| state.head)
}

fn opened(storage: Arc<dyn Storage>) -> Repository {
    open(storage, &key_file(KEY), None).expect("opens").0
}

fn failing(memory: &Memory, lasts: Lasts, moment: Moment) -> Arc<Failing> {
    let fault = Fault { at: 0, of: Of::Kind(CallKind::PutNew), kind: ErrorKind::Other, lasts, moment };
    Arc::new(Failing::new(Arc::new(memory.clone()), fault))
}

#[test]
fn an_entry_is_created_again_if_it_is_not_there_and_found_if_it_is() {
    for (moment, puts) in [(Moment::Before, 2), (Moment::After, 1)] {
        let memory = memory_of(&damage_samples::tiny().image);
        let head = open_memory(&memory, None).unwrap().state().head;
        let storage = failing(&memory, Lasts::Once, moment);
        assert_eq!(note(&opened(storage.clone()), 1).unwrap(), head + 1);
        assert_eq!(storage.calls(), puts, "{moment:?}");
        let state = open_memory(&memory, None).unwrap().state();
        assert_eq!((state.head, state.problems.as_slice()), (head + 1, [].as_slice()));
    }
}

#[test]
fn an_entry_that_cannot_be_created_is_tried_twice_and_no_more() {
    let memory = memory_of(&damage_samples::tiny().image);
    let head = open_memory(&memory, None).unwrap().state().head;
    let storage = failing(&memory, Lasts::FromThenOn, Moment::Before);
    assert!(note(&opened(storage.clone()), 1).is_err());
    assert_eq!((storage.calls(), open_memory(&memory, None).unwrap().state().head), (2, head));
}

#[test]
fn whoever_fails_while_another_is_faster_decides_again() {
    let memory = memory_of(&damage_samples::tiny().image);
    let head = open_memory(&memory, None).unwrap().state().head;
    let meanwhile = Arc::new(Meanwhile::new(failing(&memory, Lasts::Once, Moment::Before)));
    let repo = opened(meanwhile.clone());
    let other = memory.clone();
    meanwhile.before(CallKind::PutNew, "log/", move || {
        note(&open_memory(&other, None).unwrap(), 2).unwrap();
    });
    assert_eq!(note(&repo, 1).unwrap(), head + 2);
    assert!(meanwhile.all_done());
}
