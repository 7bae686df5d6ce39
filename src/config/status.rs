//! `[status]`: files that say how things stand, and how old a newest snapshot may be.

use std::path::PathBuf;
use std::time::Duration;

use crate::config::reading::Section;
use crate::duration::Length;

/// Where it is said how things stand.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Status {
    /// The folder for reports.
    pub directory: Option<PathBuf>,
    /// The file for Prometheus.
    pub metrics: Option<PathBuf>,
    /// How old the newest complete snapshot may be, of sources that do not say so themselves.
    pub max_age: Option<Duration>,
}

impl Status {
    /// Reads the table. Without a file of its own the metrics go into the folder.
    pub fn read(section: Section<'_, '_>) -> Self {
        let path = |key| section.text(key).filter(|path| !path.is_empty()).map(PathBuf::from);
        let directory = path("directory");
        let metrics = path("metrics").or_else(|| directory.as_ref().map(|folder| folder.join("larder.prom")));
        if let Some(metrics) = metrics.as_ref().filter(|path| path.extension().is_none_or(|end| end != "prom")) {
            let name = metrics.display();
            section.mistake("metrics", format!("{name} does not end in .prom: Prometheus would not read it"));
        }
        let max_age = max_age(&section);
        section.finish();
        Self { directory, metrics, max_age }
    }
}

/// How old the newest complete snapshot may be.
pub fn max_age(section: &Section<'_, '_>) -> Option<Duration> {
    let max_age = section.parsed::<Length>("max_age")?.duration();
    if max_age.is_zero() {
        section.mistake("max_age", "is nothing: no snapshot is as new as that");
    }
    Some(max_age)
}
