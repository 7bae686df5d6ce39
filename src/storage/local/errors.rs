//! What errors of the file system mean for an object.

use rustix::io::Errno;

use crate::storage::{Error, ErrorKind, ObjectName};

/// Why an object could not be opened. What is no plain file, or lies in none but a plain folder, is no object.
pub fn not_opened(name: &ObjectName, errno: Errno) -> Error {
    match errno {
        Errno::LOOP | Errno::NOTDIR | Errno::ISDIR | Errno::INVAL | Errno::NXIO | Errno::NODEV => {
            let reason = "there is something in its place that is no plain file".into();
            Error { kind: ErrorKind::NotFound, call: "read", object: name.to_string(), reason }
        }
        errno => failed("read", name, errno),
    }
}

/// Why a call failed for an object, or for what stands for it.
pub fn failed(call: &'static str, object: &dyn std::fmt::Display, errno: Errno) -> Error {
    let kind = match kind_of(errno) {
        // Only when reading is it the object that is missing; else it is something the object needs.
        ErrorKind::NotFound if !matches!(call, "read" | "open") => ErrorKind::Other,
        kind => kind,
    };
    Error { kind, call, object: object.to_string(), reason: errno.to_string() }
}

fn kind_of(errno: Errno) -> ErrorKind {
    match errno {
        Errno::NOENT => ErrorKind::NotFound,
        Errno::EXIST => ErrorKind::AlreadyExists,
        Errno::NOSPC | Errno::DQUOT => ErrorKind::NoSpace,
        Errno::ACCESS | Errno::PERM | Errno::ROFS => ErrorKind::Denied,
        _ => ErrorKind::Other,
    }
}
