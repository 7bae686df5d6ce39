//! Objects by name: the one way to a repository's bytes.
//!
//! Promise: an object once written is never changed. Left out on purpose: what the names and bytes mean.

use std::fmt;
use std::ops::Range;
use std::time::SystemTime;

pub mod local;
pub mod memory;

/// Longest object name in bytes.
pub const NAME_BYTES_MAX: usize = 200;

/// A checked object name: `/`-separated parts of `a-z 0-9 . -`, none empty, none beginning with a dot.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectName(String);

impl ObjectName {
    /// Checks a name. `None` when it is not one.
    pub fn new(name: impl Into<String>) -> Option<Self> {
        let name = name.into();
        let part = |p: &str| {
            !p.is_empty()
                && !p.starts_with('.')
                && p.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-'))
        };
        (name.len() <= NAME_BYTES_MAX && name.split('/').all(part)).then_some(Self(name))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a listing says of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectInfo {
    /// Its name.
    pub name: ObjectName,
    /// Its length in bytes.
    pub bytes: u64,
    /// When it was stored, by the storage's clock.
    pub stored_at: SystemTime,
}

/// Why a storage call failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// No object of that name.
    NotFound,
    /// There is an object of that name already; it was left alone.
    AlreadyExists,
    /// The object is shorter than the range asked for.
    TooShort,
    /// The object is longer than whoever reads it whole is ready for.
    TooLong,
    /// No space left, or quota used up.
    NoSpace,
    /// Not allowed, or the medium is read-only.
    Denied,
    /// Anything else: the medium, the network.
    Other,
}

/// A storage call failed.
#[derive(Debug, Clone, thiserror::Error)]
#[error("cannot {call} {object}: {reason}")]
pub struct Error {
    /// The kind, to decide by.
    pub kind: ErrorKind,
    /// The call: `read`, `write`, `list`, `delete`, `sync`; `open` or `create` for the storage itself.
    pub call: &'static str,
    /// The object's name, the prefix, or where the storage is.
    pub object: String,
    /// What the system said.
    pub reason: String,
}

impl Error {
    /// What to do about it, if it is the repository's place that refuses.
    pub fn advice(&self) -> Option<&'static str> {
        match self.kind {
            ErrorKind::NoSpace => Some(
                "free some space (larder prune may; what a failed run has left it frees after a day), then run it again; \
                 nothing stored is lost",
            ),
            ErrorKind::Denied => Some(
                "the repository must be readable, and for this writable, by this user; what another user has put there \
                 (root, by sudo) chown -R gives over",
            ),
            _ => None,
        }
    }

    /// Whether an object is not there as it should be. A storage that does not answer is no damage.
    pub fn is_damage(&self) -> bool {
        matches!(self.kind, ErrorKind::NotFound | ErrorKind::TooShort | ErrorKind::TooLong)
    }

    /// An object ends before the range asked for does.
    fn too_short(name: &ObjectName, range: &Range<u64>, there: u64) -> Self {
        let reason = format!("bytes {}..{} were asked for and there are {there}", range.start, range.end);
        Self { kind: ErrorKind::TooShort, call: "read", object: name.to_string(), reason }
    }

    /// An object is longer than whoever reads it whole is ready for.
    fn too_long(name: &ObjectName, limit: u64, there: u64) -> Self {
        let reason = format!("it has {there} bytes and the limit is {limit}");
        Self { kind: ErrorKind::TooLong, call: "read", object: name.to_string(), reason }
    }
}

/// Objects by name. Everything else is built on these calls.
pub trait Storage: Send + Sync {
    /// Writes a whole object, the parts one after the other, or nothing.
    /// Refuses to replace one: [`ErrorKind::AlreadyExists`].
    /// Survives a power cut only after the next [`Storage::barrier`].
    fn put_new(&self, name: &ObjectName, parts: &[&[u8]]) -> Result<(), Error>;

    /// Reads exactly this range of an object: [`ErrorKind::TooShort`] when there is less.
    fn get(&self, name: &ObjectName, range: Range<u64>) -> Result<Vec<u8>, Error>;

    /// The same, into a buffer that was used before: what it held is replaced. After an error it holds anything.
    fn get_into(&self, name: &ObjectName, range: Range<u64>, buffer: &mut Vec<u8>) -> Result<(), Error> {
        *buffer = self.get(name, range)?;
        Ok(())
    }

    /// Reads a whole object of at most `limit` bytes ([`ErrorKind::TooLong`] when there is more).
    fn get_whole(&self, name: &ObjectName, limit: u64) -> Result<Vec<u8>, Error>;

    /// Every object whose name begins with `prefix` (`""`, a folder with its slash such as `packs/`, or either and
    /// the beginning of a name), in any order. Things in the storage whose names are no object names are passed over.
    /// A listing that could not be finished is an error, even after objects were handed out.
    fn list(&self, prefix: &str, each: &mut dyn FnMut(ObjectInfo)) -> Result<(), Error>;

    /// Deletes an object. One that is not there counts as deleted.
    fn delete(&self, name: &ObjectName) -> Result<(), Error>;

    /// Returns once everything put and deleted before it would survive a power cut; also what a listing showed or a
    /// put found in place, whoever put it there and was killed before a barrier of their own.
    fn barrier(&self) -> Result<(), Error>;
}
