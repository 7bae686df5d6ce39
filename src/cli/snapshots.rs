//! `larder snapshots`

use clap::Args;
use serde::Serialize;

use larder::duration::Length;
use larder::format::Time;
use larder::ops::retention::VERIFY;
use larder::ops::snapshots::{self, Filter, Row};
use larder::repo::Repository;
use larder::repo::catalog::Catalog;

use crate::cli::chosen::Among;
use crate::cli::output::{self, Align, Form, JsonPaths, Outcome, Table, plural, size};
use crate::cli::report::{Exit, Failure};
use crate::cli::session::{self, Session};

/// List snapshots, oldest first
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    among: Among,
    /// Those that no tag holds any more, and how long `larder tag` can still bring them back
    #[arg(long)]
    forgotten: bool,
    /// The grace period that prune runs with, to tell how long that is
    #[arg(long, value_name = "DURATION", default_value = "7d", requires = "forgotten")]
    grace: Length,
}

#[derive(Serialize)]
struct Answer<'a> {
    id: String,
    time: String,
    age_seconds: i64,
    state: &'static str,
    source: &'a str,
    host: &'a str,
    user: &'a str,
    tags: Vec<&'a str>,
    files: u64,
    directories: u64,
    others: u64,
    bytes: u64,
    new_bytes: u64,
    stored_bytes: u64,
    unreadable: u64,
    complete: bool,
    description: &'a str,
    #[serde(flatten)]
    paths: JsonPaths,
    parent: Option<String>,
    duration_seconds: f64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<Note<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    forgotten: Option<Forgotten>,
}

#[derive(Serialize)]
struct Note<'a> {
    name: &'a str,
    value: &'a str,
}

#[derive(Serialize)]
struct Forgotten {
    since: String,
    recoverable_until: Option<String>,
}

/// Lists them.
pub fn run(session: &mut Session, arguments: &Arguments) -> Outcome {
    let repo = session.open()?;
    let filter = Filter { forgotten: arguments.forgotten, ..arguments.among.filter() };
    let listing = snapshots::list(&repo, &filter, arguments.grace.duration())?;
    match session.out.form() {
        Form::Json => session.out.json(&listing.rows.iter().map(answer).collect::<Vec<_>>())?,
        Form::Text => show(session, &repo, &listing.rows, arguments)?,
    }
    for problem in &repo.state().problems {
        session.out.warning(format!("log entry {}: {}", problem.seq, problem.reason));
    }
    for (snapshot, reason) in &listing.unreadable {
        session.out.warning(format!("snapshot {}: {reason}", snapshot.short()));
    }
    let sound = listing.unreadable.is_empty() && repo.state().problems.is_empty();
    Ok(if sound { Exit::Done } else { Exit::Damage })
}

fn answer(row: &Row) -> Answer<'_> {
    let record = &row.record;
    Answer {
        id: row.id.to_string(),
        time: output::rfc3339(record.started),
        age_seconds: age(record.started),
        state: row.standing.words(),
        source: &record.source,
        host: &record.host,
        user: &record.user,
        tags: output::sorted_tags(&row.tags),
        files: record.counts.files,
        directories: record.counts.directories,
        others: record.counts.others,
        bytes: record.counts.bytes,
        new_bytes: record.counts.new_raw_bytes,
        stored_bytes: record.counts.new_stored_bytes,
        unreadable: record.counts.unreadable,
        complete: record.complete,
        description: &record.description,
        paths: JsonPaths::from(record.paths.as_slice()),
        parent: record.parent.map(|parent| parent.to_string()),
        duration_seconds: output::seconds_between(record.started, record.ended),
        notes: row
            .notes
            .iter()
            .map(|(name, value)| Note { name, value })
            .filter(|note| note.name != VERIFY.0)
            .collect(),
        forgotten: row.forgotten.as_ref().map(|forgotten| Forgotten {
            since: output::rfc3339(forgotten.since),
            recoverable_until: forgotten.recoverable_until.map(output::rfc3339),
        }),
    }
}

/// Seconds since a snapshot was begun; none, if that lies in what is the future now.
fn age(started: Time) -> i64 {
    (session::now().seconds - started.seconds).max(0)
}

/// What tells one snapshot from another, within a hundred columns. A host only where there are several.
fn show(session: &mut Session, repo: &Repository, rows: &[Row], arguments: &Arguments) -> Result<(), Failure> {
    if rows.is_empty() {
        arguments.among.unknown_source(repo).into_iter().for_each(|said| session.out.note(said));
        return session.out.aside(if arguments.forgotten { "nothing is forgotten" } else { "no snapshots" });
    }
    let last = if arguments.forgotten { "can come back until" } else { "tags" };
    let several = rows.iter().any(|row| row.record.host != rows[0].record.host);
    let time = format!("time ({})", output::zone());
    let mut columns = vec![("id", Align::Left), (&*time, Align::Left), ("age", Align::Right), ("source", Align::Left)];
    columns.extend(several.then_some(("host", Align::Left)));
    columns.extend([("size", Align::Right), ("new", Align::Right), ("state", Align::Left), (last, Align::Left)]);
    columns.push(("description", Align::Left));
    let mut table = Table::new(&columns);
    for row in rows {
        let record = &row.record;
        let last = match &row.forgotten {
            None => output::tags(&row.tags),
            Some(forgotten) => {
                forgotten.recoverable_until.map_or_else(|| after_prune(arguments.grace), output::local_time)
            }
        };
        let incomplete = if record.complete { "" } else { "(incomplete) " };
        let mut cells = vec![
            row.id.short(),
            output::local_minute(record.started),
            output::age(age(record.started)),
            output::escaped(record.source.as_bytes()),
        ];
        cells.extend(several.then(|| output::escaped(record.host.as_bytes())));
        cells.extend([
            size(record.counts.bytes),
            size(record.counts.new_stored_bytes),
            row.standing.words().to_owned(),
            last,
            format!("{incomplete}{}", output::escaped(record.description.as_bytes())),
        ]);
        table.row(cells);
    }
    for line in table.lines() {
        session.out.line(line)?;
    }
    session.out.aside(totals(repo, rows))
}

/// Until when what nothing condemned yet can come back at least.
fn after_prune(grace: Length) -> String {
    if grace.duration().is_zero() { "the next prune".to_owned() } else { format!("{grace} after a prune") }
}

/// How many there are, what is in them, and what the repository takes for all it has.
fn totals(repo: &Repository, rows: &[Row]) -> String {
    let bytes = rows.iter().map(|row| row.record.counts.bytes).fold(0, u64::saturating_add);
    let totals = format!("{}, {} in all", plural(rows.len() as u64, "snapshot"), size(bytes));
    match Catalog::list(repo) {
        Ok(packs) => format!("{totals}; the repository has {}", size(packs.values().map(|pack| pack.bytes).sum())),
        Err(_) => totals,
    }
}
