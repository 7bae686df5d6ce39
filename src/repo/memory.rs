//! What this client remembers of a repository, beside its index: the newest log entry it has seen, and the packs in
//! which a check found damage.
//!
//! Promise: a safeguard. Failing to write it is no failure, and losing it costs the protection against a storage that
//! went back in time, and that the next check finds the damage once more.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::id::PackId;
use crate::repo::Repository;
use crate::repo::state::State;

/// The newest log entry seen: its number and the hash of its bytes.
const SEEN: &str = "seen";
/// Packs in which a check found damage, one name a line.
const DISTRUSTED: &str = "distrusted";
/// Longest note that is read: a million packs.
const NOTE_BYTES_MAX: u64 = 65 << 20;

impl Repository {
    /// Where the newest entry seen is remembered.
    pub(in crate::repo) fn seen_path(&self) -> Option<PathBuf> {
        self.memory.as_ref().map(|folder| folder.join(SEEN))
    }

    /// The newest entry seen.
    pub(in crate::repo) fn seen(&self) -> Option<(u64, [u8; 32])> {
        let text = read_note(&self.seen_path()?)?;
        let (seq, digits) = text.trim().split_once(' ')?;
        let mut hash = [0; 32];
        hex::decode_to_slice(digits, &mut hash).ok()?;
        Some((seq.parse().ok()?, hash))
    }

    /// Remembers the head, unless it is damaged.
    pub(in crate::repo) fn remember(&self, state: &State) {
        let Some(path) = self.seen_path() else { return };
        let damaged = state.problems.iter().any(|problem| problem.seq == state.head);
        if !damaged && state.head > 0 {
            write_note(&path, &format!("{} {}\n", state.head, hex::encode(state.head_hash)));
        }
    }

    /// The packs in which a check found damage. They are there and as long as they should be, but no run takes a chunk
    /// as stored because they hold it: while it is still at the source it is stored again.
    pub fn distrusted(&self) -> BTreeSet<PackId> {
        let text = self.memory.as_ref().and_then(|folder| read_note(&folder.join(DISTRUSTED)));
        text.unwrap_or_default().lines().filter_map(|line| line.parse().ok()).collect()
    }

    /// Remembers what a check found: the packs whose blocks do not all open, and those whose blocks all did.
    pub fn remember_checked(&self, damaged: &[PackId], sound: &[PackId]) {
        let Some(folder) = &self.memory else { return };
        let before = self.distrusted();
        let mut packs = before.clone();
        packs.retain(|pack| !sound.contains(pack));
        packs.extend(damaged);
        if packs != before {
            let lines: Vec<String> = packs.iter().map(|pack| format!("{pack}\n")).collect();
            write_note(&folder.join(DISTRUSTED), &lines.concat());
        }
    }
}

/// Reads a note. What is no plain file is none: a pipe in its place would hold us for ever.
fn read_note(path: &Path) -> Option<String> {
    let status = fs::symlink_metadata(path).ok()?;
    if !status.is_file() || status.len() > NOTE_BYTES_MAX {
        return None;
    }
    fs::read_to_string(path).ok()
}

fn write_note(path: &Path, text: &str) {
    let write = || -> std::io::Result<()> {
        let folder = path.parent().ok_or(std::io::ErrorKind::InvalidInput)?;
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(text.as_bytes())?;
        file.persist(path)?;
        Ok(())
    };
    let _ = write();
}
