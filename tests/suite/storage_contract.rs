//! What every storage must do, and what single ones do beyond it. A new storage is one function and one line.

use std::sync::Arc;

use larder::storage::Storage;
use larder::storage::local::Local;
use larder::storage::memory::Memory;

use crate::support::crashing::{Crashing, Stop};
use crate::support::failing::Failing;
use crate::support::recording::Recording;

mod cases;
mod doubles;
mod local;

/// An empty storage, and the folder that goes with it.
struct Fresh {
    storage: Arc<dyn Storage>,
    _folder: Option<tempfile::TempDir>,
}

fn in_memory() -> Fresh {
    Fresh { storage: Arc::new(Memory::new()), _folder: None }
}

fn in_a_folder() -> Fresh {
    let folder = tempfile::tempdir().unwrap();
    Fresh { storage: Arc::new(Local::create(folder.path()).unwrap()), _folder: Some(folder) }
}

fn recorded() -> Fresh {
    Fresh { storage: Arc::new(Recording::new(Arc::new(Memory::new()))), _folder: None }
}

fn failing_never() -> Fresh {
    Fresh { storage: Arc::new(Failing::never(Arc::new(Memory::new()))), _folder: None }
}

fn crashing_never() -> Fresh {
    Fresh { storage: Arc::new(Crashing::new(Memory::new(), Stop::Never)), _folder: None }
}

/// Every case, for one storage.
macro_rules! contract {
    ($storage:ident) => {
        contract!($storage:
            what_is_put_is_read_back
            parts_are_written_one_after_the_other
            a_range_is_read_exactly
            a_range_replaces_what_the_buffer_held
            a_range_beyond_the_end_is_too_short
            a_range_that_ends_before_it_begins_is_an_error
            an_object_longer_than_the_limit_is_not_read
            what_was_never_put_is_not_found
            an_object_is_never_replaced
            an_empty_object_is_an_object
            a_large_object_in_large_parts_is_read_back
            of_eight_writers_of_one_name_exactly_one_wins
            writers_of_many_names_do_not_disturb_each_other
            a_listing_has_every_object_with_its_size
            a_listing_has_only_what_begins_with_the_prefix
            a_prefix_that_nothing_begins_with_lists_nothing
            a_listener_may_delete_what_it_hears_of
            a_deleted_object_is_gone_and_deleting_again_succeeds
            a_deleted_name_can_be_put_again
            a_barrier_returns_with_and_without_changes
        );
    };
    ($storage:ident: $($case:ident)*) => {
        mod $storage {
            $(#[test]
            fn $case() {
                super::cases::$case(&super::$storage().storage);
            })*
        }
    };
}

contract!(in_memory);
contract!(in_a_folder);
contract!(recorded);
contract!(failing_never);
contract!(crashing_never);
