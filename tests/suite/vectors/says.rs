//! What was decoded, in the words of the vectors.

use larder::crypto::slot::Stretch;
use larder::format::content::{ChunkRef, Content, ContentRoot};
use larder::format::listing::{Entry, Node};
use larder::format::log::{Action, Body, KeyChange, PackUse, SnapshotAction, TagAction};
use larder::format::objects::{Config, WeekStart};
use larder::format::packs::{BlockEntry, BlockKind, Codec, Directory, Preamble};
use larder::format::pages::PageRef;
use larder::format::record::Record;
use larder::format::slots::Slot;
use larder::format::{Kind, Time};
use larder::repo::state::{Fate, State};

pub type Lines = Vec<String>;

pub fn hexed(bytes: impl AsRef<[u8]>) -> String {
    if bytes.as_ref().is_empty() { "-".into() } else { hex::encode(bytes) }
}

fn worded(text: &str) -> &str {
    if text.is_empty() { "-" } else { text }
}

fn time(time: Time) -> String {
    format!("{}.{:09}", time.seconds, time.nanos)
}

fn tags(tags: &[String]) -> String {
    worded(&tags.join(",")).to_owned()
}

pub fn config(config: &Config) -> Lines {
    let sizes = config.sizes;
    let week = match config.week_start {
        WeekStart::Monday => "monday",
        WeekStart::Sunday => "sunday",
    };
    vec![
        format!("repository {}", config.repository),
        format!("created {}", time(config.created)),
        format!("sizes {} {} {}", sizes.min, sizes.average, sizes.max),
        format!("zone {}", worded(&config.time_zone)),
        format!("week {week}"),
        format!("read {}", hexed(config.read_public)),
        format!("owner {}", hexed(config.owner_public)),
        format!("extension {}", hexed(&config.extension)),
    ]
}

pub fn slot(slot: &Slot) -> Lines {
    let stretch = match slot.stretch {
        Stretch::None => "none".to_owned(),
        Stretch::Argon2id { memory_kib, passes, lanes } => format!("argon2id {memory_kib} {passes} {lanes}"),
    };
    vec![
        format!("repository {}", slot.repository),
        format!("slot {}", slot.slot),
        format!("created {}", time(slot.created)),
        format!("label {}", worded(&slot.label)),
        format!("stretching {stretch}"),
        format!("salt {}", hexed(slot.salt)),
        format!("commitment {}", hexed(slot.commitment)),
        format!("nonce {}", hexed(slot.nonce)),
    ]
}

pub fn preamble(preamble: &Preamble) -> Lines {
    vec![
        format!("kind {}", preamble.kind),
        format!("directory {}", preamble.directory_bytes),
        format!("body {}", preamble.body_bytes),
        format!("repository {}", preamble.repository),
        format!("writer {}", preamble.writer),
        format!("run {}", hexed(preamble.run_public)),
        format!("salt {}", hexed(preamble.salt)),
        format!("commitment {}", hexed(preamble.commitment)),
    ]
}

pub fn block(block: &BlockEntry) -> String {
    let kind = match block.kind {
        BlockKind::Chunks => "chunks",
        BlockKind::Record => "record",
    };
    let codec = match block.codec {
        Codec::Raw => "raw",
        Codec::Zstd => "zstd",
    };
    format!("block {kind} {codec} {} {} {}", block.raw_bytes, block.sealed_bytes, hexed(block.nonce))
}

pub fn chunks(directory: &Directory, block: &BlockEntry) -> Lines {
    directory.chunks_of(block).iter().map(|chunk| format!("chunk {} {}", chunk.id, chunk.bytes)).collect()
}

pub fn chunk(chunk: &ChunkRef) -> String {
    format!("chunk {} {}", chunk.id, chunk.bytes)
}

pub fn root(root: &ContentRoot) -> String {
    format!("page {} {} {} {} {}", root.level, root.page.id, root.page.bytes, root.bytes, root.chunks)
}

pub fn item(item: &PageRef) -> String {
    format!("item {} {} {} {}", hexed(&item.first), item.page.id, item.page.bytes, item.entries)
}

pub fn entry(entry: &Entry) -> Lines {
    let owner = &entry.owner;
    let mut lines = vec![
        format!("entry {} {}", node_name(&entry.node), hexed(&entry.path)),
        format!("mode {:o}", entry.mode),
        format!("owner {} {} {} {}", owner.uid, owner.gid, hexed(&owner.user), hexed(&owner.group)),
        format!("mtime {}", time(entry.mtime)),
        format!("ctime {}", time(entry.ctime)),
        format!("inode {} {} {}", entry.inode, entry.device, entry.links),
    ];
    lines.extend(node(&entry.node));
    lines.extend(entry.xattrs.iter().map(|(name, value)| format!("xattr {} {}", hexed(name), hexed(value))));
    if !entry.stamp.is_empty() {
        lines.push(format!("stamp {}", hexed(&entry.stamp)));
    }
    if entry.unstable {
        lines.push("unstable yes".into());
    }
    lines
}

fn node_name(node: &Node) -> &'static str {
    match node {
        Node::File { .. } => "file",
        Node::Directory => "folder",
        Node::Symlink { .. } => "symlink",
        Node::Fifo => "fifo",
        Node::Socket => "socket",
        Node::CharDevice { .. } => "character",
        Node::BlockDevice { .. } => "block",
    }
}

fn node(node: &Node) -> Lines {
    match node {
        Node::File { bytes, content, extents } => {
            let mut lines = vec![format!("length {bytes}")];
            match content {
                Content::Inline(chunks) => lines.extend(chunks.iter().map(chunk)),
                Content::Paged(page) => lines.push(root(page)),
            }
            if let Some(extents) = extents {
                lines.push("sparse yes".into());
                lines.extend(extents.iter().map(|extent| format!("extent {} {}", extent.offset, extent.bytes)));
            }
            lines
        }
        Node::Symlink { target } => vec![format!("target {}", hexed(target))],
        Node::CharDevice { major, minor } | Node::BlockDevice { major, minor } => {
            vec![format!("device {major} {minor}")]
        }
        Node::Directory | Node::Fifo | Node::Socket => Vec::new(),
    }
}

pub fn body(body: &Body) -> Lines {
    let mut lines = vec![
        format!("previous {}", hexed(body.previous)),
        format!("token {}", hexed(body.token)),
        format!("writer {}", body.writer),
        format!("time {}", time(body.time)),
        format!("action {}", body.action.name()),
    ];
    lines.extend(action(&body.action));
    lines.push(format!("extension {}", hexed(&body.extension)));
    lines
}

fn action(action: &Action) -> Lines {
    match action {
        Action::Snapshot(action) => snapshot(action),
        Action::Tag(action) | Action::Untag(action) => changes(action),
        Action::Note { snapshot, name, value } => {
            vec![format!("snapshot {snapshot}"), format!("name {}", worded(name)), format!("value {}", worded(value))]
        }
        Action::Condemn { packs } | Action::Sweep { packs } => {
            packs.iter().map(|pack| format!("pack {pack}")).collect()
        }
        Action::Repack { packs, condemned } => {
            packs.iter().map(named).chain(condemned.iter().map(|pack| format!("condemned {pack}"))).collect()
        }
        Action::Key { slot, change } => {
            let change = match change {
                KeyChange::Added => "added",
                KeyChange::Removed => "removed",
            };
            vec![format!("slot {slot}"), format!("change {change}")]
        }
    }
}

fn named(pack: &PackUse) -> String {
    format!("named {} {} {}", pack.id, pack.bytes, pack.kind)
}

fn snapshot(action: &SnapshotAction) -> Lines {
    let mut lines = vec![
        format!("snapshot {}", action.snapshot),
        format!("series {}", action.series),
        format!("started {}", time(action.started)),
        format!("complete {}", if action.complete { "yes" } else { "no" }),
        format!("tags {}", tags(&action.tags)),
    ];
    lines.extend(action.packs.iter().map(named));
    lines.extend(action.rescue.iter().map(|pack| format!("rescue {pack}")));
    lines.push(format!("record {}", hexed(&action.record)));
    lines
}

fn changes(action: &TagAction) -> Lines {
    let mut lines = Vec::new();
    for change in &action.changes {
        lines.push(format!("snapshot {}", change.snapshot));
        lines.push(format!("add {}", tags(&change.add)));
        lines.push(format!("remove {}", tags(&change.remove)));
    }
    lines.extend(action.rescue.iter().map(|pack| format!("rescue {pack}")));
    lines
}

pub fn record(record: &Record) -> Lines {
    let counts = record.counts;
    let mut lines = vec![
        format!("source {}", worded(&record.source)),
        format!("host {}", worded(&record.host)),
        format!("user {}", worded(&record.user)),
    ];
    lines.extend(record.paths.iter().map(|path| format!("path {}", hexed(path))));
    lines.extend([
        format!("description {}", worded(&record.description)),
        format!("started {}", time(record.started)),
        format!("ended {}", time(record.ended)),
        format!("complete {}", if record.complete { "yes" } else { "no" }),
        format!("parent {}", record.parent.map_or("-".into(), |parent| parent.to_string())),
        format!(
            "root {} {} {} {}",
            record.root.page.id, record.root.page.bytes, record.root.level, record.root.entries
        ),
        format!("entries {} {} {}", counts.files, counts.directories, counts.others),
        format!("bytes {} {} {}", counts.bytes, counts.new_raw_bytes, counts.new_stored_bytes),
        format!("troubles {} {}", counts.unreadable, counts.unstable),
        format!("unique {}", hexed(record.unique)),
        format!("program {}", worded(&record.program)),
        format!("extension {}", hexed(&record.extension)),
    ]);
    lines
}

pub fn state(state: &State) -> Lines {
    let mut lines = Vec::new();
    for snapshot in state.snapshots() {
        let all: Vec<String> = snapshot.tags.iter().cloned().collect();
        lines.push(format!("snapshot {} {}", snapshot.id, tags(&all)));
    }
    let mut packs: Vec<_> = state.packs().collect();
    packs.sort_by_key(|pack| pack.0);
    for (id, pack) in packs {
        let fate = match pack.fate {
            Fate::Live => "live",
            Fate::Condemned { .. } => "condemned",
            Fate::Swept => "swept",
        };
        lines.push(format!("pack {id} {fate} {} {}", pack.bytes, kind(pack.kind)));
    }
    lines.extend(state.problems.iter().map(|problem| format!("problem {}", problem.seq)));
    lines
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Data => "data",
        Kind::Tree => "tree",
    }
}
