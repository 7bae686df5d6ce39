//! Extended attributes, ACLs among them.
//!
//! Promise: sorted by name, within the limits of a listing, or an error; a file system without them has none.
//! Left out on purpose: any meaning of a name. What may be put back is decided in `apply`.

use std::ffi::CStr;
use std::fmt::Write;
use std::io;
use std::os::fd::{AsFd, AsRawFd};

use rustix::fs::{fgetxattr, fgetxattr_query, flistxattr, flistxattr_query, getxattr, listxattr};
use rustix::io::Errno;

use crate::format::listing::{XATTR_NAME_BYTES_MAX, XATTR_VALUE_BYTES_MAX, XATTRS_MAX};

/// Most bytes of names and values of one entry.
pub const TOTAL_BYTES_MAX: usize = 1 << 20;
/// Longest list of names that the kernel gives.
const LIST_BYTES_MAX: usize = 64 << 10;

/// Names and values, sorted by name.
pub type Xattrs = Vec<(Vec<u8>, Vec<u8>)>;

/// The attributes of an open file or folder.
pub fn of_open(file: impl AsFd) -> io::Result<Xattrs> {
    // Nearly all files have none: a single call then.
    let names = match flistxattr_query(&file) {
        Ok(0) | Err(Errno::NOTSUP | Errno::NOSYS) => return Ok(Vec::new()),
        Ok(bytes) => retry_larger(bytes, LIST_BYTES_MAX, |buffer| flistxattr(&file, buffer))?,
        Err(error) => return Err(error.into()),
    };
    collect(&names, |name| {
        let bytes = fgetxattr_query(&file, name)?;
        Ok(retry_larger(bytes, XATTR_VALUE_BYTES_MAX as usize, |buffer| fgetxattr(&file, name, buffer))?)
    })
}

/// The attributes of something held by a descriptor that cannot be read from (`O_PATH`): a symlink, pipe or device.
pub fn of_handle(handle: impl AsFd) -> io::Result<Xattrs> {
    // The magic link leads to the very inode the descriptor holds, whatever happened to its name.
    let mut path = String::new();
    let _into_memory = write!(path, "/proc/self/fd/{}", handle.as_fd().as_raw_fd());
    let names = match retry_larger(0, LIST_BYTES_MAX, |buffer| listxattr(&path, buffer)) {
        // No /proc: such entries have no attributes but labels, and those are best effort.
        Err(Errno::NOTSUP | Errno::NOSYS | Errno::NOENT) => return Ok(Vec::new()),
        other => other?,
    };
    let value = |name: &CStr| {
        Ok(retry_larger(256, XATTR_VALUE_BYTES_MAX as usize, |buffer| getxattr(path.as_str(), name, buffer))?)
    };
    collect(&names, value)
}

// The list or the value may grow between the question for its length and the call.
fn retry_larger(
    bytes: usize,
    bytes_max: usize,
    mut call: impl FnMut(&mut [u8]) -> Result<usize, Errno>,
) -> Result<Vec<u8>, Errno> {
    let mut buffer = vec![0; bytes.clamp(256, bytes_max)];
    loop {
        match call(&mut buffer) {
            Ok(filled) => {
                buffer.truncate(filled);
                return Ok(buffer);
            }
            Err(Errno::RANGE) if buffer.len() < bytes_max => buffer = vec![0; bytes_max],
            Err(error) => return Err(error),
        }
    }
}

fn collect(names: &[u8], mut value_of: impl FnMut(&CStr) -> io::Result<Vec<u8>>) -> io::Result<Xattrs> {
    let mut found = Xattrs::new();
    let mut total = 0;
    for name in names.split_inclusive(|&byte| byte == 0).filter_map(|name| CStr::from_bytes_with_nul(name).ok()) {
        let value = match value_of(name) {
            // Removed in between, or listed but not for us to read (`trusted.*` of another name space).
            Err(error) if error.raw_os_error() == Some(Errno::NODATA.raw_os_error()) => continue,
            other => other?,
        };
        total += name.count_bytes() + value.len();
        let fits = name.count_bytes() as u64 <= XATTR_NAME_BYTES_MAX && !name.is_empty();
        if !fits || total > TOTAL_BYTES_MAX || found.len() as u64 >= XATTRS_MAX {
            return Err(io::Error::other("too many or too large extended attributes"));
        }
        found.push((name.to_bytes().to_vec(), value));
    }
    found.sort_unstable();
    found.dedup_by(|later, earlier| later.0 == earlier.0);
    Ok(found)
}

#[cfg(test)]
#[path = "xattrs_tests.rs"]
mod tests;
