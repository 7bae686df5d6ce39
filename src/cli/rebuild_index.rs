//! `larder rebuild-index`

use clap::Args;
use serde::Serialize;

use larder::format::record::Record;
use larder::id::SnapshotId;
use larder::ops::salvage::{self, Rebuilt, Report};

use crate::cli::output::{Form, Outcome, escaped, local_time, plural, rfc3339};
use crate::cli::report::{Exit, Failure};
use crate::cli::session::{self, Session};

/// Make the index anew, which is a cache; with --salvage also bring back snapshots that the log has lost
#[derive(Debug, Args)]
pub struct Arguments {
    /// Look for snapshots in the packs that the log does not know, and put back those that are whole
    #[arg(long)]
    salvage: bool,
}

#[derive(Serialize)]
struct Answer<'a> {
    packs: u64,
    chunks: u64,
    faults: Vec<Fault<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    salvaged: Option<Salvaged<'a>>,
}

#[derive(Serialize)]
struct Fault<'a> {
    pack: String,
    what: &'a str,
}

#[derive(Serialize)]
struct Salvaged<'a> {
    records: u64,
    known: u64,
    put_back: Vec<Snapshot<'a>>,
    not_put_back: Vec<Snapshot<'a>>,
    unreadable: &'a [String],
}

#[derive(Serialize)]
struct Snapshot<'a> {
    id: String,
    time: String,
    source: &'a str,
    host: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
}

/// Makes it.
pub fn run(session: &mut Session, arguments: &Arguments) -> Outcome {
    let repo = session.open()?;
    let observer = session.observer();
    let result = if arguments.salvage {
        salvage::run(&repo, session::now(), observer.as_ref())
    } else {
        salvage::rebuild_index(&repo, observer.as_ref()).map(|rebuilt| Report { rebuilt, ..Report::default() })
    };
    drop(observer);
    let report = result?;
    show(session, arguments, &report)?;
    let whole = report.rebuilt.faults.is_empty() && report.not_put_back.is_empty() && report.unreadable.is_empty();
    Ok(if whole { Exit::Done } else { Exit::Damage })
}

fn show(session: &mut Session, arguments: &Arguments, report: &Report) -> Result<(), Failure> {
    let Rebuilt { packs, chunks, faults } = &report.rebuilt;
    if session.out.form() == Form::Json {
        let faults = faults.iter().map(|(pack, what)| Fault { pack: pack.to_string(), what });
        let salvaged = arguments.salvage.then(|| salvaged(report));
        return session.out.json(&Answer { packs: *packs, chunks: *chunks, faults: faults.collect(), salvaged });
    }
    let out = &mut session.out;
    out.say(format!("indexed {} in {}", plural(*chunks, "chunk"), plural(*packs, "pack")))?;
    for (pack, what) in faults {
        out.warning(format!("pack {pack}: {what}"));
    }
    if !arguments.salvage {
        return Ok(());
    }
    for text in &report.unreadable {
        out.warning(text);
    }
    for (id, record) in &report.put_back {
        out.line(format!("put back      {}", described(id, record)))?;
    }
    for (id, record, reason) in &report.not_put_back {
        out.line(format!("not put back  {}: {reason}", described(id, record)))?;
    }
    out.say(format!(
        "found {}, {} of them in the log; {} put back with the tag {}",
        plural(report.records, "snapshot"),
        report.known,
        report.put_back.len(),
        salvage::TAG
    ))
}

fn described(id: &SnapshotId, record: &Record) -> String {
    let (source, host) = (escaped(record.source.as_bytes()), escaped(record.host.as_bytes()));
    format!("{}  {}  {source} on {host}", id.short(), local_time(record.started))
}

fn salvaged(report: &Report) -> Salvaged<'_> {
    fn snapshot<'a>(id: &SnapshotId, record: &'a Record, reason: Option<&'a str>) -> Snapshot<'a> {
        let (source, host) = (record.source.as_str(), record.host.as_str());
        Snapshot { id: id.to_string(), time: rfc3339(record.started), source, host, reason }
    }
    Salvaged {
        records: report.records,
        known: report.known,
        put_back: report.put_back.iter().map(|(id, record)| snapshot(id, record, None)).collect(),
        not_put_back: report.not_put_back.iter().map(|(id, record, why)| snapshot(id, record, Some(why))).collect(),
        unreadable: &report.unreadable,
    }
}
