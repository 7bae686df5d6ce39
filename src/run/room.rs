//! A throw-away place for what a drill restores.
//!
//! Promise: one drill of a repository at a time on a machine, wherever each has its folder; what is in a room, and whatever runs in it, is gone when it
//! ends, also if larder is killed; what even that has left, the next drill clears, and nothing else.
//! Left out on purpose: what is put there.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, ErrorKind};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock, statvfs};

use crate::child;
use crate::child::guard::Guard;
use crate::config::drill::Place;
use crate::crypto::random;

/// Ends whatever runs in a folder, and takes the folder away. Told by where it runs, as that is the one thing which tells
/// a process of a drill from any other.
const CLEAR: &str = "\
for signal in QUIT KILL; do
  tries=0
  while [ $tries -lt 50 ]; do
    found=
    for process in /proc/[0-9]*; do
      case \"$(readlink \"$process/cwd\" 2>/dev/null)\" in
        \"$1\" | \"$1\"/*) found=1; kill -s $signal \"${process#/proc/}\" 2>/dev/null ;;
      esac
    done
    [ -n \"$found\" ] || break 2
    sleep 0.1
    tries=$((tries + 1))
  done
done
rm -rf -- \"$1\" 2>/dev/null || { chmod -R u+rwx -- \"$1\" 2>/dev/null; rm -rf -- \"$1\"; }";

/// How long clearing may take.
const CLEARING: Duration = Duration::from_secs(30 * 60);
/// The file in which the source is named, for whoever has to clear up.
const SOURCE: &str = "source";
/// The folder for what is restored. Short: the path of a socket in it may have 107 bytes.
const RESTORED: &str = "r";
/// What is left free beside what is restored.
const SPARE_BYTES: u64 = 64 << 20;
const SPARE_ENTRIES: u64 = 4096;
/// What an entry takes beside its bytes.
const ENTRY_BYTES: u64 = 4096;
/// With less left, whatever failed may have failed for that.
const LEFT_BYTES_MIN: u64 = 16 << 20;
const LEFT_ENTRIES_MIN: u64 = 64;
/// A file that is written to see whether one can be.
const PROBE: &str = "probe";
const PROBE_BYTES: usize = 64 << 10;
/// How often the lock is tried for when the folder goes away meanwhile.
const TRIES_MAX: u32 = 10;

/// Where rooms are made: a folder that is this process's alone for as long as it is open.
pub struct Site {
    folder: PathBuf,
    lock: File,
    _alone: UnixListener,
}

impl Site {
    /// Makes it in a folder, for a repository and a user, and clears what drills have left there that were killed.
    /// `clear` does so outside of it, for the source of this name; what it cannot do is tried again next time.
    pub fn open(
        within: &Path,
        repository: &str,
        user: u32,
        clear: &mut dyn FnMut(&str) -> Result<(), String>,
    ) -> Result<(Self, Vec<String>), String> {
        let short = &repository[..repository.len().min(16)];
        let folder = within.join(format!("larder-drill-{user}-{short}"));
        let cannot = |error: io::Error| format!("cannot use {}: {error}", folder.display());
        let alone = alone(repository)?;
        for _ in 0..TRIES_MAX {
            match DirBuilder::new().mode(0o711).create(&folder) {
                Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(cannot(error)),
                _ => {}
            }
            let found = fs::symlink_metadata(&folder).map_err(cannot)?;
            if !found.is_dir() || found.uid() != user || found.mode() & 0o022 != 0 {
                return Err(format!("{} is somebody else's: give `directory` in [drill]", folder.display()));
            }
            let lock = File::open(&folder).map_err(cannot)?;
            match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
                Err(rustix::io::Errno::WOULDBLOCK) => return Err(UNDER_WAY.to_owned()),
                Err(error) => return Err(cannot(error.into())),
                Ok(()) => {}
            }
            // Whoever had it before takes the folder away at the end.
            let held = lock.metadata().map_err(cannot)?;
            if fs::symlink_metadata(&folder).is_ok_and(|now| (now.dev(), now.ino()) == (held.dev(), held.ino())) {
                // As `/proc` has it.
                let site = Self { folder: folder.canonicalize().map_err(cannot)?, lock, _alone: alone };
                let warnings = site.clear_rooms(clear).map_err(cannot)?;
                return Ok((site, warnings));
            }
        }
        Err(UNDER_WAY.to_owned())
    }

    fn clear_rooms(&self, clear: &mut dyn FnMut(&str) -> Result<(), String>) -> io::Result<Vec<String>> {
        let mut warnings = Vec::new();
        for room in fs::read_dir(&self.folder)? {
            let room = room?.path();
            let cleared =
                clear_folder(&room.join(RESTORED)).and_then(|()| match fs::read_to_string(room.join(SOURCE)) {
                    Ok(source) => clear(&source),
                    Err(_) => Ok(()),
                });
            match cleared.and_then(|()| clear_folder(&room)) {
                Ok(()) => {}
                Err(error) => warnings.push(format!("what a drill left that was killed stays: {error}")),
            }
        }
        Ok(warnings)
    }

    /// Makes a room with so many bytes and entries. `name` is for databases that a service has to keep for it.
    pub fn room(&self, source: &str, name: String, place: Place, bytes: u64, entries: u64) -> Result<Room, String> {
        let cannot = |error: io::Error| format!("cannot make a place in {}: {error}", self.folder.display());
        let stat = statvfs(&self.folder).map_err(|error| cannot(error.into()))?;
        let (free, needed) = (stat.f_bavail.saturating_mul(stat.f_frsize), bytes.saturating_add(SPARE_BYTES));
        if free < needed {
            let folder = self.folder.parent().unwrap_or(&self.folder).display();
            return Err(format!(
                "{folder} has {free} bytes left, and it takes about {needed}: give `directory` in [drill]"
            ));
        }
        let entries = entries.saturating_add(SPARE_ENTRIES);
        // Some file systems have no such number.
        if stat.f_files > 0 && stat.f_favail < entries {
            let (folder, free) = (self.folder.parent().unwrap_or(&self.folder).display(), stat.f_favail);
            return Err(format!(
                "{folder} has room for {free} more files, and it takes about {entries}: give `directory` in [drill]"
            ));
        }
        let number: [u8; 4] = random::bytes().map_err(|error| error.to_string())?;
        let outer = self.folder.join(hex::encode(number));
        let folder = outer.join(RESTORED);
        (|| {
            DirBuilder::new().mode(0o711).create(&outer)?;
            fs::write(outer.join(SOURCE), source)?;
            fs::set_permissions(outer.join(SOURCE), Permissions::from_mode(0o600))?;
            DirBuilder::new().mode(0o700).create(&folder)
        })()
        .map_err(cannot)?;
        let guard = Guard::new("sh", &words(&folder), &[]).map_err(cannot)?;
        Ok(Room { folder, outer, name, place, guard })
    }
}

/// Holds the name that one drill of a repository has on a machine. Of no folder: `TMPDIR` is another for each service of
/// systemd. The system lets go of it when the process ends.
fn alone(repository: &str) -> Result<UnixListener, String> {
    let name = SocketAddr::from_abstract_name(format!("larder-drill-{repository}"));
    name.and_then(|name| UnixListener::bind_addr(&name)).map_err(|error| match error.kind() {
        ErrorKind::AddrInUse => UNDER_WAY.to_owned(),
        _ => format!("cannot see whether another drill is under way: {error}"),
    })
}

/// What so many entries with so many bytes take on a disk.
pub fn on_disk(bytes: u64, entries: u64) -> u64 {
    bytes.saturating_add(entries.saturating_mul(ENTRY_BYTES))
}

/// What is said to the second of two drills.
pub const UNDER_WAY: &str = "another drill of this repository is under way on this machine";

impl Drop for Site {
    fn drop(&mut self) {
        // Only if it is empty: what could not be cleared is there for the next one. Before the lock is let go.
        let _what_stays_is_cleared_later = fs::remove_dir(&self.folder);
        let _closing_does_it_too = flock(&self.lock, FlockOperation::Unlock);
    }
}

fn words(folder: &Path) -> Vec<String> {
    ["-c", CLEAR, "larder-drill"].map(str::to_owned).into_iter().chain([folder.display().to_string()]).collect()
}

fn clear_folder(folder: &Path) -> Result<(), String> {
    let mut command = Command::new("sh");
    command.args(words(folder));
    child::run(command, CLEARING)
}

/// A place for what is restored of one source. Dropped, it goes too, but nobody hears how.
pub struct Room {
    /// The folder.
    pub folder: PathBuf,
    /// What a database is called that a service has to keep for it: `larder_drill_`, and what only this source of this
    /// machine has.
    pub name: String,
    /// Where a database is restored to.
    pub place: Place,
    outer: PathBuf,
    guard: Guard,
}

impl Room {
    /// Lets others pass through the folder, to one in it that is theirs.
    pub fn let_pass(&self) -> io::Result<()> {
        fs::set_permissions(&self.folder, Permissions::from_mode(0o711))
    }

    /// Nothing of the drill is going to be outside of it: whoever clears up after it needs no service for that.
    pub fn holds_everything(&self) -> io::Result<()> {
        fs::remove_file(self.outer.join(SOURCE))
    }

    /// What keeps things from being written here now, if anything does.
    pub fn trouble(&self) -> Option<String> {
        let within = self.outer.display();
        let stat = match statvfs(&self.outer) {
            Ok(stat) => stat,
            Err(error) => return Some(format!("cannot look at {within}: {error}")),
        };
        let free = stat.f_bavail.saturating_mul(stat.f_frsize);
        if free < LEFT_BYTES_MIN {
            return Some(format!("{within} has only {free} bytes left"));
        }
        if stat.f_files > 0 && stat.f_favail < LEFT_ENTRIES_MIN {
            return Some(format!("{within} has room for only {} more files", stat.f_favail));
        }
        let probe = self.outer.join(PROBE);
        let written = fs::write(&probe, [1; PROBE_BYTES]).and_then(|()| fs::remove_file(&probe));
        written.err().map(|error| format!("cannot write to {within}: {error}"))
    }

    /// Ends whatever runs in it, and takes it away.
    pub fn end(self) -> Result<(), String> {
        self.guard.release(CLEARING)?;
        fs::remove_dir_all(&self.outer).map_err(|error| format!("{} stays: {error}", self.outer.display()))
    }
}

#[cfg(test)]
#[path = "room_tests.rs"]
mod tests;
