//! Reading back what was restored, and comparing it with the ids.
//!
//! Promise: every file written, or found unchanged, is read from the target once more; from the medium, as far as the
//! kernel can be told to forget what it still has in memory.

use std::io;

use crossbeam_channel::{Receiver, bounded};
use rustix::fs::{Advice, fadvise};

use crate::format::listing::{Entry, Node};
use crate::ops::restore::existing::is_equal;
use crate::ops::restore::marks::{Mark, Marks};
use crate::ops::restore::select::{Step, Steps};
use crate::ops::restore::{Context, Error};
use crate::posix::capture::{Kind, status_of};
use crate::posix::open::file_at;

/// Files waiting to be read.
const WAITING_MAX: usize = 64;

/// Reads back every file that is marked as done.
pub fn run(context: &Context<'_>, marks: &Marks) -> Result<(), Error> {
    let (sender, queue) = bounded(WAITING_MAX);
    std::thread::scope(|scope| {
        for _ in 0..context.options.threads.max(1) {
            let queue = queue.clone();
            scope.spawn(move || verify_all(context, &queue));
        }
        drop(queue);
        for step in Steps::new(context.repo, &context.listing, &context.filter) {
            let Step::Entry(chosen) = step else { continue };
            let is_file = matches!(chosen.entry.node, Node::File { .. });
            if is_file && marks.get(chosen.ordinal) == Mark::Done && sender.send(chosen.entry).is_err() {
                break;
            }
        }
        drop(sender);
    });
    Ok(())
}

fn verify_all(context: &Context<'_>, queue: &Receiver<Entry>) {
    for entry in queue {
        match verify(context, &entry) {
            Ok(true) => context.tally.report().verified += 1,
            Ok(false) => context.tally.damage(&entry.path, "what was read back is not what was stored"),
            Err(error) => context.tally.damage(&entry.path, &format!("cannot read it back: {error}")),
        }
        context.tally.advanced(1, 0);
    }
}

fn verify(context: &Context<'_>, entry: &Entry) -> io::Result<bool> {
    let (folder, name) = context.root()?.parent_of(context.below(&entry.path))?;
    let file = file_at(&*folder, name)?;
    let status = status_of(&file)?;
    let _only_a_hint = fadvise(&file, 0, None, Advice::DontNeed);
    Ok(status.kind == Kind::File && is_equal(context.repo, entry, &file, &status))
}
