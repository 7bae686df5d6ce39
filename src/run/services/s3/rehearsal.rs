//! Objects that were restored, held against the tags that the server gave them.
//!
//! Left out on purpose: blaming one that differs. The tag of an object that was put in parts, or encrypted with a key
//! of its own, is no checksum of its content, and does not always show that.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use md5::{Digest as _, Md5};

use crate::format::listing::Node;
use crate::run::room::Room;
use crate::run::services::Stored;
use crate::run::services::rehearsal::{Miss, blamed, several};

/// Digits of a tag that may be a checksum.
const TAG_DIGITS: usize = 32;
const BUFFER_BYTES: usize = 64 << 10;

/// How many objects there are in the room, and how many are what their tags say, in words.
pub fn compared(stored: &Stored<'_>, room: &Room) -> Result<String, Miss> {
    let (mut objects, mut same) = (0, 0);
    let listed = stored.entries(&mut |entry| {
        if !matches!(entry.node, Node::File { .. }) {
            return Ok(());
        }
        objects += 1;
        if entry.stamp.len() == TAG_DIGITS {
            let path = OsStr::from_bytes(&entry.path);
            let sum = sum(&room.folder.join(path)).map_err(|error| format!("{}: {error}", path.display()))?;
            same += usize::from(sum.as_bytes() == entry.stamp);
        }
        Ok(())
    });
    listed.map_err(|error| blamed(error, stored, room))?;
    Ok(format!("{}, {same} with the checksum in their ETag", several(objects, "object")))
}

fn sum(path: &Path) -> io::Result<String> {
    let (mut file, mut hash, mut buffer) = (File::open(path)?, Md5::new(), vec![0; BUFFER_BYTES]);
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hex::encode(hash.finalize())),
            read => hash.update(&buffer[..read]),
        }
    }
}
