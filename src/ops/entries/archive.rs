//! The members of a stored tar archive.
//!
//! Promise: only headers are read to find them, and of a member that is written only its own bytes. Of several members
//! of one name the last counts, as for `tar`. An archive that ends within a member is an error; one that ends between
//! two only where it must be whole.
//! Left out on purpose: unpacking into folders of the archive's choice, devices, and sparse files in the format of pax.

use std::io::{self, Read as _, Seek as _, SeekFrom, Write};
use std::ops::{ControlFlow, Range};

use tar::{Archive, Entry, EntryType};

use crate::ops::cat::cat_range;
use crate::ops::cat::stored::{Reader, Stored};
use crate::ops::entries::{Error, reading};

/// Most bytes of headers in a row: names and attributes have any length there.
const HEADER_BYTES_MAX: u64 = 2 << 20;
/// What an archive is made of.
const BLOCK_BYTES: u64 = 512;
/// What ends an archive: two blocks of zeros.
const END_BYTES: usize = 2 * BLOCK_BYTES as usize;
/// How many hard links to hard links are followed.
const LINKS_MAX: usize = 8;
/// What is wrong with an archive without an end.
const UNENDED: &str = "the two blocks of zeros that end an archive are missing: it was cut, or never finished";

/// A member of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its name as it stands there.
    pub name: Vec<u8>,
    /// What it is.
    pub kind: Kind,
    /// How long it is when it is unpacked.
    pub bytes: u64,
    /// Permissions.
    pub mode: u32,
    /// When it changed, in seconds.
    pub mtime: i64,
    /// What a link points to.
    pub target: Vec<u8>,
    content: Content,
}

/// What a member is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A file.
    File,
    /// A folder.
    Directory,
    /// A symbolic link.
    Symlink,
    /// Another name of a member before it.
    HardLink,
    /// A device, a pipe, or what only some tar knows.
    Other,
}

impl Kind {
    /// In a word.
    pub const fn word(self) -> &'static str {
        match self {
            Kind::File => "file",
            Kind::Directory => "directory",
            Kind::Symlink => "symlink",
            Kind::HardLink => "hard-link",
            Kind::Other => "other",
        }
    }
}

/// Where the bytes of a file are.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Content {
    /// Here.
    At(Range<u64>),
    /// In pieces, in the member of this number.
    Sparse(u64),
    /// In a way that is not known here.
    Unknown,
}

/// Shows all members, in the order of the archive.
pub fn members(stored: &Stored<'_>, visit: &mut dyn FnMut(&Member) -> ControlFlow<()>) -> Result<(), Error> {
    let reader = stored.reader().at_most(HEADER_BYTES_MAX);
    each(stored, reader, &mut |number, entry| Ok(visit(&member(number, entry)?))).map(drop)
}

/// How many members an archive has that is whole: of one that was cut between two members all that is there lists.
pub fn whole(stored: &Stored<'_>) -> Result<u64, Error> {
    let reader = stored.reader().at_most(HEADER_BYTES_MAX);
    let mut members = 0;
    let mut reader = each(stored, reader, &mut |number, entry| {
        members += 1;
        member(number, entry).map(|_| ControlFlow::Continue(()))
    })?;
    // Behind the block that was no header, or at the end.
    let at = reader.stream_position().map_err(|error| reading(error, 0))?;
    let mut end = [1; END_BYTES];
    let read = reader.seek(SeekFrom::Start(at.saturating_sub(BLOCK_BYTES))).and_then(|_| reader.read_exact(&mut end));
    match read {
        Ok(()) if end == [0; END_BYTES] => Ok(members),
        Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => Err(reading(error, at)),
        _ => Err(Error::Archive { at, source: io::Error::new(io::ErrorKind::UnexpectedEof, UNENDED) }),
    }
}

/// The last member of each of these names, the target of a hard link in its place.
pub fn find(stored: &Stored<'_>, names: &[&[u8]]) -> Result<Vec<Option<Member>>, Error> {
    let mut wanted: Vec<Vec<u8>> = names.iter().map(|name| plain(name).to_vec()).collect();
    let mut found = last_of(stored, &wanted)?;
    for _ in 0..LINKS_MAX {
        let links = found.iter().flatten().filter(|member| member.kind == Kind::HardLink).count();
        if links == 0 {
            break;
        }
        for (name, member) in wanted.iter_mut().zip(&found) {
            if let Some(link) = member.as_ref().filter(|member| member.kind == Kind::HardLink) {
                *name = plain(&link.target).to_vec();
            }
        }
        let targets = last_of(stored, &wanted)?;
        for (member, target) in found.iter_mut().zip(targets) {
            if let (Some(link), Some(target)) = (member.as_mut(), target)
                && link.kind == Kind::HardLink
            {
                *link = Member { name: link.name.clone(), ..target };
            }
        }
    }
    Ok(found)
}

fn last_of(stored: &Stored<'_>, names: &[Vec<u8>]) -> Result<Vec<Option<Member>>, Error> {
    let mut found = vec![None; names.len()];
    members(stored, &mut |member| {
        for (name, found) in names.iter().zip(&mut found) {
            if plain(&member.name) == name {
                *found = Some(member.clone());
            }
        }
        ControlFlow::Continue(())
    })?;
    Ok(found)
}

/// A name without what may stand before and behind it: `./etc/` is `etc`.
pub fn plain(mut name: &[u8]) -> &[u8] {
    while let Some(rest) = name.strip_prefix(b"./").or_else(|| name.strip_prefix(b"/")) {
        name = rest;
    }
    while let Some(rest) = name.strip_suffix(b"/") {
        name = rest;
    }
    name
}

/// Writes the bytes of a file. `None` if they are stored in a way that is not known here.
pub fn write(stored: &Stored<'_>, member: &Member, out: &mut dyn Write, threads: usize) -> Result<Option<u64>, Error> {
    match &member.content {
        Content::At(range) => {
            cat_range(stored, range.clone(), out, threads)?;
            Ok(Some(range.end - range.start))
        }
        Content::Sparse(wanted) => {
            let mut bytes = 0;
            // Its headers were read before, within limits.
            each(stored, stored.reader(), &mut |number, entry| {
                if number < *wanted {
                    return Ok(ControlFlow::Continue(()));
                }
                bytes = copy(entry, out)?;
                Ok(ControlFlow::Break(()))
            })?;
            Ok(Some(bytes))
        }
        Content::Unknown => Ok(None),
    }
}

fn copy(entry: &mut Entry<'_, Reader<'_, '_>>, out: &mut dyn Write) -> Result<u64, Error> {
    let (at, mut bytes) = (entry.raw_file_position(), 0);
    let mut buffer = vec![0; 64 << 10];
    loop {
        match entry.read(&mut buffer).map_err(|error| reading(error, at))? {
            0 => break,
            read => {
                out.write_all(&buffer[..read]).map_err(Error::Write)?;
                bytes += read as u64;
            }
        }
    }
    if bytes != entry.size() {
        return Err(Error::Archive { at, source: ended() });
    }
    Ok(bytes)
}

fn ended() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "it ends within a member")
}

/// What is done with the member of a number.
type Visit<'v> = dyn FnMut(u64, &mut Entry<'_, Reader<'_, '_>>) -> Result<ControlFlow<()>, Error> + 'v;

/// Goes from header to header. The reader comes back from where that ended.
fn each<'s, 'r>(stored: &Stored<'_>, reader: Reader<'s, 'r>, visit: &mut Visit<'_>) -> Result<Reader<'s, 'r>, Error> {
    let mut archive = Archive::new(reader);
    let mut at = 0;
    let entries = archive.entries_with_seek().map_err(|error| reading(error, at))?;
    for (number, entry) in (0..).zip(entries) {
        let mut entry = entry.map_err(|error| reading(error, at))?;
        at = entry.raw_file_position();
        let flow = visit(number, &mut entry)?;
        if flow.is_break() {
            break;
        }
        // A sparse file is shorter in the archive than it says.
        let bytes = if entry.header().entry_type().is_gnu_sparse() { 0 } else { entry.size() };
        if at.checked_add(bytes).is_none_or(|end| end > stored.bytes()) {
            return Err(Error::Archive { at, source: ended() });
        }
    }
    Ok(archive.into_inner())
}

/// What the headers say.
fn member(number: u64, entry: &mut Entry<'_, Reader<'_, '_>>) -> Result<Member, Error> {
    let at = entry.raw_file_position();
    let mut name = entry.path_bytes().into_owned();
    let target = entry.link_name_bytes().map(|target| target.into_owned()).unwrap_or_default();
    let kind = match entry.header().entry_type() {
        EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse if name.ends_with(b"/") => Kind::Directory,
        EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => Kind::File,
        EntryType::Directory => Kind::Directory,
        EntryType::Symlink => Kind::Symlink,
        EntryType::Link => Kind::HardLink,
        _ => Kind::Other,
    };
    let mut bytes = entry.size();
    let end = at.checked_add(bytes).ok_or_else(|| Error::Archive { at, source: ended() })?;
    let mut content = match entry.header().entry_type() {
        EntryType::GNUSparse => Content::Sparse(number),
        _ => Content::At(at..end),
    };
    for extension in entry.pax_extensions().map_err(|error| reading(error, at))?.into_iter().flatten().flatten() {
        match extension.key_bytes() {
            b"GNU.sparse.name" => name = extension.value_bytes().to_vec(),
            b"GNU.sparse.realsize" | b"GNU.sparse.size" => {
                content = Content::Unknown;
                bytes = extension.value().ok().and_then(|text| text.parse().ok()).unwrap_or(bytes);
            }
            _ => {}
        }
    }
    let mode = entry.header().mode().unwrap_or(0o600) & 0o7777;
    let mtime = entry.header().mtime().ok().and_then(|time| i64::try_from(time).ok()).unwrap_or(0);
    Ok(Member { name, kind, bytes, mode, mtime, target, content })
}
