//! The files that a Redis server reads when it starts, while it is down.
//!
//! Promise: each is replaced in one step, and belongs to whom it belonged; the dump first, then the list of what the
//! append only file consists of, so that a server reads the one state or the other.
//! Left out on purpose: append only files of versions before 7, which are no folder.

use std::fs::{self, File, Metadata};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt as _, fchown};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

/// The folder of the append only file, beside the dump.
const APPEND_ONLY: &str = "appendonlydir";
/// Ending of the list of its parts.
const MANIFEST: &str = ".manifest";

/// Puts a file where the server looks for it.
pub fn put(path: &Path, write: &mut dyn FnMut(&mut dyn Write) -> Result<(), String>) -> Result<(), String> {
    let failed = |error: io::Error| format!("cannot write {}: {error}", path.display());
    let folder = path.parent().ok_or("the path has no folder")?;
    let old = path.metadata().ok();
    let like = match &old {
        Some(old) => old,
        None => &folder.metadata().map_err(failed)?,
    };
    let mut file = NamedTempFile::new_in(folder).map_err(failed)?;
    write(file.as_file_mut())?;
    give(file.as_file(), like).map_err(failed)?;
    if let Some(old) = &old {
        file.as_file().set_permissions(old.permissions()).map_err(failed)?;
    }
    file.as_file().sync_all().map_err(failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)
}

/// Gives a file the owner of another.
fn give(file: &File, like: &Metadata) -> io::Result<()> {
    let mine = file.metadata()?;
    if (mine.uid(), mine.gid()) == (like.uid(), like.gid()) {
        return Ok(());
    }
    fchown(file, Some(like.uid()), Some(like.gid()))
}

/// The list of the parts of the append only file beside a dump, if there is one.
pub fn manifest(dump: &Path) -> Option<PathBuf> {
    let entries = fs::read_dir(dump.parent()?.join(APPEND_ONLY)).ok()?;
    let mut lists = entries.filter_map(|entry| Some(entry.ok()?.path()));
    lists.find(|path| path.to_str().is_some_and(|path| path.ends_with(MANIFEST)))
}

/// Makes a dump all that the append only file beside it says, if there is one.
pub fn refill_append_only(dump: &Path) -> Result<(), String> {
    let Some(list) = manifest(dump) else { return Ok(()) };
    let failed = |error: io::Error| format!("cannot read {}: {error}", list.display());
    let text = fs::read_to_string(&list).map_err(failed)?;
    let parts = parts(&text).ok_or_else(|| format!("{} is no list of parts that larder knows", list.display()))?;
    let (folder, stem) = (list.parent(), list.file_name().and_then(|name| name.to_str()));
    let (Some(folder), Some(stem)) = (folder, stem.and_then(|name| name.strip_suffix(MANIFEST))) else {
        return Err(format!("{} has no name that larder knows", list.display()));
    };
    let number = parts.iter().map(|(_, number)| *number).max().unwrap_or(0) + 1;
    let base = format!("{stem}.{number}.base.rdb");
    put(&folder.join(&base), &mut |out| {
        let mut dump = File::open(dump).map_err(|error| format!("cannot read {}: {error}", dump.display()))?;
        io::copy(&mut dump, out).map(drop).map_err(|error| format!("cannot write {base}: {error}"))
    })?;
    let only = format!("file {base} seq {number} type b\n");
    put(&list, &mut |out| out.write_all(only.as_bytes()).map_err(|error| error.to_string()))?;
    // Nothing reads them any more: what cannot be removed only takes room.
    for (name, _) in parts {
        let _only_takes_room = fs::remove_file(folder.join(name));
    }
    Ok(())
}

/// The names and numbers of parts. `None` for anything unknown.
fn parts(list: &str) -> Option<Vec<(&str, u64)>> {
    list.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).map(part).collect()
}

fn part(line: &str) -> Option<(&str, u64)> {
    let mut words = line.split(' ');
    let (Some("file"), Some(name), Some("seq"), Some(number)) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return None;
    };
    // In quotes when it is unusual; and never outside of the folder.
    let plain = !name.is_empty() && !name.starts_with('"') && !name.contains('/');
    Some((name, number.parse().ok()?)).filter(|_| plain)
}

#[cfg(test)]
#[path = "files_tests.rs"]
mod tests;
