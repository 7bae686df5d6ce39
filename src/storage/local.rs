//! Objects as files in a folder: an object's name is its path.
//!
//! Promise: a name never shows anything but the whole object, synced; what a call put, deleted or listed survives a
//! power cut once a barrier returned; no symbolic link is followed, and nothing outside the folder is touched.
//! Left out on purpose: mapping files into memory (a failing disk would be a signal instead of an error), and locks.

use std::collections::BTreeSet;
use std::ffi::CStr;
use std::fs::File;
use std::mem;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, FileExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, RawDir, Stat};
use rustix::fs::{fstat, fsync, mkdirat, openat, statat, syncfs, unlinkat};
use rustix::io::{Errno, retry_on_intr};

use crate::storage::local::errors::{failed, not_opened};
use crate::storage::local::temporary::Temporary;
use crate::storage::{Error, ObjectInfo, ObjectName, Storage};

mod errors;
mod temporary;

/// Room for the directory entries of one system call.
const ENTRIES_BYTES: usize = 32 << 10;

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// A folder of objects.
#[derive(Debug)]
pub struct Local {
    root: PathBuf,
    root_fd: OwnedFd,
    unsynced: Mutex<Unsynced>,
    /// Held for the whole of a barrier: a second one must not return while the first still syncs what both promise.
    one_barrier: Mutex<()>,
}

/// What the next barrier has to sync.
#[derive(Debug, Default)]
struct Unsynced {
    /// Folders whose entries changed, or showed what an earlier run may have left unsynced.
    folders: BTreeSet<String>,
    /// Folders whose own entry, and that of every folder above, a barrier has synced.
    rooted: BTreeSet<String>,
    /// The first sync that failed. The kernel may have forgotten what it could not write, so none is believed after.
    broken: Option<Errno>,
}

impl Local {
    /// Makes a storage in a folder that is missing or empty. [`ErrorKind::AlreadyExists`](crate::storage::ErrorKind::AlreadyExists) when it holds anything.
    pub fn create(root: &Path) -> Result<Self, Error> {
        make_durably(root).map_err(|errno| failed("create", &root.display(), errno))?;
        let local = Self::open(root)?;
        match is_empty(&local.root_fd) {
            Ok(true) => Ok(local),
            Ok(false) => Err(failed("create", &root.display(), Errno::EXIST)),
            Err(errno) => Err(failed("create", &root.display(), errno)),
        }
    }

    /// Opens the storage in a folder.
    pub fn open(root: &Path) -> Result<Self, Error> {
        let root_fd = retry_on_intr(|| openat(CWD, root, FOLDER, Mode::empty()))
            .map_err(|errno| failed("open", &root.display(), errno))?;
        Ok(Self { root: root.to_owned(), root_fd, unsynced: Mutex::default(), one_barrier: Mutex::default() })
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Deletes temporary files that killed runs left behind, and returns how many. One younger than `older_than`
    /// may belong to a run that still writes it.
    pub fn sweep_temporaries(&self, older_than: Duration, now: SystemTime) -> Result<u64, Error> {
        let mut swept = 0;
        self.walk("", &mut |found| {
            let temporary = found.file.to_bytes().starts_with(temporary::PREFIX.as_bytes());
            let age = now.duration_since(modified_at(&found.stat)).unwrap_or_default();
            if !temporary || age < older_than {
                return Ok(());
            }
            swept += 1;
            gone_is_fine(unlinkat(found.folder_fd, found.file, AtFlags::empty()))
        })
        .map_err(|errno| failed("delete", &temporary::PREFIX, errno))?;
        Ok(swept)
    }

    fn put(&self, name: &ObjectName, parts: &[&[u8]]) -> Result<(), Errno> {
        let (folder, file) = split(name);
        let folder_fd = match self.open_folder(folder) {
            Err(Errno::NOENT) => self.make_folder(folder)?,
            result => result?,
        };
        let mut temporary = Temporary::create(folder_fd.as_fd())?;
        for part in parts {
            temporary.write(part)?;
        }
        let published = temporary.publish(file);
        // After publishing, or a barrier at the same time could sync the folder too early. Also when it failed: the
        // caller may find the object in place, made by someone who was killed before the barrier.
        self.note_unsynced(folder);
        published
    }

    fn remove(&self, name: &ObjectName) -> Result<(), Errno> {
        let (folder, file) = split(name);
        let folder_fd = self.open_folder(folder)?;
        let removed = unlinkat(&folder_fd, file, AtFlags::empty());
        self.note_unsynced(folder);
        removed
    }

    /// Opens an object for reading, and says how long it is.
    fn open_object(&self, name: &ObjectName) -> Result<(File, u64), Errno> {
        let (folder, file) = split(name);
        let folder_fd = self.open_folder(folder)?;
        // Not blocking, or a named pipe in an object's place would hold us for ever.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let fd = retry_on_intr(|| openat(&folder_fd, file, flags, Mode::empty()))?;
        let stat = fstat(&fd)?;
        if !FileType::from_raw_mode(stat.st_mode).is_file() {
            return Err(Errno::INVAL);
        }
        Ok((fd.into(), u64::try_from(stat.st_size).map_err(|_| Errno::INVAL)?))
    }

    /// Opens a folder below the root (`""`: the root), step by step, so that no symbolic link is followed.
    fn open_folder(&self, folder: &str) -> Result<OwnedFd, Errno> {
        let mut folder_fd = self.open_root()?;
        for part in parts(folder) {
            folder_fd = open_part(&folder_fd, part)?;
        }
        Ok(folder_fd)
    }

    /// Makes a folder and those above it.
    fn make_folder(&self, folder: &str) -> Result<OwnedFd, Errno> {
        let mut folder_fd = self.open_root()?;
        for part in parts(folder) {
            match mkdirat(&folder_fd, part, Mode::RWXU) {
                Ok(()) | Err(Errno::EXIST) => folder_fd = open_part(&folder_fd, part)?,
                Err(errno) => return Err(errno),
            }
        }
        Ok(folder_fd)
    }

    fn open_root(&self) -> Result<OwnedFd, Errno> {
        // A root that was removed while we hold it looks empty. Nothing may take that for the truth.
        if fstat(&self.root_fd)?.st_nlink == 0 {
            return Err(Errno::STALE);
        }
        open_part(&self.root_fd, ".")
    }

    /// Visits every regular file whose path begins with `prefix`, below folders that could hold objects.
    fn walk(&self, prefix: &str, visit: &mut dyn FnMut(&Found<'_>) -> Result<(), Errno>) -> Result<(), Errno> {
        let base = prefix.rsplit_once('/').map_or("", |(base, _)| base);
        if prefix.contains('/') && ObjectName::new(base).is_none() {
            return Ok(());
        }
        let mut ahead = vec![base.to_owned()];
        let mut entries = Vec::with_capacity(ENTRIES_BYTES);
        while let Some(folder) = ahead.pop() {
            let folder_fd = match self.open_folder(&folder) {
                Err(Errno::NOENT) => continue,
                result => result?,
            };
            let mut reader = RawDir::new(&folder_fd, entries.spare_capacity_mut());
            while let Some(entry) = reader.next() {
                let entry = entry?;
                let Some(path) = path_below(&folder, entry.file_name(), prefix) else { continue };
                match look(&folder_fd, entry.file_name(), entry.file_type())? {
                    Look::Folder if ObjectName::new(path.as_str()).is_some() => ahead.push(path),
                    Look::File(stat) => {
                        let folder_fd = folder_fd.as_fd();
                        visit(&Found { folder: &folder, folder_fd, file: entry.file_name(), path, stat })?;
                    }
                    Look::Folder | Look::Other => {}
                }
            }
        }
        Ok(())
    }

    fn note_unsynced(&self, folder: &str) {
        let mut unsynced = self.unsynced();
        if !unsynced.rooted.contains(folder) {
            // The folder may be new, whoever made it, and then those above it changed as well.
            let slashes = folder.match_indices('/').map(|(at, _)| at);
            unsynced.folders.extend(slashes.map(|at| folder[..at].to_owned()));
            unsynced.folders.insert(String::new());
        }
        unsynced.folders.insert(folder.to_owned());
    }

    /// The barrier, with the system call as an argument, so that a test can let it fail.
    fn sync_folders(&self, sync: &dyn Fn(&OwnedFd) -> Result<(), Errno>) -> Result<(), Errno> {
        let _one_barrier = self.one_barrier.lock().unwrap_or_else(PoisonError::into_inner);
        let mut unsynced = self.unsynced();
        if let Some(errno) = unsynced.broken {
            return Err(errno);
        }
        let taken = mem::take(&mut unsynced.folders);
        drop(unsynced);
        let synced = taken.iter().try_for_each(|folder| {
            let folder_fd = self.open_folder(folder)?;
            sync(&folder_fd).inspect_err(|errno| self.unsynced().broken = Some(*errno))
        });
        let mut unsynced = self.unsynced();
        match synced {
            Ok(()) => unsynced.rooted.extend(taken),
            Err(_) => unsynced.folders.extend(taken),
        }
        synced
    }

    fn unsynced(&self) -> MutexGuard<'_, Unsynced> {
        self.unsynced.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Storage for Local {
    fn put_new(&self, name: &ObjectName, parts: &[&[u8]]) -> Result<(), Error> {
        self.put(name, parts).map_err(|errno| failed("write", name, errno))
    }

    fn get(&self, name: &ObjectName, range: Range<u64>) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        self.get_into(name, range, &mut bytes)?;
        Ok(bytes)
    }

    fn get_into(&self, name: &ObjectName, range: Range<u64>, buffer: &mut Vec<u8>) -> Result<(), Error> {
        let (file, there) = self.open_object(name).map_err(|errno| not_opened(name, errno))?;
        if there < range.end {
            return Err(Error::too_short(name, &range, there));
        }
        read_at(&file, &range, buffer).map_err(|errno| failed("read", name, errno))
    }

    fn get_whole(&self, name: &ObjectName, limit: u64) -> Result<Vec<u8>, Error> {
        let (file, there) = self.open_object(name).map_err(|errno| not_opened(name, errno))?;
        if there > limit {
            return Err(Error::too_long(name, limit, there));
        }
        let mut bytes = Vec::new();
        read_at(&file, &(0..there), &mut bytes).map_err(|errno| failed("read", name, errno))?;
        Ok(bytes)
    }

    fn list(&self, prefix: &str, each: &mut dyn FnMut(ObjectInfo)) -> Result<(), Error> {
        let mut noted = None;
        self.walk(prefix, &mut |found| {
            let Some(name) = ObjectName::new(found.path.as_str()) else { return Ok(()) };
            if noted.as_deref() != Some(found.folder) {
                // A run killed before its barrier may have left the object, and ours builds on it from now on.
                self.note_unsynced(found.folder);
                noted = Some(found.folder.to_owned());
            }
            let bytes = u64::try_from(found.stat.st_size).map_err(|_| Errno::INVAL)?;
            each(ObjectInfo { name, bytes, stored_at: modified_at(&found.stat) });
            Ok(())
        })
        .map_err(|errno| failed("list", &prefix, errno))
    }

    fn delete(&self, name: &ObjectName) -> Result<(), Error> {
        gone_is_fine(self.remove(name)).map_err(|errno| failed("delete", name, errno))
    }

    fn barrier(&self) -> Result<(), Error> {
        self.sync_folders(&sync_folder).map_err(|errno| failed("sync", &self.root.display(), errno))
    }
}

/// A regular file that a walk came by.
struct Found<'a> {
    folder: &'a str,
    folder_fd: BorrowedFd<'a>,
    file: &'a CStr,
    path: String,
    stat: Stat,
}

/// What stands behind a directory entry.
enum Look {
    Folder,
    File(Stat),
    Other,
}

/// Looks at a directory entry, without following it. One that vanished meanwhile is nothing.
fn look(folder_fd: &OwnedFd, name: &CStr, hint: FileType) -> Result<Look, Errno> {
    match hint {
        FileType::Directory => return Ok(Look::Folder),
        FileType::RegularFile | FileType::Unknown => {}
        _ => return Ok(Look::Other),
    }
    let stat = match statat(folder_fd, name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => return Ok(Look::Other),
        result => result?,
    };
    Ok(match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => Look::Folder,
        FileType::RegularFile => Look::File(stat),
        _ => Look::Other,
    })
}

/// The path of an entry, if it begins as asked.
fn path_below(folder: &str, file: &CStr, prefix: &str) -> Option<String> {
    let file = file.to_str().ok().filter(|file| !matches!(*file, "." | ".."))?;
    let path = if folder.is_empty() { file.to_owned() } else { format!("{folder}/{file}") };
    path.starts_with(prefix).then_some(path)
}

/// Folder and file of an object.
fn split(name: &ObjectName) -> (&str, &str) {
    name.as_str().rsplit_once('/').unwrap_or(("", name.as_str()))
}

fn parts(folder: &str) -> impl Iterator<Item = &str> {
    folder.split('/').filter(|part| !part.is_empty())
}

fn open_part(folder_fd: &OwnedFd, part: &str) -> Result<OwnedFd, Errno> {
    retry_on_intr(|| openat(folder_fd, part, FOLDER | OFlags::NOFOLLOW, Mode::empty()))
}

fn read_at(file: &File, range: &Range<u64>, bytes: &mut Vec<u8>) -> Result<(), Errno> {
    let len = range.end.checked_sub(range.start).and_then(|len| usize::try_from(len).ok()).ok_or(Errno::INVAL)?;
    if bytes.capacity() < len {
        // Fresh zeros come from the system as they are; growing a buffer would clear them once more.
        *bytes = vec![0; len];
    }
    bytes.resize(len, 0);
    file.read_exact_at(bytes, range.start).map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
}

fn sync_folder(folder_fd: &OwnedFd) -> Result<(), Errno> {
    match fsync(folder_fd) {
        // Some network file systems cannot sync a folder; syncing everything is slower, and says the same.
        Err(Errno::INVAL | Errno::NOTSUP) => syncfs(folder_fd),
        result => result,
    }
}

/// Makes the root and the folders above it that are missing, and syncs their entries.
fn make_durably(root: &Path) -> Result<(), Errno> {
    let missing: Vec<&Path> =
        root.ancestors().take_while(|path| !path.as_os_str().is_empty() && !path.exists()).collect();
    let errno = |error| Errno::from_io_error(&error).unwrap_or(Errno::IO);
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(root).map_err(errno)?;
    for path in missing {
        let above = path.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
        sync_folder(&openat(CWD, above, FOLDER, Mode::empty())?)?;
    }
    Ok(())
}

fn is_empty(folder_fd: &OwnedFd) -> Result<bool, Errno> {
    let mut entries = Vec::with_capacity(ENTRIES_BYTES);
    let mut reader = RawDir::new(folder_fd, entries.spare_capacity_mut());
    while let Some(entry) = reader.next() {
        if !matches!(entry?.file_name().to_bytes(), b"." | b"..") {
            return Ok(false);
        }
    }
    Ok(true)
}

fn gone_is_fine(removed: Result<(), Errno>) -> Result<(), Errno> {
    if removed == Err(Errno::NOENT) { Ok(()) } else { removed }
}

fn modified_at(stat: &Stat) -> SystemTime {
    let nanos = Duration::from_nanos(stat.st_mtime_nsec);
    let seconds = Duration::from_secs(stat.st_mtime.unsigned_abs());
    let whole = if stat.st_mtime < 0 { UNIX_EPOCH.checked_sub(seconds) } else { UNIX_EPOCH.checked_add(seconds) };
    whole.and_then(|whole| whole.checked_add(nanos)).unwrap_or(UNIX_EPOCH)
}

#[cfg(test)]
#[path = "local_tests.rs"]
mod tests;
