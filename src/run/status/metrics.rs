//! How things stand, as Prometheus reads it: the text format, for the textfile collector of the node exporter.
//!
//! Promise: names, units and types are as Prometheus wants them; all ages are given as the times they count from, so
//! that a file that nobody writes any more grows old by itself.

use std::fmt::Write as _;

use crate::format::Time;
use crate::run::report::Status;
use crate::run::status::{LastRun, SourceStanding, Standing};

/// All that a run can end with.
const STATUSES: [Status; 3] = [Status::Done, Status::Incomplete, Status::Failed];

/// A label's name and value.
type Label<'l> = (&'l str, &'l str);

/// The text.
pub fn render(standing: &Standing) -> String {
    let mut page = Page { text: String::new(), repository: &standing.repository.path };
    page.one(
        "larder_build_info",
        "The version of larder that wrote this.",
        &[("version", env!("CARGO_PKG_VERSION"))],
        1.0,
    );
    whole(&mut page, standing);
    snapshots(&mut page, &standing.sources);
    runs(&mut page, &standing.sources);
    page.text
}

/// A page being written. Every sample has the repository as a label: several can be watched together.
struct Page<'p> {
    text: String,
    repository: &'p str,
}

impl Page<'_> {
    fn head(&mut self, name: &str, help: &str) {
        // Writing into a string cannot fail.
        let _ = write!(self.text, "# HELP {name} {help}\n# TYPE {name} gauge\n");
    }

    fn sample(&mut self, name: &str, labels: &[Label<'_>], value: f64) {
        let all = [("repository", self.repository)].into_iter().chain(labels.iter().copied());
        let all: Vec<String> = all.map(|(label, value)| format!("{label}=\"{}\"", escaped(value))).collect();
        let _ = writeln!(self.text, "{name}{{{}}} {value}", all.join(","));
    }

    fn one(&mut self, name: &str, help: &str, labels: &[Label<'_>], value: f64) {
        self.head(name, help);
        self.sample(name, labels, value);
    }

    fn one_if_any(&mut self, name: &str, help: &str, value: Option<f64>) {
        if let Some(value) = value {
            self.one(name, help, &[], value);
        }
    }

    /// A sample for each source of which there is a value.
    fn each(
        &mut self,
        name: &str,
        help: &str,
        sources: &[SourceStanding],
        value: impl Fn(&SourceStanding) -> Option<f64>,
    ) {
        let values: Vec<_> = sources.iter().filter_map(|source| Some((source.name.as_str(), value(source)?))).collect();
        if values.is_empty() {
            return;
        }
        self.head(name, help);
        for (source, value) in values {
            self.sample(name, &[("source", source)], value);
        }
    }
}

fn seconds(time: Time) -> f64 {
    time.seconds as f64
}

fn whole(page: &mut Page<'_>, standing: &Standing) {
    let repository = &standing.repository;
    page.one("larder_repository_bytes", "Bytes of all packs of the repository.", &[], repository.bytes as f64);
    page.one("larder_repository_packs", "Packs of the repository.", &[], repository.packs as f64);
    page.one("larder_repository_snapshots", "Snapshots in the repository.", &[], repository.snapshots as f64);
    page.one_if_any(
        "larder_last_check_timestamp_seconds",
        "When a run last checked a part of the repository.",
        standing.last_check.map(seconds),
    );
    page.one_if_any(
        "larder_last_check_problems",
        "Problems that the last check found.",
        standing.last_check_problems.map(|problems| problems as f64),
    );
    page.one_if_any(
        "larder_last_prune_timestamp_seconds",
        "When a run last pruned the repository.",
        standing.last_prune.map(seconds),
    );
    let Some(run) = &standing.last_run else { return };
    page.one("larder_run_timestamp_seconds", "When the last run ended.", &[], seconds(run.ended));
    page.one("larder_run_duration_seconds", "How long the last run took.", &[], run.duration_seconds);
    page.head("larder_run_status", "How the last run ended: 1 for what came true.");
    for status in STATUSES {
        page.sample("larder_run_status", &[("status", status.word())], f64::from(run.status == status));
    }
}

fn snapshots(page: &mut Page<'_>, sources: &[SourceStanding]) {
    page.each(
        "larder_source_last_success_timestamp_seconds",
        "When the newest complete snapshot was begun; 0 where there is none.",
        sources,
        |source| Some(source.last_success.map_or(0.0, seconds)),
    );
    page.each("larder_source_duration_seconds", "How long the newest complete snapshot took.", sources, |source| {
        Some(source.content.as_ref()?.duration_seconds)
    });
    page.each("larder_source_bytes", "Bytes in the newest complete snapshot.", sources, |source| {
        Some(source.content.as_ref()?.bytes as f64)
    });
    page.each(
        "larder_source_stored_bytes",
        "Bytes that the newest complete snapshot added to the repository.",
        sources,
        |source| Some(source.content.as_ref()?.stored_bytes as f64),
    );
    page.each("larder_source_files", "Files in the newest complete snapshot.", sources, |source| {
        Some(source.content.as_ref()?.files as f64)
    });
    page.each("larder_source_snapshots", "Snapshots of the source.", sources, |source| Some(source.snapshots as f64));
    if !sources.is_empty() {
        let name = "larder_source_tier_snapshots";
        page.head(name, "Snapshots that hold a tier; one snapshot can hold several.");
        for source in sources {
            for (tier, count) in &source.snapshots_by_tier {
                page.sample(name, &[("source", &source.name), ("tier", tier)], *count as f64);
            }
        }
    }
}

fn runs(page: &mut Page<'_>, sources: &[SourceStanding]) {
    page.each("larder_source_max_age_seconds", "How old the newest complete snapshot may be.", sources, |source| {
        Some(source.max_age_seconds?.as_secs_f64())
    });
    page.each("larder_source_next_run_timestamp_seconds", "When the schedule wants the next run.", sources, |source| {
        source.next_run.map(seconds)
    });
    page.each(
        "larder_source_last_run_timestamp_seconds",
        "When the last run of the source ended.",
        sources,
        |source| Some(seconds(source.last_run.as_ref()?.ended)),
    );
    page.each(
        "larder_source_last_run_duration_seconds",
        "How long the last run of the source took.",
        sources,
        |source| Some(source.last_run.as_ref()?.duration_seconds),
    );
    let turns: Vec<(&str, &LastRun)> =
        sources.iter().filter_map(|source| Some((source.name.as_str(), source.last_run.as_ref()?))).collect();
    if !turns.is_empty() {
        let name = "larder_source_last_run_status";
        page.head(name, "How the last run of the source ended: 1 for what came true.");
        for (source, turn) in turns {
            for status in STATUSES {
                page.sample(name, &[("source", source), ("status", status.word())], f64::from(turn.status == status));
            }
        }
    }
    page.each("larder_source_last_drill_timestamp_seconds", "When a restore was last tried.", sources, |source| {
        Some(seconds(source.last_drill.as_ref()?.time))
    });
    page.each(
        "larder_source_last_drill_proven",
        "Whether the last restore that was tried went well.",
        sources,
        |source| Some(f64::from(source.last_drill.as_ref()?.proven)),
    );
}

/// A label's value as it stands between quotes.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
