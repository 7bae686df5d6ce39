//! Entries of a listing as bytes. See "Entries" in `format-spec/listing.md`.

use crate::format::Reject;
use crate::format::content::{self, Content};
use crate::format::listing::{
    EXTENSION_BYTES_MAX, EXTENTS_MAX, Entry, Extent, Node, OWNER_BYTES_MAX, Owner, STAMP_BYTES_MAX, TARGET_BYTES_MAX,
    XATTR_NAME_BYTES_MAX, XATTR_VALUE_BYTES_MAX, XATTRS_MAX, Xattrs, put_path, take_path,
};
use crate::format::wire::{Reader, Writer};

const OWNER_AS_BEFORE: u64 = 1;
const XATTRS: u64 = 1 << 1;
const EXTENTS: u64 = 1 << 2;
const UNSTABLE: u64 = 1 << 3;
const PAGED: u64 = 1 << 4;
const STAMP: u64 = 1 << 5;
/// The flag of an entry that has an ignorable extension.
pub const EXTENSION: u64 = 1 << 6;
const KNOWN_FLAGS: u64 = (1 << 7) - 1;

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

/// Writes an entry behind another.
pub fn put_entry(w: &mut Writer, entry: &Entry, before: &[u8], owner: Option<&Owner>) {
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

/// Reads an entry behind another.
pub fn take_entry(r: &mut Reader<'_>, before: Option<&Entry>) -> Result<Entry, Reject> {
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
