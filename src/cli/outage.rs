//! A repository that cannot be opened by a run that nobody watches: whoever its configuration names is told, once.
//!
//! Left out on purpose: the daemon, which knows by itself what it told.

use std::fs;
use std::path::PathBuf;

use larder::crypto::hash;
use larder::run::memory::Memory;
use larder::run::report::{Report, Status};
use larder::run::status::files::write_alone;
use larder::run::{World, notify};

use crate::cli::config::Found;
use crate::cli::report::Failure;
use crate::cli::session::{self, Session};

/// Tells that a run could not begin, unless that was told before.
pub fn begins(session: &Session, found: &Found, failure: &Failure) {
    let observer = session.observer();
    let world = found.world(session, observer.as_ref(), None);
    let mut report = Report::without_a_run(session::now(), failure.message());
    report.host.clone_from(&world.host);
    let mark = mark(session, found, &world);
    if !mark.as_ref().is_some_and(|mark| mark.exists()) {
        report.told = notify::tell(&found.config.notify, &report, None, &world);
    }
    for told in &report.told {
        if let Some(error) = &told.error {
            session.out.warning(format!("{} could not be told: {error}", told.name));
        }
    }
    if report.told.iter().all(|told| told.error.is_none()) {
        // Without it somebody is told again. No harm.
        let _told_again = mark.map(|mark| {
            fs::create_dir_all(mark.parent().unwrap_or(&mark))?;
            fs::write(&mark, b"")
        });
    }
    for unwritten in write_alone(&found.config, &report) {
        session.out.warning(format!("[status] cannot write {unwritten}"));
    }
}

/// Remembers that somebody was told of a failure, so that they are told of the recovery, too.
pub fn ends(session: &Session, found: &Found, world: &World<'_>) {
    if mark(session, found, world).is_some_and(|mark| fs::remove_file(mark).is_ok()) {
        let failed = |memory: &mut Memory| memory.own_mut(world).status = Some(Status::Failed);
        let (_, _nobody_is_told) = Memory::change(world.memory.as_deref(), failed);
    }
}

/// A file that is there while the repository of a configuration cannot be opened and that was told.
fn mark(session: &Session, found: &Found, world: &World<'_>) -> Option<PathBuf> {
    let place = found.config.repository.path.as_os_str().as_encoded_bytes();
    // No path has a zero.
    let both = [world.configuration.as_bytes(), place].join(&0);
    Some(session.caches()?.join("outages").join(hex::encode(&hash::plain(&both)[..16])))
}
