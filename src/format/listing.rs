//! Listings: the sorted entries of a snapshot, on pages. See `format-spec/listing.md`.

use std::cmp::Ordering;
use std::sync::Arc;

use crate::format::content::{self, ChunkRef, Content};
use crate::format::wire::{Reader, Writer};
use crate::format::{Reject, Time};

/// Longest path in bytes.
pub const PATH_BYTES_MAX: u64 = 64 << 10;
/// Longest name of one component.
pub const NAME_BYTES_MAX: usize = 255;
/// Most components in a path.
pub const DEPTH_MAX: usize = 4096;
/// Longest user or group name.
pub const OWNER_BYTES_MAX: u64 = 256;
/// Most extended attributes of an entry.
pub const XATTRS_MAX: u64 = 1024;
/// Longest name of an extended attribute.
pub const XATTR_NAME_BYTES_MAX: u64 = 255;
/// Longest value of an extended attribute.
pub const XATTR_VALUE_BYTES_MAX: u64 = 64 << 10;
/// Longest symlink target.
pub const TARGET_BYTES_MAX: u64 = 4096;
/// Longest change stamp.
pub const STAMP_BYTES_MAX: u64 = 1024;
/// Most extents of a sparse file.
pub const EXTENTS_MAX: u64 = 65_536;
/// Most entries on a page.
pub const PAGE_ENTRIES_MAX: u64 = 65_536;
/// Longest ignorable extension of an entry.
pub const EXTENSION_BYTES_MAX: u64 = 1024;

const LEAF: u8 = 1;
const INDEX: u8 = 2;

const OWNER_AS_BEFORE: u64 = 1;
const XATTRS: u64 = 1 << 1;
const EXTENTS: u64 = 1 << 2;
const UNSTABLE: u64 = 1 << 3;
const PAGED: u64 = 1 << 4;
const STAMP: u64 = 1 << 5;
const EXTENSION: u64 = 1 << 6;
const KNOWN_FLAGS: u64 = (1 << 7) - 1;

/// Extended attributes: names and values, sorted by name.
pub type Xattrs = Vec<(Vec<u8>, Vec<u8>)>;

/// Who owns an entry.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Owner {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// User name where it was known, else empty.
    pub user: Arc<[u8]>,
    /// Group name where it was known, else empty.
    pub group: Arc<[u8]>,
}

/// A stretch of a sparse file that holds data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// Where it begins in the file.
    pub offset: u64,
    /// Its length, at least 1.
    pub bytes: u64,
}

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// A regular file, or a stream.
    File {
        /// Its length, holes included.
        bytes: u64,
        /// Its data; for a sparse file the data of its extents, one after the other.
        content: Content,
        /// Where the data lies, if the file has holes; in order, not touching.
        extents: Option<Vec<Extent>>,
    },
    /// A folder.
    Directory,
    /// A symbolic link.
    Symlink {
        /// What it says.
        target: Vec<u8>,
    },
    /// A named pipe.
    Fifo,
    /// A socket: listed, not restored.
    Socket,
    /// A character device.
    CharDevice {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
    /// A block device.
    BlockDevice {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
}

/// One entry of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Path below the snapshot's root, components joined by `/`; empty for the root folder itself.
    pub path: Vec<u8>,
    /// What it is.
    pub node: Node,
    /// Permission bits, 0 to 07777.
    pub mode: u32,
    /// Who owns it.
    pub owner: Owner,
    /// When its content last changed.
    pub mtime: Time,
    /// When its inode last changed.
    pub ctime: Time,
    /// Its inode number at the source.
    pub inode: u64,
    /// The device it lay on at the source.
    pub device: u64,
    /// How many names its inode had.
    pub links: u64,
    /// Extended attributes, ACLs among them, by name.
    pub xattrs: Xattrs,
    /// A change stamp that the source defines.
    pub stamp: Vec<u8>,
    /// It changed while it was read: never reused by the next run.
    pub unstable: bool,
}

/// Orders paths component by component: a folder comes directly before what is in it.
pub fn compare_paths(a: &[u8], b: &[u8]) -> Ordering {
    // No name contains NUL or `/`, so the separator, ordered below every byte of a name, does it.
    let key = |byte: &u8| if *byte == b'/' { 0 } else { *byte };
    let same = a.iter().zip(b).take_while(|(x, y)| x == y).count();
    a[same..].iter().map(key).next().cmp(&b[same..].iter().map(key).next())
}

/// Whether a path is one that a listing may hold.
pub fn check_path(path: &[u8]) -> Result<(), Reject> {
    if path.is_empty() {
        return Ok(());
    }
    if path.len() as u64 > PATH_BYTES_MAX {
        return Err(Reject::TooLarge { field: "path length", value: path.len() as u64, limit: PATH_BYTES_MAX });
    }
    let mut depth = 0;
    for name in path.split(|&b| b == b'/') {
        depth += 1;
        match name {
            b"" => return Err(Reject::Broken("path with an empty component")),
            b"." | b".." => return Err(Reject::Broken("path with . or ..")),
            _ if name.len() > NAME_BYTES_MAX => return Err(Reject::Broken("name longer than 255 bytes")),
            _ if name.contains(&0) => return Err(Reject::Broken("name with a NUL byte")),
            _ => {}
        }
    }
    if depth > DEPTH_MAX {
        return Err(Reject::TooLarge { field: "path depth", value: depth as u64, limit: DEPTH_MAX as u64 });
    }
    Ok(())
}

/// A page of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Page {
    /// Entries.
    Leaf(Vec<Entry>),
    /// Pages one level down.
    Index {
        /// The level of this page, 1 or more.
        level: u8,
        /// The pages below, in order.
        items: Vec<PageRef>,
    },
}

/// A page as seen from the level above.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageRef {
    /// Path of its first entry.
    pub first: Vec<u8>,
    /// The page, a tree chunk.
    pub page: ChunkRef,
    /// Entries under it.
    pub entries: u64,
}

/// Encodes entries one at a time, so that a page can be cut where its length or its last path says.
#[derive(Debug, Default)]
pub struct LeafWriter {
    body: Writer,
    entries: u64,
    first: Vec<u8>,
    last: Option<(Vec<u8>, Owner)>,
}

impl LeafWriter {
    /// An empty page.
    pub fn new() -> Self {
        Self::default()
    }

    /// Encoded length so far.
    pub fn len(&self) -> usize {
        self.body.len()
    }

    /// Whether the page has no entry yet.
    pub fn is_empty(&self) -> bool {
        self.entries == 0
    }

    /// Appends an entry. Its path must come after the last one's.
    pub fn push(&mut self, entry: &Entry) {
        let (before, owner) = match &self.last {
            Some((path, owner)) => (path.as_slice(), Some(owner)),
            None => (&[][..], None),
        };
        put_entry(&mut self.body, entry, before, owner);
        if self.entries == 0 {
            self.first.clone_from(&entry.path);
        }
        self.entries += 1;
        match &mut self.last {
            Some((path, owner)) => {
                path.clone_from(&entry.path);
                owner.clone_from(&entry.owner);
            }
            None => self.last = Some((entry.path.clone(), entry.owner.clone())),
        }
    }

    /// The tree chunk, its first path and the number of entries.
    pub fn finish(self) -> (Vec<u8>, Vec<u8>, u64) {
        let mut w = Writer::new();
        w.u8(LEAF);
        w.varint(self.entries);
        w.raw(&self.body.finish());
        (w.finish(), self.first, self.entries)
    }
}

impl Page {
    /// The tree chunk.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Page::Leaf(entries) => {
                let mut leaf = LeafWriter::new();
                entries.iter().for_each(|entry| leaf.push(entry));
                leaf.finish().0
            }
            Page::Index { level, items } => {
                let mut w = Writer::new();
                w.u8(INDEX);
                w.u8(*level);
                w.varint(items.len() as u64);
                let mut before: &[u8] = &[];
                for item in items {
                    put_path(&mut w, &item.first, before);
                    content::put_chunk(&mut w, &item.page);
                    w.varint(item.entries);
                    before = &item.first;
                }
                w.finish()
            }
        }
    }

    /// Reads a tree chunk. Entries and pages must be in order.
    pub fn decode(bytes: &[u8]) -> Result<Self, Reject> {
        let mut r = Reader::new(bytes);
        let page = match r.u8()? {
            LEAF => Page::Leaf(take_entries(&mut r)?),
            INDEX => {
                let level = r.u8()?;
                if level == 0 || level >= content::LEVELS_MAX {
                    return Err(Reject::Unknown { field: "page level", value: level.into() });
                }
                Page::Index { level, items: take_items(&mut r)? }
            }
            _ => return Err(Reject::Magic("listing page")),
        };
        r.end()?;
        Ok(page)
    }
}

fn take_entries(r: &mut Reader<'_>) -> Result<Vec<Entry>, Reject> {
    let count = r.count("entries on a page", PAGE_ENTRIES_MAX)?;
    let mut entries: Vec<Entry> = Vec::new();
    for _ in 0..count {
        let entry = take_entry(r, entries.last())?;
        if entries.last().is_some_and(|last| compare_paths(&last.path, &entry.path) != Ordering::Less) {
            return Err(Reject::Broken("entries out of order"));
        }
        entries.push(entry);
    }
    Ok(entries)
}

fn take_items(r: &mut Reader<'_>) -> Result<Vec<PageRef>, Reject> {
    let count = r.count("items on a page", content::PAGE_ITEMS_MAX)?;
    let mut items: Vec<PageRef> = Vec::new();
    for _ in 0..count {
        let before = items.last().map_or(&[][..], |last| last.first.as_slice());
        let first = take_path(r, before)?;
        if items.last().is_some_and(|last| compare_paths(&last.first, &first) != Ordering::Less) {
            return Err(Reject::Broken("pages out of order"));
        }
        let page = content::take_chunk(r, content::PAGE_BYTES_MAX)?;
        items.push(PageRef { first, page, entries: r.varint()? });
    }
    Ok(items)
}

fn put_path(w: &mut Writer, path: &[u8], before: &[u8]) {
    let shared = path.iter().zip(before).take_while(|(x, y)| x == y).count();
    w.varint(shared as u64);
    w.bytes(&path[shared..]);
}

fn take_path(r: &mut Reader<'_>, before: &[u8]) -> Result<Vec<u8>, Reject> {
    let shared = r.bounded("shared path length", before.len() as u64)? as usize;
    let suffix = r.bytes("path length", PATH_BYTES_MAX)?;
    let mut path = Vec::with_capacity(shared + suffix.len());
    path.extend_from_slice(&before[..shared]);
    path.extend_from_slice(suffix);
    check_path(&path)?;
    Ok(path)
}

fn node_code(node: &Node) -> u8 {
    match node {
        Node::File { .. } => 1,
        Node::Directory => 2,
        Node::Symlink { .. } => 3,
        Node::Fifo => 4,
        Node::Socket => 5,
        Node::CharDevice { .. } => 6,
        Node::BlockDevice { .. } => 7,
    }
}

fn flags_of(entry: &Entry, owner: Option<&Owner>) -> u64 {
    let mut flags = 0;
    let mut set = |bit, on: bool| flags |= if on { bit } else { 0 };
    set(OWNER_AS_BEFORE, owner == Some(&entry.owner));
    set(XATTRS, !entry.xattrs.is_empty());
    set(UNSTABLE, entry.unstable);
    set(STAMP, !entry.stamp.is_empty());
    if let Node::File { content, extents, .. } = &entry.node {
        set(EXTENTS, extents.is_some());
        set(PAGED, matches!(content, Content::Paged(_)));
    }
    flags
}

fn put_entry(w: &mut Writer, entry: &Entry, before: &[u8], owner: Option<&Owner>) {
    let flags = flags_of(entry, owner);
    w.u8(node_code(&entry.node));
    w.varint(flags);
    put_path(w, &entry.path, before);
    w.varint(entry.mode.into());
    if flags & OWNER_AS_BEFORE == 0 {
        w.varint(entry.owner.uid.into());
        w.varint(entry.owner.gid.into());
        w.bytes(&entry.owner.user);
        w.bytes(&entry.owner.group);
    }
    w.time(entry.mtime);
    w.time(entry.ctime);
    w.varint(entry.inode);
    w.varint(entry.device);
    w.varint(entry.links);
    put_node(w, &entry.node);
    if flags & XATTRS != 0 {
        w.varint(entry.xattrs.len() as u64);
        for (name, value) in &entry.xattrs {
            w.bytes(name);
            w.bytes(value);
        }
    }
    if flags & STAMP != 0 {
        w.bytes(&entry.stamp);
    }
}

fn put_node(w: &mut Writer, node: &Node) {
    match node {
        Node::File { bytes, content, extents } => {
            w.varint(*bytes);
            match content {
                Content::Inline(chunks) => {
                    w.varint(chunks.len() as u64);
                    chunks.iter().for_each(|chunk| content::put_chunk(w, chunk));
                }
                Content::Paged(root) => {
                    w.u8(root.level);
                    content::put_root(w, root);
                }
            }
            if let Some(extents) = extents {
                w.varint(extents.len() as u64);
                let mut at = 0;
                for extent in extents {
                    w.varint(extent.offset - at);
                    w.varint(extent.bytes);
                    at = extent.offset + extent.bytes;
                }
            }
        }
        Node::Symlink { target } => w.bytes(target),
        Node::CharDevice { major, minor } | Node::BlockDevice { major, minor } => {
            w.varint((*major).into());
            w.varint((*minor).into());
        }
        Node::Directory | Node::Fifo | Node::Socket => {}
    }
}

fn take_entry(r: &mut Reader<'_>, before: Option<&Entry>) -> Result<Entry, Reject> {
    let code = r.u8()?;
    let flags = r.varint()?;
    if flags & !KNOWN_FLAGS != 0 {
        return Err(Reject::Unknown { field: "entry flags", value: flags });
    }
    let path = take_path(r, before.map_or(&[], |entry| &entry.path))?;
    let mode = r.bounded("mode", 0o7777)? as u32;
    let owner = if flags & OWNER_AS_BEFORE != 0 {
        before.ok_or(Reject::Broken("first entry without an owner"))?.owner.clone()
    } else {
        Owner {
            uid: r.bounded("user id", u32::MAX.into())? as u32,
            gid: r.bounded("group id", u32::MAX.into())? as u32,
            user: r.bytes("user name length", OWNER_BYTES_MAX)?.into(),
            group: r.bytes("group name length", OWNER_BYTES_MAX)?.into(),
        }
    };
    let (mtime, ctime) = (r.time()?, r.time()?);
    let (inode, device, links) = (r.varint()?, r.varint()?, r.varint()?);
    let node = take_node(r, code, flags)?;
    let xattrs = if flags & XATTRS != 0 { take_xattrs(r)? } else { Vec::new() };
    let stamp = if flags & STAMP != 0 { r.bytes("stamp length", STAMP_BYTES_MAX)?.to_vec() } else { Vec::new() };
    if flags & EXTENSION != 0 {
        r.bytes("extension length", EXTENSION_BYTES_MAX)?;
    }
    let unstable = flags & UNSTABLE != 0;
    Ok(Entry { path, node, mode, owner, mtime, ctime, inode, device, links, xattrs, stamp, unstable })
}

fn take_node(r: &mut Reader<'_>, code: u8, flags: u64) -> Result<Node, Reject> {
    if code != 1 && flags & (EXTENTS | PAGED) != 0 {
        return Err(Reject::Broken("only files have extents or paged content"));
    }
    Ok(match code {
        1 => take_file(r, flags)?,
        2 => Node::Directory,
        3 => Node::Symlink { target: take_target(r)? },
        4 => Node::Fifo,
        5 => Node::Socket,
        6 | 7 => {
            let major = r.bounded("major number", u32::MAX.into())? as u32;
            let minor = r.bounded("minor number", u32::MAX.into())? as u32;
            if code == 6 { Node::CharDevice { major, minor } } else { Node::BlockDevice { major, minor } }
        }
        other => return Err(Reject::Unknown { field: "entry type", value: other.into() }),
    })
}

fn take_target(r: &mut Reader<'_>) -> Result<Vec<u8>, Reject> {
    let target = r.bytes("target length", TARGET_BYTES_MAX)?;
    if target.is_empty() || target.contains(&0) {
        Err(Reject::Broken("impossible link target"))
    } else {
        Ok(target.to_vec())
    }
}

fn take_file(r: &mut Reader<'_>, flags: u64) -> Result<Node, Reject> {
    let bytes = r.varint()?;
    let content = if flags & PAGED != 0 {
        let level = r.u8()?;
        if level >= content::LEVELS_MAX {
            return Err(Reject::Unknown { field: "page level", value: level.into() });
        }
        Content::Paged(content::take_root(r, level)?)
    } else {
        let count = r.count("inline chunks", INLINE_CHUNKS_LIMIT)?;
        let chunks = (0..count).map(|_| content::take_chunk(r, content::CHUNK_BYTES_MAX)).collect::<Result<_, _>>()?;
        Content::Inline(chunks)
    };
    let extents = if flags & EXTENTS != 0 { Some(take_extents(r, bytes)?) } else { None };
    let data = match &content {
        Content::Inline(chunks) => chunks.iter().map(|chunk| u64::from(chunk.bytes)).sum(),
        Content::Paged(root) => root.bytes,
    };
    let mapped = match &extents {
        Some(extents) => extents.iter().map(|extent| extent.bytes).sum(),
        None => bytes,
    };
    if data != mapped {
        return Err(Reject::Broken("length of a file differs from that of its chunks"));
    }
    Ok(Node::File { bytes, content, extents })
}

// A reader takes more than a writer gives, so that the writer's limit may be moved.
const INLINE_CHUNKS_LIMIT: u64 = 1024;

fn take_extents(r: &mut Reader<'_>, file_bytes: u64) -> Result<Vec<Extent>, Reject> {
    let count = r.count("extents", EXTENTS_MAX)?;
    let mut extents = Vec::new();
    let mut at = 0u64;
    for n in 0..count {
        let gap = r.varint()?;
        let bytes = r.varint()?;
        let offset = at.checked_add(gap).ok_or(Reject::Broken("extent beyond the end of its file"))?;
        let end = offset.checked_add(bytes).filter(|&end| end <= file_bytes);
        at = end.ok_or(Reject::Broken("extent beyond the end of its file"))?;
        if bytes == 0 || (n > 0 && gap == 0) {
            return Err(Reject::Broken("empty or touching extents"));
        }
        extents.push(Extent { offset, bytes });
    }
    Ok(extents)
}

fn take_xattrs(r: &mut Reader<'_>) -> Result<Xattrs, Reject> {
    let count = r.count("extended attributes", XATTRS_MAX)?;
    let mut xattrs = Xattrs::new();
    for _ in 0..count {
        let name = r.bytes("attribute name length", XATTR_NAME_BYTES_MAX)?.to_vec();
        let value = r.bytes("attribute length", XATTR_VALUE_BYTES_MAX)?.to_vec();
        if name.is_empty() || name.contains(&0) || xattrs.last().is_some_and(|(last, _)| *last >= name) {
            return Err(Reject::Broken("extended attributes out of order"));
        }
        xattrs.push((name, value));
    }
    Ok(xattrs)
}

#[cfg(test)]
#[path = "listing_tests.rs"]
mod tests;
