//! Keys of objects as paths, and back.
//!
//! A key is any text; a path is made of names. What no path can hold is written with `^`:
//!
//! | in the key | in the path |
//! |---|---|
//! | `^` | `^5E` |
//! | NUL | `^00` |
//! | nothing between two `/`, before the first or after the last | `^` |
//! | a part longer than a name can be | several names, all but the last with `^+` at their ends |
//! | an object `a` beside objects `a/...` | `a^=`, since `a` is a folder |
//!
//! Promise: every path leads back to its key, so no two keys share one.
//! Left out on purpose: keys that no address can hold (`crate::s3::check`).

use crate::format::listing::NAME_BYTES_MAX;

/// Begins everything that is not meant as it stands.
const ESCAPE: u8 = b'^';
/// Ends a name that goes on in the next.
const GOES_ON: &[u8] = b"^+";
/// Ends the name of an object that is also a folder's.
const ALSO_A_FOLDER: &[u8] = b"^=";
/// A name has room for a mark behind it.
const PIECE_BYTES_MAX: usize = NAME_BYTES_MAX - 2;

/// The path of a key, as if no object were also a folder.
pub fn path_of(key: &str) -> Vec<u8> {
    let mut path = Vec::with_capacity(key.len());
    for (at, part) in key.split('/').enumerate() {
        if at > 0 {
            path.push(b'/');
        }
        if part.is_empty() {
            path.push(ESCAPE);
        }
        let mut piece_bytes = 0;
        for character in part.chars() {
            let mut buffer = [0; 4];
            let written: &[u8] = match character {
                '^' => b"^5E",
                '\0' => b"^00",
                other => other.encode_utf8(&mut buffer).as_bytes(),
            };
            if piece_bytes + written.len() > PIECE_BYTES_MAX {
                path.extend_from_slice(GOES_ON);
                path.push(b'/');
                piece_bytes = 0;
            }
            path.extend_from_slice(written);
            piece_bytes += written.len();
        }
    }
    path
}

/// The key of a path; `None` if no key has it.
pub fn key_of(path: &[u8]) -> Option<String> {
    let path = path.strip_suffix(ALSO_A_FOLDER).unwrap_or(path);
    let mut key = Vec::with_capacity(path.len());
    let mut goes_on = true;
    for name in path.split(|&byte| byte == b'/') {
        if !goes_on {
            key.push(b'/');
        }
        let body = name.strip_suffix(GOES_ON);
        goes_on = body.is_some();
        let body = body.unwrap_or(name);
        if body != [ESCAPE] {
            plain(body, &mut key)?;
        }
    }
    if goes_on { None } else { String::from_utf8(key).ok() }
}

/// The path of an object whose key also names a folder.
pub fn beside_folder(path: &[u8]) -> Vec<u8> {
    [path, ALSO_A_FOLDER].concat()
}

/// The path that [`path_of`] gives for the same key.
pub fn without_mark(path: &[u8]) -> &[u8] {
    path.strip_suffix(ALSO_A_FOLDER).unwrap_or(path)
}

fn plain(name: &[u8], key: &mut Vec<u8>) -> Option<()> {
    let mut rest = name;
    while let Some(at) = rest.iter().position(|&byte| byte == ESCAPE) {
        key.extend_from_slice(&rest[..at]);
        let digits = rest.get(at + 1..at + 3)?;
        key.extend(hex::decode(digits).ok()?);
        rest = &rest[at + 3..];
    }
    key.extend_from_slice(rest);
    Some(())
}

#[cfg(test)]
#[path = "key_tests.rs"]
mod tests;
