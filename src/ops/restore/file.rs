//! One file: made under a temporary name, filled, given its metadata and its name.
//!
//! Promise: what bears the file's name is whole; what is not whole is called `<name>.larder-partial`.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::fs::ftruncate;
use rustix::io::{Errno, pwrite, pwritev};

use crate::format::listing::NAME_BYTES_MAX;
use crate::ops::restore::window::{FileSlot, FileState, Temp, Work};
use crate::ops::restore::{Context, Error, Existing, is_fatal};
use crate::posix::capture::status_of;
use crate::posix::place::{create_file_temp, discard_temp, finish_file, reopen_file_temp};

/// Added to the name of a file of which parts are missing.
pub const PARTIAL_SUFFIX: &[u8] = b".larder-partial";
/// Most slices given to the kernel at once.
const SLICES_MAX: usize = 1024;

/// A file under its temporary name.
pub struct Unfinished {
    folder: Arc<OwnedFd>,
    /// To write to.
    pub fd: OwnedFd,
    temp: Vec<u8>,
}

/// Makes a file under a temporary name.
pub fn create(context: &Context<'_>, slot: &FileSlot) -> io::Result<Unfinished> {
    let (folder, _) = context.root()?.parent_of(context.below(&slot.entry.path))?;
    let (fd, temp) = create_file_temp(&*folder, &context.names)?;
    Ok(Unfinished { folder, fd, temp })
}

impl Unfinished {
    /// To go on with it later.
    pub fn keep(&self) -> io::Result<Temp> {
        Ok(Temp { name: self.temp.clone(), identity: status_of(&self.fd)?.identity })
    }

    /// Finishes it.
    pub fn finish(self, context: &Context<'_>, slot: &FileSlot) -> Result<(), Error> {
        finish(context, slot, &self.folder, &self.fd, &self.temp)
    }

    /// Takes it away again.
    pub fn discard(self) {
        let _best_effort = discard_temp(&*self.folder, &self.temp);
    }
}

/// Writes a stretch of content that was taken from elsewhere. The caller holds the file's lock.
pub fn add(context: &Context<'_>, slot: &FileSlot, work: &mut Work, content_at: u64, bytes: &[u8]) -> io::Result<()> {
    let fd = begin_or_go_on(context, slot, work)?;
    let mut stretches = Vec::new();
    slot.layout.pieces(content_at, bytes.len(), &mut |at, part| stretches.push((at, &bytes[part])));
    write_stretches(&fd, &stretches)
}

/// The unfinished file. The caller holds its lock.
fn begin_or_go_on(context: &Context<'_>, slot: &FileSlot, work: &mut Work) -> io::Result<OwnedFd> {
    if let Some(temp) = &work.temp {
        let (folder, _) = context.root()?.parent_of(context.below(&slot.entry.path))?;
        return reopen_file_temp(&*folder, &temp.name, temp.identity);
    }
    let unfinished = create(context, slot)?;
    work.temp = Some(unfinished.keep()?);
    Ok(unfinished.fd)
}

/// Finishes a file whose last byte is written.
pub fn finish(
    context: &Context<'_>,
    slot: &FileSlot,
    folder: &OwnedFd,
    fd: &OwnedFd,
    temp: &[u8],
) -> Result<(), Error> {
    match try_finish(context, slot, folder, fd, temp) {
        Ok(state) => {
            slot.work().state = state;
            Ok(())
        }
        Err(error) => {
            let _best_effort = discard_temp(folder, temp);
            fail(context, slot, error)
        }
    }
}

fn try_finish(
    context: &Context<'_>,
    slot: &FileSlot,
    folder: &OwnedFd,
    fd: &OwnedFd,
    temp: &[u8],
) -> io::Result<FileState> {
    let mut work = slot.work();
    let whole = work.lost.bytes == 0;
    if slot.layout.is_sparse() || !whole {
        ftruncate(fd, slot.bytes)?;
    }
    let path = context.below(&slot.entry.path);
    let name = path.rsplit(|&byte| byte == b'/').next().unwrap_or(path);
    if !whole {
        let partial = partial_name(name);
        let kept = String::from_utf8_lossy(&partial).into_owned();
        context.tally.damage(&slot.entry.path, &format!("{}; the rest is kept as {kept}", work.lost.message()));
        context.tally.warnings(&finish_file(folder, temp, &partial, fd, &slot.entry, &context.apply)?);
        return Ok(FileState::Failed);
    }
    drop(work);
    match finish_file(folder, temp, name, fd, &slot.entry, &context.apply) {
        Ok(warnings) => context.tally.warnings(&warnings),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && context.options.existing == Existing::Keep => {
            context.tally.report().unchanged += 1;
            return Ok(FileState::Kept);
        }
        Err(error) => return Err(error),
    }
    let identity = if slot.entry.links > 1 { Some(status_of(fd)?.identity) } else { None };
    let mut report = context.tally.report();
    report.files += 1;
    report.bytes += slot.bytes;
    Ok(FileState::Done(identity))
}

/// The name of a file of which parts are missing, as long as a name may be.
fn partial_name(name: &[u8]) -> Vec<u8> {
    let kept = name.len().min(NAME_BYTES_MAX - PARTIAL_SUFFIX.len());
    [&name[..kept], PARTIAL_SUFFIX].concat()
}

/// Notes that a file could not be written. An error of the whole target ends the restore.
pub fn fail(context: &Context<'_>, slot: &FileSlot, error: io::Error) -> Result<(), Error> {
    let before = std::mem::replace(&mut slot.work().state, FileState::Failed);
    if is_fatal(&error) {
        return Err(Error::Target { path: context.target.to_owned(), source: error });
    }
    if before == FileState::Open {
        context.tally.problem(&slot.entry.path, &format!("cannot write it: {error}"));
    }
    Ok(())
}

/// Files that several blocks go into, held open while there are few of them.
pub struct OpenFiles {
    recent: Mutex<VecDeque<(u64, Arc<OwnedFd>)>>,
    limit: usize,
}

impl OpenFiles {
    /// Holds at most `limit` files open.
    pub fn new(limit: usize) -> Self {
        Self { recent: Mutex::default(), limit }
    }

    fn recent(&self) -> MutexGuard<'_, VecDeque<(u64, Arc<OwnedFd>)>> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self, ordinal: u64) -> Option<Arc<OwnedFd>> {
        let mut recent = self.recent();
        let at = recent.iter().position(|(known, _)| *known == ordinal)?;
        let found = recent.remove(at)?;
        let fd = found.1.clone();
        recent.push_front(found);
        Some(fd)
    }

    /// The file, made or opened again if need be.
    pub fn open(&self, context: &Context<'_>, slot: &FileSlot) -> io::Result<Arc<OwnedFd>> {
        if let Some(fd) = self.get(slot.ordinal) {
            return Ok(fd);
        }
        let mut work = slot.work();
        if let Some(fd) = self.get(slot.ordinal) {
            return Ok(fd);
        }
        let fd = begin_or_go_on(context, slot, &mut work)?;
        let fd = Arc::new(fd);
        let mut recent = self.recent();
        recent.truncate(self.limit.saturating_sub(1));
        recent.push_front((slot.ordinal, fd.clone()));
        Ok(fd)
    }

    /// Lets go of a file that is finished.
    pub fn close(&self, slot: &FileSlot) {
        self.recent().retain(|(known, _)| *known != slot.ordinal);
    }
}

/// Finishes a file that several blocks went into.
pub fn finish_shared(context: &Context<'_>, slot: &FileSlot, files: &OpenFiles) -> Result<(), Error> {
    let opened = files.open(context, slot).and_then(|fd| {
        let (folder, _) = context.root()?.parent_of(context.below(&slot.entry.path))?;
        Ok((fd, folder))
    });
    files.close(slot);
    let temp = slot.work().temp.take();
    match (opened, temp) {
        (Ok((fd, folder)), Some(temp)) => finish(context, slot, &folder, &fd, &temp.name),
        (Err(error), _) => fail(context, slot, error),
        (Ok(_), None) => fail(context, slot, io::ErrorKind::NotFound.into()),
    }
}

/// Takes away what there is of a file that will not be finished.
pub fn abandon(context: &Context<'_>, slot: &FileSlot) {
    let Some(temp) = slot.work().temp.take() else { return };
    let folder = context.root().and_then(|root| root.parent_of(context.below(&slot.entry.path)));
    let _best_effort = folder.and_then(|(folder, _)| discard_temp(&*folder, &temp.name));
}

/// Writes stretches that come in the order of the file; those that touch go to the kernel together.
pub fn write_stretches(fd: impl AsFd, stretches: &[(u64, &[u8])]) -> io::Result<()> {
    let touching = |a: &(u64, &[u8]), b: &(u64, &[u8])| a.0 + a.1.len() as u64 == b.0;
    for run in stretches.chunk_by(touching) {
        match run {
            [(at, only)] => write_at(&fd, only, *at)?,
            several => several.chunks(SLICES_MAX).try_for_each(|part| write_together(&fd, part))?,
        }
    }
    Ok(())
}

fn write_together(fd: impl AsFd, stretches: &[(u64, &[u8])]) -> io::Result<()> {
    let Some(&(mut at, _)) = stretches.first() else { return Ok(()) };
    let mut slices: Vec<IoSlice<'_>> = stretches.iter().map(|(_, bytes)| IoSlice::new(bytes)).collect();
    let mut left = slices.as_mut_slice();
    while !left.is_empty() {
        match pwritev(&fd, left, at) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => {
                at += written as u64;
                IoSlice::advance_slices(&mut left, written);
            }
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Writes all of it at a place.
pub fn write_at(fd: impl AsFd, mut bytes: &[u8], mut at: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match pwrite(&fd, bytes, at) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => {
                bytes = &bytes[written..];
                at += written as u64;
            }
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
