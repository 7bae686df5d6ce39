//! Entries of a dump or an archive, written by `larder restore --entry`.
//!
//! Promise: names from inside a file lead nowhere but into the folder that was given; what is written is whole, or not
//! there. Left out on purpose: folders of archives, which `tar` unpacks better.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Permissions};
use std::io::{self, BufWriter, Write};
use std::ops::ControlFlow;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use serde::Serialize;
use tempfile::{Builder, NamedTempFile};

use larder::config::mistakes::did_you_mean;
use larder::dump::Entry;
use larder::ops::cat;
use larder::ops::cat::stored::Stored;
use larder::ops::entries::archive::{self, Kind, Member};
use larder::ops::entries::sql;
use larder::ops::entries::{Error, Shape};
use larder::repo::Repository;

use crate::cli::chosen::Chosen;
use crate::cli::entries::{listed, open};
use crate::cli::output::{Form, JsonPath, Outcome, escaped, size};
use crate::cli::report::{Exit, Failure, no_such_path};
use crate::cli::session::{self, Session};

/// Most names that are looked at for one that was meant.
const KNOWN_MAX: usize = 100_000;
/// Why a member cannot be written.
const UNKNOWN_SPARSE: &str =
    "it is stored as a sparse file in the format of pax; larder cat SNAPSHOT:PATH | tar -x NAME unpacks it";

/// What is to be written, and where.
pub struct Wanted<'a> {
    /// The names of the entries.
    pub names: &'a [OsString],
    /// The folder, or `-` for standard output.
    pub to: &'a Path,
    /// What to do with files that are there.
    pub existing: Existing,
}

/// What to do with files that are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// Write nothing.
    Refuse,
    /// Replace them.
    Replace,
}

impl Wanted<'_> {
    /// Whether they go to standard output.
    pub fn to_stdout(&self) -> bool {
        self.to.as_os_str() == "-"
    }
}

/// Writes entries of a file.
pub fn restore(session: &mut Session, repo: &Repository, chosen: &Chosen, wanted: &Wanted<'_>) -> Outcome {
    if wanted.to_stdout() && session.out.form() == Form::Json {
        return Err(Failure::usage("standard output cannot hold the entries and a JSON document")
            .hint("leave out --json, or give --to a folder"));
    }
    let (stored, shape) = open(repo, chosen)?;
    let dump = if shape == Shape::Tar { None } else { Some(listed(session, repo, chosen, &stored)?) };
    let items = match &dump {
        Some(listed) => tables(session, &listed.entries.entries, wanted.names, &chosen.path)?,
        None => members(&stored, wanted.names, &chosen.path)?,
    };
    if wanted.to_stdout() { to_stdout(&stored, &items) } else { to_folder(session, &stored, &items, wanted) }
}

/// Something to write.
struct Item<'e> {
    name: Vec<u8>,
    kind: String,
    file: OsString,
    what: What<'e>,
}

enum What<'e> {
    /// Entries of a dump.
    Tables(Vec<&'e Entry>),
    /// A member of an archive.
    Member(Box<Member>),
}

fn tables<'e>(
    session: &Session,
    entries: &'e [Entry],
    names: &[OsString],
    path: &[u8],
) -> Result<Vec<Item<'e>>, Failure> {
    let mut items = Vec::new();
    for name in names {
        let text = name.to_string_lossy();
        // As it is, or as `ls` showed it.
        let named = |entry: &&Entry| entry.name == text || escaped(entry.name.as_bytes()) == text;
        let found: Vec<&Entry> = entries.iter().filter(named).collect();
        let Some(first) = found.first() else {
            return Err(unknown(name, path, entries.iter().map(|entry| entry.name.as_str())));
        };
        for (entry, left_out) in found.iter().flat_map(|entry| entry.left_out.iter().map(move |text| (entry, text))) {
            session.out.warning(format!(
                "{}: left out: {}",
                escaped(entry.name.as_bytes()),
                escaped(left_out.as_bytes())
            ));
        }
        let file = file_name(&first.name);
        let kinds: Vec<String> = found.iter().map(|entry| escaped(entry.kind.as_bytes())).collect();
        let name = first.name.clone().into_bytes();
        items.push(Item { name, kind: kinds.join(", "), file, what: What::Tables(found) });
    }
    Ok(items)
}

fn members<'e>(stored: &Stored<'_>, names: &[OsString], path: &[u8]) -> Result<Vec<Item<'e>>, Failure> {
    let wanted: Vec<&[u8]> = names.iter().map(|name| name.as_bytes()).collect();
    let mut items = Vec::new();
    for (name, found) in names.iter().zip(archive::find(stored, &wanted)?) {
        let Some(member) = found else {
            let mut known = Vec::new();
            archive::members(stored, &mut |member| {
                known.push(String::from_utf8_lossy(archive::plain(&member.name)).into_owned());
                // Enough to find what somebody may have meant, whatever the archive is like.
                if known.len() < KNOWN_MAX { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            })?;
            return Err(unknown(name, path, known.iter().map(String::as_str)));
        };
        let shown = escaped(&member.name);
        if !matches!(member.kind, Kind::File | Kind::Symlink) {
            return Err(Failure::new(Exit::Failed, format!("{shown} is no file: {}", member.kind.word()))
                .hint("larder cat SNAPSHOT:PATH | tar -x NAME unpacks folders, devices and what links to nothing"));
        }
        let plain = archive::plain(&member.name);
        let last = plain.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
        if matches!(last, b"" | b"." | b"..") || last.contains(&0) {
            return Err(Failure::new(Exit::Failed, format!("{shown} cannot be the name of a file"))
                .hint("--to - writes it to standard output"));
        }
        let file = OsString::from_vec(last.to_vec());
        items.push(Item {
            name: member.name.clone(),
            kind: member.kind.word().to_owned(),
            file,
            what: What::Member(Box::new(member)),
        });
    }
    Ok(items)
}

fn unknown<'n>(name: &OsStr, path: &[u8], known: impl Iterator<Item = &'n str>) -> Failure {
    let name = name.to_string_lossy();
    // Whoever gives a table without its schema means the one of that name.
    let whole: Vec<&str> = known.collect();
    let suffix = format!(".{name}");
    let meant = whole.iter().find(|other| other.ends_with(&suffix) || other.rsplit('/').next() == Some(&name));
    let like =
        meant.map_or_else(|| did_you_mean(&name, whole.iter().copied()), |meant| format!("; did you mean {meant}?"));
    no_such_path(format!("{} is not in {}{}", escaped(name.as_bytes()), escaped(path), escaped(like.as_bytes())))
        .hint("larder ls --entries SNAPSHOT:PATH shows what is in it")
}

/// The name of the file that holds an entry of a dump: nothing in it leads elsewhere, is hidden or cannot be shown.
fn file_name(name: &str) -> OsString {
    let mut file = String::new();
    for (at, c) in name.chars().enumerate() {
        if matches!(c, '/' | '%') || c.is_control() || (at == 0 && c == '.') {
            let mut bytes = [0; 4];
            c.encode_utf8(&mut bytes).bytes().for_each(|byte| file.push_str(&format!("%{byte:02X}")));
        } else {
            file.push(c);
        }
    }
    (file + ".sql").into()
}

fn to_stdout(stored: &Stored<'_>, items: &[Item<'_>]) -> Outcome {
    let mut out = io::stdout().lock();
    let tables: Vec<&Entry> = items.iter().filter_map(|item| item.tables()).flatten().copied().collect();
    let mut written = Ok(());
    if !tables.is_empty() {
        written = sql::write(stored, &tables, &mut out, session::threads()).map(drop);
    }
    for member in items.iter().filter_map(Item::member) {
        if member.kind != Kind::File {
            let shown = escaped(&member.name);
            return Err(Failure::new(Exit::Failed, format!("{shown} is no file: {}", member.kind.word())));
        }
        written = written.and_then(|()| match archive::write(stored, member, &mut out, session::threads())? {
            Some(_) => Ok(()),
            None => Err(Error::Write(io::Error::other(UNKNOWN_SPARSE))),
        });
    }
    match written {
        // Whoever read has seen enough.
        Err(Error::Write(error) | Error::Cat(cat::Error::Write(error)))
            if error.kind() == io::ErrorKind::BrokenPipe =>
        {
            Ok(Exit::Done)
        }
        result => Ok(result.map(|()| Exit::Done)?),
    }
}

impl<'e> Item<'e> {
    fn tables(&self) -> Option<&[&'e Entry]> {
        match &self.what {
            What::Tables(tables) => Some(tables),
            What::Member(_) => None,
        }
    }

    fn member(&self) -> Option<&Member> {
        match &self.what {
            What::Tables(_) => None,
            What::Member(member) => Some(member),
        }
    }
}

#[derive(Serialize)]
struct Answer {
    target: String,
    entries: Vec<Written>,
}

#[derive(Serialize)]
struct Written {
    #[serde(flatten)]
    path: JsonPath,
    kind: String,
    bytes: u64,
    file: String,
}

fn to_folder(session: &mut Session, stored: &Stored<'_>, items: &[Item<'_>], wanted: &Wanted<'_>) -> Outcome {
    let shown = |path: &Path| escaped(path.as_os_str().as_bytes());
    let mut files = BTreeSet::new();
    for item in items {
        if !files.insert(&item.file) {
            let name = escaped(item.file.as_bytes());
            return Err(Failure::usage(format!("two of the entries would be the file {name}"))
                .hint("write them into folders of their own, one after the other"));
        }
    }
    // Before anything is written.
    for path in items.iter().map(|item| wanted.to.join(&item.file)) {
        let there = fs::symlink_metadata(&path);
        let folder = there.as_ref().is_ok_and(|there| there.is_dir());
        if folder || (there.is_ok() && wanted.existing == Existing::Refuse) {
            return Err(exists(&path));
        }
    }
    fs::create_dir_all(wanted.to).map_err(|error| Failure::io(format!("cannot make {}", shown(wanted.to)), &error))?;
    let mut answer = Answer { target: shown(wanted.to), entries: Vec::new() };
    for item in items {
        let path = wanted.to.join(&item.file);
        let bytes = place(stored, item, &path, wanted)?;
        let (name, kind) = (escaped(&item.name), &item.kind);
        session.out.say(format!("restored {kind} {name}, {}, to {}", size(bytes), shown(&path)))?;
        let (path, file) = (JsonPath::from(item.name.as_slice()), shown(&path));
        answer.entries.push(Written { path, kind: kind.clone(), bytes, file });
    }
    if session.out.form() == Form::Json {
        session.out.json(&answer)?;
    }
    Ok(Exit::Done)
}

fn exists(path: &Path) -> Failure {
    Failure::new(Exit::Failed, format!("{} is there already", escaped(path.as_os_str().as_bytes())))
        .hint("choose another folder, or --existing replace")
}

/// Writes one entry under its name: whole, or not at all, and through nothing that is there.
fn place(stored: &Stored<'_>, item: &Item<'_>, path: &Path, wanted: &Wanted<'_>) -> Result<u64, Failure> {
    let failed =
        |error: io::Error| Failure::io(format!("cannot write {}", escaped(path.as_os_str().as_bytes())), &error);
    if let Some(link) = item.member().filter(|member| member.kind == Kind::Symlink) {
        let target = OsStr::from_bytes(&link.target);
        let made = Builder::new().prefix(".larder-").make_in(wanted.to, |temporary| symlink(target, temporary));
        let made = made.map_err(failed)?;
        return persist(made, path, wanted.existing).map(|()| 0);
    }
    let mut file = Builder::new().prefix(".larder-").tempfile_in(wanted.to).map_err(failed)?;
    let mut out = BufWriter::with_capacity(256 << 10, file.as_file_mut());
    let written = match &item.what {
        What::Tables(tables) => sql::write(stored, tables, &mut out, session::threads()).map(Some),
        What::Member(member) => archive::write(stored, member, &mut out, session::threads()),
    };
    let written = written.and_then(|bytes| out.flush().map(|()| bytes).map_err(Error::Write));
    drop(out);
    let bytes = match written {
        Err(Error::Write(error) | Error::Cat(cat::Error::Write(error))) => return Err(failed(error)),
        Ok(None) => return Err(failed(io::Error::other(UNKNOWN_SPARSE))),
        result => result?.unwrap_or_default(),
    };
    if let Some(member) = item.member() {
        dress(file.as_file(), member).map_err(failed)?;
    }
    persist(file, path, wanted.existing).map(|()| bytes)
}

/// Gives a file its name.
fn persist<F>(file: NamedTempFile<F>, path: &Path, existing: Existing) -> Result<(), Failure> {
    let placed = match existing {
        Existing::Replace => file.persist(path).map(drop),
        Existing::Refuse => file.persist_noclobber(path).map(drop),
    };
    placed.map_err(|failed| match failed.error.kind() {
        io::ErrorKind::AlreadyExists => exists(path),
        _ => Failure::io(format!("cannot write {}", escaped(path.as_os_str().as_bytes())), &failed.error),
    })
}

/// Gives a file the permissions and the time that it has in the archive; nobody else's rights, nobody else's owner.
fn dress(file: &File, member: &Member) -> io::Result<()> {
    file.set_permissions(Permissions::from_mode(member.mode & 0o777))?;
    let since = Duration::from_secs(member.mtime.unsigned_abs());
    let time = if member.mtime < 0 { UNIX_EPOCH.checked_sub(since) } else { UNIX_EPOCH.checked_add(since) };
    time.map_or(Ok(()), |time| file.set_modified(time))
}
