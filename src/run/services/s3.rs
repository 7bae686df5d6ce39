//! A bucket. It is put back object by object: what is as it was stays, what is not in the snapshot is deleted once
//! everything else is there.

mod rehearsal;

use std::cmp::Ordering;
use std::io::{self, Write as _};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;

use crossbeam_channel::{Receiver, bounded};
use zeroize::Zeroizing;

use crate::config::secret::SecretFrom;
use crate::config::sources::s3::S3;
use crate::format::listing::{Entry, Node};
use crate::format::record::Record;
use crate::ops::cat::cat;
use crate::progress::Event;
use crate::run::World;
use crate::run::room::Room;
use crate::run::services::rehearsal::{Miss, Rehearsed, into_folder};
use crate::run::services::{Prepared, Service, Stored, Trouble, with_causes};
use crate::s3::error::Error;
use crate::s3::upload::Upload;
use crate::s3::{Client, DELETED_AT_ONCE_MAX, Keys, Place, Style};
use crate::source::s3::key::{beside_folder, key_of, without_mark};
use crate::source::s3::order::{Row, Sorted};
use crate::source::s3::{S3Source, headers, sorter};

/// Objects waiting for a thread that brings them.
const JOBS_MAX: usize = 64;
/// Where keys come from.
const KEYS_HINT: &str = "see `access_key_*` and `secret_key_*` of the source";

impl Service for S3 {
    fn prepare(&self, world: &World<'_>) -> Result<Prepared, String> {
        let (source, _) = self.source(world).map_err(|trouble| trouble.what)?;
        Ok(Prepared { source: Box::new(source), forms: Vec::new(), paths: vec![self.place().into_bytes()] })
    }

    fn troubles(&self, world: &World<'_>) -> Vec<Trouble> {
        let look = || self.source(world)?.1.look(&self.prefix).map_err(|error| self.trouble(&error));
        look().err().into_iter().collect()
    }

    fn rehearse(&self, stored: &Stored<'_>, room: &Room, _: &World<'_>) -> Result<Box<dyn Rehearsed>, Miss> {
        let folder = into_folder(stored, room, &|_| None)?;
        Ok(folder.holding(rehearsal::compared(stored, room)?))
    }

    fn plan(&self, record: &Record) -> Result<Vec<String>, String> {
        let place = self.place();
        if !record.paths.contains(&place.clone().into_bytes()) {
            return Err(format!("the snapshot is not of {place}; restore it with --to"));
        }
        let server = self.endpoint.as_deref().unwrap_or("Amazon S3");
        let objects = record.counts.files;
        let mut lines =
            vec![format!("{place} on {server} becomes as it was: of {objects} objects, those that differ are put")];
        lines.push(if record.complete {
            "objects that are not in the snapshot are deleted, but for what `exclude` names".to_owned()
        } else {
            "the snapshot is incomplete: objects that are not in it stay".to_owned()
        });
        Ok(lines)
    }

    fn put_back(&self, stored: &Stored<'_>, world: &World<'_>) -> Result<(), String> {
        // Again: what is put back after a failure has no plan.
        self.plan(stored.record)?;
        let (source, client) = self.source(world).map_err(|trouble| trouble.what)?;
        // Neither stored nor replaced nor deleted: nothing could bring them back.
        let present = source.rows(&mut |_| ControlFlow::Continue(())).map_err(|error| with_causes(&error))?;
        let wanted = self.wanted(stored)?;
        let extra = bring(stored, &client, wanted, present)?;
        if stored.record.complete {
            delete(&client, extra)
        } else {
            stored.observer.event(Event::Note("the snapshot is incomplete: objects that are not in it stay"));
            Ok(())
        }
    }
}

impl S3 {
    /// The bucket and the prefix, for people and for records.
    fn place(&self) -> String {
        format!("s3://{}/{}", self.bucket, self.prefix)
    }

    fn source(&self, world: &World<'_>) -> Result<(S3Source, Arc<Client>), Trouble> {
        let place = Place {
            endpoint: self.endpoint.clone(),
            region: self.region.clone(),
            bucket: self.bucket.clone(),
            style: if self.path_style { Style::Path } else { Style::Host },
            certificates: self.ca_file.clone(),
        };
        let keys = Keys {
            access: key("access key", self.access_key.as_ref(), world)?,
            secret: key("secret key", self.secret_key.as_ref(), world)?,
            session: self.session_token.as_ref().map(|from| key("session token", Some(from), world)).transpose()?,
        };
        let client = Arc::new(Client::new(&place, &keys).map_err(|error| self.trouble(&error))?);
        let source = S3Source::new(client.clone(), &self.prefix, &self.exclude, world.owner.clone())
            .map_err(|error| Trouble::new(with_causes(&error), "correct `exclude`"))?;
        Ok((source, client))
    }

    fn trouble(&self, error: &Error) -> Trouble {
        Trouble::new(error.to_string(), error.hint())
    }

    /// What the snapshot holds, in the order of keys.
    fn wanted(&self, stored: &Stored<'_>) -> Result<Sorted, String> {
        let mut sorter = sorter();
        stored.entries(&mut |entry| {
            let Node::File { bytes, .. } = entry.node else { return Ok(()) };
            let path = without_mark(&entry.path);
            sorter
                .push(Row {
                    path: path.to_vec(),
                    bytes,
                    modified: entry.mtime,
                    etag: entry.stamp.clone(),
                    marked: path.len() < entry.path.len(),
                })
                .map_err(unsorted)
        })?;
        sorter.finish().map_err(unsorted)
    }
}

fn key(what: &str, from: Option<&SecretFrom>, world: &World<'_>) -> Result<Zeroizing<String>, Trouble> {
    let fetched = from.ok_or_else(|| "none is given".to_owned()).and_then(|from| from.fetch(world.variables));
    fetched.map_err(|error| Trouble::new(format!("no {what}: {error}"), KEYS_HINT))
}

fn unsorted(error: io::Error) -> String {
    format!("cannot sort objects in a temporary file: {error}")
}

/// An object of the snapshot, and what is there in its place.
struct Job {
    wanted: Row,
    present: Option<Row>,
}

/// Puts what is not as it was. Returns what is there beside it.
fn bring(stored: &Stored<'_>, client: &Client, wanted: Sorted, present: Sorted) -> Result<Sorted, String> {
    let (jobs, queue) = bounded::<Job>(JOBS_MAX);
    let failed = AtomicBool::new(false);
    let work = |queue: Receiver<Job>| {
        for job in queue {
            // What one has failed at, the others need not finish.
            if failed.load(Relaxed) {
                break;
            }
            bring_one(stored, client, &job).inspect_err(|_| failed.store(true, Relaxed))?;
        }
        Ok::<(), String>(())
    };
    thread::scope(|scope| {
        let work = &work;
        let start = |queue: &Receiver<Job>| {
            let queue = queue.clone();
            scope.spawn(move || work(queue))
        };
        let workers: Vec<_> = (0..stored.threads.max(1)).map(|_| start(&queue)).collect();
        // Only workers hold it: when they have ended, a job is refused.
        drop(queue);
        let joined = join(wanted, present, &mut |job| jobs.send(job).is_ok());
        drop(jobs);
        for worker in workers {
            worker.join().map_err(|_| "a thread ended badly".to_owned())??;
        }
        joined
    })
}

/// Gives each object of the snapshot to `each`, until that refuses, and keeps what is there beside them.
fn join(wanted: Sorted, present: Sorted, each: &mut dyn FnMut(Job) -> bool) -> Result<Sorted, String> {
    let (mut wanted, mut present) = (wanted.peekable(), present.peekable());
    let mut extra = sorter();
    loop {
        let order = match (wanted.peek(), present.peek()) {
            (None, None) => break,
            (None, _) => Ordering::Greater,
            (_, None) => Ordering::Less,
            (Some(Ok(wanted)), Some(Ok(present))) => wanted.cmp(present),
            // Whichever it is, taking it says why.
            (Some(Err(_)), _) => Ordering::Less,
            (_, Some(Err(_))) => Ordering::Greater,
        };
        let wanted = if order.is_le() { wanted.next().transpose().map_err(unsorted)? } else { None };
        let present = if order.is_ge() { present.next().transpose().map_err(unsorted)? } else { None };
        match (wanted, present) {
            (Some(wanted), present) => {
                if !each(Job { wanted, present }) {
                    break;
                }
            }
            (None, Some(present)) => extra.push(present).map_err(unsorted)?,
            (None, None) => {}
        }
    }
    extra.finish().map_err(unsorted)
}

/// Puts one object, unless it is as it was.
fn bring_one(stored: &Stored<'_>, client: &Client, job: &Job) -> Result<(), String> {
    let wanted = &job.wanted;
    let path = if wanted.marked { beside_folder(&wanted.path) } else { wanted.path.clone() };
    let failed = |error: String| format!("{}: {error}", String::from_utf8_lossy(&wanted.path));
    let key = key_of(&path).ok_or_else(|| failed("it is the path of no key".to_owned()))?;
    let same_content =
        |present: &&Row| !wanted.etag.is_empty() && present.etag == wanted.etag && present.bytes == wanted.bytes;
    let present = job.present.as_ref().filter(same_content);
    if present.is_some_and(|present| present.modified == wanted.modified) {
        return Ok(());
    }
    let entry = stored.entry(&path).map_err(failed)?;
    if present.is_some() {
        // Put again since, or by a restore: its headers may be others.
        let head = client.head(&key).map_err(|error| failed(told(&error)))?;
        if head.etag.as_bytes() == wanted.etag && head.headers == headers(&entry.xattrs) {
            return Ok(());
        }
    }
    put(stored, client, &key, &entry).map_err(failed)
}

fn put(stored: &Stored<'_>, client: &Client, key: &str, entry: &Entry) -> Result<(), String> {
    let Node::File { bytes, .. } = entry.node else { return Err("it is no file".to_owned()) };
    let said = |error: Error| told(&error);
    let mut upload = Upload::new(client, key, headers(&entry.xattrs), bytes).map_err(said)?;
    // One thread: several objects are on their way at a time.
    cat(stored.repo, &stored.record.root, &entry.path, &mut upload, 1).map_err(|error| with_causes(&error))?;
    upload.flush().map_err(|error| error.to_string())?;
    upload.finish().map_err(said)
}

fn delete(client: &Client, extra: Sorted) -> Result<(), String> {
    let mut keys = Vec::new();
    let delete =
        |keys: &[String]| client.delete(keys).map_err(|error| format!("cannot delete objects: {}", told(&error)));
    for row in extra {
        keys.extend(key_of(&row.map_err(unsorted)?.path));
        if keys.len() == DELETED_AT_ONCE_MAX {
            delete(&keys)?;
            keys.clear();
        }
    }
    if keys.is_empty() { Ok(()) } else { delete(&keys) }
}

fn told(error: &Error) -> String {
    format!("{error}; {}", error.hint())
}
