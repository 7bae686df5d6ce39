//! A repository with a past, for jobs that need something to work on.

use std::path::Path;

use larder::crypto::keys::RootKey;
use larder::repo::Repository;
use larder::storage::memory::{Image, Memory};

use crate::support::repo::{Cache, Clock, HOUR, Known, TestRepo};
use crate::support::tree::{Tree, noise, text};

/// Names of snapshots.
pub type Names = &'static [&'static str];

/// A repository with a past, from which a job begins as often as a test wants.
pub struct Ground {
    pub image: Image,
    pub known: Known,
    pub root: RootKey,
    pub clock: Clock,
    cache: tempfile::TempDir,
}

impl Ground {
    /// The repository as the job finds it, in a memory of its own.
    pub fn memory(&self) -> Memory {
        Memory::from_image(self.image.clone())
    }

    /// The client's cache as the job finds it, in a folder of its own.
    pub fn cache(&self) -> tempfile::TempDir {
        copy_of(&self.cache)
    }
}

/// A folder with all that is in another.
pub fn copy_of(folder: &tempfile::TempDir) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    copy_folder(folder.path(), copy.path());
    copy
}

fn copy_folder(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            std::fs::create_dir(&target).unwrap();
            copy_folder(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

pub const MONDAY: &str = "monday";
pub const TUESDAY: &str = "tuesday";
pub const WEDNESDAY: &str = "wednesday";
pub const OTHER: &str = "other";

pub fn monday() -> Tree {
    Tree::new()
        .file("docs/plan", text(1, 4_000), 100)
        .file("docs/old", text(2, 3_000), 100)
        .file("noise", noise(3, 2_500), 100)
        .symlink("latest", "docs/plan", 100)
}

/// Shares `docs/plan` with monday.
pub fn tuesday() -> Tree {
    monday().without("docs/old").file("noise", noise(4, 2_200), 200).file("docs/new", text(5, 3_500), 200)
}

/// Shares something with both; `docs/old` comes back.
pub fn wednesday() -> Tree {
    tuesday().file("docs/old", text(2, 3_000), 300).file("more", text(6, 1_500), 300)
}

/// Shares nothing with any.
pub fn other() -> Tree {
    Tree::new().file("other", text(7, 3_000), 50).file("other noise", noise(8, 1_500), 50)
}

/// A repository in which these were backed up, one hour after the other.
pub fn past(names: Names) -> Ground {
    past_with(names, |_, _| {})
}

/// The same, and something was done to it afterwards.
pub fn past_with(names: Names, then: impl FnOnce(&TestRepo, &Repository)) -> Ground {
    let test = TestRepo::new();
    let cache = tempfile::tempdir().unwrap();
    let mut known = Known::default();
    for (name, tree) in [(MONDAY, monday()), (TUESDAY, tuesday()), (WEDNESDAY, wednesday()), (OTHER, other())] {
        known.put(name, &tree);
    }
    let repo = test.open_with(&Cache::In(cache.path().to_owned()));
    for name in names {
        test.clock.advance(HOUR);
        test.backup(&repo, name, known.get(name));
    }
    then(&test, &repo);
    drop(repo);
    test.clock.advance(HOUR);
    Ground { image: test.memory.snapshot(), known, root: test.root, clock: test.clock, cache }
}
