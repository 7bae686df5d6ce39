//! `larder find`

use clap::Args;
use serde::Serialize;

use larder::id::SnapshotId;
use larder::ops::browse::{self, Pattern};
use larder::ops::snapshots;
use larder::repo::state::Problem;

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
struct Answer<'a> {
    snapshot: String,
    source: &'a str,
    #[serde(flatten)]
    entry: JsonEntry,
}

/// Finds them.
pub fn run(session: &mut Session, arguments: &Arguments) -> Outcome {
    let pattern = Pattern::new(&arguments.pattern)?;
    let repo = session.open()?;
    let listing = snapshots::list(&repo, &arguments.among.filter(), std::time::Duration::ZERO)?;
    let roots: Vec<_> = listing.rows.iter().map(|row| (row.id, row.record.root)).collect();
    let row = |id: &SnapshotId| listing.rows.iter().find(|row| row.id == *id);
    let mut lines = Lines::begin(&mut session.out);
    // Of the snapshot that entries are being found in.
    let mut shown: Option<(SnapshotId, String, &str)> = None;
    let searched = browse::find(&repo, &roots, &pattern, &mut |id, entry| {
        if shown.as_ref().is_none_or(|shown| shown.0 != *id) {
            let (time, source) =
                row(id).map_or((String::new(), ""), |row| (local_time(row.record.started), row.record.source.as_str()));
            shown = Some((*id, format!("{} {time} {}", id.short(), escaped(source.as_bytes())), source));
        }
        let (before, source) = shown.as_ref().map_or(("", ""), |shown| (shown.1.as_str(), shown.2));
        let answer = Answer { snapshot: id.to_string(), source, entry: json(entry) };
        lines.entry(&answer, || format!("{before}  {}", escaped(&entry.path)))
    })?;
    lines.end()?;
    session.out.aside(format!("{} in {}", plural(searched.found, "entry"), plural(searched.snapshots, "snapshot")))?;
    if listing.rows.is_empty() {
        arguments.among.unknown_source(&repo).into_iter().for_each(|said| session.out.note(said));
    }
    for (snapshot, error) in &searched.damaged {
        session.out.warning(format!("a part of snapshot {} cannot be read: {error}", snapshot.short()));
    }
    for (snapshot, reason) in &listing.unreadable {
        session.out.warning(format!("snapshot {}: {reason}", snapshot.short()));
    }
    let problems = repo.state().problems.clone();
    for Problem { seq, reason } in &problems {
        session.out.warning(format!("log entry {seq}: {reason}"));
    }
    let sound = searched.damaged.is_empty() && listing.unreadable.is_empty() && problems.is_empty();
    Ok(if sound { Exit::Done } else { Exit::Damage })
}
