//! Which snapshots are meant: `SNAPSHOT[:PATH]`, and the options that choose among all of them.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use clap::Args;

use larder::format::record::ListingRoot;
use larder::ops::diff::Subtree;
use larder::ops::select::{self, Forgotten, Selected};
use larder::ops::snapshots::Filter;
use larder::repo::Repository;
use larder::repo::listing::find;
use larder::repo::state::Problem;

use crate::cli::output::escaped;
use crate::cli::report::{Exit, Failure, no_such_path, some_of};
use crate::cli::session::Session;

/// A snapshot, and a path in it: empty for all of it.
pub struct Chosen {
    /// The snapshot.
    pub selected: Selected,
    /// The path.
    pub path: Vec<u8>,
}

impl Chosen {
    /// What `SNAPSHOT[:PATH]` means.
    pub fn new(session: &mut Session, repo: &Repository, text: &OsStr) -> Result<Self, Failure> {
        let (snapshot, path) = split(text)?;
        let selected = select::snapshot(repo, &snapshot, Forgotten::Refuse)?;
        warn_of_lost(session, &selected);
        let path = as_meant(repo, &selected.record.root, path)?;
        Ok(Self { selected, path })
    }

    /// Makes sure that the path is there.
    pub fn found(self, repo: &Repository) -> Result<Self, Failure> {
        repo.catch_up()?;
        if self.path.is_empty() || find(repo, self.root(), &self.path)?.is_some() {
            return Ok(self);
        }
        Err(no_such_path(format!("{} is not in snapshot {}", escaped(&self.path), self.selected.snapshot.id.short())))
    }

    /// What is at the path.
    pub fn subtree(&self) -> Subtree<'_> {
        Subtree { root: self.root(), path: &self.path }
    }

    /// Its listing.
    pub fn root(&self) -> &ListingRoot {
        &self.selected.record.root
    }
}

/// Says that there may be a newer snapshot than the newest one.
pub fn warn_of_lost(session: &mut Session, selected: &Selected) {
    if let Some(Problem { seq, reason }) = &selected.lost {
        let id = selected.snapshot.id.short();
        session.out.warning(format!(
            "log entry {seq} ({reason}) may tell of a newer snapshot than {id}; larder rebuild-index --salvage brings \
             back what can be had"
        ));
    }
}

/// What a command ends with that has ended so: what it did is not all that was asked for if there may be a newer snapshot.
pub fn ended(selected: &Selected, exit: Exit) -> Exit {
    let went_well = matches!(exit, Exit::Done | Exit::Incomplete);
    if went_well && selected.lost.is_some() { Exit::Damage } else { exit }
}

fn split(text: &OsStr) -> Result<(String, Vec<u8>), Failure> {
    if let Some(text) = text.to_str() {
        return Ok(select::split(text));
    }
    // A path of any bytes: only what is before the colon must be text.
    let bytes = text.as_bytes();
    let colon = bytes.iter().position(|&byte| byte == b':').unwrap_or(bytes.len());
    let snapshot = std::str::from_utf8(&bytes[..colon])
        .map_err(|_| Failure::usage(format!("{} names no snapshot", text.to_string_lossy())))?;
    let (snapshot, _) = select::split(&format!("{snapshot}:"));
    let path = bytes.get(colon + 1..).unwrap_or_default();
    let start = path.iter().take_while(|&&byte| byte == b'/').count();
    let end = path.iter().rev().take_while(|&&byte| byte == b'/').count();
    Ok((snapshot, path[start..path.len().saturating_sub(end).max(start)].to_vec()))
}

/// The path that is there: as it was given, or what listings show as what was given.
fn as_meant(repo: &Repository, root: &ListingRoot, path: Vec<u8>) -> Result<Vec<u8>, Failure> {
    let Some(shown) = std::str::from_utf8(&path).ok().and_then(unescaped) else { return Ok(path) };
    repo.catch_up()?;
    // Damage where the one would be says nothing of the other.
    let is_there = |path: &[u8]| matches!(find(repo, root, path), Ok(Some(_)));
    Ok(if !is_there(&path) && is_there(&shown) { shown } else { path })
}

/// What [`escaped`] shows as a text; `None` for a text without escapes.
fn unescaped(text: &str) -> Option<Vec<u8>> {
    let mut parts = text.split('\\');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    let mut any = false;
    while let Some(part) = parts.next() {
        any = true;
        let mut take = |byte: &[u8], rest: &str| {
            bytes.extend_from_slice(byte);
            bytes.extend_from_slice(rest.as_bytes());
        };
        match part.chars().next() {
            // Two in a row stand for one, and what follows is text.
            None => take(b"\\", parts.next()?),
            Some('n') => take(b"\n", &part[1..]),
            Some('t') => take(b"\t", &part[1..]),
            Some('r') => take(b"\r", &part[1..]),
            Some('x') => take(&hex::decode(part.get(1..3)?).ok()?, &part[3..]),
            Some('u') => {
                let (digits, rest) = part.strip_prefix("u{")?.split_once('}')?;
                let shown = char::from_u32(u32::from_str_radix(digits, 16).ok()?)?;
                take(shown.encode_utf8(&mut [0; 4]).as_bytes(), rest);
            }
            Some(_) => return None,
        }
    }
    any.then_some(bytes)
}

/// Which of all snapshots.
#[derive(Debug, Args)]
pub struct Among {
    /// Only snapshots of this source
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// Only snapshots of this host
    #[arg(long, value_name = "NAME")]
    host: Option<String>,
    /// Only snapshots with this tag
    #[arg(long, value_name = "TAG")]
    tag: Option<String>,
}

impl Among {
    /// As the library has it.
    pub fn filter(&self) -> Filter {
        let Self { source, host, tag } = self;
        Filter { source: source.clone(), host: host.clone(), tag: tag.clone(), forgotten: false }
    }

    /// What there is to say when nothing fits: that nobody knows the source.
    pub fn unknown_source(&self, repo: &Repository) -> Option<String> {
        let latest = format!("{}@latest", self.source.as_deref()?);
        match select::named(repo, &latest, Forgotten::Refuse).err()? {
            select::Error::UnknownSource { source_name, known } if !known.is_empty() => {
                Some(format!("there is no snapshot of a source {source_name:?}; there are {}", some_of(&known)))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
#[path = "chosen_tests.rs"]
mod tests;
