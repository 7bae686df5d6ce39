//! What has several names: under which it was restored first, and how it gets the others.
//!
//! Promise: bounded memory.

use std::io;

use crate::format::listing::{Entry, Node};
use crate::ops::restore::report::Action;
use crate::ops::restore::{Context, Mode, existing};
use crate::posix::capture::Identity;
use crate::posix::place::hard_link;
use crate::sqlite::{self, SpillMap};

/// What became of the first name of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum First {
    /// It is on its way.
    Promised,
    /// It is there: which file it is, and its path in the snapshot.
    There(Identity, Vec<u8>),
    /// It could not be restored.
    Failed,
}

/// Gives what was restored under a first name another one; says whether it made a link.
pub fn link(context: &Context<'_>, first: &First, entry: &Entry) -> io::Result<bool> {
    let path = context.below(&entry.path);
    let there = existing::status(context, path);
    if let (First::There(identity, _), Some(there)) = (first, &there)
        && there.identity == *identity
    {
        context.tally.report().unchanged += 1;
        return Ok(false);
    }
    if context.options.mode == Mode::DryRun {
        context.tally.planned(there.map_or(Action::Create, |_| Action::Replace), &entry.path);
        context.tally.report().hard_links += 1;
        return Ok(false);
    }
    let First::There(identity, from) = first else {
        context.tally.problem(&entry.path, "the file that it is another name of could not be restored");
        return Ok(false);
    };
    hard_link(context.root()?, context.below(from), path, *identity, &context.apply, &context.names)?;
    context.tally.report().hard_links += 1;
    Ok(true)
}

/// First names by the file they were names of at the source.
pub struct Links(SpillMap);

const PROMISED: u8 = 0;
const THERE: u8 = 1;
const FAILED: u8 = 2;

impl Links {
    /// Knows none yet.
    pub fn new(bytes_in_memory_max: usize) -> Self {
        Self(SpillMap::new(bytes_in_memory_max))
    }

    /// What became of the file that an entry is a name of; `None` if this is its first.
    pub fn first(&mut self, entry: &Entry) -> Result<Option<First>, sqlite::Error> {
        let Some(value) = self.0.get(&key(entry))? else { return Ok(None) };
        Ok(Some(decode(&value).unwrap_or(First::Failed)))
    }

    /// Notes what became of it.
    pub fn put(&mut self, entry: &Entry, first: &First) -> Result<(), sqlite::Error> {
        self.0.put(&key(entry), &encode(first))
    }
}

fn key(entry: &Entry) -> Vec<u8> {
    let mut key = [entry.device.to_le_bytes(), entry.inode.to_le_bytes()].concat();
    // An inode number may be used again while a backup runs: a link only stands for something that is alike.
    match &entry.node {
        Node::File { .. } => {}
        Node::Symlink { target } => key.extend([&b"l"[..], target].concat()),
        Node::CharDevice { major, minor } => key.extend([&b"c"[..], &device(*major, *minor)].concat()),
        Node::BlockDevice { major, minor } => key.extend([&b"b"[..], &device(*major, *minor)].concat()),
        Node::Fifo => key.push(b'p'),
        Node::Socket => key.push(b's'),
        Node::Directory => key.push(b'd'),
    }
    key
}

fn device(major: u32, minor: u32) -> [u8; 8] {
    ((u64::from(major) << 32) | u64::from(minor)).to_le_bytes()
}

fn encode(first: &First) -> Vec<u8> {
    match first {
        First::Promised => vec![PROMISED],
        First::Failed => vec![FAILED],
        First::There(identity, path) => {
            [&[THERE][..], &identity.device.to_le_bytes(), &identity.inode.to_le_bytes(), path].concat()
        }
    }
}

fn decode(value: &[u8]) -> Option<First> {
    match value.split_first()? {
        (&PROMISED, _) => Some(First::Promised),
        (&THERE, rest) => {
            let (device, rest) = rest.split_first_chunk()?;
            let (inode, path) = rest.split_first_chunk()?;
            let identity = Identity { device: u64::from_le_bytes(*device), inode: u64::from_le_bytes(*inode) };
            Some(First::There(identity, path.to_vec()))
        }
        _ => Some(First::Failed),
    }
}

#[cfg(test)]
#[path = "links_tests.rs"]
mod tests;
