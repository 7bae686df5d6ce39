//! The files of `[status]`, for monitors and dashboards. What is in them: `docs/schemas/`.
//!
//! Promise: each file is written all at once, and is either the old one or the new one; no name of a source makes a
//! path out of the folder; a file that cannot be written changes nothing about the run, and is said.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::Permissions;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde::Serialize;

use crate::config::Config;
use crate::config::sources::Source;
use crate::crypto::hash;
use crate::repo::Repository;
use crate::run::World;
use crate::run::memory::Memory;
use crate::run::report::{Report, SourceReport, Status};
use crate::run::status::metrics;
use crate::run::status::{SourceStanding, Standing, stand};

/// Longest name of a source, in bytes, that stands in the name of a file as it is.
const NAME_BYTES_MAX: usize = 160;

/// `backup_report.json`: the run.
#[derive(Serialize)]
struct RunFile<'r> {
    #[serde(flatten)]
    report: &'r Report,
    #[serde(skip_serializing_if = "Option::is_none")]
    statistics: Option<Statistics<'r>>,
}

/// What a run leaves behind.
#[derive(Serialize)]
struct Statistics<'r> {
    /// Bytes in the snapshots of the run.
    total_size_bytes: u64,
    /// Bytes that they added to the repository.
    stored_bytes: u64,
    /// Bytes of all packs.
    repository_bytes: u64,
    /// Snapshots of all enabled sources, and those that hold each tier.
    snapshots: u64,
    snapshots_by_tier: BTreeMap<&'static str, u64>,
    /// The same of each of them.
    sources: BTreeMap<&'r str, Counted<'r>>,
}

#[derive(Serialize)]
struct Counted<'r> {
    snapshots: u64,
    snapshots_by_tier: &'r BTreeMap<&'static str, u64>,
}

/// `backup_summary.json`: how all enabled sources stand.
#[derive(Serialize)]
struct SummaryFile<'r> {
    run: &'r str,
    status: Status,
    #[serde(rename = "type")]
    tier: Option<&'static str>,
    duration_seconds: f64,
    errors: Vec<String>,
    #[serde(flatten)]
    standing: &'r Standing,
}

/// `<source>_last_backup.json`: a source's turn in the run.
#[derive(Serialize)]
struct SourceFile<'r> {
    timestamp: &'r str,
    run: &'r str,
    host: &'r str,
    #[serde(flatten)]
    report: &'r SourceReport,
    standing: Option<&'r SourceStanding>,
}

/// Writes what is wanted after a run, and says what could not be written.
pub fn write(repo: &Repository, config: &Config, report: &Report, memory: &Memory, world: &World<'_>) -> Vec<String> {
    let wanted = &config.status;
    if wanted.directory.is_none() && wanted.metrics.is_none() {
        return Vec::new();
    }
    let standing = stand(repo, config, &enabled(config), memory, world);
    let mut unwritten = match &wanted.directory {
        Some(folder) => in_folder(folder, &files(report, &standing)),
        None => Vec::new(),
    };
    unwritten.extend(wanted.metrics.as_ref().and_then(|path| put_metrics(path, &standing)));
    unwritten
}

/// Writes the report of a run that could not begin, because nobody could open the repository; all else stays as it was.
pub fn write_alone(config: &Config, report: &Report) -> Vec<String> {
    let Some(folder) = &config.status.directory else { return Vec::new() };
    let file = serde_json::to_vec_pretty(&RunFile { report, statistics: None });
    in_folder(folder, &[("backup_report.json".to_owned(), file)])
}

/// Writes the metrics anew, after something that was no run, and says if that cannot be done.
pub fn refresh(repo: &Repository, config: &Config, world: &World<'_>) -> Option<String> {
    let path = config.status.metrics.as_ref()?;
    let memory = Memory::read(world.memory.as_deref());
    put_metrics(path, &stand(repo, config, &enabled(config), &memory, world))
}

fn enabled(config: &Config) -> Vec<&Source> {
    config.sources.iter().filter(|source| source.enabled).collect()
}

fn put_metrics(path: &Path, standing: &Standing) -> Option<String> {
    let written = put(path, metrics::render(standing).as_bytes());
    written.err().map(|error| format!("{}: {}", path.display(), reason(&error)))
}

/// The names of the files, and what is in them or why that cannot be said.
fn files(report: &Report, standing: &Standing) -> Vec<(String, serde_json::Result<Vec<u8>>)> {
    let run = RunFile { report, statistics: Some(statistics(report, standing)) };
    let summary = SummaryFile {
        run: &report.run,
        status: report.status,
        tier: report.tier,
        duration_seconds: report.duration_seconds,
        errors: errors(report),
        standing,
    };
    // As the others are told it: without who was told.
    let payload = Report { told: Vec::new(), ..report.clone() };
    let mut files = vec![
        ("backup_report.json".to_owned(), serde_json::to_vec_pretty(&run)),
        ("backup_summary.json".to_owned(), serde_json::to_vec_pretty(&summary)),
        ("webhook_payload.json".to_owned(), serde_json::to_vec_pretty(&payload)),
    ];
    files.extend(report.sources.iter().map(|source| {
        let file = SourceFile {
            timestamp: &report.timestamp,
            run: &report.run,
            host: &report.host,
            report: source,
            standing: standing.sources.iter().find(|standing| standing.name == source.name),
        };
        (format!("{}_last_backup.json", file_name(&source.name)), serde_json::to_vec_pretty(&file))
    }));
    files
}

fn statistics<'r>(report: &Report, standing: &'r Standing) -> Statistics<'r> {
    let mut by_tier = BTreeMap::new();
    for (tier, count) in standing.sources.iter().flat_map(|source| &source.snapshots_by_tier) {
        *by_tier.entry(*tier).or_insert(0) += count;
    }
    let counted = |source: &'r SourceStanding| {
        let SourceStanding { snapshots, snapshots_by_tier, .. } = source;
        (source.name.as_str(), Counted { snapshots: *snapshots, snapshots_by_tier })
    };
    Statistics {
        total_size_bytes: report.sources.iter().map(|source| source.bytes).sum(),
        stored_bytes: report.sources.iter().map(|source| source.stored_bytes).sum(),
        repository_bytes: standing.repository.bytes,
        snapshots: standing.sources.iter().map(|source| source.snapshots).sum(),
        snapshots_by_tier: by_tier,
        sources: standing.sources.iter().map(counted).collect(),
    }
}

/// All that went wrong, and where.
fn errors(report: &Report) -> Vec<String> {
    let sources = report.sources.iter();
    let of_sources = sources.flat_map(|source| source.errors.iter().map(|error| format!("{}: {error}", source.name)));
    let upkeep = report.upkeep.iter().filter_map(|upkeep| Some(format!("{}: {}", upkeep.what, upkeep.error.as_ref()?)));
    of_sources.chain(upkeep).chain(report.errors.iter().cloned()).collect()
}

/// A name of a source as part of a file's name: letters, digits, `-`, `_`, `.` (not as the first) and spaces as they
/// are, everything else as the `%XX` of its bytes, so that no two are alike; a long one is cut, and has a hash instead.
pub fn file_name(source: &str) -> String {
    let mut name = String::new();
    for (at, c) in source.char_indices() {
        if c.is_alphanumeric() || matches!(c, '-' | '_' | ' ') || (c == '.' && at > 0) {
            name.push(c);
        } else {
            name.extend(c.to_string().bytes().map(|byte| format!("%{byte:02X}")));
        }
    }
    if name.len() > NAME_BYTES_MAX {
        name.truncate(name.floor_char_boundary(NAME_BYTES_MAX));
        name.push('~');
        name.push_str(&hex::encode(&hash::plain(source.as_bytes())[..8]));
    }
    name
}

/// Writes files into a folder. Those that fail for the same reason are said together.
fn in_folder(folder: &Path, files: &[(String, serde_json::Result<Vec<u8>>)]) -> Vec<String> {
    let mut failed: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for (name, content) in files {
        let written = match content {
            Ok(content) => put(&folder.join(name), content).map_err(|error| reason(&error)),
            Err(error) => Err(error.to_string()),
        };
        if let Err(reason) = written {
            failed.entry(reason).or_default().insert(name);
        }
    }
    let said = |(reason, names): (String, BTreeSet<&str>)| {
        let names: Vec<&str> = names.into_iter().collect();
        format!("{} in {}: {reason}", names.join(", "), folder.display())
    };
    failed.into_iter().map(said).collect()
}

/// Writes a file all at once, readable for monitors of other users.
fn put(path: &Path, content: &[u8]) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new().prefix(".larder-").tempfile_in(folder)?;
    file.write_all(content)?;
    if content.last() != Some(&b'\n') {
        file.write_all(b"\n")?;
    }
    file.as_file().set_permissions(Permissions::from_mode(0o644))?;
    // Before the name: after a power cut the file is the old one or the new one, and not an empty one.
    file.as_file().sync_all()?;
    file.persist(path).map(drop).map_err(|error| error.error)
}

/// Why, without the name of the file that was to be renamed: it is gone, and differs each time.
fn reason(error: &io::Error) -> String {
    let said = error.to_string();
    said.split_once(" at path \"").map_or(said.as_str(), |(said, _)| said).to_owned()
}

#[cfg(test)]
#[path = "files_tests.rs"]
mod tests;
