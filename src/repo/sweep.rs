//! Deleting what was swept: log entry first, then objects. See "Deleting" in `format-spec/ordering.md`.

use crate::format::objects;
use crate::id::PackId;
use crate::repo::error::Error;
use crate::repo::state::Fate;
use crate::repo::{Repository, object};
use crate::storage::ErrorKind;

/// Deletes the objects of packs that the log has swept. Asking for any other pack is refused.
pub fn delete_swept(repo: &Repository, packs: &[PackId]) -> Result<u64, Error> {
    let state = repo.state();
    let mut deleted = 0;
    // The sweep may be the entry of somebody who was killed before its barrier. It must not be lost while the deletes
    // are not.
    repo.storage.barrier()?;
    for pack in packs {
        if state.fate(pack) != Some(Fate::Swept) {
            return Err(Error::SelfCheck { what: "list of swept packs" });
        }
        match repo.storage.delete(&object(objects::pack_name(pack))?) {
            Ok(()) => deleted += 1,
            Err(error) if error.kind == ErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
    }
    repo.index().remove_packs(packs)?;
    repo.storage.barrier()?;
    Ok(deleted)
}
