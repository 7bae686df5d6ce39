//! `larder stats`

use clap::Args;
use serde::Serialize;

use larder::id::SnapshotId;
use larder::ops::select::{self, Forgotten};
use larder::ops::stats::{self, Sizes, SnapshotSizes};

use crate::cli::output::{Form, Outcome, count, percent, plural, size};
use crate::cli::report::{Exit, Failure};
use crate::cli::session::Session;

/// Say how large everything is: the repository, or what only one snapshot uses
#[derive(Debug, Args)]
pub struct Arguments {
    /// The snapshot
    snapshot: Option<String>,
}

#[derive(Serialize)]
struct Answer {
    snapshots: u64,
    forgotten: u64,
    entries: u64,
    files: u64,
    raw_bytes: u64,
    deduplicated_bytes: u64,
    tree_bytes: u64,
    compressed_bytes: u64,
    unused_bytes: u64,
    condemned_bytes: u64,
    unnamed_bytes: u64,
    stored_bytes: u64,
    index_bytes: u64,
    packs: u64,
    chunks: u64,
}

#[derive(Serialize)]
struct SnapshotAnswer {
    id: String,
    entries: u64,
    files: u64,
    raw_bytes: u64,
    unique_bytes: u64,
    unique_stored_bytes: u64,
    unique_chunks: u64,
}

/// Says it.
pub fn run(session: &mut Session, arguments: &Arguments) -> Outcome {
    let repo = session.open()?;
    match &arguments.snapshot {
        None => show(session, &stats::repository(&repo)?)?,
        Some(text) => {
            let selected = select::snapshot(&repo, text, Forgotten::Refuse)?;
            let id = selected.snapshot.id;
            show_snapshot(session, id, &stats::snapshot(&repo, id, &selected.record)?)?;
        }
    }
    Ok(Exit::Done)
}

fn show(session: &mut Session, sizes: &Sizes) -> Result<(), Failure> {
    let out = &mut session.out;
    if out.form() == Form::Json {
        return out.json(&Answer {
            snapshots: sizes.snapshots,
            forgotten: sizes.forgotten,
            entries: sizes.entries,
            files: sizes.files,
            raw_bytes: sizes.raw_bytes,
            deduplicated_bytes: sizes.deduplicated_bytes,
            tree_bytes: sizes.tree_bytes,
            compressed_bytes: sizes.used_bytes,
            unused_bytes: sizes.unused_bytes,
            condemned_bytes: sizes.condemned_bytes,
            unnamed_bytes: sizes.unnamed_bytes,
            stored_bytes: sizes.stored_bytes,
            index_bytes: sizes.index_bytes,
            packs: sizes.packs,
            chunks: sizes.chunks,
        });
    }
    let distinct = sizes.deduplicated_bytes + sizes.tree_bytes;
    out.line(format!("snapshots     {}, {} forgotten", count(sizes.snapshots), count(sizes.forgotten)))?;
    out.line(format!("files         {} in all snapshots together", count(sizes.files)))?;
    out.line(format!("raw           {} in all snapshots together", size(sizes.raw_bytes)))?;
    let share = percent(sizes.deduplicated_bytes, sizes.raw_bytes);
    out.line(format!(
        "deduplicated  {} ({share}), and {} of listings",
        size(sizes.deduplicated_bytes),
        size(sizes.tree_bytes)
    ))?;
    out.line(format!("compressed    {} ({})", size(sizes.used_bytes), percent(sizes.used_bytes, distinct)))?;
    out.line(format!("stored        {} in {}", size(sizes.stored_bytes), plural(sizes.packs, "pack")))?;
    for (bytes, what) in [
        (sizes.unused_bytes, "unused"),
        (sizes.condemned_bytes, "condemned"),
        (sizes.unnamed_bytes, "of no snapshot yet"),
    ] {
        if bytes > 0 {
            out.line(format!("              {} {what}", size(bytes)))?;
        }
    }
    out.line(format!("index         {} for {}", size(sizes.index_bytes), plural(sizes.chunks, "chunk")))
}

fn show_snapshot(session: &mut Session, id: SnapshotId, sizes: &SnapshotSizes) -> Result<(), Failure> {
    let out = &mut session.out;
    if out.form() == Form::Json {
        return out.json(&SnapshotAnswer {
            id: id.to_string(),
            entries: sizes.entries,
            files: sizes.files,
            raw_bytes: sizes.raw_bytes,
            unique_bytes: sizes.unique_raw_bytes,
            unique_stored_bytes: sizes.unique_stored_bytes,
            unique_chunks: sizes.unique_chunks,
        });
    }
    out.line(format!("snapshot  {}", id.short()))?;
    out.line(format!("files     {} of {} entries", count(sizes.files), count(sizes.entries)))?;
    out.line(format!("raw       {}", size(sizes.raw_bytes)))?;
    out.line(format!(
        "unique    {} in {}, {} compressed: what forgetting it would free",
        size(sizes.unique_raw_bytes),
        plural(sizes.unique_chunks, "chunk"),
        size(sizes.unique_stored_bytes)
    ))
}
