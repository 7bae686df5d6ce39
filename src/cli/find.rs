//! `larder find`

use clap::Args;
use serde::Serialize;

use larder::id::SnapshotId;
use larder::ops::browse::{self, Pattern};
use larder::ops::snapshots;

use crate::cli::chosen::Among;
use crate::cli::ls::{JsonEntry, json};
use crate::cli::output::{Lines, Outcome, escaped, local_time, plural};
use crate::cli::report::Exit;
use crate::cli::session::Session;

/// Find files by name in all snapshots
#[derive(Debug, Args)]
pub struct Arguments {
    /// A part of the name, or with `*`, `?` or `[` a glob for all of it; with `/` in it, of the path
    pattern: String,
    #[command(flatten)]
    among: Among,
}

#[derive(Serialize)]
struct Answer {
    snapshot: String,
    #[serde(flatten)]
    entry: JsonEntry,
}

/// Finds them.
pub fn run(session: &mut Session, arguments: &Arguments) -> Outcome {
    let pattern = Pattern::new(&arguments.pattern)?;
    let repo = session.open()?;
    let listing = snapshots::list(&repo, &arguments.among.filter(), std::time::Duration::ZERO)?;
    let roots: Vec<_> = listing.rows.iter().map(|row| (row.id, row.record.root)).collect();
    let started = |id: &SnapshotId| {
        let row = listing.rows.iter().find(|row| row.id == *id);
        row.map(|row| local_time(row.record.started)).unwrap_or_default()
    };
    let mut lines = Lines::begin(&mut session.out);
    let mut shown: Option<(SnapshotId, String)> = None;
    let searched = browse::find(&repo, &roots, &pattern, &mut |id, entry| {
        if shown.as_ref().is_none_or(|shown| shown.0 != *id) {
            shown = Some((*id, format!("{} {}", id.short(), started(id))));
        }
        let before = shown.as_ref().map_or("", |shown| shown.1.as_str());
        let answer = Answer { snapshot: id.to_string(), entry: json(entry) };
        lines.entry(&answer, || format!("{before}  {}", escaped(&entry.path)))
    })?;
    lines.end()?;
    session.out.aside(format!("{} in {}", plural(searched.found, "entry"), plural(searched.snapshots, "snapshot")))?;
    for (snapshot, error) in &searched.damaged {
        session.out.warning(format!("a part of snapshot {} cannot be read: {error}", snapshot.short()));
    }
    for (snapshot, reason) in &listing.unreadable {
        session.out.warning(format!("snapshot {}: {reason}", snapshot.short()));
    }
    let sound = searched.damaged.is_empty() && listing.unreadable.is_empty();
    Ok(if sound { Exit::Done } else { Exit::Damage })
}
