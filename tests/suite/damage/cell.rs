//! One cell of the matrix: a command on a damaged repository.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use larder::format::objects;
use larder::id::SnapshotId;
use larder::repo::Repository;
use larder::storage::ObjectName;
use larder::storage::memory::Memory;

use super::commands::{Command, Met};
use super::damages::Harmed;
use crate::support::damage_repo::{Made, chain, memory_of, open_memory, read_back, scratch};

/// A cache as it was before the damage.
pub struct Caches {
    folder: tempfile::TempDir,
}

impl Caches {
    pub fn of(made: &Made) -> Self {
        let folder = scratch();
        let repo = open_memory(&memory_of(&made.image), Some(folder.path())).unwrap();
        larder::repo::catalog::Catalog::survey(&repo).unwrap();
        repo.index().flush().unwrap();
        Self { folder }
    }

    /// A copy that a command may spoil.
    fn copy(&self) -> tempfile::TempDir {
        let copy = scratch();
        copy_folder(self.folder.path(), copy.path());
        copy
    }
}

fn copy_folder(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            fs::create_dir(&target).unwrap();
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// What was found.
pub struct Cell {
    /// `.` did its work, said nothing; `n` did its work, named the object; `p` did what could be done, named the
    /// object; `x` refused, and named the object; `i` (backup) did its work, said nothing, and the new snapshot shares
    /// the damage. Anything else is a fault.
    pub letter: char,
    pub broken: Vec<String>,
}

/// Runs a command on a damaged repository and looks at everything.
pub fn run(made: &Made, harmed: &Harmed, command: &Command, caches: Option<&Caches>) -> Cell {
    let memory = memory_of(&harmed.image);
    let cache = caches.map(Caches::copy);
    let folder = cache.as_ref().map(tempfile::TempDir::path);
    let met = match catch_unwind(AssertUnwindSafe(|| (command.run)(made, &memory, folder))) {
        Ok(met) => met,
        Err(_) => return Cell { letter: '!', broken: vec!["panicked".into()] },
    };
    let mut broken = met.wrong.clone();
    let tokens = tokens(made, harmed);
    let named = |text: &String| tokens.iter().any(|token| text.contains(token.as_str()));
    if !met.said.is_empty() && !met.said.iter().any(named) {
        broken.push(format!("does not name {:?}: {:?}", harmed.objects, met.said));
    }
    broken.extend(aftermath(made, harmed, &memory, &met));
    let letter = match (met.refused, met.partial, met.said.is_empty()) {
        _ if !broken.is_empty() => '?',
        (true, _, _) => 'x',
        (_, true, true) => 'i',
        (_, true, false) => 'p',
        (_, false, true) => '.',
        (_, false, false) => 'n',
    };
    Cell { letter, broken }
}

/// Words of which one must be in a message: the object, or what was in it.
fn tokens(made: &Made, harmed: &Harmed) -> Vec<String> {
    harmed.objects.iter().flat_map(|object| tokens_of(made, object)).collect()
}

/// The same for one object.
pub fn tokens_of(made: &Made, object: &ObjectName) -> Vec<String> {
    let mut tokens = vec![object.to_string()];
    tokens.extend(object.as_str().rsplit('/').next().filter(|part| part.len() >= 32).map(str::to_owned));
    tokens.extend(objects::seq_of_name(object.as_str()).map(|seq| format!("log entry {seq}")));
    tokens.extend(made.inside.get(object).into_iter().flatten().cloned());
    tokens
}

/// With the damaged objects put back as they were, everything must be there again: nothing was deleted meanwhile.
fn aftermath(made: &Made, harmed: &Harmed, memory: &Memory, met: &Met) -> Vec<String> {
    let mut image = memory.snapshot();
    if image == harmed.image {
        return Vec::new();
    }
    // What a command has put in the place of a lost object is not to be touched.
    let as_harmed = |object: &&ObjectName| memory.object(object) == harmed.image.get(*object).cloned();
    for object in harmed.objects.iter().filter(as_harmed) {
        match made.image.get(object) {
            Some(original) => drop(image.insert(object.clone(), original.clone())),
            None => drop(image.remove(object)),
        }
    }
    let healed = memory_of(&image);
    let repo = match open_memory(&healed, None) {
        Ok(repo) => repo,
        Err(error) => return vec![format!("once healed, it does not open: {}", chain(&error))],
    };
    let stored = met.stored.iter().map(|(id, _)| (*id, &made.next));
    made.live.iter().map(|(id, tree)| (*id, tree)).chain(stored).flat_map(|(id, tree)| lost(&repo, id, tree)).collect()
}

fn lost(repo: &Repository, id: SnapshotId, tree: &crate::support::damage_repo::Tree) -> Option<String> {
    let state = repo.state();
    let Some(snapshot) = state.snapshot(&id) else { return Some(format!("once healed, snapshot {id} is gone")) };
    let record = match repo.record(snapshot) {
        Ok(record) => record,
        Err(error) => return Some(format!("once healed, {}", chain(&error))),
    };
    let (found, faults) = read_back(repo, &record.root);
    (!faults.is_empty() || found != *tree).then(|| format!("once healed, snapshot {id} is not whole: {faults:?}"))
}
