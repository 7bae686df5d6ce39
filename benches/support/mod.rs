//! What several benches start from: an empty repository in memory, opened by a key file.

use std::path::Path;
use std::sync::Arc;

use larder::chunking::Sizes;
use larder::crypto::secret::Secret;
use larder::crypto::slot::Stretch;
use larder::format::Time;
use larder::format::objects::WeekStart;
use larder::repo::Repository;
use larder::repo::open::{NewRepository, create, open};
use larder::repo::slots::Credential;
use larder::storage::memory::Memory;

/// When everything happens.
pub const NOW: Time = Time { seconds: 1_900_000_000, nanos: 0 };

fn key() -> Credential {
    Credential::KeyFile(Secret::new([7; 32]))
}

/// The repository in a storage, with its index below a folder.
pub fn repository(storage: &Memory, caches: Option<&Path>) -> Repository {
    open(Arc::new(storage.clone()), &key(), caches).expect("opens").0
}

/// A new one.
pub fn fresh() -> (Memory, Repository) {
    let storage = Memory::new();
    let new = NewRepository {
        time_zone: "UTC".into(),
        week_start: WeekStart::Monday,
        sizes: Sizes::DEFAULT,
        credential: &key(),
        stretch: Stretch::None,
        now: NOW,
    };
    create(&storage, &new).expect("repository");
    let repo = repository(&storage, None);
    (storage, repo)
}
